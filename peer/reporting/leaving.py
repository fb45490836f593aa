"""Why a member that left, or asked to leave, does not stop yet: the texts for its user.

A member that leaves still belongs to the round in which its leave is decided. It contributes nothing, but it has a vote
until the round ends, and it may hold shares. If the others are too few without it, they can never close the round once
it is gone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from ...protocol.ledger.phases import Phase
from ...protocol.ledger.state import LedgerState
from ..member_names import in_words
from .quorum_watch import named

if TYPE_CHECKING:
    from ..home.folder import Home


@dataclass(frozen=True, slots=True)
class Stay:
    """Why a member that left does not stop yet."""

    text: str
    is_hopeless: bool
    """Too few members can be reached to decide anything, with or without the one that left."""


def still_needed(
    state: LedgerState,
    me: bytes,
    connected: Collection[bytes],
    home: "Home",
    gone: Mapping[bytes, str] = MappingProxyType({}),
) -> Stay | None:
    """Say why a member that left has to stay; None once the others can go on without it.

    Other members that left do not count among these. Otherwise each of two leavers would go because the other is still
    there.

    Args:
        state: the state of the ledger.
        me: the member that left.
        connected: the members that it has a link to.
        home: its home, for the command that it is told to type.
        gone: the names of those that were members.
    """
    committee, round_ = state.committee, state.round
    if state.member(me) is not None or committee.index(me) is None:
        return None
    there = {key for key in committee.members if key != me and key in connected}
    staying = {key for key in there if state.member(key) is not None}
    holders = set(committee.members)
    if state.phase is Phase.SUMMING and state.contributors is not None:
        holders = {committee.members[index] for index in state.contributors.holders}
    if len(staying) >= committee.quorum and len(staying & holders) >= committee.sum_quorum:
        return None
    ends = f"Ctrl-C or peer stop {home.option} ends it now"
    if len(there) + 1 < committee.quorum:
        # Even with the vote of this peer there are too few.
        away = [key for key in committee.members if key != me and key not in there]
        text = (
            f"left; round {round_} cannot be decided while {named(state, away, gone)} cannot be reached. This peer"
            f" waits for them a little longer, since the others may need it to decide the round, and then stops; {ends}"
        )
        return Stay(text, is_hopeless=True)
    what = "share and its vote" if state.phase is Phase.SUMMING and me in holders else "vote"
    text = f"left; stays until round {round_} is decided, because the others need its {what}, and stops then; {ends}"
    return Stay(f"{text}, but the others may be unable to go on", is_hopeless=False)


def awaited(
    state: LedgerState,
    me: bytes,
    connected: Collection[bytes],
    gone: Mapping[bytes, str] = MappingProxyType({}),
) -> str:
    """Say what a member that has asked to leave waits for."""
    committee = state.committee
    away = [key for key in committee.members if key != me and key not in connected]
    missing = committee.quorum - (committee.n - len(away))
    if missing > 0:
        return (
            f"waiting for {missing} vote(s): {committee.quorum} are needed, and {named(state, away, gone)} cannot be"
            " reached. The leave happens when enough members are back, also if you stop waiting"
        )
    if state.phase is Phase.SUMMING:
        text = f"waiting for the end of round {state.round}: nobody leaves while its sum is open. The leave happens"
        return f"{text} then, also if you stop waiting"
    return "waiting for the votes of the others. The leave happens when they agree, also if you stop waiting"


def departure(state: LedgerState, me: bytes) -> str | None:
    """Say since which height this peer is no member any more, and how to come back; None if it never left."""
    gone = state.gone.get(me)
    if gone is None or state.member(me) is not None:
        return None
    text = f"this peer left the federation, or was removed, at height {gone.height}"
    return text if gone.barred else f"{text}; peer start says how to come back"


def names_told(text: str, keys: Sequence[bytes], gone: Mapping[bytes, str]) -> str:
    """Replace the keys of members that left by their names in a notice: a node knows only the names of members."""
    for key in keys:
        if key in gone:
            text = text.replace(key.hex()[:16], f"{in_words(gone[key])} (left)")
    return text
