"""What if the server dies? And what if there is none?

Eight sites learn to read digits, each with rows of its own, twice over the same links: once with plain averaging
through a server (a small baseline that is written out below), and once as a federation without one. Four seconds after
the start something goes wrong. The server is killed for good; or the aggregator is, in the middle of the first round
after that; or the founder goes for good; or the network splits for nine seconds, into two halves or so that two sites
are cut off.

The longest pause is the longest time between two models, or since the last one if none follows. All is played in
virtual time, with seeds.

Run: python examples/no_server.py [--out FILE.png] [--rounds N]
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from telling import arguments, picture, table

from coterie.protocol.events import Event, Step
from coterie.protocol.jobs import Train
from coterie.protocol.ledger.phases import Phase
from coterie.topology import Options
from coterie.topology.engine.founded_ledger import make_genesis
from coterie.topology.engine.learning import Learning
from coterie.topology.engine.simulation import Observer, Simulation
from coterie.topology.engine.site import Site
from coterie.topology.faults.faults import Outage
from coterie.topology.faults.partitions import CUT_MS, Partition
from coterie.topology.network.clock import START_MS, Clock
from coterie.topology.network.graphs import make
from coterie.topology.options import build
from coterie.topology.reporting.pictures import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED
from coterie.topology.reporting.result import result_of

SITES, SKEW, WRONG_AT_MS, LIMIT_MS, SEED = 8, 0.9, 4_000, 60_000, 3
OPTIONS = Options(topology="complete", peers=SITES, learn="digits", skew=SKEW, seed=SEED, limit_ms=LIMIT_MS)


@dataclass
class Course:
    """How a run went: when each round ended, in seconds, and the accuracy of each model with when it was there."""

    ended: list[float] = field(default_factory=list)
    accuracy: list[tuple[float, float]] = field(default_factory=list)

    def row(self, rounds: int) -> tuple[str, ...]:
        """What the table says of it."""
        until = [] if len(self.ended) == rounds else [LIMIT_MS / 1000]
        pause = max(b - a for a, b in zip([0.0, *self.ended], [*self.ended, *until], strict=False))
        reached = f"{100 * self.accuracy[-1][1]:.1f} %"
        return f"{len(self.ended)} of {rounds}", reached, f"{pause:.1f}", "never" if until else f"{self.ended[-1]:.1f}"


class Baseline:
    """Plain averaging through a server at site 0: it sends the weights to all, waits for all, and takes the mean."""

    def __init__(self, rounds: int, killed_at_ms: int | None) -> None:
        self.learning, self.clock, self.course = Learning("digits", SITES, SKEW, SEED), Clock(), Course()
        self.genesis, self.weights = make_genesis(self.learning.parameters, SITES, metrics=("accuracy",))
        self.rounds, self.random = rounds, np.random.default_rng(SEED)
        self.graph = make(OPTIONS.topology, SITES, SEED, OPTIONS.links)
        if killed_at_ms is not None:
            self.clock.after(killed_at_ms, self.clock.stop)
        self.clock.after(0, self.begin)
        self.clock.run(START_MS + LIMIT_MS)

    def way_ms(self, site: int) -> int:
        """How long the weights take from the server to a site, or an update takes back."""
        link = self.graph.edges[0, site] if site else {"latency_ms": 0, "bandwidth_mbit": np.inf}
        return round(link["latency_ms"] + len(self.weights) * 8 / 1000 / link["bandwidth_mbit"])

    def begin(self) -> None:
        """Begin a round: every site trains and measures, and the slowest one decides how long it takes."""
        if len(self.course.ended) == self.rounds:
            return
        work = Train(len(self.course.ended) + 1, "train", self.weights, None)
        given = [self.learning.contribute(site, work, self.genesis, self.random.bytes(32)) for site in range(SITES)]
        tested, _, right = np.sum([one.sums for one in given], axis=0)
        self.course.accuracy.append((self.clock.elapsed_ms / 1000, right / tested))
        mean = np.average([one.update for one in given], axis=0, weights=[one.examples for one in given])
        slowest = max(2 * self.way_ms(site) for site in range(SITES)) + round(OPTIONS.train_ms)
        self.clock.after(slowest, self.end, mean.astype("<f4"))

    def end(self, mean: np.ndarray) -> None:
        """Take the mean, and go on."""
        self.weights = (np.frombuffer(self.weights, "<f4") + mean).tobytes()
        self.course.ended.append(self.clock.elapsed_ms / 1000)
        self.begin()


class Split(Partition):
    """The first so many sites of a shuffled list cannot talk to the others."""

    def __init__(self, first: int) -> None:
        self.first, self.name = first, f"{first} and {SITES - first}"

    def begin(self) -> None:
        self.simulation.clock.after(WRONG_AT_MS, self.cut)

    def blocks(self, source: int, target: int, message: object) -> bool:
        return self.separates(source, target, self.first)


class NoAggregator(Observer):
    """Kills the next aggregator for good, as soon as the contributors of a round are decided."""

    victim: Site | None = None

    def on_begin(self, simulation: Simulation) -> None:
        self.simulation, reached = simulation, simulation.goal
        simulation.goal = lambda site: site is self.victim or reached(site)

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        node, clock = site.node, self.simulation.clock
        is_time = clock.elapsed_ms >= WRONG_AT_MS and node is not None and node.state.phase is Phase.SUMMING
        if self.victim is None and node is not None and is_time:
            self.victim = self.simulation.by_key[node.state.proposer(0)]
            clock.after(0, self.simulation.crash, self.victim, None)


def federation(rounds: int, *watching: Observer, outages: tuple[Outage, ...] = ()) -> Course:
    """Play the federation with something that goes wrong."""
    options = replace(OPTIONS, rounds=rounds, outages=outages)
    simulation, recorder = build(None, options)
    simulation.watch(*watching)
    result = result_of(options, simulation, recorder, simulation.run(LIMIT_MS))
    if not result.is_sound:
        raise SystemExit(f"a bug of ours: {result.broken}")
    ended = [row.ended_ms / 1000 for row in result.rounds if row.outcome == "decided" and row.ended_ms >= 0]
    measured = [row for row in result.rounds if "accuracy" in row.metrics]
    return Course(ended, [(row.began_ms / 1000, row.metrics["accuracy"]) for row in measured])


def main() -> None:
    """Let one thing after the other go wrong."""
    given = arguments(__doc__, rounds=(15, "to train"))
    courses = {
        "a server, all well": Baseline(given.rounds, None).course,
        "a server, killed": Baseline(given.rounds, WRONG_AT_MS).course,
        "no server, all well": federation(given.rounds),
        "no server, the aggregator killed": federation(given.rounds, NoAggregator()),
        "no server, split 4 and 4": federation(given.rounds, Split(4)),
        "no server, split 2 and 6": federation(given.rounds, Split(2)),
        "no server, the founder gone": federation(given.rounds, outages=(Outage("0", WRONG_AT_MS, None),)),
    }
    columns = ("eight sites", "rounds", "accuracy at last", "longest pause (s)", "done after (s)")
    rows = [(name, *course.row(given.rounds)) for name, course in courses.items()]
    table(f"what goes wrong does so after {WRONG_AT_MS / 1000:g} s of virtual time; a split heals", columns, rows)
    short = [
        name for name, course in courses.items() if name != "a server, killed" and len(course.ended) < given.rounds
    ]
    if short:
        raise SystemExit(f"these were to finish, and did not: {', '.join(short)}")
    print("\nWithout a server a round takes longer, as the sites share, agree and sign. What is lost is one site or a")
    print("while, and never the training: halves wait for each other, and any six of the eight go on.")
    draw(given.out, courses)


def draw(out: Path | None, courses: dict[str, Course]) -> None:
    """Models against time."""
    styles = zip((GREY, RED, BLACK, BLUE, ORANGE, GREEN, PURPLE), ("-", "-", "-", "--", "-.", ":", "--"), strict=True)
    with picture(out, height=5.2, width=9) as axes:
        for axis in axes:
            for (name, course), (colour, dashes) in zip(courses.items(), styles, strict=True):
                steps = list(range(len(course.ended) + 1))
                axis.step([0.0, *course.ended], steps, where="post", color=colour, linestyle=dashes, lw=2, label=name)
                if not name.startswith("no server"):
                    axis.plot(course.ended[-1], steps[-1], "X" if name.endswith("killed") else "o", color=colour)
            axis.axvline(WRONG_AT_MS / 1000, color=BLACK, linestyle=":", linewidth=1)
            axis.axvspan(
                WRONG_AT_MS / 1000, (WRONG_AT_MS + CUT_MS) / 1000, color=GREY, alpha=0.15, label="while it is split"
            )
            axis.set(xlabel="virtual time (s)", ylabel="models so far", title="Something goes wrong after four seconds")
            axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))


if __name__ == "__main__":
    main()
