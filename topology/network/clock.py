"""Virtual time: a queue of scheduled actions, in whole milliseconds.

Actions for the same millisecond happen in the order in which they were scheduled, so a run depends on nothing but its
inputs. A large run schedules thousands of actions for each millisecond. Each millisecond therefore has a queue of its
own, and only the milliseconds are sorted.
"""

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any, Final

START_MS: Final = 1_700_000_000_000
"""The unix time at which every simulation begins."""

_Entry = tuple[Callable[..., None], tuple[Any, ...]]


class Clock:
    """The current time, and the actions that are scheduled."""

    __slots__ = ("_due", "_is_stopped", "_times", "events", "now_ms")

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.events = 0
        """Number of actions that have happened."""
        self._due: dict[int, deque[_Entry]] = {}
        self._times: list[int] = []
        """The keys of ``_due``, as a heap."""
        self._is_stopped = False

    @property
    def elapsed_ms(self) -> int:
        """Virtual milliseconds since the beginning."""
        return self.now_ms - START_MS

    def at(self, when_ms: int, action: Callable[..., None], *arguments: Any) -> None:
        """Schedule an action for a time; a time in the past means now."""
        if when_ms < self.now_ms:
            when_ms = self.now_ms
        due = self._due.get(when_ms)
        if due is None:
            due = self._due[when_ms] = deque()
            heapq.heappush(self._times, when_ms)
        due.append((action, arguments))

    def after(self, delay_ms: int, action: Callable[..., None], *arguments: Any) -> None:
        """Schedule an action for ``delay_ms`` from now."""
        self.at(self.now_ms + delay_ms, action, *arguments)

    def stop(self) -> None:
        """End the current :meth:`run` before its next action."""
        self._is_stopped = True

    def run(self, until_ms: int) -> bool:
        """Carry out scheduled actions until :meth:`stop` or until the time is up; returns whether it was stopped."""
        self._is_stopped = False
        while self._times and self._times[0] <= until_ms:
            self.now_ms = self._times[0]
            due = self._due[self.now_ms]
            while due:
                if self._is_stopped:
                    return True
                action, arguments = due.popleft()
                self.events += 1
                action(*arguments)
            heapq.heappop(self._times)
            del self._due[self.now_ms]
        self.now_ms = max(self.now_ms, until_ms)
        return self._is_stopped
