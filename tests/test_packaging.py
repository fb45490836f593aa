"""The distribution carries exactly the packages that are in the tree."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import coterie

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("apps", "crypto", "protocol", "peer", "topology")


def _packages_in_tree() -> set[str]:
    return {"coterie"} | {
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
    assert (ROOT / "py.typed").exists()
    for layer in LAYERS:
        if (ROOT / layer / "__init__.py").exists():
            assert (ROOT / layer / "py.typed").exists(), layer


def test_ci_runs_on_every_python_that_pyproject_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stated = [one.rpartition(" ")[2] for one in project["classifiers"] if "Python :: 3." in one]
    (matrix,) = re.findall(r"python: \[(.*)\]", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert re.findall(r"[\d.]+", matrix) == stated


def _stated_version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def test_the_version_is_the_one_that_pyproject_states() -> None:
    assert coterie.__version__ == _stated_version()


def test_the_version_of_an_installed_package_comes_from_its_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", {"coterie": "9.8.7"}.__getitem__)
    assert coterie.__version__ == "9.8.7"


def test_the_version_of_a_checkout_that_is_not_installed_comes_from_pyproject(monkeypatch: pytest.MonkeyPatch) -> None:
    _uninstall(monkeypatch)
    assert coterie.__version__ == _stated_version()


def test_a_copy_without_metadata_and_pyproject_does_not_invent_a_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _uninstall(monkeypatch)
    monkeypatch.setattr(coterie, "__file__", str(tmp_path / "__init__.py"))
    assert coterie.__version__ == "0+unknown"


def _uninstall(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)


def test_the_root_package_has_nothing_else_to_look_up() -> None:
    assert not hasattr(coterie, "version")


def test_importing_the_root_package_loads_no_layer_and_no_metadata() -> None:
    code = "import sys; before = set(sys.modules); import coterie; print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not {"importlib.metadata", "tomllib", *(f"coterie.{layer}" for layer in LAYERS)} & loaded
