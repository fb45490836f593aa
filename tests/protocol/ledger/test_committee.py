"""The numbers that follow from who takes part, for every size a federation can have."""

import hashlib
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.protocol.ledger.committee import Committee
from coterie.protocol.limits import MAX_MEMBERS, MIN_TRAINING_MEMBERS

MEMBERS = tuple(sorted(hashlib.sha256(b"%d" % number).digest() for number in range(MAX_MEMBERS)))
ALL = [Committee(MEMBERS[:n]) for n in range(1, MAX_MEMBERS + 1)]
TRAINING = [committee for committee in ALL if committee.n >= MIN_TRAINING_MEMBERS]


def test_any_two_quorums_share_an_honest_member() -> None:
    assert all(2 * c.quorum - c.n > c.f for c in ALL)


def test_the_honest_make_a_quorum_without_the_f_others() -> None:
    assert all(c.quorum <= c.n - c.f for c in ALL)


def test_f_is_the_most_that_agreement_survives() -> None:
    assert all(3 * c.f < c.n <= 3 * (c.f + 1) for c in ALL)


def test_below_four_members_everybody_is_needed() -> None:
    assert [(c.f, c.quorum) for c in ALL[:4]] == [(0, 1), (0, 2), (0, 3), (1, 3)]


def test_by_default_k_is_n_minus_2f_and_2_for_three_members() -> None:
    assert [c.threshold for c in TRAINING[:9]] == [2, 2, 3, 4, 3, 4, 5, 4, 5]
    assert all(c.threshold == c.n - 2 * c.f for c in TRAINING[1:])


@pytest.mark.parametrize("configured", [0, 2, 3, 5, 100, 512])
def test_whatever_is_configured_the_threshold_keeps_its_rules(configured: int) -> None:
    for c in (Committee(one.members, configured) for one in TRAINING):
        assert 2 <= c.threshold <= c.n - c.f, "the honest alone can open a sum, and nobody can alone"
        assert c.threshold <= c.n - 1
        assert c.sum_quorum <= c.n, "and there are enough of them to pin it down"
        assert c.min_contributors <= c.n
        assert c.threshold > c.f, "nor can those together who may lie"
        if configured and c.f < configured <= c.n - c.f and configured < c.n:
            assert c.threshold == configured


def test_with_the_default_f_members_may_be_absent_from_a_sum_and_from_the_contributors() -> None:
    assert all(c.sum_quorum <= c.n - c.f for c in TRAINING)
    assert all(c.min_contributors <= c.n - c.f for c in TRAINING)


def test_of_those_that_pin_down_a_sum_k_are_honest_and_f_liars_cannot_make_another_one() -> None:
    for c in TRAINING:
        assert c.sum_quorum - c.f >= c.threshold
        assert c.f + c.threshold - 1 < c.sum_quorum, "f liars and K-1 coincidences agree with a false polynomial"


def test_with_the_default_f_liars_are_always_corrected_when_everybody_answers() -> None:
    """n points carry K coefficients and up to (n-K)/2 errors."""
    assert all(2 * c.f <= c.n - c.threshold for c in TRAINING if c.n != 3)


def test_k_minus_1_colluding_contributors_leave_at_least_two_honest_updates_in_the_sum() -> None:
    for c, configured in product(TRAINING[:40], (0, 2, 5)):
        rules = Committee(c.members, configured)
        assert rules.min_contributors - (rules.threshold - 1) >= 2


def test_members_are_found_by_their_place_and_outsiders_are_not() -> None:
    committee = ALL[6]
    assert [committee.index(member) for member in committee.members] == list(range(7))
    assert committee.index(MEMBERS[7]) is None
    assert committee.index(b"") is None


@given(st.integers(1, 30), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_the_order_of_proposers_is_a_shuffle_that_the_beacon_fixes(n: int, beacon: bytes, another: bytes) -> None:
    committee = Committee(MEMBERS[:n])
    assert sorted(committee.order(beacon)) == list(committee.members)
    assert committee.order(beacon) == Committee(MEMBERS[:n]).order(beacon)
    if n > 12 and beacon != another:
        assert committee.order(beacon) != committee.order(another)


def test_what_the_numbers_mean_is_said_in_one_sentence() -> None:
    assert Committee(MEMBERS[:2]).explain("shamir") == "2 member(s): training starts with 3"
    assert Committee(MEMBERS[:3]).explain("shamir") == (
        "3 members: no single member learns anything beyond the sum; none may lie or stall; "
        "none may be absent in a round; 3 votes decide"
    )
    assert Committee(MEMBERS[:7]).explain("shamir") == (
        "7 members: any 2 colluding learn nothing beyond the sum; 2 may lie or stall; 2 may be absent in a round; "
        "5 votes decide"
    )
    assert Committee(MEMBERS[:7], 4).explain("shamir") == (
        "7 members: any 3 colluding learn nothing beyond the sum; 2 may lie or stall, and can make each round end"
        " without a result; 1 may be absent in a round; 5 votes decide"
    ), "a sum needs the shares of six, and five are honest"
