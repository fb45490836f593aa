"""Options that the members change on the way: what justifies a change, what does not, and what follows from it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from chains import Chain, digest
from ledgers import OUTSIDER, finished, tampered
from members import identity
from signing import signed

from coterie.crypto.identity.identity import Identity
from coterie.protocol.ledger import options as options_module
from coterie.protocol.ledger.blocks import Amend, Membership
from coterie.protocol.ledger.certificates import extend
from coterie.protocol.ledger.genesis import Stopping
from coterie.protocol.ledger.options import changed, id_of, options_of, told, votes_needed
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerError, LedgerState, apply, genesis_state
from coterie.protocol.limits import PROPOSAL_ROUNDS
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import LeaveRequest, OptionsChange, OptionsProposal, OptionsVote

PROPOSER = identity(1)


def proposal(chain: Chain, who: Identity = PROPOSER, height: int | None = None, **fields: Any) -> Verified:
    """What ``who`` would propose now; ``fields`` are those of the change, or of the proposal."""
    own = {name: fields.pop(name) for name in ("number", "round", "at_ms") if name in fields}
    given = {"number": chain.state.amendments + 1, "round": chain.state.round, "at_ms": 1} | own
    message = OptionsProposal(change=OptionsChange(**(fields or {"rounds": 60})), **given)
    return signed(who, message, chain.state.height + 1 if height is None else height, federation=chain.state.federation)


def vote(chain: Chain, who: Identity, on: Verified, accepts: bool = True, height: int | None = None) -> bytes:
    message = OptionsVote(id_of(on, chain.state.federation), accepts)
    height = chain.state.height + 1 if height is None else height
    return signed(who, message, height, federation=chain.state.federation).raw


def members_of(chain: Chain) -> list[Identity]:
    known = {identity(number).public: identity(number) for number in range(32)}
    return [known[one] for one in chain.state.keys]


def amend(chain: Chain, on: Verified | None = None, voters: list[Identity] | None = None, **fields: Any) -> Amend:
    """The change, justified by the votes of a quorum or of these."""
    on = proposal(chain, **fields) if on is None else on
    who = members_of(chain)[: votes_needed(chain.state)] if voters is None else voters
    return Amend(on.raw, tuple(vote(chain, one, on) for one in who))


def refused(chain: Chain, change: Amend, why: str) -> None:
    before = chain.state
    with pytest.raises(LedgerError, match=why):
        chain.append(Membership((change,)))
    assert chain.state is before


@pytest.fixture
def weakened() -> Iterator[pytest.MonkeyPatch]:
    """Bends the ledger, whose answers are kept for a while."""
    with pytest.MonkeyPatch.context() as bent:
        yield bent
    apply.cache_clear()


# What justifies a change.


def test_a_quorum_changes_the_options_and_everybody_can_replay_it() -> None:
    chain = Chain(4, rounds=2)
    chain.round()
    chain.append(Membership((amend(chain, rounds=5, min_peers=3),)))
    chain.round()
    assert (chain.state.options.rounds, chain.state.options.min_peers, chain.state.kind) == (5, 3, "train")
    again = genesis_state(chain.genesis)
    for block in chain.blocks:
        again = extend(again, block)
    assert again == chain.state


def test_the_founder_alone_decides_while_it_is_alone() -> None:
    chain = Chain(1, min_peers=5)
    state = chain.append(Membership((amend(chain, proposal(chain, identity(0), min_peers=4)),)))
    assert (state.options.min_peers, state.phase) == (4, Phase.WAITING)


def _swapped(chain: Chain) -> Amend:
    change = amend(chain)
    return Amend(change.proposal, (change.votes[1], change.votes[0], *change.votes[2:]))


def _twice(chain: Chain) -> Amend:
    change = amend(chain)
    return Amend(change.proposal, (change.votes[0], change.votes[0], *change.votes[2:]))


def _for_another(chain: Chain) -> Amend:
    return Amend(proposal(chain, rounds=70).raw, amend(chain, rounds=60).votes)


def _at_another_height(chain: Chain) -> Amend:
    """The same words by the same member, signed at another height: another proposal."""
    return Amend(proposal(chain, height=chain.state.height + 2).raw, amend(chain).votes)


def _one_no(chain: Chain) -> Amend:
    on, who = proposal(chain), members_of(chain)
    votes = [vote(chain, one, on, accepts=one is not who[1]) for one in who[: votes_needed(chain.state)]]
    return Amend(on.raw, tuple(votes))


def _forged_vote(chain: Chain) -> Amend:
    change = amend(chain)
    return Amend(change.proposal, (tampered(change.votes[0]), *change.votes[1:]))


FAULTS: list[tuple[str, Callable[[Chain], Amend], str]] = [
    ("one vote less", lambda c: amend(c, voters=members_of(c)[:2]), "2 votes, but exactly 3 are needed"),
    ("one vote more", lambda c: amend(c, voters=members_of(c)), "4 votes, but exactly 3 are needed"),
    ("votes out of order", _swapped, "the voters are not in order, or one votes twice"),
    ("a vote twice", _twice, "the voters are not in order, or one votes twice"),
    ("votes for another proposal", _for_another, "a vote is not on this proposal"),
    ("votes for one of another height", _at_another_height, "a vote is not on this proposal"),
    ("a no among the votes", _one_no, "a vote does not accept the proposal"),
    ("a forged vote", _forged_vote, "vote: bad signature"),
    (
        "a stranger's vote",
        lambda c: amend(c, voters=sorted([*members_of(c)[:2], OUTSIDER], key=lambda one: one.public)),
        "a vote of somebody who is no member",
    ),
    ("a stranger's proposal", lambda c: amend(c, proposal(c, OUTSIDER)), "a proposal of somebody who is no member"),
    ("a forged proposal", lambda c: Amend(tampered(proposal(c).raw), amend(c).votes), "proposal: bad signature"),
    (
        "no proposal at all",
        lambda c: Amend(signed(identity(1), LeaveRequest(1), federation=c.state.federation).raw, amend(c).votes),
        "the proposal is of another kind",
    ),
    ("a number too large", lambda c: amend(c, number=2, rounds=60), "for change 2 of the options, and not 1"),
    ("a round to come", lambda c: amend(c, round=c.state.round + 1, rounds=60), "a proposal of round 2 in round 1"),
    ("nothing that changes", lambda c: amend(c, rounds=c.state.agreed.rounds), "the proposal changes no option"),
]


@pytest.mark.parametrize(("make", "why"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_nothing_less_than_a_quorum_for_this_very_proposal_counts(make: Callable[[Chain], Amend], why: str) -> None:
    chain = Chain(4, rounds=40)
    refused(chain, make(chain), why)
    assert chain.append(Membership((amend(chain),))).agreed.rounds == 60, "while the true one counts"


def test_an_old_proposal_cannot_be_replayed_once_another_was_decided() -> None:
    chain = Chain(4, rounds=40)
    first, other = amend(chain, rounds=60), amend(chain, proposal(chain, identity(2), rounds=50))
    chain.append(Membership((first,)))
    refused(chain, first, "for change 1 of the options, and not 2")
    refused(chain, other, "for change 1 of the options, and not 2")
    assert chain.append(Membership((amend(chain, rounds=50),))).agreed.rounds == 50


def test_two_changes_of_one_number_do_not_fit_into_one_block() -> None:
    chain = Chain(4, rounds=40)
    both = amend(chain, rounds=60), amend(chain, proposal(chain, identity(2), min_peers=3))
    with pytest.raises(LedgerError, match="for change 1 of the options, and not 2"):
        chain.append(Membership(both))


def test_a_proposal_expires() -> None:
    chain = Chain(4)
    change = amend(chain, rounds=60)
    begun = chain.state.round
    chain.with_(round=begun + PROPOSAL_ROUNDS + 1)
    refused(chain, change, f"the proposal of round {begun} has expired: {PROPOSAL_ROUNDS} rounds have passed")
    chain.with_(round=begun + PROPOSAL_ROUNDS)
    assert chain.append(Membership((change,))).agreed.rounds == 60


def test_rounds_that_are_trained_already_are_refused() -> None:
    chain = Chain(4)
    change = amend(chain, rounds=1)
    chain.round()
    refused(chain, change, "the proposal wants 1 rounds, and 1 are trained already")


def test_votes_of_a_member_from_before_it_left_do_not_count_when_it_is_back() -> None:
    chain = Chain(4, rounds=40, min_peers=3)
    gone, on = members_of(chain)[0], proposal(chain, members_of(chain)[1])
    old = vote(chain, gone, on)
    chain.append(Membership((chain.leave(gone),)))
    chain.append(Membership((chain.join(gone),)))
    others = members_of(chain)[1:3]
    change = Amend(on.raw, (old, *(vote(chain, one, on) for one in others)))
    refused(chain, change, "a vote of somebody who is no member")
    again = Amend(on.raw, (vote(chain, gone, on), *change.votes[1:]))
    assert chain.append(Membership((again,))).agreed.rounds == 60


def test_where_the_number_does_not_count_an_old_proposal_comes_back(weakened: pytest.MonkeyPatch) -> None:
    def attack() -> int:
        """A liar keeps the votes of the first change, and shows them again after the members took it back."""
        apply.cache_clear()
        chain = Chain(4, rounds=40)
        first = amend(chain, rounds=60)
        chain.append(Membership((first,)))
        chain.append(Membership((amend(chain, rounds=40),)))
        return chain.append(Membership((first,))).agreed.rounds

    with pytest.raises(LedgerError, match="for change 1 of the options, and not 3"):
        attack()
    honest = options_module.proposed

    def unnumbered(state: LedgerState, one: Verified) -> options_module.Options:
        message = one.message
        assert isinstance(message, OptionsProposal)
        return honest(replace(state, amendments=message.number - 1), one)

    weakened.setattr(options_module, "proposed", unnumbered)
    assert attack() == 60


def test_where_votes_name_no_proposal_a_vote_for_one_counts_for_another(weakened: pytest.MonkeyPatch) -> None:
    def attack() -> int:
        apply.cache_clear()
        chain = Chain(4, rounds=40)
        return chain.append(Membership((_for_another(chain),))).agreed.rounds

    with pytest.raises(LedgerError, match="a vote is not on this proposal"):
        attack()
    weakened.setattr(options_module, "id_of", lambda one, federation: digest("any"))
    weakened.setitem(globals(), "id_of", lambda one, federation: digest("any"))
    assert attack() == 70


# What follows from it.


def test_a_change_counts_from_the_next_round_on() -> None:
    chain = Chain(4, rounds=1)
    chain.round()
    assert chain.state.kind == "evaluate"
    state = chain.append(Membership((amend(chain, rounds=3),)))
    assert (state.kind, state.options.rounds, state.agreed.rounds) == ("evaluate", 1, 3)
    state = chain.round()
    assert (state.kind, state.phase, state.options.rounds) == ("train", Phase.SHARING, 3)


def test_after_the_end_more_rounds_lead_back_to_sharing_and_to_another_end() -> None:
    chain = finished()
    last = chain.state
    state = chain.append(Membership((amend(chain, rounds=3),)))
    assert (state.phase, state.kind, state.round, state.trained) == (Phase.SHARING, "train", last.round, 1)
    assert [chain.round().phase for _ in range(3)] == [Phase.SHARING, Phase.SHARING, Phase.FINISHED]
    assert chain.state.trained == 3


def test_after_the_end_other_options_alone_begin_no_round() -> None:
    chain = finished()
    state = chain.append(Membership((amend(chain, evict_after_rounds=7),)))
    assert (state.phase, state.options.evict_after_rounds) == (Phase.FINISHED, 7)


def test_after_the_end_training_waits_if_members_are_too_few() -> None:
    chain = finished()
    state = chain.append(Membership((amend(chain, rounds=3, min_peers=5),)))
    assert state.phase is Phase.WAITING
    assert chain.append(Membership((chain.join(identity(9)),))).phase is Phase.SHARING


def test_fewer_min_peers_end_a_wait() -> None:
    chain = Chain(4, min_peers=5)
    assert chain.state.phase is Phase.WAITING
    assert chain.append(Membership((amend(chain, min_peers=4),))).phase is Phase.SHARING


def test_members_are_evicted_after_as_many_rounds_as_were_decided() -> None:
    chain = Chain(4, evict_after_rounds=50)
    chain.append(Membership((amend(chain, evict_after_rounds=2),)))
    chain.round()
    assert (chain.genesis.evict_after_rounds, chain.state.options.evict_after_rounds) == (50, 2)


def test_rounds_without_a_better_loss_are_counted_anew() -> None:
    chain = Chain(4, stopping=Stopping(patience=1))
    for loss in (5.0, 5.0):
        chain.append(chain.contributors())
        chain.append(chain.model(40, 40, 10, 10 * loss))
    assert chain.state.has_stopped
    chain.round()
    assert chain.state.phase is Phase.FINISHED
    state = chain.append(Membership((amend(chain, rounds=9),)))
    assert state.progress is not None
    assert (state.phase, state.kind, state.progress.stale, state.progress.loss) == (
        Phase.SHARING,
        "train",
        0,
        chain.states[3].progress.loss,  # type: ignore[union-attr]
    )


# Numbers that must not be added up twice over different members (safety rule 8).


def test_loss_and_metrics_of_an_evaluated_model_are_not_contributed_again() -> None:
    chain = finished()
    assert chain.append(Membership((amend(chain, rounds=3),))).is_measured
    assert not chain.round().is_measured, "another model"


def test_the_final_metrics_are_added_up_once() -> None:
    chain = Chain(4, rounds=1, final_metrics=("accuracy",))
    chain.round()
    first = chain.state.layout.wide
    chain.round()
    chain.append(Membership((amend(chain, rounds=2),)))
    chain.round()
    assert (chain.state.kind, chain.state.tells_final, chain.state.layout.wide) == ("evaluate", False, first - 1)
    assert chain.round().phase is Phase.FINISHED


def test_a_failed_evaluation_is_repeated_with_the_final_metrics_whatever_the_options_say_by_now() -> None:
    chain = Chain(4, rounds=1, final_metrics=("accuracy",))
    chain.round()
    layout = chain.state.layout
    chain.append(Membership((amend(chain, rounds=2),)))
    chain.append(chain.contributors())
    state = chain.append(chain.void())
    assert (state.kind, state.layout, state.options.rounds) == ("evaluate", layout, 2)
    state = chain.round()
    assert (state.kind, state.required) == ("train", None)
    assert not chain.round().tells_final


def test_a_failed_train_sum_is_repeated_as_one_though_training_would_be_over() -> None:
    chain = Chain(4)
    chain.round()
    chain.append(Membership((amend(chain, rounds=2),)))
    chain.append(chain.contributors())
    chain.append(chain.void())
    chain.with_(options=replace(chain.state.options, rounds=1))
    assert chain.state.kind == "train"
    assert chain.round().kind == "evaluate"


def test_a_train_sum_on_an_equal_model_is_repeated_after_the_end() -> None:
    """Two rounds led back to a model on which a sum was decided; then it was evaluated, and training goes on."""
    chain = Chain(4, rounds=2)
    base = chain.state.weights_hash
    chain.append(chain.contributors(dealers=(0, 1, 2)))
    chain.append(chain.model(weights=digest("another")))
    chain.append(chain.contributors())
    chain.append(chain.model(weights=base))
    summed = tuple(chain.states[1].committee.members[place] for place in (0, 1, 2))
    chain.append(chain.contributors(dealers=(0, 1, 2)))
    assert chain.append(chain.model()).phase is Phase.FINISHED
    assert chain.append(Membership((amend(chain, rounds=4),))).required == summed


# In words.


def test_a_change_is_told_as_options_are_typed() -> None:
    change = OptionsChange(rounds=60, evict_after_rounds=7)
    assert told(change) == "--rounds 60, --evict-after 7"
    begun = options_of(Chain(1, rounds=40).genesis)
    assert changed(begun, change).rounds == 60
    assert changed(begun, OptionsChange()) == begun
