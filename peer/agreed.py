"""The agreed model in a home, running or not, and of a table what its weights mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..protocol.blocks import Model, read_block
from ..protocol.contribution import read_totals
from ..protocol.ledger import LedgerState
from ..protocol.records import ModelSaved
from .exits import Exit, PeerError, no_federation
from .home import Home
from .learning.arrays import Vector, unflatten
from .learning.exported import TableModel
from .learning.table import TableError, read_table
from .learning.task import Task, TaskMismatch, read_description, standard_from
from .settings import Settings, read_settings
from .status import replay
from .store import Reader

_NAMES_FROM: Final = (
    "the ledger holds only a hash of the columns' names, since there are so many: give a table of the federation with"
    " --columns-from FILE.csv"
)


@dataclass(frozen=True, slots=True)
class Agreed:
    """The newest model that a home has, and the state of its ledger."""

    home: Home
    state: LedgerState
    saved: ModelSaved
    round: int
    """The round of the ledger that the weights came out of; 0: those that the federation began with."""
    settings: Settings

    @property
    def weights(self) -> list[Vector]:
        """The weights, array by array."""
        return unflatten(np.frombuffer(self.saved.weights, dtype="<f4"), self.state.genesis.shapes)

    def table_model(self, columns_from: Path | None = None) -> TableModel | None:
        """What predicts from tables; None where the members train their own app.

        ``columns_from``: a table of the federation, for the names of columns of which the ledger holds a hash only.

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
            table = read_table(path, fields["target"], labelled=bool(fields["classes"]), columns=wanted)
            return Task.adopt(self.state.genesis.model, table.columns, table.name)
        except (TableError, TaskMismatch) as error:
            raise PeerError(f"{error}; {_NAMES_FROM}", Exit.DATA) from None


def read_agreed(home: Home) -> Agreed:
    """Return the newest model in a home; its peer may be running.

    Raises:
        PeerError: the home is in no federation, or has no model.
    """
    with Reader.open(home.folder) as reader:
        state, saved = replay(reader), reader.model()
        if state is None:
            raise PeerError(no_federation(home.folder), Exit.FEDERATION)
        if saved is None:
            raise PeerError(
                f"{home.folder}: there is no model yet, or it is damaged; the peer fetches it when it runs", Exit.STORE
            )
        return Agreed(home, state, saved, _round_of(reader, saved.weights_hash), read_settings(reader.fact("settings")))


def _round_of(reader: Reader, weights: bytes) -> int:
    """The round in which these weights came up: later ones that only evaluate them name them, too."""
    for stored in reader.blocks():
        body = read_block(stored.block).body
        if isinstance(body, Model) and body.weights == weights:
            return body.round
    return 0
