"""Five sites that may not pool their rows learn as well as scikit-learn does with all rows in one place.

`make bench ARGS=learning` shows more tables, and more splits of each.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from averaging import federate
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier

from coterie.peer.learning.arrays import unflatten
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.tables_app import TableApp

SHARES = (0.07, 0.12, 0.18, 0.25, 0.38)
ROUNDS = 30


@pytest.fixture(autouse=True)
def _repeatable_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches come from the operating system's randomness; here they are the same in each run."""
    ours = np.random.default_rng
    seeds: Iterator[int] = iter(range(10**6))
    monkeypatch.setattr(np.random, "default_rng", lambda seed=None: ours(next(seeds) if seed is None else seed))


def split(target: Any, is_skewed: bool) -> list[Any]:
    """The rows of five unequal sites. Skewed: four rows of five are sorted by the target, the fifth is anywhere."""
    order = np.random.default_rng(3).permutation(len(target))
    count = round(0.8 * len(order)) if is_skewed else 0
    by_target = order[:count][np.argsort(target[order[:count]], kind="stable")]
    parts = [np.split(rows, (np.cumsum(SHARES)[:-1] * len(rows)).astype(int)) for rows in (by_target, order[count:])]
    return [np.concatenate(pair) for pair in zip(*parts, strict=True)]


def sites(folder: Path, kind: Any, inputs: Any, target: Any, is_skewed: bool) -> list[TableApp]:
    paths = []
    for site, part in enumerate(split(target, is_skewed)):
        paths.append(folder / f"{site}.csv")
        with paths[-1].open("w", newline="") as file:
            rows = ([*inputs[row], target[row]] for row in part)
            csv.writer(file).writerows([[*(f"x{i}" for i in range(inputs.shape[1])), "target"], *rows])
    classes = [] if kind == "linear" else [str(label) for label in np.unique(target)]
    founder = TableApp.found(paths[0], "target", kind, classes=classes)
    return [founder, *(TableApp.adopt(founder.describe(), path) for path in paths[1:])]


def federated(apps: list[TableApp]) -> Any:
    """Predictions for all sites' test rows after federated averaging as the protocol does it."""
    weights, _ = federate(apps, ROUNDS)
    return apps[0].predict(unflatten(weights, Learner(apps[0]).shapes), rows_of(apps, tested=True)[0])


def rows_of(apps: list[TableApp], tested: bool) -> tuple[Any, Any]:
    """Inputs, and numbers or places of the labels, of all sites together."""
    chosen = [app.tested == tested for app in apps]
    inputs = np.concatenate([app.table.inputs[rows] for app, rows in zip(apps, chosen, strict=True)])
    targets = []
    for app, rows in zip(apps, chosen, strict=True):
        codes = [app.task.classes.index(label) for label in app.table.labels]
        values = app.table.values if app.table.codes is None else np.array(codes)[app.table.codes]
        assert values is not None
        targets.append(values[rows])
    return inputs, np.concatenate(targets)


def pooled(apps: list[TableApp], model: Any) -> Any:
    """Predictions for all sites' test rows of a model that saw all training rows."""
    inputs, target = rows_of(apps, tested=False)
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread[spread == 0] = 1
    model.fit((inputs - mean) / spread, target)
    return model.predict((rows_of(apps, tested=True)[0] - mean) / spread)


@pytest.mark.parametrize("is_skewed", [False, True], ids=["even", "skewed"])
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_digits], ids=lambda load: load.__name__)
def test_logistic_regression_is_within_1_percent_of_pooled(tmp_path: Path, load: Any, is_skewed: bool) -> None:
    data = load()
    apps = sites(tmp_path, "logistic", data.data, data.target, is_skewed)
    wanted = rows_of(apps, tested=True)[1]
    best = (pooled(apps, LogisticRegression(max_iter=5000)) == wanted).mean()
    assert (federated(apps) == wanted).mean() >= best - 0.01


@pytest.mark.parametrize("is_skewed", [False, True], ids=["even", "skewed"])
def test_linear_regression_is_within_2_percent_of_pooled(tmp_path: Path, is_skewed: bool) -> None:
    data = load_diabetes(scaled=False)
    apps = sites(tmp_path, "linear", data.data, data.target, is_skewed)
    wanted = rows_of(apps, tested=True)[1]
    best, ours = (
        np.sqrt(np.square(predicted - wanted).mean())
        for predicted in (pooled(apps, LinearRegression()), federated(apps))
    )
    assert ours <= 1.02 * best


@pytest.mark.parametrize("is_skewed", [False, True], ids=["even", "skewed"])
def test_a_perceptron_tells_xor_within_1_percent_of_pooled(tmp_path: Path, is_skewed: bool) -> None:
    inputs = np.random.default_rng(0).normal(size=(2000, 2))
    target = ((inputs[:, 0] > 0) ^ (inputs[:, 1] > 0)).astype(int)
    apps = sites(tmp_path, "mlp", inputs, target, is_skewed)
    wanted = rows_of(apps, tested=True)[1]
    best = (pooled(apps, MLPClassifier(apps[0].task.hidden, max_iter=1000, random_state=0)) == wanted).mean()
    assert best > 0.98
    assert (federated(apps) == wanted).mean() >= best - 0.01
