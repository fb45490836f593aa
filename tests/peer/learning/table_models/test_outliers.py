"""Typing errors: found however much they spoil the mean, and nothing rare or skewed is taken for one."""

import numpy as np

from coterie.peer.learning.table_models.moments import Moments, moments_of
from coterie.peer.learning.table_models.outliers import find_outliers


def found(values: np.ndarray, *others: np.ndarray) -> list[tuple[int, float]]:
    """Rows and values that a member is told of which has these, where others have more."""
    column = values.reshape(-1, 1)
    everybody: Moments = moments_of(np.concatenate([column, *(other.reshape(-1, 1) for other in others)]))
    return [(one.row, one.value) for one in find_outliers(column, np.ones(len(column), dtype=bool), everybody)]


def ages(seed: int, rows: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).normal(50, 10, size=rows).round(1)


def test_one_typing_error_is_found_though_it_spoils_the_mean_of_all() -> None:
    values = ages(0)
    values[4] = 999999999
    assert found(values, ages(1), ages(2)) == [(4, 999999999)]


def test_others_are_not_told_of_a_value_that_is_not_theirs() -> None:
    values = ages(0)
    values[4] = 999999999
    assert found(ages(1), values, ages(2)) == []


def test_a_lost_decimal_point_is_found() -> None:
    values = ages(0)
    values[4] = 550
    assert found(values, ages(1)) == [(4, 550)]


def test_several_typing_errors_do_not_hide_each_other() -> None:
    values = ages(0, 800)
    values[[3, 5, 9]] = [1e6, -1e9, 1e6]
    assert found(values) == [(3, 1e6), (5, -1e9), (9, 1e6)]


def test_a_mark_of_something_rare_is_no_typing_error() -> None:
    values = np.zeros(2000)
    values[7] = 1
    assert found(values, np.zeros(500)) == []


def test_heavy_tails_are_no_typing_errors() -> None:
    values = np.random.default_rng(0).exponential(size=2000)
    assert found(values) == []


def test_a_test_row_is_measured_by_the_sums_that_it_is_not_in() -> None:
    values = ages(0).reshape(-1, 1)
    values[4] = 9999
    counted = np.ones(80, dtype=bool)
    counted[4] = False
    (one,) = find_outliers(values, counted, moments_of(values[counted]))
    assert (one.row, one.value) == (4, 9999)


def test_a_value_beside_a_column_that_never_varies_otherwise_is_left_alone() -> None:
    values = np.full(50, 7.0)
    values[3] = 8
    assert found(values) == []
