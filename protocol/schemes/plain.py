"""Plain federated averaging under the same agreement: the baseline that the field compares with.

A dealer only commits to its vector by a hash. After the contributors are decided, each sends its vector in the clear to
the aggregator, as plain averaging does. There is no privacy, and no slack either: if a contributor vanishes before its
vector arrives, the round is void.

The fingerprints of whole vectors add up, and lie on no polynomial. So an aggregator that contributes can claim a
fingerprint of its own that makes any W fit, and nobody can tell (docs/protocol.md, "Plain").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ...crypto.field import P
from ...crypto.identity.identity import Identity
from ..jobs import HASH_NS
from ..ledger.evidence import Judgement, Point
from ..messages.encoding import digest_of
from ..messages.kinds import NO_BOX, NO_KEY, Complaint, Deal, dealing_id
from .base import CheckedShare, CheckJob, Choice, Dealing, DealJob, JudgeJob, Opened, OpenJob, Scheme, Terms

ACCEPT_NS: Final = 7.0
"""What the simulator charges for checking, hashing and adding one element of an update."""


@dataclass(frozen=True, slots=True)
class PlainScheme(Scheme):
    """Sums vectors that the aggregator sees in the clear."""

    def deal(self, terms: Terms, identity: Identity, vector: bytes, seed: bytes, seeded: tuple[int, ...]) -> DealJob:
        """Return the job that commits to the vector."""
        return CommitVector(terms, self.committee.n, vector)

    def wrong_deal(self, terms: Terms, dealer: int, deal: Deal) -> str | None:
        """Say so if the dealing is not just a commitment to a vector; None if it is."""
        is_bare = deal == bare_deal(terms, deal.root, self.committee.n)
        return None if is_bare else "dealt a commitment of the wrong form"

    def blob_bytes(self, terms: Terms, dealer: int, holder: int, deal: Deal) -> int:
        """Return 0: nothing is sent before the contributors are decided."""
        return 0

    def check(self, terms: Terms, identity: Identity, dealer: int, deal: Deal, blob: bytes) -> CheckJob:
        """Return a job that accepts: the message is the commitment, and there is nothing else to check."""
        return NothingToCheck(terms, dealer)

    def judge_complaint(
        self, terms: Terms, dealer: int, holder: int, deal: Deal, complaint: Complaint, blob: bytes
    ) -> JudgeJob:
        """Return a job that finds every complaint unfounded: there are no shares."""
        return NothingToJudge(terms, dealer, holder)

    def senders(self, choice: Choice) -> tuple[int, ...]:
        """Return U: every contributor owes its own vector."""
        return tuple(index for index, _ in choice.dealers)

    def may_send(self, choice: Choice, index: int) -> bool:
        """Whether the member is a contributor."""
        return index in self.senders(choice)

    def minimum(self, choice: Choice) -> int:
        """Return |U|: the vectors of all contributors are needed."""
        return len(choice.dealers)

    def own_row(
        self, terms: Terms, choice: Choice, own_vector: bytes | None, held: Mapping[int, bytes]
    ) -> tuple[bytes, ...]:
        """Return this member's own vector; nothing if it does not contribute."""
        return () if own_vector is None else (own_vector,)

    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> OpenJob:
        """Return the job that adds the vectors up."""
        return AddVectors(terms, self.committee.n, choice.dealers, tuple(sorted(rows.items())))

    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        """Return the sum of all contributors' fingerprints; None while one is missing."""
        wanted = self.senders(choice)
        if not all(index in points for index in wanted):
            return None
        first, second = (sum(points[index][which] for index in wanted) % P for which in (0, 1))
        return Judgement((first, second), ())


def bare_deal(terms: Terms, root: bytes, members: int) -> Deal:
    """Return the dealing that commits to the vector with this digest, and does nothing else."""
    return Deal(terms.round, terms.base_hash, root, b"", NO_KEY, (), (NO_BOX,) * members)


@dataclass(frozen=True, slots=True)
class CommitVector(DealJob):
    """Commit to the vector by its digest."""

    terms: Terms
    members: int
    vector: bytes = field(repr=False)
    label: str = "committing"

    def run(self) -> Dealing:
        """Return a dealing without shares."""
        root = digest_of(self.vector)
        return Dealing(bare_deal(self.terms, root, self.members), (b"",) * self.members, b"")

    def cost_ms(self, columns: int) -> float:
        """Return the time of hashing."""
        return 0.05 + 1e-6 * HASH_NS * columns


@dataclass(frozen=True, slots=True)
class NothingToCheck(CheckJob):
    """Accept a dealing."""

    terms: Terms
    dealer: int
    label: str = "accepting"

    def run(self) -> CheckedShare:
        """Return an empty share."""
        return CheckedShare(values=b"")

    def cost_ms(self, columns: int) -> float:
        """Return next to nothing."""
        return 0.01


@dataclass(frozen=True, slots=True)
class NothingToJudge(JudgeJob):
    """Find a complaint unfounded."""

    terms: Terms
    dealer: int
    holder: int
    label: str = "judging a complaint"

    def run(self) -> CheckedShare:
        """Return a share with nothing wrong."""
        return CheckedShare(values=b"")

    def cost_ms(self, columns: int) -> float:
        """Return next to nothing."""
        return 0.01


@dataclass(frozen=True, slots=True)
class AddVectors(OpenJob):
    """Add the contributors' vectors, each checked against its commitment."""

    terms: Terms
    members: int
    dealers: tuple[tuple[int, bytes], ...]
    rows: tuple[tuple[int, bytes], ...] = field(repr=False)
    label: str = "adding up"

    def run(self) -> Opened | None:
        """Return the sum; None if a vector is missing, malformed or not the committed one."""
        from ...crypto.field import from_bytes
        from ...crypto.vectors import add_into

        rows, terms = dict(self.rows), self.terms
        total = None
        for index, dealing in self.dealers:
            data = rows.get(index, b"")
            # The dealing's id covers the commitment, so equal ids mean the committed vector.
            deal = bare_deal(terms, digest_of(data), self.members)
            if dealing_id(terms.federation, terms.members[index], deal) != dealing:
                return None
            try:
                vector = from_bytes(data, terms.layout.columns)
            except ValueError:
                return None
            if total is None:
                total = vector
            else:
                add_into(total, vector)
        assert total is not None
        summed = total.tobytes()
        return Opened(summed, digest_of(summed), ())

    def cost_ms(self, columns: int) -> float:
        """Return the time of adding so many vectors."""
        return 0.05 + 1e-6 * columns * ACCEPT_NS * len(self.rows)
