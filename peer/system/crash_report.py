"""Reports of crashes in native code, such as a library that an app uses: Python itself ends without a message then.

The interpreter writes into the home where each thread was, and the next start tells of the report.
"""

import faulthandler
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .app_workers import owned

__all__ = ["NAME", "watched"]

NAME: Final = "native-crash"
"""The file that the interpreter writes to; empty as long as there was no crash."""


@contextmanager
def watched(folder: Path) -> Iterator[Path | None]:
    """Have a crash reported in ``folder`` while the context lasts; yield the report of an earlier crash, if any.

    If the user has enabled Python's fault handler (PYTHONFAULTHANDLER), that one stays in place, and a crash of this
    run is not reported in ``folder``.
    """
    path = folder / NAME
    earlier = _put_aside(path)
    if faulthandler.is_enabled():
        yield earlier
        return
    descriptor = None
    try:
        # Inside of the `try`, so that a signal leaves no empty file behind either.
        with suppress(OSError):  # such as a full disk, which is told where it matters
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
        # This run is over without a crash.
        with suppress(OSError):
            path.unlink()


def _put_aside(path: Path) -> Path | None:
    """Rename and return the report of a crash; remove the empty file of a peer that was killed."""
    with suppress(OSError):
        found = path.lstat()
        if found.st_size and path.is_file() and not path.is_symlink():
            report = path.with_name(time.strftime("crash-%Y%m%d-%H%M%S-native.txt", time.localtime(found.st_mtime)))
            path.rename(report)
            return report
        path.unlink()
    return None
