"""How good the model is, in the terms of its task: RMSE for a regression on tables, else the loss and the metrics."""

import json
import math
from collections.abc import Mapping


def measures(model: str, loss: float | None, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return what to show, by name, in order.

    ``model`` is the federation's descriptor. The loss of a regression on a table is the mean square error over the
    test rows of all members, out of the secure sum; its root is in the target's own units.
    """
    if loss is None:
        return {}
    first = {"rmse": math.sqrt(max(loss, 0.0))} if _is_regression(model) else {"loss": loss}
    return first | dict(metrics)


def measures_text(shown: Mapping[str, float]) -> str:
    """Return the same for people: ``RMSE 58.2`` or ``loss 0.41, accuracy 0.93``."""
    return ", ".join(f"{'RMSE' if name == 'rmse' else name} {value:.6g}" for name, value in shown.items())


def _is_regression(model: str) -> bool:
    try:
        description = json.loads(model)
    except ValueError:
        return False
    return (
        isinstance(description, dict)
        and description.get("kind") in ("linear", "mlp")
        and not description.get("classes")
    )
