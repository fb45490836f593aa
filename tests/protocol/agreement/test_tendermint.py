"""Algorithm 1 of "The latest gossip on BFT consensus" (Buchman, Kwon, Milosevic; arXiv 1807.04938), line by line.

A :class:`Peer` is one member's state machine; everything it hears from the others is written here by hand. In a
committee of four, f is 1 and a quorum is 3.

=======  ====================================================================================
line     tests
=======  ====================================================================================
11-13    test_line_11_start_round_sets_the_round_and_the_step_propose
14-19    test_line_14_the_proposer_proposes_a_new_value_where_it_has_no_valid_one
         test_line_16_the_proposer_proposes_its_valid_value_again_with_its_round
20-21    test_line_21_whoever_is_not_the_proposer_waits_for_the_proposal
22-27    test_line_22_a_new_proposal_is_prevoted_if_it_is_valid_and_nothing_else_is_locked
28-33    test_line_28_a_proposal_with_its_polka_is_prevoted_unless_the_lock_is_younger
34-35    test_line_34_a_quorum_of_prevotes_starts_the_prevote_timeout_once
36-43    test_line_36_a_polka_locks_and_is_precommitted
         test_line_42_a_polka_that_comes_after_the_precommit_sets_the_valid_value_only
44-46    test_line_44_a_quorum_of_nil_prevotes_is_answered_with_a_nil_precommit
47-48    test_line_47_a_quorum_of_any_precommits_starts_the_precommit_timeout_once
         test_line_47_does_not_wait_where_a_quorum_of_precommits_shows_that_nothing_can_be_decided
49-54    test_line_49_a_quorum_of_precommits_decides_in_whatever_round_they_are
55-56    test_line_55_votes_of_more_than_f_members_from_later_rounds_move_on_to_them
57-60    test_line_57_no_proposal_in_time_is_answered_with_a_nil_prevote
         test_line_57_who_has_nothing_to_decide_waits_for_a_proposal_once_more_than_f_others_have_voted
61-64    test_line_61_no_polka_in_time_is_answered_with_a_nil_precommit
65-67    test_line_65_no_decision_in_time_starts_the_next_round
=======  ====================================================================================

The paper's round is called view here, because a round is a step of training.
"""

import re
from collections.abc import Iterable

import pytest
from signing import block, members, precommit, prevote
from single import PRECOMMIT, PREVOTE, PROPOSE, Peer, V, W, begun, locked_on

from coterie.protocol.agreement.tendermint import (
    Action,
    CastVote,
    Decide,
    NewView,
    ProposeNow,
    Remember,
    Stage,
    StartTimeout,
)
from coterie.protocol.limits import LAST_VIEW_TO_SKIP_TO, VIEW_HISTORY, VIEW_WINDOW

# The lines.


def test_line_11_start_round_sets_the_round_and_the_step_propose() -> None:
    peer = begun()
    peer.proposal(0, V)
    assert peer.consensus.stage is PREVOTE
    assert peer.timeout(PRECOMMIT, 0)[0] == NewView(1)
    assert (peer.consensus.view, peer.consensus.stage) == (1, PROPOSE)


def test_line_14_the_proposer_proposes_a_new_value_where_it_has_no_valid_one() -> None:
    peer = Peer(place=0)
    assert ProposeNow(view=0, value=None, valid_view=-1) in peer.begin()


def test_line_16_the_proposer_proposes_its_valid_value_again_with_its_round() -> None:
    peer = locked_on(V, 1)
    peer.timeout(PRECOMMIT, 1)
    assert ProposeNow(view=3, value=V, valid_view=1) in peer.timeout(PRECOMMIT, 2)


def test_line_21_whoever_is_not_the_proposer_waits_for_the_proposal() -> None:
    actions = Peer(place=3).begin()
    assert StartTimeout(PROPOSE, 0) in actions
    assert not any(isinstance(action, ProposeNow) for action in actions)


def test_line_21_in_view_0_the_wait_begins_only_when_there_is_something_to_decide() -> None:
    peer = Peer()
    assert peer.consensus.start() == [NewView(0)]
    assert peer.consensus.on_ready() == [StartTimeout(PROPOSE, 0)]
    assert peer.consensus.on_ready() == []


@pytest.mark.parametrize(
    ("locked", "proposed", "is_valid", "expected"),
    [
        (None, V, True, V),
        (None, V, False, None),
        (V, V, True, V),
        (V, V, False, None),
        (W, V, True, None),
    ],
    ids=["valid", "invalid", "valid, and it is what is locked", "locked, yet invalid", "another is locked"],
)
def test_line_22_a_new_proposal_is_prevoted_if_it_is_valid_and_nothing_else_is_locked(
    locked: bytes | None, proposed: bytes, is_valid: bool, expected: bytes | None
) -> None:
    peer = begun() if locked is None else locked_on(locked)
    view = peer.consensus.view
    assert CastVote(PREVOTE, view, expected) in peer.proposal(view, proposed, -1, is_valid)
    assert peer.consensus.stage >= PREVOTE


@pytest.mark.parametrize(
    ("lock_view", "valid_view", "is_valid", "expected"),
    [(0, 1, True, V), (2, 1, True, None), (0, 1, False, None)],
    ids=["the lock is older", "the lock is younger", "the value is invalid"],
)
def test_line_28_a_proposal_with_its_polka_is_prevoted_unless_the_lock_is_younger(
    lock_view: int, valid_view: int, is_valid: bool, expected: bytes | None
) -> None:
    peer = locked_on(W, lock_view)
    while peer.consensus.view < 3:
        peer.timeout(PRECOMMIT, peer.consensus.view)
    peer.prevotes(valid_view, V, 0, 1, 2)
    assert CastVote(PREVOTE, 3, expected) in peer.proposal(3, V, valid_view, is_valid)


def test_line_28_what_is_locked_is_prevoted_again_whatever_the_age_of_its_polka() -> None:
    peer = locked_on(V, 2)
    peer.prevotes(1, V, 0, 1, 2)
    assert CastVote(PREVOTE, 3, V) in peer.proposal(3, V, valid_view=1)


def test_line_28_a_proposal_waits_for_the_polka_that_it_names() -> None:
    peer = begun()
    peer.timeout(PRECOMMIT, 0)
    assert peer.proposal(1, V, valid_view=0) == []
    assert peer.prevotes(0, V, 0, 1) == []
    assert CastVote(PREVOTE, 1, V) in peer.prevotes(0, V, 2)


@pytest.mark.parametrize("valid_view", [1, 2])
def test_line_28_a_polka_of_this_view_or_a_later_one_is_no_polka(valid_view: int) -> None:
    peer = begun()
    peer.timeout(PRECOMMIT, 0)
    peer.prevotes(valid_view, V, 0, 1, 2)
    assert not any(isinstance(action, CastVote) for action in peer.proposal(1, V, valid_view))


def test_line_34_a_quorum_of_prevotes_starts_the_prevote_timeout_once() -> None:
    peer = begun()
    peer.timeout(PROPOSE, 0)
    assert peer.prevotes(0, V, 0) == []
    assert peer.prevotes(0, V, 1) == [StartTimeout(PREVOTE, 0)], "with its own, for nil; V may get a third"
    assert peer.prevotes(0, V, 1) == []


@pytest.mark.parametrize(("votes", "then"), [((V, V), None), ((V,), None), ((V,), W)])
def test_line_34_waits_for_nobody_once_no_block_can_get_a_quorum(
    votes: tuple[bytes | None, ...], then: bytes | None
) -> None:
    peer = begun()
    peer.timeout(PROPOSE, 0)
    for sender, value in enumerate(votes):
        assert StartTimeout(PREVOTE, 0, at_once=True) not in peer.prevotes(0, value, sender)
    assert StartTimeout(PREVOTE, 0, at_once=True) in peer.prevotes(0, then, len(votes))
    assert CastVote(PRECOMMIT, 0, None) in peer.timeout(PREVOTE, 0)


def test_line_34_waits_while_one_more_prevote_could_make_a_polka() -> None:
    peer = begun()
    peer.timeout(PROPOSE, 0)
    assert peer.prevotes(0, V, 0, 1) == [StartTimeout(PREVOTE, 0)]


def test_line_34_waits_for_the_step_prevote() -> None:
    peer = begun()
    assert peer.prevotes(0, V, 0) + peer.prevotes(0, W, 1) + peer.prevotes(0, None, 2) == []
    assert StartTimeout(PREVOTE, 0) in peer.timeout(PROPOSE, 0)


def test_line_36_a_polka_locks_and_is_precommitted() -> None:
    peer = begun()
    peer.proposal(0, V)
    assert peer.prevotes(0, V, 0) == []
    actions = peer.prevotes(0, V, 1)
    assert actions[:3] == [Remember(False, 0, V), Remember(True, 0, V), CastVote(PRECOMMIT, 0, V)]
    assert peer.consensus.locked == peer.consensus.valid == (V, 0)
    assert peer.prevotes(0, V, 2) == [], "once only"


def test_line_36_needs_the_proposal() -> None:
    peer = begun()
    peer.timeout(PROPOSE, 0)
    peer.prevotes(0, V, 0, 1, 2)
    assert peer.consensus.locked is None
    assert CastVote(PRECOMMIT, 0, V) in peer.proposal(0, V)


def test_line_36_a_quorum_for_an_invalid_value_is_no_polka() -> None:
    peer = begun()
    peer.proposal(0, V, is_valid=False)
    peer.prevotes(0, V, 0, 1, 2)
    assert (peer.consensus.locked, peer.consensus.valid) == (None, None)


def test_line_36_a_quorum_that_does_not_prove_the_sum_waits_for_one_that_does() -> None:
    peer = Peer(proves=lambda value, votes: len(votes) == 4)
    peer.begin()
    peer.proposal(0, V)
    peer.prevotes(0, V, 0, 1)
    assert peer.consensus.locked is None
    assert CastVote(PRECOMMIT, 0, V) in peer.prevotes(0, V, 2)


def test_line_42_a_polka_that_comes_after_the_precommit_sets_the_valid_value_only() -> None:
    peer = begun()
    peer.proposal(0, V)
    peer.prevotes(0, None, 0, 1)
    peer.timeout(PREVOTE, 0)
    assert peer.consensus.stage is PRECOMMIT
    late = peer.votes([prevote(peer.ids[2], 0, V)])
    assert late == [], "two prevotes for V are no polka"
    assert (peer.consensus.locked, peer.consensus.valid) == (None, None)

    peer = begun(n=7, place=6)
    peer.proposal(0, V)
    peer.prevotes(0, V, 0, 1, 2)
    peer.prevotes(0, None, 3)
    peer.timeout(PREVOTE, 0)
    assert peer.prevotes(0, V, 4) == [Remember(False, 0, V)]
    assert (peer.consensus.locked, peer.consensus.valid) == (None, (V, 0))


def test_line_44_a_quorum_of_nil_prevotes_is_answered_with_a_nil_precommit() -> None:
    peer = begun()
    peer.timeout(PROPOSE, 0)
    assert CastVote(PRECOMMIT, 0, None) in peer.prevotes(0, None, 0, 1)
    assert peer.consensus.stage is PRECOMMIT


def test_line_44_waits_for_the_step_prevote() -> None:
    peer = begun()
    assert peer.prevotes(0, None, 0, 1, 2) == []


def test_line_47_a_quorum_of_any_precommits_starts_the_precommit_timeout_once() -> None:
    peer = begun()
    assert peer.precommits(0, V, 0, 1) == []
    assert peer.precommits(0, None, 2) == [StartTimeout(PRECOMMIT, 0)], "not at once: V may get a third"
    assert StartTimeout(PRECOMMIT, 0) not in peer.timeout(PROPOSE, 0) + peer.timeout(PREVOTE, 0)


@pytest.mark.parametrize("first", [None, V])
def test_line_47_does_not_wait_where_a_quorum_of_precommits_shows_that_nothing_can_be_decided(
    first: bytes | None,
) -> None:
    peer = begun()
    actions = peer.precommits(0, first, 0) + peer.precommits(0, None, 1, 2)
    assert StartTimeout(PRECOMMIT, 0, at_once=True) in actions
    assert peer.precommits(0, None, 3) == [], "once only"


@pytest.mark.parametrize("view", [0, 1, 4])
def test_line_49_a_quorum_of_precommits_decides_in_whatever_round_they_are(view: int) -> None:
    peer = begun()
    peer.timeout(PRECOMMIT, 0)
    peer.timeout(PRECOMMIT, 1)
    peer.proposal(view, V)
    actions = peer.precommits(view, V, 0, 1, 2)
    assert Decide(V, view) in actions
    assert peer.consensus.decided == V


def test_line_49_needs_the_proposal_and_that_it_is_valid() -> None:
    peer = begun()
    peer.precommits(0, V, 0, 1, 2)
    assert peer.consensus.decided is None
    assert peer.consensus.certificate() == (V, 0)
    peer.proposal(0, V, is_valid=False)
    assert peer.consensus.decided is None


def test_line_49_precommits_of_different_rounds_do_not_add_up() -> None:
    peer = begun()
    peer.proposal(0, V)
    peer.proposal(1, V)
    peer.precommits(0, V, 0, 1)
    peer.precommits(1, V, 2)
    assert peer.consensus.decided is None
    assert peer.consensus.certificate() is None


@pytest.mark.parametrize("is_judged", [False, True])
def test_line_49_nothing_is_done_after_the_decision(is_judged: bool) -> None:
    """Be it one's own or that of a certificate for a block that could not be judged here."""
    peer = begun()
    if is_judged:
        peer.proposal(0, V)
    peer.precommits(0, V, 0, 1, 2)
    if not is_judged:
        assert peer.consensus.certificate() == (V, 0)
        assert peer.consensus.on_certificate(V, 0) == [Decide(V, 0)]
    later = [
        *peer.proposal(0, V),
        *peer.prevotes(0, V, 0, 1, 2),
        *peer.timeout(PROPOSE, 0),
        *peer.timeout(PRECOMMIT, 0),
        *peer.precommits(5, W, 0, 1, 2),
        *peer.proposal(1, W),
    ]
    assert later == []
    assert peer.consensus.decided == V


def test_line_55_votes_of_more_than_f_members_from_later_rounds_move_on_to_them() -> None:
    peer = begun()
    assert peer.prevotes(5, V, 0) == []
    assert NewView(3) in peer.precommits(3, None, 1), "two members are in view 3 or later"
    assert peer.consensus.view == 3


def test_line_55_one_member_alone_moves_nobody_however_much_it_says() -> None:
    peer = begun()
    for view in (1, 2, 3, 1_000, 2**31):
        peer.prevotes(view, V, 0)
        peer.precommits(view, V, 0)
    assert peer.consensus.view == 0


def test_line_55_nobody_is_moved_to_the_last_views_that_there_are() -> None:
    """With f = 0 one member moves everybody, and after the last view nobody could say anything."""
    peer = begun(n=3, place=2)
    peer.prevotes(LAST_VIEW_TO_SKIP_TO + 1, None, 0)
    peer.precommits(2**31, None, 1)
    assert peer.consensus.view == 0
    peer.prevotes(LAST_VIEW_TO_SKIP_TO, None, 0)
    assert peer.consensus.view == LAST_VIEW_TO_SKIP_TO


def test_line_57_no_proposal_in_time_is_answered_with_a_nil_prevote() -> None:
    peer = begun()
    assert peer.timeout(PROPOSE, 0) == [CastVote(PREVOTE, 0, None)]
    assert peer.consensus.stage is PREVOTE
    assert peer.proposal(0, V) == [], "the prevote of this view is cast"


def test_line_57_who_has_nothing_to_decide_waits_for_a_proposal_once_more_than_f_others_have_voted() -> None:
    """The others' quorum may need its nil prevote."""
    peer = Peer()
    peer.carry_out(peer.consensus.start())
    assert peer.prevotes(0, None, 0) == [], "one may lie"
    assert peer.precommits(0, None, 0) == []
    assert peer.prevotes(0, None, 1) == [StartTimeout(PROPOSE, 0)]
    assert peer.timeout(PROPOSE, 0)[0] == CastVote(PREVOTE, 0, None)


@pytest.mark.parametrize("view", [0, 3])
def test_votes_of_more_than_f_others_make_a_proposer_propose_in_the_view_that_they_are_in(view: int) -> None:
    peer = Peer(place=view)
    peer.carry_out(peer.consensus.start())
    voters = [place for place in range(4) if place != view]
    assert peer.prevotes(view, None, voters[0]) == []
    acts = peer.prevotes(view, None, voters[1])
    assert [act for act in acts if not isinstance(act, NewView | CastVote)] == [
        ProposeNow(view, None, -1),
        StartTimeout(PROPOSE, view),
    ]


def test_line_61_no_polka_in_time_is_answered_with_a_nil_precommit() -> None:
    peer = begun()
    peer.proposal(0, V)
    assert peer.timeout(PREVOTE, 0) == [CastVote(PRECOMMIT, 0, None)]
    assert peer.consensus.stage is PRECOMMIT


def test_line_65_no_decision_in_time_starts_the_next_round() -> None:
    peer = begun()
    assert peer.timeout(PRECOMMIT, 0) == [
        NewView(1),
        CastVote(PREVOTE, 0, None),
        CastVote(PRECOMMIT, 0, None),
        StartTimeout(PROPOSE, 1),
    ]


def casts(actions: Iterable[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, CastVote)]


def test_who_leaves_a_view_votes_there_first_for_what_the_others_may_need_it() -> None:
    """A liar's votes may have brought it on that nobody else has seen."""
    peer = begun()
    peer.proposal(0, V)
    assert casts(peer.timeout(PRECOMMIT, 0)) == [CastVote(PRECOMMIT, 0, None)], "it had cast its prevote"
    peer = begun()
    peer.proposal(0, V)
    peer.prevotes(0, V, 0, 1)
    assert casts(peer.timeout(PRECOMMIT, 0)) == [], "it had cast both"
    peer = begun()
    skipped = peer.prevotes(5, None, 0, 1)
    assert casts(skipped) == [CastVote(PREVOTE, 4, None), CastVote(PRECOMMIT, 4, None)]
    assert skipped.index(NewView(5)) == 0, "in the new view already: it does not answer what comes of these votes"


@pytest.mark.parametrize("stage", list(Stage))
def test_lines_57_to_65_a_timeout_of_another_view_or_step_changes_nothing(stage: Stage) -> None:
    peer = begun()
    peer.timeout(PRECOMMIT, 0)
    peer.timeout(PRECOMMIT, 1)
    assert peer.timeout(stage, 1) == []
    assert peer.timeout(stage, 3) == []
    if stage is PREVOTE:
        assert peer.timeout(stage, 2) == []
    assert (peer.consensus.view, peer.consensus.stage) == (2, PROPOSE)


def test_the_table_above_names_the_tests() -> None:
    assert __doc__ is not None
    named = re.findall(r"test_line_\w+", __doc__)
    assert len(named) == 18
    assert set(named) <= set(globals())


# Quorums of any committee.


@pytest.mark.parametrize("n", range(1, 14))
def test_a_committee_of_any_size_decides_with_a_quorum_and_not_with_one_less(n: int) -> None:
    peer = begun(n, place=n - 1)
    quorum = peer.consensus.committee.quorum
    peer.proposal(0, V)
    others = range(quorum - 1)  # with its own vote that makes a quorum
    peer.prevotes(0, V, *others[:-1])
    assert (peer.consensus.stage is PRECOMMIT) == (n == 1)
    peer.prevotes(0, V, *others[-1:])
    assert peer.consensus.stage is PRECOMMIT
    peer.precommits(0, V, *others[:-1])
    assert (peer.consensus.decided is None) == (n > 1)
    peer.precommits(0, V, *others[-1:])
    assert peer.consensus.decided == V


@pytest.mark.parametrize("n", range(2, 14))
def test_skipping_ahead_takes_one_more_than_f_members(n: int) -> None:
    peer = begun(n, place=n - 1)
    f = peer.consensus.committee.f
    peer.prevotes(2, V, *range(f))
    assert peer.consensus.view == 0
    peer.prevotes(2, V, f)
    assert peer.consensus.view == 2


def test_a_repeated_vote_does_not_count_again() -> None:
    peer = begun()
    peer.proposal(0, V)
    for _ in range(5):
        peer.prevotes(0, V, 0)
        peer.precommits(0, V, 0, 1)
    assert (peer.consensus.locked, peer.consensus.decided) == (None, None)


def test_a_second_vote_of_a_sender_for_another_block_does_not_count_and_is_evidence() -> None:
    peer = begun()
    peer.proposal(0, V)
    peer.precommits(0, W, 0)
    second = precommit(peer.ids[0], 0, V)
    earlier = peer.consensus.conflicting(second)
    assert earlier is not None
    assert earlier.message == precommit(peer.ids[0], 0, W).message
    peer.votes([second])
    peer.precommits(0, V, 1, 2)
    assert peer.consensus.decided is None


def test_a_prevote_and_a_precommit_of_a_sender_are_no_evidence() -> None:
    peer = begun()
    peer.prevotes(0, V, 0)
    assert peer.consensus.conflicting(precommit(peer.ids[0], 0, W)) is None
    assert peer.consensus.conflicting(prevote(peer.ids[0], 1, W)) is None
    assert peer.consensus.conflicting(prevote(peer.ids[0], 0, V)) is None


def test_votes_of_outsiders_do_not_count() -> None:
    peer = begun()
    peer.proposal(0, V)
    outsiders = [one for one in members(12) if one.public not in peer.consensus.committee.members]
    peer.votes(precommit(one, 0, V) for one in outsiders)
    peer.votes(prevote(one, 7, V) for one in outsiders)
    assert peer.consensus.view == 0
    assert peer.consensus.precommits(0) == {}
    assert peer.consensus.decided is None


def test_only_the_first_proposal_of_a_view_counts() -> None:
    peer = begun()
    peer.proposal(0, V)
    peer.proposal(0, W)
    peer.prevotes(0, W, 0, 1, 2)
    assert peer.consensus.locked is None


def test_who_is_not_of_the_committee_watches_and_decides_with_the_others() -> None:
    peer = Peer()
    peer.consensus.me = block("the key of somebody else")
    peer.consensus.start()
    assert not peer.consensus.takes_part
    assert not any(isinstance(action, ProposeNow) for action in peer.consensus.on_ready())
    peer.consensus.on_proposal(0, V, -1, True)
    for place in range(3):
        peer.consensus.on_vote(precommit(peer.ids[place], 0, V))
    assert peer.consensus.decided == V


# Bounds.


def test_a_flood_of_votes_from_future_views_is_not_kept() -> None:
    peer = begun()
    for view in range(1, 20 * VIEW_WINDOW):
        peer.prevotes(view, V, 0)
        peer.proposal(view, V)
    assert peer.consensus.prevotes(VIEW_WINDOW)
    assert not peer.consensus.prevotes(VIEW_WINDOW + 1)
    assert len(peer.consensus._views) == VIEW_WINDOW + 1


def test_votes_that_were_too_far_ahead_to_be_kept_still_count_for_moving_on() -> None:
    peer = begun()
    peer.prevotes(5_000, V, 0)
    peer.prevotes(4_000, V, 1)
    assert peer.consensus.view == 4_000


def test_old_views_are_forgotten_but_for_those_of_the_lock_and_the_valid_value() -> None:
    peer = begun()
    last = 3 * VIEW_HISTORY
    for view in range(last):
        if view == 2:
            peer.proposal(view, V)
            peer.prevotes(view, V, 0, 1)
        peer.precommits(view, None, 0)
        peer.timeout(PRECOMMIT, view)
    assert set(peer.consensus._views) == {2, *range(last - VIEW_HISTORY + 1, last + 1)}
    assert len(peer.consensus.prevotes(2)) == 3, "what a proposal of the valid value carries"


def test_votes_of_a_forgotten_view_are_not_kept_again() -> None:
    peer = begun()
    peer.prevotes(3 * VIEW_HISTORY, V, 0, 1)
    peer.prevotes(1, V, 0, 1, 2)
    assert not peer.consensus.prevotes(1)


def test_a_polka_older_than_the_history_is_enough_for_a_proposal_that_brings_it_along() -> None:
    """Or whoever locked long ago and whoever has forgotten why would wait for each other for ever."""
    peer = begun()
    late = VIEW_HISTORY + 9
    peer.prevotes(late, None, 0, 1)
    assert peer.consensus.view == late
    assert CastVote(PREVOTE, late, V) in peer.proposal(late, V, 1, polka=(0, 1, 2))


def test_a_polka_that_a_proposal_brings_counts_where_its_sender_told_this_member_something_else() -> None:
    """Or one that votes twice could lock one member on a value that no other could ever accept."""
    peer = begun()
    peer.prevotes(0, None, 0)
    peer.prevotes(0, V, 1)
    peer.timeout(PRECOMMIT, 0)
    assert CastVote(PREVOTE, 1, V) in peer.proposal(1, V, 0, polka=(0, 1, 2))


def test_only_prevotes_of_members_for_the_value_in_its_valid_view_make_the_polka_that_a_proposal_brings() -> None:
    peer = begun()
    peer.timeout(PRECOMMIT, 0)
    peer.timeout(PRECOMMIT, 1)
    good = [prevote(peer.ids[place], 1, V) for place in (0, 1)]
    outsider = next(one for one in members(9) if one.public not in peer.consensus.committee.members)
    strays = [
        prevote(peer.ids[2], 1, W),
        prevote(peer.ids[2], 0, V),
        precommit(peer.ids[2], 1, V),
        prevote(outsider, 1, V),
    ]
    assert peer.carry_out(peer.consensus.on_proposal(2, V, 1, True, good + strays)) == []


# Restarts.


def restarted(before: Peer, view: int, stage: Stage) -> Peer:
    """What :class:`.agreement.Agreement` makes of durable votes, the lock and the valid value."""
    after = Peer(before.n, before.place)
    for value, locked in ((before.consensus.locked, True), (before.consensus.valid, False)):
        if value is not None:
            after.consensus.restore_value(*value, locked)
    after.consensus.restore_step(view, stage)
    return after


def test_after_a_restart_it_goes_on_in_the_step_after_its_last_vote() -> None:
    after = restarted(locked_on(V), 0, PRECOMMIT)
    assert after.begin() == [NewView(0)]


def test_after_a_restart_no_time_runs_out_before_a_quorum_of_votes_is_there_again() -> None:
    after = restarted(locked_on(V), 0, PRECOMMIT)
    assert not any(isinstance(action, StartTimeout) for action in after.begin() + after.precommits(0, None, 0, 1))
    assert StartTimeout(PRECOMMIT, 0) in after.precommits(0, None, 2)


def test_after_a_restart_no_vote_is_cast_a_second_time() -> None:
    after = restarted(locked_on(V), 0, PRECOMMIT)
    after.begin()
    again = after.proposal(0, W) + after.prevotes(0, W, 0, 1, 2) + after.timeout(PROPOSE, 0) + after.timeout(PREVOTE, 0)
    assert not any(isinstance(action, CastVote) for action in again)


def test_after_a_restart_the_lock_still_holds() -> None:
    after = restarted(locked_on(V), 0, PRECOMMIT)
    after.begin()
    after.timeout(PRECOMMIT, 0)
    assert CastVote(PREVOTE, 1, None) in after.proposal(1, W)


def test_after_a_restart_in_view_0_before_any_vote_it_begins_as_if_nothing_had_been() -> None:
    assert restarted(begun(place=0), 0, PROPOSE).begin() == Peer(place=0).begin()
