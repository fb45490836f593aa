"""A disk that keeps synced records and may lose those that are not synced yet.

The records of a node's step are written first and synced then. A crash in between leaves a prefix of them, as a torn
journal does. After a sync nothing is lost.
"""

from dataclasses import dataclass, field

from ...protocol.records import BlockDecided, Memory, Record, ValueSeen


@dataclass(slots=True)
class Disk(Memory):
    """One peer's store: its durable records, pruned as the real store prunes them, and those not durable yet."""

    had_values: set[tuple[int, bytes, int]] = field(default_factory=set)
    """Height, block and view of each value that was durable at some time; only checkers read it."""
    _unsynced: list[Record] = field(default_factory=list)

    def write(self, records: tuple[Record, ...]) -> None:
        """Write without syncing."""
        self._unsynced.extend(records)

    def sync(self) -> None:
        """Make everything written so far durable."""
        for record in self._unsynced:
            self.apply(record)
        self._unsynced.clear()

    def apply(self, record: Record) -> None:
        """Take a record that has become durable, as any memory does, and note each value for the checkers."""
        Memory.apply(self, record)  # a class with slots is made anew: `super()` would not find it
        if isinstance(record, BlockDecided):
            self.had_values = {value for value in self.had_values if value[0] > record.height}
        elif isinstance(record, ValueSeen):
            self.had_values.add((record.height, record.block, record.view))

    def crash(self, kept: int) -> None:
        """Fail: of the records that were not synced, only the first ``kept`` survive."""
        del self._unsynced[kept:]
        self.sync()

    def load(self) -> Memory:
        """Return the memory that a restarted peer finds."""
        return self.copy()
