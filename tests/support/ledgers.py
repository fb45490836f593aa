"""Ledgers in each of their states, evidence, and what a refused block is checked by: for the tests of the ledger."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from chains import Chain, digest
from members import identity
from signing import dealing, signed

from coterie.crypto.identity.identity import Identity
from coterie.protocol.ledger.blocks import Body, Evict, Membership
from coterie.protocol.ledger.certificates import extend
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerError, apply
from coterie.protocol.messages.kinds import NO_BOX, NO_KEY, Ack, Complaint, Deal, Message, Precommit, Prevote, SumShare

OUTSIDER = identity(20)


def sharing(**changes: object) -> Chain:
    """Four members, in the first half of a round."""
    return Chain(4, **changes)


def summing(**changes: object) -> Chain:
    """Four members, in the second half of a round to which all contribute."""
    chain = Chain(4, **changes)
    chain.append(chain.contributors())
    return chain


def waiting(members: int = 2) -> Chain:
    """Too few members for a round."""
    return Chain(members, min_peers=members + 1)


def finished() -> Chain:
    """Four members that have trained all their rounds."""
    chain = Chain(4, rounds=1)
    chain.round()
    chain.round()
    assert chain.state.phase is Phase.FINISHED
    return chain


def key(number: int) -> bytes:
    return identity(number).public


def changed(body: Body, **fields: object) -> Body:
    """The body with other fields."""
    values = {name: getattr(body, name) for name in body.__struct_fields__}
    return type(body)(**values | fields)  # type: ignore[no-any-return]


def joined(chain: Chain, *numbers: int) -> Membership:
    return Membership(tuple(chain.join(identity(number)) for number in numbers))


def vote(chain: Chain, number: int, message: Message, view: int = 0, height: int = 1) -> bytes:
    return signed(identity(number), message, height, view, chain.state.federation).raw


def double_vote(chain: Chain, number: int) -> Evict:
    both = tuple(vote(chain, number, Precommit(digest(text))) for text in "ab")
    return Evict(key(number), "double-vote", both)


def double_deal(chain: Chain, number: int) -> Evict:
    both = tuple(vote(chain, number, dealing(1, chain.state.weights_hash, digest(text))) for text in "ab")
    return Evict(key(number), "double-deal", both)


def double_ack(chain: Chain, number: int) -> Evict:
    both = tuple(vote(chain, number, Ack(1, ((0, digest("shared")), (2, digest(text))))) for text in "ab")
    return Evict(key(number), "double-ack", both)


def plain_deal(chain: Chain, text: str) -> Deal:
    """A commitment to a vector, as members of a plain federation deal."""
    return Deal(1, chain.state.weights_hash, digest(text), b"", NO_KEY, (), (NO_BOX,) * 4)


def false_vector(chain: Chain, number: int) -> Evict:
    sent = SumShare(1, digest("contributors"), digest("another vector"))
    both = tuple(vote(chain, number, one) for one in (plain_deal(chain, "a vector"), sent))
    return Evict(key(number), "false-vector", both)


def wrong_sum(chain: Chain, liar: int, points: int = 4) -> Evict:
    """Prevotes for the last Model whose z's lie on a line, for K is 2, but for the one of the liar."""
    settled = chain.state.settled
    assert settled is not None
    evidence = []
    for index, one in enumerate(chain.committee[:points]):
        wrong = 1 if index == liar else 0
        z = (5 + 7 * (index + 1) + wrong, 11 + 13 * (index + 1))
        evidence.append(signed(one, Prevote(settled.block, z), settled.height, 0, chain.state.federation).raw)
    return Evict(settled.committee.members[liar], "wrong-sum", tuple(evidence))


def bad_dealing(chain: Chain, dealer: int, holder: int) -> Evict:
    deal = vote(chain, dealer, dealing(1, chain.state.weights_hash, digest("root")))
    complaint = Complaint(1, 0, deal, digest("box"), digest("secret"), bytes(64))
    return Evict(key(dealer), "bad-dealing", (vote(chain, holder, complaint),))


def settled() -> Chain:
    """One round is over, so that there is a sum to judge."""
    chain = sharing()
    chain.round()
    return chain


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a block, and what is said about it."""

    name: str
    chain: Callable[[], Chain]
    body: Callable[[Chain], Body]
    error: str


def fault_tests(faults: list[Fault]):  # type: ignore[no-untyped-def]
    return pytest.mark.parametrize("fault", faults, ids=[fault.name for fault in faults])


def refusal(fault: Fault) -> None:
    chain = fault.chain()
    data = chain.block(fault.body(chain))
    with pytest.raises(LedgerError) as caught:
        apply(chain.state, data)
    assert re.search(fault.error, str(caught.value))
    assert str(caught.value).startswith(f"height {chain.state.height + 1}: ")
    with pytest.raises(LedgerError, match=fault.error):
        extend(chain.state, chain.certify(data))


def request_of(chain: Chain, message: Message, who: Identity = OUTSIDER, federation: bytes | None = None) -> bytes:
    federation = federation or chain.state.federation
    return signed(who, message, chain.state.height + 1, 0, federation).raw


def tampered(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])
