"""Pictures of a simulation: the network and its load, a round as lanes, rounds against time, and learning.

Matplotlib, which is an extra: ``pip install 'coterie[pictures]'``. Colours are those of Okabe and Ito, which
people with any kind of colour vision can tell apart; what a colour says, a label or a shape says too.
"""

from pathlib import Path
from typing import Any, Final

import networkx as nx

from .report import Result

BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
RED: Final = "#D55E00"
SKY: Final = "#56B4E9"
GREY: Final = "#999999"

_WORK: Final = {"training": BLUE, "sharing": ORANGE, "checking a share": SKY, "summing": GREEN, "opening the sum": RED}
_MARKS: Final = {"Ack": ("x", "black"), "Proposal": ("D", RED), "SumShare": ("^", GREEN)}
"""What is drawn of the messages: a marker and a colour a kind."""


def draw(folder: Path, result: Result) -> list[Path]:
    """Draw what there is to see; returns the files.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn = []
    pictures = [("network", _network), ("round", _round), ("rounds", _rounds)]
    if any("accuracy" in row.metrics for row in result.rounds):
        pictures.append(("learning", _learning))
    for name, picture in pictures:
        figure = picture(pyplot, result)
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=120, bbox_inches="tight", metadata={"Software": None})
        pyplot.close(figure)
        drawn.append(path)
    return drawn


def _network(pyplot: Any, result: Result) -> Any:
    """Links by the bytes that they carried, peers by how often they aggregated."""
    graph = nx.Graph()
    peers = {site["name"]: site for site in result.sites}
    graph.add_nodes_from(peers)
    for link in result.links:
        known = graph.get_edge_data(link["from"], link["to"], {"bytes": 0})["bytes"]
        graph.add_edge(link["from"], link["to"], bytes=known + link["bytes"])
    places = nx.spring_layout(graph, seed=1, k=2.2 / max(1, len(graph)) ** 0.5, iterations=200)
    loads = [data["bytes"] / 1e6 for _, _, data in graph.edges(data=True)]
    figure, axes = pyplot.subplots(figsize=(9, 7))
    most = max(loads, default=0) or 1
    lines = nx.draw_networkx_edges(
        graph,
        places,
        ax=axes,
        width=[0.6 + 4.4 * load / most for load in loads],
        edge_color=loads,
        edge_cmap=pyplot.cm.cividis_r,
    )
    groups = [
        ("honest peer", "o", BLUE, [name for name, site in peers.items() if not site["strategies"]]),
        ("liar", "s", RED, [name for name, site in peers.items() if site["strategies"]]),
        ("router", "d", GREY, [name for name in graph if name not in peers]),
    ]
    for label, shape, colour, names in groups:
        if names:
            sizes = [260 + 90 * peers[name]["aggregated"] if name in peers else 160 for name in names]
            nx.draw_networkx_nodes(
                graph, places, names, ax=axes, node_size=sizes, node_color=colour, node_shape=shape, label=label
            )
    nx.draw_networkx_labels(graph, places, ax=axes, font_size=8, font_color="white")
    if lines is not None:
        figure.colorbar(lines, ax=axes, label="carried by a link, both ways (MB)", shrink=0.8)
    axes.set_title(f"Load on links; a peer is larger the more of the {len(result.rounds)} rounds it aggregated")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, markerscale=0.6, frameon=False)
    axes.set_axis_off()
    return figure


def _round(pyplot: Any, result: Result) -> Any:
    """One round as lanes: what each peer computed, and when it sent what."""
    figure, axes = pyplot.subplots(figsize=(10, 1.6 + 0.34 * len(result.sites)))
    timeline = result.timeline
    row = next((one for one in result.rounds if one.round == timeline.round), None)
    start = row.began_ms if row is not None else 0
    for label, colour in _WORK.items():
        spans = [(site, begin - start, end - begin) for site, what, begin, end in timeline.work if what == label]
        if spans:
            sites, begins, widths = zip(*spans, strict=True)
            axes.barh(sites, [max(width, 2) for width in widths], left=begins, height=0.5, color=colour, label=label)
    for kind, (marker, colour) in _MARKS.items():
        points = [(when - start, site) for site, what, when in timeline.marks if what == kind]
        if points:
            times, sites = zip(*points, strict=True)
            axes.scatter(times, sites, marker=marker, s=34, color=colour, label=f"sends {kind}", zorder=3, linewidths=1)
    for when, text in ((row.contributors_ms, "contributors"), (row.ended_ms, row.outcome)) if row is not None else ():
        if when >= 0:
            axes.axvline(when - start, color="black", linestyle=":", linewidth=1)
            axes.text(when - start, -0.9, f"{text} ", fontsize=8, ha="right", va="center")
    axes.set_yticks(range(len(result.sites)), [site["name"] for site in result.sites])
    axes.set_ylim(len(result.sites) - 0.4, -1.3)
    axes.set_xlabel("time since the round began (ms)")
    axes.set_ylabel("peer")
    axes.set_title(f"Round {timeline.round}")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8)
    return figure


def _rounds(pyplot: Any, result: Result) -> Any:
    """How long each round took, and how it ended."""
    figure, axes = pyplot.subplots(figsize=(9, 4))
    for outcome, colour, hatch in (("decided", BLUE, ""), ("void", ORANGE, "///")):
        rows = [row for row in result.rounds if row.outcome == outcome and row.ended_ms >= 0]
        if rows:
            spans = [(row.ended_ms - row.began_ms) / 1000 for row in rows]
            axes.bar([row.round for row in rows], spans, color=colour, hatch=hatch, edgecolor="white", label=outcome)
    axes.set_xlabel("round")
    axes.set_ylabel("duration (s)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(f"{result.decided} of {result.options['rounds']} rounds decided")
    axes.legend()
    return figure


def _learning(pyplot: Any, result: Result) -> Any:
    """Accuracy against time."""
    rows = [row for row in result.rounds if "accuracy" in row.metrics]
    figure, axes = pyplot.subplots(figsize=(9, 4))
    axes.plot([row.began_ms / 1000 for row in rows], [row.metrics["accuracy"] for row in rows], color=GREEN, marker="o")
    axes.set_xlabel("virtual time (s)")
    axes.set_ylabel("accuracy on the peers' test rows")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.set_title("Convergence of the agreed model")
    return figure
