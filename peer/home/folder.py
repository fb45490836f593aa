"""The folder of a peer: one lock, one key, one store.

``<home>/`` (mode 0700) holds ``identity.key``, ``peer.sqlite`` with its two witnesses (:mod:`.copy_guard`) and
``lock``; while the peer runs, ``control.sock`` and ``native-crash``; ``app/`` if the user's own app keeps files; and
``crash-*.txt`` after a crash by a bug of ours or in native code.
"""

import errno
import fcntl
import os
import secrets
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import Exit, PeerError
from ..system.app_workers import owned
from ..system.full_disk import told_if_full

if TYPE_CHECKING:
    from ...crypto.identity.identity import Identity

KEY_FILE: Final = "identity.key"
KEY_BYTES: Final = 4096
"""Longest key file that is read."""
LOCK_FILE: Final = "lock"
SOCKET_FILE: Final = "control.sock"
STORE_FILE: Final = "peer.sqlite"
APP_FOLDER: Final = "app"
"""The folder for files that the user's own app keeps; most apps keep none."""
HOME_VARIABLE: Final = "COTERIE_HOME"
PASSPHRASE_VARIABLE: Final = "COTERIE_PASSPHRASE"

_KNOWN_FILES: Final = (
    *(STORE_FILE + suffix for suffix in ("", "-wal", "-shm", "-journal")),
    KEY_FILE,
    LOCK_FILE,
    SOCKET_FILE,
    "origin",
    "newest",
)


class HomeError(PeerError):
    """The home cannot be used; the message says why and what to do."""

    code = Exit.HOME


class KeyProblem(PeerError):
    """The identity key cannot be used; the message says why and what to do."""

    code = Exit.KEY


def default_home() -> Path:
    """Return the home that is used if none is named: $COTERIE_HOME, or ~/.coterie if that is not set."""
    return Path(os.environ.get(HOME_VARIABLE) or Path.home() / ".coterie")


class Home:
    """A peer's folder. Nothing is made before :meth:`prepare`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.key_path = self.folder / KEY_FILE
        self.socket_path = self.folder / SOCKET_FILE

    @property
    def quoted(self) -> str:
        """The folder, quoted for a command that the user is told to type."""
        return shlex.quote(str(self.folder))

    @property
    def option(self) -> str:
        """The option that names this home, for a command that the user is told to type."""
        return f"--home {self.quoted}"

    def trouble(self) -> tuple[str, str] | None:
        """Say what is wrong with the owners and modes in this home, and what to do; None if there is nothing.

        Another user that can write here could put in a store with settings that name code to run, or links to files
        that would then be overwritten. A home that is not there yet is in order.
        """
        try:
            found = self.folder.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{self.folder}: {error.strerror}", "check the owner and mode of the home"
        if not stat.S_ISDIR(found.st_mode):
            return f"{self.folder}: not a folder", "choose another --home"
        if found.st_uid != os.geteuid():
            return (
                f"{self.folder}: this home belongs to another user ({_user(found.st_uid)})",
                f"use it as that user, or, if you trust what is in it: chown -R {_user(os.geteuid())} {self.quoted}",
            )
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o022:
            wrong = f"{self.folder}: other users can write into this home (mode {mode:04o}), and what is in it"
            return f"{wrong} says which code runs", f"if you trust what is in it, run: chmod 700 {self.quoted}"
        return next(filter(None, map(self._file_trouble, _KNOWN_FILES)), None)

    def _file_trouble(self, name: str) -> tuple[str, str] | None:
        path = self.folder / name
        try:
            found = path.lstat()
        except OSError:
            return None  # not there, or not accessible: then it cannot be opened either, and that is told
        quoted = shlex.quote(str(path))
        if stat.S_ISLNK(found.st_mode):
            return f"{path}: a symbolic link, which a peer never makes", f"remove it: rm {quoted}"
        if not stat.S_ISREG(found.st_mode) and name != SOCKET_FILE:
            return f"{path}: not a regular file", f"remove it: rm -r {quoted}"
        if found.st_uid != os.geteuid():
            return (
                f"{path}: belongs to another user ({_user(found.st_uid)})",
                f"if you trust what is in it: chown {_user(os.geteuid())} {quoted}",
            )
        if found.st_mode & 0o022:
            mode = stat.S_IMODE(found.st_mode)
            return f"{path}: other users can write to it (mode {mode:04o})", f"run: chmod 600 {quoted}"
        return None

    def check(self) -> None:
        """Refuse a home into which another user can write, or could have written.

        Raises:
            HomeError: the message says what is wrong and what to do.
        """
        wrong = self.trouble()
        if wrong is not None:
            raise HomeError("; ".join(wrong))

    def prepare(self) -> None:
        """Make the folder if it is not there.

        Raises:
            HomeError: it cannot be made or written, or others could have written into it.
            DiskFull: there is no room for it.
        """
        try:
            with told_if_full(self.folder):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(f"{self.folder}: cannot be made ({error.strerror}); choose another --home") from None
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise HomeError(f"{self.folder}: cannot be written; check its owner and mode, or choose another --home")
        self.check()

    def keeps(self, path: Path) -> bool:
        """Return whether a path is that of a file that the peer itself keeps in this home, or may make there."""
        found = path.expanduser().resolve()
        return found.parent == self.folder.resolve() and found.name in _KNOWN_FILES

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for this process alone while the context lasts.

        The lock ends with the process, however that ends, and workers that it forks do not have it.

        Raises:
            HomeError: another process has it; the message names its pid.
            DiskFull: there is no room for the lock file.
        """
        path = self.folder / LOCK_FILE
        try:
            # A link of either kind is refused: the file that it leads to would be truncated below.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            with told_if_full(path):
                descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise HomeError(f"{path}: {error.strerror}; check the owner and mode of the home") from None
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                raise HomeError(
                    f"{path}: this is not a lock file that a peer made; remove it: rm {shlex.quote(str(path))}"
                )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise HomeError(f"{path}: cannot be locked ({error.strerror}); use a local disk") from None
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise HomeError(f"{self.folder}: {self._held(holder)}, or choose another --home") from None
            with told_if_full(path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
            with owned(descriptor):
                yield
        finally:
            os.close(descriptor)

    def _held(self, holder: str) -> str:
        """Say which process has the lock, and how to end it: a peer, or a process that a dead peer left behind."""
        left = [] if not holder.isdecimal() or Path("/proc", holder).exists() else _having_open(self.folder / LOCK_FILE)
        if not left:
            return f"another peer runs in this home (pid {holder}); stop it with `peer stop {self.option}`"
        pids = " ".join(left)
        return f"the peer that ran in this home (pid {holder}) left processes behind; end them: kill -9 {pids}"

    def running_pid(self) -> int | None:
        """Return the pid of the process that holds the home, 0 if it is unknown; None if no process holds it."""
        try:
            descriptor = os.open(self.folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            return int(text) if text.isdecimal() else 0
        finally:
            os.close(descriptor)
        return None

    def identity(self, passphrase: Callable[[bool], str | None]) -> "Identity":
        """Return the identity of this home; the first time, make its key.

        Args:
            passphrase: gives the passphrase, or None for no passphrase. It is called with True where an existing key
                needs one, and with False where a key is made.

        Raises:
            KeyProblem: missing rights, a wrong passphrase, or a damaged file.
            DiskFull: there is no room for a new key.
        """
        from ...crypto.identity.identity import Identity
        from ...crypto.identity.keyfile import KeyFileError, is_sealed, open_seed, seal_seed

        try:
            data = self._read_key()
            if data is None:
                seed = secrets.token_bytes(32)
                self._write_key(seal_seed(seed, passphrase(False)))
            elif is_sealed(data):
                seed = open_seed(data, passphrase(True))
            else:
                seed = open_seed(data)
        except KeyFileError as error:
            raise KeyProblem(f"{self.key_path}: {error}") from None
        return Identity.from_seed(seed)

    def public_key(self) -> bytes | None:
        """Return the public key of this home, for which no passphrase is needed; None if there is none to be read."""
        from ...crypto.identity.identity import BadPeerId, public_of

        with suppress(OSError, BadPeerId, UnicodeDecodeError):
            for line in self._key_bytes()[0].decode("ascii").splitlines():
                if line.startswith("peer "):
                    return public_of(line.removeprefix("peer "))
        return None

    def _read_key(self) -> bytes | None:
        try:
            data, found = self._key_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyProblem(f"{self.key_path}: {error.strerror}; check its owner and mode") from None
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid != os.geteuid():
            raise KeyProblem(f"{self.key_path}: this key belongs to another user ({_user(found.st_uid)})")
        if mode & 0o077:
            command = f"chmod 600 {shlex.quote(str(self.key_path))}"
            raise KeyProblem(f"{self.key_path}: others may read this key (mode {mode:04o}); run: {command}")
        return data

    def _key_bytes(self) -> tuple[bytes, os.stat_result]:
        """Read the key file without following a link; anything but a regular file reads as empty."""
        descriptor = os.open(self.key_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            return os.read(descriptor, KEY_BYTES) if stat.S_ISREG(found.st_mode) else b"", found
        finally:
            os.close(descriptor)

    def take_key(self, other: "Home") -> None:
        """Copy the key of another home, sealed as it is.

        Raises:
            KeyProblem: it cannot be read or written.
            DiskFull: there is no room for it.
        """
        data = other._read_key()
        if data is None:
            raise KeyProblem(missing_key(other))
        self._write_key(data)

    def _write_key(self, data: bytes) -> None:
        """Write the key so that it is there as a whole or not at all."""
        temporary = self.key_path.with_suffix(".new")
        try:
            with told_if_full(self.key_path):
                _write_whole(temporary, data)
                temporary.rename(self.key_path)
                _sync_folder(self.folder)
        except OSError as error:
            raise KeyProblem(f"{self.key_path}: cannot be written ({error.strerror})") from None
        finally:
            with suppress(OSError):
                temporary.unlink()


def _write_whole(path: Path, data: bytes) -> None:
    """Write a new file that holds a secret, in place of one that an earlier attempt left behind."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _user(uid: int) -> str:
    """Return the name of a user, or the number if the user has no name."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _having_open(path: Path) -> list[str]:
    """Return the pids of other processes that have a file open, as far as this user may see them in /proc."""
    place, found = path.resolve(), []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        pid = entry.parts[2]
        with suppress(OSError):
            if pid != str(os.getpid()) and pid not in found and entry.readlink() == place:
                found.append(pid)
    return found


def missing_key(home: Home) -> str:
    """Say that a home that belongs to a federation has lost its key, and what to do."""
    return (
        f"{home.key_path}: the key of this home is missing, and its federation knows this peer by it; put the file"
        " back from a backup, or join again with a new --home"
    )


def is_home_file(path: Path) -> bool:
    """Return whether a path is that of a file that a peer keeps in its home, whichever home that is."""
    place = path.resolve()
    return place.name in _KNOWN_FILES and any((place.parent / name).exists() for name in (KEY_FILE, STORE_FILE))


def passphrase_source(file: str | None) -> Callable[[bool], str | None]:
    """Return the function that :meth:`Home.identity` gets passphrases from.

    It reads ``file`` ("-": it asks on the terminal). Without one it takes $COTERIE_PASSPHRASE. Without both a new key
    is not sealed, and for a sealed key it asks on the terminal.
    """

    def read(sealed: bool) -> str | None:
        import getpass
        import sys

        if file is not None and file != "-":
            try:
                return Path(file).expanduser().read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise KeyProblem(f"{file}: the passphrase cannot be read ({error})") from None
        if file is None and (value := os.environ.get(PASSPHRASE_VARIABLE)):
            return value
        if not sealed and file is None:
            return None
        if not sys.stdin.isatty():
            raise KeyProblem(f"the identity key is sealed; give --passphrase-file FILE or set {PASSPHRASE_VARIABLE}")
        first = getpass.getpass("Passphrase of the identity key: ")
        if not sealed and getpass.getpass("Once more: ") != first:
            raise KeyProblem("the two passphrases differ; no key was made")
        return first

    return read
