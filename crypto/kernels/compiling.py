"""How the inner loops become machine code: compiled once, and kept where only this user can write.

A kernel is compiled when its module is imported. That takes a second or two for each kernel on a machine whose cache
has none of them yet; `watched` lets a program show the progress. This module alone deals with a cache that cannot be
written or read. numba is loaded by the first kernel, not with this module.
"""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
Watcher = Callable[[str, bool], None]
"""Called with a kernel's name, and with True if it was compiled just now, False if it came from the cache."""

_watchers: Final[list[Watcher]] = []


def private_folder() -> Path:
    """A folder for compiled code in the system's temporary folder, to which only this user can write.

    numba's cache files are pickles: a user that can write them can run code in this process.

    Raises:
        OSError: the folder cannot be made, or others could use it.
    """
    folder = Path(tempfile.gettempdir()) / f"coterie-kernels-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder that only this user can use")
    return folder


@contextmanager
def _caching_in_private_folder() -> Iterator[None]:
    import numba

    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(private_folder())
    try:
        yield
    finally:
        config.CACHE_DIR = before


def compiled(signature: Any) -> Callable[[_Function], _Function]:
    """Decorate a kernel: compile it for one signature, to run without the GIL, and keep the machine code if possible.

    numba looks for a writable `__pycache__` and then for the user's cache folder. It raises when it finds neither, when
    the disk is full, and when a file is damaged. None of this is a reason not to compute: the second attempt caches in
    `private_folder`, and the last one does without a cache. The last one also reports a real compiler error.
    """

    def decorate(function: _Function) -> _Function:
        kernel = _compiled(function, signature)
        for watcher in _watchers:
            watcher(function.__name__, not kernel.stats.cache_hits)
        return kernel  # type: ignore[no-any-return]

    return decorate


def _compiled(function: Callable[..., Any], signature: Any) -> Any:
    import numba

    with suppress(Exception):
        return numba.njit(signature, nogil=True, cache=True)(function)
    with suppress(Exception), _caching_in_private_folder():
        return numba.njit(signature, nogil=True, cache=True)(function)
    return numba.njit(signature, nogil=True)(function)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """While this context lasts, call `watcher` for each kernel that gets ready, in the thread that imports it."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)
