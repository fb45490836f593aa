"""The timers of the node, and the clock from which it gets its time."""

import heapq
import itertools
import time
from collections.abc import Callable, Hashable
from math import inf

import trio


class Clock:
    """Unix time in milliseconds that never goes back, however the system's clock is set."""

    def __init__(self, unix_seconds: Callable[[], float] = time.time) -> None:
        self._unix_seconds = unix_seconds
        self._latest = 0

    def now_ms(self) -> int:
        """Return the time; never less than what was returned before."""
        self._latest = max(self._latest, int(self._unix_seconds() * 1000))
        return self._latest


class Timers:
    """Any number of timers, which one task waits for. They go off in the order of their times."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hashable]] = []
        self._order = itertools.count()
        self._earlier = trio.Event()

    def set(self, after_ms: int, key: Hashable) -> None:
        """Start a timer that goes off with ``key`` after ``after_ms`` milliseconds."""
        due = trio.current_time() + after_ms / 1000
        if not self._heap or due < self._heap[0][0]:
            self._earlier.set()
        heapq.heappush(self._heap, (due, next(self._order), key))

    async def run(self, go_off: Callable[[Hashable], None]) -> None:
        """Call ``go_off`` with the key of each timer at its time, until cancelled."""
        while True:
            self._earlier = trio.Event()
            with trio.move_on_at(self._heap[0][0] if self._heap else inf):
                await self._earlier.wait()
            while self._heap and self._heap[0][0] <= trio.current_time():
                go_off(heapq.heappop(self._heap)[2])
