"""How many peers may die: the same federation again and again, each time with more of them dead."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import networkx as nx

from ..protocol.ledger.committee import Committee
from .faults.faults import Outage
from .network.graphs import fill, make, peers_of
from .options import Options, simulate

__all__ = ["MANY_PEERS", "Trial", "resilience"]

MANY_PEERS: Final = 30
"""Federations with more peers than this count as large."""

ROUNDS: Final = 4
DEAD_AT_MS: Final = 100
"""When peers die: early in the first round, when all are members and none has dealt."""

PATIENCE_MS: Final = 10_000
"""Virtual time for a round on average, beside its training; rounds for which no time is left count as not decided."""

BEYOND_F: Final = 2
"""How many dead peers beyond f are tried, to see the failure."""

MOST_RUNS: Final = 16
"""Most runs of a small federation; of a large one half as many."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run with some peers dead from the beginning."""

    dead: int
    names: tuple[str, ...]
    decided: int
    rounds: int
    seconds: float | None
    """Median seconds of a decided round."""

    @property
    def share(self) -> float:
        """Share of the rounds that were decided."""
        return self.decided / self.rounds


def resilience(
    graph: nx.Graph | None = None,
    options: Options | None = None,
    trials: int = 2,
    progress: Callable[[Trial], None] | None = None,
) -> tuple[Trial, ...]:
    """Simulate with 0, 1, 2, ... dead peers, up to two more than f, each number ``trials`` times with different peers.

    Each run is short, with ideal shares and without churn, partitions or liars, so that it shows the effect of the dead
    peers alone. In a large federation not every number is tried.

    >>> [trial.share for trial in resilience(options=Options(topology="complete", peers=4), trials=1)]
    [1.0, 1.0, 0.0, 0.0]

    Args:
        graph: as for :func:`.options.simulate`, and it raises the same errors.
        options: of the federation; those of the faults are not used.
        trials: runs for each number of dead peers; without dead peers there is one.
        progress: called with each run when it has ended.
    """
    options = options or Options()
    if graph is None:
        graph = make(options.topology, options.peers, options.seed, options.links, options.degree)
    else:
        graph = fill(graph, options.seed, options.links)
    names = [str(label) for label in peers_of(graph)]
    bearable = Committee(tuple(number.to_bytes(2, "big") for number in range(len(names)))).f
    short = replace(
        options,
        rounds=ROUNDS,
        ideal_crypto=True,
        learn="",
        skew=0.0,
        churn=0.0,
        flapping=0.0,
        byzantine=(),
        partition="",
        limit_ms=ROUNDS * (PATIENCE_MS + round(options.train_ms)),
    )
    found = []
    for dead in _counts(bearable, len(names), trials):
        for trial in range(trials if dead else 1):
            chosen = tuple(sorted(random.Random(f"dead {options.seed} {dead} {trial}").sample(names, dead)))
            outages = tuple(Outage(name, DEAD_AT_MS, None) for name in chosen)
            result = simulate(graph, options=replace(short, outages=outages))
            found.append(Trial(dead, chosen, result.decided, ROUNDS, result.seconds(0.5)))
            if progress is not None:
                progress(found[-1])
    return tuple(found)


def _counts(bearable: int, peers: int, trials: int) -> Sequence[int]:
    """Return the numbers of dead peers to try: all, or in a large federation some, but always f and the next ones."""
    most = min(bearable + BEYOND_F, peers - 1)
    runs = MOST_RUNS if peers <= MANY_PEERS else MOST_RUNS // 2
    if (most + 1) * trials <= runs:
        return range(most + 1)
    few = max(2, runs // trials - BEYOND_F)
    return sorted({round(bearable * place / (few - 1)) for place in range(few)} | set(range(bearable, most + 1)))
