"""The members that a round waits for: told once if the round waits long, and in `peer status` as long as it waits."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ...protocol.ledger.phases import Phase
from ...protocol.node import Node
from .quorum_watch import named

PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Wait:
    """What a round waits for, and the members that it waits for."""

    round: int
    what: str
    members: tuple[bytes, ...]


def awaited_in_round(node: Node) -> Wait | None:
    """Return what the round waits for: updates, or acks once all updates are dealt; None if it waits for no member.

    As long as this member itself still trains, the round waits for it, and this says nothing of others. Members that
    are away are waited for only if a sum is repeated, which takes all of its contributors.
    """
    state, sharing, ctx = node.state, node.ctx.sharing, node.ctx
    if sharing is None or sharing.me is None or state.phase is not Phase.SHARING or sharing.decided is not None:
        return None
    done = sharing.deals.keys() | sharing.sat_out.keys() | sharing.excluded
    if sharing.me not in done:
        return None
    required = state.required or ()
    members = sharing.committee.members
    here = [place for place, key in enumerate(members) if key != ctx.me and (key in ctx.alive or key in required)]
    late = tuple(members[place] for place in here if place not in done)
    if late:
        return Wait(sharing.round, "the update", late)
    dealers = sharing.deals.keys() - sharing.excluded
    silent = tuple(members[place] for place in here if dealers - sharing.acks.of(place).keys())
    return Wait(sharing.round, "the ack", silent) if silent else None


@dataclass(slots=True)
class Waiting:
    """How long the current round has waited. ``now``: seconds of a clock that never goes back."""

    patience_seconds: float = PATIENCE_SECONDS
    wait: Wait | None = None
    _since: float = 0.0
    _told: int = -1
    """The last round whose wait was told."""

    def look(self, wait: Wait | None, now: float) -> bool:
        """Take what the round waits for now; return whether to tell it: once a round, after ``patience_seconds``."""
        if wait is not None and (self.wait is None or self.wait.round != wait.round):
            self._since = now
        self.wait = wait
        if wait is None or wait.round == self._told or now - self._since < self.patience_seconds:
            return False
        self._told = wait.round
        return True

    def of(self, round: int) -> Wait | None:
        """Return what this round waits for; None if what was seen last is of another round, which is over."""
        return self.wait if self.wait is not None and self.wait.round == round else None

    def seconds(self, now: float) -> float:
        """Return how long the round has waited; 0 if it does not wait."""
        return 0.0 if self.wait is None else now - self._since

    def text(self, node: Node, now: float, gone: Mapping[bytes, str] = MappingProxyType({})) -> str | None:
        """Say which members the round waits for, and since when; None if it does not wait."""
        wait = self.wait
        if wait is None:
            return None
        names = named(node.state, wait.members, gone)
        return f"round {wait.round} waits for {wait.what} of {names} (since {self.seconds(now):.0f} s)"
