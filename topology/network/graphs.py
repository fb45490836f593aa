"""Networks as networkx graphs: nodes are sites, edges are links.

Attributes that the simulator reads, all optional:

=========  ===============  =======================================================================
on         name             meaning
=========  ===============  =======================================================================
edge       latency_ms       one way, milliseconds
edge       jitter_ms        at most this much is added, uniformly
edge       bandwidth_mbit   megabits a second, each way
edge       loss             share of packets lost; the stream repeats them, which takes time
node       speed            compute speed; 1.0 is the machine that costs.py was measured on
node       peer             whether a peer runs here (true), or a router that only passes on (false)
=========  ===============  =======================================================================

Any networkx graph with such attributes is a network; for files see :mod:`.graph_files`. Two sites have one link, the
same both ways: a graph that says otherwise is refused.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import networkx as nx

from ...protocol.limits import MAX_MEMBERS

__all__ = ["LINK_ATTRIBUTES", "TOPOLOGIES", "LinkDefaults", "TopologyError", "fill", "make", "peers_of"]

MAX_PEERS: Final = MAX_MEMBERS
TRIES: Final = 200
"""Most random graphs that are drawn until one is connected."""


class TopologyError(ValueError):
    """A network that cannot be built or used; the message says what would work."""


@dataclass(frozen=True, slots=True)
class LinkDefaults:
    """Attributes of links for which the graph gives none; the latency is drawn from the range."""

    latency_ms: tuple[int, int] = (20, 80)
    jitter_ms: int = 5
    bandwidth_mbit: float = 100.0
    loss: float = 0.0


def _regular(n: int, rng: random.Random, degree: int = 0) -> nx.Graph:
    degree = degree or (4 if n > 5 else 2)
    graph = nx.random_regular_graph(degree, n, seed=rng.randrange(2**31))
    for _ in range(TRIES):
        if nx.is_connected(graph):
            break
        graph = nx.random_regular_graph(degree, n, seed=rng.randrange(2**31))
    return graph


def _small_world(n: int, rng: random.Random, degree: int = 0) -> nx.Graph:
    near = degree or (4 if n > 4 else 2)
    return nx.connected_watts_strogatz_graph(n, near, 0.2, tries=TRIES, seed=rng.randrange(2**31))


def _scale_free(n: int, rng: random.Random) -> nx.Graph:
    return nx.barabasi_albert_graph(n, min(2, n - 1), seed=rng.randrange(2**31))


def _geometric(n: int, rng: random.Random) -> nx.Graph:
    """Place sites on a square 3,000 km wide; the latency of a link is its length at 200 km a millisecond."""
    radius = math.sqrt(3.0 * math.log(max(n, 3)) / (math.pi * n))
    graph = nx.random_geometric_graph(n, radius, seed=rng.randrange(2**31))
    places = nx.get_node_attributes(graph, "pos")

    def distance(a: int, b: int) -> float:
        return math.dist(places[a], places[b])

    while not nx.is_connected(graph):  # join the nearest two sites of different parts
        parts = [sorted(part) for part in nx.connected_components(graph)]
        rest = [node for part in parts[1:] for node in part]
        graph.add_edge(*min(((a, b) for a in parts[0] for b in rest), key=lambda pair: distance(*pair)))
    for a, b, link in graph.edges(data=True):
        link["latency_ms"] = max(1, round(3000 * distance(a, b) / 200))
    for node in graph:
        graph.nodes[node].pop("pos")
        graph.nodes[node]["x"], graph.nodes[node]["y"] = places[node]
    return graph


def _grid(n: int, rng: random.Random) -> nx.Graph:  # noqa: ARG001
    """Arrange sites in a grid as near to a square as n allows; the last row may be shorter."""
    width = math.ceil(math.sqrt(n))
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from((i, i + 1) for i in range(n - 1) if (i + 1) % width)
    graph.add_edges_from((i, i + width) for i in range(n - width))
    return graph


def _hierarchy(n: int, rng: random.Random) -> nx.Graph:
    """Link sites to the router of their region by quick links, and all regions to each other by slow ones."""
    regions = max(2, round(math.sqrt(n)))
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    for region in range(regions):
        graph.add_node(f"region {region}", peer=False)
    for site in range(n):
        graph.add_edge(site, f"region {site % regions}", latency_ms=rng.randint(1, 8))
    for one in range(regions):
        for other in range(one):
            graph.add_edge(f"region {one}", f"region {other}")
    return graph


TOPOLOGIES: Final[dict[str, Callable[..., nx.Graph]]] = {
    "complete": lambda n, _: nx.complete_graph(n),
    "ring": lambda n, _: nx.cycle_graph(n),
    "star": lambda n, _: nx.star_graph(n - 1),
    "regular": _regular,
    "small-world": _small_world,
    "scale-free": _scale_free,
    "geometric": _geometric,
    "grid": _grid,
    "hierarchy": _hierarchy,
}
"""Names that :func:`make` knows. Sites are numbered from 0; the hub of a star is site 0."""

WITH_DEGREE: Final = ("regular", "small-world")
"""Topologies with a choice of the number of links of each site; in a small world it is the number before rewiring."""


def make(name: str, peers: int, seed: int = 0, defaults: LinkDefaults | None = None, degree: int = 0) -> nx.Graph:
    """Return a network of ``peers`` sites with all attributes filled in.

    >>> graph = make("ring", 5, seed=1)
    >>> sorted(graph.edges(0))
    [(0, 1), (0, 4)]

    Args:
        name: one of TOPOLOGIES.
        peers: number of sites.
        seed: of the graph and of its latencies.
        defaults: attributes of the links.
        degree: number of links of each site, for topologies in WITH_DEGREE; 0 for the default.

    Raises:
        TopologyError: no such topology, too few or too many sites, or a degree that it cannot have.
    """
    if name not in TOPOLOGIES:
        raise TopologyError(f"no topology {name!r}; there are {', '.join(TOPOLOGIES)}")
    if not 3 <= peers <= MAX_PEERS:
        raise TopologyError(f"{peers} peers: a federation trains with 3 to {MAX_PEERS}")
    rng = random.Random(f"network {name} {peers} {seed}")
    if degree:
        _check_degree(name, peers, degree)
        graph = TOPOLOGIES[name](peers, rng, degree)
    else:
        graph = TOPOLOGIES[name](peers, rng)
    graph.graph["name"] = name
    return fill(graph, seed, defaults)


def _check_degree(name: str, peers: int, degree: int) -> None:
    if name not in WITH_DEGREE:
        raise TopologyError(f"degree {degree}: {name} has none to choose; {' and '.join(WITH_DEGREE)} have")
    if not 2 <= degree < peers:
        raise TopologyError(f"degree {degree}: {peers} peers can have 2 to {peers - 1} links each")
    if name == "regular" and degree * peers % 2:
        raise TopologyError(f"degree {degree}: {peers} peers can only have an even number of links each")
    if name == "small-world" and degree % 2:
        raise TopologyError(
            f"degree {degree}: in a small world as many neighbours lie on either side; take an even one"
        )


def peers_of(graph: nx.Graph) -> list[Any]:
    """Return the nodes at which peers run, in the graph's order."""
    return [node for node, data in graph.nodes(data=True) if _is_true(data.get("peer", True))]


def fill(graph: nx.Graph, seed: int = 0, defaults: LinkDefaults | None = None) -> nx.Graph:
    """Check a graph and return a copy in which every attribute is set, to a number in its range.

    The copy's ``graph`` dictionary says more:

    * ``"name"``: the origin of a graph of this package (a topology or a file)
    * ``"filled"``: for each attribute, the number of links that got a default
    * ``"unread"``: the names of attributes of links, and of nodes, that mean nothing here
    * ``"repeated"``: the number of links that were there already

    Raises:
        TopologyError: too few or too many peers, a graph that is not connected, two links between the same two sites
            that differ, or an attribute that is no number in its range.
    """
    defaults = defaults or LinkDefaults()
    graph = _undirected(graph)
    rng = random.Random(f"links {seed}")
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    count = len(peers_of(graph))
    if not 3 <= count <= MAX_PEERS:
        raise TopologyError(f"the graph has {count} peers: a federation trains with 3 to {MAX_PEERS}")
    if not nx.is_connected(graph):
        parts = sorted(nx.connected_components(graph), key=len)
        some = ", ".join(str(node) for node in sorted(parts[0], key=str)[:5])
        raise TopologyError(
            f"the graph is in {len(parts)} parts that no link joins (one of them: {some}): "
            "add a link between them, or simulate the parts by themselves"
        )
    filled: dict[str, int] = {}
    for a, b, link in graph.edges(data=True):
        place = f"the link between {a} and {b}"
        for name, lowest, highest in _LINK_RANGES:
            if name not in link:
                filled[name] = filled.get(name, 0) + 1
                value = rng.randint(*defaults.latency_ms) if name == "latency_ms" else getattr(defaults, name)
                link[name] = value
            link[name] = _number(link[name], name, place, lowest, highest)
    for node, data in graph.nodes(data=True):
        data["speed"] = _number(data.get("speed", 1.0), "speed", f"site {node}", 0.001, 1000.0)
        data["peer"] = _is_true(data.get("peer", True))
    graph.graph["filled"] = filled
    return graph


def _undirected(graph: nx.Graph) -> nx.Graph:
    """Return a copy with at most one link between two sites, the same both ways."""
    links = nx.Graph()
    links.graph |= graph.graph
    links.add_nodes_from((node, dict(data)) for node, data in graph.nodes(data=True))
    directions: set[tuple[Any, Any]] = set()
    repeated = 0
    unread: set[str] = set()
    for a, b, data in graph.edges(data=True):
        read = {name: value for name, value in data.items() if name in LINK_ATTRIBUTES}
        unread |= data.keys() - read.keys() - {"id"}  # some formats number links by it
        if links.has_edge(a, b) and links.edges[a, b] != read:
            raise TopologyError(
                f"between {a} and {b} there are links, or directions of one, that differ: "
                f"{links.edges[a, b]} and {read}; here two sites have one link, the same both ways"
            )
        repeated += (a, b) in directions
        directions.add((a, b))
        links.add_edge(a, b, **read)
    of_nodes = {name for _, data in graph.nodes(data=True) for name in data} - {"speed", "peer", "id"}
    links.graph |= {"repeated": repeated, "unread": (tuple(sorted(unread)), tuple(sorted(of_nodes)))}
    return links


_LINK_RANGES: Final = (
    ("latency_ms", 0.0, 600_000.0),
    ("jitter_ms", 0.0, 600_000.0),
    ("bandwidth_mbit", 0.001, 1e6),
    ("loss", 0.0, 0.9),
)
LINK_ATTRIBUTES: Final = tuple(name for name, _, _ in _LINK_RANGES)
"""The attributes of every link of a filled graph."""


def _number(value: Any, name: str, place: str, lowest: float, highest: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not lowest <= number <= highest:
        raise TopologyError(f"{place}: {name} is {value!r}, but it must be a number from {lowest:g} to {highest:g}")
    return number


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() not in ("false", "0", "no", "0.0")
