"""Honest federations that lose single messages, which no network of the simulator does: they finish, and all holds.

A connection of TCP loses its last messages only, with itself. A node does not rely on that. Beside the losses, peers
are killed and started again, also between two messages of one step; some are cut off for a while; one joins late; one
leaves. A failure names its seed, and ``run(seed)`` is the same run again.
"""

import random
from collections import Counter
from dataclasses import dataclass, fields

import pytest
from cluster import Cluster, Site
from members import START_MS, make_genesis
from watch import Watch

from coterie.protocol.events import Leave, Send
from coterie.protocol.messages.envelope import Verified

TROUBLE_MS = 40_000
"""After so long nothing is lost any more, and everybody runs again."""

BOUND_MS = 300_000
"""Within so long after that the training must be finished."""

BLOCK = 12
"""Seeds that one test runs, so that a failure leaves the others to run."""

DEFAULT, SOAK = range(48), range(1_000, 9_004)

LEAVER = 1
"""The peer that leaves, where one does."""


@dataclass(frozen=True)
class Plan:
    """What a seed stands for."""

    peers: int
    joins_late: bool
    """Whether the last peer joins when the others have begun."""
    leaves: bool
    scheme: str
    rounds: int
    parameters: int
    setup_sums: int
    slowest_ms: int
    slowest_work_ms: int
    loss: float
    partitions: bool
    crashes: bool

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """Draw a plan."""
        drawn = random.Random(seed)
        peers = drawn.choice((3, 4, 4, 5, 6, 7))
        return cls(
            peers=peers,
            joins_late=peers > 3 and drawn.random() < 0.4,
            leaves=peers > 3 and drawn.random() < 0.4,
            scheme=drawn.choice(("shamir", "shamir", "shamir", "plain")),
            rounds=drawn.choice((1, 2, 3)),
            parameters=drawn.choice((1, 6, 9)),
            setup_sums=seed % 3,
            slowest_ms=drawn.choice((5, 50, 400)),
            slowest_work_ms=drawn.choice((0, 60, 400)),
            loss=drawn.choice((0.02, 0.1)),
            partitions=drawn.random() < 0.4,
            crashes=drawn.random() < 0.7,
        )


class Lossy(Cluster):
    """A federation that goes through the plan of its seed, watched."""

    def __init__(self, seed: int) -> None:
        self.plan = plan = Plan.of(seed)
        fewest = max(3, plan.peers - plan.joins_late - plan.leaves)
        genesis = make_genesis(
            plan.parameters, rounds=plan.rounds, min_peers=fewest, scheme=plan.scheme, setup_sums=plan.setup_sums
        )
        super().__init__(plan.peers, genesis, seed, (1, plan.slowest_ms), plan.slowest_work_ms)
        self.watch = Watch(self)
        self.lost = self.crashes = self.cuts = 0
        self.has_left = False
        self._lonely: set[int] = set()
        """The peers that are cut off from the others, and not from each other."""
        self._arrived = {site.number for site in self.sites}
        self.drop, self.before_send = self._loses, self._may_crash

    @property
    def is_troubled(self) -> bool:
        """Whether the bad time lasts."""
        return self.now_ms < START_MS + TROUBLE_MS

    def go(self) -> None:
        """Run it all."""
        plan = self.plan
        if plan.joins_late:
            self._arrived.remove(plan.peers - 1)
            self.at(self.random.randint(100, 8_000), self._join)
        self.start(*sorted(self._arrived))
        if plan.leaves:
            self.at(self.random.randint(500, 8_000), self._leave)
        if plan.partitions:
            self.at(self.random.randint(10, 3_000), self._cut)
        if plan.crashes:
            self.at(self.random.randint(10, 4_000), self._crash_or_start)
        self.at(TROUBLE_MS, self._heal)
        self.run(self._is_over, TROUBLE_MS + BOUND_MS)

    def _is_over(self) -> bool:
        # A peer that has left is no member any more: it need not see the end.
        stay = [site for site in self.sites if not (self.has_left and site.number == LEAVER)]
        return all(site.node is not None and site.node.state.phase == "finished" for site in stay)

    # Troubles.

    def _loses(self, sender: Site, receiver: Site, message: Verified) -> bool:
        is_apart = (sender.number in self._lonely) != (receiver.number in self._lonely)
        is_lost = self.is_troubled and (is_apart or self.random.random() < self.plan.loss)
        self.lost += is_lost and not is_apart
        return is_lost

    def _cut(self) -> None:
        """Cut some off from the others, or let them come together."""
        if self.is_troubled:
            self._lonely = set(self.random.sample(range(self.plan.peers), self.random.randint(0, self.plan.peers // 2)))
            self.cuts += bool(self._lonely)
            self.at(self.random.randint(50, 5_000), self._cut)

    def _may_crash(self, site: Site, send: Send) -> None:
        """Kill a peer now and then after its records are durable, and before all of its messages are out."""
        if self.plan.crashes and self.is_troubled and self.random.random() < 0.002:
            self._kill_for_a_while(site.number)

    def _crash_or_start(self) -> None:
        """Kill one peer or all, or start one that is down; mostly no more than f are down."""
        if not self.is_troubled:
            return
        up = [site.number for site in self.running()]
        down = [number for number in sorted(self._arrived) if self.sites[number].node is None]
        if self.random.random() < 0.03:
            for number in up:
                self._kill_for_a_while(number)
        elif down and self.random.random() < 0.6:
            self.start(self.random.choice(down))
        elif up and len(down) < max(1, (self.plan.peers - 1) // 3 + (self.random.random() < 0.2)):
            self._kill(self.random.choice(up))
        self.at(self.random.randint(50, 6_000), self._crash_or_start)

    def _kill(self, number: int) -> None:
        self.crashes += 1
        self.crash(number)

    def _kill_for_a_while(self, number: int) -> None:
        self._kill(number)
        self.at(self.random.randint(10, 3_000), lambda: self._start_again(number))

    def _start_again(self, number: int) -> None:
        if self.sites[number].node is None:
            self.start(number)

    def _join(self) -> None:
        self._arrived.add(self.plan.peers - 1)
        self._start_again(self.plan.peers - 1)

    def _leave(self) -> None:
        """Let a peer leave that is a member; otherwise try again."""
        node = self.sites[LEAVER].node
        if node is not None and node.ctx.is_member:
            self.has_left = True
            self.hand_in(LEAVER, Leave())
        elif self.is_troubled:
            self.at(1_000, self._leave)

    def _heal(self) -> None:
        self._lonely.clear()
        for site in self.sites:
            self._start_again(site.number)


def run(seed: int) -> Lossy:
    """Run one seed; a failure says which."""
    lossy = Lossy(seed)
    try:
        lossy.go()
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}\n{lossy.plan}") from error
    return lossy


@pytest.mark.parametrize("first", DEFAULT[::BLOCK])
def test_whatever_is_lost_the_invariants_hold_and_the_training_finishes(first: int) -> None:
    runs = [run(seed) for seed in range(first, first + BLOCK)]
    assert sum(one.lost for one in runs) > 100
    assert sum(one.crashes for one in runs) > 10
    assert sum(one.cuts for one in runs) > 10
    assert sum(one.watch.models for one in runs) > 20
    assert any(one.has_left for one in runs)


@pytest.mark.soak
@pytest.mark.parametrize("first", SOAK[::BLOCK])
def test_whatever_is_lost_the_invariants_hold_and_the_training_finishes_soak(first: int) -> None:
    for seed in range(first, first + BLOCK):
        run(seed)


def test_the_seeds_are_as_troubled_as_they_say() -> None:
    plans = [Plan.of(seed) for seed in DEFAULT]
    for field in fields(Plan):
        counts = Counter(getattr(plan, field.name) for plan in plans)
        assert len(counts) > 1, field.name
        assert min(counts.values()) >= 4, field.name
    assert any(plan.joins_late and plan.leaves and plan.partitions and plan.crashes for plan in plans)


def test_a_seed_is_one_run() -> None:
    assert run(3).trace == run(3).trace != run(4).trace
