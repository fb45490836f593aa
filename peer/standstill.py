"""Why agreement cannot go on just now, for people: too few members can be reached, or this one may not vote."""

from collections.abc import Collection
from dataclasses import dataclass

from ..protocol.ledger import LedgerState, Phase
from ..protocol.safety import VoteGuard
from .home import Home


def shortage(state: LedgerState, me: bytes, connected: Collection[bytes], home: Home) -> str | None:
    """Say how many members decide, how many can be reached and who cannot; None where these are enough.

    Also None for who has no part in what is decided, and once there is nothing left to decide.
    """
    committee = state.committee
    away = [member for member in committee.members if member != me and member not in connected]
    reached = committee.n - len(away)
    if committee.index(me) is None or state.phase is Phase.FINISHED or reached >= committee.quorum:
        return None
    known = [state.member(member) for member in away]
    names = ", ".join(one.name if one is not None else key.hex()[:16] for one, key in zip(known, away, strict=True))
    ended = (
        f"If they have finished the {state.genesis.rounds} rounds and stopped, ask one of them to run"
        " `peer start --stay --home …`, so that this peer can catch up. "
        if state.genesis.rounds
        else ""
    )
    return (
        f"nothing can be decided: {committee.quorum} votes are needed, and {reached} of {committee.n} members can be"
        f" reached; waiting for {names}. {ended}If too many of them are lost for good: peer stop {home.option}, then"
        f" peer refound {home.option} --to DIR"
    )


def abstention(guard: VoteGuard, height: int) -> str | None:
    """Say why this peer casts no votes at ``height``; None if it does."""
    if guard.resuming:
        if guard.copied:
            return (
                "this peer casts no votes before every other member told what it saw of it, or the others have decided"
                " two more blocks (its home was moved or copied, or is an old backup)"
            )
        return "this peer casts no votes before the other members told what they saw of it (it was started again)"
    if height <= guard.abstain_through:
        return (
            f"this home casts no votes up to height {guard.abstain_through}: it is an older copy of itself, and the"
            " others saw votes of it that it does not know"
        )
    return None


@dataclass(slots=True)
class Watch:
    """Tells of a shortage once, when it has lasted for ``patience_seconds``, and of its end."""

    patience_seconds: float
    _since: float | None = None
    _told: bool = False

    def look(self, trouble: str | None, now: float) -> str | None:
        """Return what is to be told now. ``now``: seconds of a clock that never goes back."""
        if trouble is None:
            was_told, self._since, self._told = self._told, None, False
            return "enough members can be reached again" if was_told else None
        if self._since is None:
            self._since = now
        if self._told or now - self._since < self.patience_seconds:
            return None
        self._told = True
        return trouble
