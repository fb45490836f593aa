"""The log file of a peer: all that it tells, a line each, private, rotated by others, and no reason to stop."""

import json
import logging
import os
import re
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coterie.peer.errors import Exit, PeerError
from coterie.peer.home.folder import Home
from coterie.peer.reporting.reporters import QUIET
from coterie.peer.runtime.log_file import Logged, log_start, logging_to
from coterie.peer.system.stop_signals import StoppedEarly

Run = Callable[..., tuple[int, str, str]]

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} (debug|info|warning|error) +(.+) \(([\w.-]+)\)")
HOSTILE = "Anna\n2026-01-01 00:00:00 +0000 info    forged (joined)\r\x1b[2J\u2028\u202e\x85"


@contextmanager
def logged(path: Path, as_json: bool = False, level: str | None = None) -> Iterator[Callable[..., None]]:
    """Log to a file, and give what tells an event."""
    inner: Any = SimpleNamespace(event=lambda *told: None, wants_status=False)
    with logging_to(level, str(path), as_json):
        yield Logged(inner).event


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


@pytest.fixture
def log() -> logging.Logger:
    return logging.getLogger("coterie.network")


def test_an_event_and_a_record_are_a_line_each(tmp_path: Path, log: logging.Logger) -> None:
    with logged(tmp_path / "log") as event:
        event("joined", "Anna joins", {})
        event("void", "round 3: no result", {})
        log.warning("the link to %s is slow", "Anna")
        log.info("beneath the level")
    found = [LINE.fullmatch(line) for line in lines(tmp_path / "log")]
    assert [match and match.groups() for match in found] == [
        ("info", "Anna joins", "joined"),
        ("warning", "round 3: no result", "void"),
        ("warning", "the link to Anna is slow", "coterie.network"),
    ]


def test_a_line_of_json_has_time_level_source_event_text_and_fields(tmp_path: Path, log: logging.Logger) -> None:
    with logged(tmp_path / "log", as_json=True) as event:
        event("link-up", "linked", {"member": b"\1" * 32, "name": "Anna", "time": "its own", "level": 3})
        log.warning("slow")
    told, record = map(json.loads, lines(tmp_path / "log"))
    assert list(told) == ["time", "level", "source", "event", "text", "fields"]
    assert (told["level"], told["source"], told["event"]) == ("info", "coterie.events", "link-up")
    assert told["fields"]["member"].startswith("12D3KooW")
    assert (told["fields"]["time"], told["fields"]["level"]) == ("its own", 3), "no fact takes a key's place"
    assert isinstance(told["time"], float)
    assert (record["source"], record["event"], record["text"], record["fields"]) == (
        "coterie.network",
        None,
        "slow",
        {},
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_no_name_breaks_a_line_or_forges_one(tmp_path: Path, log: logging.Logger, as_json: bool) -> None:
    with logged(tmp_path / "log", as_json) as event:
        event("joined", f"{HOSTILE}\udcff joins", {"name": f"{HOSTILE}\udcff"})
        log.warning("the link to %s is slow", HOSTILE)
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert len(text.splitlines()) == text.count("\n") == 2
    assert all(letter.isprintable() for letter in text.replace("\n", ""))
    if as_json:
        assert [json.loads(line)["text"] for line in text.splitlines()][1] == f"the link to {HOSTILE} is slow"
    else:
        assert all(LINE.fullmatch(line) for line in text.splitlines())


def test_a_traceback_is_indented_below_its_line(tmp_path: Path, log: logging.Logger) -> None:
    for name, as_json in (("plain", False), ("json", True)):
        with logged(tmp_path / name, as_json):
            try:
                raise ValueError("bad\n2026-01-01 00:00:00 +0000 info    forged (joined)")
            except ValueError:
                log.warning("it failed", exc_info=True)
    head, *rest = lines(tmp_path / "plain")
    assert LINE.fullmatch(head)
    assert [line for line in rest if not line.startswith("    ")] == []
    assert any("forged" in line for line in rest)
    (line,) = lines(tmp_path / "json")
    assert "ValueError: bad" in json.loads(line)["fields"]["traceback"]


def test_what_goes_on_in_each_round_needs_debug(tmp_path: Path) -> None:
    kind = sorted(QUIET)[0]
    for level, count in ((None, 0), ("info", 0), ("debug", 1)):
        with logged(tmp_path / str(level), level=level) as event:
            event(kind, "dealt", {})
            event("joined", "Anna joins", {})
        assert len(lines(tmp_path / str(level))) == 1 + count


@pytest.mark.parametrize("as_json", [False, True])
def test_no_invite_gets_into_the_file(tmp_path: Path, as_json: bool) -> None:
    token = "coterie1-AbC_-9xyz"
    with logged(tmp_path / "log", as_json) as event:
        event("founded", f"join with: peer start --invite {token} --data", {"invite": token, "command": f"x {token}"})
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert "AbC_" not in text
    assert "--invite coterie1-… --data" in text


def test_a_new_file_is_its_user_s_alone_and_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("from before\n")
    (tmp_path / "old").chmod(0o640)
    before = os.umask(0)
    try:
        for name in ("new", "old"):
            with logged(tmp_path / name) as event:
                event("joined", "Anna joins", {})
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "old")] == [0o600, 0o640]
    assert lines(tmp_path / "old")[0] == "from before"
    assert len(lines(tmp_path / "old")) == 2


@pytest.mark.parametrize("way", ["moved away", "removed", "emptied", "replaced"])
def test_a_file_that_another_program_rotates_is_opened_anew(tmp_path: Path, way: str) -> None:
    path = tmp_path / "log"
    with logged(path) as event:
        event("joined", "one", {})
        match way:
            case "moved away":
                path.rename(tmp_path / "log.1")
            case "removed":
                path.unlink()
            case "emptied":
                os.truncate(path, 0)
            case "replaced":
                path.rename(tmp_path / "log.1")
                path.touch(0o600)
        event("joined", "two", {})
    assert ["two" in line for line in lines(path)] == [True]
    if (tmp_path / "log.1").exists():
        assert ["one" in line for line in lines(tmp_path / "log.1")] == [True]


def test_a_file_that_cannot_be_written_is_told_once_and_the_log_goes_on_when_it_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "folder" / "log"
    with logged(path) as event:
        event("joined", "one", {})
        event("joined", "two", {})
        path.parent.mkdir()
        event("joined", "three", {})
        path.unlink()
        path.parent.rmdir()
        event("joined", "four", {})
    assert capsys.readouterr().err == (
        f"peer: note: --log-file {path}: No such file or directory; the peer goes on without it\n"
    )
    assert not path.parent.exists()


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, (soft, hard) = tmp_path / "log", resource.getrlimit(resource.RLIMIT_FSIZE)
    with logged(path) as event:
        event("joined", "before " + "x" * 1000, {})
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, hard))  # there is room for a part
        try:
            for number in range(20):
                event("joined", f"full {number} " + "x" * 1000, {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        event("joined", "after", {})
    assert capsys.readouterr().err.count("peer: note: ") == 1
    first, cut, last = lines(path)
    assert "before" in first
    assert "full 0" in cut
    assert LINE.fullmatch(last), "it begins a line of its own"
    assert "after" in last


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_device_that_takes_nothing_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with logged(Path("/dev/full")) as event:
        for _ in range(3):
            event("joined", "Anna joins", {})
    told = "peer: note: --log-file /dev/full: No space left on device; the peer goes on without it\n"
    assert capsys.readouterr().err == told


def test_a_pipe_that_nobody_reads_holds_nothing_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    is_over = threading.Event()

    def tell() -> None:
        with logged(tmp_path / "pipe") as event:
            event("joined", "Anna joins", {})
        is_over.set()

    threading.Thread(target=tell, daemon=True).start()
    assert is_over.wait(60), "it waits for a reader"
    assert "pipe: No such device or address; the peer goes on without it" in capsys.readouterr().err


def test_a_line_that_was_cut_off_before_is_ended_first(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("cut o")
    with logged(tmp_path / "log") as event:
        event("joined", "Anna joins", {})
    assert lines(tmp_path / "log")[0] == "cut o"
    assert LINE.fullmatch(lines(tmp_path / "log")[1])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PeerError("the port is taken", Exit.PORT), ("error", "error", "the port is taken", {"exit": 7})),
        (StoppedEarly(), ("info", "stopped", "stopped before it had begun", {"exit": 0})),
        (KeyboardInterrupt(), ("error", "error", "ended by KeyboardInterrupt", {})),
    ],
)
def test_the_last_line_says_why_the_run_ended(tmp_path: Path, error: BaseException, expected: tuple[Any, ...]) -> None:
    def run() -> None:
        with logged(tmp_path / "log", as_json=True):
            log_start(Home(tmp_path))
            raise error

    with pytest.raises(type(error)):
        run()
    first, last = map(json.loads, lines(tmp_path / "log"))
    assert (first["event"], first["fields"]["home"]) == ("starting", str(tmp_path))
    assert tuple(last[key] for key in ("level", "event", "text", "fields")) == expected


def test_nothing_is_logged_after_a_run(tmp_path: Path, log: logging.Logger) -> None:
    with logged(tmp_path / "log") as event:
        event("joined", "Anna joins", {})
    event("joined", "Bob joins", {})
    log.error("too late")
    assert len(lines(tmp_path / "log")) == 1


def test_a_start_that_fails_says_so_in_the_file_too_which_may_lie_in_a_new_home(tmp_path: Path, peer: Run) -> None:
    words = ("start", "--data", "missing.csv", "--target", "y", "--log-file", "home/peer.log", "--log-json")
    code, _, err = peer(*words)
    told = [json.loads(line) for line in lines(tmp_path / "home" / "peer.log")]
    assert code == Exit.DATA
    assert [one["event"] for one in told] == ["starting", "error"]
    assert told[-1]["fields"] == {"exit": Exit.DATA}
    assert err == f"peer: error: {told[-1]['text']}\n"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("", "the name of the file or folder is empty"),
        (".", "this is a folder; name a file in it, such as peer.log"),
        ("new/", "this is a folder; name a file in it, such as new/peer.log"),
        ("home/peer.sqlite", "this is a file of the peer's own"),
        ("link/identity.key", "this is a file of the peer's own"),
        ("./data.csv", "this is the file of --data"),
    ],
)
def test_a_log_does_not_go_into_a_folder_or_a_file_of_something_else(
    tmp_path: Path, peer: Run, file: str, said: str
) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("home")
    (tmp_path / "data.csv").write_text("a,y\n1,2\n")
    code, _, err = peer("start", "--data", "data.csv", "--target", "y", "--log-file", file)
    assert (code, err.count("\n")) == (Exit.USAGE, 1)
    assert said in err
    assert (tmp_path / "data.csv").read_text() == "a,y\n1,2\n"
    assert [*(tmp_path / "home").iterdir()] == []
