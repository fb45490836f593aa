"""The app that comes with the peer: a table from a CSV file, and one of the models of this package."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..figures import class_means, mean_names, number_means, round_names
from ..tables.cells import is_number, normal_label
from ..tables.dates import written_day
from ..tables.schema import Wishes
from ..tables.table import Table, held_out, read_table
from ..tables.troubles import LEAVE_OUT, TableError, Trouble, Troubles, on_one_line
from .drift import Drift
from .models import MAX_STEPS, Arrays, Hyperparameters, Network, Training, train
from .moments import Moments, largest_value, moments_of, smallest_spread
from .outliers import Outlier, far_columns, find_outliers
from .task import (
    DEFAULT_HIDDEN,
    Kind,
    Standard,
    Task,
    TaskMismatch,
    agreed_columns,
    moments_from,
    not_negative,
    read_description,
    schema_of,
    standard_from,
    sums_of,
)

__all__ = ["TableApp"]

# The secure sum keeps 40 bits after the point and 82 before it.
_SMALLEST_TARGET = 1e-5
_SMALLEST_COLUMN = 1e-10
_LARGEST_SUM = 2.0**80
_LARGEST_WEIGHT: Final = 2**16
"""Beyond it a step of training is lost in float32's rounding, so that somebody could make a model stand still."""

_ROUNDING: Final = 1e-12
"""Values that differ by less than this part of themselves are the same, but for the rounding of floats."""

MANY_CLASSES: Final = 20
"""More labels that are numbers are taken for a numeric target, unless all are named.

A founder with more classes than these, of any kind, is reminded that it publishes them.
"""
MAX_UNNAMED_CLASSES: Final = 100
"""More different labels are not taken for classes, unless all are named."""


@dataclass(slots=True, eq=False)
class TableApp:
    """A table with a task, as an app (see `app`): made by `found` or `adopt`.

    Inputs and a numeric target are standardised with the means and variances of all peers' training rows,
    which come out of one secure sum. Test rows are kept out of everything but `evaluate`.
    """

    task: Task
    table: Table
    test_fraction: float = 0.2
    seed: int = 0
    """Of the choice of test rows; may differ between peers. The batches are drawn anew at each training."""
    reported: tuple[str, ...] | None = None
    """What the federation adds up in each round beside the loss; None: what this version does (see `figures`)."""
    training: Training = field(init=False)
    standard: Standard | None = field(init=False, default=None)
    """The common standardisation, once it is known."""
    _network: Network = field(init=False)
    tested: npt.NDArray[np.bool_] = field(init=False, repr=False)
    """Which rows are kept for testing, bool[rows]."""
    _codes: npt.NDArray[np.intp] | None = field(init=False, repr=False, default=None)
    _features: npt.NDArray[np.float64] = field(init=False, repr=False)
    """What of the table goes into the model, before the standardisation."""
    _inputs: npt.NDArray[np.float64] | None = field(init=False, repr=False, default=None)
    _variance: float = field(init=False, default=0.0)
    """Of a numeric target, over all members' training rows."""
    _drift: Drift = field(init=False, repr=False, default_factory=Drift)
    _sums: list[float] = field(init=False, repr=False, default_factory=list)
    outliers: tuple[str, ...] = field(init=False, default=())
    """Values of this table that are far from those of all others, a line for each; known after `prepare`."""
    is_summed: bool = field(init=False, default=True)
    """Whether this table can be in the totals; it is not in those that were added up before this peer joined."""
    clock: Callable[[], float] = field(init=False, repr=False, default=time.monotonic)
    """Seconds, by which `fit_for` ends."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"a seed is 0 or more, not {self.seed}")
        self._network = self.task.network
        training = Training.for_network(self._network, self.task.training)
        self.training = replace(training, class_weights=self.task.class_weights)
        self.tested = held_out(self.table.rows, self.test_fraction, self.seed)
        self._features = self.table.features
        if self.table.codes is not None:
            places = np.array([self.task.classes.index(label) for label in self.table.labels])
            self._codes = places[self.table.codes]
        self._check_range()

    @classmethod
    def found(
        cls,
        path: str | Path,
        target: str,
        kind: Kind,
        *,
        hidden: Sequence[int] = (),
        classes: Sequence[str] = (),
        class_weights: Mapping[str, float] | None = None,
        training: Hyperparameters | None = None,
        columns: Sequence[str] | None = None,
        ignore: Sequence[str] = (),
        wishes: Wishes | None = None,
        test_fraction: float = 0.2,
        seed: int = 0,
    ) -> "TableApp":
        """The app of a founder, whose task becomes everybody's.

        Args:
            path: the founder's table.
            target: the column to predict.
            kind: the kind of model.
            hidden: units of one or two hidden layers of an mlp; 64 by default.
            classes: all labels that there can be. Without them logistic takes those of the table, if they are not too
                many. An mlp with classes predicts a class.
            class_weights: how much a row of a class counts in training; 1 for a class without a weight.
            training: what is chosen of the training; the rest by default.
            columns: the inputs; None for all columns but the target and `ignore`.
            ignore: columns that are no inputs.
            wishes: what the founder says of its columns; the rest follows from the cells.
            test_fraction: part of the rows that are kept for testing.
            seed: of the choice of these.

        Raises:
            TableError: the table cannot be used.
            ValueError: the other arguments do not go together.
        """
        labelled = kind == "logistic" or bool(classes)
        table = read_table(
            path, target, labelled=labelled, columns=columns, ignore=ignore, classes=classes, plan=wishes or Wishes()
        )
        known = tuple(map(normal_label, classes)) or tuple(sorted(table.labels))
        if labelled and len(known) < 2:
            raise TableError(
                f"{table.name}: column {target!r} holds one class only, {', '.join(map(on_one_line, known))}; "
                "state all that there can be with --classes"
            )
        units = tuple(hidden) or (DEFAULT_HIDDEN if kind == "mlp" else ())
        if labelled and not classes and sum(map(is_number, known)) > MANY_CLASSES:
            raise TableError(
                f"{table.name}: {target!r} has {len(known)} different values in {table.rows} rows: for numbers take "
                "--model linear; to publish them as classes give --classes"
            )
        if labelled and not classes and len(known) > MAX_UNNAMED_CLASSES:
            raise TableError(
                f"{table.name}: column {target!r} holds {len(known)} different values, each of which would be a class "
                "and stand in the genesis for all to read; to publish them give --classes"
            )
        weights = _class_weights(class_weights or {}, known, target)
        task = Task(kind, target, table.columns, units, known, table.schema, weights, training or Hyperparameters())
        task.describe()
        unknown = [label for label in table.labels if label not in known]
        if unknown:
            raise TableError(_unknown_labels(unknown, known, table, target, "--classes names"))
        return cls(task, table, test_fraction, seed)

    @classmethod
    def adopt(
        cls,
        description: str,
        path: str | Path,
        *,
        target: str | None = None,
        kind: Kind | None = None,
        columns: Sequence[str] | None = None,
        ignore: Sequence[str] = (),
        test_fraction: float = 0.2,
        seed: int = 0,
        reported: Sequence[str] | None = None,
    ) -> "TableApp":
        """The app of a peer that joins: the federation's task over this peer's table.

        Columns are matched by name. A level that is none of the federation's counts as "other" (see `Table.unagreed`).

        Args:
            description: the federation's task.
            path: this peer's table.
            target: the target that this peer expects; None if it expects none in particular.
            kind: the kind of model that it expects; None likewise.
            columns: the inputs; None for all columns but the target and `ignore`.
            ignore: columns that are no inputs.
            test_fraction: part of the rows that are kept for testing.
            seed: of the choice of these.
            reported: what the federation adds up in each round; None for what this version does.

        Raises:
            TaskMismatch: target, kind, columns or classes differ from the federation's.
            TableError: the file cannot be used.
        """
        fields = read_description(description)
        for what, mine, theirs in (("target", target, fields["target"]), ("model", kind, fields["kind"])):
            if mine not in (None, theirs):
                advice = f"leave --{what} out to take the federation's"
                raise TaskMismatch(f"the federation's {what} is {theirs!r}, and not {mine!r}; {advice}")
        classes = fields["classes"]
        table = read_table(
            path,
            fields["target"],
            labelled=bool(classes),
            columns=columns,
            ignore=ignore,
            classes=classes,
            plan=schema_of(fields),
            agreed=agreed_columns(fields),
        )
        task = Task.adopt(description, table.columns, table.name, table.unread)
        unknown = [label for label in table.labels if label not in task.classes]
        if unknown:
            raise TaskMismatch(_unknown_labels(unknown, task.classes, table, task.target, "the federation knows"))
        foreign = [name for name in reported or () if name not in mean_names(len(task.classes))]
        if foreign:
            raise TaskMismatch(
                f"the federation adds up {foreign[0]!r}, which this version of Coterie does not know for its task; take"
                " the founder's version"
            )
        return cls(task, table, test_fraction, seed, None if reported is None else tuple(reported))

    @property
    def metrics(self) -> tuple[str, ...]:
        """What each round adds up besides the loss: the means that tell about the model and nothing else."""
        return round_names(len(self.task.classes)) if self.reported is None else self.reported

    @property
    def final_metrics(self) -> tuple[str, ...]:
        """What the evaluation adds up besides: the other means that the figures follow from."""
        classes = len(self.task.classes)
        return tuple(name for name in mean_names(classes) if name not in (*self.metrics, *round_names(classes)))

    @property
    def telling(self) -> tuple[str, ...]:
        """Those of `metrics` that may be the same number in two rounds, so that they give rows away (see `figures`)."""
        return tuple(name for name in self.metrics if name not in round_names(len(self.task.classes)))

    @property
    def examples(self) -> int:
        """How many rows are trained on."""
        return int((~self.tested).sum())

    def describe(self) -> str:
        """The task's canonical description, the same for all members."""
        return self.task.describe()

    def initial(self) -> Arrays:
        """The weights to begin with; they follow from the description."""
        return self._network.initial(self.task.describe().encode())

    def setup(self) -> list[float]:
        """This peer's part of the sums from which the standardisation follows: over its training rows only."""
        if not self._sums:
            values = None if self.table.values is None else self.table.values[~self.tested]
            self._sums = sums_of(self.task, self._features[~self.tested], values)
        return self._sums

    @property
    def setup_not_negative(self) -> list[int]:
        """The places in `setup` of numbers that are never below 0, which dealings can prove."""
        return not_negative(self.task)

    def prepare(self, totals: Sequence[float]) -> None:
        """Standardise with the sums of all peers. Raises ValueError for sums that no data can have."""
        self.standard = standard_from(self.task, totals)
        self._inputs = self.standard.inputs(self._features)
        moments = moments_from(self.task, totals)
        self._variance = 0.0 if self.task.classes else moments.spread(len(self.task.features)) ** 2
        names, columns = self._numbers()
        others = moments.less(_moments_with_gaps(columns[~self.tested]))
        self.is_summed = others is not None
        counted = ~self.tested if self.is_summed else np.zeros_like(self.tested)
        found = find_outliers(columns, counted, moments)
        kinds = [feature.kind for feature in self.task.features]
        far = far_columns(columns, moments if others is None else others)
        # The mark of a level or a gap may well be 1 in all rows of one site: only numbers and the target are told.
        far = [one for one in far if one.column == len(kinds) or kinds[one.column] == "value"]
        self.outliers = (
            *(self._outlier_text(one, names, "the federation's mean") for one in found),
            *(self._far_text(one, names) for one in far),
        )

    def own_outliers(self) -> tuple[str, ...]:
        """Values that are far from the others of this very table, a line for each."""
        names, columns = self._numbers()
        found = find_outliers(columns, np.ones(self.table.rows, dtype=np.bool_), _moments_with_gaps(columns))
        return tuple(self._outlier_text(one, names, "the mean of the other rows") for one in found)

    def _outlier_text(self, one: Outlier, names: Sequence[str], mean: str) -> str:
        where = f"{self.table.unit} {self.table.line(one.row)}, column {names[one.column]!r}"
        value, usual = self._written(one, names)
        return f"{where}: {value} is {one.deviations:.3g} standard deviations from {mean}, {usual}"

    def _far_text(self, one: Outlier, names: Sequence[str]) -> str:
        value, usual = self._written(one, names)
        return (
            f"column {names[one.column]!r}: all values are {one.deviations:.3g} standard deviations or more from the"
            f" other members' mean, {usual}, such as {value} in {self.table.unit} {self.table.line(one.row)} (another"
            " unit, or a number that stands for a gap)"
        )

    def _written(self, one: Outlier, names: Sequence[str]) -> tuple[str, str]:
        """The value and the mean, as people write them."""
        if names[one.column] in self.task.schema.dates:
            return written_day(one.value), written_day(one.mean)
        return f"{one.value:.10g}", f"{one.mean:.6g}"

    def fit(self, weights: Sequence[npt.NDArray[np.float32]], round: int) -> tuple[Arrays, int, dict[str, float]]:
        """One round of local training on the training rows."""
        return self._fitted(weights, round, self.training, self._drift)

    def fit_for(
        self, weights: Sequence[npt.NDArray[np.float32]], round: int, seconds: float
    ) -> tuple[Arrays, int, dict[str, float]]:
        """The same with as many steps as fit into so many seconds, but at least one.

        If the founder chose a number of steps, there are no more than these.
        """
        ends = self.clock() + seconds
        plan = replace(self.training, steps=self.task.training.steps or MAX_STEPS)
        return self._fitted(weights, round, plan, None, lambda: self.clock() >= ends)

    def _fitted(
        self,
        weights: Sequence[npt.NDArray[np.float32]],
        round: int,
        plan: Training,
        drift: Drift | None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> tuple[Arrays, int, dict[str, float]]:
        rows = ~self.tested
        _check_size(weights)
        inputs, targets = self._prepared(rows)
        # Without a seed numpy takes the operating system's randomness: nobody can work out which rows were in a batch.
        random = np.random.default_rng()
        start, of_all = list(weights), self._known().rows
        trained = train(self._network, start, inputs, targets, plan, round, random, drift, of_all, is_over)
        return trained, len(inputs), {}

    def evaluate(self, weights: Sequence[npt.NDArray[np.float32]]) -> tuple[float, int, Mapping[str, float]]:
        """Mean loss on the test rows, their number, and the means from which the figures follow.

        The loss is the squared error in the target's own units, or the log loss in nats.
        """
        inputs, targets = self._prepared(self.tested)
        # Where no input varies, the model says the same of all rows, and its loss would tell how many are of a class.
        if not len(inputs) or not self._known().scale.any():
            return 0.0, 0, {}
        _check_size(weights)
        outputs = self._outputs(weights, inputs)
        loss = float(self._network.losses(outputs, targets).mean())
        if self._codes is not None:
            told = self._network.labels(outputs)
            return loss, len(inputs), class_means(self._network.probabilities(outputs), told, self._codes[self.tested])
        assert self.table.values is not None
        standard = self._known()
        values = outputs[:, 0] * standard.target_scale + standard.target_mean
        means = number_means(values - self.table.values[self.tested], self._variance)
        return loss * standard.target_scale**2, len(inputs), means

    def predict(
        self, weights: Sequence[npt.NDArray[np.float32]], raw: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64] | npt.NDArray[np.intp]:
        """Predictions for inputs float64[rows, columns] as a table holds them, in alphabetical order of columns.

        Returns float64[rows] in the target's units, or intp[rows], positions in `task.classes`.

        Raises:
            RuntimeError: `prepare` has not been called yet.
        """
        standard = self._known()
        features = self.task.schema.encode(self.task.columns, raw)
        outputs = self._outputs(weights, standard.inputs(features))
        if self.task.classes:
            return self._network.labels(outputs)
        return outputs[:, 0] * standard.target_scale + standard.target_mean

    @property
    def constant_columns(self) -> tuple[str, ...]:
        """Columns that are the same in all rows of all peers, which the model therefore ignores."""
        if self.standard is None:
            return ()
        scales = zip(self.task.features, self.standard.scale, strict=True)
        varied = {feature.column for feature, scale in scales if scale > 0}
        return tuple(name for name in self.task.columns if name not in varied)

    def _known(self) -> Standard:
        if self.standard is None:
            raise RuntimeError("the common standardisation is not known yet: prepare() comes first")
        return self.standard

    def _outputs(
        self, weights: Sequence[npt.NDArray[np.float32]], inputs: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        return self._network.outputs([array.astype(np.float64) for array in weights], inputs)

    def _prepared(
        self, rows: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | npt.NDArray[np.intp]]:
        """Standardised inputs and targets of the chosen rows."""
        standard = self._known()
        assert self._inputs is not None
        if self._codes is not None:
            return self._inputs[rows], self._codes[rows]
        assert self.table.values is not None
        return self._inputs[rows], (self.table.values[rows] - standard.target_mean) / standard.target_scale

    def _numbers(self) -> tuple[list[str], npt.NDArray[np.float64]]:
        """All numbers with their names, in the order of the setup sums: the features, then a numeric target."""
        names = [feature.name for feature in self.task.features]
        if self.table.values is None:
            return names, self._features
        return [*names, self.task.target], np.column_stack([self._features, self.table.values])

    def _check_range(self) -> None:
        """Refuse columns whose sums the secure sum cannot carry with enough digits."""
        troubles = Troubles(self.table.name, self.task.columns, self.table.unit)
        names, columns = self._numbers()
        width = len(self.task.features)
        for at, (column, every) in enumerate(zip(names, columns.T, strict=True)):
            rows = np.flatnonzero(~np.isnan(every))
            values = every[rows]
            if not len(values):
                continue
            # The loss is summed in the target's own unit, squared.
            is_target = at == width
            limit = largest_value(len(names), len(values))
            limit = min(limit, math.sqrt(_LARGEST_SUM / len(values))) if is_target else limit
            worst = int(np.abs(values).argmax())
            largest = float(np.abs(values[worst]))
            spread = float(values.std()) if largest <= limit else math.inf
            least = smallest_spread(len(names), largest)
            if largest > limit:
                what, advice = f"{values[worst]:g} is too large to sum", "correct it, or write the column in a larger"
                troubles.add(Trouble(self.table.line(int(rows[worst])), column, what, f"{advice} unit, at all members"))
            elif 0 < largest < (_SMALLEST_TARGET if is_target else _SMALLEST_COLUMN):
                what = f"it has no value above {largest:g}, too small to sum"
                troubles.add(Trouble(0, column, what, "write it in a smaller unit, at all members"))
            elif _ROUNDING * largest < spread < least:
                what = f"it varies by {spread:g} around {values.mean():.10g} only, too little to sum"
                advice = "subtract one number from it, or write it in a smaller unit, the same at all members"
                troubles.add(Trouble(0, column, what, f"{advice}; or leave the column out: {LEAVE_OUT}"))
        troubles.check()


def _moments_with_gaps(columns: npt.NDArray[np.float64]) -> Moments:
    """The moments of float64[rows, columns]; a gap is NaN."""
    gaps = dict(enumerate(np.isnan(columns).sum(axis=0).tolist()))
    return replace(moments_of(np.where(np.isnan(columns), 0.0, columns)), gaps=gaps)


def _unknown_labels(unknown: Sequence[str], known: Sequence[str], table: Table, target: str, who: str) -> str:
    """Say which classes of a table are unknown, with the line of the first of each, and which are known."""
    shown = ", ".join(f"{label!r} ({table.unit} {table.line_of(label)})" for label in unknown[:20])
    more = f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""
    names = _quoted(known)
    advice = "correct them, remove these rows, or found the federation with --classes that names all"
    return f"{table.name}: column {target!r} holds the class {shown}{more}; {who} {names}; {advice}"


def _class_weights(wanted: Mapping[str, float], known: Sequence[str], target: str) -> tuple[float, ...]:
    """The weights in the order of the classes, 1 for a class that is not named; empty if no weight is wanted."""
    if wanted and not known:
        raise ValueError(f"--class-weights: {target!r} is predicted as a number; a class takes --model logistic")
    for label in wanted:
        if label not in known:
            raise ValueError(f"--class-weights: {target!r} has no class {label!r}; the classes are {_quoted(known)}")
    return tuple(float(wanted.get(label, 1.0)) for label in known) if wanted else ()


def _quoted(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:20])) + (" …" if len(labels) > 20 else "")


def _check_size(weights: Sequence[npt.NDArray[np.float32]]) -> None:
    """Refuse weights that no training reaches. Raises ValueError."""
    largest = float(np.max([np.abs(array).max() for array in weights if array.size]))
    if not largest <= _LARGEST_WEIGHT:  # written so that NaN is refused, too
        raise ValueError(
            f"the model has a weight of {largest:.3g}, and training on standardised columns never reaches more"
            f" than {_LARGEST_WEIGHT}; so somebody made this model on purpose: sums over it could reveal single rows"
        )
