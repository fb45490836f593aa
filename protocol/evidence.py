"""Proofs of misbehaviour that anybody can check from signed messages alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..crypto.field import P
from .committee import Committee
from .envelope import Verified
from .messages import Precommit, Prevote

Point = tuple[int, int]
"""A fingerprint: two field elements, one for each challenge vector."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Prevotes' fingerprints, judged: the secrets that they prove, and who is off."""

    secret: Point
    liars: tuple[int, ...]
    polynomials: tuple[tuple[int, ...], ...] = ()
    """The coefficients of both, constant term first; none where a single fingerprint cannot be judged."""

    def fits(self, index: int, point: Point) -> bool:
        """Whether a further holder's fingerprint lies on the polynomials, so that it speaks against nobody."""
        return all(_value(one, index + 1) == y for one, y in zip(self.polynomials, point, strict=False))


def _value(polynomial: Sequence[int], x: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = (value * x + coefficient) % P
    return value


def double_vote(evidence: Sequence[Verified]) -> bytes | None:
    """Return the member that signed two different votes for one (height, view, kind), or None.

    Two prevotes for the same block that differ in z are no contradiction about the decision, so only blocks
    are compared.
    """
    if len(evidence) != 2:
        return None
    first, second = evidence
    if first.sender != second.sender or (first.height, first.view) != (second.height, second.view):
        return None
    match first.message, second.message:
        case (Prevote(block=one), Prevote(block=other)) | (Precommit(block=one), Precommit(block=other)) if (
            one != other
        ):
            return first.sender
    return None


def wrong_sum(
    evidence: Sequence[Verified], height: int, block: bytes, committee: Committee, holders: Sequence[int]
) -> tuple[bytes, ...]:
    """Return the members whose prevotes for a decided Model block carry a z off the sum's polynomial (DESIGN
    section 6).
    """
    points: dict[int, Point] = {}
    for vote in evidence:
        index = committee.index(vote.sender)
        if index is None or index not in holders or vote.height != height:
            continue
        if isinstance(vote.message, Prevote) and vote.message.block == block and vote.message.z is not None:
            points.setdefault(index, vote.message.z)
    judged = judge_points(points, committee)
    return tuple(committee.members[index] for index in judged.liars) if judged else ()


def judge_points(points: Mapping[int, Point], committee: Committee) -> Judgement | None:
    """Find the polynomials of degree K-1 on which at least K+f of the z's lie, for both challenges.

    A holder lies that is off either of them. None while too few agree.
    """
    if len(points) < committee.sum_quorum:
        return None
    # robust brings numba in with it; a ledger without accusations is verified without that cost.
    from ..crypto.robust import locate

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
