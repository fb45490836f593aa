"""Modules of PyTorch, trained together: `TorchApp` makes an app of one.

    app = TorchApp(model, loader, cross_entropy, partial(SGD, lr=0.05), test=test_loader)

The module's floating-point parameters are averaged, by their names, in the order of `named_parameters`; with `shared`,
only those whose names match one of its patterns. The others stay at this site and are trained there.

**Buffers are never sent.** The running statistics of BatchNorm are no steps of a descent: they may be of any size, and
clipping them as updates would falsify them. Its counters of batches have no mean. So each site computes both anew, for
the agreed parameters, in one pass over its own training rows before it evaluates (`torch.optim.swa_utils.update_bn`).
They follow from the parameters, the rows, and the division of the rows into batches. They contain nothing of earlier
rounds, so a restart changes nothing. Other buffers stay as training left them, and begin anew after a restart.

The user chooses the device: the module's parameters stay where they are, and batches are moved there.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..peer.learning.app import AppError
from ..peer.system.extras import load
from .description import as_json, called, description, exported
from .named_arrays import Batches, Measure, check_course, matching, means_over, pair, read_kept, write_kept

__all__ = ["TorchApp", "accuracy"]

_VERSION: Final = 1
"""Version of the rules of training. Members with different versions do not train together."""

Arrays = Sequence[npt.NDArray[Any]]


def accuracy(outputs: Any, targets: Any) -> dict[str, float]:
    """A measure for `TorchApp`: the part of the rows whose largest output is that of their class.

    Name it in `final_metrics` and not in `metrics`: it can be the same number in two rounds whatever the model is.
    """
    return {"accuracy": float((outputs.argmax(dim=1) == targets).double().mean())}


class TorchApp:
    """A module of PyTorch and the rows of this site, as an app."""

    def __init__(
        self,
        model: Any,
        loader: Batches,
        loss: Callable[[Any, Any], Any],
        optimiser: Callable[[Iterable[Any]], Any],
        *,
        test: Batches = (),
        epochs: int = 1,
        shared: Sequence[str] = ("*",),
        kept: str | Path | None = None,
        measure: Measure | None = None,
        metrics: Sequence[str] = (),
        final_metrics: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Make an app of a module.

        Args:
            model: the module, with the initial parameters.
            loader: the training rows: pairs of inputs and targets, a batch each. Every iteration begins anew.
            loss: a function of outputs and targets that returns the mean over the rows.
            optimiser: makes an optimiser for parameters. It is made anew in each round, so that a restarted site trains
                as the others do.
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
            AppError: the module cannot be trained so; says why.
            MissingPackage: PyTorch is not installed.
        """
        self._torch = load("torch", "TorchApp", "torch")
        self._model, self._loader, self._test = model, loader, test
        self._loss, self._optimiser, self._epochs = loss, optimiser, epochs
        self._measure = measure
        self.metrics, self.final_metrics = tuple(metrics), tuple(final_metrics)
        if not isinstance(model, self._torch.nn.Module):
            raise AppError(f"a torch.nn.Module is needed, not a {type(model).__name__}")
        check_course(epochs, measure, (*self.metrics, *self.final_metrics))
        self._patterns = [shared] if isinstance(shared, str) else list(shared)
        floats = {name: one for name, one in model.named_parameters() if one.is_floating_point()}
        self._shared = {name: floats[name] for name in matching(floats, self._patterns)}
        self._own = {name: one for name, one in model.named_parameters() if name not in self._shared}
        self._options = dict(options or {})
        self._kept = None if kept is None else Path(kept)
        if self._kept is not None and self._kept.exists():
            self._read_kept(self._kept)
        rows: Any = getattr(loader, "dataset", None)
        self.examples = len(rows) if hasattr(rows, "__len__") else None

    def describe(self) -> str:
        """The description, which must be equal at all members."""
        return description(
            "TorchApp",
            _VERSION,
            model=type(self._model).__qualname__,
            parameters=[f"{name} {tuple(one.shape)} {one.dtype}" for name, one in self._shared.items()],
            shared=self._patterns,
            loss=called(self._loss),
            optimiser=called(self._optimiser),
            epochs=self._epochs,
            options=as_json(self._options),
        )

    def initial(self) -> list[npt.NDArray[Any]]:
        """The shared parameters as the module was made. All members begin with the founder's."""
        return self._weights()

    def fit(self, weights: Arrays, round: int) -> tuple[list[npt.NDArray[Any]], int, dict[str, float]]:
        """Train for a round on this site's rows; returns the new weights, the number of rows, and metrics."""
        self._put(weights)
        # PyTorch's default seed is the same everywhere: with it others could tell which rows shared a batch.
        self._torch.manual_seed(int.from_bytes(os.urandom(7)))
        self._model.train()
        optimiser = self._optimiser([one for one in self._model.parameters() if one.requires_grad])
        rows, total = 0, 0.0
        for _ in range(self._epochs):
            rows = 0
            for inputs, targets in self._batches(self._loader):
                optimiser.zero_grad()
                loss = self._loss(self._model(inputs), targets)
                loss.backward()
                optimiser.step()
                rows += len(targets)
                total = float(loss.detach())
        if self._kept is not None and self._own:
            write_kept(self._kept, {name: one.detach().cpu().numpy() for name, one in self._own.items()})
        return self._weights(), rows, {"last_batch_loss": total, "round": float(round)}

    def evaluate(self, weights: Arrays) -> tuple[float, int, Mapping[str, float]]:
        """The loss, the rows and the metrics over this site's test rows, with statistics of its training rows."""
        model = self.fitted(weights)
        with self._torch.no_grad():
            return means_over(self._measured(model), (*self.metrics, *self.final_metrics))

    def fitted(self, weights: Arrays) -> Any:
        """The module to predict with: these weights, with BatchNorm's statistics of this site's training rows.

        It is the same object that the app trains.
        """
        self._put(weights)
        if any(isinstance(one, self._torch.nn.modules.batchnorm._BatchNorm) for one in self._model.modules()):
            update = load("torch.optim.swa_utils", "TorchApp", "torch").update_bn
            update(self._batches(self._loader), self._model)
        self._model.eval()
        return self._model

    def load(self, path: str | Path) -> Any:
        """The module to predict with, by an `.npz` file of `peer model export`; see `fitted`.

        Raises:
            AppError: the file is no such file, or that of another app.
        """
        _, weights = exported(path, self.describe())
        return self.fitted(weights)

    def _weights(self) -> list[npt.NDArray[Any]]:
        return [one.detach().cpu().float().numpy().copy() for one in self._shared.values()]

    def _put(self, weights: Arrays) -> None:
        with self._torch.no_grad():
            for parameter, array in zip(self._shared.values(), weights, strict=True):
                parameter.copy_(self._torch.tensor(np.asarray(array)).reshape(parameter.shape))

    def _batches(self, loader: Batches) -> Iterator[tuple[Any, Any]]:
        """The loader's pairs of inputs and targets, on the device of the module."""
        device = next(iter(self._shared.values())).device
        for batch in loader:
            inputs, targets = (
                part.to(device) if isinstance(part, self._torch.Tensor) else part for part in pair(batch)
            )
            yield inputs, targets

    def _measured(self, model: Any) -> Iterator[tuple[int, dict[str, float]]]:
        """The number of rows of each test batch, and the means over them."""
        for inputs, targets in self._batches(self._test):
            outputs = model(inputs)
            means = {"loss": float(self._loss(outputs, targets))}
            yield len(targets), means | dict(self._measure(outputs, targets) if self._measure else {})

    def _read_kept(self, path: Path) -> None:
        kept = read_kept(path, {name: tuple(one.shape) for name, one in self._own.items()})
        with self._torch.no_grad():
            for name, parameter in self._own.items():
                parameter.copy_(self._torch.tensor(kept[name]))
