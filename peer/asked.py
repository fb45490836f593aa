"""Whoever asks a peer to stop: Ctrl-C, SIGTERM, or the end of its terminal, from its first moment to its last.

Before the peer runs, there is nothing to take leave of, and the first signal ends it where it is. While it runs, trio
takes the signals (:mod:`.session`). Nothing may be raised amid trio's own code, so a signal that comes before trio
takes them is only counted. Once the run is over, one more signal than that ends what the peer still waits for.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .entry import end_early

__all__ = ["Asked", "StoppedEarly", "heeding", "stop_signals"]


class StoppedEarly(BaseException):
    """A peer was asked to stop before it ran. No bug of an app's or ours, and not to be caught by either."""


class Stage(Enum):
    """Where a peer is on its way."""

    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"


@dataclass(slots=True)
class Asked:
    """How often a peer was asked to stop."""

    count: int = 0
    stage: Stage = Stage.STARTING

    def on_signal(self, _number: int, _frame: Any) -> None:
        """Take a signal."""
        self.count += 1
        if self.stage is Stage.STARTING:
            raise StoppedEarly
        if self.stage is Stage.ENDING and self.count > 1:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The peer runs meanwhile, and looks itself."""
        self.stage = Stage.RUNNING
        try:
            yield
        finally:
            self.stage = Stage.ENDING


_ALWAYS: Final = (signal.SIGINT, signal.SIGTERM)


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that ask a peer to stop; the end of the terminal does not under `nohup`."""
    return _ALWAYS if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*_ALWAYS, signal.SIGHUP)


@contextlib.contextmanager
def heeding() -> Iterator[Asked]:
    """Take the signals meanwhile."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # where Python lets nobody take signals
        return
    before = {number: signal.signal(number, asked.on_signal) for number in stop_signals()}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            # A signal that comes once a peer has run is none that came early.
            signal.signal(number, signal.SIG_DFL if handler is end_early else handler)
