"""The blocks of a ledger as rows: facts for scripts, and lines of text for users."""

import time
from collections.abc import Iterator
from typing import Any

from ...crypto.identity.identity import peer_id
from ...protocol.ledger.blocks import (
    Amend,
    Contributors,
    Depart,
    Evict,
    Join,
    Membership,
    Model,
    Void,
    read_block,
    wide_value,
)
from ...protocol.ledger.contribution import WIDE_UNIT, read_metrics
from ...protocol.ledger.genesis import MILLION, Genesis
from ...protocol.ledger.options import told as told_change
from ...protocol.ledger.state import LedgerState, apply, genesis_state
from ...protocol.messages.envelope import Verified, verify, view_of
from ...protocol.messages.kinds import CertifiedBlock, JoinRequest, OptionsProposal
from ..learning.metrics import measures, measures_text, of_which_model
from ..learning.row_owners import RowOwners, whose_sum
from ..member_names import apart, in_words, told_names
from .ledger_export import Ledger
from .status import printable

Json = dict[str, Any]


def rows(ledger: Ledger) -> Iterator[Json]:
    """Yield a row for each block, the genesis first.

    Raises:
        LedgerError: a block does not follow from those before it.
    """
    yield genesis_row(ledger.genesis)
    state = genesis_state(ledger.genesis)
    for block in ledger.blocks:
        row, state = row_after(state, block)
        yield row


def row_after(state: LedgerState, block: CertifiedBlock) -> tuple[Json, LedgerState]:
    """Return the row of the block that follows on a state, and the state that it leads to.

    Raises:
        LedgerError: it does not follow.
    """
    after = apply(state, block.block)
    body = read_block(block.block).body
    row = {"height": after.height, "kind": _kind(body), "hash": after.head.hex(), "votes": len(block.certificate)}
    if isinstance(body, Void):
        proposer = state.proposer(view_of(block.certificate[0]))
        row |= {"proposer": peer_id(proposer), "proposer_name": _name(state, proposer)}
    return row | _body_row(body, state, after), after


def line(row: Json) -> str:
    """Return a row as one line of text."""
    return printable(f"{row['height']:>6}  {row['hash'][:12]}  {row['kind']:<12}  {told(row)}")


def genesis_row(genesis: Genesis) -> Json:
    """Return the row of height 0."""
    return {
        "height": 0,
        "kind": "genesis",
        "hash": genesis.federation.hex(),
        "name": genesis.name,
        "founder": peer_id(genesis.founder),
        "created_ms": genesis.created_ms,
        "model": genesis.model,
        "shapes": [list(shape) for shape in genesis.shapes],
        "parameters": genesis.parameters,
        "scheme": genesis.scheme,
        "rounds": genesis.rounds,
        "patience": genesis.stopping.patience if genesis.stopping else 0,
        "min_delta": genesis.stopping.min_delta_millionths / MILLION if genesis.stopping else 0,
        "admit": genesis.admit,
        "previous": None if genesis.previous is None else genesis.previous.hex(),
    }


def _kind(body: object) -> str:
    return type(body).__name__.lower()


def _body_row(body: Membership | Contributors | Model | Void, before: LedgerState, after: LedgerState) -> Json:
    match body:
        case Membership(changes=changes):
            return {
                "changes": [_change(change, before, after) for change in changes],
                "members": [peer_id(key) for key in after.keys],
            }
        case Contributors():
            members = before.committee.members
            return {
                "round": body.round,
                "scheme": body.scheme,
                "base": body.base_hash.hex(),
                "contributors": [peer_id(members[index]) for index, _ in body.dealers],
                "holders": [peer_id(members[index]) for index in body.holders],
                "names": [_name(before, members[index]) for index, _ in body.dealers],
            }
        case Model():
            return _model_row(body, before)
        case Void():
            return {
                "round": body.round,
                "reason": body.reason,
                "missed": [peer_id(key) for key in body.names],
                "names": [_name(before, key) for key in body.names],
            }


def _model_row(body: Model, before: LedgerState) -> Json:
    sums = tuple(map(wide_value, body.sums))
    row: Json = {
        "round": body.round,
        "round_kind": before.kind,
        "weights": body.weights_hash.hex(),
        "vector": body.vector_hash.hex(),
        "beacon": body.beacon.hex(),
        "examples": round(sums[1] / WIDE_UNIT),
    }
    if before.kind != "setup":
        metrics = read_metrics(before.genesis, sums)
        named = dict(metrics.named)
        row |= {"loss": metrics.loss, "evaluated": metrics.evaluated, "metrics": named}
        row["measures"] = measures(before.genesis.model, metrics.loss, named)
        row["measured"] = whose_sum(before, metrics.evaluated).json()
    return row


def _change(change: Join | Depart | Evict | Amend, before: LedgerState, after: LedgerState) -> Json:
    match change:
        case Amend(proposal=raw, votes=votes):
            proposal = verify(raw, before.federation)
            assert isinstance(proposal, Verified)
            assert isinstance(proposal.message, OptionsProposal)
            who = {"peer": peer_id(proposal.sender), "name": _name(before, proposal.sender)}
            return {"change": "amend", **who, "options": told_change(proposal.message.change), "votes": len(votes)}
        case Join(request=raw):
            request = verify(raw, before.federation)
            assert isinstance(request, Verified)
            assert isinstance(request.message, JoinRequest)
            name = request.message.name
            if any(one.name == name for one in after.members if one.key != request.sender):
                name = apart(name, request.sender)
            return {"change": "join", "peer": peer_id(request.sender), "name": name}
        case Depart(request=raw):
            request = verify(raw, before.federation)
            assert isinstance(request, Verified)
            return {"change": "leave", "peer": peer_id(request.sender), "name": _name(before, request.sender)}
        case Evict():
            name = _name(before, change.member)
            return {"change": "evict", "peer": peer_id(change.member), "name": name, "reason": change.reason}


def told(row: Json) -> str:
    """Return the content of a row in words."""
    match row["kind"]:
        case "genesis":
            made = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["created_ms"] / 1000))
            return f"{in_words(row['name'])}, founded {made}; {row['parameters']} parameters, {row['scheme']}"
        case "membership":
            words = {"join": "joins", "leave": "leaves", "evict": "is evicted"}
            changes = [
                f"the options become {one['options']}, as {in_words(one['name'])} proposed"
                if one["change"] == "amend"
                else f"{in_words(one['name'])} {words[one['change']]}"
                for one in row["changes"]
            ]
            return f"{', '.join(changes)}; {len(row['members'])} members"
        case "contributors":
            return f"round {row['round']}: {', '.join(map(in_words, row['names']))} ({len(row['holders'])} holders)"
        case "void":
            missed = f"{', '.join(map(in_words, row['names'])) or 'nobody'}, as {in_words(row['proposer_name'])} saw it"
            return f"round {row['round']}: no result ({row['reason']}); missed: {missed}"
    measured = ""
    if row.get("measures"):
        which = of_which_model(row["round_kind"])
        measured = f"; {which} {measures_text(row['measures'])}, {RowOwners(**row['measured']).text()}"
    return f"round {row['round']} ({row['round_kind']}): {row['examples']} examples{measured}"


def _name(state: LedgerState, key: bytes) -> str:
    return told_names(state).get(key, f"…{peer_id(key)[-11:]}")
