"""The end of a command by a signal that comes while the program still loads."""

import os
import sys

__all__ = ["end_early", "is_start"]


def end_early(number: int, _frame: object) -> None:
    """End the process at once, since nothing has begun yet.

    No exception is raised for it: a module that is being imported could swallow that.
    """
    text = "stopped before it had begun" if is_start() else "interrupted"
    try:
        os.write(2, f"peer: {text}\n".encode())
    finally:
        os._exit(0 if is_start() else 128 + number)


def is_start() -> bool:
    """Whether the command is `peer start`."""
    return sys.argv[1:2] == ["start"]
