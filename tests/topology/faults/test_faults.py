"""Sites, links and routers that fail and heal; disks that lose what was not synced; liars that really lie."""

from typing import Any

import networkx as nx
import pytest

from coterie.protocol.records import Released, VoteCast
from coterie.topology import TopologyError, simulate
from coterie.topology.adversaries import STRATEGIES
from coterie.topology.adversaries.forging import is_stuck
from coterie.topology.engine.disk import Disk
from coterie.topology.engine.site import CrashPoint
from coterie.topology.faults.faults import Outage
from coterie.topology.faults.partitions import PARTITIONS
from coterie.topology.options import Options, build
from coterie.topology.reporting.result import Result
from coterie.topology.sweep.scenarios import ABOUT_DEALINGS, TOGETHER, Scenario
from coterie.topology.sweep.scenarios import build as build_scenario


def outcomes(result: Result) -> list[str]:
    return [row.outcome for row in result.rounds]


def carried(result: Result, one: str, other: str) -> int:
    """Bytes over a link, both ways."""
    return sum(link["bytes"] for link in result.links if {link["from"], link["to"]} == {one, other})


def test_a_link_that_is_down_is_gone_around_until_it_heals() -> None:
    ring = nx.cycle_graph(5)
    whole = simulate(ring, rounds=3, ideal_crypto=True)
    cut = simulate(ring, rounds=3, ideal_crypto=True, outages=(Outage("0", 1, None, "1"),))
    healed = simulate(ring, rounds=3, ideal_crypto=True, outages=(Outage("0", 1, 1_500, "1"),))
    assert outcomes(whole) == outcomes(cut) == outcomes(healed) == ["decided"] * 3
    assert carried(cut, "0", "1") < carried(healed, "0", "1") < carried(whole, "0", "1")


def test_a_router_that_fails_takes_its_region_with_it_and_brings_it_back() -> None:
    graph = nx.Graph()
    graph.add_nodes_from(("near", "far"), peer=False)
    graph.add_edges_from(("near", site) for site in "abcde")
    graph.add_edges_from([("far", "f"), ("far", "g"), ("near", "far")])
    outage = Outage("far", 1_000, 8_000)
    result = simulate(graph, rounds=6, parameters=50, outages=(outage,), share_deadline_ms=3_000)
    assert result.finished
    assert result.decided == 6
    assert min(row.contributors for row in result.rounds) == 5
    assert result.named == {}


def test_a_site_that_comes_back_catches_up() -> None:
    outage = Outage("3", 800, 5_000)
    result = simulate(topology="complete", peers=7, rounds=6, ideal_crypto=True, outages=(outage,))
    assert result.finished
    assert result.crashes == 1
    assert {site["height"] for site in result.sites} == {max(site["height"] for site in result.sites)}


def seconds_up(place: str, other: str = "", **changes: Any) -> list[int]:
    """The whole seconds of the first 40 at which a site, or a link, is up."""
    options = Options(topology="complete", peers=5, rounds=99, ideal_crypto=True, **changes)
    simulation, _ = build(None, options)
    found = []

    def look() -> None:
        if other:
            is_up = len(simulation.links.path(int(place), int(other))) == 1
        else:
            is_up = simulation.sites[int(place)].node is not None
        if is_up:
            found.append(simulation.clock.elapsed_ms // 1000)

    for second in range(1, 40):
        simulation.clock.after(1000 * second, look)
    simulation.run(40_000)
    return found


@pytest.mark.parametrize("other", ["", "1"])
def test_what_several_outages_take_down_is_up_again_when_the_last_one_is_over(other: str) -> None:
    outages = (Outage("0", 5_500, 5_000, other), Outage("0", 7_500, 10_000, other), Outage("0", 8_500, 1_000, other))
    assert seconds_up("0", other, outages=outages) == [*range(1, 6), *range(18, 40)]


@pytest.mark.parametrize(("other", "kind"), [("", "churn"), ("1", "flapping")])
def test_what_is_down_for_good_stays_down_under_churn_and_flapping(other: str, kind: str) -> None:
    gone = (Outage("0", 10_500, None, other),)
    assert set(seconds_up("0", other, **{kind: 0.4}, seed=4)) & set(range(20, 40)), "there is churn to bring it up"
    up = seconds_up("0", other, **{kind: 0.4}, seed=4, outages=gone)
    assert up
    assert max(up) <= 10


@pytest.mark.parametrize("changes", [{"churn": 0.2}, {"flapping": 0.2}])
def test_rounds_go_on_under_churn_and_flapping_links(changes: dict[str, float]) -> None:
    result = simulate(topology="small-world", peers=10, rounds=8, ideal_crypto=True, seed=3, **changes)
    calm = simulate(topology="small-world", peers=10, rounds=8, ideal_crypto=True, seed=3)
    assert result.finished
    assert result.decided >= 6
    assert result.trace != calm.trace
    assert bool(result.crashes) == ("churn" in changes)


def test_an_outage_of_a_link_that_is_none_says_which_there_are() -> None:
    with pytest.raises(TopologyError, match="0--2: no such link; there are 0--1, 0--4"):
        build(nx.cycle_graph(5), Options(outages=(Outage("0", 1, None, "2"),)))


def test_a_disk_keeps_a_prefix_of_what_was_not_synced_and_all_that_was() -> None:
    votes = tuple(VoteCast(1, view, 0, b"vote") for view in range(3))
    disk = Disk()
    disk.write((Released(1, b"set"),))
    disk.sync()
    disk.write(votes)
    disk.crash(kept=2)
    assert disk.load().votes == list(votes[:2])
    assert disk.load().released == {1: b"set"}


def trace(**changes: object) -> str:
    simulation = build_scenario(Scenario(seed=4, peers=4, **changes))  # type: ignore[arg-type]
    assert simulation.run(600_000) or is_stuck(simulation)
    return simulation.trace


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in (*TOGETHER, "return-unseen")])
def test_each_strategy_alone_changes_what_is_said_and_keeps_nobody_from_finishing(name: str) -> None:
    is_proved = name in ABOUT_DEALINGS
    liars = {trace(byzantine=(f"{site}={name}",), partition="at-votes", is_proved=is_proved) for site in range(4)}
    assert liars != {trace(partition="at-votes", is_proved=is_proved)}, "an adversary that nobody could notice"


def test_one_that_returns_unseen_does_so_where_somebody_is_away_and_keeps_nobody_from_finishing() -> None:
    away = (2, CrashPoint("after", 0, "RoundClosed", 3_000))
    honest = trace(rounds=3, crashes=(away,))
    assert all(trace(rounds=3, crashes=(away,), byzantine=(f"{site}=return-unseen",)) != honest for site in (0, 1, 3))


@pytest.mark.parametrize("name", PARTITIONS)
def test_each_partition_loses_messages_and_heals(name: str) -> None:
    assert trace(partition=name) != trace()
