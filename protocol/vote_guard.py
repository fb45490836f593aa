"""Sign once: a member never casts two different votes for one (height, view, kind), whatever happens to its home.

There are three layers (safety rule 3 of docs/protocol.md):

1. Every vote is a durable record before it is sent, and the journal of votes is asked before each vote.
2. After a restart a member casts no vote until the others have said what they saw of it. If one of them shows a vote
   that is not in the journal, the journal is an old copy, and the member abstains until it is past that height. The
   answer of a member that is ahead counts once this one has caught up with it, by certified blocks.
3. A home may be a copy or an older state of itself: because the store noticed it, or because a decided block holds a
   vote, a dealing or acks of this member that it does not know (last paragraph). Then not just a quorum but every other
   member must answer, or the ledger must have gone on past all that the lost state can have voted on (next paragraph).
   And the member sits out each round that it may have dealt in before, however many blocks the round lasts (safety rule
   6).

*Why a copy may vote again once the ledger has gone on.* The lost state no longer runs, and it voted at a height only if
it had decided the one before. So it is enough to know of a height Y that had no certificate when this process started:
the lost state then voted at Y at most, and dealt in no round that began after Y. An honest member with a head of at
most Y-2 has not precommitted at Y. Every head that a member tells, in its answer or in a heartbeat, is told after the
start, and heads do not go back. Let a be how many members of Y's committee told such heads. At least a-f of
these are honest, and n-(a-f) votes are left for an earlier certificate. With a >= n-q+f+1 these are fewer
than q, so there was none. A liar that tells a lower head than it has is one of the f; one that tells a higher head does
not count. If the ledger goes on without this member, at least q others take part in it, and q is never less than
n-q+f+1. So the wait ends when each of these tells its true head. If the ledger cannot go on without this member, every
other one has to answer. Two members that are put back to old states at the same time count as liars here.

*How a home finds that it was left behind.* After `cp -r` the store of the copy knows that it is a copy. The store of
the original does not: its files are the ones that it wrote. If the original is started again after its copy took part,
it catches up by blocks above its stored head. After an ordinary restart, the journal has each precommit of this member
that is in the certificate of such a block, since it was durable before it was sent. The same holds for a dealing and
for acks that `contributors` names. If one is missing here, another state of this home made it. That is remembered until
the member deals again.
"""

from dataclasses import dataclass, field

from .ledger.committee import Committee
from .messages.envelope import Verified
from .messages.kinds import Precommit
from .records import VoteKind

Place = tuple[int, int, VoteKind]
"""(height, view, kind): a member casts one vote there."""


def place(vote: Verified) -> Place:
    """Return the place of a vote."""
    kind = VoteKind.PRECOMMIT if isinstance(vote.message, Precommit) else VoteKind.PREVOTE
    return vote.height, vote.view, kind


@dataclass(slots=True)
class VoteGuard:
    """The journal of this member's votes at the current height, and whether it may vote at all."""

    resuming: bool = False
    """Whether the member waits for answers after a restart, and casts no votes."""
    abstain_through: int = -1
    """No votes are cast up to this height: the others saw votes of this member that the journal does not have."""
    copied: bool = False
    """Whether this home is a copy or an older state of itself."""
    dealt_through: int = -1
    """The lost state of a copy may have dealt in rounds that began while this height, or one below, was decided."""
    _journal: dict[Place, bytes | None] = field(default_factory=dict)
    """The block of each vote that was cast, by :func:`place`."""
    _heads: dict[bytes, int] = field(default_factory=dict)
    """By member that answered, the height of the head that it told."""
    _lowest: dict[bytes, int] = field(default_factory=dict)
    """By member, the lowest head that it told since the start."""
    _waited: bool = False
    """The time in which all members should have answered is over."""
    _passed: bool = False
    """The ledger has gone on past all that the lost state of a copy can have voted on."""

    def record(self, height: int, view: int, kind: VoteKind, block: bytes | None) -> None:
        """Enter a vote that was cast."""
        self._journal[(height, view, kind)] = block

    def permits(self, height: int, view: int, kind: VoteKind, block: bytes | None) -> bool:
        """Whether this vote may be cast.

        It may not while the member resumes or abstains, nor if another vote was cast in its place. It must be a vote of
        the journal again, or come after all votes there.
        """
        if self.resuming or height <= self.abstain_through:
            return False
        return self._journal.get((height, view, kind), block) == block and (
            (height, view, kind) in self._journal or not self._has_voted_later(height, view, kind)
        )

    def _has_voted_later(self, height: int, view: int, kind: VoteKind) -> bool:
        return any(one > (height, view, kind) for one in self._journal)

    def has_cast(self, height: int, view: int, kind: VoteKind, block: bytes | None) -> bool:
        """Whether the journal holds exactly this vote, as it does for each vote that this state of the home cast."""
        place = (height, view, kind)
        return place in self._journal and self._journal[place] == block

    def resume(self, copied: bool) -> None:
        """Wait for the others' answers after a restart. ``copied``: this home is a copy or an older state of itself."""
        self.resuming, self.copied = True, copied

    def mark_as_copy(self) -> bool:
        """Note that this home is an older state of itself. Returns whether that is news."""
        was_known, self.copied = self.copied, True
        return not was_known

    def resume_again(self) -> None:
        """Wait for the others' answers once more: the lost state did more than their earlier answers showed."""
        self.resuming, self._waited, self._passed = True, False, False
        self._heads.clear()
        self._lowest.clear()

    def forget_below(self, height: int) -> None:
        """Drop the votes of lower heights, which are decided."""
        for key in [key for key in self._journal if key[0] < height]:
            del self._journal[key]

    def on_status(self, sender: bytes, head: int, seen: Place | None, height: int) -> None:
        """Take a member's answer while resuming at ``height`` (the one being decided).

        ``head``: the height of the sender's head. ``seen``: the place of the latest vote of this member that it shows.
        """
        self._heads[sender] = head
        self.on_head(sender, head)
        if seen is not None and seen[0] >= height and not self._knows(seen):
            self.abstain_through = max(self.abstain_through, seen[0])

    def _knows(self, seen: Place) -> bool:
        return seen in self._journal or self._has_voted_later(*seen)

    def on_head(self, sender: bytes, head: int) -> None:
        """While this member resumes, take the head that another one tells, in an answer or a heartbeat."""
        if self.resuming:
            self._lowest[sender] = min(head, self._lowest.get(sender, head))

    def on_decided(self, height: int, committee: Committee, me: bytes) -> None:
        """See whether enough members told so low heads that this block had no certificate when this process started."""
        if not self.resuming or self._passed:
            return
        behind = sum(self._lowest.get(one, height) <= height - 2 for one in committee.members if one != me)
        self._passed = behind >= committee.n - committee.quorum + committee.f + 1

    def may_have_dealt(self, opened_at: int) -> bool:
        """Whether this home is a copy whose lost state may have dealt in the round that began at this height."""
        return self.copied and (self.resuming or opened_at <= self.dealt_through)

    def waited(self) -> None:
        """Note that the time in which all members should have answered is over."""
        self._waited = True

    def try_resume(self, committee: Committee, me: bytes, height: int) -> bool:
        """Stop resuming at ``height`` if enough of the others answered: all, or a quorum once the wait is over.

        Only members that are not ahead count, so that this one has seen what the others decided. A member that claims a
        head that it cannot show counts as silent. A copy needs no answers once the ledger has passed its lost state.

        Returns whether this member no longer resumes.
        """
        if self.resuming and self.copied and self._passed:
            self.resuming, self.dealt_through = False, height
        needed = committee.n - (committee.index(me) is not None)
        if self._waited and not self.copied:
            needed = committee.quorum - 1
        if self.resuming and len(self._heads) >= needed:
            level = sum(self._heads.get(member, height) < height for member in committee.members if member != me)
            if level >= needed:
                # The lost state may have decided one block more than the others, by itself: for a second one it would
                # take the vote of a member that knows the first.
                self.resuming, self.dealt_through = False, height + 1
        return not self.resuming
