"""A full disk is told in one line with exit code 6, whichever write finds it, and leaves no part of a file behind."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coterie.peer.cli.arguments.output_file import written
from coterie.peer.cli.commands import diagnosis
from coterie.peer.errors import Exit, PeerError
from coterie.peer.home import sqlite
from coterie.peer.home.copy_guard import CopyGuard
from coterie.peer.home.folder import Home
from coterie.peer.home.sqlite import StoreError, explained
from coterie.peer.runtime import process
from coterie.peer.system import full_disk

Peer = Callable[..., tuple[int, str, str]]
WRITES = ("mkdir", "open", "pwrite", "fsync")
"""Functions of `os` with which a home is written; `open` where it makes a file."""


class Disk:
    """A disk on which one write finds no room: the one with this number, from 0."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int = errno.ENOSPC) -> None:
        self.fails_at = -1
        self._seen = 0
        self._code = code
        for name in WRITES:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))

    def fail_at(self, number: int) -> None:
        self.fails_at, self._seen = number, 0

    @property
    def has_failed(self) -> bool:
        return 0 <= self.fails_at < self._seen

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **options: Any) -> Any:
            if name == "open" and not (len(arguments) > 1 and arguments[1] & os.O_CREAT):
                return real(*arguments, **options)
            self._seen += 1
            if self._seen == self.fails_at + 1:
                raise OSError(self._code, os.strerror(self._code))
            return real(*arguments, **options)

        return write


@pytest.fixture(params=[errno.ENOSPC, errno.EDQUOT], ids=["full", "quota"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk(monkeypatch, request.param)
    yield made
    made.fail_at(-1)


def begin(*_: object) -> None:
    raise PeerError("that is all", Exit.PORT)


@pytest.mark.parametrize("command", ["start", "id"])
def test_every_write_of_a_start_that_finds_no_room_is_told(
    peer: Peer, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(process, "Session", begin)
    words = (command,) if command == "id" else (command, "--data", "data.csv", "--target", "y")
    told: set[str] = set()
    for number in range(100):
        home = tmp_path / f"{number}"
        disk.fail_at(number)
        code, _, err = peer(*words, "--home", str(home))
        if not disk.has_failed:
            break
        # What is only for the report of a crash is no reason to fail.
        if code == Exit.STORE:
            assert "the disk is full; free some space" in err
            assert err.startswith("peer: error: ")
            assert err.count("\n") == 1
            told.add(Path(err.removeprefix("peer: error: ").partition(":")[0]).name)
        else:
            assert code == (Exit.OK if command == "id" else Exit.PORT)
        assert not (home / "identity.new").exists()
    assert not disk.has_failed
    files = {"lock", "identity.key"} | ({"origin", "newest"} if command == "start" else set())
    assert files <= told
    assert code == (Exit.OK if command == "id" else Exit.PORT)


def test_a_newest_record_that_finds_no_room_is_told(tmp_path: Path, disk: Disk) -> None:
    lineage = CopyGuard(tmp_path)
    lineage.found(1)
    disk.fail_at(0)
    with pytest.raises(full_disk.DiskFull, match="newest: cannot be written: the disk is full"):
        lineage.advance(2)


@pytest.mark.parametrize("name", ["SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN", "SQLITE_FULL"])
def test_a_store_that_has_no_room_names_the_full_disk_and_not_a_failing_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(has_no_room: bool) -> str:
        monkeypatch.setattr(sqlite, "has_no_room", lambda folder: has_no_room)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = name
        with pytest.raises(StoreError) as caught, explained(tmp_path / "peer.sqlite"):
            raise error
        return str(caught.value)

    assert "the disk is full. Everything that was sent is safely stored" in told(True)
    assert ("the disk is full" in told(False)) == (name == "SQLITE_FULL")


@pytest.mark.parametrize(
    ("blocks", "files", "expected"), [(0, 5, True), (200, 5, True), (300, 5, False), (300, 0, True)]
)
def test_room_is_bytes_and_files(
    blocks: int, files: int, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def statvfs(_: object) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 10_000, blocks, blocks, 10, files, files, 0, 255))

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert full_disk.has_no_room(tmp_path) is expected


def test_the_doctor_has_one_row_a_check_and_says_what_to_do_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> float:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(diagnosis, "_fsync_seconds", fail)
    found = [one for one in diagnosis.examine(Home(tmp_path / "home"), (), None) if one.check in ("disk", "fsync")]
    assert [one.check for one in found] == ["disk", "fsync"]
    assert found[1].advice == f"free some space on the disk of {tmp_path}"


def write_without_room(path: Path) -> None:
    with written(path) as file:
        file.write(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("before", [None, b"as it was"])
def test_a_file_of_out_that_finds_no_room_is_as_it_was(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "out.bin"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(full_disk.DiskFull) as caught:
        write_without_room(path)
    assert caught.value.code is Exit.STORE
    assert [one.name for one in tmp_path.iterdir()] == ([] if before is None else ["out.bin"])
    assert before is None or path.read_bytes() == before


def test_a_new_app_that_finds_no_room_leaves_nothing_to_be_in_the_way_of_the_next_try(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_before: list[Path] = []
    real = Path.write_text

    def write(path: Path, text: str, encoding: str) -> int:
        if written_before:
            raise OSError(errno.ENOSPC, "No space left on device")
        written_before.append(path)
        return real(path, text, encoding)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write)
        assert peer("new-app", "sklearn", "mine")[0] == Exit.STORE
    assert peer("new-app", "sklearn", "mine")[0] == Exit.OK


def test_any_other_write_of_a_command_that_finds_no_room_is_told(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(home: Home, *_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(home.folder / "file"))

    monkeypatch.setattr(process, "run_peer", fail)
    code, _, err = peer("start")
    assert (code, err.count("\n")) == (Exit.STORE, 1)
    assert "home/file: cannot be written: the disk is full" in err
