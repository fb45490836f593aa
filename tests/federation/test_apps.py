"""Three processes train the app that `peer new-app` writes; its result is used without the federation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Federation, assert_finished, peer

from coterie.peer.errors import Exit

pytestmark = pytest.mark.processes

PREDICT = "import mymodel; print(*mymodel.app().load('model.npz').predict([[80, 5, 150], [25, 1, 110]]))"


def site(folder: Path, number: int) -> dict[str, str]:
    return {
        "DATA": f"site-{number}.csv",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))),
    }


def test_the_app_of_new_app_is_trained_and_predicts_and_one_with_other_options_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    made = peer("new-app", "sklearn", str(folder))
    assert made.returncode == 0, made.stderr
    other = (folder / "mymodel.py").read_text().replace("C=1.0", "C=0.5")
    (folder / "othermodel.py").write_text(other)
    with Federation(tmp_path) as federation:
        federation.found("--app", "mymodel:app", "--rounds", "3", environment=site(folder, 1))
        stranger = federation.join("--app", "othermodel:app", environment=site(folder, 2))
        assert stranger.exit_code() == Exit.MODEL
        assert "the apps differ in options.C: the federation's is 1.0, yours is 0.5" in stranger.errors
        federation.peers.remove(stranger)
        for number in (2, 3):
            federation.join("--app", "mymodel:app", environment=site(folder, number))
        assert_finished(federation)
        told = [event for event in federation.peers[0].told("model") if event["kind"] != "setup"]
        assert told[-1]["loss"] < 0.6 * told[0]["loss"]
        assert "accuracy" not in told[-2]["metrics"]
        assert told[-1]["metrics"]["accuracy"] > 0.7
        federation.peers[0].ask("model", "export", "--out", str(folder / "model.npz"))
    done = subprocess.run((sys.executable, "-c", PREDICT), cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["yes", "no"], done.stderr
