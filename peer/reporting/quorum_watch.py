"""Why nothing can be decided just now, in words: too few members can be reached, or this one may not vote."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from ...protocol.events import Notice
from ...protocol.ledger.phases import Phase
from ...protocol.ledger.state import LedgerState
from ...protocol.limits import MIN_TRAINING_MEMBERS
from ...protocol.vote_guard import VoteGuard
from ..home.folder import Home
from ..member_names import in_words, told_names

_MAX_NAMED: Final = 3
"""How many newcomers are named: they choose their names themselves, and there may be many."""


def named(state: LedgerState, keys: Iterable[bytes], gone: Mapping[bytes, str]) -> str:
    """Return the names of members, and of those that left, in a list. ``gone``: the names of those that left."""
    told = told_names(state, gone)
    names = {key: in_words(told.get(key, key.hex()[:16])) for key in keys}
    return ", ".join(name + ("" if state.member(key) is not None else " (left)") for key, name in names.items())


def pause(state: LedgerState, home: Home) -> str | None:
    """Say that training waits for members up to ``--min-peers``, and what to do; None if it does not."""
    members, least = len(state.members), state.options.min_peers
    if state.phase is not Phase.WAITING or members >= least:
        return None
    ways = {"invite": f"invite one: peer invite {home.option}", "roster": "one on the roster can join"}
    way = ways.get(state.genesis.admit, "anybody can join with the address of a member")
    text = (
        f"training waits: {members} member(s) are below --min-peers {least}; {least - members} more must join ({way})"
    )
    if members < MIN_TRAINING_MEMBERS:
        return text
    return (
        f"{text}. To go on with {members}: peer stop {home.option}, then peer refound {home.option} --to DIR"
        f" --min-peers {members}"
    )


def shortage(
    state: LedgerState,
    me: bytes,
    connected: Collection[bytes],
    home: Home,
    gone: Mapping[bytes, str] = MappingProxyType({}),
    sought: Mapping[bytes, Sequence[str]] = MappingProxyType({}),
) -> str | None:
    """Say that too few members can be reached to decide anything, which are missing, and what to do; otherwise None.

    Also None if this peer has no part in what is decided, and once there is nothing left to decide.

    Args:
        state: the state of the ledger.
        me: this peer.
        connected: the peers that it has a link to.
        home: its home, for the commands that the user is told to type.
        gone: the names of those that were members.
        sought: the addresses at which this peer looks for the others.
    """
    away = _lacking(state, me, connected)
    if not away:
        return None
    options, committee = state.options, state.committee
    reached = committee.n - len(away)
    training = "the training" if options.stopping else f"the {options.rounds} rounds"
    ended = (
        f"If they have finished {training} and stopped, ask one of them to run"
        " `peer start --stay --home …`, so that this peer can catch up. "
        if options.rounds or options.stopping
        else ""
    )
    return (
        f"nothing can be decided: {committee.quorum} votes are needed, and {reached} of {committee.n} members can be"
        f" reached; waiting for {named(state, away, gone)}{_where(away, sought)}. If they have new addresses:"
        f" peer stop {home.option}, then peer start {home.option} --bootstrap HOST:PORT of one of them. {ended}If too"
        f" many of them are lost for good: peer stop {home.option}, then peer refound {home.option} --to DIR"
    )


def kept_out(
    state: LedgerState,
    me: bytes,
    connected: Collection[bytes],
    asking: Sequence[str],
    gone: Mapping[bytes, str] = MappingProxyType({}),
) -> str | None:
    """Say that newcomers cannot be admitted, which members that takes, and what to do; None if none is kept out.

    ``asking``: the names of the newcomers with a valid request.
    """
    away = _lacking(state, me, connected)
    if not away or not asking:
        return None
    names = ", ".join(map(in_words, sorted(asking)[:_MAX_NAMED]))
    if len(asking) > _MAX_NAMED:
        names += f" and {len(asking) - _MAX_NAMED} more"
    wait = "waits" if len(asking) == 1 else "wait"
    return (
        f"no newcomer can be admitted ({names} {wait}): {state.committee.quorum} votes are needed, and"
        f" {named(state, away, gone)} cannot be reached. Start it again there: peer start --home …"
    )


class Lack(Enum):
    """What a newcomer still lacks to be admitted."""

    LEDGER = auto()
    """It does not know the members yet."""
    VOTES = auto()
    """It reaches fewer members than have to vote."""
    DECISION = auto()
    """It reaches enough members, and they have not decided yet."""


@dataclass(frozen=True, slots=True)
class Joining:
    """Why a newcomer is not admitted yet."""

    lack: Lack
    text: str


def joining(
    state: LedgerState,
    me: bytes,
    connected: Collection[bytes],
    gone: Mapping[bytes, str] = MappingProxyType({}),
) -> Joining | None:
    """Say why this newcomer is not admitted yet, which members that takes, and what to do; None for a member."""
    if state.member(me) is not None:
        return None
    if state.height == 0:
        links = f"{len(connected)} peer(s) are linked" if connected else "no peer is linked"
        text = f"not admitted yet: the ledger, which says who the members are, is not known here yet ({links})"
        return Joining(Lack.LEDGER, text)
    committee, away = state.committee, unreached(state, connected)
    if committee.n - len(away) < committee.quorum:
        it = "it again there" if len(away) == 1 else "them again there"
        return Joining(
            Lack.VOTES,
            f"not admitted yet: {committee.quorum} vote(s) are needed, and {named(state, away, gone)} cannot be reached"
            f" by this peer; start {it}: peer start --home …",
        )
    return Joining(
        Lack.DECISION,
        f"not admitted yet: this peer reaches {committee.n - len(away)} of {committee.n} member(s), and"
        f" {committee.quorum} vote(s) are needed; they decide on it, but not while the sum of a round is open",
    )


def unreached(state: LedgerState, connected: Collection[bytes]) -> list[bytes]:
    """Return the members of the committee that this newcomer has no link to."""
    return [member for member in state.committee.members if member not in connected]


def _lacking(state: LedgerState, me: bytes, connected: Collection[bytes]) -> list[bytes]:
    """Return the members that cannot be reached, if the others are too few to decide; otherwise an empty list.

    It is also empty if this peer has no part in what is decided, and once there is nothing left to decide.
    """
    committee = state.committee
    away = [member for member in committee.members if member != me and member not in connected]
    has_part = committee.index(me) is not None and state.member(me) is not None
    if not has_part or state.phase is Phase.FINISHED or committee.n - len(away) >= committee.quorum:
        return []
    return away


def _where(away: Sequence[bytes], sought: Mapping[bytes, Sequence[str]]) -> str:
    """Say at which addresses members are looked for. If these are wrong, those members need ``--announce``."""
    places = [place for key in away for place in sought.get(key, ())]
    return f" (sought at {', '.join(places)})" if places else ""


def abstention(guard: VoteGuard, height: int, *, is_finished: bool = False) -> str | None:
    """Say why this peer casts no votes at ``height``; None if it does, or if there is nothing left to decide."""
    if is_finished:
        return None
    if guard.resuming:
        if guard.copied:
            return (
                "this peer casts no votes until every other member has said which of its votes it saw, or the others"
                " have decided two more blocks (its home was moved or copied, or is an old backup)"
            )
        return (
            "this peer casts no votes until the other members have said which of its votes they saw (it was started"
            " again)"
        )
    if height <= guard.abstain_through:
        return (
            f"this home casts no votes up to height {guard.abstain_through}: it is an older copy. The"
            " others have seen votes of this peer that are not recorded here"
        )
    return None


@dataclass(slots=True)
class Held:
    """Holds a notice of a trouble back for ``patience_seconds``: the trouble may be over in a moment."""

    patience_seconds: float
    _notice: Notice | None = None
    _since: float = 0.0

    def hold(self, notice: Notice, now: float) -> None:
        """Hold a notice, in place of an earlier one. ``now``: seconds of a clock that never goes back."""
        self._notice, self._since = notice, now

    def look(self, stands: bool, now: float) -> Notice | None:
        """Return the notice when it is to be told, once. If the trouble does not stand any more, forget it."""
        notice = self._notice
        if not stands:
            self._notice = None
            return None
        if notice is None or now - self._since < self.patience_seconds:
            return None
        self._notice = None
        return notice


@dataclass(slots=True)
class Watch:
    """Tells of a trouble once, when it has lasted for ``patience_seconds``, and then of its end."""

    patience_seconds: float
    end: str = "enough members can be reached again"
    _since: float | None = None
    _told: bool = False

    @property
    def is_told(self) -> bool:
        """Whether the trouble lasts and was told."""
        return self._told

    def look(self, trouble: str | None, now: float) -> str | None:
        """Return what is to be told now, if anything. ``now``: seconds of a clock that never goes back."""
        if trouble is None:
            was_told, self._since, self._told = self._told, None, False
            return self.end if was_told else None
        if self._since is None:
            self._since = now
        if self._told or now - self._since < self.patience_seconds:
            return None
        self._told = True
        return trouble
