"""Medians out of counts: near the median of the rows, alike however the rows are spread, and out of nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.peer.learning.table_models.medians import counts_below, median_of, read_counts

values = st.lists(st.integers(-50, 150).map(float), min_size=1, max_size=40)
edges = st.lists(st.integers(-60, 160).map(float), min_size=2, max_size=32, unique=True).map(sorted)


@given(values, edges)
def test_the_median_is_off_by_less_than_its_bin(rows: list[float], edges: list[float]) -> None:
    told = median_of(read_counts(counts_below(np.array(rows), edges), len(rows)), len(rows), edges)
    low, high = np.sort(rows)[(len(rows) - 1) // 2], np.sort(rows)[len(rows) // 2]
    around = [-np.inf, *edges, np.inf]
    first = max(edge for edge in around if edge <= low)
    last = min(edge for edge in around if edge > high)
    first, last = np.clip([first, last], edges[0], edges[-1])
    assert first <= told <= last


@given(values, values, edges)
def test_counts_of_members_add_up_to_those_of_the_rows_in_one_place(
    ours: list[float], theirs: list[float], edges: list[float]
) -> None:
    parts = [counts_below(np.array(rows), edges) for rows in (ours, theirs)]
    assert np.sum(parts, axis=0).tolist() == counts_below(np.array(ours + theirs), edges)


@given(values, edges, st.randoms())
def test_the_counts_are_the_only_thing_that_a_median_adds_up(
    rows: list[float], edges: list[float], random: np.random.Generator
) -> None:
    """Tables with the same numbers of rows between the edges add up the same, wherever their values lie there."""
    bins = np.searchsorted(edges, rows, side="right")
    around = [edges[0] - 10, *edges, edges[-1] + 10]
    others = np.array([random.uniform(around[one], np.nextafter(around[one + 1], -np.inf)) for one in bins])
    random.shuffle(others)
    assert counts_below(np.append(others, np.nan), edges) == counts_below(np.array(rows), edges)


@pytest.mark.parametrize(
    ("counts", "known", "median"),
    [
        ([0, 10, 20], 20, 10),  # half of the values on each side of an edge
        ([0, 5, 20], 20, 10 + 10 * 5 / 15),  # a third of the bin that holds the other half
        ([0, 20, 20], 20, 5),  # all in one bin: its middle
        ([15, 16, 20], 20, 0),  # most lie below all edges
        ([0, 1, 2], 20, 20),  # most lie above all edges
        ([10, 10, 10], 20, 10),  # half below, half above: the middle of the edges between them
        ([0, 0, 0], 0, 10),
    ],
)
def test_the_median_by_hand(counts: list[int], known: int, median: float) -> None:
    assert median_of(counts, known, [0.0, 10.0, 20.0]) == pytest.approx(median)


@pytest.mark.parametrize("totals", [[1.0, 0.0], [-1.0, 0.0], [0.0, 4.0], [0.5, 1.0]])
def test_counts_that_no_rows_have_are_refused(totals: list[float]) -> None:
    with pytest.raises(ValueError, match="no rows can have these setup sums"):
        read_counts(totals, 3)
