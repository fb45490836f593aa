"""Standard streams that are closed, full or gone: a peer goes on, and another command says why it ends."""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from coterie.peer.cli.commands import status
from coterie.peer.errors import Exit
from coterie.peer.system.standard_streams import steady_streams

FULL = Path("/dev/full")
_PEER = f"{sys.executable} -m coterie.peer"

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


def run(command: str, streams: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command of `peer` in a shell with these redirections."""
    return subprocess.run(
        ["bash", "-c", f"{_PEER} {command} {streams}"],
        capture_output=True,
        text=True,
        cwd=home,
        env={**os.environ, "COTERIE_HOME": str(home / "home")},
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.mark.parametrize("command", ["--version", "--help", "doctor", "doctor --json", "simulate --help"])
def test_a_command_that_cannot_print_says_why(command: str, tmp_path: Path) -> None:
    done = run(command, "> /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (
        Exit.STORE,
        "peer: error: standard output: No space left on device\n",
    )


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2> /dev/full", "> /dev/full 2>&1"])
def test_an_exit_code_tells_the_same_whatever_became_of_the_streams(streams: str, tmp_path: Path) -> None:
    assert run("stop", streams, tmp_path).returncode == Exit.NOT_RUNNING


@pytest.mark.parametrize(
    ("command", "code"), [("id", Exit.OK), ("--help", Exit.OK), ("data check bad.csv --target y", Exit.DATA)]
)
def test_a_reader_that_has_seen_enough_changes_no_exit_code(command: str, code: Exit, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,y\n1,x\n")
    reader, writer = os.pipe()
    os.close(reader)  # before the first line is written
    done = subprocess.run(
        [*_PEER.split(), *command.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COTERIE_HOME": str(tmp_path / "home")},
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("command", ["id", "--version", "data check good.csv --target y"])
def test_a_command_whose_output_is_closed_says_so(command: str, tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("a,y\n" + "1,2\n2,4\n3,6\n" * 4)
    done = run(command, ">&-", tmp_path)
    assert (done.returncode, done.stderr) == (Exit.STORE, "peer: error: standard output: it is closed\n")


def test_what_prints_for_ever_ends_with_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    shown: list[object] = []

    def show(*_: object) -> None:
        shown.append(None)
        print("a status")

    monkeypatch.setattr(status, "_status", lambda given: {})
    monkeypatch.setattr(status, "_show", show)
    with open(writer, "w") as stream, contextlib.suppress(BrokenPipeError):
        monkeypatch.setattr(sys, "stdout", stream)
        with steady_streams():
            status._watch_in_lines(argparse.Namespace(json=False))
        monkeypatch.undo()
    assert len(shown) == 1


LOGS = """
import sys
from coterie.peer.system.own_stdout import own_stdout
from coterie.peer.reporting.reporters import reporter
from coterie.peer.system.standard_streams import steady_streams
with steady_streams(), own_stdout() as out:
    report = reporter(sys.argv[1] == "json", out)
    for number in range(3):
        report.event("joined", "from the peer", {})
        print("from an app")
        sys.stdout.buffer.write(b"bytes from an app\\n")
    report.close()
open(sys.argv[2], "w").write("went on")
"""


@pytest.mark.parametrize("form", ["json", "plain"])
@pytest.mark.parametrize(
    ("streams", "told"),
    [
        ("> /dev/full", "peer: note: standard output: No space left on device; the peer goes on without it\n"),
        ("> /dev/full 2> /dev/full", ""),
        ("1>&-", ""),
        ("1>&- 2>&-", ""),
        ("1< /dev/null", "peer: note: standard output: Bad file descriptor; the peer goes on without it\n"),
    ],
)
def test_a_peer_goes_on_without_its_log(form: str, streams: str, told: str, tmp_path: Path) -> None:
    script, mark = tmp_path / "logs.py", tmp_path / "mark"
    script.write_text(LOGS)
    words: Sequence[str] = ("bash", "-c", f"{sys.executable} {script} {form} {mark} {streams}")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert mark.read_text() == "went on"
    assert done.returncode == 0
    assert done.stderr.count("peer: note: ") == bool(told)
    assert told in done.stderr


def test_a_store_does_not_become_standard_error(tmp_path: Path) -> None:
    script = tmp_path / "closed.py"
    script.write_text(
        "import os, sys\nfrom coterie.peer.system.standard_streams import steady_streams\n"
        "with steady_streams():\n"
        "    number = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)\n"
        "    os.write(2, b'from C')\n    sys.exit(number)\n"
    )
    store = tmp_path / "store"
    done = subprocess.run(["bash", "-c", f"{sys.executable} {script} {store} <&- >&- 2>&-"], check=False)
    assert done.returncode > 2
    assert store.read_bytes() == b""
