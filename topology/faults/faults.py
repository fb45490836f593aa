"""Peers and links that fail and heal: at set times, or at random."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..engine.simulation import Observer
from ..network.graphs import TopologyError
from ..network.links import Links

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site

MEAN_DOWN_MS = 8_000
"""How long a peer or link that fails at random stays down, on average."""

HEALED_MS = 10_000
"""How long after the end of random failures everything is up again."""


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage of a site, or of the link between two. Names are the labels of the graph's nodes, as text."""

    site: str
    at_ms: int
    for_ms: int | None
    """None: for good."""
    other: str = ""
    """The link's other end; empty for a site."""


class Outages(Observer):
    """Takes sites and links down on a schedule."""

    def __init__(self, outages: tuple[Outage, ...]) -> None:
        self._outages = outages

    def check(self, links: Links) -> None:
        """Check that all names are those of sites and links.

        Raises:
            TopologyError: an unknown name; the message lists those there are.
        """
        names = [str(label) for label in links.labels]
        pairs = {frozenset((names[a], names[b])) for a, b in links.pairs}
        for outage in self._outages:
            for name in filter(None, (outage.site, outage.other)):
                if name not in names:
                    raise TopologyError(f"an outage of {name!r}: there is no such site; there are {', '.join(names)}")
            if outage.other and frozenset((outage.site, outage.other)) not in pairs:
                near = ", ".join(sorted("--".join(sorted(pair)) for pair in pairs if outage.site in pair))
                raise TopologyError(f"an outage of {outage.site}--{outage.other}: no such link; there are {near}")

    def on_begin(self, simulation: "Simulation") -> None:
        self.check(simulation.links)
        places = {str(label): number for number, label in enumerate(simulation.links.labels)}
        gone = {outage.site for outage in self._outages if outage.for_ms is None and not outage.other}
        reached = simulation.goal
        # A site that never comes back is not waited for.
        simulation.goal = lambda site: str(site.label) in gone or reached(site)
        clock = simulation.clock
        for outage in self._outages:
            heals_ms = None if outage.for_ms is None else outage.at_ms + outage.for_ms
            place = places[outage.site]
            if not outage.other and place < len(simulation.sites):  # a peer; routers have the higher numbers
                clock.after(outage.at_ms, simulation.crash, simulation.sites[place], outage.for_ms)
                continue
            ends = (place, places[outage.other]) if outage.other else (place,)
            change = set_link if outage.other else _set_router
            clock.after(outage.at_ms, change, simulation, *ends, False)
            if heals_ms is not None:
                clock.after(heals_ms, change, simulation, *ends, True)


class Churn(Observer):
    """Random failures: every peer is down for a share of the time, and every link for another, independently.

    If ``until_ms`` is given, nothing more fails after it, and everything is up again ``HEALED_MS`` later.
    """

    def __init__(self, peers: float, links: float = 0.0, until_ms: int | None = None) -> None:
        self._peers, self._links, self._until_ms = peers, links, until_ms

    def on_begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._random = random.Random(f"churn {simulation.seed}")
        if self._peers:
            for site in simulation.sites:
                simulation.clock.after(self._up_ms(self._peers), self._crash, site)
        if self._links:
            for a, b in simulation.links.pairs:
                simulation.clock.after(self._up_ms(self._links), self._cut, a, b)

    def _up_ms(self, share: float) -> int:
        return 1 + int(self._random.expovariate(share / (MEAN_DOWN_MS * (1 - share))))

    def _down_ms(self) -> int:
        down = 500 + int(self._random.expovariate(1 / MEAN_DOWN_MS))
        if self._until_ms is None:
            return down
        return min(down, max(500, self._until_ms + HEALED_MS - self._simulation.clock.elapsed_ms))

    @property
    def _is_over(self) -> bool:
        return self._until_ms is not None and self._simulation.clock.elapsed_ms > self._until_ms

    def _crash(self, site: "Site") -> None:
        if self._is_over:
            return
        down = self._down_ms()
        self._simulation.crash(site, down)
        self._simulation.clock.after(down + self._up_ms(self._peers), self._crash, site)

    def _cut(self, a: int, b: int) -> None:
        if self._is_over:
            return
        down = self._down_ms()
        set_link(self._simulation, a, b, False)
        self._simulation.clock.after(down, set_link, self._simulation, a, b, True)
        self._simulation.clock.after(down + self._up_ms(self._links), self._cut, a, b)


def set_link(simulation: "Simulation", a: int, b: int, is_up: bool) -> None:
    """Take a link down or bring it back, and have the failure detectors look."""
    simulation.links.set_link(a, b, is_up)
    labels = simulation.links.labels
    simulation.tell(f"{'end of an' if is_up else 'an'} outage of the link {labels[a]}--{labels[b]}")
    simulation.detect_later()


def _set_router(simulation: "Simulation", node: int, is_up: bool) -> None:
    simulation.links.set_node(node, is_up)
    simulation.tell(f"{'end of an' if is_up else 'an'} outage of {simulation.links.labels[node]}")
    simulation.detect_later()
