"""Full disks: reported in one line and with one exit code, whichever write failed.

The system reports ENOSPC or EDQUOT. SQLite reports a failing disk where its own small files cannot grow, so then the
free space is looked at.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import Exit, PeerError

__all__ = ["DiskFull", "advice", "full_disk", "has_no_room", "is_full", "told_if_full"]

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_LEAST_BYTES: Final = 1 << 20
"""With less than this, a store cannot be opened: its shared memory and its log have to grow."""


class DiskFull(PeerError):
    """A file cannot be written because the disk is full."""

    code = Exit.STORE


def is_full(error: OSError) -> bool:
    """Return whether a write failed because the disk is full, or the user's quota used up."""
    return error.errno in _FULL


def has_no_room(folder: Path) -> bool:
    """Return whether the disk of a folder has hardly any space left, or cannot hold another file."""
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
    """Return the exception for a write to a full disk: to ``place``, or to the file that the error names."""
    where = place or error.filename
    what = "the disk is full; free some space and try again"
    return DiskFull(f"{where}: cannot be written: {what}" if where else f"nothing can be written: {what}")


@contextmanager
def told_if_full(path: Path) -> Iterator[None]:
    """Raise DiskFull where a write to ``path`` fails because the disk is full; let other errors pass."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise full_disk(error, path) from None
