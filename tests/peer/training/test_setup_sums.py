"""The sums of the setup round: one member must not be able to have sums decided with which nobody can train."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import trio
from cluster import Cluster
from members import make_genesis

from coterie.peer.driving.workers import Workers
from coterie.peer.learning.app import AppError
from coterie.peer.learning.learner import Learner
from coterie.peer.training.trainer import Trainer
from coterie.protocol.events import WorkDone
from coterie.protocol.jobs import CheckVector, Contribution, Train
from coterie.protocol.ledger.blocks import Void, read_block
from coterie.protocol.records import BlockDecided

LIAR = 3


class Counting:
    """An app whose setup sum is its number of rows, and which cannot train on less than one row."""

    rows = 10.0
    total = 0.0
    calls = 0

    def setup(self) -> list[float]:
        return [self.rows]

    def prepare(self, totals: Sequence[float]) -> None:
        self.calls += 1
        if totals[0] < 1:
            raise ValueError(f"the setup sums are those of {totals[0]:g} rows")
        self.total = totals[0]

    def initial(self) -> list[Any]:
        return [np.zeros(6, np.float32)]

    def fit(self, weights: list[Any], round: int) -> tuple[list[Any], int, dict[str, float]]:
        return [weights[0] + 0.25], 10, {}

    def evaluate(self, weights: list[Any]) -> tuple[float, int, dict[str, float]]:
        return 0.5, 4, {}


class WithApps(Cluster):
    """A federation whose jobs are done by each peer's real workers, with an app of its own."""

    def __init__(self, lies_in: range) -> None:
        deadlines = {"share_deadline_ms": 500, "view_timeout_ms": 100, "view_delta_ms": 50}
        super().__init__(4, make_genesis(min_peers=4, rounds=1, setup_sums=1, **deadlines))
        self.trainers = [Trainer(Learner(Counting())) for _ in self.sites]
        self.lies_in = lies_in

    def workers(self, number: int) -> Workers:
        trainer = self.trainers[number]

        def train(work: Train) -> Contribution:
            if number == LIAR and work.kind == "setup":
                trainer.learner.app.rows = -1e9 if work.round in self.lies_in else 10.0
            return trainer(work)

        return Workers(train, trainer.prepare, lambda start: ())

    def compute(self, site: Any, work: Any) -> WorkDone:
        if not isinstance(work, Train | CheckVector):
            return super().compute(site, work)
        return trio.run(self.workers(site.number).run, work)


def trained(cluster: Cluster) -> int:
    assert cluster.sites[0].node is not None
    return cluster.sites[0].node.state.trained


def voids(cluster: Cluster) -> list[str]:
    """Why rounds were void, as member 0 decided."""
    blocks = [read_block(one.block) for one in cluster.sites[0].disk.records if isinstance(one, BlockDecided)]
    return [one.body.reason for one in blocks if isinstance(one.body, Void)]


def test_setup_sums_that_no_data_have_are_voted_down_and_added_up_anew() -> None:
    cluster = WithApps(lies_in=range(2))
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    assert voids(cluster) == ["encoding", "encoding"]
    assert trained(cluster) == 1
    assert [trainer.learner.app.total for trainer in cluster.trainers] == [40.0] * 4
    told = [notice.text for notice in cluster.sites[0].notices if notice.kind == "fault"]
    assert any("the setup sums are those of -1e+09 rows" in text for text in told)


def test_setup_sums_that_are_decided_unseen_end_the_training_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = WithApps.workers

    def trusting(self: WithApps, number: int) -> Workers:
        one = workers(self, number)
        return Workers(one._trainer, lambda totals: None, lambda start: ())

    monkeypatch.setattr(WithApps, "workers", trusting)
    cluster = WithApps(lies_in=range(1))
    cluster.start()
    cluster.run_for(30_000)
    assert set(voids(cluster)) == {"shares"}
    assert len(voids(cluster)) > 5
    assert trained(cluster) == 0


def test_an_app_is_prepared_once_for_the_same_totals_and_anew_after_it_refused_others() -> None:
    app = Counting()
    trainer = Trainer(Learner(app))
    weights = bytes(24)
    trainer.prepare((40.0,))
    trainer(Train(1, "train", weights, (40.0,)))
    assert app.calls == 1
    with pytest.raises(AppError, match="-5 rows"):
        trainer.prepare((-5.0,))
    trainer(Train(2, "train", weights, (40.0,)))
    assert app.calls == 3
