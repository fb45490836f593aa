"""Sign once: a member never casts two different votes for one (height, view, kind), whatever happens to its
process or disk.

Three layers (safety rule 3 of DESIGN section 7):

1. every vote is a durable record before it is sent, and the journal is asked before each vote;
2. after a restart nothing is voted until the others have said what they saw of this member; if any saw a vote
that is not in the
   journal, or stands at a later height, the journal is an old copy, and the member abstains until it is past
   that height;
3. where the store itself has reason to think that it is a copy, every other member must answer, not just a
quorum; and the member sits out the round that it may have dealt in before (safety rule 6).
"""

from dataclasses import dataclass, field

from .messages import Status


@dataclass(slots=True)
class VoteGuard:
    """The journal of one's votes at the current height, and whether one may vote at all."""

    resuming: bool = False
    abstain_through: int = -1
    copied: bool = False
    head_seen: int = -1
    """The highest head that others told while this member resumed."""
    _journal: dict[tuple[int, int, int], bytes | None] = field(default_factory=dict)
    _answered: set[bytes] = field(default_factory=set)
    _waited: bool = False

    def record(self, height: int, view: int, kind: int, block: bytes | None) -> None:
        """Enter a vote that was cast."""
        self._journal[(height, view, kind)] = block

    def permits(self, height: int, view: int, kind: int, block: bytes | None) -> bool:
        """Whether this vote may be cast: nothing else was voted in its place, and nobody is ahead of the
        journal.
        """
        if self.resuming or height <= self.abstain_through:
            return False
        return self._journal.get((height, view, kind), block) == block and (
            (height, view, kind) in self._journal or not self._has_voted_later(height, view, kind)
        )

    def _has_voted_later(self, height: int, view: int, kind: int) -> bool:
        return any(one > (height, view, kind) for one in self._journal)

    def forget_below(self, height: int) -> None:
        """Drop what decided heights no longer need."""
        for key in [key for key in self._journal if key[0] < height]:
            del self._journal[key]

    def on_status(self, sender: bytes, status: Status, height: int) -> None:
        """Take a member's answer while resuming at ``height`` (the one being decided)."""
        self._answered.add(sender)
        self.head_seen = max(self.head_seen, status.head)
        seen = (status.seen_height, status.seen_view, status.seen_kind)
        if status.seen_any and status.seen_height >= height and not self._knows(seen):
            self.abstain_through = max(self.abstain_through, status.seen_height)
        if status.head >= height:
            self.abstain_through = max(self.abstain_through, status.head)

    def _knows(self, seen: tuple[int, int, int]) -> bool:
        return seen in self._journal or self._has_voted_later(*seen)

    def may_have_dealt(self, height: int) -> bool:
        """Whether the state of which this one is a copy may have dealt in the round that shares at ``height``."""
        return self.copied and height <= self.head_seen + 1

    def waited(self) -> None:
        """The time in which every member should have answered is over."""
        self._waited = True

    def try_resume(self, others: frozenset[bytes], needed: int) -> bool:
        """Stop resuming if enough of the other members answered: all of them, or ``needed`` once the wait is
        over.
        """
        heard = len(self._answered & others)
        if heard == len(others) or (self._waited and not self.copied and heard >= needed):
            self.resuming = False
        return not self.resuming
