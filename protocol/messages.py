"""What members say to each other: one frozen structure a message, with its bounds.

A message travels as the payload of a signed envelope (:mod:`.envelope`), which carries height, view and
sender. Some messages bind a *blob*, bytes that are too large to sign and to repeat: the message holds the
blob's digest (:func:`.wire.digest_of`). The transport delivers the blob with the message, inline or pulled by digest.
"""

import hashlib
from typing import Annotated, Final

import msgspec

from .limits import (
    MAX_BLOCK_BYTES,
    MAX_BLOCKS_BYTES,
    MAX_CHANGES_PER_BLOCK,
    MAX_DESCRIPTOR_BYTES,
    MAX_ENVELOPE_BYTES,
    MAX_KEPT_BOXES,
    MAX_MEMBERS,
    MAX_NAME_CHARS,
    MAX_PARAMETERS,
    MAX_QUORUM,
    PROTOCOL_VERSION,
    SYNC_BATCH_BLOCKS,
)
from .wire import Element, Hash, Height, Index, Key, Round, Signature, encode

RawEnvelope = Annotated[bytes, msgspec.Meta(max_length=MAX_ENVELOPE_BYTES)]
Names = Annotated[tuple[Key, ...], msgspec.Meta(max_length=MAX_MEMBERS)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of all messages: immutable, encoded as an array, no unknown fields."""


NO_KEY: Final = bytes(96)
"""In place of a dealing's key where nothing is sealed."""

NO_BOX: Final = bytes(32)
"""In place of the digest of a box that there is not."""


class Deal(Message, frozen=True):
    """A dealer's public commitment to one round's contribution: all that it publishes of it.

    The dealing's id (:func:`dealing_id`) hashes the whole message, so that what a holder checks is what it acks and
    what is decided. ``key`` seals the boxes (:mod:`..crypto.sealing`), zero where nothing is sealed; ``seeded`` are the
    holders whose shares are seeds. ``boxes[j]`` is the digest of the sealed share of holder ``j``; the dealer's own
    place holds 32 zero bytes. The blob that comes with the message to holder ``j`` is that box.
    """

    round: Round
    base: Hash
    root: Hash
    fingerprints: Annotated[bytes, msgspec.Meta(max_length=16 * MAX_MEMBERS)]
    key: Annotated[bytes, msgspec.Meta(min_length=96, max_length=96)]
    seeded: Annotated[tuple[Index, ...], msgspec.Meta(max_length=MAX_MEMBERS)]
    boxes: Annotated[tuple[Hash, ...], msgspec.Meta(max_length=MAX_MEMBERS)]


class Ack(Message, frozen=True):
    """A holder's word that it durably holds a good share of each (dealer, dealing's id); replaces earlier ones.

    ``kept``: the boxes, by dealer and the holder that they are for, that the sender of the ack keeps and serves. Each
    is of a dealing that the same ack names.

    ``at_deadline``: its sender's share deadline has passed, or that of f+1 others, and it acks what there is.
    """

    round: Round
    dealings: Annotated[tuple[tuple[Index, Hash], ...], msgspec.Meta(max_length=MAX_MEMBERS)]
    kept: Annotated[tuple[tuple[Index, Index], ...], msgspec.Meta(max_length=MAX_KEPT_BOXES)] = ()
    at_deadline: bool = False


class HandBox(Message, frozen=True):
    """Hand over the sealed box of a dealing for one holder: to that holder, or to a member that keeps it for it.

    The blob is the box; ``box`` is its digest, as the dealing says. Nobody but the holder can open it.
    """

    round: Round
    dealer: Index
    dealing: Hash
    holder: Index
    box: Hash


class SitOut(Message, frozen=True):
    """A member has no update for this round; the others need not wait for one. ``reason`` is for people."""

    round: Round
    reason: Annotated[str, msgspec.Meta(max_length=400)]


class Complaint(Message, frozen=True):
    """A proof, for everybody, that a dealer sealed no good share for the sender.

    The blob is the sealed box, ``box`` its digest. ``secret`` opens it, and ``proof`` shows that it is the one secret
    that belongs to the dealer's key and the sender's (:mod:`..crypto.sealing`).
    """

    round: Round
    dealer: Index
    deal: RawEnvelope
    box: Hash
    secret: Hash
    proof: Signature


class UpheldComplaint(Message, frozen=True):
    """A complaint of another holder that the sender judged and found right; it answers for it. The blob is the box.

    An accuser may have told others something else: what one of its complaints is worth says nothing about another.
    """

    round: Round
    dealer: Index
    box: Hash
    complaint: RawEnvelope


class SumShare(Message, frozen=True):
    """A holder's sum over the decided contributor set; the blob is the vector, ``shares`` its digest."""

    round: Round
    contributors: Hash
    shares: Hash


class Proposal(Message, frozen=True):
    """PROPOSAL of Algorithm 1: the block, the view of its polka (-1 for none), and what others need to check
    it.

    ``acks`` are the signed acks behind a Contributors block; ``polka`` the prevotes of ``valid_view``, and
    those that proved a Model's W if that was in another view, so that line 28 never depends on messages that
    only some received. The blob of a Model proposal is the sum vector W.
    """

    block: Annotated[bytes, msgspec.Meta(max_length=MAX_BLOCK_BYTES)]
    valid_view: Annotated[int, msgspec.Meta(ge=-1, le=2**31)]
    acks: Annotated[tuple[RawEnvelope, ...], msgspec.Meta(max_length=MAX_MEMBERS)]
    polka: Annotated[tuple[RawEnvelope, ...], msgspec.Meta(max_length=2 * MAX_MEMBERS)]
    vector: Hash | None


class Prevote(Message, frozen=True):
    """PREVOTE of Algorithm 1; ``z`` is the holder's fingerprint of its sum share under the challenge of a
    Model block.
    """

    block: Hash | None
    z: tuple[Element, Element] | None


class Precommit(Message, frozen=True):
    """PRECOMMIT of Algorithm 1; q of them for one block are its certificate."""

    block: Hash | None


class JoinRequest(Message, frozen=True):
    """A newcomer asks to be admitted; the envelope's signature proves that it holds the key.

    ``ticket`` and ``ticket_signature`` prove an invite without spending its secret (:mod:`.admission`); empty
    where the federation needs none.
    """

    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
    model: Annotated[str, msgspec.Meta(max_length=MAX_DESCRIPTOR_BYTES)]
    ticket: Annotated[bytes, msgspec.Meta(max_length=512)]
    ticket_signature: Annotated[bytes, msgspec.Meta(max_length=64)]


class Refusal(Message, frozen=True):
    """A member tells a newcomer why it will not vote for its admission."""

    reason: Annotated[str, msgspec.Meta(max_length=4 * MAX_DESCRIPTOR_BYTES)]


class LeaveRequest(Message, frozen=True):
    """A member asks to be let go; decided as part of a Membership block."""

    round: Round


class Accusation(Message, frozen=True):
    """Two statements of one sender that contradict each other (:func:`.evidence.contradiction`), passed on so that
    every member can propose its eviction. Or a vote alone, whose fingerprint the votes of others prove to be false.
    """

    first: RawEnvelope
    second: RawEnvelope | None


class GetBlocks(Message, frozen=True):
    """Ask for the certified blocks from ``height`` on."""

    height: Height


class CertifiedBlock(Message, frozen=True):
    """A block's bytes and its certificate: the q precommit envelopes that decided it, signers ascending."""

    block: Annotated[bytes, msgspec.Meta(max_length=MAX_BLOCK_BYTES)]
    certificate: Annotated[tuple[RawEnvelope, ...], msgspec.Meta(max_length=MAX_QUORUM)]


class Blocks(Message, frozen=True):
    """Consecutive certified blocks, in answer to :class:`GetBlocks` or to tell a member that it is behind."""

    blocks: Annotated[tuple[CertifiedBlock, ...], msgspec.Meta(max_length=SYNC_BATCH_BLOCKS)]


class GetWeights(Message, frozen=True):
    """Ask for the model with this hash."""

    weights: Hash


class Weights(Message, frozen=True):
    """The model with this hash; the blob is the little-endian float32 vector."""

    weights: Hash


class GetStatus(Message, frozen=True):
    """A restarted member asks where the network stands and what the others have seen of it."""

    nonce: Hash


class Status(Message, frozen=True):
    """The answer: the sender's head, and what it has seen of the asker, as the asker signed it.

    ``seen`` is the asker's latest vote, ``deal`` and ``ack`` are those of the current round. What a member could just
    claim to have seen would keep its alleged author from voting and dealing for ever.
    """

    nonce: Hash
    head: Height
    seen: RawEnvelope | None
    deal: RawEnvelope | None
    ack: RawEnvelope | None


class Withdrawal(Message, frozen=True):
    """A newcomer takes back its request to be admitted, whichever one a member has.

    ``at_ms``: the newcomer's clock. A request does not say when it was made, and a newcomer that asks again makes the
    same one. So a withdrawal counts for a short time only, and once (:meth:`.pool.ChangePool.withdraw`).
    """

    at_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


KINDS: tuple[tuple[type[Message], int, int], ...] = (
    # type, largest payload in bytes, largest blob in bytes; a kind's number is its place, so only append
    (Deal, 64 * 1024, 4 * MAX_PARAMETERS + 16 * 1024 * 1024),
    (Ack, 96 * 1024, 0),
    (Complaint, 96 * 1024, 4 * MAX_PARAMETERS + 16 * 1024 * 1024),
    (SumShare, 256, 4 * MAX_PARAMETERS + 16 * 1024 * 1024),
    (Proposal, MAX_ENVELOPE_BYTES - 1024, 4 * MAX_PARAMETERS + 16 * 1024 * 1024),
    (Prevote, 128, 0),
    (Precommit, 64, 0),
    (JoinRequest, 8 * 1024, 0),
    (Refusal, 64 * 1024, 0),
    (LeaveRequest, 64, 0),
    (Accusation, 256 * 1024, 0),
    (GetBlocks, 64, 0),
    (Blocks, MAX_BLOCKS_BYTES, 0),
    (GetWeights, 64, 0),
    (Weights, 64, 4 * MAX_PARAMETERS),
    (GetStatus, 64, 0),
    (Status, 192 * 1024, 0),
    (SitOut, 2048, 0),
    (HandBox, 256, 4 * MAX_PARAMETERS + 16 * 1024 * 1024),
    (UpheldComplaint, 128 * 1024, 4 * MAX_PARAMETERS + 16 * 1024 * 1024),
    (Withdrawal, 64, 0),
)
KIND_OF: dict[type[Message], int] = {kind: number for number, (kind, _, _) in enumerate(KINDS)}


def dealing_id(federation: bytes, dealer: bytes, deal: Deal) -> bytes:
    """Return the one name of a dealing: a hash over everything that its dealer publishes of it."""
    domain = b"coterie/dealing-id/%d\x00" % PROTOCOL_VERSION
    return hashlib.sha256(domain + encode((federation, dealer, deal))).digest()


__all__ = [
    "KINDS",
    "KIND_OF",
    "MAX_CHANGES_PER_BLOCK",
    "Accusation",
    "Ack",
    "Blocks",
    "CertifiedBlock",
    "Complaint",
    "Deal",
    "GetBlocks",
    "GetStatus",
    "GetWeights",
    "HandBox",
    "JoinRequest",
    "LeaveRequest",
    "Message",
    "Names",
    "Precommit",
    "Prevote",
    "Proposal",
    "RawEnvelope",
    "Refusal",
    "Signature",
    "SitOut",
    "Status",
    "SumShare",
    "UpheldComplaint",
    "Weights",
    "Withdrawal",
    "dealing_id",
]
