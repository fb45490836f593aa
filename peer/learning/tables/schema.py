"""What the input columns of a table hold besides plain numbers, and which numbers a model is given for them.

A *feature* is one number that goes into the model. The features follow from the columns, in the order of these:

    plain numbers          the number
    numbers with gaps      the number, whose gaps stand as the mean of all members, or as their median; and 1 for a gap,
                           otherwise 0
    dates                  days since 1970-01-01, with gaps or without, as numbers
    categories             for each level 1 if the cell holds it, otherwise 0; the same for any other level, and a gap

The founder's table says which column is what. That stands in the description of the task, so it is the same for all.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from .troubles import on_one_line

__all__ = ["GAP", "MAX_EDGES", "MIN_LEVEL_ROWS", "OTHER", "Feature", "Schema", "Wishes", "check_edges", "read_schema"]

OTHER: Final = "(other)"
GAP: Final = "(missing)"
"""Stand in the names of features for a level that is none of those agreed on, and for a gap."""

MAX_EDGES: Final = 32
"""Of the bins of a median. More would tell where single rows are, and hardly make the median better."""

MIN_LEVEL_ROWS: Final = 5
"""Rows of a founder that make a level. A rarer one would tell all members something about a few people."""

_KEYS: Final = {"dates", "gaps", "levels", "medians"}

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Feature:
    """One number that goes into the model."""

    column: str
    """The column that it is made of."""
    kind: Literal["value", "gap", "level", "other"] = "value"
    level: str = ""

    @property
    def name(self) -> str:
        """The column's own name for its number; with a level or a gap added for a feature that marks it by 1."""
        marks = {"value": "", "gap": f"={GAP}", "level": f"={self.level}", "other": f"={OTHER}"}
        return f"{self.column}{marks[self.kind]}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a founder says of its columns by its options, beyond what its table shows."""

    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns to read as categories, with their levels; without levels, those that the table holds."""
    gaps: tuple[str, ...] = ()
    gaps_anywhere: bool = False
    medians: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Columns of numbers whose gaps stand as the median, each with the edges of its bins."""
    collected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns to read as categories, with levels of other sites, beside those that the table holds."""
    least_rows: int = MIN_LEVEL_ROWS
    """Rows of the table that make a level."""

    def allows_gaps(self, column: str) -> bool:
        """Whether a column of numbers or dates may have gaps."""
        return self.gaps_anywhere or column in self.gaps or column in self.medians


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns that are no plain numbers, in alphabetical order. Raises ValueError for parts that do not fit.

    In a table's `inputs` a gap is NaN, a date is days, and a category is the place of its level. For any level that was
    not agreed on it is the number of levels.
    """

    levels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    dates: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    """Columns of numbers and dates in which a cell may be empty; in categories it always may."""
    gaps_anywhere: bool = False
    medians: tuple[tuple[str, tuple[float, ...]], ...] = ()
    """Columns of numbers whose gaps stand as the median, each with the edges of the bins from which it follows."""

    def __post_init__(self) -> None:
        categories = [column for column, _ in self.levels]
        binned = [column for column, _ in self.medians]
        for names in (categories, self.dates, self.gaps, binned):
            if list(names) != sorted(set(names)):
                raise ValueError(
                    f"columns that are not in alphabetical order, each once: {', '.join(map(on_one_line, names))}"
                )
        for column, levels in self.levels:
            if not levels or len(set(levels)) != len(levels) or not {OTHER, GAP}.isdisjoint(levels):
                raise ValueError(f"column {column!r} has no levels, one twice, or one called {OTHER} or {GAP}")
        if twice := set(categories) & {*self.dates, *self.gaps}:
            raise ValueError(
                f"columns that are categories and something else: {', '.join(map(on_one_line, sorted(twice)))}"
            )
        for column, edges in self.medians:
            check_edges(column, edges)
        unfit = [one for one in binned if one in {*categories, *self.dates} or not self.allows_gaps(one)]
        if unfit:
            raise ValueError(
                f"columns with a median that are no numbers with gaps: {', '.join(map(on_one_line, unfit))}"
            )

    @property
    def is_plain(self) -> bool:
        """Whether all columns are plain numbers."""
        return self == Schema()

    def levels_of(self, column: str) -> tuple[str, ...] | None:
        """The levels of a category; None for any other column."""
        return dict(self.levels).get(column)

    def edges_of(self, column: str) -> tuple[float, ...] | None:
        """The edges of the bins of a column whose gaps stand as the median; None for any other column."""
        return dict(self.medians).get(column)

    def allows_gaps(self, column: str) -> bool:
        """Whether a cell of this column may be empty."""
        return self.gaps_anywhere or column in self.gaps or column in dict(self.levels)

    def check_columns(self, columns: Sequence[str]) -> None:
        """Raise ValueError unless all columns that the schema names are among ``columns``."""
        named = {*self.dates, *self.gaps, *dict(self.levels), *dict(self.medians)}
        if lacking := sorted(named - set(columns)):
            raise ValueError(
                f"the fields name columns that the task does not have: {', '.join(map(on_one_line, lacking))}"
            )

    def features(self, columns: Sequence[str]) -> tuple[Feature, ...]:
        """What goes into the model for these columns, in the order of the weights."""
        if self.is_plain:
            return tuple(map(Feature, columns))
        found: list[Feature] = []
        known = dict(self.levels)
        for column in columns:
            if column in known:
                found += [Feature(column, "level", level) for level in known[column]]
                found += [Feature(column, "other"), Feature(column, "gap")]
            else:
                found.append(Feature(column))
                if self.allows_gaps(column):
                    found.append(Feature(column, "gap"))
        return tuple(found)

    def gap_places(self, columns: Sequence[str]) -> dict[int, int]:
        """The places of numbers that may be gaps, each with the place of the feature that marks them."""
        pairs = pairwise(self.features(columns))  # a gap always follows what it belongs to
        return {at: at + 1 for at, (one, after) in enumerate(pairs) if (one.kind, after.kind) == ("value", "gap")}

    def encode(self, columns: Sequence[str], inputs: Matrix) -> Matrix:
        """The features, float64[rows, features], of inputs float64[rows, columns]; plain numbers stay as they are.

        A gap stays NaN in its number.
        """
        if self.is_plain:
            return inputs
        parts: list[Matrix] = []
        for column, values in zip(columns, inputs.T, strict=True):
            levels = self.levels_of(column)
            if levels is not None:
                parts.append((values[:, None] == np.arange(len(levels) + 1)).astype(np.float64))
            else:
                parts.append(values[:, None])
            if self.allows_gaps(column):
                parts.append(np.isnan(values)[:, None].astype(np.float64))
        return np.concatenate(parts, axis=1)

    def fields(self) -> dict[str, object]:
        """The fields of the schema in the description of a task; none if all columns are plain numbers."""
        found: dict[str, object] = {}
        if self.levels:
            found["levels"] = {column: list(levels) for column, levels in self.levels}
        if self.dates:
            found["dates"] = list(self.dates)
        if self.gaps or self.gaps_anywhere:
            found["gaps"] = True if self.gaps_anywhere else list(self.gaps)
        if self.medians:
            found["medians"] = {column: list(edges) for column, edges in self.medians}
        return found


def read_schema(fields: Any) -> Schema:
    """The schema behind the `fields` of a description. Raises ValueError if there is none."""
    if not isinstance(fields, dict) or not fields or not set(fields) <= _KEYS:
        raise ValueError(f"unknown keys in the description of the columns: {fields!r:.200}")
    levels = _checked(fields.get("levels", {}), dict, lambda one: isinstance(one, list) and _are_texts(one))
    dates = _checked(fields.get("dates", []), list, lambda one: isinstance(one, str))
    gaps = fields.get("gaps", [])
    named = () if gaps is True else _checked(gaps, list, lambda one: isinstance(one, str))
    ordered = tuple((column, tuple(levels[column])) for column in sorted(levels))
    medians = _checked(fields.get("medians", {}), dict, lambda one: isinstance(one, list) and _are_floats(one))
    binned = tuple((column, tuple(medians[column])) for column in sorted(medians))
    return Schema(ordered, tuple(dates), tuple(named), gaps is True, binned)


def check_edges(column: str, edges: Sequence[float]) -> None:
    """Raise ValueError unless these can be the edges of the bins of a median."""
    rise = all(low < high for low, high in pairwise(edges))  # written so that NaN is refused, too
    if not 2 <= len(edges) <= MAX_EDGES or not all(map(math.isfinite, edges)) or not rise:
        raise ValueError(
            f"the median of column {column!r} needs bins with 2 to {MAX_EDGES} edges, each a number larger than the one"
            f" before, not {', '.join(f'{edge:g}' for edge in edges[: MAX_EDGES + 1])}"
        )


def _checked(value: Any, kind: type[Any], is_right: Callable[[Any], bool]) -> Any:
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, kind) or not all(map(is_right, parts)):
        raise ValueError(f"malformed description of the columns: {value!r:.200}")
    return value


def _are_floats(values: list[Any]) -> bool:
    return all(type(value) is float for value in values)


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
