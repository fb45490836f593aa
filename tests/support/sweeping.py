"""Federations with random troubles, each made from one seed: sizes, latencies, slow jobs, losses, partitions, crashes.

``python tests/support/sweeping.py SEED`` runs one and prints what happened, message by message. The same seed gives the
same run, in whatever process; :func:`digest` says whether two runs were the same.
"""

import hashlib
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from unittest import mock

from cluster import START_MS, Cluster, Site, make_genesis
from invariants import Watch

from coterie.protocol.events import Leave
from coterie.protocol.messages import envelope
from coterie.protocol.messages.envelope import Verified

TROUBLE_MS = 40_000
"""After so long the network heals and everybody runs again."""

BOUND_MS = 300_000
"""Within so long after that the training must be finished."""


@dataclass(frozen=True)
class Plan:
    """What a seed stands for."""

    seed: int
    peers: int
    late: int
    """How many of them join late."""
    leaves: bool
    scheme: str
    rounds: int
    parameters: int
    slowest_ms: int
    loss: float
    partitions: bool
    crashes: bool
    slowest_work_ms: int

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """Draw a plan."""
        rnd = random.Random(seed)
        peers = rnd.choice((3, 4, 4, 5, 6, 7))
        return cls(
            seed=seed,
            peers=peers,
            late=rnd.choice((0, 0, 1)) if peers > 3 else 0,
            leaves=peers > 4 and rnd.random() < 0.3,
            scheme=rnd.choice(("shamir", "shamir", "shamir", "plain")),
            rounds=rnd.choice((1, 2, 3)),
            parameters=rnd.choice((1, 6, 9)),
            slowest_ms=rnd.choice((5, 50, 400)),
            loss=rnd.choice((0.0, 0.0, 0.02, 0.1)),
            partitions=rnd.random() < 0.4,
            crashes=rnd.random() < 0.7,
            slowest_work_ms=rnd.choice((0, 60, 400)),
        )


class Trouble(Cluster):
    """A cluster that goes through its plan, watched."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        fewest = max(3, plan.peers - plan.late - plan.leaves)
        genesis = make_genesis(
            plan.parameters, rounds=plan.rounds, min_peers=fewest, scheme=plan.scheme, setup_sums=plan.seed % 3
        )
        super().__init__(plan.peers, genesis, plan.seed, (1, plan.slowest_ms), plan.slowest_work_ms)
        self.watch = Watch(self)
        check, self.before_send = self.before_send, self._maybe_crash
        self._check = check
        self._lonely: set[int] = set()
        self._started: set[int] = set()
        self._gone: set[int] = set()
        self.crashes = self.lost = 0
        self.drop = self._lose

    @property
    def troubled(self) -> bool:
        """Whether the bad time lasts."""
        return self.now_ms < START_MS + TROUBLE_MS

    def go(self) -> None:
        """Run it all. AssertionError where an invariant breaks or the training does not finish."""
        plan = self.plan
        early = range(plan.peers - plan.late)
        self._started |= set(early)
        self.start(*early)
        if plan.late:
            self.at(self.random.randint(100, 8_000), self._join_late)
        if plan.leaves:
            self.at(self.random.randint(500, 8_000), self._leave)
        if plan.partitions:
            self.at(self.random.randint(10, 3_000), self._part)
        if plan.crashes:
            self.at(self.random.randint(10, 4_000), self._crash_or_start)
        self.at(TROUBLE_MS, self._heal)
        self.run(self._is_over, TROUBLE_MS + BOUND_MS)

    def _is_over(self) -> bool:
        # Whoever leaves is no member any more; it need not see the end.
        stay = [site for site in self.sites if site.number not in self._gone]
        return all(site.node is not None and site.node.state.phase == "finished" for site in stay)

    # Troubles.

    def _lose(self, sender: Site, receiver: Site, message: Verified) -> bool:
        apart = (sender.number in self._lonely) != (receiver.number in self._lonely)
        lost = self.troubled and (apart or self.random.random() < self.plan.loss)
        self.lost += lost
        return lost

    def _part(self) -> None:
        """Cut some off from the others, or let them come together."""
        if not self.troubled:
            return
        numbers = range(self.plan.peers)
        self._lonely = set(self.random.sample(numbers, self.random.randint(0, self.plan.peers // 2)))
        self.at(self.random.randint(50, 5_000), self._part)

    def _crash_or_start(self) -> None:
        if not self.troubled:
            return
        up = [site.number for site in self.running()]
        down = [number for number in sorted(self._started) if self.sites[number].node is None]
        if self.random.random() < 0.03:
            for number in up:
                self.crashes += 1
                self.crash(number)
                self.at(self.random.randint(10, 3_000), lambda n=number: self._start_again(n))
        elif down and self.random.random() < 0.6:
            self.start(self.random.choice(down))
        elif up and len(down) < max(1, (self.plan.peers - 1) // 3 + (self.random.random() < 0.2)):
            self.crashes += 1
            self.crash(self.random.choice(up))
        self.at(self.random.randint(50, 6_000), self._crash_or_start)

    def _maybe_crash(self, site: Site, send: object) -> None:
        """Now and then a peer is killed after its records are durable and before all of its messages are out."""
        self._check(site, send)  # type: ignore[arg-type]
        if self.plan.crashes and self.troubled and self.random.random() < 0.001:
            self.crashes += 1
            self.crash(site.number)
            self.at(self.random.randint(10, 3_000), lambda: self._start_again(site.number))

    def _start_again(self, number: int) -> None:
        if self.sites[number].node is None:
            self.start(number)

    def _join_late(self) -> None:
        self._started.add(self.plan.peers - 1)
        self._start_again(self.plan.peers - 1)

    def _leave(self) -> None:
        site = self.sites[1]
        if site.node is None or not site.node.ctx.is_member:
            if self.troubled:
                self.at(1_000, self._leave)
            return
        self._gone.add(1)
        self.hand_in(1, Leave())

    def _heal(self) -> None:
        self._lonely.clear()
        for site in self.sites:
            self._started.add(site.number)
            self._start_again(site.number)


def run(seed: int) -> Trouble:
    """Run one seed; a failure says which, and how to see it again."""
    trouble = Trouble(Plan.of(seed))
    once = lru_cache(maxsize=2**15)(envelope.verify_signature)  # not again for every receiver
    try:
        with mock.patch.object(envelope, "verify_signature", once):
            trouble.go()
    except Exception as error:
        again = f"python tests/support/sweeping.py {seed}"
        raise AssertionError(f"seed {seed}: {error}\n{trouble.plan}\nsee it again with: {again}") from error
    return trouble


def digest(trouble: Trouble) -> str:
    """Stands for everything that was said, written down and told."""
    told = [(site.number, notice.kind, notice.text) for site in trouble.sites for notice in site.notices]
    written = [repr(record) for site in trouble.sites for record in site.disk.records]
    whole = (trouble.trace.hexdigest(), trouble.now_ms, told, written)
    return hashlib.sha256(repr(whole).encode()).hexdigest()


def tell(seed: int) -> None:
    """Run one seed and print it, to the end or to where it breaks."""
    from transcript import Transcript

    trouble = Trouble(Plan.of(seed))
    print(trouble.plan)
    checks = trouble.before_send, trouble.after_step
    transcript = Transcript(trouble)
    trouble.before_send = both(trouble.before_send, checks[0])
    trouble.after_step = both(trouble.after_step, checks[1])
    try:
        trouble.go()
    finally:
        print(transcript.text())


def both(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    """One after the other."""

    def act(*given: object) -> None:
        first(*given)
        second(*given)

    return act


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        if sys.argv[-1] != "digest":
            tell(int(argument))
        elif argument != "digest":
            print(digest(run(int(argument))))
