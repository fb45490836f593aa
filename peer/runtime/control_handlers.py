"""The answers of a running peer on its control socket."""

import time
from typing import Final

import trio

from ...protocol.ledger.tickets import Checkpoint
from ..control.client import Json
from ..errors import Exit, PeerError
from ..federation.consent import join_note
from ..federation.invites import MAX_USES, join_command, new_invite
from . import voting
from .session import Session

LEAVE_SECONDS: Final = 25.0
MAX_EXPIRES_MS: Final = 1_000_000 * 86_400_000


async def answer(session: Session, request: Json) -> Json:
    """Answer one request.

    Raises:
        PeerError: it cannot be done; the message is the answer.
    """
    match request.get("do"):
        case "status":
            return {"status": session.status()}
        case "invite":
            return _make_invite(session, request)
        case "stop":
            session.ending.end(Exit.OK, "stopped")
            return {"text": "the peer stops"}
        case "proposals":
            return voting.listed(session)
        case "propose":
            return await voting.propose(session, request)
        case "vote":
            return await voting.vote(session, request)
        case "leave":
            return await _leave(session, request)
        case other:
            raise PeerError(f"there is no request {other!r}")


def _make_invite(session: Session, request: Json) -> Json:
    genesis, node = session.genesis, session.node
    if genesis is None or node is None or node.state.member(session.identity.public) is None:
        raise PeerError("this peer is no member yet, so its invites would not be accepted", Exit.FEDERATION)
    addresses = session.network.addresses()
    expires_ms = int(time.time() * 1000) + _whole(request, "expires_ms", MAX_EXPIRES_MS)
    newest = Checkpoint(node.state.height, node.state.head)
    uses = _whole(request, "uses", MAX_USES)
    token = new_invite(session.identity, genesis.federation, addresses, expires_ms, uses, newest)
    return {"invite": token, "command": join_command(genesis, addresses, token), "note": join_note(genesis)}


def _whole(request: Json, name: str, most: int) -> int:
    """Return a number of a request.

    Raises:
        PeerError: it is missing, or no whole number from 1 to ``most``.
    """
    value = request.get(name)
    if type(value) is not int or not 1 <= value <= most:
        raise PeerError(f"not a request: {name} has to be a whole number from 1 to {most}")
    return value


async def _leave(session: Session, request: Json) -> Json:
    """Ask the others to let this peer leave; wait for their decision for ``wait_seconds``, or LEAVE_SECONDS."""
    seconds = request.get("wait_seconds", LEAVE_SECONDS)
    if type(seconds) not in (int, float) or not 0 <= seconds <= LEAVE_SECONDS:
        raise PeerError(f"not a request: wait_seconds has to be a number from 0 to {LEAVE_SECONDS:g}")
    if session.driver is None or session.node is None:
        raise PeerError("this peer is in no federation yet; stop it with `peer stop`", Exit.FEDERATION)
    state, me = session.node.state, session.identity.public
    if session.ending.left.is_set():
        return {"left": True, "text": _text_of_left(session)}
    if state.member(me) is None:
        raise PeerError("this peer is no member yet; stop it with `peer stop`", Exit.FEDERATION)
    if len(state.members) == 1:
        raise PeerError(
            "this peer is the only member, so there is nobody to leave; stop it with `peer stop`, and delete its home"
            " if the federation is not needed any more",
            Exit.FEDERATION,
        )
    if not session.ending.asked_to_leave:
        session.ending.asked_to_leave = True
        session.driver.leave()
    with trio.move_on_after(seconds):
        await session.ending.left.wait()
    if session.ending.left.is_set():
        return {"left": True, "text": _text_of_left(session)}
    return {"left": False, "text": f"asked to leave; {session.awaited()}"}


def _text_of_left(session: Session) -> str:
    stay = session.stay()
    return "left the federation; the peer stops" if stay is None else stay.text
