"""Real peers in real processes, on ports of their own, watched through their JSON events.

Nothing here sleeps: a test waits for an event, and a process that ends instead makes the wait fail at once
with what it printed. All peers of a :class:`Federation` die with it.
"""

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

Event = dict[str, Any]

WAIT_SECONDS = 90.0
"""Longest wait for one event: no measure of speed, only the end of a test that hangs."""

QUICK = ("--heartbeat", "0.5", "--dead-after", "3", "--view-timeout", "1", "--share-deadline", "15")
"""Options of a founder that keep tests short."""

_COMMAND = (sys.executable, "-m", "coterie.peer")


class Peer:
    """One process of `peer start --json`, and all that it said."""

    def __init__(
        self,
        home: Path,
        *options: str,
        environment: dict[str, str] | None = None,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self.home = home
        self.options = options
        self.events: list[Event] = []
        self._environment = {**os.environ, **(environment or {})}
        self._changed = threading.Condition()
        self._ended = False
        self._errors_path = home.with_name(f"{home.name}.stderr")
        self._start(command, options)

    def _start(self, command: Sequence[str], options: Sequence[str]) -> None:
        self._ended = False
        with self._errors_path.open("ab") as errors:
            self.process = subprocess.Popen(
                (*command, "start", "--home", str(self.home), "--json", *options),
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=self._environment,
            )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        process.wait()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    # Waiting.

    def wait(self, kind: str, matches: Callable[[Event], bool] = lambda event: True, *, after: int = 0) -> Event:
        """The first event of this kind that matches, from the ``after``-th on; waits for it.

        Raises:
            AssertionError: the process ended, or too much time passed.
        """
        position = after
        with self._changed:
            while True:
                while position < len(self.events):
                    event = self.events[position]
                    position += 1
                    if event["event"] == kind and matches(event):
                        return event
                if self._ended:
                    raise AssertionError(f"{self.home.name} ended before {kind!r}\n{self.story()}")
                if not self._changed.wait(WAIT_SECONDS):
                    raise AssertionError(f"{self.home.name}: no {kind!r}\n{self.story()}")

    def mark(self) -> int:
        """A place in the events, for ``after``."""
        with self._changed:
            return len(self.events)

    def has_ended(self) -> bool:
        """Whether the process is gone, and everything it said was read."""
        with self._changed:
            return self._ended

    def model(self, round: int) -> Event:
        """Wait until this round's model is agreed."""
        return self.wait("model", lambda event: event["round"] >= round)

    def exit_code(self) -> int:
        """Wait for the end of the process; return its exit code."""
        code = self.process.wait(WAIT_SECONDS)
        self._reader.join(WAIT_SECONDS)
        return code

    # What can happen to a process.

    def kill(self) -> None:
        """SIGKILL: no goodbye, no clean-up."""
        self.process.kill()
        self.exit_code()

    def freeze(self) -> None:
        """SIGSTOP: it is there, and does nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGINT, as Ctrl-C sends it; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.exit_code()

    def restart(self, *options: str) -> int:
        """Start again from the same home; returns the place in the events where it begins."""
        assert self.process.poll() is not None
        place = self.mark()
        self._start(_COMMAND, options)
        return place

    def destroy(self) -> None:
        """End the process whatever its state."""
        if self.process.poll() is None:
            self.thaw()
            self.process.kill()
        self.process.wait()
        self._reader.join(WAIT_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()

    # What people type.

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run another command on this home."""
        return peer(*words, "--home", str(self.home))

    def ask(self, *words: str) -> Any:
        """Run another command with --json; return what it printed.

        Raises:
            AssertionError: it failed.
        """
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def errors(self) -> str:
        """What the process wrote to stderr."""
        return self._errors_path.read_text()

    @property
    def id(self) -> str:
        """The PeerId."""
        return str(self.wait("listening")["id"])

    def story(self) -> str:
        """The events and errors, for the message of a failed test."""
        told = "\n".join(f"  {event['event']}: {event['text']}" for event in self.events[-40:])
        return f"events of {self.home.name}:\n{told}\nstderr:\n{self.errors}"


class Federation:
    """A founder and those who join it, each with its own shard of a small regression."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command: Sequence[str] = _COMMAND
        """What the next peers are started with."""
        self.peers: list[Peer] = []

    def found(self, *options: str, rows: int = 120, environment: dict[str, str] | None = None) -> Peer:
        """Start the founder; returns once it listens and has printed its invite."""
        data = shard(self.folder / "data-0.csv", 0, rows)
        given = ("--data", str(data), "--target", "y", "--listen", "127.0.0.1:0", "--name", "peer-0", *QUICK)
        founder = Peer(self.folder / "peer-0", *given, *options, environment=environment, command=self.command)
        self.peers.append(founder)
        founder.wait("founded")
        return founder

    def join(self, *options: str, rows: int = 120, environment: dict[str, str] | None = None) -> Peer:
        """Start one more peer with the founder's invite; does not wait."""
        number = len(self.peers)
        data = shard(self.folder / f"data-{number}.csv", number, rows)
        given = ["--data", str(data), "--listen", "127.0.0.1:0", "--name", f"peer-{number}", *QUICK[:4]]
        if not {"--invite", "--bootstrap"} & set(options):
            given += self.way_in()
        home = self.folder / f"peer-{number}"
        joiner = Peer(home, *given, *options, environment=environment, command=self.command)
        self.peers.append(joiner)
        return joiner

    def way_in(self) -> list[str]:
        """The options with which a newcomer joins."""
        founded = self.peers[0].wait("founded")
        if founded["invite"]:
            return ["--invite", founded["invite"]]
        return ["--bootstrap", self.peers[0].wait("listening")["addresses"][0]]

    def grow(self, count: int, *options: str) -> list[Peer]:
        """Join until there are ``count`` peers; returns all of them once all are members everywhere."""
        while len(self.peers) < count:
            self.join(*options)
        for one in self.peers:
            for other in self.peers:
                if other is not one and other is not self.peers[0]:
                    one.wait("joined", lambda event, other=other: event["name"] == other.home.name)
        return self.peers

    def first_to_end(self) -> Peer:
        """Wait until one of the processes ends by itself; return it."""
        ended: queue.Queue[Peer] = queue.Queue()
        for one in self.peers:
            threading.Thread(target=lambda one=one: (one.process.wait(), ended.put(one)), daemon=True).start()
        first = ended.get(timeout=WAIT_SECONDS)
        first.exit_code()
        return first

    def close(self) -> None:
        """End all processes."""
        for one in self.peers:
            one.destroy()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def dying(moment: str, round: int) -> Sequence[str]:
    """A command whose peer kills itself when it is the aggregator at this moment of this round (`dying.py`)."""
    return (sys.executable, str(Path(__file__).with_name("dying.py")), moment, str(round))


def peer(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that ends by itself."""
    return subprocess.run((*_COMMAND, *words), capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)


def shard(path: Path, seed: int, rows: int) -> Path:
    """Write a table of ``y = 2a - b + 1`` with some noise."""
    source = random.Random(seed)
    lines = ["a,b,y"]
    for _ in range(rows):
        a, b = source.gauss(0, 1), source.gauss(3, 2)
        lines.append(f"{a:.6f},{b:.6f},{2 * a - b + 1 + source.gauss(0, 0.1):.6f}")
    path.write_text("\n".join(lines) + "\n")
    return path
