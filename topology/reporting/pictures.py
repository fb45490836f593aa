"""Pictures of a simulation: the network and its load, a round as lanes, rounds and learning against time, resilience.

Needs Matplotlib, which is an extra: ``pip install 'coterie[pictures]'``. The colours are those of Okabe and Ito, which
readers with any kind of colour vision can tell apart. A label or a shape repeats what a colour says.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import networkx as nx

from .result import Result

__all__ = ["draw"]

BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
RED: Final = "#D55E00"
SKY: Final = "#56B4E9"
PURPLE: Final = "#CC79A7"
GREY: Final = "#999999"
BLACK: Final = "#000000"

_WORK: Final = {
    "training": BLUE,
    "sharing": ORANGE,
    "checking a share": SKY,
    "summing": GREEN,
    "opening the sum": RED,
    "checking": PURPLE,
}
_CALLED: Final = {"checking": "checking the sum"}
"""Names of jobs in a picture, where the job's own label says too little."""

_MARKS: Final = {
    "Ack of some": ("+", BLACK, "acks some shares"),
    "Ack": ("x", BLACK, "acks all shares"),
    "Proposal": ("D", BLACK, "proposes a block"),
    "SumShare": ("^", BLACK, "sends its sum share"),
}
"""The messages that are drawn: marker, colour, and text in the legend."""

MAX_LANES: Final = 24
MAX_NAMES: Final = 40
"""More names than this are not legible beside an axis or inside the nodes of a graph."""


def draw(folder: Path, result: Result) -> list[Path]:
    """Draw all pictures that there are data for, as PNG files in a folder; returns their paths.

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
    if result.resilience:
        pictures.append(("resilience", _resilience))
    for name, picture in pictures:
        figure = picture(pyplot, result)
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=120, bbox_inches="tight", metadata={"Software": None})
        pyplot.close(figure)
        drawn.append(path)
    return drawn


def _network(pyplot: Any, result: Result) -> Any:
    """Draw the links by the bytes that they carried and, beside them, the aggregator of each round."""
    width = 5.2 if len(result.rounds) <= 40 else 7.0
    figure, (axes, turns) = pyplot.subplots(
        1, 2, figsize=(8.5 + width, 7), width_ratios=(8.5, width), layout="constrained"
    )
    _load(figure, axes, result)
    _rotation(turns, result)
    return figure


def _load(figure: Any, axes: Any, result: Result) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    graph = nx.Graph()
    peers = {site["name"]: site for site in result.sites}
    graph.add_nodes_from(peers)
    for link in result.links:
        known = graph.get_edge_data(link["from"], link["to"], {"bytes": 0})["bytes"]
        graph.add_edge(link["from"], link["to"], bytes=known + link["bytes"])
    places = nx.kamada_kawai_layout(graph) if len(graph) <= 60 else nx.spring_layout(graph, seed=1, iterations=200)
    loads = [data["bytes"] / 1e6 for _, _, data in graph.edges(data=True)]
    most = max(loads, default=0) or 1
    shades = LinearSegmentedColormap.from_list("load", [_shade(share) for share in (0.18, 0.6, 1.0)])
    lines = nx.draw_networkx_edges(
        graph,
        places,
        ax=axes,
        width=[0.8 + 4.2 * load / most for load in loads],
        edge_color=loads,
        edge_cmap=shades,
        edge_vmin=0,
        edge_vmax=most,
    )
    size = 300 if len(graph) <= MAX_NAMES else 60
    groups = [
        ("honest peer", "o", BLUE, [name for name, site in peers.items() if not site["strategies"]]),
        ("liar", "s", RED, [name for name, site in peers.items() if site["strategies"]]),
        ("router", "d", GREY, [name for name in graph if name not in peers]),
    ]
    for label, shape, colour, names in groups:
        if names:
            nx.draw_networkx_nodes(
                graph, places, names, ax=axes, node_size=size, node_color=colour, node_shape=shape, label=label
            )
    if len(graph) <= MAX_NAMES:
        _name_nodes(axes, places, list(peers), [name for name in graph if name not in peers])
    if lines is not None:
        figure.colorbar(lines, ax=axes, label="carried by a link, both ways (MB)", shrink=0.7, location="left")
    axes.set_title("Load on the links")
    _legend(axes, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, frameon=False)
    axes.set_axis_off()


def _name_nodes(axes: Any, places: Any, peers: Sequence[str], routers: Sequence[str]) -> None:
    """Write short names of peers into their nodes, and all other names above."""
    are_short = max(map(len, peers)) <= 3
    above = {name: (x, y + 0.07) for name, (x, y) in places.items()}
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
    outside: dict[str, Any] = {"bbox": box, "verticalalignment": "bottom", "clip_on": False, "ax": axes}
    if are_short:
        nx.draw_networkx_labels(
            nx.Graph(), places, dict(zip(peers, peers, strict=True)), ax=axes, font_size=9, font_color="white"
        )
    else:
        nx.draw_networkx_labels(nx.Graph(), above, dict(zip(peers, peers, strict=True)), font_size=10, **outside)
    nx.draw_networkx_labels(
        nx.Graph(), above, dict(zip(routers, routers, strict=True)), font_size=9, font_color="#555555", **outside
    )
    longest = max(map(len, [*routers, *([] if are_short else peers)]), default=0)
    axes.margins(x=0.08 + min(0.25, 0.006 * longest), y=0.1)


def _shade(share: float) -> tuple[float, float, float]:
    """Return a grey-blue, darker for a larger share; the lightest still stands out from white."""
    return (0.82 * (1 - share), 0.84 - 0.62 * share, 0.88 - 0.43 * share)


def _rotation(axes: Any, result: Result) -> None:
    """Draw which site proposed the block that ended each round."""
    names = [site["name"] for site in result.sites]
    for outcome, marker, colour in (("decided", "o", BLUE), ("void", "X", RED)):
        rows = [row for row in result.rounds if row.outcome == outcome and row.aggregator in names]
        if rows:
            lanes = [names.index(row.aggregator) for row in rows]
            axes.scatter(
                [row.round for row in rows], lanes, marker=marker, s=36, color=colour, label=f"its round was {outcome}"
            )
    _lanes(axes, names)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.set_xlabel("round")
    axes.set_ylabel("aggregator")
    axes.set_title("Rotation of the aggregator")
    _legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, frameon=False)


def _legend(axes: Any, **place: Any) -> None:
    """Draw a legend, unless it would be empty."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**place)


def _lanes(axes: Any, names: Sequence[str]) -> None:
    """Name the lanes from top to bottom; leave names out where there are too many to read."""
    every = 1 + (len(names) - 1) // MAX_NAMES
    axes.set_yticks(range(0, len(names), every), names[::every])
    axes.set_ylim(len(names) - 0.4, -0.6)


def _shown(result: Result) -> list[int]:
    """Return the sites that get a lane: all, or some proposers and liars, and others evenly spread."""
    count = len(result.sites)
    if count <= MAX_LANES:
        return list(range(count))
    proposers = {site for site, what, _ in result.timeline.marks if what == "Proposal"}
    liars = [number for number, site in enumerate(result.sites) if site["strategies"]]
    chosen = [*sorted(proposers)[: MAX_LANES // 4], *liars[: MAX_LANES // 4]]
    left = [number for number in range(count) if number not in chosen]
    free = MAX_LANES - len(chosen)
    chosen += [left[place * len(left) // free] for place in range(free)]
    return sorted(chosen)


def _round(pyplot: Any, result: Result) -> Any:
    """Draw one round as lanes: the jobs of each peer, and its messages."""
    shown = _shown(result)
    lane = {site: place for place, site in enumerate(shown)}
    figure, axes = pyplot.subplots(figsize=(11, 2.0 + 0.32 * len(shown)))
    timeline = result.timeline
    row = next((one for one in result.rounds if one.round == timeline.round), None)
    start = row.began_ms if row is not None else 0
    ended = row.ended_ms if row is not None and row.ended_ms >= 0 else max((one[3] for one in timeline.work), default=0)
    thinnest = (ended - start) / 250  # otherwise short jobs could not be seen
    for label, colour in _WORK.items():
        spans = [
            (lane[site], begin - start, end - begin)
            for site, what, begin, end in timeline.work
            if what == label and site in lane
        ]
        if spans:
            sites, begins, widths = zip(*spans, strict=True)
            called = _CALLED.get(label, label)
            axes.barh(
                sites, [max(width, thinnest) for width in widths], left=begins, height=0.62, color=colour, label=called
            )
    for kind, (marker, colour, called) in _MARKS.items():
        points = [(when - start, lane[site]) for site, what, when in timeline.marks if what == kind and site in lane]
        if points:
            times, sites = zip(*points, strict=True)
            axes.scatter(times, sites, marker=marker, s=34, color=colour, label=called, zorder=3, linewidths=1)
    axes.set_yticks(range(len(shown)), [result.sites[site]["name"] for site in shown])
    axes.set_ylim(len(shown) - 0.4, -2.2)
    axes.set_xlim(0, max(axes.get_xlim()[1], 1.02 * (ended - start)))
    if row is not None:
        _moments(axes, [(row.contributors_ms - start, "contributors decided"), (row.ended_ms - start, row.outcome)])
    axes.set_xlabel("time since the round began (ms)")
    axes.set_ylabel("peer")
    some = f", {len(shown)} of {len(result.sites)} peers" if len(shown) < len(result.sites) else ""
    axes.set_title(f"Round {timeline.round}{some}")
    _legend(axes, loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=9, frameon=False)
    return figure


def _moments(axes: Any, moments: Sequence[tuple[int, str]]) -> None:
    """Mark the time of each decision by a line, and name it above the lanes, on the side with more room."""
    _, right = axes.get_xlim()
    for place, (when, text) in enumerate(moments):
        if when >= 0:
            axes.axvline(when, color=BLACK, linestyle=":", linewidth=1)
            side = "left" if when < right / 2 else "right"
            axes.text(when, place * 0.7 - 1.7, f" {text} ", fontsize=9, ha=side, va="center")


def _rounds(pyplot: Any, result: Result) -> Any:
    """Draw how long each round took, and how it ended."""
    figure, axes = pyplot.subplots(figsize=(9, 4))
    for outcome, colour, hatch in (("decided", BLUE, ""), ("void", ORANGE, "///")):
        rows = [row for row in result.rounds if row.outcome == outcome and row.ended_ms >= 0]
        if rows:
            spans = [(row.ended_ms - row.began_ms) / 1000 for row in rows]
            axes.bar([row.round for row in rows], spans, color=colour, hatch=hatch, edgecolor="white", label=outcome)
    axes.set_xlabel("round")
    axes.set_ylabel("duration (s)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", alpha=0.25)
    axes.set_title(f"{result.decided} of {result.options['rounds']} rounds decided")
    _legend(axes, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def _learning(pyplot: Any, result: Result) -> Any:
    """Draw accuracy and loss against time, and mark the void rounds."""
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = [row for row in result.rounds if "accuracy" in row.metrics]
    figure, (axes, below) = pyplot.subplots(2, 1, figsize=(9, 6.5), sharex=True, layout="constrained")
    times = [row.began_ms / 1000 for row in rows]
    axes.plot(times, [100 * row.metrics["accuracy"] for row in rows], color=GREEN, marker="o", label="agreed model")
    void = [row.ended_ms / 1000 for row in result.rounds if row.outcome == "void" and row.ended_ms >= 0]
    if void:
        axes.scatter(void, [3] * len(void), marker="X", color=RED, label="void round", zorder=3)
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 101)
    axes.set_xlim(left=0)
    spread = f", label skew {result.options['skew']:g}" if result.options["skew"] else ""
    axes.set_title(f"Learning {result.options['learn']} at {len(result.sites)} peers{spread}: all peers' test rows")
    _legend(axes, loc="lower right", frameon=False)
    below.plot(times, [row.loss for row in rows], color=BLUE, marker="s")
    below.set_yscale("log")
    below.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    below.yaxis.set_major_formatter("{x:g}")
    below.yaxis.set_minor_formatter(NullFormatter())
    below.set_ylabel("loss (cross-entropy, nats)")
    below.set_xlabel("virtual time (s)")
    for panel in (axes, below):
        panel.grid(alpha=0.25, which="both")
    return figure


def _resilience(pyplot: Any, result: Result) -> Any:
    """Draw the share of rounds decided, and how long they took, against the number of dead peers."""
    figure, (axes, lasts) = pyplot.subplots(
        2, 1, figsize=(8, 6), sharex=True, layout="constrained", height_ratios=(3, 2)
    )
    trials = result.resilience
    counts = sorted({one["dead"] for one in trials})

    def mean(dead: int, what: str) -> float:
        values = [one[what] for one in trials if one["dead"] == dead and one[what] is not None]
        return sum(values) / len(values) if values else float("nan")

    axes.plot(counts, [100 * mean(dead, "share") for dead in counts], color=BLUE, label="mean")
    axes.scatter(
        [one["dead"] for one in trials],
        [100 * one["share"] for one in trials],
        marker="o",
        facecolors="none",
        edgecolors=BLUE,
        label="one run",
        zorder=3,
    )
    axes.set_ylim(-4, 104)
    axes.set_ylabel("rounds decided (%)")
    axes.set_title(f"How many of {len(result.sites)} peers may die")
    lasts.plot(counts, [mean(dead, "seconds") for dead in counts], color=GREEN, marker="s")
    slowest = max((one["seconds"] for one in trials if one["seconds"] is not None), default=1.0)
    lasts.set_ylim(0, 1.1 * slowest)
    lasts.set_ylabel("a decided round (s)")
    lasts.set_xlabel("dead peers")
    lasts.xaxis.get_major_locator().set_params(integer=True)
    bearable = (len(result.sites) - 1) // 3
    for panel in (axes, lasts):
        panel.axvline(bearable, color=BLACK, linestyle=":", linewidth=1, label=f"f = {bearable}")
        panel.grid(alpha=0.25)
    _legend(axes, loc="lower left", frameon=False)
    return figure
