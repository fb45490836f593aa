"""What a member remembers between rounds, and what that is good for where members have different rows."""

import numpy as np
import pytest

from coterie.peer.learning.table_models.drift import Drift, Matrix
from coterie.peer.learning.table_models.models import Network, Training, train

START = [np.array([[1.0, -2.0]]), np.array([0.5])]


def moved(by: float) -> list[Matrix]:
    return [array + by for array in START]


def remembered(gradient: float, reach: float) -> Drift:
    drift = Drift()
    drift.remember(3, START, [np.full_like(array, gradient) for array in START], reach)
    return drift


def values(arrays: list[Matrix] | None) -> list[float]:
    assert arrays is not None
    return [float(value) for array in arrays for value in array.ravel()]


def test_before_a_round_no_correction_is_known() -> None:
    assert Drift().correction(START, 1) is None


def test_the_corrections_of_the_members_cancel_in_the_mean() -> None:
    gradients, reach = (1.0, -4.0, 6.0), 0.5
    agreed = moved(-reach * float(np.mean(gradients)))
    corrections = [values(remembered(gradient, reach).correction(agreed, 4)) for gradient in gradients]
    assert np.mean(corrections, axis=0) == pytest.approx([0, 0, 0])
    assert corrections[1] == pytest.approx([0.9 * (1 + 4)] * 3)


def test_after_a_round_that_came_to_nothing_the_correction_stays() -> None:
    drift = remembered(2.0, 0.5)
    before = values(drift.correction(moved(1.0), 4))
    drift.remember(4, moved(1.0), START, 0.25)
    assert values(drift.correction(moved(1.0), 5)) == before


def test_a_member_that_was_away_takes_the_mean_of_the_rounds_it_missed() -> None:
    one, three = remembered(2.0, 0.5), remembered(2.0, 0.5)
    assert values(one.correction(moved(-1.0), 4)) == pytest.approx(values(three.correction(moved(-3.0), 6)))


def least_squares(seed: int, stretch: tuple[float, float], slope: float) -> tuple[Matrix, Matrix]:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(100, 2)) * stretch
    return inputs, inputs @ [slope, -slope] + 0.1 * random.normal(size=100)


def federated(members: list[tuple[Matrix, Matrix]], remembers: bool) -> Matrix:
    """The slopes after 30 rounds of two or more members with as many rows each."""
    network, training = Network(2), Training(rate=0.02, ridge=0)
    drifts = [Drift() if remembers else None for _ in members]
    weights = network.initial(b"")
    for round in range(1, 31):
        results = [
            train(network, weights, *rows, training, round, np.random.default_rng(round), drift)
            for rows, drift in zip(members, drifts, strict=True)
        ]
        weights = [np.mean(arrays, axis=0, dtype=np.float32) for arrays in zip(*results, strict=True)]
    return weights[0][:, 0].astype(np.float64)


def test_members_with_other_rows_come_near_the_optimum_of_all_rows_together() -> None:
    members = [least_squares(1, (2.0, 0.3), 1.0), least_squares(2, (0.3, 1.0), -1.0)]
    inputs, targets = (np.concatenate(parts) for parts in zip(*members, strict=True))
    best = np.linalg.lstsq(np.column_stack([inputs, np.ones(200)]), targets)[0][:2]
    assert np.abs(federated(members, remembers=True) - best).max() < 0.1
    assert np.abs(federated(members, remembers=False) - best).max() > 0.4, "as it would be without"


def test_a_round_that_went_too_far_is_shortened_in_its_own_direction() -> None:
    network = Network(1)
    rows = np.array([[1.0], [2.0]]), np.array([50.0, 80.0])
    start = network.initial(b"")
    free, held = (
        [array.ravel()[0] for array in train(network, start, *rows, limited, 1, np.random.default_rng(0))]
        for limited in (
            Training(rate=0.01, ridge=0, max_gradient=1e9, max_change=1e9),
            Training(rate=0.01, ridge=0, max_gradient=1e9),
        )
    )
    assert max(free) > 4
    assert max(held) == pytest.approx(Training().max_change)
    assert held[0] / held[1] == pytest.approx(free[0] / free[1])
