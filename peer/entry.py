"""The first lines of the command `peer`: a signal that comes while the program still loads ends it without a traceback.

This module handles the signals before it imports anything that is slow to load. Before that, Python itself and its site
packages start; no program can change how a signal ends those.
"""

import os
import signal
import sys

__all__ = ["end_early", "main"]


def end_early(number: int, _frame: object) -> None:
    """End the process at once, since nothing has begun yet.

    No exception is raised for it: a module that is being imported could swallow that.
    """
    is_start = _is_start()
    text = "stopped before it had begun" if is_start else "interrupted"
    try:
        os.write(2, f"peer: {text}\n".encode())
    finally:
        os._exit(0 if is_start else 128 + number)


def main() -> int:
    """Run the command; return its exit code."""
    # These three stop a peer. The other commands handle SIGINT only; SIGTERM and SIGHUP end them like any program.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if _is_start() else (signal.SIGINT,):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under `nohup`
            signal.signal(number, end_early)
    from .cli import main as run

    if not _is_start() and signal.getsignal(signal.SIGINT) is end_early:
        # From here on the command itself reports an interruption. `peer start` handles the signals itself.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()


def _is_start() -> bool:
    return sys.argv[1:2] == ["start"]
