"""The rounds of a ledger one by one: figures over all members' test rows and over this site's, and missing members.

A round measures the model with which it begins, so the figures of a round are those of the model before it.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from ...crypto.identity.identity import peer_id
from ...protocol.ledger.blocks import Membership, Model, Void, read_block, wide_value
from ...protocol.ledger.contribution import WIDE_UNIT, read_metrics
from ...protocol.ledger.state import LedgerError, LedgerState, apply, genesis_state
from ..learning.metrics import Measured, figures_json, measures
from ..member_names import told_names
from .ledger_export import Invalid, Ledger
from .status import Json

__all__ = ["Rounds", "own_row", "rounds_of"]

_NOTHING: Final[Mapping[int, Measured]] = MappingProxyType({})


class Rounds:
    """A row for each round that is over: a fold over the blocks of a ledger.

    ``own``: the figures over this site's own test rows, by round.
    """

    def __init__(self, own: Mapping[int, Measured] = _NOTHING) -> None:
        self.rows: list[Json] = []
        self._own = own
        self._gone: dict[bytes, str] = {}
        """The names of those that were members: a member that leaves during a round may be missing in it."""

    def on_block(self, before: LedgerState, block: bytes, after: LedgerState) -> None:
        """Take the next block, with the states before and after it."""
        body = read_block(block).body
        if isinstance(body, Membership):
            self._gone |= told_names(before)
        if not isinstance(body, Model | Void):
            return
        row = _row(before, body.round, after.height)
        row["missing"] = self._missing(before, body)
        row["own"] = self._own_row(before, body.round)
        row |= {"result": "void", "reason": body.reason} if isinstance(body, Void) else _sums(before, body)
        self.rows.append(row)

    def _missing(self, state: LedgerState, body: Model | Void) -> list[Json]:
        """Return the members that a void names, or those whose updates are not in a sum."""
        keys: Iterable[bytes]
        if isinstance(body, Void):
            keys = body.names
        else:
            assert state.contributors is not None
            present = {index for index, _ in state.contributors.dealers}
            keys = [key for index, key in enumerate(state.committee.members) if index not in present]
        names = self._gone | told_names(state)
        return [{"id": peer_id(key), "name": names.get(key, f"…{peer_id(key)[-11:]}")} for key in keys]

    def _own_row(self, state: LedgerState, round: int) -> Json | None:
        own = self._own.get(round)
        return None if own is None else own_row(state.genesis.model, own)


def rounds_of(ledger: Ledger, own: Mapping[int, Measured] = _NOTHING) -> list[Json]:
    """Return the rows of all rounds of a ledger that are over.

    Raises:
        Invalid: a block does not follow from those before it.
    """
    rounds, state = Rounds(own), genesis_state(ledger.genesis)
    for one in ledger.blocks:
        try:
            before, state = state, apply(state, one.block)
        except LedgerError as error:
            raise Invalid(f"{ledger.name}: {error}") from None
        rounds.on_block(before, one.block, state)
    return rounds.rows


def own_row(model: str, own: Measured) -> Json:
    """Return what a round's row says of this site's own test rows. ``model``: its description in the genesis."""
    return _measured(model, own.rows, own.loss, own.metrics)


def _row(state: LedgerState, round: int, height: int) -> Json:
    """Return the fields that every round has; None stands for what is not known."""
    dealers = None if state.contributors is None else [index for index, _ in state.contributors.dealers]
    return {
        "round": round,
        "kind": state.kind,
        "result": "model",
        "height": height,
        "members": state.committee.n,
        "contributors": None if dealers is None else [peer_id(state.committee.members[one]) for one in dealers],
        "missing": [],
        "reason": None,
        "examples": None,
        "rows": None,
        "loss": None,
        "metrics": {},
        "measures": {},
        "figures": {},
        "own": None,
    }


def _sums(state: LedgerState, body: Model) -> Json:
    """Return the fields that follow from the sums of a round."""
    sums = tuple(map(wide_value, body.sums))
    row: Json = {"examples": round(sums[1] / WIDE_UNIT)}
    if state.kind != "setup":
        found = read_metrics(state.genesis, sums)
        row |= _measured(state.genesis.model, found.evaluated, found.loss, dict(found.named))
    return row


def _measured(model: str, rows: int, loss: float | None, metrics: Mapping[str, float]) -> Json:
    """Return a loss, the means beside it, and the figures that follow: those to show first, and all."""
    shown = measures(model, loss, metrics)
    found = figures_json(model, loss, metrics, rows)
    figures = shown if found is None else found["numbers"]
    return {"rows": rows, "loss": loss, "metrics": dict(metrics), "measures": shown, "figures": figures}
