"""A disk that is full: told in one line and with one exit code, whatever write it was that failed.

The system says ENOSPC or EDQUOT. SQLite says that its disk failed where its own small files cannot grow, so there the
free space is looked at.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .exits import Exit, PeerError

__all__ = ["DiskFull", "advice", "full_disk", "has_no_room", "is_full", "told_if_full"]

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_LEAST_BYTES: Final = 1 << 20
"""With less than this, a store cannot be opened: its shared memory and its log have to grow."""


class DiskFull(PeerError):
    """A file cannot be written for want of room."""

    code = Exit.STORE


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of room on the disk, or within a quota."""
    return error.errno in _FULL


def has_no_room(folder: Path) -> bool:
    """Whether the disk of a folder has hardly any room, or none for another file."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    has_no_files = bool(found.f_files) and not found.f_favail
    return has_no_files or found.f_bavail * found.f_frsize < _LEAST_BYTES


def advice(folder: Path) -> str:
    """Say what to do about a full disk."""
    return f"free some space on the disk of {folder}"


def full_disk(error: OSError, place: Path | None = None) -> DiskFull:
    """Return what to raise for a write that found no room: to ``place``, or to the file that the error names."""
    where = place or error.filename
    what = "the disk is full; free some space and try again"
    return DiskFull(f"{where}: cannot be written: {what}" if where else f"nothing can be written: {what}")


@contextmanager
def told_if_full(path: Path) -> Iterator[None]:
    """Raise DiskFull for a write to ``path`` that fails for want of room; other errors pass."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise full_disk(error, path) from None
