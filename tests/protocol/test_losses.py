"""Honest federations that lose single messages, which no network of the simulator does: they finish, and all holds.

A connection of TCP loses its last messages only, with itself. A node does not rely on that. Beside the losses peers are
killed and started again, also between two messages of one step. A failure names its seed.
"""

import random

import pytest
from cluster import Cluster, Site
from members import START_MS, make_genesis
from watch import Watch

from coterie.protocol.events import Send
from coterie.protocol.messages.envelope import Verified

TROUBLE_MS = 40_000
"""After so long nothing is lost any more, and everybody runs again."""

BOUND_MS = 300_000
"""Within so long after that the training must be finished."""


class Lossy(Cluster):
    """A federation whose size, latencies, losses and crashes follow from a seed."""

    def __init__(self, seed: int) -> None:
        drawn = random.Random(seed)
        peers, self.loss = drawn.choice((3, 4, 4, 5, 6, 7)), drawn.choice((0.02, 0.1))
        scheme = drawn.choice(("shamir", "shamir", "shamir", "plain"))
        genesis = make_genesis(rounds=drawn.choice((1, 2)), min_peers=peers, scheme=scheme, setup_sums=seed % 3)
        super().__init__(peers, genesis, seed, (1, drawn.choice((5, 50, 400))), drawn.choice((0, 60, 400)))
        self.watch = Watch(self)
        self.lost = self.crashes = 0
        self.drop, self.before_send = self._loses, self._may_crash

    @property
    def is_troubled(self) -> bool:
        """Whether the bad time lasts."""
        return self.now_ms < START_MS + TROUBLE_MS

    def _loses(self, sender: Site, receiver: Site, message: Verified) -> bool:
        is_lost = self.is_troubled and self.random.random() < self.loss
        self.lost += is_lost
        return is_lost

    def _may_crash(self, site: Site, send: Send) -> None:
        if self.is_troubled and self.random.random() < 0.002:
            self.crashes += 1
            self.crash(site.number)
            self.at(self.random.randint(10, 3_000), lambda: None if site.node else self.start(site.number))

    def go(self) -> None:
        """Run it all."""
        self.start()
        self.run(lambda: len(self.running()) == len(self.sites) and self.all_at("finished"), TROUBLE_MS + BOUND_MS)


def run(seed: int) -> Lossy:
    """Run one seed; a failure says which."""
    lossy = Lossy(seed)
    try:
        lossy.go()
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return lossy


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_whatever_is_lost_the_invariants_hold_and_the_training_finishes(first: int) -> None:
    runs = [run(seed) for seed in range(first, first + 10)]
    assert sum(one.lost for one in runs) > 100
    assert sum(one.crashes for one in runs) > 5
    assert sum(one.watch.models for one in runs) >= 10


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1_000, 3_000, 50))
def test_whatever_is_lost_the_invariants_hold_and_the_training_finishes_soak(first: int) -> None:
    for seed in range(first, first + 50):
        run(seed)


def test_a_seed_is_one_run() -> None:
    assert run(3).trace == run(3).trace != run(4).trace
