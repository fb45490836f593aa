"""Which layer, room and module may import which: crypto <- protocol <- {peer <- apps, topology}.

The core touches nothing of the world. The arrows between rooms are those of docs/architecture.md.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rooms

from coterie.protocol.scheme_registry import SCHEMES

ROOT = Path(__file__).resolve().parents[1]

ALLOWED = {
    "apps": {"apps", "peer", "protocol", "crypto"},
    "crypto": {"crypto"},
    "protocol": {"protocol", "crypto"},
    "peer": {"peer", "protocol", "crypto"},
    "topology": {"topology", "protocol", "crypto"},
}
WORLD = {"trio", "socket", "time", "random", "threading", "libp2p", "sqlite3"}
KERNELS = ("crypto/kernels/", "crypto/masks/kernels.py", "crypto/proof/kernels.py")  # which may import numba
KNOW_SCHEMES = {
    "peer/driving/compilation.py",  # compiles the default one's kernels
    "protocol/scheme_registry.py",
    "protocol/schemes/__init__.py",
    "topology/adversaries/forging.py",  # forges their shares
    "topology/adversaries/provers.py",  # and their proofs
    "topology/engine/ideal_crypto.py",  # stands for one of them
}  # who may name a single scheme
BY_NAME = {"import_module", "importlib.import_module", "__import__"}


def imported_names(source: str, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute dotted name) of everything that `source`, a module of `package`, imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                yield node.lineno, ".".join((*base, *filter(None, [node.module]), alias.name))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in BY_NAME and node.args:
            match node.args[0]:
                case ast.Constant(value=str(name)):
                    yield node.lineno, name


def imports_of_layer(layer: str) -> Iterator[tuple[str, str]]:
    """Yield (place, absolute dotted name) for every import in the layer's modules."""
    for path in sorted((ROOT / layer).rglob("*.py")):
        relative = path.relative_to(ROOT)
        package = ("coterie", *relative.parent.parts)
        for line, name in imported_names(path.read_text(encoding="utf-8"), package):
            yield f"{relative}:{line}", name


def layer_of(name: str) -> str | None:
    """The layer of this project that a dotted name belongs to; a bare `crypto` counts as ours."""
    parts = name.split(".")
    head = parts[1] if parts[0] == "coterie" and len(parts) > 1 else parts[0]
    return head if head in ALLOWED else None


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_a_layer_imports_only_the_layers_below_it(layer: str) -> None:
    wrong = [
        f"{place} imports {name}"
        for place, name in imports_of_layer(layer)
        if (target := layer_of(name)) is not None
        and target not in ALLOWED[layer]
        # `peer simulate` is the command line of topology/, and imports it when it runs.
        and not (place.startswith("peer/cli/commands/simulate.py:") and target == "topology")
    ]
    assert wrong == []


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_a_package_names_its_siblings_relatively_or_as_coterie(layer: str) -> None:
    wrong = [f"{place} imports {name}" for place, name in imports_of_layer(layer) if name.split(".")[0] in ALLOWED]
    assert wrong == []


@pytest.mark.parametrize("layer", ["crypto", "protocol"])
def test_the_core_imports_nothing_that_touches_the_world(layer: str) -> None:
    wrong = [f"{place} imports {name}" for place, name in imports_of_layer(layer) if name.split(".")[0] in WORLD]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert rooms.circles(rooms.modules()) == []


def test_no_rooms_import_each_other_in_a_circle() -> None:
    assert rooms.circles(rooms.rooms()) == []


def test_the_arrows_between_rooms_are_those_of_the_architecture() -> None:
    text = rooms.PAGE.read_text(encoding="utf-8")
    assert rooms.page(text) == text, "an arrow is new or gone; is it wanted? then: python tests/support/rooms.py"


def test_circles_are_found_also_where_only_types_are_imported(tmp_path: Path) -> None:
    graph = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"b"})}
    assert rooms.circles(graph) == [["b", "c"]]
    path = tmp_path / "module.py"
    path.write_text(
        "if TYPE_CHECKING:\n    from ..home.folder import Home\ndef f():\n    from coterie.crypto import ntt\n"
    )
    assert list(rooms._names("peer.page.module", path)) == ["peer.home.folder.Home", "crypto.ntt"]


def test_only_the_kernels_import_numba() -> None:
    wrong = [
        f"{place} imports {name}"
        for layer in ALLOWED
        for place, name in imports_of_layer(layer)
        if name.split(".")[0] in {"numba", "llvmlite"} and not place.startswith(KERNELS)
    ]
    assert wrong == []


def test_nothing_else_knows_a_scheme_by_name() -> None:
    # A line of the table names the module and the class.
    single = {f"coterie.protocol.schemes.{one}" for entry in SCHEMES.values() for one in str(entry.scheme).split(":")}
    wrong = [
        f"{place} imports {name}"
        for layer in ALLOWED
        for place, name in imports_of_layer(layer)
        if any(f"{name}.".startswith(f"{one}.") for one in single) and place.split(":")[0] not in KNOW_SCHEMES
    ]
    for path in (one for layer in ALLOWED for one in sorted((ROOT / layer).rglob("*.py"))):
        place = str(path.relative_to(ROOT))
        wrong += [
            f"{place}:{node.lineno} says {node.value!r}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and node.value in SCHEMES and place not in KNOW_SCHEMES
        ]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "package", "expected"),
    [
        ("import time", "coterie.crypto", ["time"]),
        ("import os, numba.core", "coterie.crypto", ["os", "numba.core"]),
        ("from . import field", "coterie.crypto", ["coterie.crypto.field"]),
        ("from .field import P", "coterie.crypto", ["coterie.crypto.field.P"]),
        ("from .. import peer", "coterie.crypto", ["coterie.peer"]),
        ("from ...peer.network import link", "coterie.protocol.schemes", ["coterie.peer.network.link"]),
        ("def f():\n    from ..peer.home import store", "coterie.protocol", ["coterie.peer.home.store"]),
        ("importlib.import_module('trio')", "coterie.protocol", ["trio"]),
    ],
)
def test_the_walk_sees_every_way_to_import(source: str, package: str, expected: list[str]) -> None:
    assert [name for _, name in imported_names(source, tuple(package.split(".")))] == expected


def modules_after(code: str) -> set[str]:
    """The names in `sys.modules` of a fresh interpreter after it ran `code`."""
    script = f"{code}\nimport sys; sys.stderr.write('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stderr.split())


def test_the_protocol_is_importable_without_numba() -> None:
    assert not {"numba", "libp2p", "trio"} & modules_after("import coterie.protocol")


def test_help_of_the_command_line_loads_nothing_that_takes_time() -> None:
    code = "from coterie.peer.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert not {"numba", "numpy", "libp2p", "trio", "networkx"} & modules_after(code)
