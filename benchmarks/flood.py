"""One hostile member against three honest ones: the cost to them of the most expensive frames at full rate.

``python benchmarks/flood.py [--seconds 8] [KIND ...]`` founds a federation of four real processes on loopback. The
fourth is then replaced by a raw one with the same key. It sits out of every round, so that nobody waits for its
updates. It is idle at first, and then hostile, one kind of attack after the other.

Printed are the rounds a second, idle and during the attack; the longest pause of an event loop of the honest three
(wall clock, and CPU time, which other processes cannot lengthen); memory, descriptors and bytes of log; and how much
the attacker could send.
"""

import argparse
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

PEERS = 4
HALF_SPEED = 0.5
MOST_PAUSE_MS = 250.0
SAMPLE_SECONDS = 0.5
SETTLING_SECONDS = 2.0
PACE_SECONDS = 0.005
MAX_AHEAD_BYTES = 4 * 1024 * 1024
"""Most bytes that the attacker queues: more would only wait in its own memory."""


# The honest members: `peer start` as it is shipped, and a probe that times each turn of its event loop.


def probed(path: str, words: list[str]) -> int:
    """Run the command line; write the longest turns of its event loop to a file, two lines a second."""
    import trio

    from coterie.peer.cli import main as cli

    class Probe(trio.abc.Instrument):
        def __init__(self) -> None:
            self.began, self.began_cpu = time.perf_counter(), time.thread_time()
            self.wall = self.cpu = 0.0
            self.told = time.time()

        def after_io_wait(self, timeout: float) -> None:
            self.began, self.began_cpu = time.perf_counter(), time.thread_time()

        def before_io_wait(self, timeout: float) -> None:
            self.wall = max(self.wall, time.perf_counter() - self.began)
            self.cpu = max(self.cpu, time.thread_time() - self.began_cpu)
            now = time.time()
            if now - self.told >= SAMPLE_SECONDS:
                with open(path, "a") as out:
                    out.write(json.dumps([now, self.wall * 1000, self.cpu * 1000]) + "\n")
                self.told, self.wall, self.cpu = now, 0.0, 0.0

    run = trio.run

    def run_probed(*given: Any, **options: Any) -> Any:
        return run(*given, **options, instruments=[Probe()])

    trio.run = run_probed
    return int(cli.main(words) or 0)


@dataclass
class Honest:
    """A process of `peer start`, and its events."""

    home: Path
    process: "subprocess.Popen[str]"
    events: list[dict[str, Any]] = field(default_factory=list)
    log_bytes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    def start(cls, folder: Path, number: int, *options: str) -> "Honest":
        """Start a peer with this number, with its home and its data in a folder."""
        home = folder / f"peer-{number}"
        words = ["start", "--json", "--home", str(home), "--listen", "127.0.0.1:0", "--name", f"peer {number}"]
        words += ["--data", str(_table(folder / f"{number}.csv", number)), "--heartbeat", "0.5", *options]
        with home.with_name(home.name + ".stderr").open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, __file__, "--probed", str(home.with_suffix(".pauses")), *words],
                stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        one = cls(home, process)
        threading.Thread(target=one.follow, daemon=True).start()
        return one

    def follow(self) -> None:
        """Read its events until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.changed:
                self.log_bytes += len(line)
                self.events.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.events.append({"event": "exit"})
            self.changed.notify_all()

    def wait(self, kind: str, after: int = 0) -> dict[str, Any]:
        """Wait for an event of a kind, from a place in the events on; returns it."""
        with self.changed:
            while True:
                for event in self.events[after:]:
                    if event["event"] == kind:
                        return event
                    if event["event"] == "exit":
                        raise SystemExit(f"{self.home.name} ended; see {self.home}.stderr")
                if not self.changed.wait(120):
                    raise SystemExit(f"{self.home.name}: no {kind}")

    def models(self, since: float, until: float) -> int:
        """Return how many rounds were agreed in this time."""
        with self.changed:
            return sum(one["event"] == "model" and since <= one["time"] < until for one in self.events)

    def pauses(self, since: float, until: float) -> tuple[float, float]:
        """Return the longest turn of the event loop in this time, in milliseconds of wall clock and of CPU."""
        lines = [json.loads(line) for line in self.home.with_suffix(".pauses").read_text().splitlines()]
        rows = [(wall, cpu) for at, wall, cpu in lines if since < at - SAMPLE_SECONDS and at <= until]
        return max((row[0] for row in rows), default=0.0), max((row[1] for row in rows), default=0.0)

    def memory_mb(self) -> float:
        """Return its resident memory."""
        line = next(x for x in Path(f"/proc/{self.process.pid}/status").read_text().splitlines() if "VmRSS" in x)
        return int(line.split()[1]) / 1024

    def descriptors(self) -> int:
        """Return the number of its open files and sockets."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def errors_bytes(self) -> int:
        """Return how many bytes it wrote to stderr."""
        return self.home.with_name(self.home.name + ".stderr").stat().st_size


def _table(path: Path, seed: int) -> Path:
    import random

    source = random.Random(seed)
    rows = [(source.gauss(0, 1), source.gauss(3, 2)) for _ in range(100)]
    path.write_text("a,b,y\n" + "".join(f"{a:.6f},{b:.6f},{2 * a - b + source.gauss(0, 0.1):.6f}\n" for a, b in rows))
    return path


# The hostile member.

Frames = Iterator[bytes]


class Arsenal:
    """The frames of each kind of attack, as the member with this key can make them."""

    def __init__(self, me: Any, federation: bytes, names: Any) -> None:
        from coterie.crypto.identity.identity import Identity

        self.me, self.federation, self.height, self.round = me, federation, 1, 1
        self.members: tuple[bytes, ...] = ()
        self.names = names
        self.others = sorted(
            (Identity.from_seed(secrets.token_bytes(32)) for _ in range(683)), key=lambda one: one.public
        )

    def _say(self, message: Any, view: int = 0, height: int | None = None, who: Any = None) -> bytes:
        from coterie.peer.network.frames import encode_envelope
        from coterie.protocol.messages.envelope import seal

        raw = seal(who or self.me, self.federation, height or self.height + 1, view, message)
        return encode_envelope(raw, None)

    def _certified(self, height: int, signers: list[Any]) -> Any:
        from coterie.protocol.ledger.blocks import Block, Void, block_hash
        from coterie.protocol.messages.envelope import seal
        from coterie.protocol.messages.kinds import CertifiedBlock, Precommit

        data = Block(height, secrets.token_bytes(32), Void(1, "shares", ())).encode()
        vote = Precommit(block_hash(data))
        return CertifiedBlock(data, tuple(seal(one, self.federation, height, 0, vote) for one in signers))

    def padded(self) -> Frames:
        """A block whose certificate repeats one vote."""
        from coterie.protocol.messages.kinds import Blocks

        while True:
            yield self._say(Blocks((self._certified(self.height + 1, [self.me] * 683),)))

    def outsiders(self) -> Frames:
        """Blocks of the next height and of past ones, certified by hundreds of keys of the attacker's own."""
        from coterie.protocol.messages.kinds import Blocks

        while True:
            at = self.height
            blocks = [self._certified(at + 1 - back, self.others) for back in (1, 2, 3)]
            blocks.append(self._certified(at + 1, self.others))
            for _ in range(20):
                yield self._say(Blocks(tuple(blocks)))

    def records(self) -> Frames:
        """Its own address record, with a rising number, over and over in one frame."""
        from coterie.peer.network.frames import encode_records
        from coterie.peer.network.transport.addresses import Address, sign_record

        numbers = count(time.time_ns() // 1000)
        place = [Address("/ip4/127.0.0.1/tcp/9")]
        while True:
            yield encode_records([sign_record(self.me, place, next(numbers)).encoded for _ in range(200)])

    def news(self) -> Frames:
        """Its own address record, with a rising number, one a frame."""
        from coterie.peer.network.frames import encode_records
        from coterie.peer.network.transport.addresses import Address, sign_record

        for number in count(time.time_ns() // 1000):
            port = 1000 + number % 50_000
            yield encode_records([sign_record(self.me, [Address(f"/ip4/127.0.0.1/tcp/{port}")], number).encoded])

    def proposals(self) -> Frames:
        """Proposals of the coming views, each with thousands of prevotes."""
        from coterie.protocol.ledger.blocks import Block, Void
        from coterie.protocol.messages.envelope import seal
        from coterie.protocol.messages.kinds import Prevote, Proposal

        polka = tuple(
            seal(one, self.federation, self.height + 1, 0, Prevote(bytes(32), None)) for one in self.others * 3
        )[:2048]
        for view in count():
            data = Block(self.height + 1, bytes(32), Void(self.round, "shares", ())).encode()
            yield self._say(Proposal(data, 0, (), polka, None), view=view % 12)

    def votes(self) -> Frames:
        """Good votes of views to come."""
        from coterie.protocol.messages.kinds import Prevote

        for view in count():
            yield self._say(Prevote(secrets.token_bytes(32), None), view=view % 2**30)

    def accusations(self) -> Frames:
        """Pairs of votes that prove nothing."""
        from coterie.protocol.messages.envelope import seal
        from coterie.protocol.messages.kinds import Accusation, Prevote

        one = seal(self.me, self.federation, 1, 0, Prevote(bytes(32), None))
        other = seal(self.me, self.federation, 1, 1, Prevote(bytes(32), None))
        while True:
            yield self._say(Accusation(one, other))

    def joins(self) -> Frames:
        """Requests to join of ever new keys, as if they were passed on."""
        from coterie.crypto.identity.identity import Identity
        from coterie.protocol.messages.kinds import JoinRequest

        made = [
            self._say(
                JoinRequest(f"n{i}", self.names.model, secrets.token_bytes(400), bytes(64)),
                who=Identity.from_seed(secrets.token_bytes(32)),
            )
            for i in range(500)
        ]
        while True:
            yield from made

    def complaints(self) -> Frames:
        """Complaints about a dealing that never was."""
        from coterie.protocol.messages.envelope import seal
        from coterie.protocol.messages.kinds import Complaint, Prevote

        deal = seal(self.me, self.federation, 1, 0, Prevote(bytes(32), None))
        while True:
            yield self._say(Complaint(self.round, 0, deal, *(secrets.token_bytes(size) for size in (32, 32, 64))))

    def status(self) -> Frames:
        """Questions that each cost a signature to answer."""
        from coterie.protocol.messages.kinds import GetStatus

        while True:
            yield self._say(GetStatus(secrets.token_bytes(32)))

    def ledger(self) -> Frames:
        """Questions for the whole ledger."""
        from coterie.protocol.messages.kinds import GetBlocks

        while True:
            yield self._say(GetBlocks(1))

    def beats(self) -> Frames:
        """Heartbeats with ever new heights."""
        from coterie.peer.network.frames import encode_beat as frame
        from coterie.peer.network.heartbeat import encode_beat

        for number in count():
            yield frame(number, encode_beat(1 + number % 1000, 1, "sharing"))

    def garbage(self) -> Frames:
        """Large frames of nothing."""
        from coterie.peer.network.frames import encode_envelope

        while True:
            yield encode_envelope(secrets.token_bytes(900_000), None)

    def requests(self) -> Frames:
        """Bulk: blobs that are not there."""
        from coterie.peer.network.frames import Request, encode_request

        for number in count():
            yield encode_request(number % 2**32, Request(secrets.token_bytes(32), 1000))

    def failures(self) -> Frames:
        """Bulk: the failure of transfers that never began."""
        from coterie.peer.network.frames import BulkKind, encode_bulk_header

        while True:
            yield encode_bulk_header(BulkKind.FAILED, 7, 0) * 20_000


BULK = ("requests", "failures")
KINDS = (
    "padded", "outsiders", "records", "news", "proposals", "votes", "accusations", "joins", "complaints", "status",
    "ledger", "beats", "garbage", *BULK,
)  # fmt: skip


def hostile(home: Path, addresses: list[str], orders: Path) -> None:
    """Be linked to all, sit out of every round, and carry out the order in a file."""
    import trio
    from libp2p.stream_muxer.exceptions import MuxedStreamError

    from coterie.crypto.identity.identity import Identity
    from coterie.crypto.identity.keyfile import open_seed
    from coterie.peer.home.store import Reader
    from coterie.peer.network.heartbeat import decode_beat
    from coterie.peer.network.link_events import Beat
    from coterie.peer.network.network import Network
    from coterie.protocol.ledger.genesis import read_genesis
    from coterie.protocol.messages.kinds import SitOut

    me = Identity.from_seed(open_seed((home / "identity.key").read_bytes()))
    with Reader.open(home) as reader:
        encoded = reader.fact("genesis")
    assert encoded is not None
    genesis = read_genesis(encoded)
    arsenal = Arsenal(me, genesis.federation, genesis)
    sent = 0

    async def main() -> None:
        network = Network(
            me, ["/ip4/127.0.0.1/tcp/0"], allow=lambda member: True, federation=genesis.federation,
            genesis=encoded, name="hostile", bootstrap=addresses,
        )  # fmt: skip
        excused: dict[Any, int] = {}

        def excuse() -> None:
            """Sit out of the coming rounds, ahead of everything that waits to be sent."""
            for link in list(network._links.values()):
                told = excused.get(link, 0)
                if arsenal.round + 16 > told:
                    for number in range(max(arsenal.round, told + 1), arsenal.round + 24):
                        frame = arsenal._say(SitOut(number, "hostile"))
                        link._queue.appendleft(frame)
                        link._queued_bytes += len(frame)
                        excused[link] = number
                    link._work.unpark_all()

        async def listen() -> None:
            async for event in network.inbound:
                if isinstance(event, Beat) and (beat := decode_beat(event.status)) is not None:
                    arsenal.height, arsenal.round = beat.height, beat.round
                    excuse()

        async def flood(kind: str) -> None:
            nonlocal sent
            for frame in getattr(arsenal, kind)():
                links = list(network._links.values())
                if not links:
                    await trio.sleep(PACE_SECONDS)
                for link in links:
                    if kind in BULK:
                        stream = next((s for s in link.connection.muxer._streams.values() if not s.urgent), None)
                        with trio.move_on_after(PACE_SECONDS), contextlib.suppress(MuxedStreamError):  # cut off
                            if stream is not None:
                                await stream.write(frame)
                                sent += len(frame)
                    elif link._queued_bytes < MAX_AHEAD_BYTES and link.send(frame):
                        sent += len(frame)
                await trio.sleep(0 if any(link._queued_bytes < MAX_AHEAD_BYTES for link in links) else PACE_SECONDS)

        async def obey(nursery: trio.Nursery) -> None:
            done, scope = "", trio.CancelScope()
            while True:
                order = orders.read_text() if orders.exists() else ""
                if order != done:
                    done = order
                    scope.cancel()
                    for link in list(network._links.values()):
                        link.stop("a new order")  # this drops everything that waits there
                    if order in KINDS:
                        scope = trio.CancelScope()
                        nursery.start_soon(within, scope, order)
                rounds = orders.with_suffix(".round")
                if rounds.exists():
                    arsenal.round = max(arsenal.round, int(rounds.read_text() or 0))
                excuse()
                orders.with_suffix(".sent").write_text(f"{sent} {len(network._links)}")
                await trio.sleep(0.2)

        async def within(scope: trio.CancelScope, kind: str) -> None:
            with scope:
                await flood(kind)

        async with trio.open_nursery() as nursery:
            await nursery.start(network.run)
            nursery.start_soon(listen)
            nursery.start_soon(obey, nursery)

    trio.run(main)


# Measuring.


@dataclass(frozen=True)
class Row:
    """The figures of a stretch of time."""

    rounds_per_second: float
    pause_ms: float
    pause_cpu_ms: float
    memory_mb: float
    descriptors: int
    log_bytes_per_second: float
    sent_mb: float
    links: int


def _stretch(honest: list[Honest], orders: Path, kind: str, seconds: float) -> Row:
    """Give an order, let it take effect, and measure."""

    def sent() -> tuple[int, int]:
        amount, links = (orders.with_suffix(".sent").read_text() or "0 0").split()
        return int(amount), int(links)

    def log() -> int:
        return sum(one.log_bytes + one.errors_bytes() for one in honest)

    begun = time.time()
    draft = orders.with_suffix(".draft")
    draft.write_text(kind)
    draft.rename(orders)
    _let_pass(begun + SETTLING_SECONDS, honest, orders)
    since, sent_before, log_before = time.time(), sent()[0], log()
    _let_pass(since + seconds, honest, orders)
    until = time.time()
    pauses = [one.pauses(since, until) for one in honest]
    amount, links = sent()
    return Row(
        rounds_per_second=max(one.models(since, until) for one in honest) / (until - since),
        pause_ms=max(pause[0] for pause in pauses),
        pause_cpu_ms=max(pause[1] for pause in pauses),
        memory_mb=max(one.memory_mb() for one in honest),
        descriptors=max(one.descriptors() for one in honest),
        log_bytes_per_second=(log() - log_before) / (until - since) / len(honest),
        sent_mb=(amount - sent_before) / 1e6,
        links=links,
    )


def _let_pass(until: float, honest: list[Honest], orders: Path) -> None:
    """Wait, and tell the hostile process the current round meanwhile.

    Its own flood keeps it from hearing that in time. A member that does not sit out in time is waited for, whatever it
    sends, and that would be measured in place of the flood.
    """
    rounds = orders.with_suffix(".round")
    while time.time() < until:
        newest = max((one["round"] for one in list(honest[0].events) if one["event"] == "round"), default=0)
        draft = orders.with_suffix(".round-draft")
        draft.write_text(str(newest))
        draft.rename(rounds)
        time.sleep(0.1)


def report(kinds: list[str] | None = None, seconds: float = 8.0) -> None:
    """Found the federation, attack it, and print the table."""
    with tempfile.TemporaryDirectory(prefix="coterie-flood-") as name:
        folder = Path(name)
        founding = ["--target", "y", "--min-peers", str(PEERS), "--evict-after", "0"]
        founding += ["--share-deadline", "2", "--view-timeout", "0.5", "--dead-after", "12"]
        honest = [Honest.start(folder, 0, *founding)]
        running = [one.process for one in honest]
        try:
            invite = honest[0].wait("founded")["invite"]
            for number in range(1, PEERS):
                honest.append(Honest.start(folder, number, "--invite", invite, "--dead-after", "12"))
                running.append(honest[-1].process)
            for one in honest:
                one.wait("model")
            victim = honest.pop()
            victim.process.send_signal(2)
            victim.process.wait(30)
            orders = folder / "orders"
            orders.with_suffix(".sent").write_text("0 0")
            addresses = [one.wait("listening")["addresses"][0] for one in honest]
            places = [len(one.events) for one in honest]
            running.append(
                subprocess.Popen([sys.executable, __file__, "--hostile", str(victim.home), str(orders), *addresses])
            )
            for one, place in zip(honest, places, strict=True):
                one.wait("link-up", place)
            _table_of(honest, orders, kinds or list(KINDS), seconds)
        finally:
            for process in running:
                process.kill()
                process.wait(30)


def _table_of(honest: list[Honest], orders: Path, kinds: list[str], seconds: float) -> None:
    _stretch(honest, orders, "idle", 6)  # after it nobody waits for the acks of the hostile member any more
    print(f"three honest processes and a hostile one on {os.cpu_count()} cores, {seconds:g} s each")
    print(
        f"{'':12} {'rounds/s':>9} {'idle':>9} {'of it':>8} {'pause ms':>9} {'CPU ms':>7} {'MB':>5} {'fds':>4}"
        f" {'log B/s':>8} {'sent MB':>8} links"
    )
    before = _stretch(honest, orders, "idle", seconds)
    print(_line("idle", before, before.rounds_per_second), flush=True)
    for kind in kinds:
        during = _stretch(honest, orders, kind, seconds)
        after = _stretch(honest, orders, "idle", seconds)
        print(_line(kind, during, (before.rounds_per_second + after.rounds_per_second) / 2), flush=True)
        before = after
    print(f"bounds: at least {HALF_SPEED:g} of idle, at most {MOST_PAUSE_MS:g} ms")


def _line(name: str, row: Row, idle: float) -> str:
    part = row.rounds_per_second / idle if idle else 0.0
    return (
        f"{name:12} {row.rounds_per_second:>9.2f} {idle:>9.2f} {part:>8.2f}"
        f" {row.pause_ms:>9.0f} {row.pause_cpu_ms:>7.0f} {row.memory_mb:>5.0f} {row.descriptors:>4}"
        f" {row.log_bytes_per_second:>8.0f} {row.sent_mb:>8.1f} {row.links}"
    )


def main() -> None:
    """Measure the attacks that the arguments name; or be one of the processes that are measured."""
    if sys.argv[1:2] == ["--probed"]:
        sys.exit(probed(sys.argv[2], sys.argv[3:]))
    if sys.argv[1:2] == ["--hostile"]:
        hostile(Path(sys.argv[2]), sys.argv[4:], Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    given = parser.parse_args()
    report(given.kinds, given.seconds)


if __name__ == "__main__":
    main()
