"""Values so far from all others that they are probably typing errors, told to the member that has them.

One such value makes the standard deviation of its column huge, for everybody: the column then hardly varies any more
between all other rows, and no model can use it. The distance of a value is measured from the mean and the deviation of
the others. Otherwise it would hide itself: among n values none is more than sqrt(n) standard deviations from their
mean.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .moments import Moments

__all__ = ["Outlier", "far_columns", "find_outliers"]

FAR: Final = 10.0
"""Standard deviations from the mean of all other values."""
FAR_COLUMN: Final = 100.0
"""The same for all values of a site's column at once: sites differ, but hardly as much as grams from kilograms."""
MAX_OUTLIERS: Final = 20
_FEW_VALUES: Final = 3
"""A column of fewer different values marks something rare, which is no typing error."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """A value far from the mean of all others, in standard deviations of these."""

    column: int
    row: int
    value: float
    mean: float
    deviations: float


def find_outliers(columns: npt.NDArray[np.float64], counted: npt.NDArray[np.bool_], all: Moments) -> list[Outlier]:
    """The values of float64[rows, columns] that are far from those that ``all`` sums up, at most twenty.

    ``counted``: which of the rows ``all`` includes. A gap is NaN.
    """
    found: list[Outlier] = []
    for column in range(columns.shape[1]):
        found += _of_column(columns[:, column], counted, all, column)
    return sorted(found, key=lambda one: one.row)[:MAX_OUTLIERS]


def far_columns(columns: npt.NDArray[np.float64], others: Moments) -> list[Outlier]:
    """The columns of float64[rows, columns] that are far from the ``others`` in all rows, by their nearest value.

    Such a column has no typing error in a cell, but another unit, or a number that stands for a gap. A gap is NaN.
    """
    found = []
    for column, values in enumerate(columns.T):
        spread, mean = others.largest_spread(column), others.mean(column)
        distances = np.abs(values - mean)
        if spread and not np.isnan(distances).all():
            row = int(np.nanargmin(distances))
            deviations = float(distances[row]) / spread
            if deviations >= FAR_COLUMN:
                found.append(Outlier(column, row, float(values[row]), mean, deviations))
    return found


def _of_column(
    values: npt.NDArray[np.float64], counted: npt.NDArray[np.bool_], all: Moments, column: int
) -> list[Outlier]:
    others = all.of(column)
    # The farthest value comes first and is taken out before the next one is judged: two of them would hide each other.
    far = []
    for row in _from_the_farthest(values, others.mean(0)):
        value = float(values[row])
        rest = others.without(0, value) if counted[row] else others
        spread = rest.largest_spread(0) if rest.rows > 1 else 0.0
        deviations = abs(value - rest.mean(0)) / spread if spread else 0.0
        if deviations < FAR:
            break
        others = rest
        far.append(Outlier(column, row, value, rest.mean(0), deviations))
    if not far:
        return []
    usual = np.delete(values, [one.row for one in far])
    return far if len(np.unique(usual[~np.isnan(usual)])) >= _FEW_VALUES else []


def _from_the_farthest(values: npt.NDArray[np.float64], mean: float) -> Iterator[int]:
    """The rows of the values that are the farthest from a mean: enough of them to fill the list."""
    distances = np.nan_to_num(np.abs(values - mean), nan=-1.0)
    count = min(MAX_OUTLIERS, int((distances >= 0).sum()), len(values) - 1)
    rows: Sequence[int] = np.argpartition(distances, -count)[-count:].tolist() if count else []
    yield from sorted(rows, key=lambda row: -float(distances[row]))
