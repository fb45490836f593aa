"""Medians out of counts that members add up: how many of the rows have a value below each of some agreed edges.

A median cannot be added up, and members show no row. But the number of rows below an edge can be added up, exactly. The
founder names the edges, out of its knowledge of the field and not out of its rows, so they say nothing about rows. The
median is then known up to the bin between two edges. Within the bin values are taken to be spread evenly.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["counts_below", "median_of", "read_counts"]


def counts_below(values: npt.NDArray[np.float64], edges: Sequence[float]) -> list[float]:
    """What a peer adds up: for each edge the number of values, float64[rows], that are below it. A gap is NaN."""
    known = np.sort(values[~np.isnan(values)])
    return [float(count) for count in np.searchsorted(known, np.asarray(edges), side="left")]


def read_counts(totals: Sequence[float], known: int) -> tuple[int, ...]:
    """The counts behind the totals of `counts_below`. ``known``: rows that have a value.

    Raises:
        ValueError: no rows can have these totals.
    """
    counts = tuple(map(int, totals))
    if any(count != total for count, total in zip(counts, totals, strict=True)):
        raise ValueError("no rows can have these setup sums: a number of rows in a bin is not whole")
    if list(counts) != sorted(counts) or (counts and not 0 <= counts[0] <= counts[-1] <= known):
        raise ValueError(f"no rows can have these setup sums: {', '.join(map(str, counts))} of {known} rows in bins")
    return counts


def median_of(counts: Sequence[int], known: int, edges: Sequence[float]) -> float:
    """The median of ``known`` values, of which ``counts`` are below each of the edges.

    It is at least the first edge and at most the last one: where values beyond them lie, nobody is told.
    """
    half = known / 2
    middle = [edge for count, edge in zip(counts, edges, strict=True) if count == half]
    if middle:
        return (middle[0] + middle[-1]) / 2  # half of the values lie below all of these edges, half above
    above = int(np.searchsorted(counts, half))
    if above in (0, len(counts)):
        return edges[0] if above == 0 else edges[-1]
    return float(np.interp(half, counts[above - 1 : above + 1], edges[above - 1 : above + 1]))
