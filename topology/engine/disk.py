"""A disk that keeps synced records and may lose those that are not synced yet.

The records of a node's step are written first and synced then. A crash in between leaves a prefix of them, as a torn
journal does. After a sync nothing is lost.
"""

from dataclasses import dataclass, field

from ...protocol.records import (
    BlockDecided,
    Dealt,
    LostStateFound,
    Memory,
    ModelSaved,
    Record,
    Released,
    RoundClosed,
    ShareHeld,
    ShownToUs,
    ValueSeen,
    VoteCast,
)


@dataclass(slots=True)
class Disk:
    """One peer's store: its durable records, pruned as the real store prunes them, and those not durable yet."""

    blocks: list[BlockDecided] = field(default_factory=list)
    model: ModelSaved | None = None
    votes: list[VoteCast] = field(default_factory=list)
    values: list[ValueSeen] = field(default_factory=list)
    had_values: set[tuple[int, bytes, int]] = field(default_factory=set)
    """Height, block and view of each value that was durable at some time; only checkers read it."""
    dealt: Dealt | None = None
    shares: list[ShareHeld] = field(default_factory=list)
    released: dict[int, bytes] = field(default_factory=dict)
    copied: bool = False
    shown: ShownToUs | None = None
    _unsynced: list[Record] = field(default_factory=list)

    def write(self, records: tuple[Record, ...]) -> None:
        """Write without syncing."""
        self._unsynced.extend(records)

    def sync(self) -> None:
        """Make everything written so far durable."""
        for record in self._unsynced:
            self._keep(record)
        self._unsynced.clear()

    def crash(self, kept: int) -> None:
        """Fail: of the records that were not synced, only the first ``kept`` survive."""
        del self._unsynced[kept:]
        self.sync()

    def _keep(self, record: Record) -> None:
        match record:
            case BlockDecided(height=height):
                self.blocks.append(record)
                self.votes = [vote for vote in self.votes if vote.height > height]
                self.values = [value for value in self.values if value.height > height]
                self.had_values = {value for value in self.had_values if value[0] > height}
            case ModelSaved():
                self.model = record
            case VoteCast():
                self.votes.append(record)
            case ValueSeen(locked=locked):
                self.values = [one for one in self.values if one.locked != locked]
                self.values.append(record)
                self.had_values.add((record.height, record.block, record.view))
            case Dealt():
                self.dealt, self.copied = record, False
            case ShareHeld():
                self.shares.append(record)
            case Released():
                self.released[record.round] = record.contributors
            case RoundClosed(round=closed):
                if self.dealt is not None and self.dealt.round <= closed:
                    self.dealt = None
                self.shares = [share for share in self.shares if share.round > closed]
                self.shown = None
            case LostStateFound():
                self.copied = True
            case ShownToUs():
                self.shown = record

    def load(self) -> Memory:
        """Return the memory that a restarted peer finds."""
        return Memory(
            list(self.blocks),
            self.model,
            list(self.votes),
            list(self.values),
            self.dealt,
            list(self.shares),
            dict(self.released),
            self.copied,
            self.shown,
        )
