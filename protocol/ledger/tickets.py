"""Invites: how a newcomer shows that a member wants it in.

A member signs a ticket that names a fresh ticket key, an expiry and a number of uses. The token that users pass on
holds the ticket and the seed of the ticket key. A newcomer proves that it knows the token by signing its own public key
with the ticket key. So the proof can stand in the ledger, where all can read it, and is of no use to another newcomer.

The ticket also names the newest block of the inviter's ledger. Certificates alone do not tell two ledgers of one
federation apart: members that were a quorum at some height (at height 1 the founder alone) can sign another ledger for
newcomers, long after they left. A newcomer takes only a ledger that has this block.
"""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec

from ...crypto.identity.identity import Identity, verify
from ..limits import PROTOCOL_VERSION
from ..messages.encoding import DecodeError, Hash, Key, Signature, decode, encode

_TICKET_DOMAIN: Final = b"coterie/ticket/%d\x00" % PROTOCOL_VERSION
_BEARER_DOMAIN: Final = b"coterie/bearer/%d\x00" % PROTOCOL_VERSION
_PREFIX: Final = "coterie1-"
_TICKET_BYTES: Final = 512
_TOKEN_BYTES: Final = 4096


class InviteError(ValueError):
    """An invite that cannot be used; says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A block that a ledger has to have: its height, and its hash. Height 0 is the genesis."""

    height: int
    head: bytes


class _Terms(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    federation: Hash
    inviter: Key
    key: Key
    expires_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    uses: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    height: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    head: Hash


class _Ticket(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    terms: Annotated[bytes, msgspec.Meta(max_length=256)]
    signature: Signature


class _Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    ticket: Annotated[bytes, msgspec.Meta(max_length=_TICKET_BYTES)]
    seed: Hash
    addresses: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket whose signature by ``inviter`` was checked."""

    federation: bytes
    inviter: bytes
    key: bytes
    expires_ms: int
    uses: int
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Invite:
    """A token that was read; ``seed`` is its secret."""

    ticket: bytes
    seed: bytes = field(repr=False)
    addresses: tuple[str, ...]
    terms: Ticket

    def prove(self, newcomer: bytes) -> bytes:
        """Return the signature by which this newcomer, and no other, shows that it knows the token."""
        return Identity.from_seed(self.seed).sign(_BEARER_DOMAIN + newcomer)


def make_invite(
    inviter: Identity,
    federation: bytes,
    seed: bytes,
    expires_ms: int,
    uses: int,
    addresses: tuple[str, ...] = (),
    checkpoint: Checkpoint | None = None,
) -> str:
    """Return the token that admits up to ``uses`` newcomers until ``expires_ms``.

    Args:
        inviter: the member that signs the ticket.
        federation: the federation's id.
        seed: 32 random bytes, from which the ticket key is made.
        expires_ms: unix time in milliseconds.
        uses: how many newcomers may use it.
        addresses: where a newcomer finds members.
        checkpoint: the newest block of the inviter's ledger; None for the genesis.
    """
    key = Identity.from_seed(seed).public
    at = checkpoint or Checkpoint(0, federation)
    terms = encode(_Terms(federation, inviter.public, key, expires_ms, uses, at.height, at.head))
    ticket = encode(_Ticket(terms, inviter.sign(_TICKET_DOMAIN + terms)))
    token = encode(_Token(ticket, seed, addresses))
    return _PREFIX + base64.urlsafe_b64encode(token).decode().rstrip("=")


def read_invite(text: str) -> Invite:
    """Read a token as a user pasted it; white space in it does not matter.

    Raises:
        InviteError: it is no token, is damaged, or its ticket's signature is wrong.
    """
    text = "".join(text.split())
    if not text.startswith(_PREFIX):
        raise InviteError(f"an invite starts with {_PREFIX!r}")
    body = text.removeprefix(_PREFIX)
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        token = decode(data, _Token, _TOKEN_BYTES)
    except (binascii.Error, DecodeError, ValueError):
        raise InviteError("the invite is damaged: copy the whole line again") from None
    return Invite(token.ticket, token.seed, token.addresses, read_ticket(token.ticket))


def read_ticket(data: bytes) -> Ticket:
    """Check a ticket's form and its inviter's signature.

    Whether the inviter is a member is for the ledger to say.

    Raises:
        InviteError: malformed or wrongly signed.
    """
    ticket, terms = _decode_ticket(data)
    if not verify(terms.inviter, _TICKET_DOMAIN + ticket.terms, ticket.signature):
        raise InviteError("the invite's signature is wrong")
    checkpoint = Checkpoint(terms.height, terms.head)
    return Ticket(terms.federation, terms.inviter, terms.key, terms.expires_ms, terms.uses, checkpoint)


def claimed_inviter(data: bytes) -> tuple[bytes, bytes]:
    """Return (federation, inviter) as a ticket claims them, without a check: enough to see that it is worthless.

    Raises:
        InviteError: malformed.
    """
    _, terms = _decode_ticket(data)
    return terms.federation, terms.inviter


def _decode_ticket(data: bytes) -> tuple[_Ticket, _Terms]:
    try:
        ticket = decode(data, _Ticket, _TICKET_BYTES)
        return ticket, decode(ticket.terms, _Terms, 256)
    except DecodeError:
        raise InviteError("the invite is malformed") from None


def check_bearer(ticket: Ticket, newcomer: bytes, signature: bytes) -> bool:
    """Return whether ``signature`` shows that ``newcomer`` knows the token of ``ticket``."""
    return verify(ticket.key, _BEARER_DOMAIN + newcomer, signature)
