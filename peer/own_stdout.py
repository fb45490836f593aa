"""Standard output for the peer's own lines alone; what an app prints goes to standard error.

An app prints from Python, from C and from processes that it starts, at any moment. Amid JSON lines that breaks the
script that reads them, and amid the table of a terminal it breaks the table.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from .steady import Steady, tell_once

__all__ = ["AsStderr", "own_stdout"]


class AsStderr(io.TextIOBase):
    """Writes to what is standard error at the time: above the table, while there is one."""

    def write(self, text: str) -> int:
        """Write a text."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Hand on what was written."""
        with contextlib.suppress(ValueError):  # closed at the end of a process
            sys.stderr.flush()

    def fileno(self) -> int:
        """The descriptor of standard error."""
        return sys.stderr.fileno()

    def isatty(self) -> bool:
        """Whether standard error is a terminal."""
        return sys.stderr.isatty()

    def writable(self) -> bool:
        """It is for writing."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of standard error."""
        return sys.stderr.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What standard error does with letters that it cannot encode."""
        return sys.stderr.errors

    def __getattr__(self, name: str) -> Any:
        """What else standard error has: apps write bytes to `sys.stdout.buffer`, and reconfigure it."""
        return getattr(sys.stderr, name)


@contextlib.contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Give standard output to the caller; whatever else is printed meanwhile, goes to standard error."""
    stdout = sys.stdout
    try:
        place, errors = stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError):
        # No file, such as in a test: only Python's own prints can be told apart.
        with contextlib.redirect_stdout(AsStderr()):
            yield stdout
        return
    stdout.flush()
    kept = os.dup(place)
    os.dup2(errors, place)
    # Closed below, as no `with` could: what a reader that is gone did not read is no reason to fail.
    out = open(kept, "w", encoding=stdout.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    try:
        with contextlib.redirect_stdout(AsStderr()):
            yield cast(TextIO, Steady(out, tell_once("standard output")))
    finally:
        with contextlib.suppress(OSError):
            out.close()
        os.dup2(kept, place)
        os.close(kept)
