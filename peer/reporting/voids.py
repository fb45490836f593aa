"""Rounds without a result: how many in a row, why, which members they missed, and what these members said."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ...crypto.identity.identity import peer_id
from ...protocol.ledger.blocks import Model, Void, read_block
from ...protocol.ledger.state import LedgerState
from ...protocol.records import BlockDecided
from .quorum_watch import named

__all__ = ["VoidRounds", "newest_voids", "why_void"]

_WANT: Final = MappingProxyType(
    {
        "shares": "too few updates could be summed",
        "sum": "the sum could not be opened",
        "encoding": "the sum held numbers that no honest member can contribute",
    }
)


@dataclass(slots=True)
class VoidRounds:
    """The newest rounds without a result, which follow each other directly."""

    first: int = 0
    last: int = -1
    reason: str = ""
    missed: Counter[bytes] = field(default_factory=Counter)
    said: dict[bytes, str] = field(default_factory=dict)
    """Why members sat out, in their own words; only a running peer has heard them."""

    def add(self, round: int, reason: str, missed: Iterable[bytes]) -> None:
        """Take a round that ended without a result."""
        if round != self.last + 1 or self.last < 0:
            self.first = round
            self.missed.clear()
            self.said.clear()
        self.last, self.reason = round, reason
        self.missed.update(missed)

    def facts(self, state: LedgerState) -> dict[str, Any] | None:
        """Return these rounds as facts for scripts; None if the round before the current one had a result."""
        if not self._are_newest(state):
            return None
        return {
            "first": self.first,
            "last": self.last,
            "rounds": self.last - self.first + 1,
            "reason": self.reason,
            "missed": {peer_id(member): count for member, count in self.missed.items()},
            "said": {peer_id(member): text for member, text in self.said.items()},
        }

    def text(self, state: LedgerState, gone: Mapping[bytes, str] = MappingProxyType({})) -> str | None:
        """Return these rounds in words; None if the round before the current one had a result."""
        if not self._are_newest(state):
            return None
        count = self.last - self.first + 1
        rounds = f"the last {count} rounds ({self.first} to {self.last})" if count > 1 else f"round {self.last}"
        text = f"{rounds} had no result, because {why_void(self.reason)}"
        members = [
            f"{named(state, (member,), gone)} ({times}×{self._words(member)})"
            for member, times in self.missed.most_common()
        ]
        return f"{text}; missed: {', '.join(members)}" if members else text

    def _words(self, member: bytes) -> str:
        return f", and said: {self.said[member]}" if member in self.said else ""

    def _are_newest(self, state: LedgerState) -> bool:
        return self.last >= 0 and state.round == self.last + 1


def why_void(reason: str) -> str:
    """Say why a round has no result. ``reason``: the one in its block."""
    return _WANT.get(reason, reason)


def newest_voids(blocks: Sequence[BlockDecided]) -> VoidRounds:
    """Return the void rounds at the end of a ledger."""
    found: list[Void] = []
    for one in reversed(blocks):
        body = read_block(one.block).body
        if isinstance(body, Model):
            break
        if isinstance(body, Void):
            found.append(body)
    voids = VoidRounds()
    for void in reversed(found):
        voids.add(void.round, void.reason, void.names)
    return voids
