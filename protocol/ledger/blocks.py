"""Ledger blocks: what the members agree on, as bytes that are hashed and never re-encoded.

Block 0 is the genesis (:mod:`.genesis`); its hash is the federation's id. Every other block names the hash of the block
before it. The certificate stands beside the block, not in it, because different members may hold different quorums for
the same block.
"""

import hashlib
from typing import Annotated, Literal

import msgspec

from ..limits import (
    MAX_BLOCK_BYTES,
    MAX_CHANGES_PER_BLOCK,
    MAX_MEMBERS,
    MAX_QUORUM,
    MAX_SETUP_SUMS,
    PROTOCOL_VERSION,
)
from ..messages.encoding import Hash, Height, Index, Key, Round, decode, encode
from ..messages.kinds import Names, RawEnvelope

Wide = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
"""An exact sum as a signed 160-bit big-endian integer, in units of 2**-40."""


class Join(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="join"):
    """Admit the sender of this signed :class:`..messages.kinds.JoinRequest`."""

    request: RawEnvelope


class Depart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="leave"):
    """Let the sender of this signed :class:`..messages.kinds.LeaveRequest` go."""

    request: RawEnvelope


class Evict(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="evict"):
    """Remove a member, with the signed evidence; silence needs none, since the ledger itself proves it."""

    member: Key
    reason: Literal[
        "silent", "double-vote", "double-deal", "double-ack", "false-vector", "bad-dealing", "false-proof", "wrong-sum"
    ]
    evidence: Annotated[tuple[RawEnvelope, ...], msgspec.Meta(max_length=MAX_MEMBERS)]


class Amend(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="amend"):
    """Change options of the training as this signed :class:`..messages.kinds.OptionsProposal` says.

    ``votes``: the signed yes-votes that justify it, exactly a quorum of the members, signers ascending by key.
    """

    proposal: RawEnvelope
    votes: Annotated[tuple[RawEnvelope, ...], msgspec.Meta(max_length=MAX_QUORUM)]


Change = Join | Depart | Evict | Amend


class Membership(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="membership"):
    """Changes of the membership and of options of the training; they count from the next round on."""

    changes: Annotated[tuple[Change, ...], msgspec.Meta(min_length=1, max_length=MAX_CHANGES_PER_BLOCK)]


class Contributors(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="contributors"):
    """``dealers``: U with the id of each dealing. ``holders``: the holders J that acked all of them."""

    round: Round
    scheme: Annotated[str, msgspec.Meta(max_length=16)]
    base_hash: Hash
    dealers: Annotated[tuple[tuple[Index, Hash], ...], msgspec.Meta(min_length=1, max_length=MAX_MEMBERS)]
    holders: Annotated[tuple[Index, ...], msgspec.Meta(min_length=1, max_length=MAX_MEMBERS)]

    def digest(self) -> bytes:
        """Return H(U): what a holder commits to, durably, before it releases its sum."""
        return hashlib.sha256(b"coterie/contributors/%d\x00" % PROTOCOL_VERSION + encode(self)).digest()


class Model(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="model"):
    """The hash of the round's sum W, and what follows from W: exact totals, the hash of the new weights, the beacon."""

    round: Round
    vector_hash: Hash
    sums: Annotated[tuple[Wide, ...], msgspec.Meta(min_length=2, max_length=MAX_SETUP_SUMS + 64)]
    weights_hash: Hash
    beacon: Hash


class Void(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="void"):
    """The round ends without a result; ``names`` are the members that the proposer missed.

    For the reason ``encoding`` the sum W with the hash ``vector_hash`` is right, and cannot be a sum of contributions.
    Like a Model, such a block is decided by votes that prove W.
    """

    round: Round
    reason: Literal["shares", "sum", "encoding"]
    names: Names
    vector_hash: Hash | None = None


Body = Membership | Contributors | Model | Void


class Block(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One entry of the ledger."""

    height: Height
    previous: Hash
    body: Body

    def encode(self) -> bytes:
        """Return the bytes that are hashed, voted on and stored."""
        return encode(self)


def read_block(data: bytes) -> Block:
    """Decode a block.

    Raises:
        DecodeError: malformed, out of bounds or not canonical.
    """
    return decode(data, Block, MAX_BLOCK_BYTES)


def claimed_sum(body: Body) -> bytes | None:
    """Return the hash of the sum W that a body is about, and that its votes have to prove; None if it is about none."""
    return body.vector_hash if isinstance(body, Model | Void) else None


def block_hash(data: bytes) -> bytes:
    """Return the hash of a block, by which members vote on it and the next block names it."""
    return hashlib.sha256(b"coterie/block/%d\x00" % PROTOCOL_VERSION + data).digest()


def wide_bytes(value: int) -> bytes:
    """Encode an exact sum (:data:`Wide`) for the ledger."""
    return value.to_bytes(20, "big", signed=True)


def wide_value(data: bytes) -> int:
    """Decode :func:`wide_bytes`."""
    return int.from_bytes(data, "big", signed=True)
