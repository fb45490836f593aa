"""Work is charged by a model: the same on every machine, and dearer the more there is of it."""

from dataclasses import replace
from typing import Any

import networkx as nx
import pytest

from coterie.topology import simulate
from coterie.topology.options import Options, build


def charged(**changes: Any) -> dict[str, float]:
    """Milliseconds that the jobs of a small federation take, the longest of each kind."""
    options = replace(Options(topology="complete", peers=4, rounds=1, parameters=20_000), **changes)
    simulation, recorder = build(None, options)
    simulation.run(60_000)
    longest: dict[str, float] = {}
    for _, label, begin, end in recorder.timeline.work:
        longest[label] = max(longest.get(label, 0), end - begin)
    return longest


def test_a_larger_model_costs_more_at_every_step_but_training() -> None:
    small, large = charged(), charged(parameters=2_000_000, ideal_crypto=True)
    for label in ("sharing", "checking a share", "opening the sum", "checking"):
        assert large[label] > small[label]
    assert large["training"] == small["training"]


@pytest.mark.parametrize(
    ("scheme", "jobs"),
    [
        ("shamir", {"sharing", "checking a share", "summing", "opening the sum"}),
        ("plain", {"committing", "summing", "adding up"}),
    ],
)
def test_the_jobs_of_either_scheme_take_their_time(scheme: str, jobs: set[str]) -> None:
    found = charged(scheme=scheme, parameters=1_000_000)
    assert jobs <= found.keys()
    assert all(found[label] > 0 for label in jobs)


def test_a_slow_site_takes_longer_over_its_work() -> None:
    graph = nx.complete_graph(4)
    nx.set_node_attributes(graph, {0: 1.0, 1: 1.0, 2: 1.0, 3: 0.1}, "speed")
    slow = simulate(graph, rounds=1, ideal_crypto=True).seconds(0.5)
    quick = simulate(nx.complete_graph(4), rounds=1, ideal_crypto=True).seconds(0.5)
    assert slow is not None
    assert quick is not None
    assert slow > quick + 4
