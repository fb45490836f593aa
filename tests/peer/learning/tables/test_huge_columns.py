"""Columns that hardly vary, or are huge, or both: a peer uses them, whether or not the federation's sums have them."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coterie.peer.learning.table_models.moments import Moments, moments_of, read_moments, sums_of_columns
from coterie.peer.learning.table_models.outliers import find_outliers
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.table_models.task import Task
from coterie.peer.learning.tables.table import Table

HUGE = 9999999999.0
WIDE = 1100
"""So many columns that floats carry their sums."""
Columns = tuple[np.ndarray, np.ndarray]


@st.composite
def columns(draw: st.DrawFn) -> np.ndarray:
    """A column of one value, or of almost one, of any size that a table may have."""
    rows = draw(st.integers(5, 30))
    usual = draw(st.sampled_from([0.0, 1.0, 0.1, 50.0, HUGE, -HUGE, 1e12 + 0.1, 1e15, -4e18]) | st.floats(-1e15, 1e15))
    values = np.full(rows, usual)
    for row in draw(st.lists(st.integers(0, rows - 1), max_size=4)):
        values[row] = draw(st.sampled_from([usual + 1, np.nextafter(usual, np.inf), 0.0, HUGE]))
    return values if np.abs(values).max() >= 1e-10 else np.zeros(rows)  # smaller ones are refused


def app_of(column: np.ndarray, seed: int) -> TableApp:
    random = np.random.default_rng(seed)
    inputs = np.column_stack([column, random.normal(50, 10, len(column))])
    table = Table("t.csv", ("a", "b"), inputs, values=random.normal(size=len(column)))
    return TableApp(Task("linear", "y", ("a", "b")), table)


@given(mine=columns(), theirs=columns(), is_summed=st.booleans())
@example(mine=np.full(20, HUGE), theirs=np.arange(20.0), is_summed=False)
@example(mine=np.full(20, HUGE), theirs=np.full(20, HUGE), is_summed=True)
@example(mine=np.full(20, HUGE + 0.1), theirs=np.full(20, HUGE), is_summed=False)
def test_a_member_trains_on_any_column_that_its_table_may_have(
    mine: np.ndarray, theirs: np.ndarray, is_summed: bool
) -> None:
    member, other = app_of(mine, 0), app_of(theirs, 1)
    totals = np.sum([other.setup(), *([member.setup()] if is_summed else [])], axis=0).tolist()
    member.prepare(totals)
    weights, _, _ = member.fit(member.initial(), 1)
    loss, _, means = member.evaluate(weights)
    assert np.isfinite([loss, *means.values(), *np.concatenate([array.ravel() for array in weights])]).all()
    if is_summed:
        assert member.is_summed


def test_a_newcomer_s_huge_column_is_told_by_its_column_as_it_is_not_in_the_sums() -> None:
    founder, newcomer = app_of(np.arange(40.0), 1), app_of(np.full(40, HUGE), 0)
    newcomer.prepare(founder.setup())
    (told,) = newcomer.outliers
    assert not newcomer.is_summed
    assert told.startswith("column 'a': all values are 8.4e+08 standard deviations or more from the other members'")
    assert "such as 9999999999" in told


def test_a_member_whose_column_is_in_the_sums_is_told_all_the_same() -> None:
    one, other = app_of(np.arange(40.0), 1), app_of(np.full(40, HUGE), 0)
    totals = np.add(one.setup(), other.setup()).tolist()
    for app in (one, other):
        app.prepare(totals)
    assert [len(app.outliers) for app in (one, other)] == [0, 1]
    assert other.is_summed


def test_a_newcomer_s_typing_error_is_measured_by_the_others() -> None:
    column = np.arange(60.0) % 20
    column[~app_of(column, 0).tested & (column == 3)] = 90
    founder, newcomer = app_of(np.arange(60.0) % 20, 1), app_of(column, 0)
    newcomer.prepare(founder.setup())
    assert not newcomer.is_summed
    assert all("is 14" in told for told in newcomer.outliers)
    assert newcomer.outliers


def carried(tables: list[np.ndarray], wide: bool) -> Moments:
    """The moments of a first column, by sums that are exact, or that floats have carried."""
    width = WIDE if wide else 1
    tables = [np.column_stack([table, np.ones((len(table), width - 1))]) for table in tables]
    return read_moments(np.sum([sums_of_columns(table) for table in tables], axis=0).tolist(), width)


@given(mine=columns(), theirs=columns(), wide=st.booleans())
@example(mine=np.full(20, 1e12 + 0.1), theirs=np.full(20, 1e12 + 0.1), wide=True)
def test_any_rows_are_among_the_sums_of_these_and_others(mine: np.ndarray, theirs: np.ndarray, wide: bool) -> None:
    limit = 1e11 if wide else np.inf  # floats carry squares of that at most
    mine, theirs = np.clip(mine, -limit, limit), np.clip(theirs, -limit, limit)
    own = moments_of(np.column_stack([mine, np.ones((len(mine), WIDE - 1))]) if wide else mine.reshape(-1, 1))
    rest = carried([mine, theirs], wide).less(own)
    assert rest is not None
    assert rest.rows == len(theirs)
    assert rest.mean(0) == pytest.approx(theirs.mean(), rel=1e-9, abs=1e-3 * np.abs(mine).max() if wide else 1e-9)


@given(column=columns(), wide=st.booleans())
@example(column=np.append(np.full(9, 1e10), [1e10 + 1, 1e10 + 2]), wide=True)
def test_no_value_of_a_column_that_hardly_varies_makes_a_spread_negative(column: np.ndarray, wide: bool) -> None:
    column = np.clip(column, -1e11, 1e11) if wide else column
    all = carried([column], wide)
    found = find_outliers(column.reshape(-1, 1), np.ones(len(column), dtype=bool), all)
    assert all.spread(0) >= 0
    assert not wide or not [one for one in found if abs(one.value - one.mean) < 1e-6 * abs(one.mean)]


@pytest.mark.parametrize("wide", [False, True])
def test_sums_without_some_rows_are_none_of_them(wide: bool) -> None:
    far = np.full(20, HUGE)
    own = moments_of(np.column_stack([far, np.ones((20, WIDE - 1))]) if wide else far.reshape(-1, 1))
    assert carried([np.arange(60.0)], wide).less(own) is None
    assert carried([np.arange(60.0)[:19]], wide).less(own) is None, "fewer rows than these"
