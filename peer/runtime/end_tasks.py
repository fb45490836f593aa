"""How a run comes to its end by itself: the training is finished, the peer left, or nobody admitted it."""

import math
from typing import TYPE_CHECKING, Final

import trio

from ...protocol.ledger.phases import Phase
from ..errors import Exit
from ..home.facts import DEPARTED
from ..reporting.quorum_watch import named, unreached
from .departure import GOODBYE_SECONDS, REFRESH_SECONDS, remains, withdraw
from .session import Session

if TYPE_CHECKING:
    from ...protocol.node import Node
    from ..control.client import Json

__all__ = ["END_TASKS", "depart", "linger", "wait_for_admission"]

_LOOK_SECONDS: Final = REFRESH_SECONDS / 4
_HOPELESS_SECONDS: Final = 30.0
"""How long a peer that left waits for members without which nothing can be decided."""


async def linger(session: Session) -> None:
    """Once the training is finished, stay until all members have the result, but no longer than ``--linger``."""
    assert session.node is not None
    if session.settings.stay:
        return
    is_over = False
    while not is_over:
        if session.node.state.phase is not Phase.FINISHED:
            await session.ending.finished.wait()
        session.ending.finished = trio.Event()
        is_over = await _is_over(session, session.node)
    session.ending.end(Exit.OK, "the training is finished")


async def _is_over(session: Session, node: "Node") -> bool:
    """Stay as long as others need this peer; return whether no further rounds were decided meanwhile."""
    with trio.move_on_after(session.settings.linger):
        while node.state.phase is Phase.FINISHED and any(
            row["height"] != node.state.height for row in _others(session)
        ):
            await trio.sleep(_LOOK_SECONDS)
        # The others have to learn by a heartbeat of ours that this peer has the result, too.
        await trio.sleep(1.5 * session.settings.heartbeat)
    return node.state.phase is Phase.FINISHED


async def depart(session: Session) -> None:
    """End the run of a peer that left once the others go on without it (:mod:`..reporting.leaving`) or cannot."""
    assert session.node is not None
    await session.ending.left.wait()
    is_hopeless = await _until_not_needed(session)
    state, me = session.node.state, session.identity.public
    if is_hopeless:
        text = (
            f"left the federation; round {state.round} is still open, and too few members can be reached to decide it."
            f" If the others need this peer for that later: peer start {session.home.option}"
        )
        session.ending.end(Exit.OK, text)
        return
    with trio.move_on_after(GOODBYE_SECONDS):
        # The last votes of this peer have to arrive.
        while any(row["connected"] and (row["height"] or 0) < session.node.state.height for row in _others(session)):
            await trio.sleep(_LOOK_SECONDS)
    gone = state.gone.get(me)
    if gone is not None:
        await trio.to_thread.run_sync(session.store.keep, DEPARTED, b"%d" % gone.height)
    session.ending.end(Exit.OK, "left the federation")


async def _until_not_needed(session: Session) -> bool:
    """Stay while the others need this peer, and tell why; return whether it gave up because they are too few."""
    assert session.node is not None
    told = ""
    give_up = math.inf
    with trio.CancelScope() as patience:
        while (stay := session.stay()) is not None:
            if stay.text != told:
                told = stay.text
                session.tell("leaving", told, {"round": session.node.state.round})
            if any((row["round"] or 0) > session.node.state.round for row in _others(session)):
                # The others have closed the round. The last blocks are on their way, or are lost and will not come.
                patience.deadline = min(patience.deadline, trio.current_time() + GOODBYE_SECONDS)
            give_up = min(give_up, trio.current_time() + _HOPELESS_SECONDS) if stay.is_hopeless else math.inf
            if trio.current_time() >= give_up:
                return True
            await trio.sleep(_LOOK_SECONDS)
    return False


async def wait_for_admission(session: Session) -> None:
    """End the run of a newcomer that is not admitted within ``--join-timeout``."""
    if not session.settings.join_timeout:
        return
    assert session.node is not None
    with trio.move_on_after(session.settings.join_timeout) as waiting:
        while session.node.state.member(session.identity.public) is None:
            await trio.sleep(_LOOK_SECONDS)
    if not waiting.cancelled_caught:
        return
    await withdraw(session.node, session.driver, session.ending)
    if session.node.state.member(session.identity.public) is not None:
        return  # it was admitted at the last moment
    text = f"not admitted within {session.settings.join_timeout:g} s: too few members were reachable"
    text += _missing(session.node)
    if session.ending.told:
        text += f"; the request was taken back, and {session.ending.told} linked peer(s) were told"
    if left := remains(session.node):
        text += f"{left}; start it again with `peer start {session.home.option}`"
    session.ending.end(Exit.UNREACHABLE, text)


def _missing(node: "Node") -> str:
    """Name the members that a newcomer could not reach when it gave up; empty where it reached all."""
    state = node.state
    if state.height == 0:
        return " (the ledger, which says who the members are, never came)"
    away = unreached(state, node.ctx.alive)
    return f"; {named(state, away, {})} could not be reached" if away else ""


def _others(session: Session) -> "list[Json]":
    return [row for row in session.status()["members"] if row["member"] and not row["me"]]


END_TASKS: Final = (linger, depart, wait_for_admission)
