"""How much of the event loop's time a peer may use up.

The number of frames says little about the work: one can cost a hundred times as much as another. So the CPU time that
the frames of a peer cost is measured wherever they are handled. A link whose peer has used up its share waits until the
peer has earned it back; the links of others do not wait. What the peer sends meanwhile stays in its own windows and
sockets.
"""

import time
from typing import Final

import trio

MEMBER_SHARE: Final = 0.05
"""Part of the event loop's time that the frames of one member may take in the long run."""

SECONDS_PER_BLOCK: Final = 0.003
"""What each decided block earns every member besides: fast rounds need more messages."""

STRANGERS_SHARE: Final = 0.1
"""Part of it that the frames of all strangers may take together."""

BURST_SECONDS: Final = 0.4
"""What a peer may use up at once after a pause."""

MAX_DEBT_SECONDS: Final = 0.3
"""Debt beyond this is forgiven, so that no peer has to wait until its link counts as dead."""

OVERRUN_SECONDS: Final = 0.5
"""A peer is overrun if it went into debt this long ago and has not earned half a burst since."""

TURN_SECONDS: Final = 0.001
"""What a peer may use up before other tasks have a turn: to read a frame that has arrived gives them none."""

_TURN_FRAMES: Final = 16
"""How many frames it may send before that, however little they cost."""

_CLOCK_SECONDS: Final = 1e-4

_SYNC_SECONDS: Final = 0.002


class _LoopClock:
    """CPU seconds of the event loop's thread, so that no peer is charged while the machine is busy with other things.

    The system knows them, but every question is a system call, and there are hundreds in a round. So it is asked every
    :data:`_SYNC_SECONDS`, and in between the wall clock counts. The time told may step back by as much.
    """

    def __init__(self) -> None:
        self._wall = self._cpu = 0.0

    def __call__(self) -> float:
        wall = time.perf_counter()
        if wall - self._wall > _SYNC_SECONDS:
            self._wall, self._cpu = wall, time.thread_time()
        return self._cpu + wall - self._wall


cpu_seconds = _LoopClock()
"""Seconds that the event loop has computed. Not for other threads."""


class Meter:
    """What one peer has used up. ``common`` is a meter that it shares with others."""

    def __init__(
        self, share: float = MEMBER_SHARE, burst_seconds: float = BURST_SECONDS, common: "Meter | None" = None
    ) -> None:
        self.share = share
        self.burst_seconds = burst_seconds
        self.common = common
        self.used_seconds = 0.0
        """All that was ever charged."""
        self._credit = burst_seconds
        self._last: float | None = None
        self._late_since: float | None = None
        self._turn_ends_at = TURN_SECONDS
        self._turn_frames = 0

    def charge(self, seconds: float) -> None:
        """Charge time that was spent on this peer. A negative one, which the clock may tell, does not count."""
        if seconds <= 0:
            return
        self.used_seconds += seconds
        self._credit -= seconds
        if self._credit < -MAX_DEBT_SECONDS:
            self._credit = -MAX_DEBT_SECONDS
        if self.common is not None:
            self.common.charge(seconds)

    def earn(self, seconds: float) -> None:
        """Let the peer use up so much more, but never more than a burst."""
        self._credit += seconds
        if self._credit > self.burst_seconds:
            self._credit = self.burst_seconds

    def since(self, started: float) -> None:
        """Charge what was computed since ``started``, by :data:`cpu_seconds`."""
        self.charge(cpu_seconds() - started)

    def delay(self) -> float:
        """Seconds until what was used up is earned."""
        now = trio.current_time()
        if self._last is not None:
            self.earn((now - self._last) * self.share)
        self._last = now
        own = 0.0
        if self._credit < 0:
            own = -self._credit / self.share
            if self._late_since is None:
                self._late_since = now
        elif self._late_since is not None and self._credit >= self.burst_seconds / 2:
            self._late_since = None
        return own if self.common is None else max(own, self.common.delay())

    @property
    def is_overrun(self) -> bool:
        """Whether the peer keeps sending more than its share, so that all that it says comes late."""
        if self._late_since is not None:
            self.delay()  # it may have rested meanwhile
        late_since = self._late_since
        return late_since is not None and trio.current_time() - late_since >= OVERRUN_SECONDS

    async def ready(self) -> None:
        """Call before each frame: lets the others have their turn, and waits until this peer may go on."""
        self._turn_frames += 1
        if self.used_seconds >= self._turn_ends_at or self._turn_frames >= _TURN_FRAMES:
            await trio.lowlevel.checkpoint()
            self._turn_ends_at, self._turn_frames = self.used_seconds + TURN_SECONDS, 0
        while (delay := self.delay()) > 0:
            await trio.sleep(delay + _CLOCK_SECONDS)  # otherwise rounding may leave a delay below the clock's step
