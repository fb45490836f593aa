"""Signed envelopes: a message with its sender, federation, height and view.

The body is encoded once. Its exact bytes are signed under a domain string that names the protocol version, travel as
they are, and are verified by the receivers. Nobody re-encodes in order to verify.

Only :func:`verify` makes a :class:`Verified` from bytes, and only a ``Verified`` can be handed to a node. So code that
skips the check does not type-check. A message that this member sealed itself (:func:`sealed`) needs no check.
:func:`peek` decodes and believes nothing. It serves where many envelopes have to fit together: their claims are
compared first, and only then does each cost a signature check.
"""

from dataclasses import InitVar, dataclass
from typing import Annotated, Final

import msgspec

from ...crypto.identity.identity import Identity
from ...crypto.identity.identity import verify as verify_signature
from ..limits import MAX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES, PROTOCOL_VERSION
from .encoding import DecodeError, Hash, Height, Key, Signature, View, decode, encode
from .kinds import (
    KIND_OF,
    KINDS,
    Ack,
    Complaint,
    Deal,
    HandBox,
    JoinRequest,
    Message,
    OptionsProposal,
    OptionsVote,
    Proposal,
    SumShare,
    UpheldComplaint,
    Weights,
    Withdrawal,
)

_DOMAIN: Final = b"coterie/envelope/%d\x00" % PROTOCOL_VERSION
_WITNESS: Final = object()


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    federation: Hash
    kind: Annotated[int, msgspec.Meta(ge=0, le=255)]
    height: Height
    view: View
    sender: Key
    payload: Annotated[bytes, msgspec.Meta(max_length=MAX_PAYLOAD_BYTES)]


class _Envelope(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    body: Annotated[bytes, msgspec.Meta(max_length=MAX_ENVELOPE_BYTES)]
    signature: Signature


@dataclass(frozen=True, slots=True)
class Verified:
    """A message whose signature, federation, bounds and encoding were checked.

    Only :func:`verify` makes one, from bytes, and :func:`sealed`, from a message of this member's own.
    """

    message: Message
    sender: bytes
    height: int
    view: int
    raw: bytes
    witness: InitVar[object]
    """Proof that this module makes the object. It is not kept, so ``dataclasses.replace`` makes no other one of it."""

    def __post_init__(self, witness: object) -> None:
        if witness is not _WITNESS:
            raise TypeError("only envelope.verify and envelope.sealed make a Verified message")


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that are no valid envelope, with the reason in words.

    ``sender`` is the sender that they claim, if that could be read.
    """

    reason: str
    sender: bytes | None = None


@dataclass(frozen=True, slots=True)
class Peeked:
    """What an envelope claims. Its signature was not checked, so nothing but a comparison may rest on it."""

    message: Message
    sender: bytes
    height: int
    view: int
    raw: bytes


def sealed(identity: Identity, federation: bytes, height: int, view: int, message: Message) -> Verified:
    """Sign ``message`` and return it as its receivers will have it."""
    body = encode(_Body(federation, KIND_OF[type(message)], height, view, identity.public, encode(message)))
    data = encode(_Envelope(body, identity.sign(_DOMAIN + body)))
    return Verified(message, identity.public, height, view, data, _WITNESS)


def seal(identity: Identity, federation: bytes, height: int, view: int, message: Message) -> bytes:
    """Return the signed envelope of ``message`` as bytes."""
    return sealed(identity, federation, height, view, message).raw


def verify(data: bytes, federation: bytes) -> Verified | Rejected:
    """Check an envelope completely: bounds, encoding, federation, kind, signature, payload. Never raises."""
    opened = _open(data, federation, check_signature=True)
    if isinstance(opened, Rejected):
        return opened
    body, message = opened
    return Verified(message, body.sender, body.height, body.view, data, _WITNESS)


def peek(data: bytes, federation: bytes) -> Peeked | Rejected:
    """Check all of an envelope except its signature, which costs most. Never raises."""
    opened = _open(data, federation, check_signature=False)
    if isinstance(opened, Rejected):
        return opened
    body, message = opened
    return Peeked(message, body.sender, body.height, body.view, data)


def _open(data: bytes, federation: bytes, check_signature: bool) -> tuple[_Body, Message] | Rejected:
    body: _Body | None = None
    try:
        envelope = decode(data, _Envelope, MAX_ENVELOPE_BYTES)
        body = decode(envelope.body, _Body, MAX_ENVELOPE_BYTES)
        if body.federation != federation:
            return Rejected("another federation", body.sender)
        if body.kind >= len(KINDS):
            return Rejected(f"unknown kind {body.kind}", body.sender)
        if check_signature and not verify_signature(body.sender, _DOMAIN + envelope.body, envelope.signature):
            return Rejected("bad signature", body.sender)
        kind, limit_bytes, _ = KINDS[body.kind]
        return body, decode(body.payload, kind, limit_bytes)
    except DecodeError as error:
        return Rejected(str(error), None if body is None else body.sender)


def view_of(data: bytes) -> int:
    """Return the view of an envelope that was verified before; nothing is checked again."""
    return decode(decode(data, _Envelope, MAX_ENVELOPE_BYTES).body, _Body, MAX_ENVELOPE_BYTES).view


def verify_all(raw: tuple[bytes, ...], federation: bytes) -> tuple[Verified, ...] | Rejected:
    """Verify a sequence of envelopes; if one is bad, return its rejection alone."""
    good = []
    for data in raw:
        one = verify(data, federation)
        if isinstance(one, Rejected):
            return one
        good.append(one)
    return tuple(good)


def may_be_passed_on(message: Message) -> bool:
    """Whether a member may pass on this message of another one under its envelope.

    All other messages come from their senders only. These are passed on so that every member learns of newcomers, of
    dealings and of their holders, and of proposed options and the votes on them.
    """
    return isinstance(message, JoinRequest | Withdrawal | Deal | Ack | OptionsProposal | OptionsVote)


def blob_digest(verified: Verified, holder: int | None) -> bytes | None:
    """Return the digest of the blob that the message binds, or None.

    A :class:`Deal` binds another one for each holder: ``holder`` is the holder's index in the committee.
    """
    match verified.message:
        case Deal(box_hashes=boxes):
            return boxes[holder] if holder is not None and holder < len(boxes) else None
        case SumShare(shares_hash=digest) | HandBox(box_hash=digest) | Weights(weights_hash=digest):
            return digest
        case Complaint(box_hash=digest) | UpheldComplaint(box_hash=digest):
            return digest
        case Proposal(vector_hash=digest):
            return digest
        case _:
            return None
