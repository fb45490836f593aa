"""A crash in native code leaves a report in the home, and the next start names it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from coterie.peer.system.crash_report import NAME, watched

CRASHING = """
import ctypes

def lookup():
    ctypes.string_at(0)

lookup()
"""
ENDING = """
import os
from pathlib import Path

from coterie.peer.system.stop_signals import StoppedEarly
from coterie.peer.system.crash_report import watched

def interrupted(*arguments):
    opened = os_open(*arguments)
    raise StoppedEarly

for error in (None, ValueError, StoppedEarly, KeyboardInterrupt, SystemExit):
    try:
        with watched(Path()):
            assert os.listdir() == ["native-crash"]
            if error is not None:
                raise error
    except BaseException as raised:
        assert type(raised) is error
    assert os.listdir() == [], error
os_open, os.open = os.open, interrupted
try:
    with watched(Path()):
        pass
except StoppedEarly:
    print(os.listdir())
"""
"""Ends in all ways in which a program ends by itself; last, by a signal in the very moment that makes the file."""

_PEER = (sys.executable, "-m", "coterie.peer", "start", "--home", "home", "--json")


def start(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `peer start` to its end, without a fault handler of the user's own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONFAULTHANDLER"}
    return subprocess.run((*_PEER, *words), cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_a_crash_in_native_code_says_where_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "crashing.py").write_text(CRASHING)
    assert start(tmp_path, "--app", "crashing:App").returncode == -signal.SIGSEGV
    (tmp_path / "harmless.py").write_text("")
    done = start(tmp_path, "--app", "harmless:App")
    (event,) = map(json.loads, done.stdout.splitlines())
    report = Path(event["report"])
    assert event["event"] == "crashed"
    assert str(report) in event["text"]
    assert report.parent == tmp_path / "home"
    assert report.stat().st_mode & 0o777 == 0o600
    assert "Segmentation fault" in report.read_text()
    assert 'crashing.py", line 5 in lookup' in report.read_text()
    assert not (tmp_path / "home" / NAME).exists()
    assert start(tmp_path, "--app", "harmless:App").stdout == "", "it is told once"


def test_what_a_killed_peer_left_is_no_crash_and_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    with watched(tmp_path) as earlier:
        assert earlier is None
    other = tmp_path / "other"
    other.write_text("of somebody else")
    (tmp_path / NAME).symlink_to(other)
    with watched(tmp_path) as earlier:
        assert earlier is None
    assert other.read_text() == "of somebody else"
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_no_empty_file_is_left_however_a_run_ends(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONFAULTHANDLER"}
    words = (sys.executable, "-c", ENDING)
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert (done.stdout, done.stderr) == ("[]\n", "")
