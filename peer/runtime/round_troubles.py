"""What goes wrong in rounds: no result, no update of this peer, or a long wait for some members."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import trio

from ...protocol.events import NoticeKind
from ...protocol.node import Node
from ...protocol.round.sharing import Sharing
from ..reporting.voids import VoidRounds
from ..reporting.waiting import Waiting, awaited_in_round
from ..training.late_training import LateTraining


@dataclass(slots=True)
class RoundTroubles:
    """Follows the rounds by the node's notices, and tells of waits and of late training."""

    node: Node
    gone: Mapping[bytes, str]
    """The names of those that were members."""
    voids: VoidRounds
    lateness: LateTraining
    tell: Callable[[str, str, dict[str, Any]], None]
    """Tells an event: gets its kind, its text and its facts."""
    waiting: Waiting = field(default_factory=Waiting)
    left_out: str | None = None
    """Why the last round had no update of this peer."""
    _sharing: Sharing | None = None
    """The sharing of the newest round whose start was told. It holds why members sat the round out, in their words.
    It is kept here until the end of the round is told, since the node may have begun the next round by then.
    """

    def note(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Keep what `peer status` tells of rounds without a result, and of rounds without this peer's update."""
        me = self.node.ctx.me
        match kind:
            case NoticeKind.ROUND:
                self._sharing = self.node.ctx.sharing
            case NoticeKind.SITTING_OUT:
                self.left_out = f"sat out round {facts['round']}: {facts['reason']}"
            case NoticeKind.CONTRIBUTORS if me in facts["members"]:
                self.left_out = None
            case NoticeKind.CONTRIBUTORS:
                self.lateness.leave_out(facts["round"])
            case NoticeKind.VOID:
                self._note_void(facts)
            case _:
                pass

    def _note_void(self, facts: Mapping[str, Any]) -> None:
        self.voids.add(facts["round"], facts["reason"], facts["members"])
        sharing = self._sharing
        if sharing is not None and sharing.round == facts["round"]:
            members = sharing.committee.members
            self.voids.said |= {members[place]: reason for place, reason in sharing.sat_out.items()}
        if self.node.ctx.me in facts["members"]:
            self.lateness.leave_out(facts["round"])

    def look(self) -> None:
        """Tell what has lasted for long, each thing once."""
        self._look_for_wait()
        self._look_for_lateness()

    def _look_for_wait(self) -> None:
        """Tell, once a round, that it has waited long for members that are there."""
        wait = awaited_in_round(self.node)
        if self.waiting.look(wait, trio.current_time()) and wait is not None:
            self.tell("waiting", self.waits() or "", {"round": wait.round, "members": wait.members})

    def _look_for_lateness(self) -> None:
        """Tell each time that the training here took so long that the round went on without it."""
        for round, text in self.lateness.look(time.monotonic()):
            self.left_out = text
            self.tell("late", text, {"round": round})

    def waits(self) -> str | None:
        """Say which members the round waits for, and since when; None if it does not wait."""
        return self.waiting.text(self.node, trio.current_time(), self.gone)
