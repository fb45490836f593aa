"""Three peers train tables of every kind and an own app: one model, and figures that came out of the secure sum."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from harness import Event, Federation, assert_finished

pytestmark = pytest.mark.processes

APP = """
import os
import numpy as np

SITE = int(os.environ["SITE"])

class App:
    '''Adds the number of its site to every weight; its loss is the first weight.'''

    metrics = ("site", "squared")

    def initial(self):
        return [np.zeros((2, 3), dtype=np.float32), np.ones(4, dtype=np.float32)]

    def keep_in(self, folder):
        self.folder = folder

    def fit(self, weights, round):
        self.folder.mkdir(exist_ok=True)
        (self.folder / "round").write_text(str(round))
        return [array + SITE / 4 for array in weights], 10 * SITE, {}

    def evaluate(self, weights):
        return float(weights[0][0, 0]), SITE, {"site": SITE, "squared": SITE * SITE}
"""
SITES = (1, 2, 4)
STEP = sum(10 * site * site / 4 for site in SITES) / sum(10 * site for site in SITES)
"""Mean of the sites' updates, each weighed by its examples: 0.75, which the encoding rounds nowhere. It rounds at
random what lies between its steps, and one of these is 3e-5 here.
"""


def models(federation: Federation) -> list[Event]:
    """The models of the training rounds, and the last evaluation."""
    return [event for event in federation.peers[0].told("model") if event["kind"] != "setup"]


def test_an_own_app_is_trained_by_the_weighted_mean_of_its_updates(federation: Federation) -> None:
    (federation.folder / "own_app.py").write_text(APP)

    def site(number: int) -> dict[str, str]:
        return {"SITE": str(number), "PYTHONPATH": str(federation.folder)}

    federation.found("--app", "own_app:App", "--rounds", "3", environment=site(SITES[0]))
    for number in SITES[1:]:
        federation.join("--app", "own_app:App", environment=site(number))
    assert_finished(federation)
    assert [(peer.home / "app" / "round").read_text() for peer in federation.peers] == ["3", "3", "3"]

    told = models(federation)
    assert [event["loss"] for event in told] == pytest.approx([0, STEP, 2 * STEP, 3 * STEP], abs=1e-5)
    for event in told:
        assert event["evaluated"] == sum(SITES)
        assert event["metrics"]["site"] == pytest.approx(sum(s * s for s in SITES) / sum(SITES))
        assert event["metrics"]["squared"] == pytest.approx(sum(s**3 for s in SITES) / sum(SITES))
    with np.load(federation.peers[0].home.with_suffix(".npz")) as file:
        assert file["array_0"].shape == (2, 3)
        np.testing.assert_allclose(file["array_0"], 3 * STEP, atol=1e-5)
        np.testing.assert_allclose(file["array_1"], 1 + 3 * STEP, atol=1e-5)
        assert json.loads(str(file["coterie"]))["trained"] == 3


def test_processes_train_with_dealings_that_prove_themselves_and_are_told_what_was_cut_down(
    federation: Federation,
) -> None:
    (federation.folder / "own_app.py").write_text(APP)

    def site(number: int) -> dict[str, str]:
        return {"SITE": str(number), "PYTHONPATH": str(federation.folder)}

    federation.found("--app", "own_app:App", "--rounds", "4", "--norm", "auto", environment=site(SITES[0]))
    for number in SITES[1:]:
        federation.join("--app", "own_app:App", environment=site(number))
    assert_finished(federation)

    # The update of the last site is sqrt(10) long, and may be 2 long in the first round. It is not cut down for ever.
    cut = list(federation.peers[2].told("clipped"))
    assert [event["round"] for event in cut][:1] == [1]
    assert cut[0]["times"] == pytest.approx(math.sqrt(10) / 2, rel=1e-5)
    assert "made 1.58 times shorter" in cut[0]["text"]
    assert not any(peer.told("clipped") for peer in federation.peers[:2])
    assert not any(peer.told("void") for peer in federation.peers)
    first, second = (event["loss"] for event in models(federation)[1:3])
    weights, scaled = [10 * one for one in SITES], [1 / 4, 2 / 4, 4 / 4 * 2 / math.sqrt(10)]
    assert first == pytest.approx(np.average(scaled, weights=weights), abs=1e-4)
    assert second - first <= STEP + 1e-4


def test_processes_end_with_the_same_round_when_the_loss_rises_and_each_has_the_best_model(
    federation: Federation,
) -> None:
    (federation.folder / "own_app.py").write_text(APP)

    def site(number: int) -> dict[str, str]:
        return {"SITE": str(number), "PYTHONPATH": str(federation.folder)}

    federation.found("--app", "own_app:App", "--rounds", "9", "--patience", "2", environment=site(SITES[0]))
    for number in SITES[1:]:
        federation.join("--app", "own_app:App", environment=site(number))
    assert_finished(federation)

    # The loss rises from the first round on, so the model to begin with is the best, and two rounds more are trained.
    assert [event["loss"] for event in models(federation)] == pytest.approx([0, STEP, 2 * STEP, 3 * STEP], abs=1e-5)
    for number, one in enumerate(federation.peers):
        (ended,) = {event["rounds"] for event in one.told("finished")}
        assert ended == 3
        file = federation.folder / f"best-{number}.npz"
        facts = one.ask("model", "export", "--best", "--out", str(file))
        assert (facts["round"], facts["trained"], facts["loss"], facts["best"]) == (0, 0, 0.0, True)
        with np.load(file) as arrays:
            assert not arrays["array_0"].any()


def colours(path: Path, seed: int) -> Path:
    """Write a table in which a point's place on the plane tells its colour."""
    source = random.Random(seed)
    lines = ["x,z,y"]
    for _ in range(100 + 40 * seed):
        x, z = source.uniform(-1, 1), source.uniform(-1, 1)
        lines.append(f"{x:.4f},{z:.4f},{'red' if x > 0.1 else 'green' if z > 0 else 'blue'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_logistic_regression_learns_classes_and_reports_its_accuracy(tmp_path: Path) -> None:
    with Federation(tmp_path, table=colours) as federation:
        federation.found("--model", "logistic", "--rounds", "6")
        federation.grow(3)
        assert_finished(federation)
        told = models(federation)
        assert told[0]["loss"] == pytest.approx(math.log(3), abs=1e-4)  # the first model knows nothing
        assert told[-1]["metrics"]["accuracy"] > 0.85
        tested = {event["evaluated"] for event in told}
        assert tested == {round(0.2 * 100) + round(0.2 * 140) + round(0.2 * 180)}


def saddle(path: Path, seed: int) -> Path:
    """Write a table of a product, which no linear model can learn."""
    source = random.Random(seed)
    lines = ["a,b,y"]
    for _ in range(200):
        a, b = source.uniform(-1, 1), source.uniform(-1, 1)
        lines.append(f"{a:.4f},{b:.4f},{10 * a * b:.4f}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_neural_network_learns_what_no_line_fits(tmp_path: Path) -> None:
    with Federation(tmp_path, table=saddle) as federation:
        federation.found("--model", "mlp", "--hidden", "16", "--rounds", "12")
        federation.grow(3)
        assert_finished(federation)
        told = models(federation)
        variance = 100 / 9  # of 10·a·b
        assert told[0]["loss"] > 0.5 * variance
        assert told[-1]["loss"] < 0.2 * variance
