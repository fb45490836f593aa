"""Requests to stop a peer by a signal: Ctrl-C, SIGTERM or the end of its terminal, at any moment.

Before the peer runs, it has nothing to finish, and the first signal ends it at once. While it runs, trio takes the
signals (:mod:`..runtime.session`). An exception inside trio's own code would do harm, so a signal that comes before
trio takes them is only counted. After the run, a second signal ends the peer at once, whatever it still waits for.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .early_end import end_early

__all__ = ["StopSignals", "StoppedEarly", "heeding", "stop_signals"]


class StoppedEarly(BaseException):
    """A peer was asked to stop before it ran.

    Derived from BaseException: it is no error, and neither an app nor our own code may handle it as one.
    """


class Stage(Enum):
    """The stages of a peer's life, which differ in the effect of a signal."""

    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"


@dataclass(slots=True)
class StopSignals:
    """The number of times that a peer was asked to stop."""

    count: int = 0
    stage: Stage = Stage.STARTING

    def on_signal(self, _number: int, _frame: Any) -> None:
        """Handle a signal, according to the stage."""
        self.count += 1
        if self.stage is Stage.STARTING:
            raise StoppedEarly
        if self.stage is Stage.ENDING and self.count > 1:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Mark the peer as running: meanwhile a signal is only counted here, and the run itself looks at the count."""
        self.stage = Stage.RUNNING
        try:
            yield
        finally:
            self.stage = Stage.ENDING


_ALWAYS: Final = (signal.SIGINT, signal.SIGTERM)


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that ask a peer to stop. SIGHUP, the end of the terminal, is not one under `nohup`."""
    return _ALWAYS if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*_ALWAYS, signal.SIGHUP)


@contextlib.contextmanager
def heeding() -> Iterator[StopSignals]:
    """Handle the stop signals while the context lasts; yield the count of them."""
    asked = StopSignals()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # Python allows signal handlers in the main thread only
        return
    before = {number: signal.signal(number, asked.on_signal) for number in stop_signals()}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            # `end_early` is for a peer that has not begun. After a run, a signal has its default effect instead.
            signal.signal(number, signal.SIG_DFL if handler is end_early else handler)
