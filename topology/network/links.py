"""The links of a graph: the path that a message takes, and how long it needs.

A message takes the direct link if there is one; otherwise it goes hop by hop along the quickest path. At each link it
waits for the messages before it. Frames (signed messages, with blobs small enough to go along) overtake bulk data, as
they do on the two streams that real peers keep. The stream repeats a lost packet after a timeout, so loss costs time. A
message is lost only with its connection: when a link or relay on its way fails.
"""

import heapq
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import networkx as nx

from .graphs import peers_of

RETRANSMIT_US: Final = 200_000
"""Cost of a lost packet, besides a round trip: the usual minimum of a TCP retransmission timeout."""

OVERHEAD_BYTES: Final = 60
"""Frame header, Noise tag, multiplexer and TCP/IP headers of one frame."""

PACKET_BYTES: Final = 1400


@dataclass(slots=True)
class Hop:
    """One direction of one link."""

    start: int
    end: int
    latency_us: int
    jitter_us: int
    us_per_byte: float
    loss: float
    is_open: bool = True
    """Whether it can be crossed now: the link and the nodes at both ends are up."""
    frames_free_us: int = 0
    bulk_free_us: int = 0
    carried_bytes: int = 0
    relayed_bytes: int = 0
    """Part of the bytes that its start only passed on for others."""
    longest_wait_us: int = 0
    """Longest wait of a frame for those before it: how congested the link was."""


Path = tuple[Hop, ...]
Place = TypeVar("Place")


class Links:
    """The links of a graph, its nodes by number, and the paths between them at this moment."""

    def __init__(self, graph: nx.Graph, rng: random.Random) -> None:
        """Number the nodes of a graph from :func:`.graphs.fill`: peers get 0 to n-1, routers the numbers after."""
        peers = peers_of(graph)
        self.labels: list[Any] = [*peers, *(node for node in graph if node not in set(peers))]
        number = {label: number for number, label in enumerate(self.labels)}
        self._random = rng
        self._out: list[dict[int, Hop]] = [{} for _ in self.labels]
        self._paths: dict[int, dict[int, Path]] = {}
        self._down_nodes: Counter[int] = Counter()
        self._down_links: Counter[tuple[int, int]] = Counter()
        """Number of outages of each now; nodes and links without any have no entry."""
        for a, b, link in graph.edges(data=True):
            for start, end in ((number[a], number[b]), (number[b], number[a])):
                self._out[start][end] = Hop(
                    start,
                    end,
                    round(1000 * link["latency_ms"]),
                    round(1000 * link["jitter_ms"]),
                    8 / link["bandwidth_mbit"],
                    link["loss"],
                )

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The links, each once, the smaller number first."""
        return [(start, end) for start, hops in enumerate(self._out) for end in hops if start < end]

    def hops(self) -> list[Hop]:
        """Return all hops, two for each link."""
        return [hop for hops in self._out for hop in hops.values()]

    # -- failing and healing

    def set_link(self, a: int, b: int, is_up: bool) -> None:
        """Take a link down or bring it back. It is up once it was brought back as often as it was taken down."""
        _count(self._down_links, (min(a, b), max(a, b)), is_up)
        self._look_at(a)

    def set_node(self, node: int, is_up: bool) -> None:
        """Take a node down, so that it relays nothing, or bring it back. Outages are counted as in :meth:`set_link`."""
        _count(self._down_nodes, node, is_up)
        self._look_at(node)

    def _look_at(self, node: int) -> None:
        """Update which hops from and to a node are open, and forget all paths."""
        self._paths.clear()
        for other, hop in self._out[node].items():
            is_open = not (
                node in self._down_nodes
                or other in self._down_nodes
                or (min(node, other), max(node, other)) in self._down_links
            )
            hop.is_open = self._out[other][node].is_open = is_open

    def parts(self) -> dict[int, int]:
        """Return, for every node that is up, the number of the connected part of the network that it is in."""
        part: dict[int, int] = {}
        for start in range(len(self._out)):
            if start in part or start in self._down_nodes:
                continue
            part[start] = start
            queue = [start]
            while queue:
                for hop in self._out[queue.pop()].values():
                    if hop.is_open and hop.end not in part:
                        part[hop.end] = start
                        queue.append(hop.end)
        return part

    # -- paths

    def path(self, start: int, end: int) -> Path:
        """Return the hops from start to end: the direct link if it is open, otherwise the quickest path.

        An empty path means that there is none.
        """
        known = self._paths.get(start)
        if known is None:
            known = self._paths[start] = {}
        if end not in known:
            direct = self._out[start].get(end)
            if direct is not None and direct.is_open:
                known[end] = (direct,)
            else:
                for target, path in self._search(start).items():
                    known.setdefault(target, path)
                known.setdefault(end, ())
        return known[end]

    def _search(self, start: int) -> dict[int, Path]:
        """Return the quickest path to each node (Dijkstra's algorithm); among equals, that with the smaller numbers."""
        best: dict[int, Path] = {}
        queue: list[tuple[int, tuple[int, ...], Path]] = [(0, (start,), ())]
        while queue:
            far_us, nodes, path = heapq.heappop(queue)
            here = nodes[-1]
            if here in best:
                continue
            best[here] = path
            for hop in self._out[here].values():
                if hop.end not in best and hop.is_open:
                    heapq.heappush(queue, (far_us + hop.latency_us + 1, (*nodes, hop.end), (*path, hop)))
        del best[start]
        return best

    def cross(self, hop: Hop, size_bytes: int, now_us: int, is_bulk: bool) -> int:
        """Send bytes over a hop; return when the last one arrives, in microseconds.

        The hop is busy until they are sent. Bulk data waits for everything before it, frames for other frames only.
        """
        size_bytes += OVERHEAD_BYTES
        hop.carried_bytes += size_bytes
        begin = hop.bulk_free_us if is_bulk else hop.frames_free_us
        if begin > now_us:
            hop.longest_wait_us = max(hop.longest_wait_us, 0 if is_bulk else begin - now_us)
        sent = (begin if begin > now_us else now_us) + int(size_bytes * hop.us_per_byte)
        if sent > hop.bulk_free_us:
            hop.bulk_free_us = sent
        if not is_bulk:
            hop.frames_free_us = sent
        arrives = sent + hop.latency_us
        if hop.jitter_us:
            arrives += int(self._random.random() * hop.jitter_us)
        if hop.loss:
            arrives += self._repeats(hop, size_bytes)
        return arrives

    def _repeats(self, hop: Hop, size_bytes: int) -> int:
        """Return the microseconds that repeating lost packets costs.

        Lost packets are repeated together, so each round of losses costs one timeout.
        """
        any_lost = 1 - (1 - hop.loss) ** (1 + size_bytes // PACKET_BYTES)
        cost, rounds = 0, 0
        while rounds < 10 and self._random.random() < any_lost:
            cost += RETRANSMIT_US + 2 * hop.latency_us
            any_lost, rounds = hop.loss, rounds + 1
        return cost


def _count(outages: Counter[Place], place: Place, is_over: bool) -> None:
    outages[place] += -1 if is_over else 1
    if outages[place] <= 0:  # bringing up a place that was never down changes nothing
        del outages[place]
