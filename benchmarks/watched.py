"""`peer`, with a watch on its event loop: `watched.py FILE start …` writes the longest pauses to FILE twice a second.

A pause is one turn of the loop, between two looks at its sockets and timers: while it lasts, nothing else is served.
Each line has the time, the longest wall seconds and the longest CPU seconds of the turns since the line before. The CPU
seconds are those of the peer itself; on a busy machine the wall seconds include other processes that ran in between.
"""

import functools
import json
import sys
import time
from typing import IO, Any, Final

import trio

from coterie.peer.cli import main as cli

_EVERY_SECONDS: Final = 0.5


class Watch(trio.abc.Instrument):
    """Takes the time of each turn."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._wall = self._cpu = 0.0
        self._begun: tuple[float, float] | None = None
        self._told = time.monotonic()

    def after_io_wait(self, timeout: float) -> None:
        """A turn begins."""
        self._begun = time.monotonic(), time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        """A turn is over."""
        if self._begun is None:
            return
        now = time.monotonic()
        self._wall = max(self._wall, now - self._begun[0])
        self._cpu = max(self._cpu, time.thread_time() - self._begun[1])
        if now - self._told >= _EVERY_SECONDS:
            self._out.write(json.dumps([time.time(), self._wall, self._cpu]) + "\n")
            self._out.flush()
            self._wall = self._cpu = 0.0
            self._told = now


def main() -> None:
    """Run the command line under the watch."""
    path = sys.argv.pop(1)
    with open(path, "w", encoding="ascii") as out:
        run: Any = functools.partial(trio.run, instruments=[Watch(out)])
        setattr(trio, "run", run)  # noqa: B010
        cli.main()


if __name__ == "__main__":
    main()
