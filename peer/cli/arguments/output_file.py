"""The file that a user names for a command to write, mostly with `--out`.

One rule for all commands (docs/guide.md, "What a command writes"): the file with the very name that was typed is
replaced, as a whole or not at all. Never replaced are a table or secret that the peer trains with, a file of a home,
a file that the command reads, and a file whose name was not typed as it is. A device or a pipe is written to as it is.
"""

import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from ...errors import PeerError
from ...system.full_disk import told_if_full

if TYPE_CHECKING:
    from ...home.folder import Home

_OPEN_ALREADY: Final = re.compile(r"/dev/(std(out|err)|fd/\d+)|/proc/[^/]+/fd/\d+")
"""Names that stand for descriptors that are open already; what they lead to may be a file, too."""


def out_path(text: str, suffix: str = "", option: str = "--out") -> Path:
    """Return the file that ``text``, the value of ``option``, names; ``suffix`` is added if it is not there.

    Raises:
        PeerError: ``text`` is empty or names a folder, or there is a file already under the name with the suffix added.
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
    if is_stream(path) or not suffix or path.suffix == suffix:
        return path
    named = path.with_name(path.name + suffix)
    if named.is_dir():
        raise PeerError(f"{option} {text}: {named} is a folder; choose another name")
    if os.path.lexists(named):
        raise PeerError(
            f"{option} {text}: the file would be {named}, which is there already; type that name to replace it, or"
            " choose another one"
        )
    return named


def is_stream(path: Path) -> bool:
    """Return whether a path is a device, a pipe or the name of an open descriptor, so that it cannot be replaced."""
    if _OPEN_ALREADY.fullmatch(str(path.absolute())):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def check_apart(path: Path, home: "Home | None", read: Mapping[str, str | None], option: str = "--out") -> None:
    """Refuse to replace a file that must not be lost.

    Args:
        path: the file to write.
        home: the home that the command is about; None where there is none.
        read: the files that the command reads, by the options that name them.
        option: the option that names ``path``.

    Raises:
        PeerError: ``path`` is one of ``read``, a file that the home's settings name, or a file of any home.
    """
    if is_stream(path) or not path.exists():
        return
    from ...home.folder import is_home_file

    for other, name in read.items():
        if name is not None and _is_same(path, name):
            raise PeerError(f"{option} {path}: this is the file of {other}; name another one")
    if is_home_file(path):
        raise PeerError(f"{option} {path}: this is a file of a peer's home; name another one")
    if home is None:
        return
    for other, name in _kept_files(home).items():
        if name is not None and _is_same(path, name):
            raise PeerError(
                f"{option} {path}: this is the file that the peer of {home.folder} reads (its {other}); name another"
                " one"
            )


def _kept_files(home: "Home") -> dict[str, str | None]:
    """Return the files that the options kept in a home name; none if it cannot be read, which is told elsewhere."""
    from ...home.facts import SETTINGS
    from ...home.settings import read_settings
    from ...home.store import Reader

    try:
        with Reader.open(home.folder) as reader:
            kept = read_settings(reader.fact(SETTINGS))
    except PeerError:
        return {}
    return {
        "--data": kept.data,
        "--roster": kept.roster,
        "--passphrase-file": kept.passphrase_file,
        "--page-token-file": kept.page_token_file,
    }


def _is_same(path: Path, name: str) -> bool:
    with suppress(OSError):
        return path.samefile(Path(name).expanduser())
    return False


def report_to(path: Path) -> TextIO:
    """Return the stream for what a command has to say: standard error if the content itself goes to a stream."""
    return sys.stderr if is_stream(path) else sys.stdout


@contextmanager
def written(path: Path, option: str = "--out") -> Iterator[BinaryIO]:
    """Open the file that ``option`` names for writing. Afterwards it is complete, or as it was before.

    If the reader of a pipe has closed it, that is no error.

    Raises:
        PeerError: it cannot be written.
        DiskFull: there is no room for it.
    """
    try:
        with told_if_full(path), _appended(path) if is_stream(path) else _replaced(path) as file:
            yield file
    except BrokenPipeError:
        return
    except OSError as error:
        raise _unwritable(path, error, option) from None


@contextmanager
def _appended(path: Path) -> Iterator[BinaryIO]:
    """Write to a stream. If it leads to a file that the shell has opened to append to, no content of that is lost."""
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), "wb") as file:
        yield file


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """Write a new file in the same folder, and rename it to ``path`` once it is complete."""
    place = path.resolve()  # the file that a link leads to, so that the link stays a link
    beside = place.with_name(f".coterie-{os.getpid()}.part")
    # Only its user may read a new file (`umask`). A file that is replaced keeps its mode, which its user chose.
    mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else 0o600
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        beside.rename(place)
    finally:
        with suppress(OSError):
            beside.unlink()


def _unwritable(path: Path, error: OSError, option: str) -> PeerError:
    return PeerError(f"{option} {path}: cannot be written ({error.strerror}); choose another file")
