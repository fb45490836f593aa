"""How a run comes to its end by itself: the training is finished, the peer left, or nobody admitted it."""

import math
from typing import TYPE_CHECKING, Final

import trio

from ..protocol.blocks import Evict, Membership, read_block
from ..protocol.ledger import Gone, LedgerState, Phase
from .exits import Exit, PeerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..protocol.records import BlockDecided
    from .control import Json
    from .home import Home
    from .session import Session

REFRESH_SECONDS: Final = 1.0
GOODBYE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = REFRESH_SECONDS / 4


def check_not_gone(state: LedgerState, me: bytes, blocks: "Sequence[BlockDecided]", home: "Home") -> bool:
    """See to it that nobody who is gone is let in again by a mere restart.

    ``blocks``: those of the ledger, from height 1 on. Returns whether this peer left, but still belongs to a round that
    is not over.

    Raises:
        PeerError: this peer left, or was removed, as its own ledger says.
    """
    gone = _gone(state, me)
    if gone is None or state.member(me) is not None:
        return False
    if gone.barred:
        text = "was evicted from its federation for cheating"
    elif _was_evicted(me, blocks[gone.height - 1].block):
        text = "was evicted from its federation for its silence"
    elif state.committee.index(me) is not None:
        return True
    else:
        text = "left its federation"
    text += f" (height {gone.height}); {way_back(state, me, home)}"
    raise PeerError(f"{home.folder}: this peer {text}", Exit.REMOVED)


def way_back(state: LedgerState, me: bytes, home: "Home") -> str:
    """Say how one that is gone can become a member again."""
    gone = _gone(state, me)
    if gone is not None and gone.barred:
        return "it will not be let in again"
    if state.genesis.admit == "invite":
        return f"to join again, ask a member for an invite and type: peer start {home.option} --invite TOKEN"
    return f"to join again, type: peer start {home.option} --bootstrap ADDRESS, with the address of a member"


def _gone(state: LedgerState, me: bytes) -> Gone | None:
    return state.gone.get(me)


def _was_evicted(member: bytes, block: bytes) -> bool:
    body = read_block(block).body
    changes = body.changes if isinstance(body, Membership) else ()
    return any(isinstance(change, Evict) and change.member == member for change in changes)


async def linger(session: "Session") -> None:
    """Once the training is finished, stay until all members have the result, or for a while."""
    assert session.node is not None
    if session.node.state.phase is not Phase.FINISHED:
        await session.ending.finished.wait()
    if session.settings.stay:
        return
    with trio.move_on_after(session.settings.linger):
        while any(row["height"] != session.node.state.height for row in _others(session)):
            await trio.sleep(_LOOK_SECONDS)
        # Our own last heartbeat has to tell the others the same.
        await trio.sleep(1.5 * session.settings.heartbeat)
    session.ending.end(Exit.OK, "the training is finished")


async def depart(session: "Session") -> None:
    """Whoever leaves still belongs to the round in which that is decided.

    Below four members nothing is decided without it: if it stopped at once, the others could never close the round.
    """
    assert session.node is not None
    await session.ending.left.wait()
    with trio.CancelScope() as patience:
        while session.node.state.committee.index(session.identity.public) is not None:
            ahead = any((row["round"] or 0) > session.node.state.round for row in _others(session))
            if ahead and patience.deadline == math.inf:
                # They closed it. The last blocks are on their way, or lost; they may be asked for no more.
                patience.deadline = trio.current_time() + GOODBYE_SECONDS
            await trio.sleep(_LOOK_SECONDS)
    with trio.move_on_after(GOODBYE_SECONDS):
        # Its last votes have to arrive.
        while any(row["connected"] and (row["height"] or 0) < session.node.state.height for row in _others(session)):
            await trio.sleep(_LOOK_SECONDS)
    session.ending.end(Exit.OK, "left the federation")


async def wait_for_admission(session: "Session") -> None:
    """Give up after --join-timeout."""
    if not session.settings.join_timeout:
        return
    assert session.node is not None
    with trio.move_on_after(session.settings.join_timeout) as waiting:
        while session.node.state.member(session.identity.public) is None:
            await trio.sleep(_LOOK_SECONDS)
    if waiting.cancelled_caught:
        text = f"not admitted within {session.settings.join_timeout:g} s: too few members were reachable"
        session.ending.end(Exit.UNREACHABLE, text)


def _others(session: "Session") -> "list[Json]":
    return [row for row in session.status()["members"] if row["member"] and not row["me"]]
