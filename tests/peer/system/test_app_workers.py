"""Workers that an app forks: they end when told, and hold neither the home nor the ports of a peer that is gone."""

import os
import signal
import socket
import sys
import threading
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from coterie.peer.home.folder import Home, HomeError
from coterie.peer.system.app_workers import end_workers

PEER = """
import os, signal, socket, sys, trio
from pathlib import Path
from coterie.peer.system.app_workers import free_workers, own_places
from coterie.peer.home.folder import Home

def work():
    sys.stdout.write(f"{os.getpid()}\\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)

async def run(home):
    listening = socket.create_server(("127.0.0.1", 0))
    own_places([listening.getsockname()[1]], home.socket_path)
    mine = socket.create_connection(listening.getsockname())
    accepted, _ = listening.accept()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT):
        print(listening.getsockname()[1], flush=True)
        if os.fork() == 0:
            work()
        await trio.sleep_forever()

if sys.argv[2] == "free":
    free_workers()
home = Home(Path(sys.argv[1]))
home.prepare()
with home.locked():
    trio.run(run, home)
"""


class Running:
    """A peer's process that has forked a worker."""

    def __init__(self, home: Path, free: str = "free") -> None:
        self.process = Popen([sys.executable, "-c", PEER, str(home), free], stdin=PIPE, stdout=PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.worker = int(self.process.stdout.readline())

    def end(self) -> None:
        """End both, and wait for both: the worker has the pipe until it ends."""
        self.process.kill()
        os.kill(self.worker, signal.SIGKILL)
        assert self.process.stdout is not None
        self.process.stdout.read()
        self.process.communicate()


def test_a_home_can_be_used_again_while_a_worker_of_a_killed_peer_lives(tmp_path: Path) -> None:
    running = Running(tmp_path / "home")
    try:
        running.process.kill()
        running.process.wait()
        os.kill(running.worker, 0)
        with Home(tmp_path / "home").locked():
            pass
        socket.create_server(("127.0.0.1", running.port)).close()
    finally:
        running.end()


def test_a_worker_ends_when_it_is_told_to(tmp_path: Path) -> None:
    running = Running(tmp_path / "home")
    try:
        running.process.kill()
        os.kill(running.worker, signal.SIGTERM)
        assert running.process.stdout is not None
        assert running.process.stdout.read() == "", "the pipe's last writer is gone"
    finally:
        running.process.communicate()


def test_without_that_a_worker_keeps_home_and_port_and_is_named(tmp_path: Path) -> None:
    running = Running(tmp_path / "home", "keep")
    try:
        running.process.kill()
        running.process.wait()
        told = f"the peer that ran in this home .pid {running.process.pid}. left processes behind"
        with pytest.raises(HomeError, match=f"{told}; end them: kill -9 {running.worker},"):
            Home(tmp_path / "home").locked().__enter__()
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", running.port)).close()
    finally:
        running.end()


def test_a_thread_that_never_ends_is_told_and_processes_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    class Worker:
        def __init__(self, is_stubborn: bool) -> None:
            self.is_stubborn = is_stubborn

        def terminate(self) -> None:
            ended.append("terminated")

        def join(self, seconds: float) -> None:
            pass

        def is_alive(self) -> bool:
            return self.is_stubborn

        def kill(self) -> None:
            ended.append("killed")

    monkeypatch.setattr("coterie.peer.system.app_workers.active_children", lambda: [Worker(False), Worker(True)])
    monkeypatch.setattr("coterie.peer.system.app_workers._END_SECONDS", 0.0)
    assert end_workers()
    release = threading.Event()
    stuck = threading.Thread(target=release.wait)
    stuck.start()
    try:
        assert not end_workers()
    finally:
        release.set()
        stuck.join()
    assert ended == ["terminated", "terminated", "killed"] * 2
