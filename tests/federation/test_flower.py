"""Three processes train a project of Flower as it is, and one whose project has another option is refused."""

import shutil
from pathlib import Path

import pytest
from harness import Federation, assert_finished

from coterie.peer.errors import Exit

pytest.importorskip("flwr", reason="Flower is not installed: docs/apps.md has the line for it")
pytestmark = pytest.mark.processes

PROJECT = Path(__file__).parents[2] / "examples" / "flower_project"


def site(number: int, folder: Path = PROJECT) -> tuple[str, ...]:
    return "--flower", str(folder), "--node-config", f"partition-id={number} num-partitions=3"


def test_a_project_of_flower_is_trained_without_its_server(tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(PROJECT, other)
    text = (other / "pyproject.toml").read_text()
    (other / "pyproject.toml").write_text(text.replace("local-epochs = 1", "local-epochs = 2"))
    with Federation(tmp_path) as federation:
        federation.found(*site(0), "--rounds", "3")
        stranger = federation.join(*site(1, other))
        assert stranger.exit_code() == Exit.MODEL
        assert "the apps differ in run.local-epochs: the federation's is 1, yours is 2" in stranger.errors
        federation.peers.remove(stranger)
        for number in (1, 2):
            federation.join(*site(number))
        assert_finished(federation)
        told = [event for event in federation.peers[0].told("model") if event["kind"] != "setup"]
        assert told[-1]["loss"] < 0.5 * told[0]["loss"]
        assert told[-1]["metrics"]["accuracy"] > 0.9
        assert all((peer.home / "app" / "state.bin").exists() for peer in federation.peers)
