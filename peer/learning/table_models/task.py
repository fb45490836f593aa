"""What a federation learns from tables: the description that all members share, and the standardisation.

The description is agreed in the genesis, so it is one text for one task: JSON with sorted keys and no spaces.
Columns are in alphabetical order. If their names would take too much room, their number, their hash and a sketch
stand for them (see `sketch`). Columns that are no plain numbers are described under `schema`; without such columns
there is no `schema`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from ....protocol.limits import MAX_DESCRIPTOR_BYTES, MAX_SETUP_SUMS
from ..app import is_flower
from ..tables.header import MAX_COLUMNS
from ..tables.schema import Feature, Schema, read_schema
from ..tables.troubles import LEAVE_OUT, columns_option
from .medians import counts_below, median_of, read_counts
from .models import Hyperparameters, Network
from .moments import Moments, count_of_sums, never_negative, read_moments, sums_of_columns
from .sketch import sketch_of, unknown_to

__all__ = ["Kind", "Standard", "Task", "TaskMismatch", "agreed_columns", "moments_from", "schema_of", "standard_from"]

Kind = Literal["linear", "mlp", "logistic"]
DEFAULT_HIDDEN: Final = (64,)

_REQUIRED: Final = {"kind", "target", "columns", "hidden", "classes"}
_OPTIONAL: Final = {"schema", "class_weights", "training"}
"""Fields of a description."""

_ALSO: Final = ", or name fewer levels of categories with --levels COLUMN=A,B,…"
_ALSO_EDGES: Final = ", or fewer edges with --median COLUMN=A,B,…"

_SHOWN_NAME_CHARS: Final = 60
"""Characters that are shown of the name that a founder's app gives itself."""

_LIGHTEST, _HEAVIEST = 0.1, 100.0
"""Bounds of a class's weight. If one class counted much more than all others, the sums of the updates would nearly be
those of its rows alone, and these may be few.
"""

_NOISE: Final = 1e-14
"""A spread below this part of the mean is rounding noise of the values themselves, which are floats."""


_LEAST_MARK_SCALE: Final = 0.1
"""Smallest scale for the mark of a level or a gap: so a mark is never standardised to more than 10, however rare."""


class TaskMismatch(ValueError):
    """This peer's data or task and the federation's differ; the message names both sides."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a federation learns from tables. Raises ValueError for parts that do not go together."""

    kind: Kind
    target: str
    columns: tuple[str, ...]
    """The inputs, in alphabetical order."""
    hidden: tuple[int, ...] = ()
    """Units of each hidden layer."""
    classes: tuple[str, ...] = ()
    """The labels; none for a numeric target."""
    schema: Schema = field(default_factory=Schema)
    """What the columns hold."""
    class_weights: tuple[float, ...] = ()
    """How much a row of each class counts in training; none: all alike."""
    training: Hyperparameters = field(default_factory=Hyperparameters)
    """What was chosen of the training. All members train alike: the correction for sites that differ relies on it."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"there is no model {self.kind!r}; there are {', '.join(get_args(Kind))}")
        if self.kind != "mlp" and self.hidden:
            raise ValueError(f"the model {self.kind!r} has no hidden layers; 'mlp' has")
        if self.kind == "mlp" and not self.hidden:
            raise ValueError("the model 'mlp' needs hidden layers")
        if self.kind == "linear" and self.classes:
            raise ValueError("the model 'linear' predicts a number and knows no classes; use 'logistic' or 'mlp'")
        if self.kind == "logistic" and len(self.classes) < 2:
            raise ValueError("the model 'logistic' needs at least two classes")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) == 1:
            raise ValueError(f"classes: two or more different ones are needed, not {', '.join(self.classes)}")
        self._check_class_weights()
        self.schema.check_columns(self.columns)
        features = len(self.features)
        if features > len(self.columns) and features > MAX_COLUMNS:
            raise ValueError(
                f"the {len(self.columns)} columns become {features} numbers, each level and each column with gaps one "
                f"more; at most {MAX_COLUMNS} are possible: allow fewer gaps (--gaps), or leave columns out (--ignore)"
            )
        Network(features, self.hidden, len(self.classes))  # raises for sizes that there cannot be
        room = MAX_SETUP_SUMS - count_of_sums(self.summed)
        edges = sum(len(edges) for _, edges in self.schema.medians)
        if edges > room:
            raise ValueError(
                f"--median: the bins have {edges} edges, and beside {features} numbers there is room for"
                f" {max(room, 0)}; name fewer edges, or fewer columns"
            )

    def _check_class_weights(self) -> None:
        if not self.class_weights:
            return
        if len(self.class_weights) != len(self.classes):
            raise ValueError(f"{len(self.class_weights)} class weights do not belong to {len(self.classes)} classes")
        for label, weight in zip(self.classes, self.class_weights, strict=True):
            if not _LIGHTEST <= weight <= _HEAVIEST:
                raise ValueError(
                    f"--class-weights: that of {label!r} is from {_LIGHTEST:g} to {_HEAVIEST:g}, not {weight:g}"
                )

    @property
    def features(self) -> tuple[Feature, ...]:
        """The numbers that go into the model, in the order of its weights."""
        return self.schema.features(self.columns)

    @property
    def summed(self) -> int:
        """How many numbers are standardised: the features, and a numeric target."""
        return len(self.features) + (not self.classes)

    @property
    def binned(self) -> tuple[tuple[int, tuple[float, ...]], ...]:
        """The places of the features whose gaps stand as the median, each with the edges of its bins."""
        numbers = {feature.column: at for at, feature in enumerate(self.features) if feature.kind == "value"}
        return tuple((numbers[column], edges) for column, edges in self.schema.medians)

    @property
    def network(self) -> Network:
        """The architecture."""
        return Network(len(self.features), self.hidden, len(self.classes))

    def describe(self) -> str:
        """The canonical description. Raises ValueError when it is longer than the genesis allows."""
        text = _canonical(self._fields(list(self.columns)))
        if len(text.encode()) > MAX_DESCRIPTOR_BYTES:
            text = _canonical(self._fields(_column_digest(self.columns)))
        if len(text.encode()) > MAX_DESCRIPTOR_BYTES:
            raise ValueError(
                f"the description of the task has {len(text.encode())} bytes, over {MAX_DESCRIPTOR_BYTES}; "
                f"use fewer classes or shorter labels{_ALSO if self.schema.levels else ''}"
                f"{_ALSO_EDGES if self.schema.medians else ''}"
            )
        return text

    def _fields(self, columns: object) -> dict[str, object]:
        chosen = {name: value for name, value in asdict(self.training).items() if value is not None}
        optional = {"schema": self.schema.fields(), "class_weights": list(self.class_weights), "training": chosen}
        return {name: value for name, value in optional.items() if value} | {
            "kind": self.kind,
            "target": self.target,
            "columns": columns,
            "hidden": list(self.hidden),
            "classes": list(self.classes),
        }

    @classmethod
    def adopt(cls, description: str, columns: Sequence[str], name: str, unread: Sequence[str] = ()) -> "Task":
        """The federation's task, for a peer whose table `name` has these input columns.

        `unread`: the columns that the table has besides.

        Raises:
            TaskMismatch: the columns differ, or the description is not of a task over tables.
        """
        fields = read_description(description)
        mine = tuple(sorted(columns))
        if fields["columns"] not in (list(mine), _column_digest(mine)):
            raise TaskMismatch(_difference(fields["columns"], mine, name, unread))
        parts = (fields["kind"], fields["target"], mine, tuple(fields["hidden"]), tuple(fields["classes"]))
        try:
            training = Hyperparameters(**fields.get("training", {}))
            task = cls(*parts, schema_of(fields), tuple(fields.get("class_weights", ())), training)
            canonical = task.describe()
        except (ValueError, TypeError) as error:
            raise TaskMismatch(f"the federation's description cannot be used: {error}") from error
        if canonical != description:
            raise TaskMismatch(f"the federation's description is not in canonical form: {description:.200}")
        return task


def read_description(description: str) -> dict[str, Any]:
    """The fields of a table task's description. Raises TaskMismatch when it is of another kind of app."""
    try:
        fields = json.loads(description)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or set(fields) - _OPTIONAL != _REQUIRED:
        app = fields.get("app") if isinstance(fields, dict) else None
        which = f" ({app[:_SHOWN_NAME_CHARS]!r})" if isinstance(app, str) else ""
        option = "--flower DIR" if is_flower(description) else "--app module:object"
        raise TaskMismatch(
            f"this federation trains its members' own app{which}: give {option}, and no --data; this peer was given a"
            " table"
        )
    texts = [fields["kind"], fields["target"], *_list(fields["classes"])]
    sizes = _list(fields["hidden"])
    weights = _list(fields.get("class_weights", []))
    are_texts, are_sizes = all(isinstance(text, str) for text in texts), all(type(size) is int for size in sizes)
    are_weights = all(type(weight) is float for weight in weights)
    if not (are_texts and are_sizes and are_weights and _are_hyperparameters(fields.get("training", {}))):
        raise TaskMismatch(f"the federation's description cannot be used: {description:.200}")
    return fields


def _are_hyperparameters(chosen: Any) -> bool:
    """Whether a field ``training`` holds only what can be chosen, each of its own type."""
    types = {"learning_rate": float, "steps": int, "batch": int}
    return isinstance(chosen, dict) and all(type(value) is types.get(name) for name, value in chosen.items())


def schema_of(fields: Mapping[str, Any]) -> Schema:
    """What the columns hold, by the fields of a description. Raises TaskMismatch if that cannot be."""
    try:
        return read_schema(fields["schema"]) if "schema" in fields else Schema()
    except ValueError as error:
        raise TaskMismatch(f"the federation's description cannot be used: {error}") from error


def agreed_columns(fields: Mapping[str, Any]) -> list[str]:
    """The columns by the fields of a description; none if it has only their hash."""
    return [column for column in _list(fields["columns"]) if isinstance(column, str)]


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """Means and standard deviations of the features, float64[features], and of a numeric target.

    They are over the training rows of all peers. A feature that is the same in all of these has scale 0 and stands as 0
    in the model.
    """

    rows: int
    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    target_mean: float = 0.0
    target_scale: float = 1.0
    fill: npt.NDArray[np.float64] | None = None
    """What a gap stands as, float64[features]; None: the mean."""

    def inputs(self, raw: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Standardised features, float64[rows, features]; in the raw ones a gap is NaN."""
        inverse = np.divide(1.0, self.scale, out=np.zeros_like(self.scale), where=self.scale > 0)
        standard = np.asarray((raw - self.mean) * inverse, dtype=np.float64)
        fill = np.zeros_like(self.mean) if self.fill is None else (self.fill - self.mean) * inverse
        return np.where(np.isnan(raw), fill, standard)


def sums_of(task: Task, features: npt.NDArray[np.float64], values: npt.NDArray[np.float64] | None) -> list[float]:
    """What a peer adds up for `standard_from`.

    These are the sums of all features, and of the target if it is a number; then the counts behind the medians.
    """
    known = np.where(np.isnan(features), 0.0, features)
    sums = sums_of_columns(known if values is None else np.column_stack([known, values]))
    return [*sums, *(count for at, edges in task.binned for count in counts_below(features[:, at], edges))]


def not_negative(task: Task) -> list[int]:
    """The places in `sums_of` of numbers that are never below 0."""
    first = count_of_sums(task.summed)
    edges = sum(len(edges) for _, edges in task.binned)
    return [*never_negative(task.summed), *range(first, first + edges)]


def moments_from(task: Task, totals: Sequence[float]) -> Moments:
    """The moments of all features, and of a numeric target, behind the sums of all peers.

    Raises:
        ValueError: no data can have these sums.
    """
    edges = sum(len(edges) for _, edges in task.binned)
    sums = totals[: max(0, len(totals) - edges)]
    return read_moments(sums, task.summed, task.schema.gap_places(task.columns))


def _medians_from(task: Task, totals: Sequence[float], moments: Moments) -> dict[int, float]:
    """The medians behind the sums of all peers, by the places of their features."""
    found: dict[int, float] = {}
    at = count_of_sums(task.summed)
    for column, edges in task.binned:
        known = moments.known(column)
        counts = read_counts(totals[at : at + len(edges)], known)
        found[column] = median_of(counts, known, edges)
        at += len(edges)
    return found


def standard_from(task: Task, totals: Sequence[float]) -> Standard:
    """The standardisation that follows from the sums of all peers.

    Raises:
        ValueError: no data can have these sums.
    """
    width = len(task.features)
    moments = moments_from(task, totals)
    mean = np.array([moments.mean(column) for column in range(width)])
    spread = np.array([moments.spread(column) for column in range(width)])
    scale = np.where(spread > _NOISE * np.abs(mean), spread, 0.0)
    is_mark = np.array([feature.kind != "value" for feature in task.features])
    scale[is_mark & (scale > 0)] = np.maximum(scale[is_mark & (scale > 0)], _LEAST_MARK_SCALE)
    medians = _medians_from(task, totals, moments)
    fill = np.array([medians.get(column, mean[column]) for column in range(width)]) if medians else None
    if task.classes:
        return Standard(moments.rows, mean, scale, fill=fill)
    return Standard(moments.rows, mean, scale, moments.mean(width), moments.spread(width) or 1.0, fill)


def _canonical(fields: dict[str, object]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _column_digest(columns: Sequence[str]) -> dict[str, object]:
    digest = hashlib.sha256(b"coterie/columns\x00" + json.dumps(list(columns)).encode()).hexdigest()
    return {"count": len(columns), "sha256": digest, "sketch": sketch_of(columns)}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [None]


def _difference(theirs: Any, mine: tuple[str, ...], name: str, unread: Sequence[str]) -> str:
    """How two sets of columns differ, in words."""
    if not isinstance(theirs, list):
        return _difference_in_sketch(theirs, mine, name)
    wanted = [str(column) for column in theirs]
    left_out = [column for column in wanted if column in unread]
    lacking = [column for column in wanted if column not in mine and column not in left_out]
    extra = [column for column in mine if column not in wanted]
    parts = []
    if len(wanted) == len(mine) or left_out:
        # The numbers of columns would mislead: they are equal, or the table's counts only what its options leave.
        parts.append(f"the inputs from {name} are not the columns that the federation trains on")
    else:
        parts.append(f"the federation trains on {len(wanted)} columns, {name} has {len(mine)} besides the target")
    if left_out:
        parts.append(f"--columns or --ignore leaves out {_some(left_out)}, which the federation has")
    if lacking:
        parts.append(f"the federation has {_some(lacking)} that {name} lacks")
    if extra:
        option = "" if lacking or left_out else f": {_without(extra, wanted)}"
        parts.append(f"{name} has {_some(extra)} that the federation lacks{option}")
    if lacking:
        parts += [
            f"perhaps write {one!r} for {other!r} in its first line" for one, other in _spelt_otherwise(lacking, extra)
        ]
        parts.append("all members train on the same columns, by the same names")
    elif left_out:
        parts.append(f"take all that the federation has: {columns_option(wanted)}")
    return "; ".join(parts)


def _without(extra: Sequence[str], wanted: Sequence[str]) -> str:
    """The shortest option that leaves out what the federation does not have."""
    ways = (columns_option(extra, "--ignore"), columns_option(wanted))
    return min((way for way in ways if way != LEAVE_OUT), key=len, default=LEAVE_OUT)


def _spelt_otherwise(lacking: Sequence[str], extra: Sequence[str]) -> list[tuple[str, str]]:
    """Names of the federation, each with one of the table's that may mean the same."""
    folded = {name.casefold(): name for name in extra}
    near = ((one, get_close_matches(one.casefold(), folded, n=1, cutoff=0.8)) for one in lacking)
    return [(one, folded[found[0]]) for one, found in near if found][:5]


def _difference_in_sketch(theirs: Any, mine: tuple[str, ...], name: str) -> str:
    """How a set of columns differs from one of which only a sketch is known, in words."""
    fields = theirs if isinstance(theirs, dict) else {"count": theirs}
    parts = [f"the federation trains on {fields.get('count')} columns, {name} has {len(mine)} besides the target"]
    if fields.get("count") == len(mine):
        parts = [f"the inputs from {name} are not the columns that the federation trains on"]
    extra, lacking = unknown_to(fields.get("sketch"), mine)
    if extra:
        parts.append(f"{name} has {_some(extra)} that the federation lacks")
    if lacking:
        parts.append(f"the federation has at least {lacking} that {name} lacks, and no room for the names of so many")
    parts.append(
        "compare the first line of the file with that of the founder's; --columns A,B,… names the inputs to use"
    )
    return "; ".join(parts)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
