"""How many curious parties a generation bears, what a coin finds, and what comes of a run that is made again."""

from dataclasses import replace
from functools import cache
from math import gcd
from typing import Any

import gmpy2
import pytest
from parties import Outcome, in_force, key_party, machine, members, plan_seat, run, seed, shares_of, small_plan

from coterie.crypto.paillier.arithmetic import split
from coterie.crypto.paillier.errors import RunBefore
from coterie.crypto.paillier.generation import joint, sieving
from coterie.crypto.paillier.generation.joint import JointKey, Plan, joint_key
from coterie.crypto.paillier.generation.sieving import Candidate, sieve_of
from coterie.crypto.paillier.rounds.lockstep import Inbox, Message, Script
from coterie.crypto.prng import derive

LIAR = 1

# Curious parties


def watched(script: Script[Any], seen: list[Inbox]) -> Script[Any]:
    """The same script; all that arrives is kept."""
    try:
        sent = next(script)
        while True:
            seen.append((yield sent))
            sent = script.send(seen[-1])
    except StopIteration as end:
        return end.value


def factor_seen_by(curious: int) -> int:
    """A factor of the first candidate, from what that many of six parties saw, by interpolation."""
    plan = small_plan(1, 6, 3, 2)
    seen: dict[int, list[Inbox]] = {party: [] for party in range(6)}

    def script(me: int) -> Script[list[Candidate]]:
        return (yield from sieving.draw_candidates(plan, me, seed(me), b""))[0]

    outcome = run([machine(plan.lockstep_session(), 6, i, watched(script(i), seen[i])) for i in range(6)])
    field = sieve_of(512, 6).field
    size = -(-int(field - 1).bit_length() // 8)
    shares = {}
    for party in range(curious):
        dealt = [split(data, size, field)[0] for data in seen[party][3].private]  # round 3 deals shares of p
        shares[party + 1] = sum(dealt) % field
    guess = 0
    for i, share in shares.items():
        above = below = 1
        for j in shares:
            if j != i:
                above, below = above * -j, below * (i - j)
        guess += share * above * gmpy2.invert(below, field)
    return gcd(int(guess % field), int(outcome.results[0][0].modulus))


def test_more_than_half_the_parties_can_factor_the_modulus_by_what_they_saw_whatever_the_threshold() -> None:
    """Three of six, where a threshold of four would promise that three cannot decrypt."""
    assert factor_seen_by(3) > 1


def test_fewer_than_half_the_parties_saw_no_factor() -> None:
    assert factor_seen_by(2) == 1


@pytest.mark.parametrize("parties", range(3, 11))
def test_a_plan_promises_no_more_than_its_generation_bears(parties: int) -> None:
    most = (parties - 1) // 2 + 1
    assert Plan(bytes(32), parties, most, members=members(parties)).threshold == most
    with pytest.raises(ValueError, match="can factor N"):
        Plan(bytes(32), parties, most + 1, members=members(parties))


# A coin


def lifting_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The liar chooses its shares of p and q itself, by a rule of its own, and not as its seed says."""
    honest = sieving._lift

    def lift(plan: Plan, me: int, residue: int, draws: Any) -> int:
        sieve = sieve_of(plan.bits, plan.parties)
        share = honest(plan, me, residue, draws)
        return share % (sieve.modulus * sieve.fixed) if lies and me == LIAR else share

    lies = [True]
    honest_audit = joint.audit

    def audit(*arguments: Any) -> Any:
        lies.clear()  # the replay is honest
        return honest_audit(*arguments)

    monkeypatch.setattr(sieving, "_lift", lift)
    monkeypatch.setattr(joint, "audit", audit)


@cache
def one_key() -> Plan:
    return small_plan(10, 3, 2, 150)


@cache
def one_of_two() -> Plan:
    return small_plan(13, 3, 2, 150, keys=2)


def made(plan: Plan) -> Outcome[JointKey]:
    return run([key_party(plan, i) for i in range(plan.parties)])


def test_a_party_that_chooses_its_shares_itself_stays_unseen_where_one_key_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lifting_its_own(monkeypatch)
    outcome = made(one_key())
    assert outcome.aborted == {}
    assert all(share.matches(outcome.results[0].group) for share in shares_of(outcome, one_key()).values())


def test_a_party_that_chooses_its_shares_itself_is_named_where_a_coin_chooses_one_of_two_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lifting_its_own(monkeypatch)
    outcome = made(one_of_two())
    for party in (0, 2):
        assert outcome.aborted[party].culprits == (LIAR,)
        assert party not in outcome.results


def test_a_key_that_a_coin_chose_is_as_good_as_any() -> None:
    outcome = made(one_of_two())
    epoch = in_force(outcome, one_of_two())
    assert all(share.matches(epoch.group) for share in shares_of(outcome, one_of_two()).values())


def test_the_seed_of_the_chosen_key_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[bytes] = []
    opened: set[bytes] = set()
    honest_audit = joint.audit

    def audit(attempts: Any, me: int, *rest: Any) -> Any:
        if me == 0:
            opened.update(attempt.seed for attempt in attempts)
        return honest_audit(attempts, me, *rest)

    def listen(sender: int, message: Message) -> bytes:
        published.append(message.data)
        return message.data

    monkeypatch.setattr(joint, "audit", audit)
    parties = [key_party(one_of_two(), i) for i in range(3)]
    run(parties, listen)
    everything = b"".join(published)
    assert all(secret in everything for secret in opened)
    labels = [b"attempt %d|" % number + parties[0]._run for number in range(len(opened) + 1)]
    kept = {derive(seed(0), label) for label in labels} - opened
    assert len(kept) == 1
    assert kept.pop() not in everything


# A run that is made again


def candidate_of(shifted: bool) -> int:
    """The first candidate where all parties draw what they have drawn before; the liar adds to its share of p."""
    plan, honest = small_plan(5, 3, 2, 2), sieving._lift
    sieve = sieve_of(512, 3)
    calls = dict.fromkeys(range(3), 0)

    def lift(plan: Plan, me: int, residue: int, draws: Any) -> int:
        calls[me] += 1
        first = me == LIAR and calls[me] == 1
        return honest(plan, me, residue, draws) + (sieve.modulus * sieve.fixed if shifted and first else 0)

    def script(me: int) -> Script[list[Candidate]]:
        return (yield from sieving.draw_candidates(plan, me, seed(me), b""))[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sieving, "_lift", lift)
        outcome = run([machine(plan.lockstep_session(), 3, i, script(i)) for i in range(3)])
    return int(outcome.results[0][0].modulus)


def test_draws_that_are_made_again_show_a_factor_to_a_party_that_changes_its_own() -> None:
    """Why a session is run once, and a seed is fresh: seats and rule 1 of the documents."""
    assert gcd(candidate_of(False), candidate_of(True)) > 1


def test_a_generation_is_not_begun_twice() -> None:
    plan, book = one_key(), set[bytes]()

    def note(session: bytes) -> bool:
        known = session in book
        book.add(session)
        return not known

    seat = plan_seat(plan, 0, book=note)
    joint_key(plan, 0, seed(0), seat)
    for begin in (lambda: joint_key(plan, 0, seed(5), seat), lambda: plan_seat(plan, 0, book=note)):
        with pytest.raises(RunBefore):
            begin()
    assert plan_seat(replace(plan, session=bytes(32)), 0, book=note).me == 0


def test_another_nonce_of_one_party_gives_all_of_them_other_draws() -> None:
    """So a run that a restored copy of a home begins again is another run for the others, too."""

    def attempt_of(nonce: bytes) -> bytes:
        drawn: list[bytes] = []
        honest = joint._attempt

        def attempt(plan: Plan, number: int, me: int, own: bytes) -> Any:
            if me == 0:
                drawn.append(own)
            return honest(plan, number, me, own)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(joint, "_attempt", attempt)
            parties = [key_party(one_key(), i) for i in range(3)]
            parties[2]._own = replace(parties[2]._own, public=nonce)
            run(parties)
        return drawn[0]

    assert attempt_of(bytes(32)) != attempt_of(bytes([1] * 32))
