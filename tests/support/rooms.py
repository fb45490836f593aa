"""The rooms of the code, the arrows between them, and how docs/architecture.md shows them.

A room is a folder of modules; the modules that stand in the folder of a layer itself are each a room of their own.
Everything that is imported counts, also for types only, and also inside functions.

`python tests/support/rooms.py` writes the table of docs/architecture.md anew.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).parents[2]
LAYERS = ("crypto", "protocol", "peer", "topology", "apps")
PAGE = ROOT / "docs" / "architecture.md"
_BLOCK = re.compile(r"(<!-- rooms: [^>]*-->\n).*?(<!-- end of rooms -->)", re.DOTALL)

Graph = Mapping[str, frozenset[str]]
"""For each room or module the others that it imports."""


def _files() -> dict[str, Path]:
    """All modules by their names below `coterie`; a package has the name of its folder."""
    found = {}
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


FILES = _files()


def _names(module: str, path: Path) -> Iterator[str]:
    """The names below `coterie` that a module imports."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
            elif node.module is not None and node.module.split(".")[0] == "coterie":
                base = []
            else:
                continue
            source = [*base, *(node.module or "").removeprefix("coterie.").split(".")]
            for alias in node.names:
                yield ".".join(filter(None, [*source, alias.name]))
        elif isinstance(node, ast.Import):
            yield from (one.name.removeprefix("coterie.") for one in node.names if one.name.startswith("coterie."))


def modules() -> Graph:
    """Which modules each module imports."""
    found = {}
    for module, path in FILES.items():
        targets = set()
        for name in _names(module, path):
            target = name if name in FILES else name.rpartition(".")[0]
            if target in FILES:
                targets.add(target)
        found[module] = frozenset(targets - {module})
    return found


def room_of(module: str) -> str:
    """The room in which a module stands."""
    if FILES[module].name == "__init__.py":
        return module
    folder = module.rpartition(".")[0]
    return module if folder in LAYERS and folder != "apps" else folder


def rooms() -> Graph:
    """Which rooms the modules of each room import. A layer's own `__init__` is no room, since it only leads on."""
    found: dict[str, set[str]] = {}
    for module, targets in modules().items():
        if module in LAYERS:
            continue
        room = room_of(module)
        arrows = found.setdefault(room, set())
        arrows |= {room_of(target) for target in targets if target not in LAYERS} - {room}
    return {room: frozenset(arrows) for room, arrows in sorted(found.items())}


def circles(graph: Graph) -> list[list[str]]:
    """The groups of names that import each other in a circle."""
    arrows = nx.DiGraph((one, other) for one, others in graph.items() for other in others)
    return [sorted(group) for group in nx.strongly_connected_components(arrows) if len(group) > 1]


def _summary(room: str) -> str:
    text = ast.get_docstring(ast.parse(FILES[room].read_text(encoding="utf-8"))) or ""
    words = re.sub(r":\w+:`\.*([^`]*)`", r"`\1`", " ".join(text.split()))
    return re.split(r"\.\s|[:;] |\.$", words, maxsplit=1)[0].replace("|", "\\|")


def _table(layer: str) -> Iterator[str]:
    graph = rooms()
    inside = {room for room in graph if room.split(".")[0] == layer}
    arrows = nx.DiGraph((one, other) for one in inside for other in graph[one] & inside)
    arrows.add_nodes_from(inside)
    levels = list(nx.topological_generations(arrows))
    short = {room: room.removeprefix(f"{layer}.") for room in inside}
    yield f"### `{layer}`"
    yield ""
    yield "| room | what is in it | imports of this layer | of others |"
    yield "| --- | --- | --- | --- |"
    for level in levels:
        for room in sorted(level):
            near = ", ".join(f"`{short[one]}`" for one in sorted(graph[room] & inside))
            far = ", ".join(f"`{one}`" for one in sorted(graph[room] - inside))
            yield f"| `{short[room]}` | {_summary(room)} | {near} | {far} |"
    yield ""


def page(text: str) -> str:
    """A page with the tables of rooms between its two marks made anew."""
    tables = "\n".join(line for layer in reversed(LAYERS) for line in _table(layer))
    return _BLOCK.sub(lambda match: f"{match[1]}\n{tables}\n{match[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
