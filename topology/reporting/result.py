"""The result of a simulation, for readers, scripts and plots.

A result is a function of the options and the seed alone. It holds no wall-clock figure, so two runs of the same command
write the same bytes.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..engine.simulation import Simulation
from ..invariants.watching import Broken
from ..network.graphs import LINK_ATTRIBUTES
from .recorder import Recorder, RoundRow, Timeline
from .why_unfinished import why_unfinished

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a simulation. Times are virtual milliseconds, sizes bytes."""

    options: dict[str, Any]
    """As given; but topology (the name of it, of the file or of the graph), peers and parameters as simulated."""
    finished: bool
    """Whether all honest peers reached the end of the last round within the limit."""
    unfinished: str
    """Why they did not; empty if they did."""
    elapsed_ms: int
    events: int
    rounds: tuple[RoundRow, ...]
    sites: tuple[dict[str, Any], ...]
    routers: tuple[str, ...]
    """Nodes that only pass messages on."""
    links: tuple[dict[str, Any], ...]
    """Each direction of each link: its attributes, and the bytes that it carried."""
    named: dict[str, dict[str, int]]
    """By member and reason: how many sites named it."""
    evicted: tuple[str, ...]
    crashes: int
    invariants: tuple[str, ...]
    """The invariants that were watched."""
    broken: tuple[Broken, ...]
    """The first violation of each one that did not hold."""
    timeline: Timeline
    trace: str
    """A hash over everything that was sent, and when."""
    resilience: tuple[dict[str, Any], ...] = ()
    """Short runs with some peers dead, if they were made; see :mod:`..resilience`."""

    def table(self) -> list[dict[str, Any]]:
        """Return one row a round: ``pandas.DataFrame(result.table())`` works."""
        rows = []
        for row in self.rounds:
            flat = dataclasses.asdict(row)
            flat |= flat.pop("metrics")
            flat["seconds"] = (row.ended_ms - row.began_ms) / 1000 if row.ended_ms >= 0 else None
            rows.append(flat)
        return rows

    @property
    def f(self) -> int:
        """Number of liars that agreement among the founding members tolerates."""
        return (len(self.sites) - 1) // 3

    @property
    def liars(self) -> list[str]:
        """The sites that were told to lie."""
        return [site["name"] for site in self.sites if site["strategies"]]

    @property
    def is_sound(self) -> bool:
        """Whether every promised invariant held; with more than f liars nothing is promised."""
        return not self.broken or len(self.liars) > self.f

    @property
    def decided(self) -> int:
        """Rounds that ended with a model."""
        return sum(row.outcome == "decided" for row in self.rounds)

    @property
    def decided_a_minute(self) -> float:
        """Rounds decided in a minute of virtual time.

        The time ends with the last round; it is all the time if some round never ended. So a standstill counts, and
        waiting after the last round for members to come back does not.
        """
        ends = [row.ended_ms for row in self.rounds if row.ended_ms >= 0]
        spent_ms = max(ends) if len(ends) == self.options["rounds"] else self.elapsed_ms
        return 60_000 * self.decided / max(1, spent_ms)

    def seconds(self, quantile: float) -> float | None:
        """Return a quantile of the duration of decided rounds, in seconds; None if there is none."""
        spans = sorted(
            row.ended_ms - row.began_ms for row in self.rounds if row.outcome == "decided" and row.ended_ms >= 0
        )
        return spans[min(len(spans) - 1, int(quantile * len(spans)))] / 1000 if spans else None

    def to_json(self) -> str:
        """Return everything as JSON, the same bytes for the same options and seed."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, indent=1) + "\n"

    def summary(self) -> list[tuple[str, str]]:
        """Return a summary for readers, as pairs of a name and a figure."""
        n = len(self.sites)
        liars = [f"{one['name']} ({'+'.join(one['strategies'])})" for one in self.sites if one["strategies"]]
        void = [row for row in self.rounds if row.outcome == "void"]
        ended = max(1, self.decided + len(void))
        p50, p95 = self.seconds(0.5), self.seconds(0.95)
        most = max(self.sites, key=lambda site: site["sent_bytes"] + site["relayed_bytes"])
        by_most = f"most by {most['name']}: {_bytes(most['sent_bytes'] / ended)}"
        if most["relayed_bytes"]:
            by_most += f", and {_bytes(most['relayed_bytes'] / ended)} passed on for others"
        mean_bytes = sum(site["sent_bytes"] for site in self.sites) / n
        mean_messages = sum(site["sent_messages"] for site in self.sites) / n
        lines = [
            (
                "peers",
                f"{n}, including {len(liars)} liar{'s' * (len(liars) > 1)}: {', '.join(liars)}" if liars else str(n),
            ),
            ("rounds", f"{self.decided} decided, {len(void)} void, of {self.options['rounds']}"),
            ("reasons for void rounds", _reasons(void)),
            ("seconds a round", f"{p50:.2f} (p50), {p95:.2f} (p95)" if p50 is not None and p95 is not None else "none"),
            ("rounds a minute", f"{self.decided_a_minute:.1f} decided"),
            ("views", self._views()),
            ("sent a peer and round", f"{mean_messages / ended:.0f} messages, {_bytes(mean_bytes / ended)}; {by_most}"),
            ("crashes", str(self.crashes)),
            ("named", "\n".join(self._named()) or "nobody"),
            ("evicted", ", ".join(self.evicted) or "nobody"),
            ("accuracy", self._accuracy()),
            ("invariants", self._invariants()),
            ("virtual time", f"{self.elapsed_ms / 1000:.1f} s, {self.events:,} events"),
            ("not finished", self.unfinished),
        ]
        return [(what, figure) for what, figure in lines if figure]

    def _views(self) -> str:
        """Say how many more views than the least were needed: one for each decision, two decisions for each round."""
        late = [row for row in self.rounds if row.views]
        if not late:
            return "the first one each time"
        more = sum(row.views for row in late)
        return f"{more} more than the first, in {len(late)} of {len(self.rounds)} rounds"

    def _invariants(self) -> str:
        if not self.broken:
            return f"{', '.join(self.invariants)}: all held" if self.invariants else ""
        lines = [f"{one.invariant} BROKEN after {one.at_ms / 1000:.1f} s: {one.what}" for one in self.broken]
        if self.is_sound:
            return "\n".join(
                [*lines, f"{len(self.liars)} lie, but only f = {self.f} are tolerated: no invariant is promised"]
            )
        return "\n".join([*lines, f"{len(self.liars)} lie, no more than f = {self.f}: this is a bug in Coterie"])

    def _accuracy(self) -> str:
        found = [(row.round, row.metrics["accuracy"]) for row in self.rounds if "accuracy" in row.metrics]
        if not found:
            return ""
        (first, low), (last, high) = found[0], found[-1]
        return f"{100 * low:.1f} % before round {first}, {100 * high:.1f} % before round {last}"

    def _named(self) -> list[str]:
        return [
            f"{who}: {what} ({count}×)"
            for who, known in sorted(self.named.items())
            for what, count in sorted(known.items())
        ]


def _reasons(void: Sequence[RoundRow]) -> str:
    """Say what void rounds lacked, and which members they name."""
    counts = Counter("sum shares" if row.reason == "sum" else row.reason for row in void)
    names = Counter(name for row in void for name in row.missed)
    text = ", ".join(f"{reason} ({count}×)" for reason, count in sorted(counts.items()))
    missed = ", ".join(f"{name} ({count}×)" for name, count in sorted(names.items()))
    return f"{text}; missed: {missed}" if missed else text


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def result_of(options: "DataclassInstance", simulation: Simulation, recorder: Recorder, finished: bool) -> Result:
    """Gather the result of a simulation that has ended; ``options``: those that it was made from."""
    setup, watch = simulation.setup, recorder.watch
    simulated = {
        "topology": simulation.graph.graph.get("name") or "a graph",
        "peers": len(simulation.sites),
        "parameters": setup.parameters or setup.genesis.parameters,
    }
    return Result(
        options=dataclasses.asdict(options) | simulated,
        finished=finished,
        unfinished="" if finished else why_unfinished(simulation),
        elapsed_ms=simulation.clock.elapsed_ms,
        events=simulation.clock.events,
        rounds=tuple(row for _, row in sorted(recorder.rounds.items()) if row.round <= setup.rounds),
        sites=tuple(_sites(simulation, recorder)),
        routers=tuple(str(label) for label in simulation.links.labels[len(simulation.sites) :]),
        links=tuple(_links(simulation)),
        named=recorder.named,
        evicted=tuple(recorder.evicted),
        crashes=recorder.crashes,
        invariants=watch.invariants if watch else (),
        broken=tuple(watch.broken.values()) if watch else (),
        timeline=recorder.timeline,
        trace=simulation.trace,
    )


def _sites(simulation: Simulation, recorder: Recorder) -> Iterator[dict[str, Any]]:
    relayed: Counter[int] = Counter()
    for hop in simulation.links.hops():
        relayed[hop.start] += hop.relayed_bytes
    for site in simulation.sites:
        yield {
            "name": str(site.label),
            "speed": site.speed,
            "strategies": [one.name for one in site.adversaries],
            "sent_bytes": site.sent_bytes,
            "sent_messages": site.sent_messages,
            "relayed_bytes": relayed[site.number],
            "steps": site.steps,
            "height": site.node.state.height if site.node is not None else None,
            "aggregated": sum(row.aggregator == str(site.label) for row in recorder.rounds.values()),
        }


def _links(simulation: Simulation) -> Iterator[dict[str, Any]]:
    labels = simulation.links.labels
    for hop in simulation.links.hops():
        ends = labels[hop.start], labels[hop.end]
        read = {name: simulation.graph.edges[ends][name] for name in LINK_ATTRIBUTES}
        yield {"from": str(ends[0]), "to": str(ends[1]), "bytes": hop.carried_bytes} | read
