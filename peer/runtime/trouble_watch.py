"""Troubles of a running peer that have lasted: each is told once, and most of them again once they are over."""

from collections.abc import Callable
from typing import Any, Final

import trio

from ..reporting.quorum_watch import Lack, Watch
from .departure import REFRESH_SECONDS
from .notice_teller import NoticeTeller
from .round_troubles import RoundTroubles
from .situation import Situation

ADMISSION_SECONDS: Final = 10.0
"""How long a newcomer waits to be admitted before its user is told why. Most wait for a moment only."""


class TroubleWatch:
    """Looks for troubles every second, and at each change of a link."""

    def __init__(
        self,
        situation: Situation,
        rounds: RoundTroubles,
        notices: NoticeTeller,
        tell: Callable[[str, str, dict[str, Any]], None],
        dead_seconds: float,
    ) -> None:
        """Prepare the watch.

        Args:
            situation: says why this peer waits.
            rounds: looks for troubles of rounds.
            notices: holds the notice of a sum that waits.
            tell: tells an event; gets its kind, its text and its facts.
            dead_seconds: how long a standstill lasts before it is told.
        """
        self._situation = situation
        self._rounds = rounds
        self._notices = notices
        self._tell = tell
        self._standstill = Watch(dead_seconds)
        self._has_told_kept_out = False
        """Whether it was told that the current standstill keeps newcomers out."""
        self._admission = {lack: Watch(ADMISSION_SECONDS) for lack in Lack}
        self._pause = Watch(0, end="training goes on: enough members are here again")

    async def run(self) -> None:
        """Look regularly, until cancelled."""
        while True:
            self.look()
            await trio.sleep(REFRESH_SECONDS)

    def look(self) -> None:
        """Look for troubles that have lasted, and tell each one once.

        This is called on every change of a link, too: a member that was there for a moment ends a trouble that was
        told before.
        """
        self._look_for_admission()
        self._look_for_pause()
        self._rounds.look()
        self._notices.tell_held()
        shortage = self._situation.shortage()
        told = self._standstill.look(shortage, trio.current_time())
        if told is not None:
            self._tell("stalled" if shortage else "going-on", told, {"height": self._situation.node.state.height})
        self._look_for_newcomers(shortage)

    def _look_for_newcomers(self, shortage: str | None) -> None:
        """Tell, once in a standstill, that a newcomer waits for its end."""
        self._has_told_kept_out &= shortage is not None
        if self._standstill.is_told and not self._has_told_kept_out and (text := self._situation.kept_out()):
            self._has_told_kept_out = True
            self._tell("kept-out", text, {"height": self._situation.node.state.height})

    def _look_for_admission(self) -> None:
        """Tell, once for each reason, why this newcomer is not admitted."""
        wait = self._situation.joining()
        if wait is None:
            return
        for lack, watch in self._admission.items():
            text = wait.text if wait.lack is lack else None
            if watch.look(text, trio.current_time()) is not None and text is not None:
                self._tell("not-admitted", text, {"lacks": lack.name.lower()})

    def _look_for_pause(self) -> None:
        """Tell when training pauses for want of members. Before it has begun, the text of the founding says so."""
        state = self._situation.node.state
        trouble = self._situation.paused() if state.sums is not None else None
        told = self._pause.look(trouble, trio.current_time())
        if told is not None:
            self._tell("paused" if trouble else "unpaused", told, {"height": state.height})
