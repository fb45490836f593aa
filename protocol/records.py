"""What a member writes down, durably, before anything that depends on it leaves the process.

A record is a frozen value; the store (in ``peer``) keeps it and gives all of them back after a restart as a
:class:`Memory`, from which :class:`.node.Node` resumes. Nothing else survives: whatever a member sends can be
derived from these.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BlockDecided:
    """A decided block with its certificate.

    Ends the height: the votes, lock and valid value of it may be forgotten.
    """

    height: int
    block: bytes
    certificate: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ModelSaved:
    """The weights (little-endian float32) whose hash the ledger decided; only the newest needs to be kept."""

    weights_hash: bytes
    weights: bytes


@dataclass(frozen=True, slots=True)
class VoteCast:
    """A vote, exactly as signed. ``kind`` is 0 for a prevote, 1 for a precommit. Safety rule 3."""

    height: int
    view: int
    kind: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class ValueSeen:
    """The lock or the valid value of Algorithm 1 (lines 37 to 43) with the prevotes behind it; replaces the
    earlier one.
    """

    height: int
    view: int
    locked: bool
    block: bytes
    vector: bytes | None
    polka: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Dealt:
    """This member's dealing of a round: what is needed to make the very same one again. Safety rule 6."""

    round: int
    seed: bytes = field(repr=False)
    vector: bytes = field(repr=False)
    seeded: tuple[int, ...] = ()
    """The holders whose shares are seeds, by their places in the committee."""


@dataclass(frozen=True, slots=True)
class ShareHeld:
    """A checked share from ``dealer`` (its public key), with the dealer's signed commitment.

    Safety rule 6.
    """

    round: int
    dealer: bytes
    deal: bytes
    values: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Released:
    """This member released its sum for this contributor set; there is never a second set in a round.

    Safety rule 1.
    """

    round: int
    contributors: bytes


@dataclass(frozen=True, slots=True)
class RoundClosed:
    """The round ended: its dealing, shares and vectors are to be erased; its ``Released`` stays."""

    round: int


@dataclass(frozen=True, slots=True)
class LostStateFound:
    """A decided block holds what this member signed and this home does not know: it is an older state of itself.

    The rules for copies apply until the member deals again. Safety rules 3 and 6.
    """

    height: int


@dataclass(frozen=True, slots=True)
class ShownToUs:
    """What others showed that this member signed in a round, and this home does not know: its dealing, its acks.

    Replaces the earlier one. Safety rule 6.
    """

    round: int
    envelopes: tuple[bytes, ...]


Record = (
    BlockDecided
    | ModelSaved
    | VoteCast
    | ValueSeen
    | Dealt
    | ShareHeld
    | Released
    | RoundClosed
    | LostStateFound
    | ShownToUs
)


@dataclass(slots=True)
class Memory:
    """Everything the store gives back after a restart, in the order in which it was written."""

    blocks: list[BlockDecided] = field(default_factory=list)
    model: ModelSaved | None = None
    votes: list[VoteCast] = field(default_factory=list)
    values: list[ValueSeen] = field(default_factory=list)
    dealt: Dealt | None = None
    shares: list[ShareHeld] = field(default_factory=list)
    released: dict[int, bytes] = field(default_factory=dict)
    copied: bool = False
    """This home is a copy or a restored backup, as the store found, or blocks that others decided (safety rule 3)."""
    shown: ShownToUs | None = None
