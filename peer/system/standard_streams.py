"""Standard streams that may be closed, full or gone.

A peer runs for weeks. Its log may lie on a disk that fills up, go to a pipe whose reader has ended, or to a terminal
that was closed. None of that may stop the training, or make an app of its user fail. A command that only prints has
nothing else to do, so it ends and says why. If the reader of its pipe has closed it, the command goes on to its end
without a message, so that the exit code says what it found, however much of it was read.
"""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO, cast

from ..errors import Exit, PeerError

__all__ = ["Steady", "has_reader", "steady_streams", "tell_once"]

_WANTED: Final = {0: "r", 1: "w", 2: "w"}
_STDOUT: Final = 1

Trouble = Callable[[OSError], None]


class Steady(io.TextIOBase):
    """Writes to a stream, and hands errors to ``trouble`` instead of raising them."""

    def __init__(self, stream: TextIO, trouble: Trouble, *, was_closed: bool = False) -> None:
        """``was_closed``: this process was started without the stream, so that nothing can be written to it."""
        self._stream = stream
        self._trouble = trouble
        self._was_closed = was_closed
        self.has_reader = True

    def write(self, text: str) -> int:
        """Write a text, as far as that is possible."""
        if self._was_closed:
            self._trouble(OSError(errno.EBADF, "it is closed"))
        elif self.has_reader:
            self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written, as far as that is possible."""
        if self.has_reader:
            self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            self.has_reader = not isinstance(error, BrokenPipeError)
            self._trouble(error)
        except ValueError as error:  # closed
            self._trouble(OSError(errno.EBADF, str(error)))

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return not self._stream.closed and self._stream.isatty()

    def writable(self) -> bool:
        """Return True: it is a stream for writing."""
        return True

    def close(self) -> None:
        """Do nothing: the stream below belongs to the process, and stays open."""

    @property
    def buffer(self) -> "Steady":
        """The same stream for bytes."""
        return Steady(cast(TextIO, self._stream.buffer), self._trouble)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """How the stream handles letters that it cannot encode."""
        return self._stream.errors

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the stream, such as `reconfigure`."""
        return getattr(self._stream, name)


@contextlib.contextmanager
def steady_streams() -> Iterator[None]:
    """Have standard error drop what it cannot write, and standard output end the command with a message instead."""
    was_closed = _STDOUT in _open_closed()
    out, err = sys.stdout, sys.stderr
    steady = Steady(out, _refuse, was_closed=was_closed)
    with contextlib.redirect_stdout(steady), contextlib.redirect_stderr(Steady(err, _ignore)):
        try:
            yield
        finally:
            for stream in (out, err):
                _drop_unwritten(stream)


def has_reader(stream: object) -> bool:
    """Return whether a stream may still have a reader; a command that prints for ever ends once it has none."""
    return not isinstance(stream, Steady) or stream.has_reader


def tell_once(name: str) -> Trouble:
    """Return a handler of errors that says once, on standard error, that the peer goes on without this stream."""
    told: list[OSError] = []

    def tell(error: OSError) -> None:
        if not told:
            told.append(error)
            print(f"peer: note: {name}: {error.strerror}; the peer goes on without it", file=sys.stderr)

    return tell


def _refuse(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        return
    raise PeerError(f"standard output: {error.strerror}", Exit.STORE) from None


def _ignore(error: OSError) -> None:
    """Do nothing: there is no stream left to tell it on."""


def _open_closed() -> set[int]:
    """Open those of the three standard streams that are closed, as empty ones; return their numbers.

    Otherwise a file that is opened later, such as the store, could get the number of standard error.
    """
    closed = set()
    for number, mode in _WANTED.items():
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
            closed.add(number)
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))  # noqa: SIM115
    return closed


def _drop_unwritten(stream: TextIO) -> None:
    """Drop what cannot be written: Python would try once more at its end, and end with another exit code for it."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
