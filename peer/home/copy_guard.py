"""Whether a home goes on from where it stopped, or is a copy, or was set back to an old state (safety rule 3).

A peer that votes from an old copy of its state could sign a second, different vote. Two small files beside the store,
the *witnesses*, show how an old state came back:

- ``origin`` is written once and never touched. The store remembers its inode and its change time, which no tool can
  set: a copied, unpacked or restored file has other ones. The device number is left out, since it changes over
  restarts.
- ``newest`` holds the serial number of the newest vote, release or block that was stored. If it is ahead of the store,
  the store alone was set back. It is written after each commit without waiting for the disk, so a crash may leave it
  behind the store, which is harmless.

If a whole disk image is set back, neither file shows it. That is why a restarted member also asks the others what they
have seen of it. A false alarm, such as after ``chmod -R``, costs a short abstention.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Final

from ..system.full_disk import told_if_full

NEWEST_FILE: Final = "newest"
_SERIAL_BYTES: Final = 8
_ORIGIN_BYTES: Final = 64


def newest_serial(folder: Path) -> int:
    """Return the serial number of the newest record that a home has ever had; 0 if none is known."""
    try:
        return int.from_bytes(_read(folder / NEWEST_FILE, _SERIAL_BYTES)[0], "little")
    except OSError:
        return 0


class CopyGuard:
    """The two witnesses in the folder of a home."""

    def __init__(self, folder: Path) -> None:
        self._origin = folder / "origin"
        self._newest = folder / NEWEST_FILE
        self._newest_fd = -1

    def doubt(self, remembered: bytes, serial: int) -> str | None:
        """Return why the store is a copy or was set back; None if it goes on from where it stopped.

        Args:
            remembered: what :meth:`found` returned when the witnesses were written.
            serial: the newest serial number in the store.
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
        """Close the open file."""
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
    """Return the first ``size`` bytes of a file and its status; a link is not followed."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, size), os.fstat(fd)
    finally:
        os.close(fd)
