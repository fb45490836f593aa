"""What people are shown of a model's quality."""

import pytest

from coterie.peer.learning.task import Task
from coterie.peer.measures import measures, measures_text

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
