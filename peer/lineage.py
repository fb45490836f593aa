"""Does this home go on from where it stopped, or is it a copy, or set back to an old state? (safety rule 3)

A peer that votes from an old copy of its state could sign a second, different vote. Two small files beside
the store tell the ways in which an old state comes back:

- ``origin`` is written once and never touched. The store remembers its inode and its change time, which no
  tool can set: a copied, unpacked or restored file has other ones. (The device number is left out: it
  changes over restarts.)
- ``newest`` holds the serial number of the newest vote, release or block that was stored. If it is ahead of
  the store, then the store alone was set back. It is written after each commit without waiting for the
  disk, so a crash may leave it behind the store, which is harmless.

A disk image that is set back as a whole shows in neither. That is why a restarted member also asks the
network what it has seen. A false alarm (after ``chmod -R``, say) costs a short abstention.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Final

from .full import told_if_full

NEWEST_FILE: Final = "newest"
_SERIAL_BYTES: Final = 8
_ORIGIN_BYTES: Final = 64


def newest_serial(folder: Path) -> int:
    """Return the serial number of the newest record that a home has had; 0 if none is known of."""
    try:
        return int.from_bytes(_read(folder / NEWEST_FILE, _SERIAL_BYTES)[0], "little")
    except OSError:
        return 0


class Lineage:
    """The two witnesses in the folder of a home."""

    def __init__(self, folder: Path) -> None:
        self._origin = folder / "origin"
        self._newest = folder / NEWEST_FILE
        self._newest_fd = -1

    def doubt(self, remembered: bytes, serial: int) -> str | None:
        """Return why the store is a copy or set back, or None where it goes on.

        ``remembered`` is what :meth:`found` returned when the store was made, ``serial`` the newest one in
        the store.
        """
        if self._fingerprint() != remembered:
            return "the home was copied or restored from a backup"
        try:
            newest = int.from_bytes(_read(self._newest, _SERIAL_BYTES)[0], "little")
        except OSError:
            return "the home is incomplete: its file 'newest' is missing"
        if newest > serial:
            return "the store was set back to an older state"
        return None

    def found(self, serial: int) -> bytes:
        """Write both witnesses anew; return what the store has to remember.

        Raises:
            DiskFull: there is no room for them.
        """
        for path, data in (
            (self._origin, secrets.token_hex(16).encode()),
            (self._newest, serial.to_bytes(_SERIAL_BYTES, "little")),
        ):
            path.unlink(missing_ok=True)
            with told_if_full(path), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        return self._fingerprint()

    def advance(self, serial: int) -> None:
        """Note that everything up to ``serial`` is in the store."""
        if self._newest_fd < 0:
            self._newest_fd = os.open(self._newest, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with told_if_full(self._newest):
            os.pwrite(self._newest_fd, serial.to_bytes(_SERIAL_BYTES, "little"), 0)

    def close(self) -> None:
        """Give the open file back."""
        if self._newest_fd >= 0:
            os.close(self._newest_fd)
            self._newest_fd = -1

    def _fingerprint(self) -> bytes:
        try:
            nonce, status = _read(self._origin, _ORIGIN_BYTES)
        except OSError:
            return b""
        return json.dumps([nonce.decode("ascii", "replace"), status.st_ino, status.st_ctime_ns]).encode()


def _read(path: Path, size: int) -> tuple[bytes, os.stat_result]:
    """Read the beginning of a file, not through a link, and what the file system says of it."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, size), os.fstat(fd)
    finally:
        os.close(fd)
