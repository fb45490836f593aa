"""Sign once: a member never casts two different votes for one (height, view, kind), whatever happens to its
process or disk.

Three layers (safety rule 3 of DESIGN section 7):

1. every vote is a durable record before it is sent, and the journal is asked before each vote;
2. after a restart nothing is voted until the others have said what they saw of this member; if any shows a vote
that is not in the
   journal, the journal is an old copy, and the member abstains until it is past that height; the answer of a member
   that is ahead counts once this one has caught up with it, by certified blocks;
3. where the store itself has reason to think that it is a copy, every other member must answer, not just a
quorum; and the member sits out each round that it may have dealt in before, however many blocks it lasts (safety
rule 6).
"""

from dataclasses import dataclass, field

from .committee import Committee
from .envelope import Verified
from .messages import Precommit


def place(vote: Verified) -> tuple[int, int, int]:
    """Return height, view and kind (0 for a prevote, 1 for a precommit): for each of these a member votes once."""
    return vote.height, vote.view, int(isinstance(vote.message, Precommit))


@dataclass(slots=True)
class VoteGuard:
    """The journal of one's votes at the current height, and whether one may vote at all."""

    resuming: bool = False
    abstain_through: int = -1
    copied: bool = False
    resumed_at: int = -1
    """The height being decided when this member stopped resuming."""
    _journal: dict[tuple[int, int, int], bytes | None] = field(default_factory=dict)
    _heads: dict[bytes, int] = field(default_factory=dict)
    """Who answered, and the head that it told."""
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

    def on_status(self, sender: bytes, head: int, seen: tuple[int, int, int] | None, height: int) -> None:
        """Take a member's answer while resuming at ``height`` (the one being decided).

        ``seen``: height, view and kind of the latest vote of this member that the sender shows.
        """
        self._heads[sender] = head
        if seen is not None and seen[0] >= height and not self._knows(seen):
            self.abstain_through = max(self.abstain_through, seen[0])

    def _knows(self, seen: tuple[int, int, int]) -> bool:
        return seen in self._journal or self._has_voted_later(*seen)

    def may_have_dealt(self, opened_at: int) -> bool:
        """Whether the state of which this one is a copy may have dealt in the round that began at ``opened_at``.

        Everybody who answered was at ``resumed_at``. That state was there too, or had decided one block more by itself:
        for two it takes the votes of somebody who knows the first one.
        """
        return self.copied and opened_at <= self.resumed_at + 1

    def waited(self) -> None:
        """The time in which every member should have answered is over."""
        self._waited = True

    def try_resume(self, committee: Committee, me: bytes, height: int) -> bool:
        """Stop resuming at ``height`` if enough of the others answered: all, or a quorum once the wait is over.

        Only who is not ahead counts, so that this member has seen what they decided. Whoever claims a head that it
        cannot show is as good as silent.
        """
        needed = committee.n - (committee.index(me) is not None)
        if self._waited and not self.copied:
            needed = committee.quorum - 1
        if self.resuming and len(self._heads) >= needed:
            level = sum(self._heads.get(member, height) < height for member in committee.members if member != me)
            if level >= needed:
                self.resuming, self.resumed_at = False, height
        return not self.resuming
