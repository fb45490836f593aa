"""The file that a command writes because its user named one, mostly with `--out`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .exits import PeerError


def out_path(text: str, suffix: str = "", option: str = "--out") -> Path:
    """Return the file that ``text``, the value of ``option``, names, with ``suffix`` where it has another one.

    Raises:
        PeerError: it names a folder or nothing.
    """
    example = f"export{suffix}"
    if not text:
        raise PeerError(f"{option}: the name is empty; name a file to write, such as {example}")
    path = Path(text)
    try:
        is_folder = text.endswith("/") or path.name in ("", "..") or path.is_dir()
    except OSError as error:
        raise _unwritable(path, error, option) from None
    if is_folder:
        raise PeerError(f"{option} {text}: this is a folder; name a file in it, such as {path / example}")
    named = path if path.suffix == suffix or not suffix else path.with_name(path.name + suffix)
    if named != path and named.is_dir():
        raise PeerError(f"{option} {text}: {named} is a folder; choose another name")
    return named


@contextmanager
def written(path: Path, option: str = "--out") -> Iterator[BinaryIO]:
    """Open the file that ``option`` names for writing.

    Raises:
        PeerError: it cannot be written.
    """
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise _unwritable(path, error, option) from None


def _unwritable(path: Path, error: OSError, option: str) -> PeerError:
    return PeerError(f"{option} {path}: cannot be written ({error.strerror}); choose another file")
