"""The command line: quick help, one exit code a reason, and messages that say what, where and what to do."""

import dataclasses
import json
import os
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from members import identity, make_genesis

from coterie import __version__
from coterie.crypto.identity.identity import Identity
from coterie.peer.errors import Exit, PeerError
from coterie.peer.federation.invites import new_invite, parse_duration_ms
from coterie.peer.home import sqlite
from coterie.peer.home.folder import PASSPHRASE_VARIABLE, Home
from coterie.peer.home.settings import FLOWER_APP, Settings, read_settings
from coterie.peer.home.sqlite import VERSION
from coterie.peer.home.store import FILE_NAME, Store
from coterie.peer.network.address_text import dial_place, listen_place
from coterie.peer.runtime import process
from coterie.peer.runtime.session import Session
from coterie.protocol.limits import PROTOCOL_VERSION
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.records import ModelSaved

TABLE = "a,b,y\n" + "".join(f"{i},{i * i % 7},{2 * i + 1}\n" for i in range(30))

Peer = Callable[..., tuple[int, str, str]]


@pytest.fixture
def peer(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """`peer`, beside a table, in a home of its own."""
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    (tmp_path / "data.csv").write_text(TABLE)
    return peer


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


FOUND = ("start", "--data", "data.csv", "--target", "y", "--listen", "127.0.0.1:0")


def test_help_lists_the_commands_and_every_exit_code(peer: Peer) -> None:
    code, out, _ = peer("--help")
    assert code == 0
    for command in (
        "start",
        "status",
        "ledger",
        "model",
        "predict",
        "id",
        "invite",
        "leave",
        "stop",
        "doctor",
        "refound",
    ):
        assert f"\n    {command} " in out
    for exit in Exit:
        assert f"{exit.value:>2}  {exit.meaning}" in out


def test_the_version_is_told_without_a_command(peer: Peer) -> None:
    assert peer("--version") == (0, f"peer {__version__}\n", "")


@pytest.mark.parametrize(
    "words", [(), ("dance",), ("start", "--dance"), ("start", "--hidden", "0"), ("start", "--test-fraction", "1")]
)
def test_wrong_options_end_with_2_and_one_line(peer: Peer, words: tuple[str, ...]) -> None:
    code, _, err = peer(*words)
    assert code == Exit.USAGE
    assert err.startswith("peer: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("start", "--evict-after", "-1"), "--evict-after: '-1': a whole number from 0 to 2147483648 is needed"),
        (("start", "--name", "x" * 65), "1 to 64 printable characters are needed"),
        (("start", "--name", "a\nb"), "1 to 64 printable characters are needed"),
        (("start", "--name", "  "), "with no blank at either end"),
        (("start", "--federation", ""), "--federation: '': 1 to 64 printable characters are needed"),
        (("start", "--view-timeout", "0"), "--view-timeout: '0': a number from 0.01 to 86400 seconds is needed"),
        (("start", "--share-deadline", "soon"), "--share-deadline: 'soon': a number from 0.01 to 86400 seconds"),
        (("start", "--heartbeat", "0"), "--heartbeat: '0': a number from 0.1 to 3600 seconds"),
        (("start", "--dead-after", "nan"), "--dead-after: 'nan': a number from 0.2"),
        (("start", "--hidden", "16,a"), "--hidden: 'a': a whole number from 1"),
        (("start", "--learning-rate", "0"), "--learning-rate: '0': a number above 0"),
        (("start", "--test-fraction", "1"), "--test-fraction: '1': less than 1 is needed"),
        (("start", "--columns", "a,,b"), "--columns: 'a,,b': names with commas between them"),
        (("start", "--columns", "age,b,age"), "--columns: 'age,b,age': age stands there more than once"),
        (("start", "--classes", "x,x"), "--classes: 'x,x': x stands there more than once"),
        (("start", "--ignore", "id,"), "--ignore: 'id,': names with commas between them"),
        (("start", "--levels", "=A,B"), "--levels: '=A,B': COLUMN or COLUMN=A,B,… is needed"),
        (("start", "--levels", "sex=f,,m"), "--levels: 'f,,m': names with commas between them"),
        (("start", "--gaps", "a,a"), "--gaps: 'a,a': a stands there more than once"),
        (("start", "--class-weights", "yes"), "--class-weights: 'yes': CLASS=WEIGHT is needed"),
        (("start", "--class-weights", "yes=10,=2"), "--class-weights: '=2': CLASS=WEIGHT is needed"),
        (("start", "--class-weights", "yes=heavy"), "--class-weights: 'heavy': a number above 0"),
        (("start", "--class-weights", "balanced"), "needs the number of rows of each class over all members"),
        (("refound", "--to", "x", "--rounds", "-1"), "--rounds: '-1': a whole number from 1"),
    ],
)
def test_a_value_out_of_its_bounds_is_told_with_the_bounds(peer: Peer, words: tuple[str, ...], told: str) -> None:
    code, _, err = peer(*words)
    assert code == Exit.USAGE
    assert told in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("start", "--dance"), "unrecognized arguments: --dance (`peer start --help` lists the options)"),
        (("data", "check", "x.csv", "--dance"), "--dance (`peer data check --help` lists the options)"),
        (("--dance", "status"), "--dance (`peer --help` lists the options)"),
    ],
)
def test_an_unknown_option_is_told_with_the_help_of_its_command(peer: Peer, words: tuple[str, ...], told: str) -> None:
    code, _, err = peer(*words)
    assert code == Exit.USAGE
    assert told in err


def test_help_says_what_a_second_signal_does(peer: Peer) -> None:
    assert " 130  ended at once: Ctrl-C, or a second Ctrl-C or SIGTERM while a peer stops\n" in peer("--help")[1]


def test_columns_to_use_replace_those_to_ignore_and_the_other_way_round(peer: Peer) -> None:
    used = Settings().with_given({"columns": ("a",)})
    ignored = used.with_given({"ignore": ("b",)})
    assert (ignored.columns, ignored.ignore) == ((), ("b",))
    assert (ignored.with_given({"columns": ("a",)}).columns, ignored.with_given({"columns": ("a",)}).ignore) == (
        ("a",),
        (),
    )
    code, _, err = peer(*FOUND, "--columns", "a", "--ignore", "b")
    assert code == Exit.USAGE
    assert "--columns and --ignore: one or the other" in err


def test_a_table_replaces_an_app_and_the_other_way_round() -> None:
    table = Settings().with_given({"data": "data.csv", "target": "y"})
    app = table.with_given({"app": "mine:app"})
    assert (app.data, app.app) == (None, "mine:app")
    assert (app.with_given({"data": "new.csv"}).data, app.with_given({"data": "new.csv"}).app) == ("new.csv", None)


def test_what_flower_would_be_told_of_a_node_goes_with_the_project() -> None:
    flower = Settings().with_given({"app": FLOWER_APP, "app_folder": "/mine", "node_config": "a=1"})
    assert flower.with_given({"rounds": 3}).node_config == "a=1"
    assert flower.with_given({"app": "mine:app"}).node_config == ""
    assert flower.with_given({"data": "data.csv"}).node_config == ""


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (
            (*FOUND, "--dead-after", "12", "--heartbeat", "20"),
            Exit.USAGE,
            "--dead-after 12: at least twice the --heartbeat",
        ),
        ((*FOUND, "--dht-listen", "4001"), Exit.USAGE, "--dht-listen 4001: only with --dht"),
        ((*FOUND, "--app", "mine:app"), Exit.USAGE, "--app mine:app and --data data.csv: one or the other"),
        ((*FOUND, "--flower", "mine"), Exit.USAGE, "--flower mine and --data data.csv: one or the other"),
        (("start", "--app", "a:b", "--flower", "mine"), Exit.USAGE, "--flower: not allowed with argument --app"),
        (("start", "--flower", "mine", "--steps", "3"), Exit.USAGE, "--steps: this is for tables and would do nothing"),
        (("start", "--flower", "."), Exit.DATA, "the pyproject.toml of a Flower project is needed"),
        ((*FOUND, "--node-config", "a=1"), Exit.USAGE, "--node-config a=1: only with --flower"),
        (("start",), Exit.USAGE, "--data FILE.csv --target COLUMN"),
        (("start", "--data", "data.csv"), Exit.USAGE, "--target COLUMN"),
        (("start", "--data", "none.csv", "--target", "y"), Exit.DATA, "none.csv"),
        (("start", "--data", "data.csv", "--target", "z"), Exit.DATA, "'z'"),
        (("start", "--app", "no_such_module:app"), Exit.DATA, "no_such_module"),
        ((*FOUND, "--clip", "3"), Exit.USAGE, "power of two"),
        ((*FOUND, "--threshold", "1"), Exit.USAGE, "threshold"),
        ((*FOUND, "--min-peers", "2"), Exit.USAGE, "--min-peers"),
        ((*FOUND, "--roster", "none.txt", "--admit", "roster"), Exit.USAGE, "none.txt"),
        ((*FOUND[:-1], "nowhere"), Exit.USAGE, "--listen nowhere"),
        ((*FOUND[:-1], "/ip4/0.0.0.0/tcp/99999"), Exit.PORT, "/ip4/0.0.0.0/tcp/99999: the form is"),
        (("start", "--invite", "coterie1-AAAA", "--data", "data.csv"), Exit.INVITE, "damaged"),
        (("start", "--invite", "hello", "--data", "data.csv"), Exit.INVITE, "damaged"),
        (("start", "--invite", "", "--data", "data.csv"), Exit.INVITE, "ask a member for a new one"),
        ((*FOUND[:-1], "99999"), Exit.USAGE, "--listen 99999: a port is a number from 1 to 65535 (0: any free one)"),
        ((*FOUND[:-1], "127.0.0.1:123456"), Exit.USAGE, "a port is a number from 1 to 65535 (0: any free one)"),
        (("start", "--bootstrap", "127.0.0.1:99999", "--data", "data.csv"), Exit.USAGE, "number from 1 to 65535"),
        (("start", "--bootstrap", "nowhere", "--data", "data.csv"), Exit.USAGE, "--bootstrap nowhere"),
        (("status",), Exit.FEDERATION, "no store"),
        (("ledger", "show"), Exit.FEDERATION, "no store"),
        (("ledger", "verify", "--file", "none"), Exit.CHECK_FAILED, "none"),
        (("ledger", "verify", "--file", "data.csv"), Exit.CHECK_FAILED, "not an exported ledger"),
        (("model", "export", "--out", "m.npz"), Exit.FEDERATION, "no store"),
        (("predict", "--data", "data.csv"), Exit.FEDERATION, "no store"),
        (("leave",), Exit.NOT_RUNNING, "no peer runs"),
        (("stop",), Exit.NOT_RUNNING, "no peer runs"),
        (("invite",), Exit.NOT_RUNNING, "no peer runs"),
        (("invite", "--expires", "soon"), Exit.USAGE, "'soon'"),
        (("invite", "--uses", "0"), Exit.USAGE, "--uses"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_exit_code(
    peer: Peer, words: tuple[str, ...], code: Exit, told: str
) -> None:
    got, _, err = peer(*words)
    assert err.startswith("peer: error: "), err
    assert told in err
    assert got == code


@pytest.mark.parametrize(
    ("cell", "told"), [("", "line 3"), ("red", "line 3"), ("nan", "line 3")], ids=["missing", "text", "nan"]
)
def test_a_bad_cell_is_named_by_line_and_column(peer: Peer, tmp_path: Path, cell: str, told: str) -> None:
    (tmp_path / "bad.csv").write_text(f"a,b,y\n1,2,3\n4,{cell},6\n" + "1,2,3\n" * 20)
    code, _, err = peer("start", "--data", "bad.csv", "--target", "y")
    assert code == Exit.DATA
    assert "'b'" in err
    assert told in err


def test_a_port_in_use_has_its_own_exit_code(peer: Peer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = peer(*FOUND[:-1], f"127.0.0.1:{port}")
    assert code == Exit.PORT
    assert str(port) in err


def test_an_address_of_another_machine_cannot_be_listened_on(peer: Peer) -> None:
    code, _, err = peer(*FOUND[:-1], "192.0.2.1:4001")
    assert code == Exit.PORT
    assert "192.0.2.1" in err


def test_an_unreachable_federation_is_told_of_and_given_up_after_the_timeout(peer: Peer) -> None:
    with socket.socket() as held:  # bound, so that nobody else is there, and not listening
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        words = ("start", "--bootstrap", f"127.0.0.1:{port}", "--data", "data.csv", "--listen", "127.0.0.1:0", "--json")
        code, out, _ = peer(*words, "--join-timeout", "3")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == Exit.UNREACHABLE
    assert [event["event"] for event in events] == ["listening", "joining", "unreachable", "stopped"]
    assert events[-1]["exit"] == Exit.UNREACHABLE
    assert f"/ip4/127.0.0.1/tcp/{port}" in events[2]["text"]


def test_the_status_of_a_search_has_the_address_and_its_last_failure(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []
    end = Session._tell_end

    def look(session: Session) -> None:
        shown.append(session.status())
        end(session)

    monkeypatch.setattr(Session, "_tell_end", look)
    with socket.socket() as held:  # bound, so that nobody else is there, and not listening
        held.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{held.getsockname()[1]}"
        words = ("start", "--bootstrap", place, "--data", "data.csv", "--listen", "127.0.0.1:0")
        assert peer(*words, "--join-timeout", "2")[0] == Exit.UNREACHABLE
    (status,) = shown
    (address,) = status["search"]["addresses"]
    assert address == "/ip4/{}/tcp/{}".format(*place.split(":"))
    assert status["search"]["trouble"].startswith(f"{address} cannot be reached (")


def test_an_expired_invite_is_refused_before_anything_is_dialled(peer: Peer) -> None:
    member = Identity.from_seed(bytes(32))
    token = new_invite(member, bytes(32), ("/ip4/127.0.0.1/tcp/1",), 1000, 1)
    code, out, err = peer("start", "--invite", token, "--data", "data.csv")
    assert code == Exit.INVITE
    assert "expired" in err
    assert out == ""


def test_a_joiner_without_its_table_is_refused_before_anything_is_dialled(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04 and so on")
    join = ("start", "--bootstrap", "127.0.0.1:1", "--listen", "127.0.0.1:0")
    for data, code, told in (
        (("--data", "none.csv"), Exit.DATA, "none.csv: cannot be read: No such file"),
        (("--data", str(tmp_path)), Exit.DATA, "cannot be read: Is a directory"),
        (("--data", "book.csv"), Exit.DATA, "book.csv: this is a workbook"),
        ((), Exit.USAGE, "nothing to train: give --data FILE.csv"),
    ):
        got, out, err = peer(*join, *data)
        assert (got, out) == (code, "")
        assert told in err


@pytest.mark.parametrize(
    ("kept", "words", "told"),
    [
        (Settings(), (), "--join needs --mdns, --bootstrap ADDR or --invite TOKEN"),
        (Settings(), ("--no-mdns",), "nothing says where to look"),
        (Settings(mdns=True), ("--no-mdns",), "nothing says where to look"),
        (Settings(), ("--dht", "/ip4/192.0.2.1/tcp/4001"), "--join --dht needs --invite TOKEN"),
        (Settings(bootstrap=("192.0.2.1:1",)), ("--no-join",), None),
        (Settings(bootstrap=("192.0.2.1:1",)), (), None),
        (Settings(), ("--mdns",), None),
        (Settings(), ("--bootstrap", "192.0.2.1:1"), None),
    ],
)
def test_a_joiner_that_has_nowhere_to_look_is_refused(
    peer: Peer, home: Home, kept: Settings, words: tuple[str, ...], told: str | None
) -> None:
    with Store.open(home.folder) as store:
        store.keep("settings", kept.encode())
    code, _, err = peer("start", "--join", *words)
    assert code == Exit.USAGE
    assert (told or "nothing to train: give --data FILE.csv") in err


def test_options_that_an_earlier_attempt_left_are_told(peer: Peer, home: Home) -> None:
    with socket.socket() as held:  # bound, so that nobody else is there, and not listening
        held.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{held.getsockname()[1]}"
        with Store.open(home.folder) as store:
            store.keep("settings", Settings(bootstrap=(place,), join_timeout=0.5).encode())
        code, out, _ = peer("start", "--data", "data.csv", "--listen", "127.0.0.1:0")
        assert code == Exit.UNREACHABLE
        told = (
            f"looking for the federation; kept in this home from an earlier start: --bootstrap {place}, --join-timeout"
        )
        assert f"{told} 0.5\n" in out
        _, out, _ = peer("start", "--data", "data.csv", "--bootstrap", place, "--join-timeout", "0.5")
    assert "looking for the federation\n" in out


def test_a_peer_that_continues_keeps_the_name_of_its_old_home(
    peer: Peer, old_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def begin(home: Home, settings: Settings, *_: object) -> Session:
        names.append(settings.name)
        raise PeerError("that is all")

    monkeypatch.setattr(process, "Session", begin)
    join = ("start", "--bootstrap", "127.0.0.1:1", "--data", "data.csv", "--continues")
    for words in ((str(old_home.folder),), (str(old_home.folder), "--name", "new"), ("nowhere",)):
        peer(*join, *words)
    assert names == ["peer 0", "new", socket.gethostname()[:64]]


def test_a_mistyped_old_home_is_told_before_a_federation_is_looked_for(peer: Peer) -> None:
    (Path.cwd() / "empty").mkdir()
    for name in ("nowhere", "empty"):
        code, out, err = peer(
            "start", "--bootstrap", "127.0.0.1:1", "--data", "data.csv", "--continues", name, "--listen", "127.0.0.1:0"
        )
        assert code == Exit.FEDERATION
        assert f"--continues {Path.cwd() / name}: there is no store, so this is no home of a peer" in err
        assert "peer start --home" not in err, "it is not to be made"
        assert "looking for" not in out


def test_a_home_in_use_is_told_with_the_pid(peer: Peer, home: Home) -> None:
    with home.locked():
        code, _, err = peer(*FOUND)
    assert code == Exit.HOME
    assert f"pid {os.getpid()}" in err


def test_a_wrong_passphrase_has_its_own_exit_code(
    peer: Peer, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.identity(lambda sealed: "right")
    (tmp_path / "phrase").write_text("wrong\n")
    code, _, err = peer(*FOUND, "--passphrase-file", "phrase")
    assert code == Exit.KEY
    assert "passphrase is wrong" in err


@pytest.fixture
def broken(home: Home) -> Path:
    Store.open(home.folder).close()
    return home.folder / FILE_NAME


def test_a_home_in_a_federation_that_lost_its_key_is_not_given_another(
    peer: Peer, old_home: Home, tmp_path: Path
) -> None:
    old_home.key_path.unlink()
    home = ("--home", str(old_home.folder))
    for words in (("start", "--app", "none:app"), ("refound", "--to", str(tmp_path / "new"))):
        code, _, err = peer(*words, *home)
        assert code == Exit.KEY
        assert f"{old_home.key_path}: the key of this home is missing" in err
        assert "back from a backup" in err
    assert not old_home.key_path.exists()
    code, out, _ = peer("doctor", *home)
    assert code == Exit.CHECK_FAILED
    assert "missing, and the federation knows this peer by it" in out


PLANTED = """
open("EXECUTED", "w").close()
class App:
    def initial(self): return [[0.0]]
    fit = evaluate = initial
"""


def start_with_planted_settings(peer: Peer, home: Home, folder: Path, mode: int) -> tuple[int, str, bool]:
    """Another user puts a store into a home that it can write; returns exit code, error, and whether its code ran."""
    home.folder.chmod(mode)
    with Store.open(home.folder) as store:
        store.keep("settings", Settings(name="x", app=f"evil_{mode}:App", listen=("127.0.0.1:0",)).encode())
    (folder / f"evil_{mode}.py").write_text(PLANTED)
    code, _, err = peer("start")
    ran = (folder / "EXECUTED").exists()
    (folder / "EXECUTED").unlink(missing_ok=True)
    return code, err, ran


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_code_that_a_home_names_is_not_run_where_others_could_have_named_it(
    peer: Peer, home: Home, tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, err, ran = start_with_planted_settings(peer, home, tmp_path, mode)
    assert (code, ran) == (Exit.HOME, False)
    assert f"chmod 700 {home.folder}" in err
    _, out, _ = peer("doctor", "--json")
    (found,) = [one for one in json.loads(out)["checks"] if one["check"] == "home"]
    assert not found["ok"]
    assert f"peer: error: {found['found']}; {found['advice']}\n" == err, "doctor says the same"
    for words in (("status",), ("stop",), ("ledger", "show"), ("refound", "--to", str(tmp_path / "new"))):
        assert peer(*words)[0] == Exit.HOME

    monkeypatch.setattr(Home, "check", lambda self: None)
    assert start_with_planted_settings(peer, home, tmp_path, mode)[2]


@pytest.mark.parametrize(
    ("version", "told"),
    [(0, "Go on with the Coterie that made it"), (PROTOCOL_VERSION + 1, "Upgrade Coterie")],
)
@pytest.mark.parametrize(
    "words", [("start",), ("status",), ("model", "export", "--out", "x"), ("refound", "--to", "y")]
)
def test_a_home_of_another_protocol_version_is_told_with_what_to_do(
    peer: Peer, old_home: Home, version: int, told: str, words: tuple[str, ...]
) -> None:
    with Store.open(old_home.folder) as store:
        fields = msgspec.msgpack.decode(store.fact("genesis") or b"")
        store.keep("genesis", msgspec.msgpack.encode([version, *fields[1:]]))
    code, _, err = peer(*words, "--home", str(old_home.folder))
    assert code == Exit.STORE
    assert f"{old_home.folder}: this home is of protocol version {version}" in err
    assert told in err


def test_doctor_says_what_is_private_and_what_has_to_be_accepted(peer: Peer, tmp_path: Path) -> None:
    for is_founder, allowed in ((True, False), (False, False), (False, True)):
        home = Home(tmp_path / f"{is_founder}-{allowed}")
        home.prepare()
        founder = home.identity(lambda sealed: None).public if is_founder else identity(0).public
        with Store.open(home.folder) as store:
            store.keep("genesis", make_genesis(scheme="plain", founder=founder).encode())
            store.keep("settings", Settings(name="x").with_given({"allow_plain": allowed}).encode())
        _, out, _ = peer("doctor", "--json", "--home", str(home.folder))
        (found,) = [one for one in json.loads(out)["checks"] if one["check"] == "privacy"]
        assert found["ok"] == (is_founder or allowed)
        assert ("--allow-plain" in found["advice"]) == (not found["ok"])


def test_a_newer_store_has_its_own_exit_code(peer: Peer, broken: Path) -> None:
    with sqlite3.connect(broken) as link:
        link.execute(f"PRAGMA user_version={VERSION + 1}")
    link.close()
    code, _, err = peer(*FOUND)
    assert code == Exit.STORE
    assert "upgrade Coterie" in err


@pytest.mark.parametrize("words", [FOUND, ("status",), ("refound", "--to", "new")])
def test_an_older_store_is_told_with_what_to_do(
    peer: Peer, broken: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "VERSION", VERSION + 1)
    code, _, err = peer(*words)
    assert code == Exit.STORE
    assert f"{broken.parent}: this home is of an older Coterie" in err
    assert "Go on with the Coterie that made it" in err


def test_a_damaged_store_has_its_own_exit_code(peer: Peer, broken: Path) -> None:
    broken.write_bytes(b"x" * 100_000)
    code, _, err = peer(*FOUND)
    assert code == Exit.STORE
    assert str(broken) in err


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that listens ends at once, as if somebody had typed Ctrl-C."""

    async def live(session: Session) -> None:
        session.ending.end(Exit.OK, "stopped")

    monkeypatch.setattr(Session, "_live", live)


def kept(home: Home) -> Settings:
    with Store.open(home.folder) as store:
        return read_settings(store.fact("settings"))


@pytest.mark.usefixtures("brief")
def test_options_are_kept_and_explicit_ones_replace_them(peer: Peer, home: Home) -> None:
    assert peer(*FOUND, "--name", "Ada", "--seed", "7", "--mdns")[0] == Exit.OK
    assert peer("start", "--seed", "9", "--no-mdns")[0] == Exit.OK
    settings = kept(home)
    data = str(Path("data.csv").absolute())
    assert (settings.name, settings.seed, settings.data, settings.target) == ("Ada", 9, data, "y")
    assert not settings.mdns


def test_a_start_in_another_folder_finds_the_same_table(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(Session, "run", lambda self: founded(self, seen))
    peer("start", "--data", "data.csv", "--target", "y")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "data.csv").write_text("a,b,y\n9,9,9\n8,8,8\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    peer("start")
    assert seen == [30, 30]


async def founded(session: Session, seen: list[int]) -> Exit:
    """Found or remember a federation, keep it, note how many rows are trained on, and end."""
    await session.way_in.remember()
    session.way_in.keep()
    assert session.way_in.learner is not None
    seen.append(session.way_in.learner.app.table.rows)
    return Exit.OK


def test_a_start_in_another_folder_finds_the_same_app(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_app_here.py").write_text(APP)
    monkeypatch.setattr(Session, "run", founded_only)
    assert peer("start", "--app", "my_app_here:App")[0] == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(tmp_path)])
    monkeypatch.delitem(sys.modules, "my_app_here")
    assert peer("start")[0] == 0


APP = """
class App:
    def initial(self): return [[0.0]]
    def fit(self, weights, round): return weights, 1, {}
    def evaluate(self, weights): return 0.0, 1, {}
"""


async def founded_only(session: Session) -> Exit:
    """Found or remember a federation, keep it, and end."""
    await session.way_in.remember()
    session.way_in.keep()
    return Exit.OK


def test_options_for_tables_are_refused_by_name_with_an_app(peer: Peer) -> None:
    words = ("--learning-rate", "0.1", "--steps", "3", "--batch", "8", "--columns", "a", "--hidden", "4", "--seed", "1")
    code, _, err = peer("start", "--app", "some:App", *words)
    assert code == Exit.USAGE
    told = "--columns, --hidden, --learning-rate, --steps, --batch, --seed: these are for tables and would do nothing"
    assert told in err
    code, _, err = peer(
        "start", "--app", "some:App", "--ignore", "id", "--levels", "sex=f,m", "--levels", "ward", "--gaps"
    )
    assert code == Exit.USAGE
    assert "--ignore, --levels, --gaps: these are for tables and would do nothing" in err
    code, _, err = peer("start", "--app", "some:App", "--class-weights", "yes=2")
    assert code == Exit.USAGE
    assert "--class-weights: this is for tables and would do nothing" in err


def test_a_founder_is_asked_about_a_target_that_looks_like_classes(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,y\n" + "1,0\n2,1\n" * 20)
    code, _, err = peer("start", "--data", "data.csv", "--target", "y")
    assert code == Exit.DATA
    assert "'y' holds the values 0 and 1 only; to predict a class, give --model logistic;" in err
    assert "to predict it as a number all the same, give --model linear" in err
    assert err.splitlines()[-1] == "  so type: peer start --data data.csv --target y --model logistic"


def test_a_founder_with_labels_and_no_model_is_told_what_to_type(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "our data.csv").write_text("a,y\n" + "1,died\n2,alive\n" * 20)
    code, _, err = peer("start", "--data", "our data.csv", "--target", "y", "--rounds", "3")
    assert code == Exit.DATA
    assert "to predict a class, use --model logistic" in err
    assert err.splitlines()[-1] == (
        "  so type: peer start --data 'our data.csv' --target y --rounds 3 --model logistic"
    )


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["died", *map(str, range(40))], ()),
        (["died", "alive"] * 20, ("--model", "linear")),
        (["died"] * 40, ()),
        ([f"death {number}" for number in range(400)], ()),
    ],
)
def test_nothing_is_told_to_type_that_would_be_refused_again(
    peer: Peer, tmp_path: Path, cells: list[str], words: tuple[str, ...]
) -> None:
    (tmp_path / "data.csv").write_text("a,y\n" + "".join(f"{row % 3},{cell}\n" for row, cell in enumerate(cells)))
    code, _, err = peer("start", "--data", "data.csv", "--target", "y", *words)
    assert code == Exit.DATA
    assert "to predict a class, use --model logistic" in err
    assert "so type" not in err


def test_a_founder_that_stops_keeps_the_model_it_has_by_then(
    peer: Peer, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = ModelSaved(digest_of(b"trained"), b"trained")

    async def live(session: Session) -> None:
        session.store.persist([trained])
        session.ending.end(Exit.OK, "stopped")

    monkeypatch.setattr(Session, "_live", live)
    assert peer(*FOUND)[0] == Exit.OK
    with Store.open(home.folder) as store:
        assert store.load().model == trained


@pytest.mark.usefixtures("brief")
def test_what_was_founded_cannot_be_changed_later(peer: Peer) -> None:
    assert peer(*FOUND, "--rounds", "3")[0] == Exit.OK
    code, _, err = peer("start", "--rounds", "4")
    assert code == Exit.USAGE
    assert "--rounds" in err


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(
    "mistake",
    [
        ("--hidden", "3"),
        ("--columns", "nocol"),
        ("--clip", "3"),
        ("--threshold", "1"),
        ("--min-peers", "2"),
        ("--roster", "none.txt"),
        ("--bootstrap", "nohost"),
        ("--invite", "coterie1-abc"),
        ("--announce", "nohost"),
        ("--dht", "nohost"),
        ("--dht", "/ip4/127.0.0.1/tcp/1"),
        ("--dht-listen", "nowhere"),
        ("--listen", "nowhere"),
        ("--listen", "192.0.2.1:4001"),
    ],
    ids="=".join,
)
def test_a_start_that_failed_leaves_nothing_behind_that_spoils_the_next(
    peer: Peer, home: Home, mistake: tuple[str, str]
) -> None:
    code, _, err = peer(*FOUND, "--rounds", "3", *mistake)
    assert code not in (Exit.OK, Exit.CRASH), err
    assert kept(home) == Settings()
    code, out, err = peer(*FOUND, "--rounds", "4")
    assert code == Exit.OK, err
    assert "founded the federation" in out


def test_a_joiner_is_told_which_options_are_only_the_founders(peer: Peer) -> None:
    code, _, err = peer(
        "start", "--bootstrap", "127.0.0.1:1", "--data", "data.csv", "--rounds", "7", "--evict-after", "9"
    )
    assert code == Exit.USAGE
    assert "--rounds, --evict-after: only a founder can choose this" in err
    code, _, err = peer("start", "--bootstrap", "127.0.0.1:1", "--data", "data.csv", "--levels", "sex", "--gaps")
    assert code == Exit.USAGE
    assert "--levels, --gaps: only a founder can choose this" in err
    code, _, err = peer("start", "--bootstrap", "127.0.0.1:1", "--data", "data.csv", "--class-weights", "yes=10")
    assert code == Exit.USAGE
    assert "--class-weights: only a founder can choose this" in err
    words = ("--learning-rate", "0.1", "--steps", "9", "--batch", "8")
    code, _, err = peer("start", "--bootstrap", "127.0.0.1:1", "--data", "data.csv", *words)
    assert code == Exit.USAGE
    assert "--learning-rate, --steps, --batch: only a founder can choose this" in err


def test_settings_survive_their_own_encoding() -> None:
    settings = Settings(name="x", listen=("a", "b"), hidden=(3, 4), clip=0.5, threshold=2, levels=("sex=f,m",), gaps="")
    settings = dataclasses.replace(settings, class_weights=("yes=10", "no=0.5"))
    assert read_settings(settings.encode()) == settings
    assert read_settings(None) == Settings()


def test_doctor_says_what_to_do_about_each_problem(peer: Peer, home: Home) -> None:
    home.identity(lambda sealed: None)
    home.key_path.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, _ = peer("doctor", "--listen", f"127.0.0.1:{port}", "--bootstrap", f"127.0.0.1:{port}", "--json")
    report = json.loads(out)
    checks = {one["check"]: one for one in report["checks"]}
    assert code == Exit.CHECK_FAILED
    assert not report["healthy"]
    assert "chmod 600" in checks["key"]["advice"]
    assert not checks["port"]["ok"]
    assert not checks["reachability"]["ok"], "a port at which nobody speaks is no peer"
    assert {"versions", "store", "home", "key", "disk", "fsync", "clock", "port", "reachability"} <= set(checks)


@pytest.mark.parametrize(
    ("option", "address", "told"),
    [
        ("--listen", "nowhere", "--listen nowhere: write a port, HOST:PORT"),
        ("--listen", "/foo", "cannot listen on /foo: the form is"),
        ("--listen", "/ip4/0.0.0.0/tcp/abc", "cannot listen on /ip4/0.0.0.0/tcp/abc"),
        ("--listen", "/ip4/0.0.0.0/udp/1", "cannot listen on /ip4/0.0.0.0/udp/1"),
        ("--bootstrap", "foo", "--bootstrap foo: write HOST:PORT"),
        ("--bootstrap", "/ip4/1.2.3.4/tcp/abc", "--bootstrap '/ip4/1.2.3.4/tcp/abc': the port"),
    ],
)
def test_doctor_finds_an_address_that_is_none(peer: Peer, option: str, address: str, told: str) -> None:
    code, out, _ = peer("doctor", option, address)
    assert code == Exit.CHECK_FAILED
    assert f"BAD  {'port' if option == '--listen' else 'reachability':<14} {told}" in out


@pytest.mark.parametrize("option", ["--listen", "--dht-listen", "--announce", "--bootstrap"])
def test_a_wrong_address_is_told_with_the_option_that_it_was_given_with(peer: Peer, option: str) -> None:
    for address in ("nowhere", "/ip4/1.2.3.4/udp/1"):
        _, _, err = peer(*FOUND[:-2], "--dht", option, address)
        assert err.startswith(f"peer: error: {option}"), err
        assert address in err


def test_doctor_is_content_with_a_fresh_machine(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "coterie.peer.cli.commands.diagnosis._fsync_seconds", lambda folder: 0.001
    )  # not what is tested here
    code, out, _ = peer("doctor")
    assert code == Exit.OK, out
    assert "BAD" not in out


def test_a_crash_report_names_the_place_and_no_secret(home: Home) -> None:
    secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"
    try:
        raise LookupError(f"seed {secret} and {bytes(range(40, 80))!r}")
    except LookupError as error:
        line = process._report_crash(home, error)
    (report,) = home.folder.glob("crash-*.txt")
    text = report.read_text()
    assert str(report) in line
    assert "test_main.py" in text
    assert "LookupError: seed … and …" in text
    assert secret not in text


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_crash_says_that_a_bare_start_goes_on_only_where_its_options_were_kept(
    peer: Peer, home: Home, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    async def fail(session: Session) -> Exit:
        raise LookupError("a bug")

    monkeypatch.setattr(Session, "run", fail)
    if is_kept:
        home.identity(lambda sealed: None)
        with Store.open(home.folder) as store:
            store.keep("genesis", make_genesis().encode())
    code, _, err = peer(*(("start",) if is_kept else FOUND))
    assert code == Exit.CRASH
    assert (f"`peer start --home {home.folder}` goes on" in err) == is_kept
    assert ("nothing of this start is kept: give all its options again" in err) != is_kept


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90_000), ("30m", 1_800_000), ("24h", 86_400_000), ("7d", 604_800_000)]
)
def test_durations_are_read(text: str, expected: int) -> None:
    assert parse_duration_ms(text) == expected


@pytest.mark.parametrize("text", ["0s", "000d"])
def test_no_time_at_all_is_told_for_what_it_is(text: str) -> None:
    with pytest.raises(ValueError, match=f"{text}' is no duration in which anybody could join; 1s is the shortest"):
        parse_duration_ms(text)


@pytest.mark.parametrize("text", ["", "24", "0h", "-1h", "1w", "1h30m", "９h" * 9])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration_ms(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4001", "/ip4/0.0.0.0/tcp/4001"),
        ("127.0.0.1:0", "/ip4/127.0.0.1/tcp/0"),
        (":4001", "/ip4/0.0.0.0/tcp/4001"),
        ("[::]:4001", "/ip6/::/tcp/4001"),
        ("/ip4/1.2.3.4/tcp/5", "/ip4/1.2.3.4/tcp/5"),
    ],
)
def test_listen_places_are_read(text: str, expected: str) -> None:
    assert listen_place(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1:4001", "/ip4/192.0.2.1/tcp/4001"),
        ("peer.example.org:4001", "/dns/peer.example.org/tcp/4001"),
        ("[2001:db8::1]:4001", "/ip6/2001:db8::1/tcp/4001"),
    ],
)
def test_dial_places_are_read(text: str, expected: str) -> None:
    assert dial_place(text) == expected
