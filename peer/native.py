"""What is left of a crash in native code, such as of a library that an app uses: Python itself says nothing of it.

The interpreter writes where each thread was into the home, and the next start tells of that.
"""

import faulthandler
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .forks import owned

__all__ = ["NAME", "watched"]

NAME: Final = "native-crash"
"""The file that the interpreter writes to, empty as long as nothing has happened."""


@contextmanager
def watched(folder: Path) -> Iterator[Path | None]:
    """Have a crash meanwhile written down in ``folder``; yields the report of an earlier one that nobody was told of.

    Where the user has Python's own fault handler (PYTHONFAULTHANDLER), that one stays.
    """
    path = folder / NAME
    earlier = _put_aside(path)
    if faulthandler.is_enabled():
        yield earlier
        return
    descriptor = None
    try:
        # From its first moment on, so that a signal leaves no empty file behind either.
        with suppress(OSError):  # a full disk, for one, which is told where it matters
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if descriptor is None:
            yield earlier
            return
        faulthandler.enable(descriptor)
        with owned(descriptor):
            yield earlier
    finally:
        if descriptor is not None:
            faulthandler.disable()
            os.close(descriptor)
        # What stands in it is the crash of this very run, which is over without one.
        with suppress(OSError):
            path.unlink()


def _put_aside(path: Path) -> Path | None:
    """Name the report of a crash as the others; remove what a peer left that was killed."""
    with suppress(OSError):
        found = path.lstat()
        if found.st_size and path.is_file() and not path.is_symlink():
            report = path.with_name(time.strftime("crash-%Y%m%d-%H%M%S-native.txt", time.localtime(found.st_mtime)))
            path.rename(report)
            return report
        path.unlink()
    return None
