"""A file or folder that an option names: what is none is refused in one line, and nothing is written elsewhere."""

import io
from pathlib import Path

import pytest

from coterie.peer.cli import main
from coterie.peer.exits import Exit
from coterie.peer.home import Home


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
