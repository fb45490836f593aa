"""The figures that members agree on, out of real secure sums in virtual time, are those of all rows in one place."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from cluster import Cluster
from sklearn.metrics import confusion_matrix, roc_auc_score
from table_homes import table_genesis

from coterie.peer.learning.arrays import unflatten
from coterie.peer.learning.figures import EDGES
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.metrics import figures_json
from coterie.peer.learning.row_owners import LastSum
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.reporting.status import ledger_status
from coterie.peer.training.trainer import Trainer
from coterie.protocol.ledger.state import LedgerState
from coterie.protocol.records import BlockDecided

ROWS = (60, 100, 140, 180)
"""Rows of each site: a fifth of them are so few that they are counted exactly."""


class Sites(Cluster):
    """Four members with tables of their own, which train and evaluate by their real code."""

    def __init__(self, folder: Path) -> None:
        paths = [risks(folder / f"{seed}.csv", seed, rows) for seed, rows in enumerate(ROWS)]
        founder = TableApp.found(paths[0], "y", "logistic")
        self.apps = [founder, *(TableApp.adopt(founder.describe(), path) for path in paths[1:])]
        genesis = table_genesis(founder, rounds=2, evict_after_rounds=0)
        super().__init__(4, msgspec.structs.replace(genesis, min_peers=4))
        for site, app in zip(self.sites, self.apps, strict=True):
            site.train = Trainer(Learner(app))

    @property
    def state(self) -> LedgerState:
        node = self.sites[0].node
        assert node is not None
        return node.state

    def last_sum(self) -> LastSum:
        return LastSum(self.state, [one for one in self.sites[0].disk.records if isinstance(one, BlockDecided)])

    def tested(self, places: range) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities of the second class that the final model tells of the test rows of some, and the truth."""
        model = self.sites[0].disk.load().model
        assert model is not None
        vector = np.frombuffer(model.weights, dtype="<f4")
        weights = unflatten(vector, self.genesis.shapes)
        probabilities, codes = [], []
        for place in places:
            app = self.apps[place]
            inputs, targets = app._prepared(app.tested)
            probabilities.append(app.task.network.probabilities(app._outputs(weights, inputs))[:, 1])
            codes.append(targets)
        return np.concatenate(probabilities), np.concatenate(codes)


def risks(path: Path, seed: int, rows: int) -> Path:
    """Write a table in which two numbers say something of an outcome, but not all."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(rows, 2))
    is_positive = inputs @ [1.5, -1.0] + random.normal(size=rows) > 0.3
    lines = [f"{a!r},{b!r},{'yes' if one else 'no'}" for (a, b), one in zip(inputs.tolist(), is_positive, strict=True)]
    path.write_text("\n".join(["a,b,y", *lines]) + "\n")
    return path


@pytest.mark.parametrize("away", [False, True])
def test_the_agreed_figures_are_those_of_the_rows_of_those_that_were_there(tmp_path: Path, away: bool) -> None:
    sites = Sites(tmp_path)
    sites.start()
    sites.run(lambda: sites.sites[0].node is not None)
    if away:
        sites.run(lambda: sites.state.trained == 1)
        sites.crash(3)
    sites.run(lambda: sites.all_at("finished"))
    status = ledger_status(sites.state, last_sum=sites.last_sum())
    present = range(3 if away else 4)
    probabilities, codes = sites.tested(present)
    numbers = status["figures"]["numbers"]
    assert numbers["auc"] == pytest.approx(roc_auc_score(codes, np.digitize(probabilities, EDGES)), abs=1e-9)
    assert abs(numbers["auc"] - roc_auc_score(codes, probabilities)) <= numbers["auc_error"]
    assert status["figures"]["confusion"] == confusion_matrix(codes, probabilities > 0.5).tolist()
    names = [one.name for one in sites.state.members if away and one.key == sites.sites[3].identity.public]
    assert status["measured"] == {"rows": len(codes), "members": len(present), "away": names}
    told = [notice for notice in sites.sites[0].notices if notice.kind == "model"][-1].facts
    assert figures_json(sites.genesis.model, told["loss"], told["metrics"], told["evaluated"]) == status["figures"]
