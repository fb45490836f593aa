"""Rounds by time, from the genesis to the call of the app: what a joiner is told, and what is left of a round."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from members import make_genesis

from coterie.peer.home.settings import Settings
from coterie.peer.learning.learner import Learner
from coterie.peer.training.trainer import DataProblem, Trainer, founder_learner, member_learner, told_table
from coterie.protocol.jobs import Train
from coterie.protocol.ledger.genesis import Genesis

OWN_APP = """
import numpy as np

class App:
    def initial(self): return [np.zeros(2)]
    def fit(self, weights, round): return weights, 1, {}
    def evaluate(self, weights): return 0.0, 1, {}
"""
FIT_FOR = "    def fit_for(self, weights, round, seconds): return weights, 1, {}\n"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Timed:
    """An app that measures for some seconds and keeps how long it was to train."""

    def __init__(self, clock: Clock, measuring: float) -> None:
        self.clock, self.measuring, self.asked = clock, measuring, list[float]()

    def initial(self) -> Any:
        return [np.zeros(3)]

    def fit(self, weights: Any, round: int) -> Any:
        raise AssertionError("a round by time does not call fit")

    def fit_for(self, weights: Any, round: int, seconds: float) -> Any:
        self.asked.append(seconds)
        return weights, 4, {}

    def evaluate(self, weights: Any) -> Any:
        self.clock.now += self.measuring
        return 0.5, 2, {}


@pytest.mark.parametrize(("measuring", "left"), [(0.0, 30.0), (4.0, 26.0), (30.0, 0.0), (31.0, 0.0)])
def test_what_measuring_takes_is_part_of_the_round(measuring: float, left: float) -> None:
    clock = Clock()
    learner = Learner(Timed(clock, measuring))
    learner.time_rounds(30.0)
    contribution = Trainer(learner, clock=clock)(Train(1, "train", bytes(12), None))
    assert learner.app.asked == [left]
    assert contribution.examples == 4


def table_genesis(folder: Path, **fields: Any) -> Genesis:
    data = folder / "data.csv"
    data.write_text("a,y\n" + "".join(f"{row},{2 * row}\n" for row in range(20)))
    learner = founder_learner(Settings(data=str(data), target="y"))
    return make_genesis(
        model=learner.descriptor,
        shapes=learner.shapes,
        metrics=learner.metrics,
        final_metrics=learner.final_metrics,
        setup_sums=len(learner.setup()),
        share_deadline_ms=60_000,
        **fields,
    )


def test_a_joiner_is_told_of_rounds_by_time_and_trains_by_them(tmp_path: Path) -> None:
    genesis = table_genesis(tmp_path, round_time_ms=45_000)
    learner = member_learner(Settings(data=str(tmp_path / "data.csv")), genesis)
    assert learner.round_seconds == 45
    told = "data.csv: each member trains for 45 s in each round, as much as it can (the founder's --round-time)"
    assert told in (told_table(learner) or "")
    plain = member_learner(Settings(data=str(tmp_path / "data.csv")), table_genesis(tmp_path))
    assert plain.round_seconds is None
    assert "--round-time" not in (told_table(plain) or "")


def test_an_own_app_without_the_method_is_refused_when_it_founds_or_joins(tmp_path: Path) -> None:
    (tmp_path / "untimed_app.py").write_text(OWN_APP)
    (tmp_path / "timed_app.py").write_text(OWN_APP + FIT_FOR)
    untimed = Settings(app="untimed_app:App", app_folder=str(tmp_path))
    timed = Settings(app="timed_app:App", app_folder=str(tmp_path))
    told = r"untimed_app:App: .* no method fit_for\(weights, round, seconds\)"
    with pytest.raises(DataProblem, match=told):
        founder_learner(untimed.with_given({"round_time": 30.0}))
    learner = founder_learner(timed.with_given({"round_time": 30.0}))
    assert "timed_app:App: each member trains for 30 s in each round" in (told_table(learner) or "")
    genesis = make_genesis(
        model=learner.descriptor, shapes=learner.shapes, round_time_ms=30_000, share_deadline_ms=60_000
    )
    with pytest.raises(DataProblem, match=told):
        member_learner(untimed, genesis)
    assert member_learner(timed, genesis).round_seconds == 30
