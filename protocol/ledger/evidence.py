"""Proofs that a member lied, which anybody can check from signed messages alone.

Evidence convicts its author only: it is a set of signed statements that an honest member cannot have made, whatever
others sent to it (safety rule 11).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ...crypto.field import P
from ..messages.envelope import Verified
from ..messages.kinds import NO_BOX, NO_KEY, Ack, Deal, Precommit, Prevote, SumShare
from .committee import Committee

Contradiction = Literal["double-vote", "double-deal", "double-ack", "false-vector"]

CONTRADICTIONS: Final[dict[Contradiction, str]] = {
    "double-vote": "signed two different votes for one place",
    "double-deal": "signed two different dealings of one round",
    "double-ack": "signed two acks that name different dealings of one dealer",
    "false-vector": "sent another vector than the one that it had dealt",
}
"""What the member did, in the words that users read."""

Point = tuple[int, int]
"""A fingerprint: two field elements, one for each challenge vector."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on the fingerprints of prevotes: the secrets that they prove, and the holders that lied."""

    secret: Point
    liars: tuple[int, ...]
    polynomials: tuple[tuple[int, ...], ...] = ()
    """The coefficients of both polynomials, constant term first; none if a single fingerprint cannot be judged."""

    def fits(self, index: int, point: Point) -> bool:
        """Whether the fingerprint of a further holder lies on the polynomials, so that it speaks against nobody."""
        return all(_value(one, index + 1) == y for one, y in zip(self.polynomials, point, strict=False))


def _value(polynomial: Sequence[int], x: int) -> int:
    """Return the value of a polynomial over F_p at ``x``, by Horner's rule."""
    value = 0
    for coefficient in reversed(polynomial):
        value = (value * x + coefficient) % P
    return value


def contradiction(evidence: Sequence[Verified]) -> tuple[bytes, Contradiction] | None:
    """Return the member that signed two statements of which an honest member signs only one, and their kind.

    None if ``evidence`` is no such pair. The kinds are:

    * Two votes for one (height, view, kind) and different blocks. Two prevotes for the same block that differ in z are
      no contradiction about the decision.
    * Two different dealings of one round. A dealer makes its dealing durable before it deals, and makes the very same
      dealing again after a restart.
    * Two acks of one round that name different dealings of one dealer. A holder makes the dealing durable whose share
      it holds before it acks, and holds one dealing of each dealer.
    * A dealing that only commits to a vector, as a plain one does, and the digest of another vector sent for it.

    Everything that is compared is signed by the accused, so it makes no difference what others sent to it.
    """
    if len(evidence) != 2 or evidence[0].sender != evidence[1].sender:
        return None
    first, second = evidence
    same_place = (first.height, first.view) == (second.height, second.view)
    match first.message, second.message:
        case (Prevote(block_hash=one), Prevote(block_hash=other)) | (
            Precommit(block_hash=one),
            Precommit(block_hash=other),
        ) if same_place and one != other:
            return first.sender, "double-vote"
        case (Deal() as one, Deal() as other) if one.round == other.round and one != other:
            return first.sender, "double-deal"
        case (Ack() as one, Ack() as other) if one.round == other.round and _disagree(one, other):
            return first.sender, "double-ack"
        case (Deal() as deal, SumShare() as sent) if (
            deal.round == sent.round and deal.root != sent.shares_hash and _is_bare(deal)
        ):
            return first.sender, "false-vector"
    return None


def _is_bare(deal: Deal) -> bool:
    """Whether a dealing commits to a vector and has shares for nobody."""
    return deal.key == NO_KEY and all(box == NO_BOX for box in deal.box_hashes)


def _disagree(one: Ack, other: Ack) -> bool:
    """Whether two acks name different dealings of one dealer."""
    named = dict(one.dealings)
    return any(named.get(dealer, dealing) != dealing for dealer, dealing in other.dealings)


def wrong_sum(evidence: Sequence[Verified], height: int, block: bytes, committee: Committee) -> tuple[bytes, ...]:
    """Return the members whose prevotes for a decided sum carry a z off the sum's polynomial.

    Of each member the first of these prevotes counts. An honest member signs a z only for a sum of shares that it
    checked against the dealings that the ledger names. At least K of the K+f members that agree are honest, so the z of
    an honest member lies on their polynomial, whatever the dealers did.
    """
    points: dict[int, Point] = {}
    for vote in evidence:
        index = committee.index(vote.sender)
        if index is None or vote.height != height:
            continue
        if isinstance(vote.message, Prevote) and vote.message.block_hash == block and vote.message.z is not None:
            points.setdefault(index, vote.message.z)
    judged = judge_points(points, committee)
    return tuple(committee.members[index] for index in judged.liars) if judged else ()


def judge_points(points: Mapping[int, Point], committee: Committee) -> Judgement | None:
    """Find the polynomials of degree K-1 on which at least K+f of the z's lie, one for each challenge.

    ``points``: the z of each holder, by its index in the committee. A holder whose z is off either polynomial lied.
    Returns None while fewer than K+f agree.
    """
    if len(points) < committee.sum_quorum:
        return None
    # Imported here, since robust imports numba: a ledger without accusations is verified without that cost.
    from ...crypto.sharing.robust import locate

    xs = sorted(points)
    found: list[tuple[int, ...]] = []
    liars: set[int] = set()
    for which in (0, 1):
        located = locate(
            [index + 1 for index in xs],
            [points[index][which] for index in xs],
            committee.threshold,
            committee.sum_quorum,
        )
        if located is None:
            return None
        found.append(located.coefficients)
        liars |= {xs[position] for position in located.liars}
    if len(points) - len(liars) < committee.sum_quorum:
        return None
    return Judgement((found[0][0], found[1][0]), tuple(sorted(liars)), tuple(found))
