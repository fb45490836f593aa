"""A home belongs to one peer at a time, keeps its key to itself, and says what is wrong with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coterie.peer.exits import Exit
from coterie.peer.home import KEY_FILE, PASSPHRASE_VARIABLE, Home, HomeError, KeyProblem, passphrase_source


def no_passphrase(sealed: bool) -> str | None:
    return None


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def test_the_folder_and_the_key_are_for_their_owner_only(home: Home) -> None:
    home.identity(no_passphrase)
    assert home.folder.stat().st_mode & 0o777 == 0o700
    assert home.key_path.stat().st_mode & 0o777 == 0o600


def test_the_identity_stays_the_same(home: Home) -> None:
    assert home.identity(no_passphrase) == home.identity(no_passphrase)


def test_a_sealed_key_opens_with_its_passphrase_only(home: Home) -> None:
    identity = home.identity(lambda sealed: "correct horse")
    assert home.identity(lambda sealed: "correct horse") == identity
    with pytest.raises(KeyProblem, match="passphrase is wrong") as caught:
        home.identity(lambda sealed: "wrong horse")
    assert caught.value.code is Exit.KEY
    assert "horse" not in str(caught.value)


def test_a_key_that_others_may_read_is_refused(home: Home) -> None:
    home.identity(no_passphrase)
    home.key_path.chmod(0o644)
    with pytest.raises(KeyProblem, match="chmod 600"):
        home.identity(no_passphrase)


def test_a_damaged_key_is_named(home: Home) -> None:
    home.key_path.write_bytes(b"nonsense")
    home.key_path.chmod(0o600)
    with pytest.raises(KeyProblem, match=KEY_FILE):
        home.identity(no_passphrase)


def test_a_second_peer_is_told_who_has_the_home(home: Home) -> None:
    with home.locked():
        with pytest.raises(HomeError, match=f"pid {os.getpid()}") as caught, Home(home.folder).locked():
            pass
        assert caught.value.code is Exit.HOME
        assert home.running_pid() == os.getpid()
    assert home.running_pid() is None


def test_the_lock_goes_with_a_process_that_is_killed(home: Home) -> None:
    script = (
        "import sys, signal, os; from pathlib import Path; from coterie.peer.home import Home\n"
        "with Home(Path(sys.argv[1])).locked(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(home.folder)], check=False)
    assert run.returncode == -9
    with home.locked():
        assert home.running_pid() == os.getpid()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="choose another --home"):
        Home(tmp_path / "file" / "home").prepare()


def test_the_passphrase_comes_from_the_file_then_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "phrase"
    path.write_text("from the file\n")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "from the environment")
    assert passphrase_source(str(path))(False) == "from the file"
    assert passphrase_source(None)(True) == "from the environment"
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    assert passphrase_source(None)(False) is None


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    with pytest.raises(KeyProblem, match="--passphrase-file"):
        passphrase_source(None)(True)


def test_a_passphrase_file_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyProblem, match="/nowhere/phrase"):
        passphrase_source("/nowhere/phrase")(True)
