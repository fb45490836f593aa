"""The layout of a round's vector, and what the sums in the ledger mean."""

import pytest
from cluster import make_genesis
from hypothesis import given
from hypothesis import strategies as st

from coterie.protocol.contribution import WIDE_UNIT, Layout, are_possible_counts, layout_of, read_metrics


@given(st.integers(0, 10**6), st.integers(0, 100))
def test_two_parameters_take_an_element_a_wide_sum_four_and_the_beacon_two(parameters: int, wide: int) -> None:
    layout = Layout(parameters, wide)
    assert 2 * layout.slots - parameters in (0, 1)
    assert layout.columns == layout.slots + 4 * wide + 2


def test_each_kind_of_round_carries_what_it_is_for() -> None:
    genesis = make_genesis(parameters=7, setup_sums=5, metrics=("a", "b", "c"))
    assert layout_of(genesis, "setup") == Layout(0, 2 + 5, is_setup=True)
    assert layout_of(genesis, "train") == Layout(7, 2 + 2 + 3)
    assert layout_of(genesis, "evaluate") == Layout(0, 2 + 2 + 3)


def exact(*values: float) -> tuple[int, ...]:
    return tuple(round(value * WIDE_UNIT) for value in values)


def test_metrics_are_means_over_the_examples_that_were_evaluated() -> None:
    genesis = make_genesis(metrics=("accuracy", "f1"))
    metrics = read_metrics(genesis, exact(500, 900, 40, 10, 30, 20))
    assert (metrics.examples, metrics.evaluated, metrics.loss) == (900, 40, 0.25)
    assert metrics.named == (("accuracy", 0.75), ("f1", 0.5))


def test_where_nobody_evaluated_there_are_no_means() -> None:
    genesis = make_genesis(metrics=("accuracy",))
    metrics = read_metrics(genesis, exact(500, 900, 0, 0, 0))
    assert (metrics.examples, metrics.evaluated, metrics.loss, metrics.named) == (900, 0, None, ())


@given(st.lists(st.integers(1, 2**50), min_size=1), st.integers(1, 2**40))
def test_the_counts_of_honest_contributors_are_possible_ones(counts: list[int], cap: int) -> None:
    capped, examples = (WIDE_UNIT * sum(given) for given in ([min(one, cap) for one in counts], counts))
    assert are_possible_counts(capped, examples, len(counts), cap)


@pytest.mark.parametrize(
    ("capped", "examples"),
    [(0, 30), (2.9, 30), (-3, 30), (30.1, 90), (30, 29), (3 * 2**40, 3 * 2**40)],
    ids=["none", "less than one each", "negative", "above the cap", "more than there are", "huge"],
)
def test_counts_that_no_contributors_can_have_are_not_possible(capped: float, examples: float) -> None:
    assert are_possible_counts(30 * WIDE_UNIT, 30 * WIDE_UNIT, 3, 10)
    assert not are_possible_counts(*exact(capped, examples), 3, 10)
