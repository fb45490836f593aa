"""A failed sum is repeated by exactly its contributors, and by the committee that held it: the ledger itself says so.

A sum that was decided on and has no result may have been opened by somebody all the same. A second sum on the same base
model over other contributors would give away what the difference is.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from chains import Chain, digest
from ledgers import changed, double_vote, joined, key
from members import identity

from coterie.protocol.ledger import state as ledger
from coterie.protocol.ledger.bases import Bases, Repeat
from coterie.protocol.ledger.blocks import Contributors, Evict, Membership, Void
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.contribution import WIDE_UNIT
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerError, LedgerState, apply

SUMMED = (0, 1, 2, 4, 5)
"""Places of the contributors to the failed sum, among seven members: f is 2, K is 3."""


@pytest.fixture
def weakened() -> Iterator[pytest.MonkeyPatch]:
    """Bends the ledger, whose answers are kept for a while."""
    with pytest.MonkeyPatch.context() as bent:
        yield bent
    apply.cache_clear()


def failed(proved: bool = False, **changes: object) -> Chain:
    """Seven members, of which five contributed to a sum that had no result."""
    chain = Chain(7, **{"min_peers": 3} | changes)
    chain.append(chain.contributors(dealers=SUMMED))
    chain.append(chain.refuted() if proved else chain.void())
    return chain


def summed(chain: Chain) -> tuple[bytes, ...]:
    return tuple(chain.states[1].committee.members[place] for place in SUMMED)


def number_of(member: bytes) -> int:
    return next(number for number in range(32) if key(number) == member)


def by(chain: Chain, members: tuple[bytes, ...]) -> Contributors:
    """These members contribute to the sum of the current round."""
    return chain.contributors(dealers=sorted(chain.state.committee.members.index(one) for one in members))


def refused(chain: Chain, body: object, why: str) -> None:
    before = chain.state
    with pytest.raises(LedgerError, match=why):
        chain.append(body)  # type: ignore[arg-type]
    assert chain.state is before


@pytest.mark.parametrize("proved", [False, True], ids=["not opened", "none of encodings"])
def test_a_failed_sum_is_repeated_by_exactly_its_contributors(proved: bool) -> None:
    chain = failed(proved)
    assert chain.state.required == summed(chain)
    everyone = chain.state.committee.members
    for others in (everyone, summed(chain)[:-1], everyone[:5], (*summed(chain), everyone[3])):
        refused(chain, by(chain, others), "a sum on the same base model has other contributors")
    assert chain.append(by(chain, summed(chain))).phase is Phase.SUMMING


def test_sums_over_two_sets_that_differ_in_one_member_give_its_update_away_where_the_ledger_lets_them_be(
    weakened: pytest.MonkeyPatch,
) -> None:
    def difference() -> float:
        """What a colluding opener of the failed sum and the ledger show together: the second count less the first."""
        chain = failed()
        chain.append(by(chain, (*summed(chain), chain.state.committee.members[3])))
        state = chain.append(chain.model(60 + 7, 60 + 7, 1, 2))
        assert state.sums is not None
        return state.sums[1] / WIDE_UNIT - 60

    with pytest.raises(LedgerError, match="has other contributors"):
        difference()
    weakened.setattr(LedgerState, "required", None)
    apply.cache_clear()
    assert difference() == 7, "the examples of the member that came in"


def test_where_no_sum_was_decided_on_nothing_is_repeated() -> None:
    chain = Chain(7, min_peers=3)
    chain.append(chain.void())
    assert (chain.state.repeat, chain.state.required) == (None, None)
    assert chain.append(chain.contributors()).phase is Phase.SUMMING


def test_a_repetition_that_fails_again_or_lacks_shares_is_still_of_the_first_sum() -> None:
    chain = failed()
    first = chain.state.repeat
    for end in ("shares", "sum", "encoding"):
        if end != "shares":
            chain.append(by(chain, summed(chain)))
        chain.append(chain.refuted() if end == "encoding" else chain.void())
        assert chain.state.repeat == first == Repeat(summed(chain), chain.states[1].committee.members, 3)


def test_a_plain_sum_is_repeated_with_whom_it_likes() -> None:
    chain = failed(scheme="plain")
    assert chain.state.required is None
    assert chain.append(chain.contributors()).phase is Phase.SUMMING


def test_a_model_ends_what_is_to_be_repeated() -> None:
    chain = failed()
    chain.append(by(chain, summed(chain)))
    chain.append(chain.model())
    assert (chain.state.repeat, chain.state.required) == (None, None)
    chain.append(Membership((chain.leave(identity(number_of(summed(chain)[0]))),)))
    assert chain.append(chain.contributors()).phase is Phase.SUMMING


@pytest.mark.parametrize("liars", [1, 2])
def test_proven_liars_are_left_out_of_the_repetition_and_nobody_else(liars: int) -> None:
    chain = failed()
    out = summed(chain)[:liars]
    chain.append(Membership(tuple(double_vote(chain, number_of(one)) for one in out)))
    assert chain.state.required == summed(chain)[liars:]
    refused(chain, by(chain, summed(chain)), "has other contributors")
    if liars == 1:
        assert chain.append(by(chain, summed(chain)[liars:])).phase is Phase.SUMMING


def test_newcomers_wait_until_the_base_model_has_moved_on_and_k_stays_what_it_was() -> None:
    """With them K would rise, and the contributors of the failed sum could be too few for ever."""
    chain = failed()
    before = chain.state.committee
    chain.append(joined(chain, 10, 11, 12, 13))
    chain.append(chain.void())
    assert chain.state.committee.members == before.members
    assert chain.state.committee.threshold == before.threshold == 3
    assert len(chain.state.keys) == 11
    chain.append(by(chain, summed(chain)))
    chain.append(chain.model())
    assert chain.state.committee.members == chain.state.keys
    assert chain.state.committee.threshold == 5


def test_a_newcomer_could_make_the_repetition_impossible_where_it_came_in_at_once(
    weakened: pytest.MonkeyPatch,
) -> None:
    def admitted() -> LedgerState:
        chain = failed()
        chain.append(joined(chain, 10, 11, 12, 13))
        chain.append(chain.void())
        return chain.append(by(chain, summed(chain)))

    assert admitted().phase is Phase.SUMMING
    weakened.setattr(ledger, "_committee_of", lambda state: Committee(state.keys, state.genesis.threshold))
    apply.cache_clear()
    with pytest.raises(LedgerError, match="contributors while waiting"):
        admitted()


def test_a_contributor_of_a_failed_sum_leaves_after_its_repetition_and_others_at_once() -> None:
    chain = failed()
    contributor = identity(number_of(summed(chain)[0]))
    refused(chain, Membership((chain.leave(contributor),)), "has to be repeated with this member first")
    other = identity(number_of(chain.state.committee.members[3]))
    assert other.public not in chain.append(Membership((chain.leave(other),))).keys
    chain.append(by(chain, summed(chain)))
    chain.append(chain.model())
    assert contributor.public not in chain.append(Membership((chain.leave(contributor),))).keys


def test_a_contributor_of_a_failed_sum_is_not_evicted_as_silent() -> None:
    """Or a proposer that need only wait could choose who is left out of the repetition."""
    chain = failed(evict_after_rounds=3)
    chain.with_(members=tuple(replace(one, missed=9) for one in chain.state.members))
    refused(chain, Membership((Evict(summed(chain)[0], "silent", ()),)), "has to be repeated with this member first")
    other = chain.state.committee.members[3]
    assert other not in chain.append(Membership((Evict(other, "silent", ()),))).keys


def test_where_too_few_contributors_are_left_the_federation_waits_and_sums_nothing_else() -> None:
    chain = failed()
    chain.append(Membership(tuple(double_vote(chain, number_of(one)) for one in summed(chain)[:2])))
    state = chain.append(chain.void())
    assert state.is_stuck
    assert (state.phase, len(state.keys)) == (Phase.WAITING, 5)
    assert state.committee.members == state.keys, "they still decide on who comes and goes"
    refused(chain, chain.contributors(), "contributors while waiting")
    state = chain.append(joined(chain, 10, 11, 12))
    assert (state.phase, state.is_stuck) == (Phase.WAITING, True), "newcomers do not make up for them"


# A sum that is none of encodings.


def test_a_void_that_votes_proved_names_its_sum_and_others_name_none() -> None:
    chain = Chain(7, min_peers=3)
    refused(chain, Void(1, "shares", (), b"s" * 32), "a void with the wrong claim of a sum")
    refused(chain, Void(1, "encoding", (), b"s" * 32), "void for encoding while sharing")
    chain.append(chain.contributors())
    refused(chain, Void(1, "encoding", ()), "a void with the wrong claim of a sum")
    refused(chain, changed(chain.void(), vector_hash=b"s" * 32), "a void with the wrong claim of a sum")
    assert chain.append(chain.refuted()).round == 2


def test_evidence_of_a_wrong_sum_is_judged_against_a_proved_void_as_against_a_model() -> None:
    chain = failed(proved=True)
    settled = chain.state.settled
    assert settled is not None
    assert (settled.height, settled.block) == (chain.state.height, chain.state.head)
    assert settled.committee == chain.states[1].committee


def test_a_void_without_proof_settles_nothing() -> None:
    chain = Chain(7, min_peers=3)
    chain.round()
    before = chain.state.settled
    chain.append(chain.contributors())
    assert chain.append(chain.void()).settled is before


def back_again() -> Chain:
    """The model of the third round is that of the first one, to which four of five members contributed."""
    chain = Chain(5)
    base = chain.state.weights_hash
    chain.append(chain.contributors(dealers=[0, 1, 2, 3]))
    chain.append(chain.model(weights=digest("moved")))
    assert chain.state.repeat is None, "on another model anybody may contribute"
    chain.append(chain.contributors(dealers=[0, 1, 2, 4]))
    chain.append(chain.model(weights=base))
    return chain


def test_a_model_that_becomes_what_it_was_is_summed_over_the_same_contributors_again() -> None:
    chain = back_again()
    assert chain.state.repeat == Repeat(
        tuple(chain.state.committee.members[index] for index in (0, 1, 2, 3)), chain.state.committee.members, 3
    )
    with pytest.raises(LedgerError, match="a sum on the same base model has other contributors"):
        chain.append(chain.contributors(dealers=[1, 2, 3, 4]))
    chain.append(chain.contributors(dealers=[0, 1, 2, 3]))


def test_without_that_memory_it_would_be_summed_over_others(weakened: pytest.MonkeyPatch) -> None:
    weakened.setattr(Bases, "get", lambda self, base: None)
    chain = back_again()
    chain.append(chain.contributors(dealers=[1, 2, 3, 4]))


def test_what_was_decided_on_many_models_is_remembered_and_states_before_do_not_change() -> None:
    repeats = {digest(str(number)): Repeat((digest(f"member {number}"),), (), 2) for number in range(1000)}
    states = [Bases()]
    for base, repeat in repeats.items():
        states.append(states[-1].having(base, repeat))
    assert all(states[-1].get(base) == repeat for base, repeat in repeats.items())
    for number in (0, 1, 255, 256, 257, 999):
        known = [base for base in repeats if states[number].get(base) is not None]
        assert known == list(repeats)[:number]
    assert states[-1].get(digest("never")) is None
    other = Repeat((), (), 3)
    again = states[-1].having(digest("5"), other)
    assert (again.get(digest("5")), states[-1].get(digest("5"))) == (other, repeats[digest("5")])
