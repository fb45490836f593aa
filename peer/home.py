"""The folder of a peer: one lock, one key, one store.

``<home>/`` (mode 0700) holds ``identity.key``, ``peer.sqlite`` with its two witnesses, ``lock``,
``control.sock`` while the peer runs, and ``crash-*.txt`` if it ever failed by our fault.
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

from .exits import Exit, PeerError

if TYPE_CHECKING:
    from ..crypto.identity import Identity

KEY_FILE: Final = "identity.key"
LOCK_FILE: Final = "lock"
SOCKET_FILE: Final = "control.sock"
HOME_VARIABLE: Final = "COTERIE_HOME"
PASSPHRASE_VARIABLE: Final = "COTERIE_PASSPHRASE"


class HomeError(PeerError):
    """The home cannot be used; says why and what to do."""

    code = Exit.HOME


class KeyProblem(PeerError):
    """The identity key cannot be used; says why and what to do."""

    code = Exit.KEY


def default_home() -> Path:
    """Return the home that is used when none is named: $COTERIE_HOME, else ~/.coterie."""
    return Path(os.environ.get(HOME_VARIABLE) or Path.home() / ".coterie")


class Home:
    """A peer's folder. Nothing is made before :meth:`prepare`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.key_path = self.folder / KEY_FILE
        self.socket_path = self.folder / SOCKET_FILE

    @property
    def option(self) -> str:
        """How to name this home in a command that people are told to type."""
        return f"--home {shlex.quote(str(self.folder))}"

    def prepare(self) -> None:
        """Make the folder if it is not there.

        Raises:
            HomeError: it cannot be made or written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(f"{self.folder}: cannot be made ({error.strerror}); choose another --home") from None
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise HomeError(f"{self.folder}: cannot be written; check its owner and mode, or choose another --home")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for this process; the lock goes with the process, however it ends.

        Raises:
            HomeError: another process has it; the message names its pid.
        """
        path = self.folder / LOCK_FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HomeError(f"{path}: {error.strerror}; check the owner and mode of the home") from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise HomeError(f"{path}: cannot be locked ({error.strerror}); use a local disk") from None
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise HomeError(
                    f"{self.folder}: another peer runs in this home (pid {holder}); stop it with"
                    f" `peer stop {self.option}`, or choose another --home"
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
            yield
        finally:
            os.close(descriptor)

    def running_pid(self) -> int | None:
        """Return the pid of the peer that holds the home, None where there is none."""
        try:
            descriptor = os.open(self.folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
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

        ``passphrase(sealed)`` gives the passphrase or None; ``sealed`` is True where an existing key needs
        one.

        Raises:
            KeyProblem: missing rights, a wrong passphrase, a damaged file.
        """
        from ..crypto.identity import Identity
        from ..crypto.keyfile import KeyFileError, is_sealed, open_seed, seal_seed

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
        """Return whose home this is, readable without a passphrase; None before the first start."""
        from ..crypto.identity import BadPeerId, public_of

        with suppress(OSError, BadPeerId, UnicodeDecodeError):
            for line in self.key_path.read_text("ascii").splitlines():
                if line.startswith("peer "):
                    return public_of(line.removeprefix("peer "))
        return None

    def _read_key(self) -> bytes | None:
        try:
            with self.key_path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & 0o077:
                    command = f"chmod 600 {shlex.quote(str(self.key_path))}"
                    raise KeyProblem(f"{self.key_path}: others may read this key (mode {mode:04o}); run: {command}")
                return file.read(4096)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyProblem(f"{self.key_path}: {error.strerror}; check its owner and mode") from None

    def _write_key(self, data: bytes) -> None:
        """Write the key so that it is there as a whole or not at all."""
        temporary = self.key_path.with_suffix(".new")
        try:
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.rename(self.key_path)
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise KeyProblem(f"{self.key_path}: cannot be written ({error.strerror})") from None


def missing_key(home: Home) -> str:
    """Say that a home that belongs to a federation has lost its key, and what to do."""
    return (
        f"{home.key_path}: the key of this home is missing, and its federation knows this peer by it; put the file"
        " back from a backup, or join again with a new --home"
    )


def passphrase_source(file: str | None) -> Callable[[bool], str | None]:
    """Return where passphrases come from: ``file`` ("-" asks on the terminal), $COTERIE_PASSPHRASE, or a
    prompt.

    A new key is sealed only if a file or the variable gives a passphrase; a sealed one is asked for if need
    be.
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
