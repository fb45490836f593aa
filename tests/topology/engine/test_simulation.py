"""The simulator itself: the same seed gives the same run, on any network, with real and with ideal shares."""

import json
import os
import subprocess
import sys

import networkx as nx
import pytest

from coterie.topology import OptionError, TopologyError, simulate
from coterie.topology.network import graph_files, graphs
from coterie.topology.options import Options
from coterie.topology.reporting.result import Result


def decided(result: Result) -> list[str]:
    return [row["outcome"] for row in result.table()]


@pytest.mark.parametrize("name", sorted(graphs.TOPOLOGIES))
def test_a_federation_decides_its_rounds_on_every_topology(name: str) -> None:
    result = simulate(topology=name, peers=7, rounds=2, ideal_crypto=True)
    assert result.finished
    assert decided(result) == ["decided", "decided"]


@pytest.mark.parametrize("degree", [2, 4, 6])
def test_the_degree_of_a_regular_graph_and_of_a_small_world_can_be_chosen(degree: int) -> None:
    regular = graphs.make("regular", 10, seed=1, degree=degree)
    assert {links for _, links in regular.degree()} == {degree}
    assert graphs.make("small-world", 10, seed=1, degree=degree).number_of_edges() == 5 * degree


@pytest.mark.parametrize("ideal", [False, True])
def test_what_is_learned_says_how_large_the_model_is(ideal: bool) -> None:
    pytest.importorskip("sklearn")
    result = simulate(topology="complete", peers=4, rounds=1, learn="iris", ideal_crypto=ideal)
    assert result.options["parameters"] == 15


def test_a_directed_graph_is_a_network_if_its_links_are_the_same_both_ways() -> None:
    graph = nx.DiGraph(nx.cycle_graph(4))
    nx.set_edge_attributes(graph, 9, "latency_ms")
    assert graphs.fill(graph).number_of_edges() == 4
    graph.edges[1, 0]["latency_ms"] = 30
    with pytest.raises(TopologyError, match="that differ: {'latency_ms': 9} and {'latency_ms': 30}"):
        graphs.fill(graph)


def test_real_shares_give_the_same_rounds_as_ideal_ones() -> None:
    for ideal in (False, True):
        assert decided(simulate(peers=5, rounds=2, parameters=50, ideal_crypto=ideal)) == ["decided", "decided"]


def test_ideal_shares_leave_a_federation_that_does_not_share_as_it_is() -> None:
    sizes = [
        simulate(topology="complete", peers=7, rounds=2, parameters=10_000, scheme="plain", ideal_crypto=ideal)
        for ideal in (False, True)
    ]
    real, ideal = (sum(site["sent_bytes"] for site in result.sites) for result in sizes)
    assert abs(ideal - real) < 0.05 * real
    shared = simulate(topology="complete", peers=7, rounds=2, parameters=10_000, ideal_crypto=True)
    assert sum(site["sent_bytes"] for site in shared.sites) > 2 * ideal


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones() -> None:
    first, again, other = (
        simulate(peers=5, rounds=2, churn=0.1, ideal_crypto=True, seed=seed).to_json() for seed in (3, 3, 4)
    )
    assert first == again
    assert json.loads(first)["trace"] != json.loads(other)["trace"]


def test_the_order_of_hashes_changes_nothing() -> None:
    code = (
        "from coterie.topology import simulate;"
        "print(simulate(peers=5, rounds=1, parameters=50, byzantine=('1:wrong-share',), seed=5).trace)"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_a_slow_link_makes_rounds_slow() -> None:
    quick, slow = (
        simulate(topology="ring", peers=5, rounds=2, ideal_crypto=True, links=graphs.LinkDefaults((wait, wait)))
        for wait in (5, 200)
    )
    assert (slow.seconds(0.5) or 0) > 2 * (quick.seconds(0.5) or 0)


def test_peers_without_a_link_of_their_own_talk_through_routers() -> None:
    graph = nx.Graph()
    graph.add_node("router", peer=False)
    graph.add_edges_from(("router", site) for site in "abcd")
    result = simulate(graph, rounds=2, ideal_crypto=True)
    assert decided(result) == ["decided", "decided"]
    assert [site["name"] for site in result.sites] == ["a", "b", "c", "d"]


def test_a_federation_survives_the_loss_of_f_members_and_names_none_of_them() -> None:
    from coterie.topology.faults.faults import Outage

    outages = (Outage("1", 500, None), Outage("4", 500, None))
    result = simulate(topology="complete", peers=7, rounds=4, outages=outages, ideal_crypto=True, seed=2)
    assert result.decided >= 3
    assert result.named == {}
    assert result.finished, "nobody waits for those that never come back"


def test_a_wrong_sum_share_is_named_and_evicted_and_the_rounds_go_on() -> None:
    result = simulate(topology="complete", peers=7, rounds=3, parameters=50, byzantine=("3=wrong-share",))
    assert result.decided == 3
    assert set(result.named) == {"3"}
    assert result.evicted == ("3",)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"topology": "torus"}, "there are complete, ring"),
        ({"peers": 2}, "3 to 1024"),
        ({"byzantine": ("3:silent",)}, "at most 2, or 10 peers"),
        ({"byzantine": ("1:unheard",)}, "there are silent"),
        ({"byzantine": ("silent",)}, "COUNT:STRATEGY"),
        ({"partition": "thirds"}, "there are halves"),
        ({"scheme": "clear"}, "there are shamir, plain"),
        ({"rounds": 0}, "at least one"),
    ],
)
def test_options_that_make_no_simulation_are_refused_with_what_would(changes: dict[str, object], advice: str) -> None:
    with pytest.raises((OptionError, TopologyError), match=advice):
        simulate(options=Options(peers=7), **changes)


def test_a_graph_in_parts_is_refused_and_says_which() -> None:
    graph = nx.disjoint_union(nx.path_graph(4), nx.path_graph(3))
    with pytest.raises(TopologyError, match=r"2 parts .*add a link"):
        simulate(graph)


def test_a_graph_with_an_attribute_that_is_no_number_is_refused_by_place_and_name() -> None:
    graph = nx.path_graph(4)
    graph.edges[1, 2]["latency_ms"] = "quick"
    with pytest.raises(TopologyError, match="between 1 and 2: latency_ms is 'quick'"):
        simulate(graph)


def test_a_graph_file_is_read_and_what_it_lacks_is_filled_in(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "sites.graphml"
    graph = nx.cycle_graph(5)
    nx.set_edge_attributes(graph, 7.5, "latency_ms")
    nx.write_graphml(graph, path)
    found = graph_files.read(path)
    assert {link["latency_ms"] for _, _, link in found.edges(data=True)} == {7.5}
    assert found.graph["filled"] == {"jitter_ms": 5, "bandwidth_mbit": 5, "loss": 5}
