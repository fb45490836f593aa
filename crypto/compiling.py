"""How the inner loops become machine code: compiled once, kept where only this user can write.

A kernel is compiled when its module is imported, which takes a second or two each on a machine that has none of them
yet. Whoever wants to tell people how far that is listens with `watched`. A cache that cannot be written or read is
dealt with here, in one place. numba is loaded by the first kernel, not with this module.
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
"""Called with a kernel's name, and whether it was compiled just now and not read from the cache."""

_watchers: Final[list[Watcher]] = []


def private_folder() -> Path:
    """A folder for compiled code below the system's temporary one, which nobody but this user can write to.

    numba's cache files are pickles: whoever can write them can run code in this process. Raises OSError when
    the folder cannot be made or is not ours alone.
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
    """Compile for one signature, without the GIL; keep the machine code where that is possible.

    numba looks for a writable `__pycache__` and then for the user's cache folder, and raises when it has
    neither, a full disk, or a damaged file. None of this is a reason not to compute, so the last attempt
    goes without a cache; it is also the one that reports a real compiler error.
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
    """Call `watcher` for each kernel that is ready, in whatever thread imports it, while this context lasts."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)
