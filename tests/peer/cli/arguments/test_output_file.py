"""A file or folder that an option names: what is none is refused in one line, and nothing is written elsewhere."""

import io
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from coterie.peer.cli.arguments.output_file import is_stream, out_path, written
from coterie.peer.cli.main import main
from coterie.peer.errors import Exit
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings
from coterie.peer.home.store import Store


@pytest.mark.parametrize("command", ["model", "ledger"])
@pytest.mark.parametrize("out", ["", ".", "..", "/", "./", "folder", "folder/", "new/", "folder/.."])
def test_an_export_into_a_folder_or_nowhere_is_refused_and_writes_nothing(
    old_home: Home,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    out: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    before = set(tmp_path.rglob("*"))
    assert main((command, "export", "--home", str(old_home.folder), "--out", out)) == Exit.USAGE
    err = capsys.readouterr().err
    assert err.startswith("peer: error: --out")
    assert "such as" in err
    assert err.count("\n") == 1
    assert {path for path in tmp_path.rglob("*") if path.parent != old_home.folder} <= before


@pytest.mark.parametrize("command", ["model", "ledger"])
@pytest.mark.parametrize("out", ["none/file", "x" * 300, "file/below"])
def test_a_file_that_cannot_be_written_is_named(
    old_home: Home,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    out: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main((command, "export", "--home", str(old_home.folder), "--out", out)) == Exit.USAGE
    assert f"--out {out}" in (err := capsys.readouterr().err)
    assert "cannot be written" in err


def test_a_name_that_was_changed_is_told(old_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, told in (
        ("model.txt", f" (not {tmp_path / 'model.txt'}: the name says what is in the file)"),
        ("m.npz", ""),
    ):
        assert main(("model", "export", "--home", str(old_home.folder), "--out", str(tmp_path / name))) == Exit.OK
        path = tmp_path / (f"{name}.npz" if told else name)
        assert path.is_file()
        assert capsys.readouterr().out.startswith(f"{path}{told}: 1 arrays")


def test_a_folder_of_the_name_with_its_ending_is_no_file_either(
    old_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.npz").mkdir()
    out = str(tmp_path / "model")
    assert main(("model", "export", "--home", str(old_home.folder), "--out", out)) == Exit.USAGE
    assert "model.npz is a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--home", ""),
        ("ledger", "verify", "--file", ""),
        ("refound", "--to", ""),
        ("start", "--data", ""),
        ("start", "--roster", ""),
        ("start", "--continues", ""),
        ("start", "--passphrase-file", ""),
        ("simulate", "--graph", ""),
        ("simulate", "--json", ""),
        ("simulate", "--out", ""),
    ],
    ids=" ".join,
)
def test_an_empty_name_is_not_taken_for_the_default(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == Exit.USAGE
    assert f"{words[-2]}: the name of the file or folder is empty" in capsys.readouterr().err


def test_a_simulation_that_cannot_be_written_at_its_end_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, text: str, encoding: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    file = tmp_path / "run.json"
    words = ("simulate", "--peers", "4", "--topology", "complete", "--rounds", "1", "--quiet", "--json", str(file))
    assert main(words) == Exit.USAGE
    assert f"{file} cannot be written (No space left on device)" in capsys.readouterr().err


def test_a_name_that_the_terminal_cannot_show_is_no_reason_to_fail(
    old_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    monkeypatch.setattr("sys.stdout", terminal)
    for command in ("model", "ledger"):
        out = f"{tmp_path}/{command}\udcff.npz"
        assert main((command, "export", "--home", str(old_home.folder), "--out", out)) == Exit.OK
    terminal.flush()
    assert Path(out).exists()


KEPT = ("data.csv", "roster.txt", "phrase", "token")
"""Files that the settings of a home name."""


@pytest.fixture
def careful_home(old_home: Home, tmp_path: Path) -> Home:
    """A home whose settings name files that are there."""
    data, roster, phrase, token = (str(tmp_path / name) for name in KEPT)
    with Store.open(old_home.folder) as store:
        kept = Settings(data=data, roster=roster, passphrase_file=phrase, page_token_file=token)
        store.keep("settings", kept.encode())
    for name in KEPT:
        (tmp_path / name).write_text("kept")
    return old_home


@pytest.mark.parametrize("command", ["model", "ledger"])
@pytest.mark.parametrize("name", [*KEPT, "link", "old/peer.sqlite", "old/identity.key", "old/origin"])
def test_a_file_that_a_peer_needs_is_never_replaced(
    careful_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    (tmp_path / "link").symlink_to("data.csv")
    path = tmp_path / name
    before = path.read_bytes()
    # A model goes into files of its own ending only, which any file may be linked as.
    out = path if command == "ledger" else tmp_path / "model.npz"
    if out != path:
        out.symlink_to(path)
    assert main((command, "export", "--home", str(careful_home.folder), "--out", str(out))) == Exit.USAGE
    err = capsys.readouterr().err
    assert f"--out {out}: this is" in err
    assert err.endswith("name another one\n")
    assert path.read_bytes() == before


def test_a_name_that_was_not_typed_replaces_nothing(
    old_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.npz").write_text("of an earlier run")
    words = ("model", "export", "--home", str(old_home.folder), "--out")
    assert main((*words, str(tmp_path / "model"))) == Exit.USAGE
    assert f"the file would be {tmp_path / 'model.npz'}, which is there already" in capsys.readouterr().err
    assert (tmp_path / "model.npz").read_text() == "of an earlier run"
    assert main((*words, str(tmp_path / "model.npz"))) == Exit.OK
    assert (tmp_path / "model.npz").read_bytes().startswith(b"PK")


@pytest.mark.parametrize("command", ["model", "ledger"])
def test_a_pipe_is_written_to_and_what_is_told_goes_elsewhere(
    old_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert main((command, "export", "--home", str(old_home.folder), "--out", str(pipe))) == Exit.OK
    reader.join()
    assert heard[0].startswith({"model": b"PK", "ledger": b"coterie ledger 1\n"}[command])
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"{pipe}: ")
    assert "peer predict --model" not in told.err
    assert "peer ledger verify" not in told.err
    assert [path.name for path in tmp_path.iterdir() if path != old_home.folder] == ["pipe"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/null"])
def test_what_is_open_already_keeps_its_name(name: str) -> None:
    assert is_stream(Path(name))
    assert out_path(name, ".npz") == Path(name)


def test_a_file_in_shared_memory_is_a_file() -> None:
    assert not is_stream(Path("/dev/shm/model.npz"))


def test_a_reader_of_a_pipe_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with written(pipe) as file:
        os.close(reader)
        file.write(b"x" * 100_000)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.symlink_to("target.bin")], ids=["file", "link"])
def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path, target = tmp_path / "out.bin", tmp_path / "target.bin"
    make(path)
    place = target if path.is_symlink() else path
    place.write_bytes(b"before")
    place.chmod(0o644)
    with written(path) as file:
        file.write(b"after")
        file.flush()
        assert place.read_bytes() == b"before"
    assert place.read_bytes() == b"after"
    assert stat.S_IMODE(place.stat().st_mode) == 0o644
    assert path.is_symlink() == (place == target)
