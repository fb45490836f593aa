"""What people are told of a decided block: who is gone and why, and for want of what a round has no result."""

from chains import Chain
from members import identity

from coterie.crypto.identity.identity import Identity
from coterie.protocol.effects import Effects
from coterie.protocol.events import Notice
from coterie.protocol.ledger.blocks import Evict, Membership
from coterie.protocol.notices import announce

A, D = identity(0), identity(3)


def told(chain: Chain) -> list[Notice]:
    """What is said of the newest block."""
    out = Effects(A, chain.state.federation)
    announce(out, chain.states[-2], chain.states[-1], 0, chain.blocks[-1].block)
    return list(out.flush().notify)


def name(chain: Chain, who: Identity) -> str:
    member = next(state.member(who.public) for state in chain.states if state.member(who.public))
    assert member is not None
    return member.name


def test_who_is_evicted_for_its_silence_is_not_said_to_have_left() -> None:
    chain = Chain(5, min_peers=3, evict_after_rounds=2)
    place = chain.state.committee.index(D.public)
    for _ in range(2):
        chain.append(chain.contributors(dealers=[one for one in range(5) if one != place]))
        chain.append(chain.model())
    chain.append(Membership((Evict(D.public, "silent", ()),)))
    (notice,) = told(chain)
    assert notice.text == f"{name(chain, D)} was evicted: it missed 2 rounds in a row"
    assert (notice.facts["evicted"], notice.facts["reason"]) == (True, "silent")


def test_who_leaves_is_said_to_have_left() -> None:
    chain = Chain(5, min_peers=3)
    chain.append(Membership((chain.leave(D),)))
    (notice,) = told(chain)
    assert notice.text == f"{name(chain, D)} left"
    assert (notice.facts["evicted"], notice.facts["reason"]) == (False, None)


def test_a_void_round_names_its_reason_and_whose_word_it_is_that_a_member_was_missed() -> None:
    chain = Chain(4)
    chain.append(chain.void(D.public))
    (notice,) = told(chain)
    proposer = chain.states[-2].proposer(0)
    said = next(member.name for member in chain.state.members if member.key == proposer)
    why = "round 1: void, because too few updates could be summed"
    assert notice.text == f"{why}; missed, as {said} saw it: {name(chain, D)}"
    assert notice.facts["proposer"] == proposer
    assert (notice.facts["reason"], notice.facts["members"]) == ("shares", (D.public,))

    chain.append(chain.contributors())
    chain.append(chain.void())
    (notice,) = told(chain)
    assert notice.text == "round 2: void, because the sum could not be opened"
