"""A small federation in the simulator, for tests that steer it: every message can be dropped or changed on its way.

The nodes, the network, the disks and the time are those of :mod:`coterie.topology.engine`. Any two peers have a link;
a message takes a random number of milliseconds. The same seed gives the same run. Tests bend it through the hooks
``drop``, ``tamper``, ``before_send``, ``after_step`` and ``crash``.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
from members import START_MS, identity, make_genesis

from coterie.crypto.identity.identity import Identity
from coterie.protocol.events import Event, Notice, PeerUp, Received, Send, Step, WorkDone
from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.ledger.contribution import metrics_of
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.ledger.tickets import Invite, make_invite, read_invite
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.node import Newcomer, Node
from coterie.protocol.records import Memory, ModelSaved, Record
from coterie.topology.engine import disk, site
from coterie.topology.engine.costs import Costs
from coterie.topology.engine.founded_ledger import found
from coterie.topology.engine.simulation import BEAT_MS, Observer, Setup, Simulation
from coterie.topology.engine.sizes import binds

__all__ = ["Cluster", "Disk", "Site"]


class Disk(disk.Disk):
    """A disk that also keeps every record that was ever durable, in order, for tests to read."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        super().__init__()
        self._records: list[Record] = []
        self.found: Memory | None = None
        """What the next start finds instead."""
        self.keep(*records)

    @property
    def records(self) -> list[Record]:
        """Every record, in order. To set them is to put another disk in."""
        return self._records

    @records.setter
    def records(self, records: Iterable[Record]) -> None:
        Disk.__init__(self, list(records))

    def keep(self, *records: Record) -> None:
        """Make records durable."""
        self.write(records)
        self.sync()

    def sync(self) -> None:
        self._records.extend(self._unsynced)
        super().sync()

    def load(self) -> Memory:
        memory, self.found = self.found, None
        return memory or super().load()


@dataclass(slots=True, eq=False)
class Site(site.Site):
    """One peer, with what it told its operator, and how it trains."""

    disk: Disk
    notices: list[Notice] = field(default_factory=list)
    train: Callable[[Train], Contribution] | None = None
    is_liar: bool = False

    @property
    def is_honest(self) -> bool:
        """Whether it is looked at; the hooks of a cluster count as no lies."""
        return not self.is_liar

    def kinds(self) -> list[str]:
        """Kinds of the notices so far."""
        return [notice.kind for notice in self.notices]

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """Facts of the notices of one kind."""
        return [notice.facts for notice in self.notices if notice.kind == kind]


class _Hooks(site.Conduct):
    """What a test does with the messages of a site."""

    def __init__(self, cluster: "Cluster", own: Site) -> None:
        self.cluster, self.own = cluster, own
        self._sent = b""

    def bend_send(self, receiver: Any, message: Verified, send: Send) -> Iterable[Send]:
        if send.envelope is not self._sent:
            self._sent = send.envelope
            self.cluster.before_send(self.own, send)
        if self.own.node is None:
            return ()  # killed after its records were durable, before all was sent
        sent = self.cluster.tamper(self.own, receiver, send)
        return () if sent is None else (self.cluster.as_taken(sent),)


class _Told(Observer):
    """Keeps what each site tells its operator."""

    def on_step(self, site: Any, event: Event, step: Step) -> None:
        site.notices.extend(step.notify)


class _World(Simulation):
    """The simulator, with sites of tests and a hook after each step."""

    cluster: "Cluster"

    def _make_sites(self, graph: nx.Graph) -> list[Any]:
        return [Site(number, number, identity(number), Disk()) for number in graph]

    def hand_in(self, site: Any, event: Event) -> None:
        super().hand_in(site, event)
        self.cluster.after_step(site)
        if self.cluster.awaited():
            self.clock.stop()

    def _compute(self, site: Any, work: Any) -> WorkDone:
        return self.cluster.compute(site, work)

    def computed(self, site: Any, work: Any) -> WorkDone:
        """Do a job. Every exception is told to the node, as the driver does."""
        try:
            return super()._compute(site, work)
        except Exception as error:
            return WorkDone(work, error=f"{type(error).__name__}: {error}")


class _RandomCosts(Costs):
    """Jobs take a random time up to a bound; to handle a message takes none."""

    def __init__(self, rng: random.Random, slowest_ms: int) -> None:
        super().__init__(message_us=0.0)
        object.__setattr__(self, "_random", rng)
        object.__setattr__(self, "_slowest_ms", slowest_ms)

    def work_ms(self, work: Any, columns: int) -> float:
        slowest: int = self._slowest_ms  # type: ignore[attr-defined]
        return self._random.randint(0, slowest) if slowest else 0  # type: ignore[attr-defined]


class Cluster:
    """Peers 0 to n-1 in the simulator."""

    def __init__(
        self,
        peers: int,
        genesis: Genesis | None = None,
        seed: int = 0,
        latency_ms: tuple[int, int] = (1, 20),
        slowest_work_ms: int = 0,
        is_founded: bool = False,
    ) -> None:
        """``is_founded``: all peers are members from the start; otherwise all but peer 0 ask to be admitted."""
        self.genesis = genesis or make_genesis()
        self.random = random.Random(seed)
        self.latency_ms = latency_ms
        self.drop: Callable[[Site, Site, Verified], bool] = lambda sender, receiver, message: False
        self.tamper: Callable[[Site, Site, Send], Send | None] = lambda sender, receiver, send: send
        self.before_send: Callable[[Site, Send], None] = lambda sender, send: None
        self.after_step: Callable[[Site], None] = lambda site: None
        self.awaited: Callable[[], bool] = lambda: False
        """What the current :meth:`run` waits for."""
        self.invite: Invite | None = None
        self.log: list[tuple[int, int, int, Verified]] = []
        weights = np.zeros(self.genesis.parameters, dtype="<f4").tobytes()
        costs = _RandomCosts(self.random, slowest_work_ms)
        setup = Setup(
            self.genesis,
            weights,
            seed,
            is_founded=is_founded,
            costs=costs,
            node=self._make_node,
            trainer=_Training(self),
        )
        self.simulation = _World(_mesh(peers, latency_ms), setup)
        self.simulation.cluster = self
        self.simulation.blocked = self._is_lost
        self.simulation.watch(_Told())
        self.simulation.clock.after(BEAT_MS, self.simulation._beat)
        self.sites: list[Site] = self.simulation.sites  # type: ignore[assignment]
        self.by_key = {one.key: one for one in self.sites}
        for one in self.sites:
            one.adversaries = (_Hooks(self, one),)
        admitting = found(self.genesis, [one.identity for one in self.sites]) if is_founded else []
        for one in self.sites if is_founded else self.sites[:1]:
            one.disk.keep(*admitting, ModelSaved(self.genesis.weights_hash, weights))
        if self.genesis.admit == "invite":
            token = make_invite(identity(0), self.genesis.federation, bytes(range(32)), START_MS + 10**9, 100)
            self.invite = read_invite(token)

    def _make_node(self, own: Identity, genesis: Genesis, memory: Memory, _newcomer: Newcomer) -> Node:
        number = next(one.number for one in self.sites if one.identity is own)
        return Node(own, genesis, memory, Newcomer(f"peer {number}", genesis.model, self.invite))

    def _is_lost(self, source: int, target: int, message: Verified | None) -> bool:
        if message is None:
            return False
        if self.drop(self.sites[source], self.sites[target], message):
            return True
        self.log.append((self.now_ms, source, target, message))
        return False

    # The clock.

    @property
    def now_ms(self) -> int:
        """The time."""
        return self.simulation.clock.now_ms

    @property
    def trace(self) -> str:
        """A hash over all that was sent."""
        return self.simulation.trace

    def at(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Schedule an action."""
        self.simulation.clock.after(delay_ms, action)

    def run(self, until: Callable[[], bool], limit_ms: int = 120_000) -> None:
        """Run until the condition holds; AssertionError if it does not within the limit of virtual time."""
        end = self.now_ms + limit_ms
        self.awaited = until
        while not until():
            self.simulation.clock.run(end)
            assert until() or self.now_ms < end, f"nothing came of it: {self.summary()}"
        self.awaited = lambda: False

    def run_for(self, duration_ms: int) -> None:
        """Run for a span of virtual time."""
        self.simulation.run_for(duration_ms)

    def summary(self) -> str:
        """Where everybody stands."""
        return "; ".join(
            f"{one.number}: h{node.state.height} r{node.state.round} {node.state.phase} v{node.view}"
            for one in self.sites
            if (node := one.node)
        )

    # Peers.

    def start(self, *numbers: int, memory: Memory | None = None) -> None:
        """Start peers (all by default) from their disks and connect them to everybody that runs."""
        for number in numbers or range(len(self.sites)):
            one = self.sites[number]
            if one.node is not None:
                self.crash(number)
            one.disk.found, one.outages = memory, 0
            self.simulation.start(one)
            for other in self.running():
                if other is not one:
                    for here, there in ((one, other), (other, one)):
                        self.at(self.random.randint(*self.latency_ms), partial(self._see, here, there))

    def _see(self, here: Site, there: Site) -> None:
        """One peer's failure detector sees another at once, and not all of them when the simulator looks."""
        if here.node is not None and there.node is not None and there.number not in here.sees:
            here.sees.add(there.number)
            self.simulation.hand_in(here, PeerUp(there.key))

    def crash(self, number: int) -> None:
        """kill -9: whatever was not persisted is gone; messages under way to it are lost."""
        self.simulation.crash(self.sites[number], None)

    def running(self) -> list[Site]:
        """The peers that run."""
        return [one for one in self.sites if one.node is not None]

    def all_at(self, phase: str) -> bool:
        """Whether every running peer's ledger is in this phase."""
        return all(one.node is not None and one.node.state.phase == phase for one in self.running())

    def compute(self, site: Site, work: Any) -> WorkDone:
        """Do a job of a site."""
        return self.simulation.computed(site, work)

    def say(self, site: Site, send: Send) -> None:
        """Send a message as if a site's node had asked for it."""
        self.simulation.carry_out(site, Step(send=(send,)))

    def as_taken(self, send: Send) -> Send:
        """The message without its blob if the blob does not belong to it: a driver refuses the two together."""
        message = self.simulation.known(send.envelope)
        is_bound = send.blob is None or message is None or binds(message, send.blob)
        return send if is_bound else replace(send, blob=None)

    def transmit(self, site: Site, receiver: Site, send: Send) -> None:
        """Send a message past the site's node and the hooks, if a receiving driver would take it from that site."""
        self.simulation.transmit(site, receiver, self.as_taken(send))

    def hand_in(self, number: int, event: Event) -> None:
        """Hand an event to a peer, as its driver does. Observers see a message as if its author had sent it."""
        site = self.sites[number]
        author = self.by_key.get(event.message.sender) if isinstance(event, Received) else None
        if isinstance(event, Received) and author is not None:
            for watch in self.simulation._on_send:
                watch(author, site, event.message, event.blob)
        self.simulation.hand_in(site, event)


class _Training:
    """Trains for all sites: each as its test says, or with a vector that is the same for all."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def contribute(self, site: int, work: Train, genesis: Genesis, entropy: bytes) -> Contribution:
        train = self.cluster.sites[site].train
        return _flat(genesis, work, entropy) if train is None else train(work)


def _flat(genesis: Genesis, work: Train, entropy: bytes) -> Contribution:
    if work.kind == "setup":
        return Contribution(10, tuple(1.5 for _ in range(genesis.setup_sums)), entropy)
    metrics = tuple(2.5 for _ in metrics_of(genesis, work.kind))
    update = np.full(genesis.parameters, 0.25, dtype=np.float32) if work.kind == "train" else None
    return Contribution(10, (4.0, 8.0, *metrics), entropy, update)


def _mesh(peers: int, latency_ms: tuple[int, int]) -> nx.Graph:
    least, most = latency_ms
    graph = nx.complete_graph(peers)
    nx.set_node_attributes(graph, 1.0, "speed")
    link = {"latency_ms": least, "jitter_ms": most - least, "bandwidth_mbit": 1e6, "loss": 0.0}
    for one, other in graph.edges:
        graph.edges[one, other].update(link)
    return graph
