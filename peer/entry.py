"""The first lines of the command `peer`: a signal that comes while the program is still read ends it without a word.

This module takes the signals before it imports anything that takes time. What comes before it, the start of Python
itself and of its site packages, no program can change.
"""

import os
import signal
import sys

__all__ = ["end_early", "main"]


def end_early(number: int, _frame: object) -> None:
    """End at once: nothing was begun yet. An exception could be swallowed by what is being imported."""
    is_start = _is_start()
    text = "stopped before it had begun" if is_start else "interrupted"
    try:
        os.write(2, f"peer: {text}\n".encode())
    finally:
        os._exit(0 if is_start else 128 + number)


def main() -> int:
    """Run the command; return its exit code."""
    # A peer is stopped by these three; other commands are ended by SIGTERM and SIGHUP as any program is.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if _is_start() else (signal.SIGINT,):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under `nohup`
            signal.signal(number, end_early)
    from .cli import main as run

    if not _is_start() and signal.getsignal(signal.SIGINT) is end_early:
        # From here on the command says itself what became of it; `peer start` takes the signals in its turn.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()


def _is_start() -> bool:
    return sys.argv[1:2] == ["start"]
