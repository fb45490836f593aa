"""The agreed models that a home keeps, whether its peer runs or not, and how to predict from tables with them.

A home keeps two models at most: the newest one, and the best one that its peer ever had (:mod:`..learning.best_round`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ...protocol.ledger.contribution import read_totals
from ...protocol.ledger.state import LedgerState
from ...protocol.records import ModelSaved
from ..errors import Exit, PeerError, no_federation
from ..home.facts import SETTINGS
from ..home.folder import Home
from ..home.settings import Settings, read_settings
from ..home.store import Reader
from ..learning.arrays import Vector, unflatten
from ..learning.best_round import Scored, Scores
from ..learning.exports.exported import TableModel
from ..learning.metrics import measures, measures_text
from ..learning.table_models.task import Task, TaskMismatch, read_description, schema_of, standard_from
from ..learning.tables.table import TableError, read_table
from .status import replay

_NAMES_FROM: Final = (
    "the ledger holds only a hash of the columns' names, since there are so many: give a table of the federation with"
    " --columns-from FILE.csv"
)


@dataclass(frozen=True, slots=True)
class Agreed:
    """A model that a home has, and the state of its ledger."""

    home: Home
    state: LedgerState
    saved: ModelSaved
    score: Scored
    """The ledger's record of this model."""
    best: Scored | None
    """The ledger's record of the best model, which this home may not have; None: no model has a loss yet."""
    settings: Settings
    before: Scored | None
    """The ledger's record of the last earlier model that has a loss; None: no earlier one has."""

    @property
    def weights(self) -> list[Vector]:
        """The weights as arrays, in the order and shapes of the genesis."""
        return unflatten(np.frombuffer(self.saved.weights, dtype="<f4"), self.state.genesis.shapes)

    def table_model(self, columns_from: Path | None = None) -> TableModel | None:
        """Return the model that predicts from tables; None where the members train their own app.

        Args:
            columns_from: a table of the federation. It tells the names of the columns where the ledger holds only
                their hash; the default is the table in this home's settings.

        Raises:
            PeerError: there is no standardisation yet, or the names of the columns are not known.
        """
        try:
            fields = read_description(self.state.genesis.model)
        except TaskMismatch:
            return None
        if self.state.totals is None:
            raise PeerError(
                f"{self.home.folder}: nothing is trained yet: the first round, which adds up the means and deviations"
                f" that a prediction needs, is not decided; see: peer status {self.home.option}",
                Exit.STORE,
            )
        try:
            task = self._task(fields, columns_from)
            return TableModel.of(task, standard_from(task, read_totals(self.state.totals)), self.weights)
        except ValueError as error:
            raise PeerError(f"{self.home.folder}: the federation's model cannot be used: {error}", Exit.DATA) from None

    def _task(self, fields: Mapping[str, Any], columns_from: Path | None) -> Task:
        if isinstance(fields["columns"], list):
            return Task.adopt(self.state.genesis.model, fields["columns"], str(self.home.folder))
        path = columns_from or self.settings.data
        if path is None:
            raise PeerError(f"{self.home.folder}: {_NAMES_FROM}", Exit.DATA)
        wanted = self.settings.columns or None
        try:
            table = read_table(
                path,
                fields["target"],
                labelled=bool(fields["classes"]),
                columns=wanted,
                ignore=self.settings.ignore,
                plan=schema_of(fields),
            )
            return Task.adopt(self.state.genesis.model, table.columns, table.name)
        except (TableError, TaskMismatch) as error:
            raise PeerError(f"{error}; {_NAMES_FROM}", Exit.DATA) from None


def read_agreed(home: Home, *, round: int | None = None, best: bool = False) -> Agreed:
    """Return a model that a home keeps: the newest, the one of ``round``, or the best. Its peer may be running.

    Raises:
        PeerError: the home is in no federation, or does not have this model.
    """
    with Reader.open(home.folder) as reader:
        scores = Scores()
        height, newest, kept = reader.models()
        state, settings = replay(reader, scores.on_block, height), read_settings(reader.fact(SETTINGS))
    if state is None:
        raise PeerError(no_federation(home.folder), Exit.FEDERATION)
    if newest is None:
        raise PeerError(
            f"{home.folder}: there is no model yet, or it is damaged; the peer fetches it when it runs", Exit.STORE
        )
    score = scores.of(newest.weights_hash) or Scored(newest.weights_hash, 0, 0)

    def agreed(saved: ModelSaved, score: Scored) -> Agreed:
        return Agreed(home, state, saved, score, scores.best, settings, scores.measured_before(score.weights))

    here = {score.round: agreed(newest, score)}
    old = None if kept is None else scores.of(kept.weights_hash)
    if kept is not None and old is not None:
        here.setdefault(old.round, agreed(kept, old))
    if best:
        return _best(here, score.round, scores.best, state)
    wanted = score.round if round is None else round
    if wanted not in here:
        raise PeerError(
            f"--round {round}: this home keeps only {_told(here, score.round)}; leave --round out to export the newest,"
            " and export after each round to keep them all"
        )
    return here[wanted]


def _best(here: Mapping[int, Agreed], newest: int, best: Scored | None, state: LedgerState) -> Agreed:
    if best is None:
        raise PeerError(
            "--best: no model has a loss yet; that of a model is in the ledger once the round after it is decided, and"
            " it takes test rows. Leave --best out for the newest model",
            Exit.STORE,
        )
    if best.round not in here:
        raise PeerError(
            f"--best: the best model is that of round {best.round} ({loss_text(state, best)}), which this home never"
            f" had: its peer was away in that round, or ran an older Coterie. It has {_told(here, newest)}. Ask a"
            " member that was there to type: peer model export --best --out model.npz",
            Exit.STORE,
        )
    return here[best.round]


def _told(here: Mapping[int, Agreed], newest: int) -> str:
    others = [f", and the best that it ever had, that of round {one}" for one in here if one != newest]
    return f"the newest model, that of round {newest}{''.join(others)}"


def loss_text(state: LedgerState, score: Scored) -> str:
    """Return the loss of a model in words, such as ``RMSE 58.2`` or ``loss 0.41``."""
    return measures_text(measures(state.genesis.model, score.loss, {}))
