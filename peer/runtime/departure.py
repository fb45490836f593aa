"""A peer that is no member: one that left or was removed, or one that takes its request to be admitted back."""

from typing import TYPE_CHECKING, Final

import trio

from ...protocol.ledger.blocks import Evict, Membership, read_block
from ...protocol.ledger.state import Gone, LedgerState
from ..errors import Exit, PeerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...protocol.node import Node
    from ...protocol.records import BlockDecided
    from ..driving.driver import Driver
    from ..home.folder import Home
    from .run_end import RunEnd

REFRESH_SECONDS: Final = 1.0
GOODBYE_SECONDS: Final = 5.0


def check_not_gone(
    state: LedgerState, me: bytes, blocks: "Sequence[BlockDecided]", home: "Home", departed: bytes | None = None
) -> bool:
    """Refuse to start a peer that left or was removed, so that a mere restart does not let it in again.

    Args:
        state: the state of the ledger.
        me: this peer.
        blocks: the blocks of the ledger, from height 1 on.
        home: the home of this peer.
        departed: what is stored as DEPARTED.

    Returns:
        Whether this peer left, but still belongs to a round that is not over.

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
    elif state.committee.index(me) is not None and departed != b"%d" % gone.height:
        return True
    else:
        text = "left its federation"
    text += f" (height {gone.height}); {way_back(state, me, home)}"
    raise PeerError(f"{home.folder}: this peer {text}", Exit.REMOVED)


def way_back(state: LedgerState, me: bytes, home: "Home") -> str:
    """Say how a peer that left or was removed can become a member again."""
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


async def withdraw(node: "Node | None", driver: "Driver | None", ending: "RunEnd") -> None:
    """Take back the request to be admitted, before this peer stops without being a member.

    Otherwise the others would admit it once they can: a member that does not run, and counts for the quorum all the
    same.
    """
    if node is None or driver is None or not driver.is_running:
        return
    if not node.may_be_admitted or ending.withdrawn.is_set():
        return
    driver.withdraw()
    with trio.move_on_after(GOODBYE_SECONDS):
        await ending.withdrawn.wait()


def remains(node: "Node") -> str:
    """Say what may become of a request to be admitted that could not be taken back; empty if there is none."""
    if not node.may_be_admitted:
        return ""
    return (
        "; no member could be told that this peer gives up. Members that have its request may still admit it,"
        " and would then count a member that does not run"
    )
