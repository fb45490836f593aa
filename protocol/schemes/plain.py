"""Plain federated averaging under the same agreement: the baseline that the field compares with.

A dealer only commits to its vector. After the contributors are decided, each sends its vector, in the clear,
to the aggregator: one copy, as plain averaging does. There is no privacy, and no slack either: if a
contributor vanishes before its vector arrives the round is void.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...crypto.field import P
from ...crypto.identity import Identity
from ..committee import Committee
from ..evidence import Judgement, Point
from .base import NO_BOX, CheckedShare, Choice, Dealing, Opened, Terms


@dataclass(frozen=True, slots=True)
class PlainScheme:
    """Sums vectors that the aggregator sees."""

    committee: Committee
    name: str = "plain"

    def deal(self, terms: Terms, identity: Identity, vector: bytes, seed: bytes) -> "CommitVector":
        """Return the job that commits to the vector."""
        return CommitVector(terms, self.committee.n, vector)

    def blob_bytes(self, terms: Terms, dealer: int, holder: int) -> int:
        """Return 0: nothing is sent before the contributors are decided."""
        return 0

    def fingerprint_bytes(self) -> int:
        """Return 0: the root is the digest of the whole vector."""
        return 0

    def check(
        self, terms: Terms, identity: Identity, dealer: int, root: bytes, fingerprints: bytes, blob: bytes
    ) -> "NothingToCheck":
        """Return a job that accepts: the commitment is the message itself."""
        return NothingToCheck(terms, dealer)

    def recheck(
        self, terms: Terms, dealer: int, holder: int, root: bytes, fingerprints: bytes, share: bytes
    ) -> "NothingToCheck":
        """Return a job that finds every complaint unfounded: there are no shares."""
        return NothingToCheck(terms, dealer)

    def senders(self, choice: Choice) -> tuple[int, ...]:
        """Return U: every contributor sends its own vector."""
        return tuple(index for index, _ in choice.dealers)

    def minimum(self, choice: Choice) -> int:
        """Return |U|: all are needed."""
        return len(choice.dealers)

    def own_row(
        self, terms: Terms, choice: Choice, own_vector: bytes | None, held: Mapping[int, bytes]
    ) -> tuple[bytes, ...]:
        """Return one's own vector."""
        return () if own_vector is None else (own_vector,)

    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> "AddVectors":
        """Return the job that adds them up."""
        return AddVectors(terms, choice.dealers, tuple(sorted(rows.items())))

    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        """Return the sum of all contributors' fingerprints; None while one is missing."""
        wanted = self.senders(choice)
        if not all(index in points for index in wanted):
            return None
        first, second = (sum(points[index][which] for index in wanted) % P for which in (0, 1))
        return Judgement((first, second), ())


@dataclass(frozen=True, slots=True)
class CommitVector:
    """Commit to the vector by its digest."""

    terms: Terms
    members: int
    vector: bytes = field(repr=False)
    label: str = "committing"

    def run(self) -> Dealing:
        """Return a dealing without shares."""
        root = hashlib.sha256(self.vector).digest()
        return Dealing(self.terms.round, root, b"", (b"",) * self.members, (NO_BOX,) * self.members, b"")


@dataclass(frozen=True, slots=True)
class NothingToCheck:
    """Accepts."""

    terms: Terms
    dealer: int
    label: str = "accepting"

    def run(self) -> CheckedShare:
        """Return an empty share."""
        return CheckedShare(values=b"")


@dataclass(frozen=True, slots=True)
class AddVectors:
    """Add the contributors' vectors, each checked against its commitment."""

    terms: Terms
    dealers: tuple[tuple[int, bytes], ...]
    rows: tuple[tuple[int, bytes], ...] = field(repr=False)
    label: str = "adding up"

    def run(self) -> Opened | None:
        """Return the sum, or None where a vector is missing, malformed or not the committed one."""
        from ...crypto.field import from_bytes
        from ...crypto.vectors import add_into

        rows = dict(self.rows)
        total = None
        for index, root in self.dealers:
            data = rows.get(index, b"")
            if hashlib.sha256(data).digest() != root:
                return None
            try:
                vector = from_bytes(data, self.terms.layout.columns)
            except ValueError:
                return None
            if total is None:
                total = vector
            else:
                add_into(total, vector)
        assert total is not None
        summed = total.tobytes()
        return Opened(summed, hashlib.sha256(summed).digest(), ())
