"""Which model was the best: that with the smallest loss over the members' test rows, as the ledger states it.

The sums of a round are about the model that the round began with. So a model has no loss before the round after it is
decided, and the newest one has none until the evaluation at the end. The losses of two rounds may be over the rows of
different members, if one was away. A model that two rounds began with counts with the smaller loss; of two models with
equal losses the earlier one is better.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import takewhile

from ..protocol.blocks import Contributors, Model, read_block, wide_value
from ..protocol.contribution import Metrics, read_metrics
from ..protocol.genesis import Genesis
from ..protocol.ledger import LedgerState
from ..protocol.wire import DecodeError
from .whose import Whose, whose_sum

__all__ = ["Scored", "Scores", "loss_told"]


@dataclass(frozen=True, slots=True)
class Scored:
    """A model that the ledger names, and its loss as far as it is known."""

    weights: bytes
    """Their hash."""
    round: int
    """The round of the ledger that they came out of; 0: those that the federation began with."""
    trained: int
    """Rounds that it was trained for."""
    loss: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """What the members added up beside the loss."""
    whose: Whose | None = None
    """Over whose rows that is."""


class Scores:
    """All models of a ledger with a block, in their order: a fold over its blocks."""

    def __init__(self) -> None:
        self.models: list[Scored] = []

    def on_block(self, before: LedgerState, block: bytes, after: LedgerState) -> None:
        """Take the next block, and the states around it."""
        if not self.models:
            self.models.append(Scored(before.weights, 0, 0))
        body = read_block(block).body
        if not isinstance(body, Model):
            return
        found, newest = None if before.kind == "setup" else _metrics(before.genesis, body), self.models[-1]
        if found is not None and found.loss is not None and (newest.loss is None or found.loss < newest.loss):
            whose = whose_sum(before, found.evaluated)
            newest = replace(newest, loss=found.loss, metrics=dict(found.named), whose=whose)
        if after.weights == before.weights:
            self.models[-1] = replace(newest, trained=after.trained)
        else:
            self.models[-1:] = [newest, Scored(after.weights, before.round, after.trained)]

    @property
    def best(self) -> Scored | None:
        """The best of those that have a loss, None where none has."""
        return min((one for one in self.models if one.loss is not None), key=_loss_of, default=None)

    def of(self, weights: bytes) -> Scored | None:
        """The model with these weights, None where the ledger does not name them."""
        return next((one for one in self.models if one.weights == weights), None)

    def measured_before(self, weights: bytes) -> Scored | None:
        """The last model that has a loss among those before the one with these weights; None where none has."""
        earlier = list(takewhile(lambda one: one.weights != weights, self.models))
        return next((one for one in reversed(earlier) if one.loss is not None), None)


def loss_told(genesis: Genesis, data: bytes, earlier: Iterable[bytes]) -> tuple[bytes, float] | None:
    """Return of which weights (their hash) a block tells the loss, and that; None where it tells none.

    ``earlier``: the blocks before it, the newest first.
    """
    try:
        body = read_block(data).body
        if not isinstance(body, Model):
            return None
        bodies = (read_block(one).body for one in earlier)
        contributors = next(bodies, None)
        if not isinstance(contributors, Contributors):
            return None
        # The sums of a setup round are no losses. It is the first round with a result, and leaves the weights alone.
        has_setup = bool(genesis.setup_sums) and genesis.totals is None
        if has_setup and body.weights == contributors.base and not any(isinstance(one, Model) for one in bodies):
            return None
    except DecodeError:
        return None
    loss = _metrics(genesis, body).loss
    return None if loss is None else (contributors.base, loss)


def _metrics(genesis: Genesis, body: Model) -> Metrics:
    return read_metrics(genesis, tuple(map(wide_value, body.sums)))


def _loss_of(one: Scored) -> float:
    assert one.loss is not None
    return one.loss
