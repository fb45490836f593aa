"""What a member says of a proposal that it does not vote for."""

from types import SimpleNamespace
from typing import Any

import pytest
from chains import Chain, digest
from members import identity
from signing import members, signed

from coterie.crypto.identity.identity import peer_id
from coterie.protocol.agreement import validity
from coterie.protocol.agreement.validity import acks_behind, wrong_choice, wrong_contributors
from coterie.protocol.ledger.blocks import Membership
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.limits import MAX_KEEPER_ACKS
from coterie.protocol.messages.kinds import Ack
from coterie.protocol.round.acks import Acks


def test_members_that_a_proposal_leaves_out_or_waits_for_are_named_as_in_the_ledger() -> None:
    chain = Chain(5)
    committee = chain.state.committee
    gone, here = (committee.index(identity(number).public) for number in (2, 3))
    assert gone is not None
    assert here is not None
    chain.append(Membership((chain.leave(identity(2)),)))
    sharing: Any = SimpleNamespace(
        committee=committee,
        excluded=frozenset(),
        settling=SimpleNamespace(due_by_proof=lambda: frozenset({gone, here})),
        acks=SimpleNamespace(
            latest={}, holders_of=lambda wanted: set(range(5)) - {here}, take_together=lambda acks: None
        ),
    )
    body = chain.contributors(dealers=[place for place in range(5) if place not in (gone, here)])
    omitted = wrong_choice(chain.state, sharing, body, (), 0, strict=False)
    assert omitted is not None
    named = omitted.removeprefix("it leaves out ").split(", ")
    known = chain.state.member(identity(3).public)
    assert known is not None
    assert set(named) == {known.name, f"…{peer_id(identity(2).public)[-11:]}"}
    assert wrong_contributors(chain.state, sharing, body, ()) == f"{known.name} did not ack all contributors"


def test_liars_that_ack_each_dealing_alone_leave_room_for_each_ack_in_some_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A member that lacks the acks that are cut off would refuse each proposal."""
    people = members(7)
    acks = Acks(Committee(tuple(one.public for one in people)))
    dealings = tuple((dealer, digest(f"{dealer}")) for dealer in range(7))
    for holder, person in enumerate(people):
        for named in [(one,) for one in dealings] if holder > 4 else [dealings]:
            acks.take(holder, signed(person, Ack(1, named)))
    sharing: Any = SimpleNamespace(committee=acks.committee, acks=acks)
    body: Any = SimpleNamespace(holders=tuple(range(7)))
    every = {ack.raw for holder in range(7) for ack in acks.proofs(holder)}
    monkeypatch.setattr(validity, "MAX_REPEATED_ACK_BYTES", sum(map(len, every)) * 2 // 3)

    def carried(*views: int) -> set[bytes]:
        return {raw for view in views for raw in acks_behind(sharing, body, view)}

    assert carried(0) < every
    assert carried(*[0] * 7) < every, "without turns"
    assert carried(*range(7)) == every
    assert all({acks.latest[holder].raw for holder in range(7)} <= carried(view, view + 1) for view in range(6))


def test_acks_that_prove_something_together_are_carried_together_whatever_else_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of many members the latest acks alone are more than fits."""
    people = members(7)
    acks = Acks(Committee(tuple(one.public for one in people)))
    dealings = tuple((dealer, digest(f"{dealer}")) for dealer in range(7))
    for holder, person in enumerate(people):
        pairs = [((dealer, other),) for dealer in range(3) for other in range(4, 7)]
        for kept in pairs if holder == 3 else [()]:
            acks.take(holder, signed(person, Ack(1, dealings, kept)))
    proof = {ack.raw for ack in acks.proof_against(3)}
    assert len(proof) == MAX_KEEPER_ACKS + 1 == 9
    sharing: Any = SimpleNamespace(committee=acks.committee, acks=acks)
    body: Any = SimpleNamespace(holders=tuple(range(7)))
    monkeypatch.setattr(validity, "MAX_REPEATED_ACK_BYTES", sum(map(len, proof)) + 10)
    carried = [set(acks_behind(sharing, body, view)) for view in range(14)]
    assert all(proof <= one or proof.isdisjoint(one - {acks.latest[3].raw}) for one in carried)
    for member in range(7):
        assert any(proof <= carried[view] for view in (member, member + 7)), "in one of its turns"
