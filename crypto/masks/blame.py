"""Fingerprints of masked vectors: whether a sum is the sum of what was contributed, and who is at fault if not.

Masked vectors may be seen by all, but each member sees few of them whole: its own, and the sum that an aggregator
proposes. So each member says the fingerprint of its own vector under a challenge that depends on the proposed sum.
Fingerprints are linear (`vectors.fingerprint`): they add up to the sum's, unless somebody lied, but with probability
about 2^-128. When they do not, the signed contributions are fetched and fingerprinted. Whoever's claim is not its
contribution's lied; if nobody's, the sum is not the sum, and who proposed it lied.

Claims are made when the sum is known, so an aggregator that contributes, or is in league with one contributor, makes
any vector T add up: it claims what the others' claims leave of T's fingerprint. Therefore T's hash must be decided
before any share of the sum of the keys is released. Until then the others' vectors look random to whoever chooses T,
and T is the true sum plus a vector chosen blind: at worst another contribution of its chooser's own. Where the order
is another, `adds_up` proves nothing, and f + 1 members at least must `judge`, against the hashes of the contributions
that were committed to with the set of contributors.
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
    """members: whose claims are not the fingerprints of their contributions; sum_is_false: whether the sum is not
    that of the contributions."""

    members: tuple[int, ...]
    sum_is_false: bool


def challenge(context: bytes, total_digest: bytes) -> bytes:
    """The seed of the fingerprints: fixed once the proposed sum is, by its hash, and unknown before.

    context: federation, round and contributors, the same for all members.
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
    """Whether the members' claims sum up to the fingerprint of the proposed sum.

    Worth something only if that sum's hash was fixed before the keys' sum could be known: see above.
    """
    return all(sum(claim[k] for claim in claims.values()) % P == total[k] % P for k in range(2))


def judge(
    seed: bytes, total: Vector, claims: Mapping[int, Fingerprint], contributions: Mapping[int, Vector]
) -> Verdict:
    """Who is at fault, from the contributions themselves, each uint64[C] and known to be its member's.

    Claims are judged by themselves, modulo P, the sum against the contributions and not against the claims, so that
    two faults that cancel are both found. Raises ValueError unless claims and contributions are of the same members,
    and for a contribution of another length than the sum's.
    """
    if claims.keys() != contributions.keys():
        raise ValueError("claims and contributions are of different members")
    true = {member: fingerprint(seed, checked(vector, total.size)) for member, vector in contributions.items()}
    liars = tuple(sorted(member for member, value in true.items() if not _same(claims[member], value)))
    return Verdict(liars, sum_is_false=not adds_up(fingerprint(seed, total), true))


def _same(claim: Sequence[int], true: Fingerprint) -> bool:
    """Whether a claim, which a peer made, is that fingerprint."""
    return tuple(value % P for value in claim) == true
