"""Fingerprints of masked vectors: whether a proposed sum is right, and which members lied if it is not.

Everybody may see the masked vectors, but a member sees only two of them whole: its own, and the sum that an aggregator
proposes. So each member claims the fingerprint of its own vector, under a challenge that depends on the proposed sum.
Fingerprints are linear (`vectors.fingerprint`). True claims add up to the fingerprint of the true sum, and to that of a
false sum with probability about 2^-128 only. If the claims do not add up, the signed contributions are fetched and
fingerprinted. A member whose claim is not the fingerprint of its contribution lied. If every claim is, the proposed sum
is wrong and its proposer lied.

**The order matters.** Claims are made when the sum is known. So an aggregator that contributes, or is in league with
a contributor, can make any vector T add up: it claims the fingerprint of T minus the other claims. Therefore the hash
of T must be decided before any share of the sum of the keys is released. Until then the other members' vectors look
random to the aggregator, so T is the true sum plus a vector that it chose without knowing anything about them. It
could as well have put that vector into its own contribution, which nothing bounds (docs/crypto-masks.md). If keys are
released in another order, `adds_up` proves nothing. Then at least f + 1 members must `judge` each sum, against the
hashes of the contributions to which the contributors committed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..field import P, Vector
from ..prng import derive
from ..vectors import RunningFingerprints, checked, fingerprint

Fingerprint = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The members that lied, and whether the proposed sum is false."""

    members: tuple[int, ...]
    """The members whose claims are not the fingerprints of their contributions, ascending."""

    sum_is_false: bool
    """Whether the proposed sum is not the sum of the contributions."""


def challenge(context: bytes, total_digest: bytes) -> bytes:
    """The seed of the fingerprints. The hash of the proposed sum fixes it; nobody knows it before.

    Args:
        context: federation, round and contributors, the same for all members.
        total_digest: the hash of the proposed sum.
    """
    return derive(hashlib.sha256(context).digest() + total_digest, b"masked sum")


class RunningFingerprint:
    """The fingerprint of one vector that comes in pieces."""

    __slots__ = ("_running",)

    def __init__(self, seed: bytes) -> None:
        self._running = RunningFingerprints(seed)

    def add(self, piece: Vector) -> None:
        """Take the next elements, uint64[C]."""
        self._running.add(checked(piece, None)[None])

    @property
    def value(self) -> Fingerprint:
        """The fingerprint of all elements so far."""
        first, second = self._running.values[0]
        return int(first), int(second)


def adds_up(total: Fingerprint, claims: Mapping[int, Fingerprint]) -> bool:
    """Whether the members' claims add up to the fingerprint of the proposed sum.

    This proves something only if the hash of the proposed sum was decided before any share of the sum of the keys was
    released: see the module's docstring.
    """
    return all(sum(claim[k] for claim in claims.values()) % P == total[k] % P for k in range(2))


def judge(
    seed: bytes, total: Vector, claims: Mapping[int, Fingerprint], contributions: Mapping[int, Vector]
) -> Verdict:
    """Find who lied, from the contributions themselves.

    Each claim is compared with its own contribution, modulo P, and the sum with the contributions and not with the
    claims. So two faults that cancel each other are both found.

    Args:
        seed: of the fingerprints, by `challenge`.
        total: the proposed sum, uint64[C].
        claims: a fingerprint by member.
        contributions: a masked vector, uint64[C], by member. The caller knows that each is its member's, by a
            signature or a hash.

    Raises:
        ValueError: claims and contributions are of different members, or a contribution has another length than the
            sum.
    """
    if claims.keys() != contributions.keys():
        raise ValueError("claims and contributions are of different members")
    true = {member: fingerprint(seed, checked(vector, total.size)) for member, vector in contributions.items()}
    liars = tuple(sorted(member for member, value in true.items() if not _same(claims[member], value)))
    return Verdict(liars, sum_is_false=not adds_up(fingerprint(seed, total), true))


def _same(claim: Sequence[int], true: Fingerprint) -> bool:
    """Whether a claim is this fingerprint. A peer made the claim, so its numbers may be of any size."""
    return tuple(value % P for value in claim) == true
