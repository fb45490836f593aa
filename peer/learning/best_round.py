"""The best model: the one with the smallest loss over the members' test rows, as the ledger states it.

The loss in the sums of a round is that of the model with which the round began. So the loss of a model is known once
the next round is decided, and the loss of the last one after the evaluation at the end. If a member was away, the
losses of two rounds are over the rows of different members. Where two rounds began with the same model, the smaller
loss counts. Of two models with equal losses the earlier one is better.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import takewhile

from ...protocol.ledger.blocks import Contributors, Model, read_block, wide_value
from ...protocol.ledger.contribution import Metrics, read_metrics
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.state import LedgerState
from ...protocol.messages.encoding import DecodeError
from .row_owners import RowOwners, whose_sum

__all__ = ["Scored", "Scores", "loss_told"]


@dataclass(frozen=True, slots=True)
class Scored:
    """A model that the ledger names, and its loss if that is known."""

    weights: bytes
    """The hash of its weights."""
    round: int
    """The round that it is the result of; 0: the model that the federation began with."""
    trained: int
    """Number of training rounds that led to it."""
    loss: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """The other means over the members' test rows, by name."""
    whose: RowOwners | None = None
    """Over whose test rows the loss and the metrics are."""


class Scores:
    """All models of a ledger, the oldest first: a fold over its blocks. Before the first block there are none."""

    def __init__(self) -> None:
        self.models: list[Scored] = []

    def on_block(self, before: LedgerState, block: bytes, after: LedgerState) -> None:
        """Take the next block, with the states before and after it."""
        if not self.models:
            self.models.append(Scored(before.weights_hash, 0, 0))
        body = read_block(block).body
        if not isinstance(body, Model):
            return
        found, newest = None if before.kind == "setup" else _metrics(before.genesis, body), self.models[-1]
        if found is not None and found.loss is not None and (newest.loss is None or found.loss < newest.loss):
            whose = whose_sum(before, found.evaluated)
            newest = replace(newest, loss=found.loss, metrics=dict(found.named), whose=whose)
        if after.weights_hash == before.weights_hash:
            # Such as after a setup round, or the evaluation: there is no new model.
            self.models[-1] = replace(newest, trained=after.trained)
        else:
            self.models[-1:] = [newest, Scored(after.weights_hash, before.round, after.trained)]

    @property
    def best(self) -> Scored | None:
        """The best model; None if no model has a loss yet."""
        return min((one for one in self.models if one.loss is not None), key=_loss_of, default=None)

    def of(self, weights: bytes) -> Scored | None:
        """Return the model whose weights have this hash; None if the ledger does not name it."""
        return next((one for one in self.models if one.weights == weights), None)

    def measured_before(self, weights: bytes) -> Scored | None:
        """Return the last model with a loss that came before the one with these weights; None if there is none."""
        earlier = list(takewhile(lambda one: one.weights != weights, self.models))
        return next((one for one in reversed(earlier) if one.loss is not None), None)


def loss_told(genesis: Genesis, data: bytes, earlier: Iterable[bytes]) -> tuple[bytes, float] | None:
    """Return the loss of a model that a block states, after the hash of its weights; None if it states none.

    Args:
        genesis: the genesis of the ledger.
        data: the block, encoded.
        earlier: the blocks before it, encoded, the newest first.
    """
    try:
        body = read_block(data).body
        if not isinstance(body, Model):
            return None
        bodies = (read_block(one).body for one in earlier)
        contributors = next(bodies, None)
        if not isinstance(contributors, Contributors):
            return None
        # The sums of the setup round are no loss. It is the first round with a result, and leaves the weights as they
        # were.
        has_setup = bool(genesis.setup_sums) and genesis.totals is None
        if (
            has_setup
            and body.weights_hash == contributors.base_hash
            and not any(isinstance(one, Model) for one in bodies)
        ):
            return None
    except DecodeError:
        return None
    loss = _metrics(genesis, body).loss
    return None if loss is None else (contributors.base_hash, loss)


def _metrics(genesis: Genesis, body: Model) -> Metrics:
    return read_metrics(genesis, tuple(map(wide_value, body.sums)))


def _loss_of(one: Scored) -> float:
    assert one.loss is not None
    return one.loss
