"""What is on its way arrives or is lost, and whoever waits for it is told."""

from typing import Any

import networkx as nx
import pytest

from coterie.protocol.envelope import sealed
from coterie.protocol.events import Event, Fetch, FetchFailed, Received
from coterie.protocol.messages import Weights
from coterie.topology.options import Options, build
from coterie.topology.simulation import Simulation
from coterie.topology.site import Site

BLOB = bytes(100_000)


def star() -> Simulation:
    """Three peers around a router, 20 ms from each, running."""
    graph = nx.Graph()
    graph.add_node("router", peer=False)
    graph.add_edges_from((("router", site) for site in "abc"), latency_ms=20, jitter_ms=0, loss=0)
    simulation, _ = build(graph, Options(rounds=99, ideal_crypto=True))
    simulation.run(100)
    return simulation


def pull(simulation: Simulation, fails_after_ms: int) -> Event:
    """What a comes to hear of a fetch from b, the router failing meanwhile."""
    a, b = simulation.sites[:2]
    digest = b"d" * 32
    b.offer(digest, BLOB)
    message = sealed(b.identity, simulation.federation, 1, 0, Weights(digest))
    heard: list[Any] = []

    def answer(_site: Site, _boot: int, event: Event) -> None:
        heard.append(event)

    simulation.fetch(a, Fetch(b.key, digest, len(BLOB), message), answer)
    simulation.clock.after(fails_after_ms, simulation.links.set_node, 3, False)
    simulation.run_for(30_000)
    (event,) = heard
    return event  # type: ignore[no-any-return]


@pytest.mark.parametrize("fails_after_ms", [5, 50])
def test_a_fetch_whose_question_or_answer_is_lost_on_its_way_fails(fails_after_ms: int) -> None:
    assert isinstance(pull(star(), fails_after_ms), FetchFailed)


def test_a_fetch_that_meets_no_failure_brings_the_blob() -> None:
    event = pull(star(), 20_000)
    assert isinstance(event, Received)
    assert event.blob == BLOB
