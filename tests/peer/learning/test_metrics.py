"""What people are shown of a model's quality."""

import json

import numpy as np
import pytest

from coterie.peer.learning.figures import class_means, mean_names, number_means, round_names, tells_areas
from coterie.peer.learning.metrics import figures_json, figures_to_come, measures, measures_text
from coterie.peer.learning.table_models.task import Task

REGRESSION = Task("linear", "y", ("a", "b")).describe()
CLASSIFICATION = Task("logistic", "y", ("a", "b"), (), ("no", "yes")).describe()


def test_a_regression_on_a_table_shows_the_root_of_the_mean_square_error() -> None:
    assert measures(REGRESSION, 9.0, {}) == {"rmse": 3.0}
    assert measures_text({"rmse": 3.0}) == "RMSE 3"


@pytest.mark.parametrize("model", [CLASSIFICATION, '{"kind":"app"}', "not JSON", "[]"])
def test_anything_else_shows_its_loss_and_metrics(model: str) -> None:
    shown = measures(model, 0.5, {"accuracy": 0.9})
    assert shown == {"loss": 0.5, "accuracy": 0.9}
    assert measures_text(shown) == "loss 0.5, accuracy 0.9"


def test_without_a_loss_there_is_nothing_to_show() -> None:
    assert measures(REGRESSION, None, {}) == {}


def test_a_regression_shows_its_mean_error_and_r2_where_they_are_added_up() -> None:
    means = number_means(np.array([1.0, -3.0]), 16.0)
    shown = measures(REGRESSION, 5.0, means)
    assert shown == pytest.approx({"rmse": 5**0.5, "mae": 2.0, "r2": 1 - 5 / 16})
    assert measures_text(shown) == "RMSE 2.23607, MAE 2, R2 0.6875"


def of_two_classes() -> dict[str, float]:
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.36, 0.64], [0.1, 0.9]])
    return class_means(probabilities, probabilities.argmax(axis=1), np.array([0, 0, 1, 1]))


def test_before_the_evaluation_classes_show_their_brier_score() -> None:
    means = {name: value for name, value in of_two_classes().items() if name in round_names(2)}
    shown = measures(CLASSIFICATION, 0.5, means)
    assert shown == pytest.approx({"loss": 0.5, "brier": (0.2**2 + 0.6**2 + 0.36**2 + 0.1**2) / 4})
    assert measures_text(shown) == "loss 0.5, Brier score 0.1349"
    assert figures_json(CLASSIFICATION, 0.5, means, 80)["numbers"] == shown  # type: ignore[index]


@pytest.mark.parametrize(
    ("classes", "wanted"),
    [
        (0, []),
        (2, ["accuracy", "auc", "sensitivity", "specificity", "ppv", "npv", "f1"]),
        (3, ["accuracy", "auc", "macro_f1"]),
        (5, ["accuracy", "macro_f1"]),
        (7, ["accuracy", "macro_f1"]),
        (11, ["accuracy"]),
    ],
)
def test_what_the_evaluation_will_tell_is_what_it_tells(classes: int, wanted: list[str]) -> None:
    labels = tuple(f"class {number:02}" for number in range(classes))
    model = Task("logistic" if classes else "linear", "y", ("a", "b"), (), labels).describe()
    final = [name for name in mean_names(classes) if name not in round_names(classes)]
    assert figures_to_come(model, final) == wanted
    assert figures_to_come(model, []) == []
    if classes:
        codes = np.arange(4 * classes) % classes
        chances = np.full((len(codes), classes), 1 / classes)
        told = figures_json(model, 0.5, class_means(chances, codes[::-1], codes), len(codes))
        assert told is not None
        assert {*wanted} <= {*told["numbers"]}


def test_an_older_federation_of_three_classes_will_tell_no_area() -> None:
    model = Task("logistic", "y", ("a",), (), ("red", "green", "blue")).describe()
    older = [name for name in mean_names(3) if name not in round_names(3) and not tells_areas([name])]
    assert figures_to_come(model, older) == ["accuracy", "macro_f1"]


def test_of_an_app_the_evaluation_will_tell_what_the_app_announced() -> None:
    assert figures_to_come('{"kind":"app"}', ("dice", "hausdorff")) == ["dice", "hausdorff"]


def test_two_classes_show_their_area_first_and_all_the_rest_where_it_is_asked_for() -> None:
    assert measures(CLASSIFICATION, 0.5, of_two_classes()) == {"loss": 0.5, "accuracy": 0.75, "auc": 0.875}
    told = figures_json(CLASSIFICATION, 0.5, of_two_classes(), 80)
    assert told is not None
    assert (told["classes"], told["positive"]) == (["no", "yes"], "yes")
    assert told["confusion"] == [[20, 20], [0, 40]]
    rates = {"sensitivity": 1.0, "specificity": 0.5, "ppv": 2 / 3, "npv": 1.0, "f1": 0.8}
    assert {name: told["numbers"][name] for name in rates} == pytest.approx(rates)
    assert told["numbers"]["auc_error"] == 0.125
    assert told["calibration"][0] == {"from": 0.2, "to": 0.35, "rows": 20, "observed": 0.0}
    assert json.loads(json.dumps(told)) == told


def test_many_classes_have_the_rates_of_each_by_its_name() -> None:
    model = Task("logistic", "y", ("a",), (), ("red", "green", "blue")).describe()
    codes = np.array([0, 1, 2, 2])
    told = figures_json(model, 0.5, class_means(np.eye(3)[codes], codes, codes), 4)
    assert told is not None
    assert told["by_class"].keys() == {"red", "green", "blue"}
    assert told["positive"] is None
    assert told["confusion"] == [[1, 0, 0], [0, 1, 0], [0, 0, 2]]


@pytest.mark.parametrize("model", ['{"kind":"app"}', "not JSON", "[]", '{"kind":"logistic","classes":[1,2]}'])
def test_of_an_app_all_that_it_reports_is_shown_and_nothing_is_made_of_it(model: str) -> None:
    assert measures(model, 0.5, of_two_classes()) == {"loss": 0.5, **of_two_classes()}
    assert figures_json(model, 0.5, of_two_classes(), 80) is None


def test_without_test_rows_there_are_no_figures() -> None:
    assert figures_json(CLASSIFICATION, None, {}, 0) is None
