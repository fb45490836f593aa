"""The figures over this site's own test rows: of the agreed model, and of one trained on this site's rows alone.

Both are computed here when a user asks for them. They do not leave the site in any message.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...protocol.ledger.contribution import read_totals
from ..errors import Exit, PeerError
from ..learning.arrays import Vector, unflatten
from ..learning.learner import Learner
from ..learning.metrics import figures_json
from ..learning.table_models.tables_app import TableApp
from ..reporting.agreed_models import Agreed
from .trainer import member_learner

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Own:
    """Figures over this site's own test rows; both None where it has no such rows."""

    table: str
    rows: int
    federated: Json | None
    """Of the agreed model."""
    alone: Json | None
    """Of a model trained for as many rounds on this site's training rows alone; None before the first such round."""


def own_figures(agreed: Agreed) -> Own:
    """Return the figures of an agreed model on the table of its home, as the table is now.

    Raises:
        PeerError: the members train their own app; the table cannot be read, or is not the federation's; or the
            standardisation is not known yet.
        AppError: the table cannot be trained on.
    """
    genesis, totals = agreed.state.genesis, agreed.state.totals
    if agreed.settings.data is None:
        raise PeerError("they are of tables, and this peer trains an app", Exit.DATA)
    if totals is None:
        raise PeerError("the first round, which adds up means and deviations, is not decided yet", Exit.STORE)
    learner = member_learner(agreed.settings, genesis, trains=False)
    app = learner.app
    assert isinstance(app, TableApp)
    rows = int(app.tested.sum())
    if not rows:
        return Own(learner.name, 0, None, None)
    learner.prepare(read_totals(totals))
    weights = np.frombuffer(agreed.saved.weights, dtype="<f4")
    alone = _trained_alone(app, learner.name, agreed.score.trained) if agreed.score.trained else None
    return Own(learner.name, rows, _figures(learner, weights), alone and _figures(*alone))


def _trained_alone(app: TableApp, name: str, rounds: int) -> tuple[Learner, Vector]:
    """Train the same model for ``rounds`` rounds on this site's training rows alone, standardised by these alone."""
    single = TableApp(app.task, app.table, app.test_fraction, app.seed)
    single.training = app.training
    learner = Learner(single, name)
    learner.prepare(learner.setup())
    weights = learner.initial()
    for number in range(1, rounds + 1):
        weights = learner.fit(weights, number).weights
    return learner, weights


def _figures(learner: Learner, weights: Vector) -> Json | None:
    # Not through the learner: a federation of an older version adds up less than the app knows of its own rows.
    loss, rows, means = learner.app.evaluate(unflatten(weights, learner.shapes))
    return figures_json(learner.descriptor, loss, means, rows)
