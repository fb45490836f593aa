"""The checks between the peer and an app: what an app may return, and how each mistake is named."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.peer.learning.app import AppError
from coterie.peer.learning.learner import Learner


class Good:
    """A correct app, whose parts the tests replace."""

    metrics: Any = ("accuracy",)

    def __init__(self, **replaced: Any) -> None:
        for name, value in replaced.items():
            setattr(self, name, value)

    def initial(self) -> Any:
        return [np.zeros((2, 3)), np.zeros(3)]

    def fit(self, weights: Any, round: int) -> Any:
        return [array + round for array in weights], np.int64(12), {"seen": 3}

    def evaluate(self, weights: Any) -> Any:
        return np.float32(0.5), 4, {"accuracy": 0.75, "other": 1}


ZEROS = np.zeros(9, dtype=np.float32)


def test_a_learner_hands_vectors_in_and_checked_vectors_out() -> None:
    learner = Learner(Good())
    fit = learner.fit(ZEROS, 2)
    assert learner.shapes == ((2, 3), (3,))
    assert np.array_equal(learner.initial(), ZEROS)
    assert np.array_equal(fit.weights, ZEROS + 2)
    assert (fit.examples, fit.metrics) == (12, {"seen": 3.0})
    assert learner.evaluate(ZEROS).metrics == (0.75,)
    assert (learner.evaluate(ZEROS).loss, learner.evaluate(ZEROS).examples) == (0.5, 4)


def test_an_app_that_changes_its_arrays_in_place_does_not_change_the_agreed_weights() -> None:
    def fit(weights: Any, round: int) -> Any:
        weights[0] += 1
        return weights, 1, {}

    agreed = ZEROS.copy()
    assert Learner(Good(fit=fit)).fit(agreed, 1).weights.sum() == 6
    assert np.array_equal(agreed, ZEROS)


def test_a_round_by_time_calls_the_app_with_the_seconds_that_are_left() -> None:
    def fit_for(weights: Any, round: int, seconds: float) -> Any:
        return [array + seconds for array in weights], 5, {}

    learner = Learner(Good(fit_for=fit_for))
    learner.time_rounds(90.0)
    assert learner.round_seconds == 90
    assert np.array_equal(learner.fit(ZEROS, 1, 2.5).weights, ZEROS + 2.5)
    assert np.array_equal(learner.fit(ZEROS, 1).weights, ZEROS + 1), "without a time it trains as it wants"


def test_what_a_round_by_time_returns_is_checked_alike() -> None:
    learner = Learner(Good(fit_for=lambda weights, round, seconds: (weights[:1], 5, {})), "m:app")
    with pytest.raises(AppError, match=r"m:app.fit_for\(\) changed the model"):
        learner.fit(ZEROS, 1, 2.5)
    learner = Learner(Good(fit_for=lambda weights, round, seconds: weights), "m:app")
    with pytest.raises(AppError, match=r"m:app.fit_for\(\) must return \(weights, examples, metrics\)"):
        learner.fit(ZEROS, 1, 2.5)


def test_an_app_that_cannot_train_by_time_is_refused_by_the_name_of_the_method() -> None:
    learner = Learner(Good(), "m:app")
    learner.time_rounds(None)
    with pytest.raises(AppError, match=r"m:app: .*--round-time.* no method fit_for\(weights, round, seconds\)"):
        learner.time_rounds(90.0)


def test_setup_and_prepare_are_optional() -> None:
    learner = Learner(Good())
    learner.prepare([])
    assert learner.setup() == []


def test_an_app_that_wants_to_keep_files_is_told_where() -> None:
    told: list[Path] = []
    Learner(Good(keep_in=told.append)).keep_in(Path("home/app"))
    Learner(Good()).keep_in(Path("home/app"))
    assert told == [Path("home/app")]

    def refuse(folder: Path) -> None:
        raise OSError("no room")

    with pytest.raises(AppError, match=r"app.keep_in\(\) raised OSError: no room"):
        Learner(Good(keep_in=refuse)).keep_in(Path("home/app"))


def test_setup_sums_go_out_and_their_totals_come_in() -> None:
    received: list[list[float]] = []
    learner = Learner(Good(setup=lambda: np.array([1, 2.5]), prepare=received.append))
    assert learner.setup() == [1.0, 2.5]
    learner.prepare((3.0, 4.0))
    assert received == [[3.0, 4.0]]


class Declaring(Good):
    """An app whose sums are a count, a sum of any sign, and a sum of squares."""

    sums, setup_not_negative = (3.0, -1.0, 2.0), (0, 2)

    def setup(self) -> list[float]:
        return list(self.sums)


def test_an_app_declares_which_setup_sums_are_never_negative() -> None:
    assert Learner(Declaring()).setup_declared() == b"\1\0\1"
    assert Learner(Good()).setup_declared() == b""


@pytest.mark.parametrize("places", [(3,), (-1,), ("0",), 5, (1,)])
def test_a_declaration_that_is_malformed_or_false_is_refused(places: Any) -> None:
    app = Declaring()
    app.setup_not_negative = places
    with pytest.raises(AppError, match="setup_not_negative"):
        Learner(app).setup_declared()


def test_an_app_without_test_rows_reports_no_examples() -> None:
    evaluation = Learner(Good(evaluate=lambda weights: (float("nan"), 0, {}))).evaluate(ZEROS)
    assert (evaluation.examples, evaluation.loss, evaluation.metrics) == (0, 0.0, (0.0,))


def test_apps_without_a_description_have_the_same_one() -> None:
    assert Learner(Good()).descriptor == Learner(Good(initial=lambda: [np.ones(2)])).descriptor
    assert Learner(Good(describe=lambda: "cats")).descriptor == "cats"


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"initial": lambda: None}, r"app.initial\(\): a list of numpy arrays is needed, not NoneType"),
        ({"initial": lambda: 1 / 0}, r"app.initial\(\) raised ZeroDivisionError: division by zero"),
        ({"metrics": "accuracy"}, "app.metrics must be a tuple of names"),
        ({"metrics": ("",)}, "'' is no name of 1 to 64 characters"),
        ({"metrics": ("a", "a")}, "at most 32 different names"),
        ({"metrics": (3,)}, "3 is no name"),
        ({"describe": lambda: "x" * 5000}, "at most 4096 bytes"),
        ({"describe": dict}, "must return a text"),
    ],
)
def test_an_app_that_cannot_begin_is_refused_with_the_reason(replaced: dict[str, Any], message: str) -> None:
    with pytest.raises(AppError, match=message):
        Learner(Good(**replaced))


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda w, r: w, r"app.fit\(\) must return \(weights, examples, metrics\), not list"),
        (lambda w, r: (w, 1), "must return"),
        (
            lambda w, r: (w[:1], 1, {}),
            r"began as 2x3, 3 \(9 parameters\) and came back as 2x3 \(6 parameters\)",
        ),
        (
            lambda w, r: ([w[0].T, w[1]], 1, {}),
            "changed the model: it began as 2x3, 3 .* came back as 3x2, 3",
        ),
        (lambda w, r: ([w[0], w[1] * np.nan], 1, {}), r"weights from app.fit\(\)\[1\] holds 3 .*not finite"),
        (lambda w, r: (w, -1, {}), "examples is -1, not a count"),
        (lambda w, r: (w, 1.5, {}), "examples is 1.5, not a count"),
        (lambda w, r: (w, None, {}), "examples is None, not a number"),
        (lambda w, r: (w, 1, [1]), r"app.fit\(\) metrics must map names to numbers, not list"),
        (lambda w, r: (w, 1, {"a": "b"}), r"metric 'a' is 'b', not a number"),
        (lambda w, r: {}[r], r"app.fit\(\) raised KeyError: 1"),
        (lambda w, r: sys.exit(3), r"app.fit\(\) raised SystemExit: 3"),
    ],
)
def test_a_bad_fit_is_refused_with_what_and_where(fit: Callable[..., Any], message: str) -> None:
    with pytest.raises(AppError, match=message):
        Learner(Good(fit=fit)).fit(ZEROS, 1)


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        (lambda w: 0.5, r"app.evaluate\(\) must return \(loss, examples, metrics\), not float"),
        (lambda w: (float("inf"), 1, {"accuracy": 1}), r"evaluate\(\) loss is inf"),
        (lambda w: (0.5, 1, {}), r"reported no accuracy"),
        (lambda w: (0.5, 1, {"accuracy": float("nan")}), "metric 'accuracy' is nan"),
    ],
)
def test_a_bad_evaluation_is_refused_with_what_and_where(evaluate: Callable[..., Any], message: str) -> None:
    with pytest.raises(AppError, match=message):
        Learner(Good(evaluate=evaluate)).evaluate(ZEROS)


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        (lambda: 3, r"app.setup\(\) must return a list"),
        (lambda: [0.0] * 8193, "at most 8192 floats"),
        (lambda: [1.0, float("nan")], r"setup\(\)\[1\] is nan"),
    ],
)
def test_bad_setup_sums_are_refused_with_what_and_where(setup: Callable[[], Any], message: str) -> None:
    with pytest.raises(AppError, match=message):
        Learner(Good(setup=setup)).setup()


def test_a_failing_app_shows_its_traceback_once_for_each_place(caplog: pytest.LogCaptureFixture) -> None:
    learner = Learner(Good(), "mine:App")

    def here(*arguments: Any) -> Any:
        raise KeyError("label")

    def there(*arguments: Any) -> Any:
        return {}["label"]

    for fit in (here, here, there, here):
        learner.app.fit = fit
        with pytest.raises(AppError, match="KeyError: 'label'"):
            learner.fit(learner.initial(), 1)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("mine:App.fit() raised KeyError: 'label'\nTraceback")
    assert "in here\n" in first
    assert "in there\n" in second
    assert "learner.py" not in first.replace("test_learner.py", "")


def test_an_attribute_that_raises_is_the_app_s_failure(caplog: pytest.LogCaptureFixture) -> None:
    class Lazy(Good):
        @property
        def metrics(self) -> tuple[str, ...]:  # type: ignore[override]
            raise KeyError("no file yet")

    with pytest.raises(AppError, match="mine:App.metrics raised KeyError: 'no file yet'"):
        Learner(Lazy(), "mine:App")
    assert "in metrics\n" in caplog.text
