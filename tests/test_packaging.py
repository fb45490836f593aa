"""The distribution carries exactly the packages that are in the tree."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("crypto", "protocol", "peer", "topology")


def _packages_in_tree() -> set[str]:
    return {
        ".".join(("coterie", *init.parent.relative_to(ROOT).parts))
        for layer in LAYERS
        for init in (ROOT / layer).rglob("__init__.py")
    }


def test_pyproject_lists_every_package_of_the_tree() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(config["tool"]["setuptools"]["packages"]) == _packages_in_tree()


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {module.parent for layer in LAYERS for module in (ROOT / layer).rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_every_layer_announces_its_types() -> None:
    for layer in LAYERS:
        if (ROOT / layer / "__init__.py").exists():
            assert (ROOT / layer / "py.typed").exists(), layer
