"""The messages of the protocol: one frozen structure for each kind, with its bounds.

A message travels as the payload of a signed envelope (:mod:`.envelope`), which carries height, view and sender. Some
messages bind a *blob*, bytes that are too large to sign and to repeat: the message holds the blob's digest
(:func:`.encoding.digest_of`). A small blob travels with its envelope; the receiver pulls a larger one by its digest.
"""

import hashlib
from typing import Annotated, Final

import msgspec

from ..limits import (
    MAX_BLOCK_BYTES,
    MAX_BLOCKS_BYTES,
    MAX_CHANGES_PER_BLOCK,
    MAX_DESCRIPTOR_BYTES,
    MAX_ENVELOPE_BYTES,
    MAX_KEPT_BOXES,
    MAX_MEMBERS,
    MAX_NAME_CHARS,
    MAX_PARAMETERS,
    MAX_PUBLISHED_BYTES,
    MAX_QUORUM,
    MIN_TRAINING_MEMBERS,
    PROTOCOL_VERSION,
    SYNC_BATCH_BLOCKS,
)
from .encoding import Element, Hash, Height, Index, Key, Round, Signature, encode

RawEnvelope = Annotated[bytes, msgspec.Meta(max_length=MAX_ENVELOPE_BYTES)]
Names = Annotated[tuple[Key, ...], msgspec.Meta(max_length=MAX_MEMBERS)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of all messages: immutable, encoded as an array, no unknown fields."""


NO_KEY: Final = bytes(96)
"""The key of a dealing that seals nothing."""

NO_BOX: Final = bytes(32)
"""The digest of a box that does not exist."""


class Deal(Message, frozen=True):
    """A dealer's public commitment to its contribution to one round: all that it publishes of it.

    The dealing's id (:func:`dealing_id`) hashes the whole message. So a holder acks exactly what it checked, and
    exactly that is decided. ``root`` binds the shares. ``published`` are the polynomials by which holders check theirs:
    fingerprints, or a proof with the roots of its trees (:mod:`..ledger.terms`). ``key`` seals the boxes
    (:mod:`...crypto.identity.sealing`); it is NO_KEY if nothing is sealed. ``seeded`` are the holders whose shares are
    seeds. ``box_hashes[j]`` is the digest of the sealed share of holder ``j``, NO_BOX in the dealer's own place. The
    blob that comes with the message to holder ``j`` is that box.
    """

    round: Round
    base_hash: Hash
    root: Hash
    published: Annotated[bytes, msgspec.Meta(max_length=MAX_PUBLISHED_BYTES)]
    key: Annotated[bytes, msgspec.Meta(min_length=96, max_length=96)]
    seeded: Annotated[tuple[Index, ...], msgspec.Meta(max_length=MAX_MEMBERS)]
    box_hashes: Annotated[tuple[Hash, ...], msgspec.Meta(max_length=MAX_MEMBERS)]


class Ack(Message, frozen=True):
    """A holder's statement that it durably holds a good share of each dealing in ``dealings`` (dealer, dealing's id).

    What the acks of one holder say adds up (:meth:`..round.acks.Acks.take`).

    ``kept``: the boxes that the sender keeps and serves for others, each as (dealer, holder that the box is for). Each
    belongs to a dealing that the same ack names.

    ``at_deadline``: the share deadline of the sender, or of f+1 others, has passed, so it acks whatever it holds.
    """

    round: Round
    dealings: Annotated[tuple[tuple[Index, Hash], ...], msgspec.Meta(max_length=MAX_MEMBERS)]
    kept: Annotated[tuple[tuple[Index, Index], ...], msgspec.Meta(max_length=MAX_KEPT_BOXES)] = ()
    at_deadline: bool = False


class HandBox(Message, frozen=True):
    """The sealed box of a dealing for one holder, handed to that holder or to a member that keeps it.

    The blob is the box; ``box_hash`` is its digest, as in the dealing. Only the holder can open it.
    """

    round: Round
    dealer: Index
    dealing: Hash
    holder: Index
    box_hash: Hash


class SitOut(Message, frozen=True):
    """A member has no update for this round, so nobody needs to wait for one. ``reason`` is for the operators."""

    round: Round
    reason: Annotated[str, msgspec.Meta(max_length=400)]


class Complaint(Message, frozen=True):
    """A proof, for all members, that a dealer sealed no good share for the sender.

    The blob is the sealed box, ``box_hash`` its digest. ``secret`` opens the box, and ``proof`` shows that it is the
    one secret that belongs to the dealing's key and the sender's key (:mod:`...crypto.identity.sealing`).
    """

    round: Round
    dealer: Index
    deal: RawEnvelope
    box_hash: Hash
    secret: Hash
    proof: Signature


class UpheldComplaint(Message, frozen=True):
    """A complaint of another holder that the sender has judged and found right. The blob is the box.

    The sender answers for it under its own name, so it is heard also by members that no longer listen to the
    complaint's author, because that one complained falsely before them.
    """

    round: Round
    dealer: Index
    box_hash: Hash
    complaint: RawEnvelope


class SumShare(Message, frozen=True):
    """A holder's sum of its shares of the decided contributors; the blob is the vector, ``shares_hash`` its digest."""

    round: Round
    contributors: Hash
    shares_hash: Hash


class Proposal(Message, frozen=True):
    """PROPOSAL of Algorithm 1: a block, the view of its polka (-1 for none), and what a voter needs to check it.

    ``acks`` are the signed acks behind a Contributors block. ``polka`` holds the prevotes of ``valid_view``; for a
    block about a sum also those that proved W, if that was in another view. So line 28 never depends on messages that
    only some members received. The blob of a proposal about a sum is W, and ``vector_hash`` its digest.
    """

    block: Annotated[bytes, msgspec.Meta(max_length=MAX_BLOCK_BYTES)]
    valid_view: Annotated[int, msgspec.Meta(ge=-1, le=2**31)]
    acks: Annotated[tuple[RawEnvelope, ...], msgspec.Meta(max_length=MAX_MEMBERS)]
    polka: Annotated[tuple[RawEnvelope, ...], msgspec.Meta(max_length=2 * MAX_MEMBERS)]
    vector_hash: Hash | None


class Prevote(Message, frozen=True):
    """PREVOTE of Algorithm 1, with ``z`` if the block is about a sum.

    ``z`` is the holder's fingerprint of its sum share under the challenge of W (docs/protocol.md, "Checking").
    """

    block_hash: Hash | None
    z: tuple[Element, Element] | None


class Precommit(Message, frozen=True):
    """PRECOMMIT of Algorithm 1; q of them for one block, of one view, are its certificate."""

    block_hash: Hash | None


class JoinRequest(Message, frozen=True):
    """A newcomer asks to be admitted; the envelope's signature proves that it holds the key.

    ``ticket`` and ``ticket_signature`` prove an invite without showing its secret (:mod:`..ledger.tickets`); they are
    empty where the federation needs no invite.
    """

    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
    model: Annotated[str, msgspec.Meta(max_length=MAX_DESCRIPTOR_BYTES)]
    ticket: Annotated[bytes, msgspec.Meta(max_length=512)]
    ticket_signature: Annotated[bytes, msgspec.Meta(max_length=64)]


class Refusal(Message, frozen=True):
    """A member tells a newcomer why it does not take its request to be admitted."""

    reason: Annotated[str, msgspec.Meta(max_length=4 * MAX_DESCRIPTOR_BYTES)]


class LeaveRequest(Message, frozen=True):
    """A member asks to leave; a Membership block decides on it."""

    round: Round


class Accusation(Message, frozen=True):
    """Evidence against a member, passed on so that every member can propose its eviction.

    Either two statements of one sender that contradict each other (:func:`..ledger.evidence.contradiction`). Or
    ``first`` alone: a vote with a fingerprint that the votes of others prove to be false, or a dealing whose proof is.
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

    weights_hash: Hash


class Weights(Message, frozen=True):
    """The model with this hash; the blob is the little-endian float32 vector."""

    weights_hash: Hash


class GetStatus(Message, frozen=True):
    """A restarted member asks how far the ledger is, and what the others have seen of its own messages."""

    nonce: Hash


class Status(Message, frozen=True):
    """The answer: the height of the sender's head, and what it has seen of the asker, as the asker signed it.

    ``seen`` is the asker's latest vote; ``deal`` and ``ack`` are those of the current round. A member that could merely
    claim to have seen a vote or a dealing could keep the asker from voting and dealing for ever.
    """

    nonce: Hash
    head: Height
    seen: RawEnvelope | None
    deal: RawEnvelope | None
    ack: RawEnvelope | None


class Withdrawal(Message, frozen=True):
    """A newcomer takes back its request to be admitted, whichever request of it a member has.

    ``at_ms``: the time by the newcomer's clock. A request does not say when it was made, and a newcomer that asks again
    may send the same bytes. So a withdrawal counts once, and for a short time only
    (:meth:`..pending_changes.PendingChanges.withdraw`).
    """

    at_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class OptionsChange(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """New values of options of the training; None leaves an option as it is. Zero means what it means in the genesis.

    The values are absolute. So a change that is made twice is the same as one that is made once.
    """

    rounds: Annotated[int, msgspec.Meta(ge=0, le=2**31)] | None = None
    patience: Annotated[int, msgspec.Meta(ge=0, le=2**31)] | None = None
    min_peers: Annotated[int, msgspec.Meta(ge=MIN_TRAINING_MEMBERS, le=MAX_MEMBERS)] | None = None
    evict_after_rounds: Annotated[int, msgspec.Meta(ge=0, le=2**31)] | None = None


class OptionsProposal(Message, frozen=True):
    """A member proposes to change options of the training; the members vote on it (:class:`OptionsVote`).

    ``number``: the change that it wants to be, one more than the changes decided so far. Once another change is
    decided, this one never can be. ``round``: the ledger's round when it was made; it expires PROPOSAL_ROUNDS later.
    ``at_ms``: the time by the proposer's clock. Of the proposals of one member, the newest counts.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    round: Round
    at_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    change: OptionsChange


class OptionsVote(Message, frozen=True):
    """A member's vote on the proposal with this id (:func:`proposal_id`), and on no other one."""

    proposal: Hash
    accepts: bool


KINDS: tuple[tuple[type[Message], int, int], ...] = (
    # type, largest payload in bytes, largest blob in bytes; the place of a kind is its number, so only append
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
    (OptionsProposal, 128, 0),
    (OptionsVote, 64, 0),
)
KIND_OF: dict[type[Message], int] = {kind: number for number, (kind, _, _) in enumerate(KINDS)}


def dealing_id(federation: bytes, dealer: bytes, deal: Deal) -> bytes:
    """Return the id of a dealing: a hash over everything that its dealer publishes of it."""
    domain = b"coterie/dealing-id/%d\x00" % PROTOCOL_VERSION
    return hashlib.sha256(domain + encode((federation, dealer, deal))).digest()


def proposal_id(federation: bytes, proposer: bytes, height: int, proposal: OptionsProposal) -> bytes:
    """Return the id of proposed options, by which votes name them. ``height``: that of the proposal's envelope."""
    domain = b"coterie/options-proposal/%d\x00" % PROTOCOL_VERSION
    return hashlib.sha256(domain + encode((federation, proposer, height, proposal))).digest()


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
    "OptionsChange",
    "OptionsProposal",
    "OptionsVote",
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
    "proposal_id",
]
