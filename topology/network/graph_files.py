"""Networks from graph files, in the formats that networkx reads and drawing programs write."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import networkx as nx

from .graphs import LinkDefaults, TopologyError, fill

__all__ = ["read"]

_edge_list = partial(nx.read_edgelist, create_using=nx.MultiGraph, encoding="utf-8-sig")

_READERS: Final[dict[str, Callable[[Path], nx.Graph]]] = {
    ".graphml": nx.read_graphml,
    ".gml": nx.read_gml,
    ".gexf": nx.read_gexf,
    ".net": nx.read_pajek,
    ".adjlist": nx.read_adjlist,
    ".csv": partial(_edge_list, delimiter=","),
    ".edgelist": _edge_list,
    ".txt": _edge_list,
}
"""Readers by the end of the file's name."""


def read(path: str | Path, seed: int = 0, defaults: LinkDefaults | None = None) -> nx.Graph:
    """Read a graph file: .graphml, .gml, .gexf, .net (Pajek), .adjlist, or an edge list (.txt, .edgelist, .csv).

    Attributes that the file lacks are filled in as :func:`.graphs.fill` does.

    Raises:
        TopologyError: the file cannot be read, or is no network that a federation can run on.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise TopologyError(f"{path}: a graph file ends with {', '.join(_READERS)}")
    try:
        graph = reader(path)
    except OSError as error:
        raise TopologyError(f"{path}: {error.strerror}") from None
    except Exception as error:  # each reader raises the errors of its own parser
        kind = path.suffix[1:].lower()
        raise TopologyError(f"{path}: networkx cannot read it as {kind} ({error}){_advice(kind)}") from None
    names = {node: node.strip() for node in graph if isinstance(node, str)}
    graph = nx.relabel_nodes(graph, names)  # in "Lyon, Paris" the blank is not part of a name
    graph.graph["name"] = path.name
    return fill(graph, seed, defaults)


def _advice(kind: str) -> str:
    if kind not in ("csv", "edgelist", "txt"):
        return ""
    between = "," if kind == "csv" else " "
    return (
        f'; a line of it joins two sites, such as: Lyon{between}Paris{between}{{"latency_ms": 20}}; '
        "a bare number is not read, because it does not say of what"
    )
