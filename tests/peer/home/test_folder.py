"""A home belongs to one peer at a time, keeps its key to itself, and says what is wrong with it."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from coterie.peer.errors import Exit
from coterie.peer.home.folder import (
    KEY_FILE,
    LOCK_FILE,
    PASSPHRASE_VARIABLE,
    SOCKET_FILE,
    STORE_FILE,
    Home,
    HomeError,
    KeyProblem,
    passphrase_source,
)
from coterie.peer.home.sqlite import StoreError
from coterie.peer.home.store import Reader, Store
from coterie.peer.runtime.process import _report_crash


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
        "import sys, signal, os; from pathlib import Path; from coterie.peer.home.folder import Home\n"
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


def own_user(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for a home of somebody else: only root may give a file away."""
    monkeypatch.setattr(os, "geteuid", lambda: user)


def test_a_home_into_which_others_can_write_is_refused_with_what_to_type(home: Home) -> None:
    home.check()
    for mode in (0o777, 0o770, 0o703):
        home.folder.chmod(mode)
        with pytest.raises(HomeError, match=f"chmod 700 {home.folder}"):
            home.prepare()
    home.folder.chmod(0o755)
    home.prepare()


def test_a_home_of_another_user_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    own_user(os.geteuid() + 1, monkeypatch)
    with pytest.raises(HomeError, match="belongs to another user .* chown -R"):
        home.prepare()


@pytest.mark.parametrize(
    "name", [STORE_FILE, f"{STORE_FILE}-wal", KEY_FILE, LOCK_FILE, SOCKET_FILE, "origin", "newest"]
)
def test_a_file_of_somebody_else_in_the_home_is_refused(
    home: Home, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted while others could write here; the mode of the folder was put right since."""
    path = home.folder / name
    path.write_text("planted")
    path.chmod(0o666)
    with pytest.raises(HomeError, match=f"{path}: other users can write to it"):
        home.check()
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HomeError, match=f"{path}: a symbolic link"):
        home.check()
    path.unlink()
    path.write_text("planted")
    ours, user = os.lstat, os.geteuid()

    def owned(one: Path) -> os.stat_result:
        found = ours(one)
        return os.stat_result((*found[:4], user + 1, *found[5:])) if one == path else found

    monkeypatch.setattr(Path, "lstat", owned)
    with pytest.raises(HomeError, match=f"{path}: belongs to another user"):
        home.check()


def lock_through(link: Callable[[Path, Path], None], folder: Path) -> str:
    """Lock a home whose lock leads elsewhere; return what is then in the file there."""
    home, precious = Home(folder / "home"), folder / "precious"
    home.prepare()
    precious.write_text("precious data")
    (home.folder / LOCK_FILE).unlink(missing_ok=True)
    link(home.folder / LOCK_FILE, precious)
    with suppress(HomeError), home.locked():
        pass
    return precious.read_text()


def test_a_planted_lock_truncates_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, link in enumerate((Path.symlink_to, Path.hardlink_to)):
        (tmp_path / str(number)).mkdir()
        assert lock_through(link, tmp_path / str(number)) == "precious data"
    monkeypatch.setattr(os, "O_NOFOLLOW", 0)
    assert lock_through(Path.symlink_to, tmp_path) == f"{os.getpid()}\n"


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(home: Home) -> None:
    os.mkfifo(home.folder / LOCK_FILE)
    with pytest.raises(HomeError, match="remove it"), home.locked():
        pass
    os.mkfifo(home.key_path, 0o600)
    assert home.public_key() is None
    with pytest.raises(KeyProblem):
        home.identity(no_passphrase)


def test_a_key_is_not_read_through_a_link(home: Home, tmp_path: Path) -> None:
    home.identity(no_passphrase)
    home.key_path.rename(tmp_path / "key")
    home.key_path.symlink_to(tmp_path / "key")
    assert home.public_key() is None
    with pytest.raises(KeyProblem, match=str(home.key_path)):
        home.identity(no_passphrase)


def test_a_store_is_not_opened_through_a_link(home: Home, tmp_path: Path) -> None:
    path = home.folder / STORE_FILE
    for name in (path, path.with_name(path.name + "-wal")):
        name.symlink_to(tmp_path / "stolen")
        for opened in (Store.open, Reader.open):
            with pytest.raises(StoreError, match="symbolic link|there is no store"):
                opened(home.folder)
        name.unlink()
    assert not (tmp_path / "stolen").exists()


def test_a_crash_report_overwrites_nothing(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coterie.peer.runtime.process.time.strftime", lambda layout: "crash-now.txt")
    (tmp_path / "precious").write_text("precious data")
    (home.folder / "crash-now.txt").symlink_to(tmp_path / "precious")
    _report_crash(home, RuntimeError("x"))
    assert (tmp_path / "precious").read_text() == "precious data"


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
