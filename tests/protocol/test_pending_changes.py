"""What waits to become a Membership block: bounded, checked again before use, and never in the way of the rest."""

from dataclasses import replace
from typing import Any

import pytest
from chains import Chain, digest
from members import START_MS, identity
from signing import dealing, signed

from coterie.crypto.identity.identity import Identity
from coterie.protocol import pending_changes as pool_module
from coterie.protocol.ledger import state as ledger
from coterie.protocol.ledger import tickets
from coterie.protocol.ledger.blocks import Block, Change, Depart, Evict, Join, Membership, read_block
from coterie.protocol.ledger.state import LedgerState, Member, apply
from coterie.protocol.ledger.tickets import make_invite, read_invite
from coterie.protocol.limits import (
    MAX_BLOCK_BYTES,
    MAX_CHANGES_BYTES,
    MAX_CHANGES_PER_BLOCK,
    MAX_PENDING_EVIDENCE,
    MAX_PENDING_JOINS,
)
from coterie.protocol.messages import envelope
from coterie.protocol.messages.encoding import encode
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import Ack, Complaint, JoinRequest, LeaveRequest, Precommit
from coterie.protocol.pending_changes import CLOCK_SKEW_MS, PendingChanges, invite_expired

NOW = START_MS
HOUR_MS = 3_600_000


def request(chain: Chain, join: Join) -> Verified:
    one = verify(join.request, chain.state.federation)
    assert isinstance(one, Verified)
    return one


def invited(chain: Chain, who: Identity, expires_ms: int, seed: int = 1) -> Verified:
    """A request of ``who`` with an invite of the founder."""
    invite = read_invite(make_invite(identity(0), chain.state.federation, bytes([seed]) * 32, expires_ms, 100))
    return request(chain, chain.join(who, ticket=invite.ticket, proof=invite.prove(who.public)))


def leave(chain: Chain, who: Identity) -> Verified:
    return signed(who, LeaveRequest(1), chain.state.height + 1, 0, chain.state.federation)


def double_vote(chain: Chain, who: Identity) -> Evict:
    votes = [signed(who, Precommit(digest(text)), 1, 0, chain.state.federation).raw for text in "ab"]
    return Evict(who.public, "double-vote", tuple(votes))


def kinds(changes: tuple[Change, ...]) -> list[str]:
    return [type(change).__name__ for change in changes]


def test_evictions_come_first_and_joins_last() -> None:
    chain, pool = Chain(4), PendingChanges()
    assert pool.add_join(chain.state, request(chain, chain.join(identity(7))), NOW) is None
    pool.add_leave(leave(chain, identity(2)))
    pool.add_eviction(double_vote(chain, identity(3)))
    assert kinds(pool.changes(chain.state, NOW)) == ["Evict", "Depart", "Join"]


def test_what_it_gives_makes_a_block_that_the_ledger_takes() -> None:
    chain, pool = Chain(4), PendingChanges()
    for number in range(5, 9):
        pool.add_join(chain.state, request(chain, chain.join(identity(number))), NOW)
    pool.add_leave(leave(chain, identity(2)))
    state = chain.append(Membership(pool.changes(chain.state, NOW)))
    assert len(state.members) == 7
    assert pool.changes(state, NOW) == ()
    assert pool.candidates == frozenset()


def test_a_change_that_another_one_before_it_makes_impossible_is_dropped() -> None:
    chain, pool = Chain(4), PendingChanges()
    pool.add_leave(leave(chain, identity(2)))
    pool.add_eviction(double_vote(chain, identity(2)))
    assert kinds(pool.changes(chain.state, NOW)) == ["Evict"]


def test_the_silent_are_evicted_without_anybody_asking_for_it() -> None:
    chain, pool = Chain(4, evict_after_rounds=3), PendingChanges()
    members = tuple(replace(one, missed=2 + (one.key == identity(1).public)) for one in chain.state.members)
    assert pool.changes(replace(chain.state, members=members), NOW) == (Evict(identity(1).public, "silent", ()),)


@pytest.mark.parametrize(
    ("join", "why"),
    [
        (lambda chain: chain.join(identity(7), "mine"), "this federation trains test model, yours is mine"),
        (lambda chain: chain.join(identity(1)), "a join of somebody who is a member"),
    ],
)
def test_a_newcomer_is_told_why_it_cannot_join(join, why: str) -> None:  # type: ignore[no-untyped-def]
    chain, pool = Chain(4), PendingChanges()
    told = pool.add_join(chain.state, request(chain, join(chain)), NOW)
    assert told is not None
    assert why in told
    assert pool.candidates == frozenset()


def test_no_more_newcomers_wait_than_the_limit_and_who_waits_may_repeat_itself() -> None:
    chain, pool = Chain(4), PendingChanges()
    told = [
        pool.add_join(chain.state, request(chain, chain.join(identity(number))), NOW)
        for number in range(100, 101 + MAX_PENDING_JOINS)
    ]
    assert told == [None] * MAX_PENDING_JOINS + ["too many are waiting to be admitted: try again later"]
    assert pool.add_join(chain.state, request(chain, chain.join(identity(100))), NOW) is None
    assert len(pool.candidates) == MAX_PENDING_JOINS


def test_no_more_evidence_is_kept_than_the_limit_and_the_first_against_a_member_suffices() -> None:
    chain, pool = Chain(4), PendingChanges()
    evict = double_vote(chain, identity(1))
    assert pool.add_eviction(evict)
    assert not pool.add_eviction(Evict(identity(1).public, "silent", ()))
    assert pool.accuses(identity(1).public)
    added = [pool.add_eviction(Evict(digest(f"{number}"), "silent", ())) for number in range(2 * MAX_PENDING_EVIDENCE)]
    assert sum(added) == MAX_PENDING_EVIDENCE - 1


def test_a_block_takes_no_more_changes_than_the_limit_and_the_rest_waits() -> None:
    chain, pool = Chain(4), PendingChanges()
    for number in range(100, 100 + MAX_PENDING_JOINS):
        pool.add_join(chain.state, request(chain, chain.join(identity(number))), NOW)
    first = pool.changes(chain.state, NOW)
    assert len(first) == MAX_CHANGES_PER_BLOCK
    state = apply(chain.state, chain.block(Membership(first)))
    assert len(pool.changes(state, NOW)) == MAX_PENDING_JOINS - MAX_CHANGES_PER_BLOCK


def test_large_evidence_makes_no_block_that_is_too_large() -> None:
    """Or three liars of a large federation would leave every proposer with a block that nobody can read."""
    chain, pool = Chain(4), PendingChanges()
    crowd = [identity(number) for number in range(5, 10)]
    members = (*chain.state.members, *(Member(one.public, "x") for one in crowd))
    state = replace(chain.state, members=tuple(sorted(members, key=lambda one: one.key)))
    for one in crowd:
        large = (dealing(boxes=(digest(text),) * 1000) for text in "ab")
        deals = tuple(signed(one, deal, federation=state.federation).raw for deal in large)
        assert sum(map(len, deals)) > MAX_BLOCK_BYTES // 5
        pool.add_eviction(Evict(one.public, "double-deal", deals))
    changes = pool.changes(state, NOW)
    assert 1 <= len(changes) < len(crowd)
    assert read_block(Block(2, state.head, Membership(changes)).encode()).body == Membership(changes)


# Invites end.


def test_an_invite_that_has_ended_is_refused_and_one_that_ends_later_is_not() -> None:
    chain, pool = Chain(1, admit="invite"), PendingChanges()
    assert pool.add_join(chain.state, invited(chain, identity(7), NOW), NOW) is None
    told = pool.add_join(chain.state, invited(chain, identity(8), NOW - 1, seed=2), NOW)
    assert told == "the invite has expired: ask a member for a new one (`peer invite`)"


def test_votes_are_patient_with_clocks_that_differ() -> None:
    chain = Chain(1, admit="invite")
    message = invited(chain, identity(7), NOW).message
    assert isinstance(message, JoinRequest)
    assert not invite_expired(chain.state, message, NOW + CLOCK_SKEW_MS, CLOCK_SKEW_MS)
    assert invite_expired(chain.state, message, NOW + CLOCK_SKEW_MS + 1, CLOCK_SKEW_MS)


def test_a_request_that_waited_until_its_invite_ended_is_not_proposed() -> None:
    """Or all that it could have been decided with would vote against it, for ever."""
    chain, pool = Chain(1, admit="invite"), PendingChanges()
    pool.add_join(chain.state, invited(chain, identity(7), NOW + HOUR_MS), NOW)
    assert kinds(pool.changes(chain.state, NOW)) == ["Join"]
    assert kinds(pool.changes(chain.state, NOW + HOUR_MS)) == ["Join"]
    assert pool.changes(chain.state, NOW + HOUR_MS + 1) == ()


def test_a_newcomer_with_a_new_invite_takes_the_place_of_its_old_request() -> None:
    chain, pool = Chain(1, admit="invite"), PendingChanges()
    pool.add_join(chain.state, invited(chain, identity(7), NOW + 1), NOW)
    pool.changes(chain.state, NOW)
    again = invited(chain, identity(7), NOW + HOUR_MS, seed=2)
    pool.add_join(chain.state, again, NOW)
    assert pool.changes(chain.state, NOW + 2) == (Join(again.raw),)


def test_a_new_request_to_leave_takes_the_place_of_the_old_one() -> None:
    chain, pool = Chain(4), PendingChanges()
    pool.add_leave(leave(chain, identity(2)))
    pool.changes(chain.state, NOW)
    again = signed(identity(2), LeaveRequest(1), 9, 0, chain.state.federation)
    pool.add_leave(again)
    assert pool.changes(chain.state, NOW) == (Depart(again.raw),)


def test_an_eviction_that_was_made_takes_no_room_from_others() -> None:
    def large(number: int) -> Evict:
        acks = [Ack(1, tuple((d, bytes([i]) * 32) for d in range(900)), ()) for i in (1, 2)]
        both = (signed(identity(number), ack, 2, 0, chain.state.federation).raw for ack in acks)
        return Evict(identity(number).public, "double-ack", tuple(both))

    chain, pool = Chain(8), PendingChanges()
    evictions = sorted((large(number) for number in range(1, 8)), key=lambda one: one.member)
    room = MAX_CHANGES_BYTES // len(encode(evictions[0]))
    assert room < len(evictions)
    for one in evictions:
        pool.add_eviction(one)
    assert pool.changes(chain.state, NOW) == tuple(evictions[:room])
    chain.append(Membership(tuple(evictions[:room])))
    assert pool.changes(chain.state, NOW) == tuple(evictions[room:][:room])


def test_where_only_proofs_that_anybody_can_check_will_do_a_bad_dealing_is_left_out() -> None:
    """Its proof is a share that only those can judge who were shown it: the others would vote against the block."""
    chain, pool = Chain(4), PendingChanges()
    deal = signed(identity(1), dealing(1, chain.state.weights_hash), 2, 0, chain.state.federation)
    proof = Complaint(1, 0, deal.raw, digest("box"), digest("secret"), bytes(64))
    complaint = signed(identity(2), proof, 2, 0, chain.state.federation)
    pool.add_eviction(Evict(identity(1).public, "bad-dealing", (complaint.raw,)))
    pool.add_eviction(double_vote(chain, identity(3)))
    every, provable = (pool.changes(chain.state, NOW, only_provable=only) for only in (False, True))
    assert {change.reason for change in every if isinstance(change, Evict)} == {"bad-dealing", "double-vote"}
    assert [change.reason for change in provable if isinstance(change, Evict)] == ["double-vote"]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Under which keys signatures of invites and of requests were checked."""
    keys: list[bytes] = []

    def counting(real: Any) -> Any:
        def check(public: bytes, message: bytes, signature: bytes) -> bool:
            keys.append(public)
            return bool(real(public, message, signature))

        return check

    monkeypatch.setattr(tickets, "verify", counting(tickets.verify))
    monkeypatch.setattr(envelope, "verify_signature", counting(envelope.verify_signature))
    return keys


def _prove_at_once(pool: PendingChanges, state: LedgerState, request: Verified) -> ledger.ProvedJoin:
    """What a build does that checks signatures first, and remembers nothing."""
    return ledger.prove_join(state.genesis, request)


@pytest.mark.parametrize("weakened", [True, False])
def test_an_invite_of_nobody_costs_no_check_of_a_signature(
    weakened: bool, checked: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if weakened:
        monkeypatch.setattr(PendingChanges, "_prove", _prove_at_once)
    chain, pool = Chain(1, admit="invite"), PendingChanges()
    invite = read_invite(make_invite(identity(9), chain.state.federation, bytes(32), NOW + HOUR_MS, 1))
    asked = request(chain, chain.join(identity(7), ticket=invite.ticket, proof=invite.prove(identity(7).public)))
    checked.clear()
    assert "no member" in (pool.add_join(chain.state, asked, NOW) or "")
    assert bool(checked) is weakened


@pytest.mark.parametrize("weakened", [True, False])
def test_what_was_found_worthless_is_not_checked_again(
    weakened: bool, checked: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if weakened:
        monkeypatch.setattr(PendingChanges, "_prove", _prove_at_once)
    chain, pool = Chain(1, admit="invite"), PendingChanges()
    good = invited(chain, identity(7), NOW + HOUR_MS).message
    assert isinstance(good, JoinRequest)
    stolen = request(chain, chain.join(identity(8), ticket=good.ticket, proof=good.ticket_signature))
    reasons = set()
    for attempt in range(5):
        if attempt == 1:
            checked.clear()
        reasons.add(pool.add_join(chain.state, stolen, NOW))
    assert reasons == {"the invite is not proved by the newcomer"}
    assert bool(checked) is weakened


def test_worthless_requests_of_ever_new_keys_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_WORTHLESS_JOINS", 3)
    chain, pool = Chain(1, admit="invite"), PendingChanges()
    good = invited(chain, identity(7), NOW + HOUR_MS)
    assert isinstance(good.message, JoinRequest)
    for number in range(8, 16):
        stolen = chain.join(identity(number), ticket=good.message.ticket, proof=good.message.ticket_signature)
        assert pool.add_join(chain.state, request(chain, stolen), NOW) is not None
    assert len(pool._worthless) == 3
    assert pool.add_join(chain.state, good, NOW) is None


def _admitted_anew(join: ledger.ProvedJoin, state: LedgerState) -> LedgerState:
    return ledger.apply_change(state, Join(join.request.raw))


@pytest.mark.parametrize("weakened", [True, False])
def test_another_request_does_not_have_those_that_wait_checked_again(
    weakened: bool, checked: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if weakened:
        monkeypatch.setattr(
            pool_module, "_admitted", lambda join, state: ledger.apply_change(state, Join(join.request.raw))
        )
    chain, pool = Chain(1, admit="invite"), PendingChanges()
    for number in range(10, 30):
        assert pool.add_join(chain.state, invited(chain, identity(number), NOW + HOUR_MS), NOW) is None
    assert len(pool.changes(chain.state, NOW)) == 20
    asked = invited(chain, identity(31), NOW + HOUR_MS)
    checked.clear()
    assert pool.add_join(chain.state, asked, NOW) is None
    assert len(pool.changes(chain.state, NOW)) == 21
    assert (len(checked) > 20) is weakened
