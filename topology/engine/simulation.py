"""The driver: real nodes on a virtual network, disk, processor and clock.

For each event it does what the driver in ``peer`` does with libp2p and SQLite: it hands the event to the node, makes
the records of the step durable, sends, fetches, sets timers and runs work. It draws every random number from seeded
generators and reads no clock, so the same options and seed give the same run, bit for bit. :attr:`Simulation.trace` is
a hash over everything that was sent, and when.
"""

import gc
import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import networkx as nx

from ...protocol.events import (
    Event,
    Fetch,
    FetchFailed,
    HeadSeen,
    PeerDown,
    PeerUp,
    Received,
    Send,
    Started,
    Step,
    TimerFired,
    WorkDone,
)
from ...protocol.jobs import Contribution, ReadBlocks, Train
from ...protocol.ledger.contribution import layout_of
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.phases import Phase
from ...protocol.limits import INLINE_BLOB_BYTES
from ...protocol.messages.encoding import digest_of
from ...protocol.messages.envelope import Rejected, Verified, may_be_passed_on, verify
from ...protocol.messages.kinds import CertifiedBlock
from ...protocol.node import Newcomer, Node
from ...protocol.records import BlockDecided, ModelSaved
from ..network.clock import START_MS, Clock
from ..network.graphs import peers_of
from ..network.links import Links
from ..network.transit import Parcel, Queue, Transit
from .chain import bend, in_order
from .costs import Costs
from .disk import Disk
from .founded_ledger import MODEL, found, identity_of
from .site import Conduct, CrashPoint, Site
from .sizes import Sizes, binds
from .training import Flat, Trainer

DETECT_MS: Final = 600
"""How long the failure detector takes to see that a peer is gone or back."""

BEAT_MS: Final = 1_000
COLLECT_EVENTS: Final = 2_000_000
"""Events after which garbage in cycles is collected, instead of whenever many objects were made."""

FETCH_TIMEOUT_MS: Final = 10_000
CRAWL_MS: Final = 2_400_000
"""How long a pull may crawl before a driver gives it up."""

MAX_KNOWN_ENVELOPES: Final = 100_000

Blocked = Callable[[int, int, Verified | None], bool]
Answer = Callable[[Site, int, Event], None]
"""Hands an event to a site if it is still in the same boot."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that a simulation runs on, besides the graph."""

    genesis: Genesis
    weights: bytes = field(repr=False)
    seed: int = 0
    rounds: int = 10
    """Rounds of the ledger, decided or void, after which the simulation is done."""
    is_founded: bool = True
    """Whether everybody is a member at the start; otherwise all but the founder ask to be admitted."""
    costs: Costs = field(default_factory=Costs)
    parameters: int | None = None
    """Number of parameters that sizes and costs are charged for, if not that of the simulated model."""
    node: Callable[..., Node] = Node
    trainer: Trainer = field(default_factory=Flat)
    skew_ms: int = 0
    """Clocks are off by up to this much."""
    late: frozenset[int] = frozenset()
    """Sites that do not belong to a founded federation, and are down until :meth:`Simulation.arrive`."""


@contextmanager
def _collector_off() -> Iterator[None]:
    """Switch the garbage collector off: looking through the whole federation again and again is a quarter of a run."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Observer:
    """The base of everything that watches a simulation: checkers, recorders, and faults that wait for a moment.

    Override those of interest: frequent ones are not called unless they are overridden.
    """

    def on_begin(self, simulation: "Simulation") -> None:
        """The simulation is set up, and nothing has happened yet."""

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        """A node made a step. Its records are durable, and nothing was sent yet.

        If the site crashes at this step, ``step`` holds the records that survive and nothing more.
        """

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        """A message leaves for a receiver, whether it arrives or not."""

    def on_loss(self, site: Site, receiver: Site, message: Verified) -> None:
        """A message will not arrive: the network is cut between the two, or a link or relay on its way is down."""

    def on_work(self, site: Site, label: str, begin_ms: int, end_ms: int) -> None:
        """A job will keep one of a site's workers busy for this time."""

    def on_start(self, site: Site) -> None:
        """A site came up, for the first time or again."""

    def on_crash(self, site: Site) -> None:
        """A site went down."""

    def on_network(self, what: str) -> None:
        """The network was cut or healed, or a link or router went down or came back; ``what`` says so in words."""

    def on_end(self) -> None:
        """The simulation has ended."""


class Simulation:
    """A federation at work. Add observers and faults, then :meth:`run`."""

    def __init__(self, graph: nx.Graph, setup: Setup) -> None:
        """Build the sites and links of a graph, which must come from :func:`..network.graphs.fill`."""
        self.setup, self.seed, self.graph = setup, setup.seed, graph
        self.random = random.Random(f"simulation {setup.seed}")
        self.clock = Clock()
        self.links = Links(graph, self.random)
        self._transit = Transit(self.links, self.clock)
        self.federation = setup.genesis.federation
        self.sizes = Sizes(setup.genesis, setup.parameters)
        self.sites = self._make_sites(graph)
        self.by_key = {site.key: site for site in self.sites}
        self.blocked: Blocked | None = None
        """A partition: says whether a message from one site to another is lost."""
        self.unlinked: dict[int, set[int]] = {}
        """By liar, the sites that it keeps no link with."""
        self.leavers = 0
        """Number of members that are going to leave; see :mod:`..faults.joins_and_leaves`."""
        self.refused_messages = 0
        """Messages that were not sent because the link's queue was full."""
        self.goal: Callable[[Site], bool] = lambda site: (
            site.node is not None and (site.node.state.round > setup.rounds or site.node.state.phase is Phase.FINISHED)
        )
        self._columns = layout_of(setup.genesis, "train").columns
        if setup.parameters is not None:
            self._columns += (setup.parameters + 1) // 2 - (setup.genesis.parameters + 1) // 2
        self._observers: list[Observer] = []
        self._on_step: list[Callable[..., None]] = []
        self._on_send: list[Callable[..., None]] = []
        self._on_loss: list[Callable[..., None]] = []
        self._on_work: list[Callable[..., None]] = []
        self._trace = hashlib.sha256()
        self._known: dict[bytes, Verified | None] = {}
        self._collected = 0
        """Number of events when garbage was collected last."""
        self._detections: set[int] = set()
        """Times at which the failure detectors are going to look."""
        self._is_done = False

    def _make_sites(self, graph: nx.Graph) -> list[Site]:
        setup = self.setup
        labels = peers_of(graph)
        identities = [identity_of(number) for number in range(len(labels))]
        present = [identity for number, identity in enumerate(identities) if number not in setup.late]
        blocks = found(setup.genesis, present) if setup.is_founded else []
        sites = []
        for number, (label, identity) in enumerate(zip(labels, identities, strict=True)):
            is_late = number in setup.late
            disk = Disk(blocks=[] if is_late else list(blocks))
            if (setup.is_founded and not is_late) or number == 0:
                disk.model = ModelSaved(setup.genesis.weights_hash, setup.weights)
            skew = self.random.randint(-setup.skew_ms, setup.skew_ms)
            speed = graph.nodes[label]["speed"]
            sites.append(Site(number, label, identity, disk, speed, skew, outages=int(is_late)))
        return sites

    # -- setting up and running

    @property
    def trace(self) -> str:
        """A hash over everything that was sent so far, its senders, receivers and times."""
        return self._trace.hexdigest()

    @property
    def honest(self) -> list[Site]:
        """The sites that follow the protocol."""
        return [site for site in self.sites if site.is_honest]

    def watch(self, *observers: Observer) -> None:
        """Add observers."""
        for one in observers:
            self._observers.append(one)
            for name in ("on_step", "on_send", "on_loss", "on_work"):
                if getattr(type(one), name) is not getattr(Observer, name):
                    getattr(self, f"_{name}").append(getattr(one, name))

    def run(self, limit_ms: int) -> bool:
        """Run until every honest site has reached the goal; returns whether they did within ``limit_ms``."""
        if not any(site.boots for site in self.sites):
            for observer in self._observers:
                observer.on_begin(self)
            for site in self.sites:
                site.adversaries = in_order(site.adversaries)
                self.clock.after(self.random.randint(0, 20), self.start, site)
            self.clock.after(BEAT_MS, self._beat)
        with _collector_off():
            done = self._is_done or self.clock.run(START_MS + limit_ms)
        for observer in self._observers:
            observer.on_end()
        return done

    def run_for(self, duration_ms: int) -> None:
        """Run on for a while, whether the goal is reached or not."""
        until_ms = self.clock.now_ms + duration_ms
        with _collector_off():
            while self.clock.run(until_ms):
                pass  # reaching the goal stops the clock: go on

    def start(self, site: Site) -> None:
        """Start a site's peer from its disk, unless an outage keeps it down."""
        if site.node is not None or site.outages:
            return
        site.boots += 1
        self.links.set_node(site.number, True)
        newcomer = Newcomer(str(site.label), MODEL)
        site.node = self.setup.node(site.identity, self.setup.genesis, site.disk.load(), newcomer)
        for observer in self._observers:
            observer.on_start(site)
        for adversary in site.adversaries:
            adversary.on_started()
        self.hand_in(site, Started())
        self.detect_later(self.random.randint(1, 50))
        self._see_whether_done()  # it may be the last site that was missing, and be past the goal already

    def crash(self, site: Site, down_ms: int | None) -> None:
        """Kill a site's peer.

        It comes back after ``down_ms``; None: never. Where outages overlap, it comes back after the last one.
        """
        site.outages += 1
        if down_ms is not None:
            self.clock.after(down_ms, self._end_outage, site)
        if site.node is None:
            return
        site.node = None
        site.boots += 1
        site.sees.clear()
        site.offers.clear()
        site.queues.clear()
        for other in self.sites:
            other.queues.pop(site.number, None)
        site.busy_until_ms = [0] * len(site.busy_until_ms)
        self.links.set_node(site.number, False)
        for observer in self._observers:
            observer.on_crash(site)
        self.detect_later()
        self._see_whether_done()

    def _end_outage(self, site: Site) -> None:
        site.outages -= 1
        self.start(site)

    def arrive(self, site: Site) -> None:
        """Start a late site for the first time."""
        if site.boots == 0:
            self._end_outage(site)

    def tell(self, what: str) -> None:
        """Tell the observers that the network has changed."""
        for observer in self._observers:
            observer.on_network(what)

    # -- failure detectors

    def is_blocked(self, source: int, target: int, message: Verified | None) -> bool:
        """Whether a partition, or a liar that keeps no link with the other site, keeps a message from target."""
        if self.unlinked and (target in self.unlinked.get(source, ()) or source in self.unlinked.get(target, ())):
            return True
        return self.blocked is not None and self.blocked(source, target, message)

    def reaches(self, one: Site, other: Site) -> bool:
        """Whether two sites can talk to each other, both ways."""
        a, b = one.number, other.number
        up = one.node is not None and other.node is not None
        return up and not (self.is_blocked(a, b, None) or self.is_blocked(b, a, None)) and bool(self.links.path(a, b))

    def detect_later(self, after_ms: int = DETECT_MS) -> None:
        """Have the failure detectors look at the network after a while."""
        when_ms = self.clock.now_ms + after_ms
        if when_ms not in self._detections:
            self._detections.add(when_ms)
            self.clock.at(when_ms, self.detect)

    def detect(self) -> None:
        """Bring every failure detector up to date."""
        self._detections.discard(self.clock.now_ms)
        part = self.links.parts()
        together: dict[int, set[int]] = {}
        for site in self.sites:
            if site.node is not None:
                together.setdefault(part[site.number], set()).add(site.number)
        for site in self.sites:
            if site.node is None:
                continue
            reached = together[part[site.number]] - {site.number}
            if self.blocked is not None or self.unlinked:
                reached = {number for number in reached if self.reaches(site, self.sites[number])}
            boot = site.boots
            for number in sorted(site.sees ^ reached):
                if site.boots != boot:  # it has crashed in the step for the event before
                    break
                is_there = number in reached
                (site.sees.add if is_there else site.sees.discard)(number)
                key = self.sites[number].key
                self._deliver(site, boot, PeerUp(key) if is_there else PeerDown(key))

    def _beat(self) -> None:
        """Deliver heartbeats, which tell heights; only those that tell a site that it is behind matter."""
        heights = [(site, site.node.state.height) for site in self.sites if site.node is not None]
        claims = [(site, self._claim(site, height)) for site, height in heights]
        highest = max((height for _, height in claims), default=0)
        for site, height in heights:
            if height < highest:
                for other, claim in claims:
                    if claim > height and other.number in site.sees:
                        self._deliver(site, site.boots, HeadSeen(other.key, claim))
        if self.clock.events > self._collected + COLLECT_EVENTS:
            self._collected = self.clock.events
            gc.collect()
        self.clock.after(BEAT_MS, self._beat)

    @staticmethod
    def _claim(site: Site, height: int) -> int:
        for adversary in site.adversaries:
            height = adversary.claimed_height(height)
        return height

    # -- a step and what follows from it

    def _deliver(self, site: Site, boot: int, event: Event) -> None:
        if site.node is not None and site.boots == boot:
            self.hand_in(site, event)

    def hand_in(self, site: Site, event: Event) -> None:
        """Hand an event to a site's node and carry out the step, field by field, in the order of its fields."""
        node = site.node
        assert node is not None
        # A list, so that every adversary sees the event; any of them can keep it from the node.
        heard = [adversary.on_event(event) for adversary in site.adversaries]
        if not all(heard):
            return
        step = node.step(event, self.clock.now_ms + site.skew_ms)
        site.steps += 1
        for adversary in site.adversaries:
            step = adversary.bend_step(event, step)
        if step.persist:
            point = self._crash_point_of(site, step)
            if point is not None:
                self._crash_at(site, event, step, point)
                return
            site.disk.write(step.persist)
            site.disk.sync()
        self._show(site, event, step)
        self.carry_out(site, step)
        if step.persist and isinstance(step.persist[0], BlockDecided):
            self._see_whether_done()

    def _show(self, site: Site, event: Event, step: Step) -> None:
        for watch in self._on_step:
            watch(site, event, step)

    def carry_out(self, site: Site, step: Step) -> None:
        """Send, fetch, set timers and start work; the records of the step are durable already."""
        for send in step.send:
            self._send(site, send)
        for fetch in step.fetch:
            self.fetch(site, fetch, self._deliver)
        for timer in step.timers:
            self.clock.after(timer.after_ms, self._deliver, site, site.boots, TimerFired(timer.key))
        for work in step.work:
            self.start_work(site, work, self._deliver)

    @staticmethod
    def _crash_point_of(site: Site, step: Step) -> CrashPoint | None:
        """Return the site's crash point, if it is to crash at this step."""
        point = site.crash_point
        if point is None or not (point.record is None or point.record in {type(one).__name__ for one in step.persist}):
            return None
        site.crash_point = replace(point, skip=point.skip - 1) if point.skip else None
        return None if point.skip else point

    def _crash_at(self, site: Site, event: Event, step: Step, point: CrashPoint) -> None:
        """Crash at a step. Observers are shown the records that survive, because a restart goes on from these."""
        kept = 0 if point.moment == "before" else len(step.persist)
        if point.moment == "during":
            kept = self.random.randint(0, kept)
        site.disk.write(step.persist)
        site.disk.crash(kept)
        if kept:
            self._show(site, event, Step(persist=step.persist[:kept]))
        if point.moment == "sending":
            for send in step.send[: (1 + len(step.send)) // 2]:
                self._send(site, send)
        self.crash(site, point.down_ms)

    def _see_whether_done(self) -> None:
        self._is_done = all(self.goal(site) for site in self.sites if site.is_honest)
        if self._is_done:
            self.clock.stop()

    # -- sending

    def known(self, envelope: bytes) -> Verified | None:
        """Return a message as every receiver would verify it; None for an invalid one.

        It is verified once only, since all receivers come to the same result.
        """
        if envelope not in self._known:
            if len(self._known) >= MAX_KNOWN_ENVELOPES:
                self._known.clear()
            found = verify(envelope, self.federation)
            self._known[envelope] = None if isinstance(found, Rejected) else found
        return self._known[envelope]

    def _send(self, site: Site, send: Send) -> None:
        if site.node is None:
            return
        message = self.known(send.envelope)
        if message is None:
            return
        bare = Received(message)
        for key in site.node.audience if send.to is None else (send.to,):
            receiver = self.by_key.get(key)
            if receiver is None or receiver is site:
                continue
            if site.adversaries:
                self.transmit_bent(site, receiver, replace(send, to=key))
            else:
                self._transmit(site, receiver, bare, send.blob)

    def transmit_bent(self, site: Site, receiver: Site, send: Send, without: Conduct | None = None) -> None:
        """Send what a liar's strategies make of a message. ``without``: a strategy that is not asked."""
        for bent in bend(self.known, site, receiver, send, without):
            self.transmit(site, receiver, bent)

    def transmit(self, site: Site, receiver: Site, send: Send) -> None:
        """Send what an adversary made, checked as a receiving driver checks it."""
        message = self.known(send.envelope)
        if message is None or (message.sender != site.key and not may_be_passed_on(message.message)):
            return
        if send.blob is None or binds(message, send.blob):
            self._transmit(site, receiver, Received(message), send.blob)

    def _transmit(self, site: Site, receiver: Site, event: Received, blob: bytes | None) -> None:
        """Send a message with its blob, or offer the blob if it is large. ``event``: the message without the blob."""
        message = event.message
        size = len(message.raw)
        if blob is not None:
            blob_bytes = self._charged_bytes(site, receiver, message, blob)
            if blob_bytes > INLINE_BLOB_BYTES:
                site.offer(digest_of(blob), blob)
                blob = None
            else:
                event = Received(message, blob)
                size += blob_bytes
        self._trace.update(b"%d %d %d " % (self.clock.now_ms, site.number, receiver.number) + message.raw[-64:])
        for watch in self._on_send:
            watch(site, receiver, message, blob)
        queue = site.queues.setdefault(receiver.number, Queue())
        has_room = queue.has_room(size)
        self.refused_messages += not has_room
        queue.put(size)
        if self.is_blocked(site.number, receiver.number, message) or not has_room:
            self._lose(site, receiver, queue, size, receiver.boots, event)
        else:
            self._launch(site, receiver, size, False, self._handle, self._lose, queue, size, receiver.boots, event)

    def _launch(
        self,
        source: Site,
        target: Site,
        size: int,
        is_bulk: bool,
        arrived: Callable[..., None],
        lost: Callable[..., None],
        *arguments: Any,
    ) -> None:
        """Send bytes; ``arrived`` or ``lost`` is called with source, target and ``arguments``."""
        path = self.links.path(source.number, target.number)
        if not path or target.node is None:
            lost(source, target, *arguments)
            return
        source.sent_messages += 1
        source.sent_bytes += size
        self._transit.carry(Parcel(path, size, is_bulk, arrived, lost, (source, target, *arguments)))

    @staticmethod
    def _unqueue(source: Site, target: Site, queue: Queue, size: int) -> None:
        queue.take(size)
        if not queue.frames and source.queues.get(target.number) is queue:
            del source.queues[target.number]

    def _lose(self, source: Site, target: Site, queue: Queue, size: int, boot: int, event: Received) -> None:
        self._unqueue(source, target, queue, size)
        for watch in self._on_loss:
            watch(source, target, event.message)

    def _handle(self, source: Site, site: Site, queue: Queue, size: int, boot: int, event: Received) -> None:
        """Deliver a message that arrived, when the site's one event loop has handled those before it."""
        self._unqueue(source, site, queue, size)
        now_us = 1000 * self.clock.now_ms
        begin_us = max(now_us, site.handling_until_us)
        site.handling_until_us = begin_us + int(self.setup.costs.message_us / site.speed)
        if begin_us < now_us + 1000:
            self._deliver(site, boot, event)
        else:
            self.clock.at(begin_us // 1000, self._deliver, site, boot, event)

    def _charged_bytes(self, site: Site, receiver: Site, message: Verified, blob: bytes) -> int:
        """Return the size to charge for a blob to a receiver, in the round that a site is in."""
        if site.node is None:  # it is down, so what it had under way is lost anyway
            return len(blob)
        return self.sizes.blob_bytes(message, site.node.state.committee, receiver.key, blob)

    # -- pulling blobs

    def fetch(self, site: Site, fetch: Fetch, answer: Answer) -> None:
        """Pull a blob over the network and hand it to ``answer``."""
        source = self.by_key.get(fetch.source)
        boot = site.boots
        if source is None or not self._can_pull(site, source):
            self.clock.after(1, answer, site, boot, FetchFailed(fetch, "no link"))
            return
        self._launch(site, source, 64, False, self._serve, self._give_up, boot, fetch, answer)

    def _can_pull(self, site: Site, source: Site) -> bool:
        blocked = self.is_blocked(site.number, source.number, None) or self.is_blocked(source.number, site.number, None)
        return source.node is not None and not blocked and bool(self.links.path(site.number, source.number))

    def _give_up(self, site: Site, source: Site, boot: int, fetch: Fetch, answer: Answer) -> None:
        self.clock.after(FETCH_TIMEOUT_MS, answer, site, boot, FetchFailed(fetch, "the link broke"))

    def _serve(self, site: Site, source: Site, boot: int, fetch: Fetch, answer: Answer) -> None:
        if any(adversary.lets_crawl(site) for adversary in source.adversaries):
            self.clock.after(CRAWL_MS, answer, site, boot, FetchFailed(fetch, "too little progress"))
            return
        data = source.offers.get(fetch.digest)
        if data is None or len(data) != fetch.size_bytes or not self._can_pull(site, source):
            self.clock.after(1, answer, site, boot, FetchFailed(fetch, "not offered"))
            return
        is_false = bool(source.adversaries) and digest_of(data) != fetch.digest
        size = self._charged_bytes(site, site, fetch.message, data)

        def lost(_source: Site, _site: Site) -> None:
            self._give_up(site, source, boot, fetch, answer)

        def arrived(_source: Site, _site: Site) -> None:
            if is_false:  # a driver hashes what it pulled
                answer(site, boot, FetchFailed(fetch, "another blob"))
            else:
                answer(site, boot, Received(fetch.message, data))

        self._launch(source, site, size, True, arrived, lost)

    # -- work

    def start_work(self, site: Site, work: Any, answer: Answer) -> None:
        """Compute a job now, and answer at the time at which the site's processor would be done."""
        charged = self.setup.costs.work_ms(work, self._columns) / site.speed
        begin, end = site.worker(self.clock.now_ms, round(charged))
        for watch in self._on_work:
            watch(site, work.label, begin, end)
        self.clock.at(end, answer, site, site.boots, self._compute(site, work))

    def _compute(self, site: Site, work: Any) -> WorkDone:
        try:
            if isinstance(work, ReadBlocks):
                found = [one for one in site.disk.blocks if one.height >= work.start][:256]
                result: Any = tuple(CertifiedBlock(one.block, one.certificate) for one in found)
            elif isinstance(work, Train):
                result = self._train(site, work)
            else:
                job = work
                for adversary in site.adversaries:
                    job = adversary.bend_work(job)
                result = job.run()
            for adversary in site.adversaries:
                result = adversary.bend_result(work, result)
            return WorkDone(work, result)
        except ValueError as error:  # like the driver: tell the node that the job failed
            return WorkDone(work, error=f"{type(error).__name__}: {error}")

    def _train(self, site: Site, work: Train) -> Contribution:
        return self.setup.trainer.contribute(site.number, work, self.setup.genesis, self.random.randbytes(32))
