"""Estimators of scikit-learn as apps: as good as on the pooled rows, one description, and what is refused."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from averaging import federate
from sklearn.base import clone, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from coterie.apps.sklearn import SklearnApp
from coterie.peer.learning.app import AppError
from coterie.peer.learning.arrays import unflatten
from coterie.peer.learning.learner import Learner

SHARES = (0.1, 0.3, 0.6)
CLIP = 4.0
ROUNDS = 8


def sites(data: Any, estimator: Any, seed: int, **options: Any) -> list[SklearnApp]:
    """Apps over unequal shards of a data set."""
    order = np.random.default_rng(seed).permutation(len(data.data))
    parts = np.split(order, (np.cumsum(SHARES)[:-1] * len(order)).astype(int))
    return [SklearnApp(estimator, data.data[part], data.target[part], **options) for part in parts]


def trained(apps: Sequence[SklearnApp], rounds: int = ROUNDS) -> tuple[list[np.ndarray], float]:
    """The final weights as arrays, and the largest change of one in a round."""
    weights, largest = federate(apps, rounds)
    return unflatten(weights, Learner(apps[0]).shapes), largest


def rows_of(apps: Sequence[SklearnApp], *, tested: bool) -> tuple[np.ndarray, np.ndarray]:
    chosen = [app._tested == tested for app in apps]
    x = np.concatenate([app._x[rows] for app, rows in zip(apps, chosen, strict=True)])
    return x, np.concatenate([app._y[rows] for app, rows in zip(apps, chosen, strict=True)])


def pooled(estimator: Any, apps: Sequence[SklearnApp]) -> Any:
    """scikit-learn alone, on all training rows in one place."""
    model = make_pipeline(StandardScaler(), clone(estimator).set_params(random_state=0, max_iter=1000))
    if is_regressor(estimator):
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    x, y = rows_of(apps, tested=False)
    return model.fit(x, y)


def accuracies(data: Any, estimator: Any, **options: Any) -> tuple[float, float]:
    """Of the federation and of the pooled rows, the means over three ways to share the rows out."""
    found = []
    for seed in range(3):
        apps = sites(data, estimator, seed, classes=range(len(data.target_names)), **options)
        weights, largest = trained(apps)
        assert largest < CLIP
        x, y = rows_of(apps, tested=True)
        ours, theirs = apps[0].pipeline(weights).predict(x), pooled(estimator, apps).predict(x)
        found.append((float((ours == y).mean()), float((theirs == y).mean())))
    federated, together = np.mean(found, axis=0).tolist()
    return federated, together


CLASSIFIERS = [
    pytest.param(LogisticRegression(), id="logistic"),
    pytest.param(LinearSVC(), id="svc"),
    pytest.param(SGDClassifier(loss="log_loss", alpha=0.01), id="sgd-log-loss"),
    pytest.param(SGDClassifier(alpha=0.01), id="sgd-hinge"),
    pytest.param(MLPClassifier((16,), learning_rate_init=0.01, batch_size=16), id="mlp"),
]


@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_a_classifier_is_within_one_percent_of_the_pooled_one(estimator: Any) -> None:
    federated, together = accuracies(load_breast_cancer(), estimator)
    assert federated >= together - 0.01
    assert together > 0.95


def test_three_classes_are_told_as_well_as_by_the_pooled_model() -> None:
    federated, together = accuracies(load_iris(), LogisticRegression())
    assert federated >= together - 0.01
    assert together > 0.9


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(SGDRegressor(), id="sgd"),
        pytest.param(MLPRegressor(hidden_layer_sizes=(16,), learning_rate_init=0.003, batch_size=16), id="mlp"),
    ],
)
def test_a_regressor_is_within_two_percent_of_the_pooled_one(estimator: Any) -> None:
    data = load_diabetes(scaled=False)
    found = []
    for seed in range(3):
        apps = sites(data, estimator, seed)
        weights, largest = trained(apps)
        assert largest < CLIP
        x, y = rows_of(apps, tested=True)
        errors = [
            np.sqrt(np.square(model.predict(x) - y).mean())
            for model in (apps[0].pipeline(weights), pooled(estimator, apps))
        ]
        found.append(errors)
        losses = [app.evaluate(weights) for app in apps]
        mean = np.average([one[0] for one in losses], weights=[one[1] for one in losses])
        assert mean == pytest.approx(errors[0] ** 2), "in the target's own units"
    federated, together = np.mean(found, axis=0)
    assert federated < 1.02 * together


@pytest.mark.parametrize("estimator", [LogisticRegression(), LinearSVC()], ids=["logistic", "svc"])
def test_sites_alike_that_train_to_the_end_find_the_pooled_minimum_however_small_they_are(estimator: Any) -> None:
    """Their ridge would be stronger by their number if their rows did not count as all members'."""
    data = load_iris()
    apps = [SklearnApp(estimator, data.data, data.target, classes=range(3), passes=500, test_fraction=0) for _ in "abc"]
    weights, _ = trained(apps, 1)
    rows, labels = np.concatenate([data.data] * 3), np.concatenate([data.target] * 3)
    scaled = StandardScaler().fit_transform(rows)
    exact = clone(estimator).set_params(max_iter=100_000, tol=1e-10).fit(scaled, labels)
    np.testing.assert_allclose(weights[0], exact.coef_, atol=5e-3)
    np.testing.assert_allclose(weights[1], exact.intercept_, atol=5e-3)


@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_a_site_that_lacks_classes_trains_with_the_others(estimator: Any) -> None:
    data = load_iris()
    apps = [
        SklearnApp(estimator, data.data[rows], data.target[rows], classes=range(3), test_fraction=0.2)
        for rows in (data.target == 0, data.target != 0, data.target < 3)
    ]
    weights, _ = trained(apps)
    predicted = apps[0].pipeline(weights).predict(data.data)
    assert (predicted == data.target).mean() > 0.8


def test_labels_are_told_as_they_were_given_in_any_order() -> None:
    data = load_iris()
    names = np.array(["setosa", "versicolor", "virginica"])
    for estimator in (LogisticRegression(), MLPClassifier((16,), learning_rate_init=0.01, batch_size=16)):
        order = ["virginica", "setosa", "versicolor"]
        app = SklearnApp(estimator, data.data, names[data.target], classes=order)
        weights, _ = trained([app])
        model = app.pipeline(weights)
        assert (model.predict(data.data) == names[data.target]).mean() > 0.9
        assert model.predict_proba(data.data[:1]).argmax() == order.index("setosa")


def test_what_may_be_the_same_number_whatever_the_model_is_summed_once() -> None:
    data = load_iris()
    proba = SklearnApp(LogisticRegression(), data.data, data.target, classes=range(3))
    margins = SklearnApp(LinearSVC(), data.data, data.target, classes=range(3))
    number = SklearnApp(SGDRegressor(), data.data, data.target)
    assert [(app.metrics, app.final_metrics) for app in (proba, margins, number)] == [
        (("brier",), ("accuracy",)),
        ((), ("accuracy",)),
        (("mae",), ()),
    ]
    for app in (proba, margins, number):
        trained([app], 1)
        learner = Learner(app)
        evaluation = learner.evaluate(learner.initial())
        assert evaluation.examples == 30
        assert len(evaluation.metrics) == len(app.metrics) + len(app.final_metrics)


def test_the_standardisation_is_that_of_all_training_rows() -> None:
    data = load_breast_cancer()
    apps = sites(data, LogisticRegression(), 0, classes=(0, 1))
    weights, _ = trained(apps, 1)
    scaler = apps[2].pipeline(weights)[0]
    exact = StandardScaler().fit(rows_of(apps, tested=False)[0])
    np.testing.assert_allclose(scaler.mean_, exact.mean_, rtol=1e-9)
    np.testing.assert_allclose(scaler.scale_, exact.scale_, rtol=1e-9)


def test_without_scaling_rows_go_in_as_they_are() -> None:
    data = load_iris()
    app = SklearnApp(SGDClassifier(loss="log_loss"), data.data, data.target, classes=range(3), scale=False)
    assert app.setup() == [120.0]
    weights, _ = trained([app], 2)
    assert np.array_equal(app.pipeline(weights)[0].transform(data.data), data.data)


def test_a_column_that_is_the_same_everywhere_does_no_harm() -> None:
    data = load_iris()
    rows = np.column_stack([np.full(150, 0.1), data.data])
    app = SklearnApp(LogisticRegression(), rows, data.target, classes=range(3))
    weights, _ = trained([app], 2)
    assert np.all(weights[0][:, 0] == 0)
    assert np.isfinite(np.concatenate([array.ravel() for array in weights])).all()


def test_a_site_that_was_restarted_trains_as_one_that_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_iris()
    monkeypatch.setattr(os, "urandom", bytes)  # the order of the rows is drawn from it
    for estimator in (SGDClassifier(), MLPClassifier((4,)), LogisticRegression(), LinearSVC()):
        one, other = (SklearnApp(estimator, data.data, data.target, classes=range(3)) for _ in range(2))
        weights, _ = trained([one], 2)
        other.prepare(other.setup())
        for left, right in zip(one.fit(weights, 3)[0], other.fit(weights, 3)[0], strict=True):
            np.testing.assert_array_equal(left, right)


def test_nobody_can_tell_from_a_seed_in_which_order_rows_were_trained_on() -> None:
    data = load_iris()
    app = SklearnApp(SGDClassifier(random_state=7), data.data, data.target, classes=range(3))
    app.prepare(app.setup())
    updates = {b"".join(array.tobytes() for array in app.fit(app.initial(), 1)[0]) for _ in range(3)}
    assert len(updates) == 3


# The description


def app_of(estimator: Any = None, **options: Any) -> SklearnApp:
    data = load_iris()
    return SklearnApp(estimator or LogisticRegression(), data.data, data.target, **{"classes": range(3), **options})


def test_equal_options_make_one_description_whatever_the_rows_and_the_machine_s_own() -> None:
    data = load_iris()
    other = SklearnApp(
        LogisticRegression(max_iter=7, random_state=1, verbose=1), data.data[::2], data.target[::2], classes=range(3)
    )
    assert app_of().describe() == other.describe()


@pytest.mark.parametrize(
    "other",
    [
        app_of(LogisticRegression(C=2.0)),
        app_of(SGDClassifier()),
        app_of(classes=(2, 1, 0)),
        app_of(columns=["a", "b", "c", "d"]),
        app_of(passes=3),
        app_of(scale=False),
        app_of(unit=2),
    ],
)
def test_any_other_option_makes_another_description(other: SklearnApp) -> None:
    assert other.describe() != app_of().describe()


def test_the_names_of_many_columns_stand_as_their_hash() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(20, 900))
    names = [f"a long name of column {at}" for at in range(900)]
    texts = [
        SklearnApp(LogisticRegression(), rows, np.arange(20) % 2, classes=(0, 1), columns=columns).describe()
        for columns in (names, names[::-1])
    ]
    assert texts[0] != texts[1]
    assert json.loads(texts[0])["columns"]["count"] == 900


# What is refused


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Ridge(), "a Ridge cannot be trained together; there are adapters of SGDClassifier, SGDRegressor, Logistic"),
        (SGDClassifier, r"the class SGDClassifier cannot .*: give an object, such as SGDClassifier\(\)"),
        (make_pipeline(StandardScaler(), LinearSVC()), "a Pipeline cannot .*: give its last step alone; scale=True"),
        (
            LogisticRegression(solver="liblinear"),
            r"LogisticRegression\(solver='liblinear'\) cannot be .*: it cannot go",
        ),
        (LinearSVC(loss="hinge"), r"LinearSVC\(loss='hinge'\) cannot be trained together: it has no gradient every"),
        (SGDClassifier(average=10), r"SGDClassifier\(average=10\) cannot be trained together: its averaged weights"),
        (SGDClassifier(early_stopping=True), r"early_stopping=True\) .*: it would hold back rows .* --patience"),
        (MLPClassifier(solver="lbfgs"), r"MLPClassifier\(solver='lbfgs'\) cannot be trained together"),
        (LogisticRegression(C=-1.0), "LogisticRegression: The 'C' parameter of LogisticRegression must be a float"),
        (LogisticRegression(class_weight="balanced"), "it would mean another weight at each site; give a dict"),
    ],
)
def test_an_estimator_that_cannot_be_trained_together_is_refused_with_the_reason(estimator: Any, message: str) -> None:
    with pytest.raises(AppError, match=message):
        app_of(estimator)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [[1.0, np.nan], [2.0, 3.0]]}, "row 0, column 1 is nan: fill gaps, or leave the row out"),
        ({"rows": [["1", "2"], ["3", "x"]], "columns": ["a", "b"]}, "row 1, column 'b' is 'x', not a number"),
        ({"rows": [1.0, 2.0]}, r"the rows have shape \(2,\): a table of rows and columns is needed"),
        ({"rows": np.zeros((2, 0))}, "a table of rows and columns is needed"),
        ({"columns": ["a"]}, "1 columns are named, and the rows have 2"),
        ({"targets": ["no"]}, r"the targets have shape \(1,\), and there are 2 rows: one each"),
        ({"targets": ["no", "Yes"]}, "the target of row 1 is 'Yes', which is none of the classes 'no', 'yes'"),
        ({"classes": ()}, "needs all that there can be, two or more"),
        ({"classes": ["no", "no", "yes"]}, "each once"),
        ({"estimator": SGDRegressor()}, "a SGDRegressor predicts a number and knows no classes"),
        ({"estimator": SGDRegressor(), "classes": ()}, "the target of row 0 is 'no', not a number"),
        ({"passes": 0}, "passes is 0: a whole number from 1 is needed"),
        ({"passes": 2.5}, "passes is 2.5: a whole number from 1 is needed"),
        ({"unit": -1.0}, "unit is -1.0: a number above 0 is needed"),
        ({"rows": [[1e30, 1.0], [2.0, 3.0]]}, r"column 0: 1e\+30 is too large to sum"),
        (
            {"rows": [[1.0, 1.0], [1.0 + 1e-11, 3.0]]},
            "column 0: it varies by .* too little to sum; subtract one number",
        ),
    ],
)
def test_bad_input_is_named_with_its_place(change: dict[str, Any], message: str) -> None:
    given = {"estimator": LogisticRegression(), "rows": [[1.0, 2.0], [3.0, 4.0]], "targets": ["no", "yes"]}
    options = {"classes": ["no", "yes"], **change}
    arguments = [options.pop(name, given[name]) for name in given]
    with pytest.raises(AppError, match=message):
        SklearnApp(*arguments, **options)


def test_training_before_the_sums_are_known_says_what_is_missing() -> None:
    app = app_of()
    with pytest.raises(RuntimeError, match=r"prepare\(\) comes first"):
        app.fit(app.initial(), 1)


def test_sums_that_no_data_have_are_refused() -> None:
    app = app_of()
    with pytest.raises(ValueError, match="setup sums"):
        app.prepare([0.0] * len(app.setup()))


def test_a_model_of_another_app_is_not_taken_for_this_one_s(tmp_path: Path) -> None:
    file = tmp_path / "model.npz"
    np.savez(file, array_0=np.zeros(3), coterie=np.array(json.dumps({"model": app_of(passes=6).describe()})))
    with pytest.raises(AppError, match=r"model.npz: a model of another app: .*\"passes\":6"):
        app_of().load(file)
    file.write_text("nothing")
    with pytest.raises(AppError, match=r"model.npz: not an .npz of `peer model export`"):
        app_of().load(file)


def test_importing_the_adapter_does_not_load_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "sklearn" or one.startswith("coterie.apps")]:
        monkeypatch.delitem(sys.modules, name)
    __import__("coterie.apps.sklearn")
    assert "sklearn" not in sys.modules
