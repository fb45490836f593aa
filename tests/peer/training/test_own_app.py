"""Projects of Flower in the place of a table, as far as no package is needed for the test."""

import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from coterie.apps.flower_plan import INSTALL
from coterie.peer.home.settings import FLOWER_APP, Settings
from coterie.peer.learning.app import AppError
from coterie.peer.training.own_app import own_app

ROOT = Path(__file__).parents[3]
PROJECT = ROOT / "examples" / "flower_project"


def settings(folder: Path) -> Settings:
    return Settings(app=FLOWER_APP, app_folder=str(folder))


def test_a_project_where_flower_is_not_installed_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [one for one in sys.modules if one.partition(".")[0] == "flwr"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flwr", None)
    with pytest.raises(AppError, match=f"^--flower needs the package flwr, .*; type: {re.escape(INSTALL)}$"):
        own_app(settings(PROJECT))


def test_another_release_of_flower_is_refused_with_the_same_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "flwr", ModuleType("flwr"))
    monkeypatch.setattr(metadata, "version", {"flwr": "1.41.0"}.__getitem__)
    wanted = f"--flower needs the package flwr 1.42.0, and 1.41.0 is installed; type: {INSTALL}"
    with pytest.raises(AppError, match=f"^{re.escape(wanted)}$"):
        own_app(settings(PROJECT))


def test_the_document_has_the_line_that_installs_flower() -> None:
    assert f"\n{INSTALL}\n" in (ROOT / "docs" / "apps.md").read_text()


def test_a_folder_that_is_no_project_is_refused_before_flower_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    with pytest.raises(AppError, match=r"^--flower .*: .*pyproject.toml: it lacks 'tool', which a Flower project has$"):
        own_app(settings(tmp_path))


def test_messages_name_a_project_by_its_folder() -> None:
    assert settings(Path("/home/me/tumours")).app_option == "--flower tumours"
    assert settings(Path("/home/me/tumours")).app_name == "tumours"
    assert Settings(app="mine:app").app_option == "--app mine:app"
