"""Standard output for the peer's own lines alone; what an app prints goes to standard error.

An app may print at any moment, from Python, from C and from processes that it starts. Among JSON lines that would break
the script that reads them; in a terminal it would break the table.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from .standard_streams import Steady, tell_once

__all__ = ["AsStderr", "own_stdout"]


class AsStderr(io.TextIOBase):
    """Writes to `sys.stderr`, whatever that is at the time: while there is a table, it writes above the table."""

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
        """Return True: it is a stream for writing."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of standard error."""
        return sys.stderr.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """How standard error handles letters that it cannot encode."""
        return sys.stderr.errors

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of standard error: apps write to `sys.stdout.buffer`, and reconfigure it."""
        return getattr(sys.stderr, name)


@contextlib.contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Give standard output to the caller alone; everything else that is printed meanwhile goes to standard error."""
    stdout = sys.stdout
    try:
        place, errors = stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError):
        # A stream without a descriptor, such as in a test: only what Python itself prints can be redirected.
        with contextlib.redirect_stdout(AsStderr()):
            yield stdout
        return
    stdout.flush()
    kept = os.dup(place)
    os.dup2(errors, place)
    # Closed below and not by a `with`, which would raise if the reader is gone and something is still unwritten.
    out = open(kept, "w", encoding=stdout.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    try:
        with contextlib.redirect_stdout(AsStderr()):
            yield cast(TextIO, Steady(out, tell_once("standard output")))
    finally:
        with contextlib.suppress(OSError):
            out.close()
        os.dup2(kept, place)
        os.close(kept)
