"""The pictures have to stay legible: what is written stands beside nothing else, and says what was drawn."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from coterie.topology import simulate
from coterie.topology.faults.faults import Outage
from coterie.topology.options import Options
from coterie.topology.reporting import pictures
from coterie.topology.reporting.result import Result

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402 - not before the line above


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    pyplot.close("all")


def boxes(figure: Any, *texts: str) -> dict[str, Any]:
    """Where texts of the first axes stand on the page."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    written = {one.get_text().strip(): one for one in figure.axes[0].texts}
    return {text: written[text].get_window_extent(renderer) for text in texts}


def marks(result: Result, what: str) -> list[int]:
    """Who is drawn to have sent it."""
    return [site for site, kind, _ in result.timeline.marks if kind == what]


def test_a_picture_of_many_peers_shows_lanes_of_some_of_them_and_of_all_that_matter() -> None:
    result = simulate(topology="star", peers=40, rounds=1, ideal_crypto=True, byzantine=("2:withhold",))
    shown = pictures._shown(result)
    liars = {number for number, site in enumerate(result.sites) if site["strategies"]}
    proposers = {site for site, what, _ in result.timeline.marks if what == "Proposal"}
    assert len(shown) == pictures.MAX_LANES
    assert liars | proposers <= set(shown)


@pytest.mark.parametrize(
    ("contributors_ms", "ended_ms"), [(20, 30), (20, 5_000), (4_990, 5_000), (2_000, 2_010)], ids=str
)
def test_the_two_moments_of_a_round_are_named_apart_and_inside_the_axes(contributors_ms: int, ended_ms: int) -> None:
    result = simulate(topology="complete", peers=4, rounds=2, ideal_crypto=True)
    row = result.rounds[1]
    row.contributors_ms, row.ended_ms = row.began_ms + contributors_ms, row.began_ms + ended_ms
    figure = pictures._round(pyplot, result)
    found = boxes(figure, "contributors decided", "decided")
    assert not found["contributors decided"].overlaps(found["decided"])
    inside = figure.axes[0].get_window_extent()
    for box in found.values():
        assert inside.x0 <= box.x0
        assert box.x1 <= inside.x1


def test_long_names_in_a_network_are_neither_cut_nor_run_into_the_scale() -> None:
    names = [f"University Hospital of the City number {number}" for number in range(4)]
    graph = nx.cycle_graph(names)
    figure = pictures._network(pyplot, simulate(graph, rounds=1, ideal_crypto=True))
    found = boxes(figure, *names)
    load, others = figure.axes[0], figure.axes[1:]
    assert not any(text.get_clip_on() for text in load.texts)
    for box in found.values():
        assert not any(box.overlaps(axes.get_tightbbox()) for axes in others)


def test_a_router_has_its_name_and_a_long_one_leaves_short_names_of_peers_in_their_nodes() -> None:
    graph = nx.star_graph(["exchange point of the north", "a", "b", "c"])
    graph.nodes["exchange point of the north"]["peer"] = False
    figure = pictures._network(pyplot, simulate(graph, rounds=1, ideal_crypto=True))
    found = {one.get_text(): one for one in figure.axes[0].texts}
    assert set(found) == {"exchange point of the north", "a", "b", "c"}
    assert {found[name].get_color() for name in "abc"} == {"white"}


def test_an_ack_is_drawn_as_one_of_all_shares_only_where_it_is_and_once() -> None:
    options = Options(topology="complete", peers=5, rounds=2, ideal_crypto=True, share_deadline_ms=4_000)
    calm = simulate(options=options)
    assert sorted(marks(calm, "Ack")) == [0, 1, 2, 3, 4]
    without_one = simulate(options=options, outages=(Outage("3", 1_300, None),))
    assert marks(without_one, "Ack") == []
    assert {0, 1, 2, 4} <= set(marks(without_one, "Ack of some"))


def test_pictures_are_drawn_of_a_run_in_which_nothing_was_decided(tmp_path: Path) -> None:
    options = Options(topology="complete", peers=4, rounds=1, ideal_crypto=True, limit_ms=5_000)
    result = simulate(options=options, byzantine=("2:silent",), beyond_f=True)
    assert result.decided == 0
    assert len(pictures.draw(tmp_path, result)) == 3
