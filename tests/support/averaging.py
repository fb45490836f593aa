"""Federated averaging of tables as the protocol does it, without the protocol."""

from collections.abc import Sequence

import numpy as np

from coterie.peer.learning.learner import Learner
from coterie.peer.learning.tables_app import TableApp


def averaged(apps: Sequence[TableApp], rounds: int) -> np.ndarray:
    """Add up the setup sums of all, train, and return the final weights."""
    learners = [Learner(app) for app in apps]
    totals = np.sum([learner.setup() for learner in learners], axis=0)
    for learner in learners:
        learner.prepare(totals.tolist())
    weights = learners[0].initial()
    for round in range(1, rounds + 1):
        fits = [learner.fit(weights, round) for learner in learners]
        examples = [fit.examples for fit in fits]
        weights = np.average([fit.weights for fit in fits], axis=0, weights=examples).astype(np.float32)
    return weights


def evaluated(apps: Sequence[TableApp], weights: np.ndarray) -> tuple[float, ...]:
    """Loss and metrics over the test rows of all."""
    evaluations = [Learner(app).evaluate(weights) for app in apps]
    each = [(evaluation.loss, *evaluation.metrics) for evaluation in evaluations]
    return tuple(np.average(each, axis=0, weights=[evaluation.examples for evaluation in evaluations]))
