"""Virtual time: one queue of what is to happen, in whole milliseconds.

What is due in the same millisecond happens in the order in which it was scheduled, so a run depends on
nothing but its inputs.
"""

import heapq
from collections.abc import Callable
from typing import Any, Final

START_MS: Final = 1_700_000_000_000
"""The unix time at which every simulation begins."""

_Entry = tuple[int, int, Callable[..., None], tuple[Any, ...]]


class Clock:
    """The time, and what is to happen."""

    __slots__ = ("_count", "_queue", "events", "now_ms")

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.events = 0
        """How much has happened."""
        self._queue: list[_Entry] = []
        self._count = 0

    @property
    def elapsed_ms(self) -> int:
        """Virtual time since the beginning."""
        return self.now_ms - START_MS

    def at(self, when_ms: int, action: Callable[..., None], *arguments: Any) -> None:
        """Schedule an action for a time; one in the past happens now."""
        self._count += 1
        heapq.heappush(self._queue, (max(when_ms, self.now_ms), self._count, action, arguments))

    def after(self, delay_ms: int, action: Callable[..., None], *arguments: Any) -> None:
        """Schedule an action."""
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._count, action, arguments))

    def run(self, until_ms: int, is_done: Callable[[], bool]) -> bool:
        """Let things happen until ``is_done`` or the time is up; returns whether it is done."""
        queue = self._queue
        while not is_done():
            if not queue or queue[0][0] > until_ms:
                self.now_ms = max(self.now_ms, until_ms)
                return False
            self.now_ms, _, action, arguments = heapq.heappop(queue)
            self.events += 1
            action(*arguments)
        return True
