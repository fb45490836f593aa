"""The layout of a round's vector, and what the sums in the ledger mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import make_genesis

from coterie.crypto.sharing.fixed_point import decode_wide
from coterie.crypto.vectors import add_into
from coterie.protocol.jobs import CheckVector, Contribution, Encode
from coterie.protocol.ledger.contribution import (
    WIDE_UNIT,
    Layout,
    are_possible_counts,
    coarse,
    coarse_sums,
    layout_of,
    read_metrics,
)


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


def test_final_metrics_are_in_the_evaluation_and_in_no_other_round() -> None:
    genesis = make_genesis(parameters=7, setup_sums=5, metrics=("a",), final_metrics=("b", "c"))
    assert [layout_of(genesis, kind).wide for kind in ("setup", "train", "evaluate")] == [2 + 5, 2 + 2 + 1, 2 + 2 + 3]
    assert read_metrics(genesis, exact(500, 900, 40, 10, 30)).named == (("a", 0.75),)
    assert read_metrics(genesis, exact(500, 900, 40, 10, 30, 20, 0)).named == (("a", 0.75), ("b", 0.5), ("c", 0.0))


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


# Coarse counts.


@given(st.integers(0, 2**53))
def test_a_coarse_count_is_at_most_the_count_and_5_percent_below_it(count: int) -> None:
    assert coarse(count) <= count
    assert count - coarse(count) <= count / 20 + 1
    assert coarse(coarse(count)) == coarse(count)
    assert (coarse(count) > 0) is (count > 0), "none that has examples is left out of the mean"


@given(st.integers(0, 2**53), st.integers(0, 2**53))
def test_more_examples_never_count_less(one: int, other: int) -> None:
    assert coarse(min(one, other)) <= coarse(max(one, other))


def test_from_100_on_several_counts_look_the_same() -> None:
    assert len({coarse(count) for count in range(100, 1_000)}) < 60
    assert len({coarse(count) for count in range(10**6, 2 * 10**6)}) < 20


def encoded(examples: int, sums: tuple[float, ...], cap: int) -> tuple[int, ...]:
    """The wide sums of one contribution, as its vector carries them."""
    layout = Layout(3, 2 + len(sums))
    given = Contribution(examples, sums, bytes(32), np.full(3, 0.25, np.float32))
    vector = np.frombuffer(Encode(1, layout, given, 4.0, 4, cap).run().vector, np.uint64)
    wide = vector[layout.slots : layout.slots + 4 * layout.wide].reshape(-1, 4)
    return tuple(decode_wide(np.ascontiguousarray(row), 1) for row in wide)


@settings(max_examples=60)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 2_000), st.floats(0, 100), st.floats(0, 1))
def test_no_exact_count_enters_the_encoder_and_the_means_are_the_same(
    examples: int, tested: int, cap: int, loss: float, accuracy: float
) -> None:
    capped, counted, evaluated, losses, hits = encoded(examples, (tested, loss * tested, accuracy * tested), cap)
    assert [one / WIDE_UNIT for one in (capped, counted, evaluated)] == [
        coarse(min(examples, cap)),
        coarse(examples),
        coarse(tested),
    ]
    assert losses / evaluated == pytest.approx(loss, abs=1e-6)
    assert hits / evaluated == pytest.approx(accuracy, abs=1e-6)


@given(st.integers(100, 10**6))
def test_what_the_encoder_is_given_is_the_same_for_all_counts_of_one_step(examples: int) -> None:
    """Two sums over sets that differ in one member give away its step of the grid and nothing of its count."""
    least = coarse(examples)
    ours = encoded(examples, (float(examples), 0.0), 10**6)
    assert ours == encoded(least, (float(least), 0.0), 10**6)


def test_an_update_is_weighed_by_the_coarse_count_so_that_the_mean_is_what_it_was() -> None:
    """The weight of the update and the divisor of the mean are of the same count, so that equal updates stay whole."""
    layout = Layout(3, 4)
    total = np.zeros(layout.columns, np.uint64)
    for number, examples in enumerate((1, 57, 103, 1_999)):
        given = Contribution(examples, (4.0, 8.0), bytes([number]) * 32, np.full(3, 0.25, np.float32))
        add_into(total, np.frombuffer(Encode(1, layout, given, 4.0, 4, 2_000).run().vector, np.uint64))
    base = np.zeros(3, "<f4").tobytes()
    job = CheckVector(1, bytes(32), total.tobytes(), layout, 4, bytes(32), 4.0, 4, 2_000, base, own_sum=None)
    checked = job.run()
    assert checked.wrong is None
    assert np.frombuffer(checked.weights, "<f4") == pytest.approx(0.25, rel=1e-3)


def test_where_nothing_was_evaluated_there_is_nothing_to_make_coarse() -> None:
    assert coarse_sums((0.0, 0.0)) == (0.0, 0.0)
    assert coarse_sums(()) == ()
