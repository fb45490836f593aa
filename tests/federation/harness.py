"""Real peers in real processes, on ports of their own, watched through their JSON events.

Nothing here sleeps: a test waits for an event, and a process that ends instead makes the wait fail at once
with what it printed. All peers of a :class:`Federation` die with it.
"""

import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from coterie.peer.home.store import Reader
from coterie.peer.reporting.ledger_export import of_store, verify
from coterie.protocol.ledger.state import LedgerState
from coterie.protocol.messages.encoding import digest_of

Event = dict[str, Any]
Table = Callable[[Path, int], Path]
"""Writes the table of the peer with this number."""

WAIT_SECONDS = 90.0
"""Longest wait for one event: no measure of speed, only the end of a test that hangs."""

QUICK = ("--heartbeat", "0.5", "--dead-after", "3", "--view-timeout", "1", "--share-deadline", "15")
"""Options of a founder that keep tests short."""

PATIENT = ("--evict-after", "0")
"""Where rounds take no time, whoever is slow for a few seconds misses a great many."""

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
        self.environment = environment or {}
        self._command = command
        self._changed = threading.Condition()
        self._ended = False
        self._errors_path = home.with_name(f"{home.name}.stderr")
        self._start(options)

    def _start(self, options: Sequence[str]) -> None:
        self._ended = False
        with self._errors_path.open("ab") as errors:
            self.process = subprocess.Popen(
                (*self._command, "start", "--home", str(self.home), "--json", *options),
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment},
            )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with self.home.with_name(f"{self.home.name}.events").open("ab", buffering=0) as kept:
            for line in process.stdout:
                kept.write(line)  # for whoever looks into a failure
                self._take(json.loads(line))
            end = {"event": "process-ended", "text": f"exit code {process.wait()}", "time": time.time()}
            kept.write(json.dumps(end).encode() + b"\n")
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    # Waiting.

    def wait(self, kind: str, matches: Callable[[Event], bool] = lambda event: True, *, after: int = 0) -> Event:
        """The first event of this kind that matches, from the ``after``-th on; waits for it.

        Raises:
            AssertionError: the process ended, or too much time passed.
        """
        position, give_up = after, time.monotonic() + WAIT_SECONDS
        with self._changed:
            while True:
                while position < len(self.events):
                    event = self.events[position]
                    position += 1
                    if event["event"] == kind and matches(event):
                        return event
                if self._ended:
                    raise AssertionError(f"{self.home.name} ended before {kind!r}\n{self.story()}")
                if not self._changed.wait(give_up - time.monotonic()):
                    raise AssertionError(f"{self.home.name}: no {kind!r}\n{self.story()}")

    def mark(self) -> int:
        """A place in the events, for ``after``."""
        with self._changed:
            return len(self.events)

    def model(self, round: int, *, after: int = 0) -> Event:
        """Wait until the model of this round, or of a later one, is agreed."""
        return self.wait("model", lambda event: event["round"] >= round, after=after)

    def contributes(self, after_round: int) -> Event:
        """Wait until the update of this very peer goes into a round after this one."""
        return self.wait("contributors", lambda event: event["round"] > after_round and self.id in event["members"])

    def told(self, kind: str) -> list[Event]:
        """All events of this kind so far."""
        with self._changed:
            return [event for event in self.events if event["event"] == kind]

    @property
    def round(self) -> int:
        """The newest round that this peer has told to be agreed."""
        return max((event["round"] for event in self.told("model")), default=0)

    def exit_code(self) -> int:
        """Wait for the end of the process; return its exit code.

        Raises:
            AssertionError: it does not end.
        """
        try:
            code = self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.home.name} does not end\n{self.story()}") from None
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
        self.wait_until_frozen()

    def wait_until_frozen(self) -> None:
        """Wait until it has stopped: a SIGCONT that overtakes the SIGSTOP is lost, and nothing thaws it then.

        Raises:
            AssertionError: it ended instead.
        """
        # WNOWAIT: whoever reaps the process finds its exit code still there.
        found = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert found is not None
        assert found.si_code == os.CLD_STOPPED, self.story()

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
        self._start(options)
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

    def proof(self) -> LedgerState:
        """Verify the ledger in this home from genesis on, and that the model is the one it names.

        Raises:
            AssertionError: the model is another one.
            Invalid: the ledger is.
        """
        with Reader.open(self.home) as reader:
            state, model = verify(of_store(reader)), reader.model()
        assert model is not None
        assert digest_of(model.weights) == model.weights_hash == state.weights_hash
        return state

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


class Orders:
    """Makes one peer kill or freeze itself at an exact moment of the protocol (`obedient.py`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        os.mkfifo(folder / "taken")
        # Also open for writing: it never ends, and whoever takes an order never waits.
        self._pipe = os.open(folder / "taken", os.O_RDWR)
        self.command = (sys.executable, str(Path(__file__).with_name("obedient.py")), str(folder))

    def give(self, what: str, moment: str, who: str) -> int:
        """Have ``who`` (a peer's name, or "aggregator") do ``what`` at ``moment``; return the pid that does.

        Raises:
            AssertionError: nobody gets there.
        """
        draft = self._folder / "draft"
        draft.write_text(f"{what} {moment} {who}")
        draft.rename(self._folder / "order")
        assert select.select([self._pipe], [], [], WAIT_SECONDS)[0], f"nobody got to: {what} {moment} {who}"
        return int(os.read(self._pipe, 100))

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._pipe)


class Federation:
    """A founder and those who join it, each with its own shard of a small regression, or of another ``table``.

    ``obedient`` peers take :class:`Orders`.
    """

    def __init__(self, folder: Path, *, obedient: bool = False, table: Table | None = None) -> None:
        self.folder = folder
        self.table = table or shard
        self.peers: list[Peer] = []
        self._orders = Orders(folder) if obedient else None
        self.command: Sequence[str] = self._orders.command if self._orders else _COMMAND

    def found(self, *options: str, environment: dict[str, str] | None = None) -> Peer:
        """Start the founder; returns once it listens and has printed its invite."""
        target = () if {"--app", "--flower"} & set(options) else ("--target", "y")
        founder = self._start((*target, *QUICK, *PATIENT, *options), environment)
        founder.wait("founded")
        return founder

    def join(self, *options: str, environment: dict[str, str] | None = None) -> Peer:
        """Start one more peer with the founder's invite; does not wait."""
        way_in = () if {"--invite", "--bootstrap"} & set(options) else self.way_in()
        return self._start((*QUICK[:4], *way_in, *options), environment)

    def _start(self, options: Sequence[str], environment: dict[str, str] | None) -> Peer:
        number = len(self.peers)
        given = ["--listen", "127.0.0.1:0", "--name", f"peer-{number}"]
        if not {"--app", "--flower"} & set(options):
            given += ["--data", str(self.table(self.folder / f"data-{number}.csv", number))]
        home = self.folder / f"peer-{number}"
        one = Peer(home, *given, *options, environment=environment, command=self.command)
        self.peers.append(one)
        return one

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

    def order(self, what: str, moment: str, who: str = "aggregator") -> Peer:
        """Have a peer kill or freeze itself at this moment of a round; return who did, when it has."""
        assert self._orders is not None
        pid = self._orders.give(what, moment, who)
        victim = next(peer for peer in self.peers if peer.process.pid == pid)
        if what == "kill":
            assert victim.exit_code() == -signal.SIGKILL
        else:
            victim.wait_until_frozen()
        return victim

    @property
    def round(self) -> int:
        """The newest round that anybody has told to be agreed."""
        return max(peer.round for peer in self.peers)

    def go_on(self, peers: Iterable[Peer], rounds: int = 2) -> int:
        """Wait until these have agreed on so many more rounds; return the round."""
        goal = self.round + rounds
        for one in peers:
            one.model(goal)
        return goal

    def rest(self, min_peers: int) -> "list[Peer]":
        """Let so many leave that there are fewer than --min-peers: then all who stay stop at the same height.

        Returns these. A leaver goes as soon as the others can go on without it, and may lack the last blocks.
        """
        stay = self.peers[: min_peers - 1]
        leavers = self.peers[min_peers - 1 :]
        places = [one.mark() for one in stay]
        for leaver in leavers:
            leaver.run("leave")  # it may be let go only later than the command waits
        for one in stay:
            for leaver in leavers:
                one.wait("left", lambda event, leaver=leaver: event["member"] == leaver.id)
        for leaver in leavers:
            assert leaver.exit_code() == 0, leaver.story()
        for one, place in zip(stay, places, strict=True):
            # Too few are left to begin another round: who waits has closed the last one.
            told = one.wait("paused", after=place)["text"]
            assert f"training waits: {min_peers - 1} member(s) are below --min-peers {min_peers}" in told
            status = one.ask("status")
            assert (status["phase"], status["paused"]) == ("waiting", told)
        for one in stay:
            assert one.stop() == 0, one.story()
        return stay

    def close(self) -> None:
        """End all processes."""
        for one in self.peers:
            one.destroy()
        if self._orders is not None:
            self._orders.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def proofs(peers: Sequence[Peer]) -> list[Event]:
    """What `peer ledger verify` says in each home."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda one: one.ask("ledger", "verify"), peers))


def assert_alike(peers: Sequence[Peer]) -> Event:
    """Every home holds the same head and the same weights, and can prove them; returns the proof."""
    all_proofs = proofs(peers)
    assert len({proof["head"] for proof in all_proofs}) == 1, all_proofs
    files = [one.ask("model", "export", "--out", str(one.home.with_suffix(".npz"))) for one in peers]
    assert {file["weights"] for file in files} == {all_proofs[0]["weights"]}, files
    assert all(file["matches_ledger"] for file in files)
    return all_proofs[0]


def assert_finished(federation: Federation) -> None:
    """Everybody ended by itself with the final model, the same one everywhere."""
    for one in federation.peers:
        one.wait("finished")
        assert one.exit_code() == 0, one.story()
    assert_alike(federation.peers)
    assert_nobody_is_accused(federation.peers)


def assert_nobody_is_accused(peers: Sequence[Peer]) -> None:
    """No peer found a fault in any other: no second vote, no bad share, no bad frame."""
    accusations = [event for one in peers for kind in ("fault", "bad-frame") for event in one.told(kind)]
    assert accusations == []


def peer(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that ends by itself."""
    return subprocess.run((*_COMMAND, *words), capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)


def shard(path: Path, seed: int, rows: int = 120) -> Path:
    """Write a table of ``y = 2a - b + 1`` with some noise."""
    source = random.Random(seed)
    lines = ["a,b,y"]
    for _ in range(rows):
        a, b = source.gauss(0, 1), source.gauss(3, 2)
        lines.append(f"{a:.6f},{b:.6f},{2 * a - b + 1 + source.gauss(0, 0.1):.6f}")
    path.write_text("\n".join(lines) + "\n")
    return path
