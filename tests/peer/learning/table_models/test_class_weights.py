"""Rows of a rare class can count more in training, in the same way at all members, and nowhere else."""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from coterie.peer.learning.arrays import unflatten
from coterie.peer.learning.exports.exported import TableModel
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.models import Network
from coterie.peer.learning.table_models.survey import summary
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.table_models.task import Task, TaskMismatch

SHARES = (0.1, 0.2, 0.3, 0.4)
ROUNDS = 20
WEIGHTS = {"no": 0.5, "yes": 10.0}
"""About what scikit-learn calls balanced, where 5 % are "yes"."""


@pytest.fixture(autouse=True)
def _repeatable_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches come from the operating system's randomness; here they are the same in each run."""
    ours = np.random.default_rng
    seeds: Iterator[int] = iter(range(10**6))
    monkeypatch.setattr(np.random, "default_rng", lambda seed=None: ours(next(seeds) if seed is None else seed))


def rare(rows: int = 2400) -> tuple[Any, Any]:
    """Four numbers, and a class that is "yes" in 5 % of the rows and not told by them for certain."""
    random = np.random.default_rng(1)
    inputs = random.normal(size=(rows, 4))
    score = inputs @ np.array([1.0, -0.6, 0.4, 0.0]) + random.normal(scale=0.7, size=rows)
    return inputs, np.where(score > np.quantile(score, 0.95), "yes", "no")


def parts_of(target: Any, is_skewed: bool) -> list[Any]:
    """The rows of each site. Skewed: the first site has half of the rare class, the last one next to none."""
    random = np.random.default_rng(2)
    parts: list[list[Any]] = [[] for _ in SHARES]
    for label in ("no", "yes"):
        shares = (0.5, 0.3, 0.17, 0.03) if is_skewed and label == "yes" else SHARES
        rows = random.permutation(np.flatnonzero(target == label))
        cuts = np.split(rows, (np.cumsum(shares)[:-1] * len(rows)).astype(int))
        for part, some in zip(parts, cuts, strict=True):
            part.append(some)
    return [np.concatenate(part) for part in parts]


def sites(folder: Path, weights: dict[str, float], is_skewed: bool = False) -> list[TableApp]:
    inputs, target = rare()
    paths = []
    for site, part in enumerate(parts_of(target, is_skewed)):
        paths.append(folder / f"{site}.csv")
        with paths[-1].open("w", newline="") as file:
            csv.writer(file).writerows([["a", "b", "c", "d", "y"], *([*inputs[row], target[row]] for row in part)])
    founder = TableApp.found(paths[0], "y", "logistic", class_weights=weights)
    return [founder, *(TableApp.adopt(founder.describe(), path) for path in paths[1:])]


def together(apps: list[TableApp], tested: bool) -> tuple[Any, Any]:
    """Inputs and labels of all sites' rows."""
    inputs = [app.table.inputs[app.tested == tested] for app in apps]
    labels = [np.array(app.table.labels)[app.table.codes][app.tested == tested] for app in apps]
    return np.concatenate(inputs), np.concatenate(labels)


def balanced_accuracy(apps: list[TableApp]) -> float:
    """The mean of sensitivity and specificity over all test rows, after federated averaging as the protocol does it."""
    learners = [Learner(app) for app in apps]
    totals = np.sum([learner.setup() for learner in learners], axis=0).tolist()
    for learner in learners:
        learner.prepare(totals)
    weights = learners[0].initial()
    for number in range(1, ROUNDS + 1):
        fits = [learner.fit(weights, number) for learner in learners]
        examples = [fit.examples for fit in fits]
        weights = np.average([fit.weights for fit in fits], axis=0, weights=examples).astype(np.float32)
    inputs, wanted = together(apps, tested=True)
    told = apps[0].predict(unflatten(weights, learners[0].shapes), inputs)
    return float(balanced_accuracy_score(wanted, np.array(apps[0].task.classes)[told]))


@pytest.mark.parametrize("is_skewed", [False, True], ids=["even", "skewed"])
def test_a_rare_class_is_found_as_by_weighted_training_on_pooled_rows(tmp_path: Path, is_skewed: bool) -> None:
    plain = balanced_accuracy(sites(tmp_path, {}, is_skewed))
    apps = sites(tmp_path, WEIGHTS, is_skewed)
    weighted = balanced_accuracy(apps)
    trained, tested = together(apps, tested=False), together(apps, tested=True)
    pooled = LogisticRegression(class_weight=WEIGHTS).fit(*trained)
    assert weighted > plain + 0.15
    assert weighted == pytest.approx(balanced_accuracy_score(tested[1], pooled.predict(tested[0])), abs=0.02)


@pytest.mark.parametrize("network", [Network(3, classes=2), Network(3, classes=3), Network(3, (4,), 3)])
def test_a_weight_counts_like_so_many_rows(network: Network) -> None:
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(12, 3)), np.arange(12) % network.classes
    weights = [random.normal(size=array.shape) for array in network.initial(b"")]
    factors = np.array([1.0, 3.0, 2.0])[: network.classes]
    times = factors[targets].astype(int)
    repeated = network.gradient(weights, np.repeat(inputs, times, axis=0), np.repeat(targets, times))
    weighed = network.gradient(weights, inputs, targets, factors)
    for one, other in zip(weighed, repeated, strict=True):
        # The mean is over the rows that there are.
        assert one == pytest.approx(other * times.sum() / len(targets))


def test_the_mean_of_the_sites_gradients_is_the_gradient_of_all_rows(tmp_path: Path) -> None:
    """Though one site has a much larger part of the heavy class: a mean over weights would not be."""
    network, factors = Network(2, classes=2), np.array([1.0, 10.0])
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(40, 2)), np.repeat([1, 0], 20)
    weights = [random.normal(size=array.shape) for array in network.initial(b"")]
    parts = [slice(0, 15), slice(15, 40)]
    gradients = [network.gradient(weights, inputs[part], targets[part], factors) for part in parts]
    whole = network.gradient(weights, inputs, targets, factors)
    for array, (first, second) in zip(whole, zip(*gradients, strict=True), strict=True):
        assert array == pytest.approx((15 * first + 25 * second) / 40)


def test_members_take_the_weights_from_the_description_and_are_told_them(tmp_path: Path) -> None:
    apps = sites(tmp_path, {"yes": 10.0})
    assert json.loads(apps[0].describe())["class_weights"] == [1.0, 10.0]
    for app in apps:
        assert app.training.class_weights == (1.0, 10.0)
        assert "in training a row of each class counts as much as this: no 1, yes 10" in summary(app)


def test_a_task_without_weights_has_the_description_that_it_always_had(tmp_path: Path) -> None:
    plain = sites(tmp_path, {})[0]
    assert "class_weights" not in json.loads(plain.describe())
    assert "counts as much" not in summary(plain)


def test_weights_change_neither_what_a_round_adds_up_nor_what_is_exported(tmp_path: Path) -> None:
    plain, weighed = (sites(tmp_path, weights)[0] for weights in ({}, WEIGHTS))
    models = []
    arrays = [np.array([[1], [0], [0], [0]], dtype=np.float32), np.zeros(1, dtype=np.float32)]
    for app in (plain, weighed):
        app.prepare(app.setup())
        assert app.standard is not None
        models.append(TableModel.of(app.task, app.standard, arrays))
    assert plain.setup() == weighed.setup()
    assert plain.evaluate(models[0].weights) == weighed.evaluate(models[0].weights)
    one, other = (model.fields() for model in models)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one.keys() - {"arrays"})


def test_the_first_model_s_loss_does_not_count_the_rows_of_a_class(tmp_path: Path) -> None:
    for app in sites(tmp_path, WEIGHTS, is_skewed=True):
        app.prepare(app.setup())
        loss, _, _ = app.evaluate(app.initial())
        assert loss == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("kind", "weights", "told"),
    [
        ("logistic", {"maybe": 2.0}, "--class-weights: 'y' has no class 'maybe'; the classes are 'no', 'yes'"),
        ("logistic", {"yes": 101.0}, "--class-weights: that of 'yes' is from 0.1 to 100, not 101"),
        ("logistic", {"no": 0.01}, "--class-weights: that of 'no' is from 0.1 to 100, not 0.01"),
        ("logistic", {"no": math.nan}, "from 0.1 to 100, not nan"),
        ("linear", {"1": 2.0}, "--class-weights: 'd' is predicted as a number; a class takes --model logistic"),
    ],
)
def test_weights_that_do_not_belong_to_the_target_are_refused(
    tmp_path: Path, kind: Any, weights: dict[str, float], told: str
) -> None:
    sites(tmp_path, {})
    with pytest.raises(ValueError, match=told):
        TableApp.found(
            tmp_path / "0.csv",
            "y" if kind == "logistic" else "d",
            kind,
            ignore=() if kind == "logistic" else ("y",),
            class_weights=weights,
        )


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ("[1.0]", "1 class weights do not belong to 2 classes"),
        ("[1.0,1000.0]", "from 0.1 to 100, not 1000"),
        ("[1.0,NaN]", "from 0.1 to 100, not nan"),
        ("[1,10]", "cannot be used"),
        ('["1","10"]', "cannot be used"),
        ("[true,true]", "cannot be used"),
        ('{"no":1.0}', "cannot be used"),
        ("[]", "not in canonical form"),
        ("[1.0,10.00]", "not in canonical form"),
    ],
)
def test_weights_of_a_description_that_there_cannot_be_are_refused(tmp_path: Path, weights: str, told: str) -> None:
    description = sites(tmp_path, {"yes": 10.0})[0].describe()
    assert "[1.0,10.0]" in description
    with pytest.raises(TaskMismatch, match=told):
        TableApp.adopt(description.replace("[1.0,10.0]", weights), tmp_path / "1.csv")


def test_a_number_has_no_class_weights() -> None:
    with pytest.raises(ValueError, match="2 class weights do not belong to 0 classes"):
        Task("linear", "y", ("a",), class_weights=(1.0, 2.0))
