"""Rounds by time: each site takes as many steps as fit, at least one, and sites of unequal speed still learn."""

from pathlib import Path

import numpy as np
import pytest
from averaging import evaluated

from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.models import MAX_STEPS, Hyperparameters, Network, Training, train
from coterie.peer.learning.table_models.tables_app import TableApp


class Clock:
    """Seconds that pass with each look at the clock: one look when training begins, and one after each step."""

    def __init__(self, step_seconds: float) -> None:
        self.step_seconds, self.looks = step_seconds, 0

    def __call__(self) -> float:
        self.looks += 1
        return self.looks * self.step_seconds

    @property
    def steps(self) -> int:
        return self.looks - 1


def table(path: Path, seed: int, rows: int = 60) -> Path:
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 2))
    lines = (f"{a:.6f},{b:.6f},{2 * a - b + 0.1 * random.normal():.6f}\n" for a, b in values)
    path.write_text("a,b,y\n" + "".join(lines))
    return path


def prepared(folder: Path, steps: int | None = None) -> TableApp:
    app = TableApp.found(table(folder / "0.csv", 0), "y", "linear", training=Hyperparameters(steps=steps))
    app.prepare(app.setup())
    return app


@pytest.mark.parametrize(
    ("seconds", "step_seconds", "steps"), [(10.0, 1.0, 10), (10.0, 3.0, 4), (10.0, 60.0, 1), (0.0, 1.0, 1)]
)
def test_a_site_takes_steps_until_the_time_is_used_and_at_least_one(
    tmp_path: Path, seconds: float, step_seconds: float, steps: int
) -> None:
    app = prepared(tmp_path)
    app.clock = clock = Clock(step_seconds)
    weights, examples, _ = app.fit_for(app.initial(), 1, seconds)
    assert clock.steps == steps
    assert examples == app.examples, "the weight in the mean stays as it is"
    assert any(np.abs(array).max() > 0 for array in weights)


def test_a_founder_s_number_of_steps_is_the_most_that_a_round_by_time_takes(tmp_path: Path) -> None:
    app = prepared(tmp_path, steps=7)
    app.clock = clock = Clock(0.0)
    app.fit_for(app.initial(), 1, 10.0)
    assert clock.steps == 7


def test_without_a_number_there_are_no_more_steps_than_a_founder_could_choose(tmp_path: Path) -> None:
    app = prepared(tmp_path)
    app.clock = clock = Clock(0.0)
    app.fit_for(app.initial(), 1, 10.0)
    assert clock.steps == MAX_STEPS


def test_a_round_of_equal_steps_is_one_without_the_correction_for_sites_that_differ(tmp_path: Path) -> None:
    network, rows = Network(2), np.random.default_rng(0).normal(size=(20, 2))
    plan, start = Training(steps=9), network.initial(b"")
    arguments = (network, start, rows, rows[:, 0], plan, 1)
    whole = train(*arguments, np.random.default_rng(1))
    looks = iter(range(100))
    timed = train(*arguments, np.random.default_rng(1), is_over=lambda: next(looks) == 8)
    assert next(looks) == 9
    for one, other in zip(whole, timed, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rounds_by_time_remember_nothing_for_a_correction_that_relies_on_equal_steps(tmp_path: Path) -> None:
    app = prepared(tmp_path)
    app.clock = Clock(1.0)
    app.fit_for(app.initial(), 1, 5.0)
    assert app._drift._last is None


def test_sites_of_which_one_takes_a_hundred_times_the_steps_of_another_learn_the_same_model(tmp_path: Path) -> None:
    founder = TableApp.found(table(tmp_path / "0.csv", 0), "y", "linear")
    apps = [founder]
    apps += [TableApp.adopt(founder.describe(), table(tmp_path / f"{site}.csv", site)) for site in (1, 2)]
    learners = [Learner(app) for app in apps]
    totals = np.sum([learner.setup() for learner in learners], axis=0).tolist()
    for learner, step_seconds in zip(learners, (1.0, 0.1, 10.0), strict=True):
        learner.prepare(totals)
        learner.app.clock = Clock(step_seconds)
    weights = learners[0].initial()
    first, *_ = evaluated(apps, weights)
    for number in range(1, 31):
        fits = [learner.fit(weights, number, 50.0) for learner in learners]
        weights = np.average([fit.weights for fit in fits], axis=0, weights=[fit.examples for fit in fits])
        weights = weights.astype(np.float32)
    last, *_ = evaluated(apps, weights)
    assert last < 0.012 < 1 < first  # the noise of the target has a variance of 0.01
