"""What is on its way arrives or is lost, and whoever waits for it is told."""

from typing import Any

import networkx as nx
import pytest

from coterie.peer.network import link
from coterie.protocol.events import Event, Fetch, FetchFailed, Received, Send
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import sealed
from coterie.protocol.messages.kinds import Weights
from coterie.topology import LinkDefaults
from coterie.topology.engine.simulation import Simulation
from coterie.topology.engine.site import Site
from coterie.topology.network import transit
from coterie.topology.options import Options, build

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


def say(simulation: Simulation, site: Site, text: bytes) -> int:
    """Say something to b; returns how many messages left."""
    before = site.sent_messages
    raw = sealed(site.identity, simulation.federation, 1, 0, Weights(digest_of(text))).raw
    simulation.transmit(site, simulation.sites[1], Send(simulation.sites[1].key, raw))
    return site.sent_messages - before


def test_a_full_queue_refuses_more_until_it_has_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transit, "MAX_QUEUED_FRAMES", 5)
    simulation = star()
    site = simulation.sites[0]
    sent = sum(say(simulation, site, b"%d" % number) for number in range(8))
    assert site.queues[1].frames == 5
    assert simulation.refused_messages == 8 - sent > 0
    simulation.run_for(200)
    assert say(simulation, site, b"later") == 1


def test_a_simulated_queue_is_as_long_as_a_real_one() -> None:
    assert (transit.MAX_QUEUED_FRAMES, transit.MAX_QUEUED_BYTES) == (link.MAX_QUEUED_FRAMES, link.MAX_QUEUED_BYTES)


def test_a_narrow_link_shows_how_long_frames_had_to_wait_for_each_other() -> None:
    waits = []
    for mbit in (100.0, 1.0):
        options = Options(
            topology="complete", peers=5, rounds=1, ideal_crypto=True, links=LinkDefaults(bandwidth_mbit=mbit)
        )
        simulation, _ = build(None, options)
        simulation.run(60_000)
        waits.append(max(hop.longest_wait_us for hop in simulation.links.hops()))
    assert waits[1] > 10 * waits[0]


def test_what_waits_for_a_peer_that_crashes_leaves_room_for_what_is_said_to_it_afterwards() -> None:
    simulation = star()
    say(simulation, simulation.sites[0], b"before")
    simulation.crash(simulation.sites[1], 1)
    assert 1 not in simulation.sites[0].queues
    simulation.run_for(200)
    assert say(simulation, simulation.sites[0], b"after") == 1
