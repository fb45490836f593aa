"""How good the model is, in the terms of its task: the figures that follow from the sums of a round."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .figures import Figures, figures_of, tells_areas

Json = dict[str, Any]

_FIRST: Final = ("accuracy", "auc", "macro_f1", "mae", "r2")
"""Figures that are shown wherever the loss is shown; the others only where a user asks for all."""

RATES: Final = ("sensitivity", "specificity", "ppv", "npv", "f1")
"""Figures of one class against all others."""

LABELS: Final = {
    "rmse": "RMSE",
    "auc": "AUC",
    "macro_f1": "macro F1",
    "mae": "MAE",
    "r2": "R2",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "brier": "Brier score",
    "auc_error": "AUC, ± by its bins",
    "mean_probability": "mean probability",
}
"""The labels of figures in texts, where a label is not just the name."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a model over this site's own test rows. They leave the site only as part of the secure sum."""

    rows: int
    loss: float
    metrics: Mapping[str, float]
    """Means over these rows, by name, of the metrics that the round adds up over all members."""


def measures(model: str, loss: float | None, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the figures to show first, by name, in the order in which they are shown.

    The loss of a regression on a table is the mean square error over the test rows of all members, from the secure sum;
    its root is in the units of the target. The metrics of an app are shown as they are.

    Args:
        model: the description of the model in the genesis.
        loss: the loss; None where there is none, and then no figure.
        metrics: the means beside the loss, by name.
    """
    if loss is None:
        return {}
    classes = _classes_of(model)
    if classes is None:
        return {"loss": loss} | dict(metrics)
    first = {"loss": loss} if classes else {"rmse": math.sqrt(max(loss, 0.0))}
    numbers = figures_of(len(classes), loss, metrics).numbers
    shown: dict[str, float] = {name: numbers[name] for name in _FIRST if name in numbers}
    if not shown and "brier" in numbers:  # before the evaluation
        shown = {"brier": numbers["brier"]}
    return first | shown


def measures_text(shown: Mapping[str, float]) -> str:
    """Return the result of :func:`measures` as text: ``RMSE 58.2`` or ``loss 0.41, accuracy 0.93``."""
    return ", ".join(f"{label(name)} {value:.6g}" for name, value in shown.items())


def label(name: str) -> str:
    """Return the label of a figure in texts."""
    return LABELS.get(name, name)


def figures_to_come(model: str, final_metrics: Sequence[str]) -> list[str]:
    """Return the names of the figures that follow from the evaluation, which adds up the ``final_metrics``."""
    classes = _classes_of(model)
    if not classes or not final_metrics:
        return list(final_metrics)
    if len(classes) == 2:
        return ["accuracy", "auc", *RATES]
    if list(final_metrics) == ["accuracy"]:
        return ["accuracy"]
    return ["accuracy", "auc", "macro_f1"] if tells_areas(final_metrics) else ["accuracy", "macro_f1"]


def figures_json(model: str, loss: float | None, metrics: Mapping[str, float], rows: float) -> Json | None:
    """Return all figures of a model on a table as JSON; None for the model of an app, or without a loss.

    Args:
        model: the description of the model in the genesis.
        loss: the loss; None where there are no test rows.
        metrics: the means beside the loss, by name.
        rows: the number of test rows, for the counts in the confusion matrix and in the bins.
    """
    classes = _classes_of(model)
    if loss is None or classes is None:
        return None
    found = figures_of(len(classes), loss, metrics)
    first = {"loss": loss} if classes else {"rmse": math.sqrt(max(loss, 0.0))}
    return {"numbers": first | found.numbers} | (_of_classes(classes, found, rows) if classes else {})


def _of_classes(classes: list[str], found: Figures, rows: float) -> Json:
    return {
        "classes": classes,
        "positive": classes[1] if len(classes) == 2 else None,
        "confusion": [[round(part * rows, 6) for part in line] for line in found.confusion],
        "calibration": [
            {"from": one.low, "to": one.high, "rows": round(one.part * rows, 6), "observed": one.observed}
            for one in found.calibration
        ],
        "by_class": dict(zip(classes, found.by_class, strict=False)),
    }


def _classes_of(model: str) -> list[str] | None:
    """Return the classes of a model on a table, an empty list for a regression; None for the model of an app."""
    try:
        description = json.loads(model)
    except ValueError:
        return None
    if not isinstance(description, dict) or description.get("kind") not in ("linear", "mlp", "logistic"):
        return None
    classes = description.get("classes") or []
    is_known = isinstance(classes, list) and all(isinstance(one, str) for one in classes)
    return classes if is_known and (classes or description["kind"] != "logistic") else None


def of_which_model(kind: str) -> str:
    """Say which model the figures of a round are about: a round measures the model with which it begins."""
    return "the final model:" if kind == "evaluate" else "before it"
