"""The numbers that follow from the members of a round: f, the quorum q, the threshold K, and the proposers' order."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ..limits import MIN_TRAINING_MEMBERS, PROTOCOL_VERSION
from .privacy import PROMISES


@dataclass(frozen=True)
class Committee:
    """The members of a round, fixed when it begins (docs/protocol.md, "A round"), in ascending order of their keys.

    ``configured`` is the threshold in the genesis, 0 for the default.
    """

    members: tuple[bytes, ...]
    configured: int = 0

    @cached_property
    def n(self) -> int:
        """Number of members."""
        return len(self.members)

    @cached_property
    def f(self) -> int:
        """Members that may lie, stall or vanish without harm to agreement."""
        return (self.n - 1) // 3

    @cached_property
    def quorum(self) -> int:
        """Votes that decide; any two quorums share an honest member.

        Called 2f+1 in Algorithm 1, where n = 3f+1.
        """
        return 2 * self.n // 3 + 1

    @cached_property
    def threshold(self) -> int:
        """K: shares that open a sum; K-1 colluding holders learn nothing beyond it (docs/protocol.md).

        Always more than f: the members that agreement expects to lie must not be able to open anything.
        """
        return self._bounded(self.configured or self._default)

    @cached_property
    def default_threshold(self) -> int:
        """K if none were configured."""
        return self._bounded(self._default)

    @property
    def _default(self) -> int:
        return 2 if self.n == MIN_TRAINING_MEMBERS else self.n - 2 * self.f

    def _bounded(self, wanted: int) -> int:
        return max(2, self.f + 1, min(wanted, self.n - self.f, self.n - 1))

    @cached_property
    def sum_quorum(self) -> int:
        """K + f: holders that must agree to pin down a sum, since then at least K of them are honest."""
        return self.threshold + self.f

    @cached_property
    def min_contributors(self) -> int:
        """Safety rule 2: with K+1 updates in it, K-1 colluders face a sum of at least two honest ones."""
        return self.threshold + 1

    @cached_property
    def _index(self) -> dict[bytes, int]:
        return {member: index for index, member in enumerate(self.members)}

    def index(self, member: bytes) -> int | None:
        """Return the member's place, which fixes the point of its shares (place + 1); None for an outsider."""
        return self._index.get(member)

    def order(self, beacon: bytes) -> tuple[bytes, ...]:
        """Return the order of the proposers: a shuffle that follows from the last beacon."""
        return _order(self.members, beacon)

    def explain(self, scheme: str) -> str:
        """Say in one sentence for users what the numbers mean for these members under a scheme."""
        if self.n < MIN_TRAINING_MEMBERS:
            return f"{self.n} member(s): training starts with {MIN_TRAINING_MEMBERS}"
        slack = self.n - max(self.quorum, self.sum_quorum, self.min_contributors)
        liars = f"{self.f or 'none'} may lie or stall"
        if self.sum_quorum > self.n - self.f:  # a sum then needs the shares of liars, too
            liars = f"{self.f} may lie or stall, and can make each round end without a result"
        return (
            f"{self.n} members: {PROMISES[scheme].told(self.threshold)}; "
            f"{liars}; {slack or 'none'} may be absent in a round; "
            f"{self.quorum} votes decide"
        )


@lru_cache(maxsize=64)
def _order(members: tuple[bytes, ...], beacon: bytes) -> tuple[bytes, ...]:
    """Return the proposers' order. Cached: it holds for a whole round, and every proposal, view and sum needs it."""
    domain = b"coterie/order/%d\x00" % PROTOCOL_VERSION
    return tuple(sorted(members, key=lambda member: hashlib.sha256(domain + beacon + member).digest()))
