"""Proofs of misbehaviour that anybody can check from signed messages alone."""

from collections.abc import Mapping, Sequence

from .committee import Committee
from .envelope import Verified
from .messages import Precommit, Prevote


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
    points: dict[int, tuple[int, int]] = {}
    for vote in evidence:
        index = committee.index(vote.sender)
        if index is None or index not in holders or vote.height != height:
            continue
        if isinstance(vote.message, Prevote) and vote.message.block == block and vote.message.z is not None:
            points.setdefault(index, vote.message.z)
    judged = judge_points(points, committee)
    return tuple(committee.members[index] for index in judged[1]) if judged else ()


def judge_points(
    points: Mapping[int, tuple[int, int]], committee: Committee
) -> tuple[tuple[int, int], tuple[int, ...]] | None:
    """Find the polynomials of degree K-1 on which at least K+f of the z's lie, for both challenges.

    Returns their secrets and the indices of the holders that are off either of them, or None while too few
    agree.
    """
    if len(points) < committee.sum_quorum:
        return None
    # robust brings numba in with it; a ledger without accusations is verified without that cost.
    from ..crypto.robust import locate

    xs = sorted(points)
    secrets: list[int] = []
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
        secrets.append(located.value)
        liars |= {xs[position] for position in located.liars}
    if len(points) - len(liars) < committee.sum_quorum:
        return None
    return (secrets[0], secrets[1]), tuple(sorted(liars))
