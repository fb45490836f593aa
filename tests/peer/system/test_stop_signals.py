"""Ctrl-C and SIGTERM stop a peer with exit code 0 at any moment, and a second one at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coterie.peer.errors import Exit
from coterie.peer.home.store import Reader
from coterie.peer.runtime import process
from coterie.peer.system.stop_signals import StoppedEarly, heeding, stop_signals

Peer = Callable[..., tuple[int, str, str]]

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
FOUND = ("start", "--data", "data.csv", "--target", "y", "--listen", "127.0.0.1:0")


@pytest.fixture(autouse=True)
def at_a_terminal() -> Iterator[None]:
    """These tests may themselves run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def peer(peer: Peer, tmp_path: Path) -> Peer:
    """`peer`, beside a table."""
    (tmp_path / "data.csv").write_text("a,y\n" + "".join(f"{row % 7},{row * 0.7}\n" for row in range(30)))
    return peer


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_before_a_peer_runs_stops_it(peer: Peer, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(process, "log_start", lambda home: send(number))
    before = [signal.getsignal(one) for one in STOPPING]
    assert peer(*FOUND) == (Exit.OK, "", "peer: stopped before it had begun\n")
    assert [signal.getsignal(one) for one in STOPPING] == before


BEGINNING = """
import os, signal, sys
from coterie.peer.cli.main import main
from coterie.peer.runtime.session import Session

begin = Session.run

async def run(session):
    os.kill(os.getpid(), signal.SIGTERM)
    return await begin(session)

Session.run = run
sys.exit(main(sys.argv[1:]))
"""


def test_a_signal_as_the_run_begins_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import threading\nthreading.Event().wait()\n")
    words = (sys.executable, "-c", BEGINNING, "start", "--home", "home", "--app", "slow:App")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == Exit.OK, done.stderr
    assert done.stdout.endswith("stopped before it had begun; of this start, nothing is kept\n")
    with Reader.open(tmp_path / "home") as reader:
        assert reader.fact("settings") is None


SLOW = """
import os, signal, threading
os.kill(os.getpid(), signal.SIGTERM)
threading.Event().wait()
"""


def test_a_signal_while_an_app_is_loaded_does_not_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    words = (sys.executable, "-m", "coterie.peer", "start", "--home", "home", "--app", "slow:App")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == Exit.OK, done.stderr


def test_the_second_signal_ends_what_the_end_of_a_run_waits_for() -> None:
    with heeding() as asked:
        with asked.running():
            send(signal.SIGTERM)
            send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)
    with heeding() as asked:
        with asked.running():
            pass
        send(signal.SIGTERM)  # the first one: it ends anyway
    with heeding(), pytest.raises(StoppedEarly):
        send(signal.SIGINT)


def test_the_end_of_the_terminal_is_nothing_under_nohup() -> None:
    assert stop_signals() == tuple(STOPPING)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with heeding():
            assert stop_signals() == (signal.SIGINT, signal.SIGTERM)
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
