"""Algorithm 1 of "The latest gossip on BFT consensus" (arXiv 1807.04938), for one height.

The paper is by Buchman, Kwon and Milosevic. This is one member's state machine: proposals, votes and timeouts go in,
actions come out. The paper's line numbers stand on the arms that implement them;
tests/protocol/agreement/test_tendermint.py has a test for each. Members agree on hashes; :mod:`.height` knows what
these stand for.

A height has views, which the paper calls rounds. In each view one member proposes a value. A member prevotes for it, or
for nil if the value is invalid or the member is locked on another one. On a *polka*, which is q prevotes of one view
for the value, a member locks the value and precommits it. q precommits of one view decide the value. If that does not
come about in time, members vote nil, and q precommits of whatever kind let them go on to the next view.

Two values are never decided: any two quorums share an honest member, and a lock is kept from view to view. It gives way
only to a proposal with a polka for its value, of a view that is not older than the lock (line 28). And locks do not
block for ever: a proposer repeats the latest value that it saw a polka for, together with that polka (line 16), so
members that are locked on another value can join.

Three things come from outside:

* The validity of a proposal is handed in with it. To check a sum takes time, so a proposal enters once it is checked.
* ``proves`` says whether the prevotes for a value suffice as a polka. For a block about a sum they must prove the sum
  (docs/protocol.md, "Checking").
* ``on_ready`` and ``wanted`` say whether there is something to decide; f+1 others say so, too, by voting. Until then a
  view has no propose timeout, so an idle federation stays quiet.

The paper writes 2f+1 for n = 3f+1. For any n that is the quorum of :class:`..ledger.committee.Committee`. The rules
beyond the paper are explained in docs/protocol.md, "Agreement".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import Final

from ..ledger.committee import Committee
from ..limits import LAST_VIEW_TO_SKIP_TO, VIEW_HISTORY, VIEW_WINDOW
from ..machines import Table
from ..messages.envelope import Verified
from ..messages.kinds import Precommit, Prevote
from ..records import VoteKind

NIL = None


class Stage(IntEnum):
    """How far a member has voted in a view: the paper's step. Its number is the kind of the last vote.

    In the order of the paper::

        propose   --prevote----> prevote
        prevote   --precommit--> precommit
        prevote   --new view---> propose
        precommit --new view---> propose
    """

    PROPOSE = -1
    PREVOTE = VoteKind.PREVOTE
    PRECOMMIT = VoteKind.PRECOMMIT


class StageInput(Enum):
    """What moves the stage on: votes of this member, and views."""

    PREVOTE = auto()
    PRECOMMIT = auto()
    NEW_VIEW = auto()


STAGES: Final = Table(
    {
        (Stage.PROPOSE, StageInput.PREVOTE): Stage.PREVOTE,
        (Stage.PREVOTE, StageInput.PRECOMMIT): Stage.PRECOMMIT,
        (Stage.PREVOTE, StageInput.NEW_VIEW): Stage.PROPOSE,
        (Stage.PRECOMMIT, StageInput.NEW_VIEW): Stage.PROPOSE,
    }
)


@dataclass(frozen=True, slots=True)
class ProposeNow:
    """Line 14: it is this member's turn. ``value``: the hash to propose again, or None for a new one."""

    view: int
    value: bytes | None
    valid_view: int


@dataclass(frozen=True, slots=True)
class CastVote:
    """Broadcast a prevote or precommit (``stage``) for ``value`` in ``view``."""

    stage: Stage
    view: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class StartTimeout:
    """Schedule OnTimeoutPropose, OnTimeoutPrevote or OnTimeoutPrecommit (by ``stage``) for ``view``."""

    stage: Stage
    view: int
    at_once: bool = False
    """Whether the timeout fires at once: no block can get a quorum of these votes any more, however the rest vote."""


@dataclass(frozen=True, slots=True)
class Remember:
    """The lock (``locked``) or the valid value changed; this must be durable before the vote that follows is sent."""

    locked: bool
    view: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Decide:
    """Line 51: the value is decided, by the precommits of ``view``."""

    value: bytes
    view: int


@dataclass(frozen=True, slots=True)
class NewView:
    """Line 11 ran: a view started."""

    view: int


Action = ProposeNow | CastVote | StartTimeout | Remember | Decide | NewView


@dataclass(slots=True)
class _View:
    """What was received for one view."""

    proposal: tuple[bytes, int, bool] | None = None
    """The first proposal: its value, its valid view (-1 for none), and whether it is valid."""
    polka: dict[bytes, Verified] = field(default_factory=dict)
    """The prevotes of its valid view that came with the proposal."""
    prevotes: dict[bytes, Verified] = field(default_factory=dict)
    precommits: dict[bytes, Verified] = field(default_factory=dict)
    prevoted: dict[bytes | None, int] = field(default_factory=dict)
    """How many prevotes each value has. It is asked after every vote, so the count is kept."""
    precommitted: dict[bytes | None, int] = field(default_factory=dict)
    fired: set[str] = field(default_factory=set)
    """Rules that apply once in a view, and have applied."""


@dataclass(slots=True)
class Consensus:
    """The algorithm at one height. Each of the ``on_*`` methods returns the actions to carry out, in order."""

    committee: Committee
    me: bytes
    proposer: Callable[[int], bytes]
    proves: Callable[[bytes, Mapping[bytes, Verified]], bool]
    view: int = 0
    stage: Stage = Stage.PROPOSE
    locked: tuple[bytes, int] | None = None
    """The paper's lockedValue and lockedRound."""
    valid: tuple[bytes, int] | None = None
    """The paper's validValue and validRound."""
    wanted: Callable[[int], bool] = lambda _view: True
    """Whether there is something to decide now; asked at the beginning of each view but the first."""
    ready: bool = False
    """Whether there is something to decide in this view, for this member or for an honest one among the others."""
    decided: bytes | None = None
    _views: dict[int, _View] = field(default_factory=dict)
    _latest: dict[bytes, int] = field(default_factory=dict)
    """By member, the highest view that it has voted in."""
    _furthest: int = 0
    """The highest view that any vote was seen of."""
    _is_idle: bool = False
    """Whether this view was entered and waits until it is ready."""
    _out: list[Action] = field(default_factory=list)

    @property
    def takes_part(self) -> bool:
        """Whether this member votes at this height or only watches."""
        return self.committee.index(self.me) is not None

    # Inputs.

    def start(self) -> list[Action]:
        """Begin with line 10, or go on after a restart in the view and stage that were restored.

        After a restart no timeout runs before a quorum of votes is there again (lines 34 and 47). A member that left
        the view alone would leave the others there without the vote that they need from it.
        """
        if self.view == 0 and self.stage is Stage.PROPOSE:
            self._start_view(0)
        else:
            self._out.append(NewView(self.view))
        return self._advance()

    def on_ready(self) -> list[Action]:
        """Note that there is something to decide at this height: propose it, or start to wait for the proposer."""
        if not self.ready:
            self.ready = True
            if self._is_idle and self.stage is Stage.PROPOSE:
                self._begin_proposing()
        return self._advance()

    def on_proposal(
        self, view: int, value: bytes, valid_view: int, is_valid: bool, polka: Iterable[Verified] = ()
    ) -> list[Action]:
        """Take the proposal of ``view``'s proposer; the first one counts.

        ``polka``: the prevotes that came with it. They are kept beside the votes heard here, for two reasons. Of a
        sender that votes twice, one vote may count here, and the other one at the proposer. And the votes of old views
        are forgotten.
        """
        at = self._at(view) if self._keeps(view) else None
        if at is not None and at.proposal is None:
            at.proposal = (value, valid_view, is_valid)
            at.polka = {vote.sender: vote for vote in polka if self._supports(vote, valid_view, value)}
        return self._advance()

    def _supports(self, vote: Verified, view: int, value: bytes) -> bool:
        """Whether this is a member's prevote of ``view`` for ``value``."""
        is_prevote = isinstance(vote.message, Prevote) and vote.view == view and vote.message.block_hash == value
        return is_prevote and self.committee.index(vote.sender) is not None

    def on_vote(self, vote: Verified) -> list[Action]:
        """Take a prevote or precommit of a committee member; the first one of a view and kind counts."""
        self.enter_vote(vote)
        actions = self._advance()
        if not self.ready and self.decided is None and self._others_are_ready():
            actions += self.on_ready()
        return actions

    def _others_are_ready(self) -> bool:
        """Whether f+1 others have voted in this view or later: one is honest, and may need this member's vote."""
        voted = sum(view >= self.view for member, view in self._latest.items() if member != self.me)
        return voted > self.committee.f

    def enter_vote(self, vote: Verified) -> None:
        """Enter a vote without acting on it: a durable one after a restart, or one that is acted on next."""
        if self.committee.index(vote.sender) is None:
            return
        if vote.view <= LAST_VIEW_TO_SKIP_TO:
            self._latest[vote.sender] = max(vote.view, self._latest.get(vote.sender, 0))
            self._furthest = max(self._furthest, vote.view)
        if self._keeps(vote.view):
            at = self._at(vote.view)
            is_prevote = isinstance(vote.message, Prevote)
            votes, counts = (at.prevotes, at.prevoted) if is_prevote else (at.precommits, at.precommitted)
            if vote.sender not in votes:
                votes[vote.sender] = vote
                value = _block(vote)
                counts[value] = counts.get(value, 0) + 1

    def restore_step(self, view: int, stage: Stage) -> None:
        """Go on in the step after this member's last durable vote; called after a restart, before :meth:`start`."""
        self.view, self.stage = view, stage

    def restore_value(self, value: bytes, view: int, locked: bool) -> None:
        """Take back the durable lock (``locked``) or valid value; called after a restart, before :meth:`start`."""
        if locked:
            self.locked = (value, view)
        else:
            self.valid = (value, view)

    def on_timeout(self, stage: Stage, view: int) -> list[Action]:
        """Lines 57 to 67: OnTimeoutPropose, OnTimeoutPrevote and OnTimeoutPrecommit."""
        if view == self.view and self.decided is None:
            if stage is Stage.PROPOSE and self.stage is Stage.PROPOSE:  # 57-60
                self._vote(Stage.PREVOTE, NIL)
            elif stage is Stage.PREVOTE and self.stage is Stage.PREVOTE:  # 61-64
                self._vote(Stage.PRECOMMIT, NIL)
            elif stage is Stage.PRECOMMIT:  # 65-67
                self._start_view(self.view + 1)
        return self._advance()

    def on_certificate(self, value: bytes, view: int) -> list[Action]:
        """Take as decided what :meth:`certificate` returned, though its validity could not be judged here."""
        self.decided = value
        return [Decide(value, view)]

    # Queries.

    def prevotes(self, view: int) -> Mapping[bytes, Verified]:
        """Return the prevotes that were received for a view."""
        at = self._views.get(view)
        return at.prevotes if at else {}

    def precommits(self, view: int) -> Mapping[bytes, Verified]:
        """Return the precommits that were received for a view."""
        at = self._views.get(view)
        return at.precommits if at else {}

    def prevotes_for(self, view: int, value: bytes | None) -> int:
        """Return how many prevotes of a view are for a value."""
        at = self._views.get(view)
        return at.prevoted.get(value, 0) if at else 0

    def has(self, vote: Verified) -> bool:
        """Whether a vote of this sender, view and kind was received before."""
        votes = self.prevotes(vote.view) if isinstance(vote.message, Prevote) else self.precommits(vote.view)
        return vote.sender in votes

    def latest_vote(self, member: bytes) -> Verified | None:
        """Return the latest vote of a member that is kept."""
        for _, at in sorted(self._views.items(), reverse=True):
            vote = at.precommits.get(member) or at.prevotes.get(member)
            if vote is not None:
                return vote
        return None

    def conflicting(self, vote: Verified) -> Verified | None:
        """Return an earlier vote of the same sender, view and kind for another block: evidence."""
        votes = self.prevotes(vote.view) if isinstance(vote.message, Prevote) else self.precommits(vote.view)
        earlier = votes.get(vote.sender)
        return earlier if earlier is not None and _block(earlier) != _block(vote) else None

    def certificate(self) -> tuple[bytes, int] | None:
        """Return a value that q precommits decide, and their view, even if its proposal never came; None for none."""
        for view, at in self._views.items():
            for value, count in at.precommitted.items():
                if value is not None and count >= self.committee.quorum:
                    return value, view
        return None

    # The algorithm.

    def _start_view(self, view: int) -> None:
        """Lines 11 to 21: start a view, after votes for nil where this member has not voted in the view before.

        The paper has every message gossiped to all. Here a liar's votes may reach one member alone. Lines 47 and 55
        then take that member to a new view before it has voted in the last one, and the others may need just its votes
        there to follow. So it first casts the votes that it has not cast, for nil.
        """
        # The votes that are missing in view - 1; both are, if that view is skipped altogether.
        left = [stage for stage in (Stage.PREVOTE, Stage.PRECOMMIT) if self.view < view - 1 or self.stage < stage]
        self.view, self.stage = view, STAGES.after(self.stage, StageInput.NEW_VIEW)
        self._out.append(NewView(view))
        if view > 0:
            self._out.extend(CastVote(stage, view - 1, NIL) for stage in left)
        self._forget_old_views()
        if view > 0:
            # What was wanted before may be settled or taken back. Without this an idle federation would go through
            # views for ever.
            self.ready = (
                self.wanted(view) or self.locked is not None or self.valid is not None or self._others_are_ready()
            )
        self._is_idle = not self.ready
        if self.ready:
            self._begin_proposing()

    def _begin_proposing(self) -> None:
        """Lines 14 to 21: propose, or wait for the proposal no longer than timeoutPropose."""
        self._is_idle = False
        if self.takes_part and self.proposer(self.view) == self.me:
            value, valid_view = self.valid or (None, -1)
            self._out.append(ProposeNow(self.view, value, valid_view))
        self._out.append(StartTimeout(Stage.PROPOSE, self.view))

    def _advance(self) -> list[Action]:
        """Apply the rules until the condition of none of them holds; return the actions that are due."""
        while self.decided is None and (
            self._line_22()
            or self._line_28()
            or self._line_36()
            or self._line_44()
            or self._line_49()
            or self._line_55()
        ):
            pass
        if self.decided is None:
            # These only start timeouts, so no rule above can hold because of them.
            self._line_34()
            self._line_47()
        actions, self._out = self._out, []
        return actions

    def _line_22(self) -> bool:
        """Lines 22 to 27: prevote for a new proposal, or for nil if it is invalid or another value is locked."""
        at = self._at(self.view)
        if self.stage is not Stage.PROPOSE or at.proposal is None:
            return False
        value, valid_view, is_valid = at.proposal
        if valid_view != -1:
            return False
        free = self.locked is None or self.locked[0] == value
        self._vote(Stage.PREVOTE, value if is_valid and free else NIL)
        return True

    def _line_28(self) -> bool:
        """Lines 28 to 33: the same for a proposal with a polka, which frees a lock of the polka's view or before."""
        at = self._at(self.view)
        if self.stage is not Stage.PROPOSE or at.proposal is None:
            return False
        value, valid_view, is_valid = at.proposal
        if not 0 <= valid_view < self.view or not self._polka(valid_view, value, at.polka):
            return False
        free = self.locked is None or self.locked[1] <= valid_view or self.locked[0] == value
        self._vote(Stage.PREVOTE, value if is_valid and free else NIL)
        return True

    def _line_34(self) -> None:
        """Lines 34 and 35: on q prevotes of any kind start timeoutPrevote; at once if no block can get a polka."""
        at = self._at(self.view)
        if self.stage is Stage.PREVOTE and "34" not in at.fired and len(at.prevotes) >= self.committee.quorum:
            at.fired.add("34")
            self._out.append(StartTimeout(Stage.PREVOTE, self.view))
        if self.stage is Stage.PREVOTE and "split" not in at.fired and self._is_hopeless(at.prevoted):
            at.fired.add("split")
            self._out.append(StartTimeout(Stage.PREVOTE, self.view, at_once=True))

    def _line_36(self) -> bool:
        """Lines 36 to 43: on a polka set the valid value; lock and precommit it if nothing was precommitted yet."""
        at = self._at(self.view)
        if self.stage < Stage.PREVOTE or "36" in at.fired or at.proposal is None:
            return False
        value, _, is_valid = at.proposal
        if not is_valid or not self._polka(self.view, value):
            return False
        at.fired.add("36")
        self.valid = (value, self.view)
        self._out.append(Remember(False, self.view, value))
        if self.stage is Stage.PREVOTE:
            self.locked = (value, self.view)
            self._out.append(Remember(True, self.view, value))
            self._vote(Stage.PRECOMMIT, value)
        return True

    def _line_44(self) -> bool:
        """Lines 44 to 46: on q prevotes for nil precommit nil."""
        at = self._at(self.view)
        if self.stage is not Stage.PREVOTE or at.prevoted.get(NIL, 0) < self.committee.quorum:
            return False
        self._vote(Stage.PRECOMMIT, NIL)
        return True

    def _line_47(self) -> None:
        """Lines 47 and 48: on q precommits of any kind start timeoutPrecommit; at once if no block can be decided."""
        at = self._at(self.view)
        if "47" not in at.fired and len(at.precommits) >= self.committee.quorum:
            at.fired.add("47")
            self._out.append(StartTimeout(Stage.PRECOMMIT, self.view))
        if "nil" not in at.fired and self._is_hopeless(at.precommitted):
            at.fired.add("nil")
            self._out.append(StartTimeout(Stage.PRECOMMIT, self.view, at_once=True))

    def _line_49(self) -> bool:
        """Lines 49 to 54: q precommits of any one view decide the valid proposal of that view."""
        for view, at in self._views.items():
            if at.proposal is None or not at.proposal[2]:
                continue
            value = at.proposal[0]
            if at.precommitted.get(value, 0) >= self.committee.quorum:
                self.decided = value
                self._out.append(Decide(value, view))
                return True
        return False

    def _line_55(self) -> bool:
        """Lines 55 and 56: go to the highest view that f+1 others have reached or passed."""
        if self._furthest <= self.view:
            return False
        ahead = sorted((view for sender, view in self._latest.items() if sender != self.me), reverse=True)
        if len(ahead) <= self.committee.f or ahead[self.committee.f] <= self.view:
            return False
        self._start_view(ahead[self.committee.f])
        return True

    # Parts.

    def _is_hopeless(self, counts: Mapping[bytes | None, int]) -> bool:
        """Whether a quorum has voted, and no block can get a quorum however the rest vote, so waiting is of no use."""
        voted = sum(counts.values())
        if voted < self.committee.quorum:  # the usual case, and this is asked at every vote
            return False
        most = max((count for value, count in counts.items() if value is not NIL), default=0)
        return most + self.committee.n - voted < self.committee.quorum

    def _vote(self, stage: Stage, value: bytes | None) -> None:
        self.stage = STAGES.after(self.stage, StageInput[stage.name])
        self._out.append(CastVote(stage, self.view, value))

    def _polka(self, view: int, value: bytes, brought: Mapping[bytes, Verified] | None = None) -> bool:
        """Whether q prevotes of ``view`` are for ``value`` and prove what it claims.

        ``brought``: prevotes that came with a proposal; of a sender that votes twice they count before those heard
        here.
        """
        at = self._views.get(view)
        # An upper bound on the votes, from the kept counts: most often it is too low already.
        if (at.prevoted.get(value, 0) if at else 0) + len(brought or ()) < self.committee.quorum:
            return False
        votes = {sender: vote for sender, vote in self.prevotes(view).items() if _block(vote) == value}
        votes |= brought or {}
        return len(votes) >= self.committee.quorum and self.proves(value, votes)

    def _keeps(self, view: int) -> bool:
        return view <= self.view + VIEW_WINDOW and (view > self.view - VIEW_HISTORY or view in self._held_views())

    def _held_views(self) -> set[int]:
        """Return the views of the lock and of the valid value: their polkas may be needed again, however old."""
        return {held[1] for held in (self.valid, self.locked) if held is not None}

    def _at(self, view: int) -> _View:
        at = self._views.get(view)
        if at is None:  # not setdefault: this is asked at every vote, and would make a view to throw away
            at = self._views[view] = _View()
        return at

    def _forget_old_views(self) -> None:
        kept = self._held_views()
        for view in [view for view in self._views if view <= self.view - VIEW_HISTORY and view not in kept]:
            del self._views[view]


def _block(vote: Verified) -> bytes | None:
    assert isinstance(vote.message, Prevote | Precommit)
    return vote.message.block_hash
