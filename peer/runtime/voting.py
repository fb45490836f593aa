"""Requests of the control socket about options of the training: to propose some, to list what is proposed, to vote."""

import string
from typing import Final

import msgspec
import trio

from ...protocol.ledger.phases import Phase
from ...protocol.ledger.state import LedgerState
from ...protocol.messages.kinds import OptionsChange
from ...protocol.node import Node
from ..control.client import Json
from ..driving.driver import Driver
from ..errors import Exit, PeerError
from ..reporting.proposals import rows
from .session import Session

_LOOK_SECONDS: Final = 0.02
_WAIT_SECONDS: Final = 20.0
_REQUESTED: Final = {"evict_after": "evict_after_rounds"}
"""Names in a request that differ from those in the ledger."""


def listed(session: Session) -> Json:
    """Return the open proposals."""
    node, _ = _member(session)
    return {"proposals": _rows(node)}


async def propose(session: Session, request: Json) -> Json:
    """Propose what is requested; return the proposal once it is made.

    Raises:
        PeerError: it cannot be proposed.
    """
    node, driver = _member(session)
    change = _change(node.state, request.get("change"))
    wrong = node.ballots.why_not_propose(change)
    if wrong is not None:
        raise PeerError(f"nothing was proposed: {wrong}", Exit.FEDERATION)
    before = {row["id"] for row in _rows(node)}
    driver.propose_options(change)
    own = session.identity.peer_id
    with trio.move_on_after(_WAIT_SECONDS):
        while True:
            for row in _rows(node):
                if row["id"] not in before and row["proposer"] == own:
                    return {"proposal": row}
            await trio.sleep(_LOOK_SECONDS)
    raise PeerError("nothing was proposed: the ledger has moved on meanwhile; type it again", Exit.FEDERATION)


async def vote(session: Session, request: Json) -> Json:
    """Vote on the proposal that is requested; return it once the vote is cast.

    Raises:
        PeerError: there is no such proposal, or this peer has voted on it.
    """
    node, driver = _member(session)
    accepts = request.get("accepts")
    if type(accepts) is not bool:
        raise PeerError("not a request: accepts has to be true or false")
    chosen = _chosen(node, request.get("proposal"))
    wrong = node.ballots.why_not_vote(bytes.fromhex(chosen["id"]))
    if wrong is not None:
        raise PeerError(f"no vote was cast: {wrong}", Exit.FEDERATION)
    driver.vote_on_options(bytes.fromhex(chosen["id"]), accepts)
    with trio.move_on_after(_WAIT_SECONDS):
        while True:
            row = next((row for row in _rows(node) if row["id"] == chosen["id"]), None)
            if row is None:  # this vote decided it
                return {"proposal": {**chosen, "own_vote": accepts}}
            if row["own_vote"] is not None:
                return {"proposal": row}
            await trio.sleep(_LOOK_SECONDS)
    raise PeerError("no vote was cast: this peer is too busy; type it again", Exit.FEDERATION)


def _member(session: Session) -> tuple[Node, Driver]:
    node, driver = session.node, session.driver
    if node is None or driver is None or node.state.member(session.identity.public) is None:
        raise PeerError("this peer is no member yet, so it has no vote", Exit.FEDERATION)
    return node, driver


def _rows(node: Node) -> list[Json]:
    return rows(node.state, node.ctx.me, node.ctx.pool.proposals.listed(node.state))


def _chosen(node: Node, wanted: object) -> Json:
    """Return the open proposal whose id begins so; the only one if nothing is given.

    Raises:
        PeerError: there is none, or there are several.
    """
    if not isinstance(wanted, str) or set(wanted) - set(string.hexdigits):
        raise PeerError(f"{wanted!r}: an id is needed, as `peer vote` lists it")
    found = [row for row in _rows(node) if row["id"].startswith(wanted.lower())]
    if not found:
        raise PeerError(f"there is no open proposal {wanted}".rstrip() + "; `peer vote` lists them", Exit.FEDERATION)
    if len(found) > 1:
        raise PeerError(f"{len(found)} open proposals fit; give the id of one, as `peer vote` lists them")
    return found[0]


def _change(state: LedgerState, given: object) -> OptionsChange:
    """Return the change that a request asks for, with absolute numbers.

    Raises:
        PeerError: it is no such request.
    """
    if not isinstance(given, dict):
        raise PeerError("not a request: change has to be an object")
    change: Json = {_REQUESTED.get(str(name), str(name)): value for name, value in given.items()}
    more = change.pop("more_rounds", None)
    if more is not None:
        if type(more) is not int or more < 1:
            raise PeerError("not a request: more_rounds has to be a whole number from 1")
        # After an early end, or where there was no limit, further rounds are counted from those that were trained.
        has_limit = state.agreed.rounds and state.phase is not Phase.FINISHED
        change["rounds"] = (state.agreed.rounds if has_limit else state.trained) + more
    try:
        return msgspec.convert(list(msgspec.structs.astuple(OptionsChange(**change))), OptionsChange)
    except (msgspec.ValidationError, TypeError) as error:
        raise PeerError(f"not a request: {error}") from None
