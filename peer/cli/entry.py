"""The first lines of the command `peer`: a signal that comes while the program still loads ends it without a traceback.

This module handles the signals before it imports anything that is slow to load. Before that, Python itself and its site
packages start; no program can change how a signal ends those.
"""

import signal

from ..system.early_end import end_early, is_start

__all__ = ["main"]


def main() -> int:
    """Run the command; return its exit code."""
    # These three stop a peer. The other commands handle SIGINT only; SIGTERM and SIGHUP end them like any program.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if is_start() else (signal.SIGINT,):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under `nohup`
            signal.signal(number, end_early)
    from .main import main as run

    if not is_start() and signal.getsignal(signal.SIGINT) is end_early:
        # From here on the command itself reports an interruption. `peer start` handles the signals itself.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()
