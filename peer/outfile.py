"""The file that a command writes because its user named one with `--out`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .exits import PeerError


def out_path(text: str, suffix: str = "") -> Path:
    """Return the file that ``text`` names, with ``suffix`` where it has another one.

    Raises:
        PeerError: it names a folder or nothing.
    """
    example = f"export{suffix}"
    if not text:
        raise PeerError(f"--out: the name is empty; name a file to write, such as {example}")
    path = Path(text)
    try:
        is_folder = text.endswith("/") or path.name in ("", "..") or path.is_dir()
    except OSError as error:
        raise _unwritable(path, error) from None
    if is_folder:
        raise PeerError(f"--out {text}: this is a folder; name a file in it, such as {path / example}")
    named = path if path.suffix == suffix or not suffix else path.with_name(path.name + suffix)
    if named != path and named.is_dir():
        raise PeerError(f"--out {text}: {named} is a folder; choose another name")
    return named


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Open the file of ``--out`` for writing.

    Raises:
        PeerError: it cannot be written.
    """
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> PeerError:
    return PeerError(f"--out {path}: cannot be written ({error.strerror}); choose another file")
