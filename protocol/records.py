"""The records that a member makes durable before anything that depends on them leaves the process.

A record is a frozen value. The store (in ``peer``) keeps the records and gives them back after a restart as a
:class:`Memory`, from which :class:`.node.Node` resumes. Nothing else of a node survives a restart.
"""

from dataclasses import dataclass, field
from enum import IntEnum


class VoteKind(IntEnum):
    """What a vote is: a member casts one of each kind in a view."""

    PREVOTE = 0
    PRECOMMIT = 1


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
    """The weights (little-endian float32) with the hash that the ledger decided; only the newest need to be kept."""

    weights_hash: bytes
    weights: bytes


@dataclass(frozen=True, slots=True)
class VoteCast:
    """A vote, exactly as signed. Safety rule 3."""

    height: int
    view: int
    kind: VoteKind
    envelope: bytes


@dataclass(frozen=True, slots=True)
class ValueSeen:
    """The lock or the valid value of Algorithm 1 (lines 37 to 43); replaces the earlier one.

    ``vector`` (W) and ``polka`` (the prevotes behind the value) stand in the record of the valid value alone: lock and
    valid value change together.
    """

    height: int
    view: int
    locked: bool
    block: bytes
    vector: bytes | None
    polka: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Dealt:
    """This member's dealing of a round: all that it takes to make the very same dealing again. Safety rule 6."""

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
    """This member released its sum for this contributor set (the hash H(U)); never for a second set in a round.

    Safety rule 1.
    """

    round: int
    contributors: bytes


@dataclass(frozen=True, slots=True)
class RoundClosed:
    """The round ended: the store erases its dealing, shares and vectors; its ``Released`` stays."""

    round: int


@dataclass(frozen=True, slots=True)
class LostStateFound:
    """A decided block holds something that this member signed and this home does not know.

    So this home is an older state of itself (:mod:`.vote_guard`). The rules for copies apply until the member deals
    again. Safety rules 3 and 6.
    """

    height: int


@dataclass(frozen=True, slots=True)
class ShownToUs:
    """This member's dealing and acks of a round, as others showed them and this home does not know them.

    Replaces the earlier record. Safety rule 6.
    """

    round: int
    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BallotCast:
    """This member's vote on proposed options, exactly as signed, with the proposal; never another vote on it."""

    proposal: bytes
    """Its id."""
    proposed: bytes
    """Its envelope."""
    envelope: bytes


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
    | BallotCast
)


@dataclass(slots=True)
class Memory:
    """Everything that the store gives back after a restart, in the order in which it was written."""

    blocks: list[BlockDecided] = field(default_factory=list)
    model: ModelSaved | None = None
    votes: list[VoteCast] = field(default_factory=list)
    values: list[ValueSeen] = field(default_factory=list)
    dealt: Dealt | None = None
    shares: list[ShareHeld] = field(default_factory=list)
    released: dict[int, bytes] = field(default_factory=dict)
    copied: bool = False
    """Whether this home is a copy or a restored backup, as the store or a decided block showed (safety rule 3)."""
    shown: ShownToUs | None = None
    ballots: list[BallotCast] = field(default_factory=list)

    def apply(self, record: Record) -> None:
        """Take a record that has become durable, and forget what it ends. A store does the same to its tables."""
        match record:
            case BlockDecided(height=height):
                self.blocks.append(record)
                self.votes = [vote for vote in self.votes if vote.height > height]
                self.values = [value for value in self.values if value.height > height]
            case ModelSaved():
                self.model = record
            case VoteCast():
                self.votes.append(record)
            case ValueSeen(height=height, locked=locked):
                self.values = [one for one in self.values if (one.height, one.locked) != (height, locked)]
                self.values.append(record)
            case Dealt():
                self.dealt, self.copied = record, False
            case ShareHeld():
                self.shares.append(record)
            case Released(round=round, contributors=contributors):
                self.released[round] = contributors
            case RoundClosed(round=closed):
                if self.dealt is not None and self.dealt.round <= closed:
                    self.dealt = None
                self.shares = [share for share in self.shares if share.round > closed]
                self.shown = None
            case LostStateFound():
                self.copied = True
            case ShownToUs():
                self.shown = record
            case BallotCast():
                self.ballots.append(record)

    def copy(self) -> "Memory":
        """Return a copy that changes by itself."""
        return Memory(
            [*self.blocks],
            self.model,
            [*self.votes],
            [*self.values],
            self.dealt,
            [*self.shares],
            dict(self.released),
            self.copied,
            self.shown,
            [*self.ballots],
        )
