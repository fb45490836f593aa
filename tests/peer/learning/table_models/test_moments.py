"""Sums of columns: exact whatever their offset, for any split of the rows over peers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.peer.learning.table_models.moments import (
    UNIT,
    moments_of,
    never_negative,
    read_moments,
    smallest_spread,
    sums_of_columns,
)
from coterie.protocol.limits import MAX_SETUP_SUMS


def totals_of(*tables: np.ndarray) -> list[float]:
    """What the secure sum opens: exact in units of 2^-40, and handed on as floats."""
    return np.sum([sums_of_columns(np.asarray(table, dtype=float)) for table in tables], axis=0).tolist()


@pytest.mark.parametrize("columns", [1, 3, MAX_SETUP_SUMS // 2])
def test_what_is_said_never_to_be_negative_is_not_and_everything_else_can_be(columns: int) -> None:
    table = np.random.default_rng(0).normal(-3e9, 1, size=(5, columns))
    sums = sums_of_columns(table)
    places = never_negative(columns)
    assert all(sums[place] >= 0 for place in places)
    assert all(sums[place] < 0 for place in set(range(len(sums))) - {*places})


def test_a_little_spread_on_a_large_offset_is_kept_to_the_last_digit() -> None:
    times = 1_700_000_000.0 + 20 * np.arange(120).reshape(-1, 1)
    moments = read_moments(totals_of(times, times + 7), 1)
    both = np.concatenate([times, times + 7]) - 1_700_000_000
    assert moments.spread(0) == pytest.approx(both.std(), rel=1e-14)
    assert moments.mean(0) == 1_700_000_000 + both.mean()


@pytest.mark.parametrize("offset", [0.0, 1e3, -1.7e9, 1.7e12, 1.7e18])
@pytest.mark.parametrize("spread", [1e-7, 1e-4, 1.0, 1e3])
def test_any_offset_leaves_the_spread_as_it_is(offset: float, spread: float) -> None:
    values = np.random.default_rng(0).normal(0, spread, size=(200, 1)) + offset
    moments = read_moments(totals_of(values[:50], values[50:]), 1)
    near = values - offset  # the difference of two such floats has no rounding
    assert moments.spread(0) == pytest.approx(near.std(), rel=1e-4)


def test_a_column_is_constant_if_and_only_if_its_values_are_the_same() -> None:
    column = np.full((1000, 1), 1.7e9 + 0.1)
    assert read_moments(totals_of(column, column), 1).spread(0) == 0
    column[17] += 1
    assert read_moments(totals_of(column, column), 1).spread(0) > 0


@given(
    st.lists(st.floats(-1e18, 1e18).map(lambda value: round(value * UNIT) / UNIT), min_size=1, max_size=30),
    st.integers(0, 30),
)
def test_the_totals_of_two_peers_are_the_moments_of_all_rows(values: list[float], cut: int) -> None:
    rows = np.array(values).reshape(-1, 1)
    parts = [part for part in (rows[:cut], rows[cut:]) if len(part)]
    moments = read_moments(totals_of(*parts), 1)
    whole = [int(value * UNIT) for value in values]
    assert moments.rows == len(values)
    assert moments.sums == (sum(whole),)
    assert moments.squares == (sum(one**2 for one in whole),)


def test_many_rows_are_added_up_in_blocks() -> None:
    rows = np.full((2**16 + 5, 2), [2.0**61, -1.5])
    moments = moments_of(rows)
    assert moments.sums == (len(rows) * 2**61 * UNIT, -len(rows) * 3 * UNIT // 2)
    assert moments.squares == (len(rows) * 2**122 * UNIT**2, len(rows) * 9 * UNIT**2 // 4)
    assert read_moments(sums_of_columns(rows), 2) == moments


def test_the_widest_table_has_room_for_its_sums_and_shows_any_spread_that_it_promises() -> None:
    random = np.random.default_rng(0)
    columns = random.normal(1.0, 2 * smallest_spread(4001, 1.0), size=(50, 4001))
    columns[:, 7] = 0.1
    totals = totals_of(columns)
    assert len(totals) <= MAX_SETUP_SUMS
    moments = read_moments(totals, 4001)
    assert moments.spread(7) == 0
    assert moments.spread(8) == pytest.approx(columns[:, 8].std(), rel=1e-2)


@pytest.mark.parametrize(
    "totals",
    [
        [],
        [3.0, 1.0],
        [float("nan"), *[0.0] * 8],
        [0.0] * 9,
        [2.5, *[0.0] * 8],
        [2.0, 0.5, *[0.0] * 7],
        [2.0, 8.0, 0.0, 0.0, 31.0, *[0.0] * 4],
    ],
)
def test_totals_that_no_rows_have_are_refused(totals: list[float]) -> None:
    with pytest.raises(ValueError, match="setup sums"):
        read_moments(totals, 1)


def test_moments_without_a_row_are_those_of_the_others() -> None:
    rows = np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 1e9]])
    rest = moments_of(rows).without(1, 1e9)
    assert (rest.rows, rest.mean(0), rest.spread(0)) == (2, 4.5, 0.5)
