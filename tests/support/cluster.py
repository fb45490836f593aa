"""A federation of real nodes in one process, in virtual time: one event queue, one seed, no threads, no
sockets.

Every node is an unchanged :class:`coterie.protocol.node.Node`. Messages take a random number of milliseconds;
work is really computed, at the moment it is asked for, and handed back after a random time of its own, in whatever
order. The same seed gives the same run. Tests bend it
through the hooks: ``drop``, ``tamper``, ``crash``.
"""

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from coterie.crypto.identity.identity import Identity
from coterie.protocol.events import (
    Event,
    Fetch,
    FetchFailed,
    HeadSeen,
    Notice,
    PeerDown,
    PeerUp,
    Received,
    Send,
    Started,
    TimerFired,
    WorkDone,
)
from coterie.protocol.jobs import Contribution, ReadBlocks, Train
from coterie.protocol.ledger.contribution import metrics_of
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.ledger.tickets import Invite, make_invite, read_invite
from coterie.protocol.limits import INLINE_BLOB_BYTES
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Rejected, Verified, blob_digest, may_be_passed_on, verify
from coterie.protocol.messages.kinds import CertifiedBlock
from coterie.protocol.node import Newcomer, Node
from coterie.protocol.records import (
    BlockDecided,
    Dealt,
    LostStateFound,
    Memory,
    ModelSaved,
    Record,
    Released,
    RoundClosed,
    ShareHeld,
    ShownToUs,
    ValueSeen,
    VoteCast,
)

START_MS = 1_700_000_000_000


def identity(number: int) -> Identity:
    """The identity of test peer ``number``."""
    return Identity.from_seed(hashlib.sha256(b"test peer %d" % number).digest())


@dataclass
class Disk:
    """A durable store: what a node persisted, as the real one keeps it."""

    records: list[Record] = field(default_factory=list)

    def load(self) -> Memory:
        """Give everything back, pruned as the real store prunes."""
        memory = Memory()
        height = 0
        for record in self.records:
            match record:
                case BlockDecided():
                    memory.blocks.append(record)
                    height = record.height
                case ModelSaved():
                    memory.model = record
                case VoteCast():
                    memory.votes.append(record)
                case ValueSeen():
                    memory.values = [one for one in memory.values if one.locked != record.locked]
                    memory.values.append(record)
                case Dealt():
                    memory.dealt, memory.copied = record, False
                case ShareHeld():
                    memory.shares.append(record)
                case Released():
                    memory.released[record.round] = record.contributors
                case RoundClosed():
                    memory.dealt, memory.shares, memory.shown = None, [], None
                case LostStateFound():
                    memory.copied = True
                case ShownToUs():
                    memory.shown = record
        memory.votes = [vote for vote in memory.votes if vote.height > height]
        memory.values = [value for value in memory.values if value.height > height]
        return memory


@dataclass
class Site:
    """One peer: its identity, its disk, and its node while it runs."""

    number: int
    identity: Identity
    disk: Disk
    node: Node | None = None
    boots: int = 0
    notices: list[Notice] = field(default_factory=list)
    train: Callable[[Train], Contribution] | None = None

    def kinds(self) -> list[str]:
        """Kinds of the notices so far."""
        return [notice.kind for notice in self.notices]

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """Facts of the notices of one kind."""
        return [notice.facts for notice in self.notices if notice.kind == kind]


def make_genesis(parameters: int = 6, **changes: Any) -> Genesis:
    """A small federation founded by test peer 0."""
    weights = np.zeros(parameters, dtype="<f4").tobytes()
    base = Genesis(
        name="test",
        founder=identity(0).public,
        founder_name="peer 0",
        created_ms=START_MS,
        model="test model",
        shapes=((parameters,),),
        weights=digest_of(weights),
        admit="open",
        rounds=2,
        share_deadline_ms=5_000,
        view_timeout_ms=500,
        view_delta_ms=250,
    )
    values = {name: getattr(base, name) for name in base.__struct_fields__} | changes
    return Genesis(**values)


class Cluster:
    """Peers 0 to n-1 on a virtual network."""

    def __init__(
        self,
        peers: int,
        genesis: Genesis | None = None,
        seed: int = 0,
        latency_ms: tuple[int, int] = (1, 20),
        slowest_work_ms: int = 0,
    ) -> None:
        self.genesis = genesis or make_genesis()
        self.random = random.Random(seed)
        self.latency_ms = latency_ms
        self.slowest_work_ms = slowest_work_ms
        self.now_ms = START_MS
        self.sites = [Site(number, identity(number), Disk()) for number in range(peers)]
        self.by_key = {site.identity.public: site for site in self.sites}
        self.drop: Callable[[Site, Site, Verified], bool] = lambda sender, receiver, message: False
        self.tamper: Callable[[Site, Site, Send], Send | None] = lambda sender, receiver, send: send
        self.before_send: Callable[[Site, Send], None] = lambda sender, send: None
        self.after_step: Callable[[Site], None] = lambda site: None
        self.invite: Invite | None = None
        self.trace = hashlib.sha256()
        self.log: list[tuple[int, int, int | None, Verified]] = []
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._offers: dict[tuple[int, bytes], bytes] = {}
        weights = np.zeros(self.genesis.parameters, dtype="<f4").tobytes()
        self.sites[0].disk.records.append(ModelSaved(self.genesis.weights, weights))
        if self.genesis.admit == "invite":
            token = make_invite(identity(0), self.genesis.federation, bytes(range(32)), START_MS + 10**9, 100)
            self.invite = read_invite(token)

    # The clock.

    def at(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Schedule an action."""
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._count, action))

    def run(self, until: Callable[[], bool], limit_ms: int = 120_000) -> None:
        """Run until the condition holds; AssertionError if it does not within the limit of virtual time."""
        end = self.now_ms + limit_ms
        while not until():
            assert self._queue, f"nothing is left to happen: {self.summary()}"
            assert self._queue[0][0] <= end, f"nothing came of it: {self.summary()}"
            self.now_ms, _, action = heapq.heappop(self._queue)
            action()

    def run_for(self, duration_ms: int) -> None:
        """Run for a span of virtual time."""
        end = self.now_ms + duration_ms
        while self._queue and self._queue[0][0] <= end:
            self.now_ms, _, action = heapq.heappop(self._queue)
            action()
        self.now_ms = end

    def summary(self) -> str:
        """Where everybody stands."""
        return "; ".join(
            f"{site.number}: h{node.state.height} r{node.state.round} {node.state.phase} v{node.view}"
            for site in self.sites
            if (node := site.node)
        )

    # Peers.

    def start(self, *numbers: int, memory: Memory | None = None) -> None:
        """Start peers (all by default) from their disks and connect them to everybody who runs."""
        for number in numbers or range(len(self.sites)):
            site = self.sites[number]
            newcomer = Newcomer(f"peer {number}", self.genesis.model, self.invite)
            site.node = Node(site.identity, self.genesis, memory or site.disk.load(), newcomer)
            site.boots += 1
            self._hand_in(site, Started())
            for other in self.sites:
                if other is not site and other.node is not None:
                    self._deliver_later(site, PeerUp(other.identity.public))
                    self._deliver_later(other, PeerUp(site.identity.public))

    def crash(self, number: int) -> None:
        """kill -9: whatever was not persisted is gone; messages under way to it are lost."""
        site = self.sites[number]
        site.node = None
        for other in self.sites:
            if other.node is not None:
                self._deliver_later(other, PeerDown(site.identity.public))

    def running(self) -> list[Site]:
        """The peers that run."""
        return [site for site in self.sites if site.node is not None]

    def all_at(self, phase: str) -> bool:
        """Whether every running peer's ledger is in this phase."""
        return all(site.node is not None and site.node.state.phase == phase for site in self.running())

    # Effects.

    def _deliver_later(self, site: Site, event: Event) -> None:
        boot = site.boots

        def deliver() -> None:
            if site.node is not None and site.boots == boot:
                self._hand_in(site, event)

        self.at(self.random.randint(*self.latency_ms), deliver)

    def hand_in(self, number: int, event: Event) -> None:
        """Hand an event to a peer, as its driver does."""
        self._hand_in(self.sites[number], event)

    def _hand_in(self, site: Site, event: Event) -> None:
        assert site.node is not None
        boot = site.boots
        step = site.node.step(event, self.now_ms)
        site.disk.records.extend(step.persist)
        for send in step.send:
            self.before_send(site, send)
            if site.node is None or site.boots != boot:
                return  # killed after its records were durable, before all was sent
            self._send(site, send)
        for fetch in step.fetch:
            self._fetch(site, fetch)
        for timer in step.timers:
            self._schedule(site, boot, timer.after_ms, TimerFired(timer.key))
        for work in step.work:
            self._schedule(site, boot, self._work_ms(), self._compute(site, work))
        site.notices.extend(step.notify)
        for other in self.running():
            if other is not site and step.persist and isinstance(step.persist[0], BlockDecided):
                self._deliver_later(other, HeadSeen(site.identity.public, site.node.state.height))
        self.after_step(site)

    def _schedule(self, site: Site, boot: int, delay_ms: int, event: Event) -> None:
        def fire() -> None:
            if site.node is not None and site.boots == boot:
                self._hand_in(site, event)

        self.at(delay_ms, fire)

    def _send(self, site: Site, send: Send) -> None:
        assert site.node is not None
        for key in site.node.audience if send.to is None else (send.to,):
            receiver = self.by_key.get(key)
            if receiver is None or receiver is site:
                continue
            sent = self.tamper(site, receiver, replace(send, to=key))
            if sent is not None:
                self._transmit(site, receiver, sent)

    def _transmit(self, site: Site, receiver: Site, send: Send) -> None:
        self.trace.update(send.envelope)
        message = verify(send.envelope, self.genesis.federation)
        if isinstance(message, Rejected):
            return
        if message.sender != site.identity.public and not may_be_passed_on(message.message):
            return  # as the driver does: everybody speaks for itself
        if self.drop(site, receiver, message):
            return
        self.log.append((self.now_ms, site.number, receiver.number, message))
        blob = send.blob
        if blob is not None and len(blob) > INLINE_BLOB_BYTES:
            self._offers[(site.number, digest_of(blob))] = blob
            blob = None
        if blob is not None:
            index = site.node.state.committee.index(receiver.identity.public) if site.node else None
            if digest_of(blob) != blob_digest(message, index):
                blob = None
        self._deliver_later(receiver, Received(message, blob))

    def _fetch(self, site: Site, fetch: Fetch) -> None:
        source = self.by_key.get(fetch.source)
        data = self._offers.get((source.number, fetch.digest)) if source else None
        if source is None or source.node is None or data is None or len(data) != fetch.size_bytes:
            self._deliver_later(site, FetchFailed(fetch, "not offered"))
        else:
            self._deliver_later(site, Received(fetch.message, data))

    def _work_ms(self) -> int:
        return self.random.randint(0, self.slowest_work_ms) if self.slowest_work_ms else 0

    def _compute(self, site: Site, work: Any) -> WorkDone:
        if isinstance(work, ReadBlocks):
            blocks = [one for one in site.disk.records if isinstance(one, BlockDecided) and one.height >= work.start]
            return WorkDone(work, tuple(CertifiedBlock(one.block, one.certificate) for one in blocks))
        try:
            if isinstance(work, Train):
                return WorkDone(work, (site.train or self._train)(work))
            return WorkDone(work, work.run())
        except Exception as error:  # as the driver does
            return WorkDone(work, error=f"{type(error).__name__}: {error}")

    def _train(self, work: Train) -> Contribution:
        entropy = self.random.randbytes(32)
        if work.kind == "setup":
            return Contribution(10, tuple(1.5 for _ in range(self.genesis.setup_sums)), entropy)
        metrics = tuple(2.5 for _ in metrics_of(self.genesis, work.kind))
        size = self.genesis.parameters
        update = np.full(size, 0.25, dtype=np.float32) if work.kind == "train" else None
        return Contribution(10, (4.0, 8.0, *metrics), entropy, update)
