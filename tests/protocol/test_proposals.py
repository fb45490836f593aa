"""What a member says of a proposal that it does not vote for."""

from types import SimpleNamespace
from typing import Any

from chains import Chain
from cluster import identity

from coterie.crypto.identity import peer_id
from coterie.protocol.blocks import Membership
from coterie.protocol.proposals import wrong_choice, wrong_contributors


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
        due_by_proof=lambda: frozenset({gone, here}),
        acks=SimpleNamespace(latest={}, holders_of=lambda wanted: set(range(5)) - {here}),
    )
    body = chain.contributors(dealers=[place for place in range(5) if place not in (gone, here)])
    omitted = wrong_choice(chain.state, sharing, body, (), 0, strict=False)
    assert omitted is not None
    named = omitted.removeprefix("it leaves out ").split(", ")
    known = chain.state.member(identity(3).public)
    assert known is not None
    assert set(named) == {known.name, f"…{peer_id(identity(2).public)[-11:]}"}
    assert wrong_contributors(chain.state, sharing, body, ()) == f"{known.name} did not ack all contributors"
