"""Federated averaging of apps as the protocol does it, without the protocol."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from coterie.peer.learning.learner import Learner


def federate(apps: Sequence[Any], rounds: int) -> tuple[np.ndarray, float]:
    """Add up the setup sums of all and train. Returns the final weights and the largest change of one in a round."""
    learners = [Learner(app) for app in apps]
    totals = np.sum([learner.setup() for learner in learners], axis=0)
    for learner in learners:
        learner.prepare(totals.tolist())
    weights, largest = learners[0].initial(), 0.0
    for round in range(1, rounds + 1):
        fits = [learner.fit(weights, round) for learner in learners]
        largest = max(largest, *(float(np.abs(fit.weights - weights).max()) for fit in fits))
        examples = [fit.examples for fit in fits]
        weights = np.average([fit.weights for fit in fits], axis=0, weights=examples).astype(np.float32)
    return weights, largest


def evaluated(apps: Sequence[Any], weights: np.ndarray) -> tuple[float, ...]:
    """Loss and metrics over the test rows of all."""
    evaluations = [Learner(app).evaluate(weights) for app in apps]
    each = [(evaluation.loss, *evaluation.metrics) for evaluation in evaluations]
    return tuple(np.average(each, axis=0, weights=[evaluation.examples for evaluation in evaluations]))
