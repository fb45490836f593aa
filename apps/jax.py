"""Models of JAX, trained together: `JaxApp` makes an app of a function and its variables.

    app = JaxApp(variables, model.apply, loader, cross_entropy, partial(optax.sgd, 0.05), test=test_loader)

The variables are a pytree of arrays of JAX or numpy, such as Flax's. A leaf is named by its path, as in
`params/Dense_0/kernel`. The floating-point leaves that are no statistics are averaged, in the order of the tree; with
`shared`, only those whose names match one of its patterns. The others stay at this site and are trained there. Leaves
of whole numbers do not change.

**Statistics are never sent.** The running statistics of BatchNorm are no steps of a descent: they may be of any size,
and clipping them as updates would falsify them. So each site computes them anew, for the agreed parameters, in one pass
over its own training rows before it evaluates: as the mean over the batches of the statistics that each batch alone
would lead to. They contain nothing of earlier rounds, so a restart changes nothing.

JAX chooses the device.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..peer.learning.app import AppError
from ..peer.system.extras import load
from .description import as_json, called, description, exported
from .named_arrays import Batches, Measure, check_course, matching, means_over, pair, read_kept, write_kept

__all__ = ["JaxApp", "Shuffled", "accuracy"]

_VERSION: Final = 1
"""Version of the rules of training. Members with different versions do not train together."""

Arrays = Sequence[npt.NDArray[Any]]
Leaves = dict[str, Any]
"""Arrays of JAX by name."""


def accuracy(outputs: Any, targets: Any) -> dict[str, float]:
    """A measure for `JaxApp`: the part of the rows whose largest output is that of their class.

    Name it in `final_metrics` and not in `metrics`: it can be the same number in two rounds whatever the model is.
    """
    return {"accuracy": float((outputs.argmax(axis=1) == targets).mean())}


class Shuffled:
    """Batches of rows, in a new random order each time. The last rows, if they do not fill a batch, are left out."""

    def __init__(self, inputs: Any, targets: Any, rows: int) -> None:
        """Make batches of `rows` rows; if there are fewer rows, one batch of all of them."""
        self._inputs, self._targets = np.asarray(inputs), np.asarray(targets)
        self._rows = max(1, min(rows, len(self._inputs)))

    def __len__(self) -> int:
        """The number of batches."""
        return len(self._inputs) // self._rows

    def __iter__(self) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Pairs of inputs and targets. The order is drawn from the operating system's randomness."""
        order = np.random.default_rng(int.from_bytes(os.urandom(16))).permutation(len(self._inputs))
        for start in range(0, len(self) * self._rows, self._rows):
            chosen = order[start : start + self._rows]
            yield self._inputs[chosen], self._targets[chosen]


class JaxApp:
    """A model of JAX and the rows of this site, as an app."""

    def __init__(
        self,
        variables: Any,
        apply: Callable[[Any, Any], Any],
        loader: Batches,
        loss: Callable[[Any, Any], Any],
        optimiser: Callable[[], Any],
        *,
        learn: Callable[[Any, Any, Any], tuple[Any, Any]] | None = None,
        statistics: Sequence[str] = ("batch_stats/*",),
        test: Batches = (),
        epochs: int = 1,
        shared: Sequence[str] = ("*",),
        kept: str | Path | None = None,
        measure: Measure | None = None,
        metrics: Sequence[str] = (),
        final_metrics: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Make an app of a model.

        Args:
            variables: the pytree with the initial values.
            apply: a function of variables and inputs that returns the outputs of a prediction.
            loader: the training rows: pairs of inputs and targets, a batch each. Every iteration begins anew.
            loss: a function of outputs and targets that returns the mean over the rows.
            optimiser: makes an optimiser of Optax, or an object with its `init` and `update`. It is made anew in each
                round, and gets a dictionary of leaves by name.
            learn: needed if training differs from predicting: a function of variables, inputs and a key of randomness
                that returns outputs and new statistics, as Flax's `apply` does with `mutable`.
            statistics: patterns of the names of the statistics, which must be running means.
            test: the test rows, as `loader`.
            epochs: passes over the rows in a round.
            shared: patterns, as for files, of the names of the parameters that are averaged.
            kept: an `.npz` file for the parameters that are not averaged, written after each round and read at the
                start. Without it they begin anew after a restart.
            measure: a function of outputs and targets that returns means over a batch, by name.
            metrics: names of those means that are summed in each round.
            final_metrics: names of those that are summed once, after the last round.
            options: anything else that must be equal at all members.

        Raises:
            AppError: the model cannot be trained so; says why.
            MissingPackage: JAX is not installed.
        """
        self._jax = load("jax", "JaxApp", "jax")
        self._apply, self._loader, self._test = apply, loader, test
        self._loss, self._optimiser, self._epochs = loss, optimiser, epochs
        self._learn, self._measure = learn, measure
        self.metrics, self.final_metrics = tuple(metrics), tuple(final_metrics)
        check_course(epochs, measure, (*self.metrics, *self.final_metrics))
        leaves, self._tree = self._jax.tree_util.tree_flatten_with_path(variables)
        self._names = [self._name(path) for path, _ in leaves]
        if len(set(self._names)) != len(leaves):
            raise AppError("two of the variables have one name; there are " + ", ".join(self._names))
        self._leaves: Leaves = {self._name(path): self._jax.numpy.asarray(one) for path, one in leaves}
        self._statistics, self._trained = self._kinds([statistics] if isinstance(statistics, str) else statistics)
        self._patterns = [shared] if isinstance(shared, str) else list(shared)
        self._shared = matching(self._trained, self._patterns)
        self._own = [name for name in self._trained if name not in self._shared]
        self._options = dict(options or {})
        self._kept = None if kept is None else Path(kept)
        if self._kept is not None and self._kept.exists():
            found = read_kept(self._kept, {name: self._leaves[name].shape for name in self._own})
            self._leaves |= {name: self._like(name, array) for name, array in found.items()}
        # JAX compiles a step once for each size of a batch.
        self._step, self._means = self._jax.jit(self._descend), self._jax.jit(self._limits)
        self._predict = self._jax.jit(apply)

    def describe(self) -> str:
        """The description, which must be equal at all members."""
        return description(
            "JaxApp",
            _VERSION,
            model=called(self._apply if self._learn is None else self._learn),
            parameters=[f"{name} {self._leaves[name].shape} {self._leaves[name].dtype}" for name in self._shared],
            shared=self._patterns,
            loss=called(self._loss),
            optimiser=called(self._optimiser),
            epochs=self._epochs,
            options=as_json(self._options),
        )

    def initial(self) -> list[npt.NDArray[Any]]:
        """The shared parameters as they were given. All members begin with the founder's."""
        return self._weights()

    def fit(self, weights: Arrays, round: int) -> tuple[list[npt.NDArray[Any]], int, dict[str, float]]:
        """Train for a round on this site's rows; returns the new weights, the number of rows, and metrics."""
        self._put(weights)
        trained = {name: self._leaves[name] for name in self._trained}
        state = self._optimiser().init(trained)
        key = self._key()
        rows, value = 0, 0.0
        for _ in range(self._epochs):
            rows = 0
            for inputs, targets in map(pair, self._loader):
                key, drawn = self._jax.random.split(key)
                trained, state, value = self._step(trained, self._fixed(), state, inputs, targets, drawn)
                rows += len(targets)
        self._leaves |= trained
        if self._kept is not None and self._own:
            write_kept(self._kept, {name: self._numpy(name) for name in self._own})
        return self._weights(), rows, {"last_batch_loss": float(value), "round": float(round)}

    def evaluate(self, weights: Arrays) -> tuple[float, int, Mapping[str, float]]:
        """The loss, the rows and the metrics over this site's test rows, with statistics of its training rows."""
        variables = self.fitted(weights)
        return means_over(self._measured(variables), (*self.metrics, *self.final_metrics))

    def fitted(self, weights: Arrays) -> Any:
        """The variables to predict with: these weights, with statistics of this site's training rows."""
        self._put(weights)
        leaves = dict(self._leaves)
        if self._statistics:
            leaves |= self._recomputed()
        return self._variables(leaves)

    def load(self, path: str | Path) -> Any:
        """The variables to predict with, by an `.npz` file of `peer model export`; see `fitted`.

        Raises:
            AppError: the file is no such file, or that of another app.
        """
        _, weights = exported(path, self.describe())
        return self.fitted(weights)

    def _name(self, path: Any) -> str:
        return str(self._jax.tree_util.keystr(path, simple=True, separator="/"))

    def _kinds(self, statistics: Sequence[str]) -> tuple[list[str], list[str]]:
        """The names of the statistics, and those of the trained leaves; all have floating-point numbers.

        Raises:
            AppError: there are statistics, and no `learn` to compute them.
        """
        numpy = self._jax.numpy
        floats = [name for name in self._names if numpy.issubdtype(self._leaves[name].dtype, numpy.floating)]
        found = [name for name in floats if any(fnmatchcase(name, one) for one in statistics)]
        if found and self._learn is None:
            raise AppError(f"{found[0]} is a statistic: give `learn`, which computes it from a batch")
        return found, [name for name in floats if name not in found]

    def _fixed(self) -> Leaves:
        return {name: one for name, one in self._leaves.items() if name not in self._trained}

    def _variables(self, leaves: Leaves) -> Any:
        return self._jax.tree_util.tree_unflatten(self._tree, [leaves[name] for name in self._names])

    def _learned(self, leaves: Leaves, inputs: Any, key: Any) -> tuple[Any, Any]:
        """The outputs and new statistics of a batch in training."""
        variables = self._variables(leaves)
        return (self._apply(variables, inputs), {}) if self._learn is None else self._learn(variables, inputs, key)

    def _descend(
        self, trained: Leaves, fixed: Leaves, state: Any, inputs: Any, targets: Any, key: Any
    ) -> tuple[Leaves, Any, Any]:
        """One step of the optimiser; returns the new leaves, its new state, and the loss before the step."""

        def objective(leaves: Leaves) -> Any:
            return self._loss(self._learned(leaves | fixed, inputs, key)[0], targets)

        value, slopes = self._jax.value_and_grad(objective)(trained)
        moves, state = self._optimiser().update(slopes, state, trained)
        return {name: (one + moves[name]).astype(one.dtype) for name, one in trained.items()}, state, value

    def _recomputed(self) -> Leaves:
        """The statistics of this site's training rows; none without rows, so that those given stay."""
        rows, sums = 0, {name: np.zeros(self._leaves[name].shape) for name in self._statistics}
        key = self._key()
        for inputs, targets in map(pair, self._loader):
            key, drawn = self._jax.random.split(key)
            means = self._means(self._leaves, inputs, drawn)
            for name in sums:
                if not np.isfinite(means[name]).all():
                    raise AppError(f"{name} is no running mean of finite numbers, as statistics have to be")
                sums[name] += np.asarray(means[name], dtype=np.float64) * len(targets)
            rows += len(targets)
        return {name: self._like(name, total / rows) for name, total in sums.items()} if rows else {}

    def _limits(self, leaves: Leaves, inputs: Any, key: Any) -> Leaves:
        """The statistics to which this batch would lead if it came again and again.

        One batch takes a running mean s to m s + (1 - m) b, with an m that only the model knows. From 0 it becomes
        first (1 - m) b, and then 1 + m times that. The ratio of the two gives m, and with it the limit b.
        """
        once = self._updated(leaves | {name: 0 * leaves[name] for name in self._statistics}, inputs, key)
        twice = self._updated(leaves | once, inputs, key)
        numpy = self._jax.numpy
        ratios = {name: twice[name] / numpy.where(one == 0, 1, one) for name, one in once.items()}
        return {name: numpy.where(one == 0, 0, one / (2 - ratios[name])) for name, one in once.items()}

    def _updated(self, leaves: Leaves, inputs: Any, key: Any) -> Leaves:
        """The statistics after one batch.

        Raises:
            AppError: `learn` did not return one of them.
        """
        _, changed = self._learned(leaves, inputs, key)
        found = {self._name(path): one for path, one in self._jax.tree_util.tree_leaves_with_path(changed)}
        if missing := [name for name in self._statistics if name not in found]:
            raise AppError(f"learn() gave no new {missing[0]}, only {', '.join(found) or 'outputs'}")
        return {name: found[name] for name in self._statistics}

    def _measured(self, variables: Any) -> Iterator[tuple[int, dict[str, float]]]:
        """The number of rows of each test batch, and the means over them."""
        for inputs, targets in map(pair, self._test):
            outputs = self._predict(variables, inputs)
            means = {"loss": float(self._loss(outputs, targets))}
            yield len(targets), means | dict(self._measure(outputs, targets) if self._measure else {})

    def _key(self) -> Any:
        """A key that others cannot guess. With it they could tell what was dropped, or which rows shared a batch."""
        return self._jax.random.wrap_key_data(np.frombuffer(os.urandom(8), np.uint32), impl="threefry2x32")

    def _weights(self) -> list[npt.NDArray[Any]]:
        return [self._numpy(name).astype(np.float32) for name in self._shared]

    def _put(self, weights: Arrays) -> None:
        for name, array in zip(self._shared, weights, strict=True):
            self._leaves[name] = self._like(name, array)

    def _numpy(self, name: str) -> npt.NDArray[Any]:
        return np.asarray(self._leaves[name])

    def _like(self, name: str, array: Any) -> Any:
        """An array with the shape and the type of a leaf."""
        leaf = self._leaves[name]
        return self._jax.numpy.asarray(array, dtype=leaf.dtype).reshape(leaf.shape)
