"""Signed messages made by hand: what a test member says, without a node that says it."""

import hashlib

from members import identity

from coterie.crypto.identity.identity import Identity
from coterie.protocol.messages.envelope import Verified, seal, verify
from coterie.protocol.messages.kinds import Deal, Message, Precommit, Prevote

FEDERATION = hashlib.sha256(b"a federation to test with").digest()


def members(count: int) -> list[Identity]:
    """The identities of ``count`` test peers in the ledger's order, which is that of their keys."""
    return sorted((identity(number) for number in range(count)), key=lambda one: one.public)


def signed(who: Identity, message: Message, height: int = 1, view: int = 0, federation: bytes = FEDERATION) -> Verified:
    """``message`` as it is after the envelope was checked."""
    one = verify(seal(who, federation, height, view, message), federation)
    assert isinstance(one, Verified), one
    return one


def prevote(who: Identity, view: int, block: bytes | None, height: int = 1) -> Verified:
    """A prevote without a z."""
    return signed(who, Prevote(block, None), height, view)


def precommit(who: Identity, view: int, block: bytes | None, height: int = 1) -> Verified:
    """A precommit."""
    return signed(who, Precommit(block), height, view)


def dealing(round_: int = 1, base: bytes = bytes(32), root: bytes = bytes(32), boxes: tuple[bytes, ...] = ()) -> Deal:
    """A dealing that says so little that nobody would hold a share of it."""
    return Deal(round_, base, root, b"", bytes(96), (), boxes)


def block(name: str) -> bytes:
    """A hash to vote for."""
    return hashlib.sha256(name.encode()).digest()
