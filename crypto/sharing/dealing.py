"""Verifiable dealing: shares that every holder checks by itself, without another message.

A dealer has C secrets and draws a polynomial of degree below K for each. The secrets are the values at 0, and
holder j (counted from 0) gets the values at j + 1. The holders check that they all hold values of *the same*
polynomials:

1. The dealer adds two random polynomials B_1, B_2 of the same degree, which blind what step 3 publishes.
2. It hashes each holder's share, with a nonce, into a leaf of a Merkle tree and commits to the root.
3. The root gives two pseudorandom vectors ρ_1, ρ_2, and the dealer publishes the fingerprints
   Y_k = Σ_c ρ_k[c]·P_c + B_k, K coefficients each.
4. Holder j checks that its share is the leaf j below the root and that Y_k(j + 1) = ⟨ρ_k, its values⟩ +
   B_k(j + 1).

**Soundness.** If the values of K + 1 holders, fixed before ρ was known, are on no polynomial of degree below K,
they pass with probability about p^-2 = 2^-128. The dealer chooses Y_k last, and chooses to which of the honest
holders it deals at all. So the bound for a dealing is C(n - f, K + 1) times that: 2^-124 at n = 10, 2^-110 at 30,
2^-64 at 100 (f = (n - 1)//3, K = n - 2f), times the number of roots that a dealer tries. With one fingerprint
2^-64 would stand in place of 2^-128, and a dealer can search for that. This assumes that SHA-256 binds and, as a
random oracle, makes the challenges.

**Secrecy.** The blinding makes Y_k independent of the secrets for everybody who has fewer than K shares. Without it,
anybody could confirm a guess of the secrets.

**Evidence.** A share that fails step 4 after its path led to the root is evidence by itself: everybody who sees it
with the dealer's signed commitment comes to the same verdict. Where the share is known to be what the dealer sealed
(`sealing`), every failure is evidence. The context goes into every leaf and every challenge, so what was dealt in
one round, by one dealer, proves nothing in another.

**Compressed shares.** K - 1 values of a polynomial can be chosen freely, whatever its value at 0 is. So K - 1
holders get a 32-byte seed each, from which they expand their values. Only the other holders get values, computed
from the secrets and those seeds. K - 1 colluding holders know K - 1 points of polynomials of degree below K, and any
secrets fit these. With seeds in place of random values, that holds for colluders who cannot tell AES from random. It
holds for any K - 1 holders and any choice of the seeded ones, so the dealer may choose them: for example members that
are away, because other members have to keep their shares for them. The choice is published.
"""

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NoReturn

import numpy as np

from ..field import ELEMENT_BYTES, P, Vector, evaluate, from_bytes, interpolate, is_canonical, lagrange_matrix
from ..prng import Stream, derive, stream
from ..vectors import checked, fingerprints, matmul
from . import merkle

CONTEXT_BYTES: Final = 32
SEED_BYTES: Final = 32
NONCE_BYTES: Final = 32
CHALLENGES: Final = 2  # the number of fingerprints, and of blinding columns

_SEED: Final = b"\x00"  # the payload is a seed
_VALUES: Final = b"\x01"  # the payload is the values themselves


class BadShare(Exception):
    """A share that its holder refuses.

    `provable` says whether the share alone, without the box that it came in, is evidence against the dealer: the
    dealer committed to exactly these bytes. Otherwise the fault may lie with the member that carried or shows the
    share. A share from a box that was judged (`sealing`) is what the dealer sealed; then every BadShare is proof,
    whatever `provable` says.
    """

    def __init__(self, reason: str, *, provable: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.provable = provable


@dataclass(frozen=True, slots=True)
class Terms:
    """What all parties know of a dealing.

    Raises:
        ValueError: nothing can be dealt under these terms.
    """

    holders: int
    """The number of holders, m."""

    threshold: int
    """K, the number of shares that open the secrets: from 2 to m."""

    columns: int
    """C, the number of secrets, which are field elements."""

    dealer: int
    """The dealer's index among the holders."""

    seeded: tuple[int, ...] = ()
    """The indices of the K - 1 holders whose shares are seeds, ascending and without the dealer.

    The dealer chooses them; () stands for the K - 1 holders that follow it, cyclically.
    """

    def __post_init__(self) -> None:
        if not 2 <= self.threshold <= self.holders:
            raise ValueError(f"a threshold of {self.threshold} among {self.holders} holders")
        if self.columns < 1:
            raise ValueError("there is nothing to deal")
        self._check_index(self.dealer)
        if not self.seeded:
            following = sorted((self.dealer + i) % self.holders for i in range(1, self.threshold))
            object.__setattr__(self, "seeded", tuple(following))
        self._check_seeded()

    def _check_index(self, holder: int) -> None:
        if not 0 <= holder < self.holders:
            raise ValueError(f"no holder {holder} among {self.holders}")

    def _check_seeded(self) -> None:
        if len(self.seeded) != self.threshold - 1:
            raise ValueError(f"{self.threshold - 1} holders get seeds, not {len(self.seeded)}")
        if any(one >= other for one, other in pairwise(self.seeded)):
            raise ValueError("the holders that get seeds are not distinct and ascending")
        for holder in (self.seeded[0], self.seeded[-1]):
            self._check_index(holder)
        if self.dealer in self.seeded:
            raise ValueError("the dealer is among the holders that get seeds")

    @property
    def header_bytes(self) -> int:
        """The length of a share's header, which is kind, nonce and path; the payload follows it."""
        return 1 + NONCE_BYTES + merkle.DIGEST_BYTES * merkle.depth(self.holders)

    @property
    def largest_payload_bytes(self) -> int:
        """The length of the longest payload that any holder can get; a longer one is not even hashed."""
        return max(SEED_BYTES, ELEMENT_BYTES * (self.columns + CHALLENGES))

    def payload_bytes(self, holder: int) -> int:
        """The exact length of this holder's payload."""
        self._check_index(holder)
        if holder in self.seeded:
            return SEED_BYTES
        return ELEMENT_BYTES * (self.columns + CHALLENGES)

    def encoded(self) -> bytes:
        """The terms as bytes to be hashed. No encoding is the beginning of another: the threshold gives the length."""
        numbers = (self.holders, self.threshold, self.columns, self.dealer, *self.seeded)
        return b"".join(number.to_bytes(8, "big") for number in numbers)


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a dealer publishes."""

    root: bytes
    """The Merkle root over the holders' shares, 32 bytes."""

    fingerprints: bytes
    """The K coefficients of Y_1, constant term first, then those of Y_2: 8 bytes each, little-endian."""


@dataclass(frozen=True, slots=True, eq=False)
class Dealing:
    """A commitment and the shares behind it, one for each holder. The shares are secret."""

    commitment: Commitment
    shares: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Dealing({self.commitment}, shares=<{len(self.shares)} secrets>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a dealing holds secrets and is not pickled")


def share_size(terms: Terms, holder: int) -> int:
    """The exact length of this holder's share in bytes."""
    return terms.header_bytes + terms.payload_bytes(holder)


def deal(context: bytes, terms: Terms, secrets: Vector, seed: bytes) -> Dealing:
    """Share out secrets. Deterministic: the same arguments give the same bytes.

    All randomness is derived from seed, context, terms and secrets together, so a seed that is used twice by mistake
    does not show the difference of two secrets.

    Args:
        context: 32 bytes that no other dealing has, such as a hash of federation, round, dealer and base model.
        terms: what all parties know of the dealing.
        secrets: uint64[C], canonical.
        seed: 32 secret random bytes.

    Raises:
        ValueError: an argument has the wrong size, type or range.
    """
    _check_context(context)
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    if not is_canonical(checked(secrets, terms.columns)):
        raise ValueError("a secret is not below the field's prime")
    digest = hashlib.sha256(_little_endian(secrets)).digest()
    key = derive(seed, b"dealing|" + context + terms.encoded() + digest)
    seeds = {holder: derive(key, b"seed %d" % holder) for holder in terms.seeded}

    basis = np.empty((terms.threshold, terms.columns + CHALLENGES), dtype=np.uint64)
    basis[0, : terms.columns] = secrets
    Stream(key, b"blinding").fill(basis[0, terms.columns :])
    for row, holder_seed in zip(basis[1:], seeds.values(), strict=True):
        Stream(holder_seed, b"share").fill(row)
    points = [0, *(holder + 1 for holder in seeds)]

    others = [holder for holder in range(terms.holders) if holder not in seeds]
    computed = matmul(lagrange_matrix(points, [holder + 1 for holder in others]), basis)
    values = {holder: _little_endian(row) for holder, row in zip(others, computed, strict=True)}

    parts: list[tuple[bytes, bytes, bytes | memoryview]] = []
    for holder in range(terms.holders):
        nonce = derive(key, b"nonce %d" % holder)
        parts.append((_SEED, nonce, seeds[holder]) if holder in seeds else (_VALUES, nonce, values[holder]))
    tree = merkle.Tree([merkle.leaf(context, nonce, kind, payload) for kind, nonce, payload in parts])
    commitment = Commitment(tree.root, _fingerprints_of(context, terms, tree.root, points, basis))
    del basis  # tens of megabytes for a large model, and joining the shares needs as much again
    shares = tuple(b"".join((kind, nonce, tree.path(j), load)) for j, (kind, nonce, load) in enumerate(parts))
    return Dealing(commitment, shares)


def check(context: bytes, terms: Terms, holder: int, commitment: Commitment, share: bytes) -> Vector:
    """Check a holder's share, and return the holder's values, uint64[C].

    This also judges complaints. A member that is shown a share that raises a provable BadShare, and knows that the
    dealer signed the commitment for this context and these terms, knows that the dealer cheated.

    Raises:
        BadShare: the share is not the committed one, or does not lie on the committed polynomials.
        ValueError: the context has another length, or there is no such holder.
    """
    _check_context(context)
    wanted = terms.payload_bytes(holder)
    view = memoryview(share)
    kind, nonce = bytes(view[:1]), bytes(view[1 : 1 + NONCE_BYTES])
    path, payload = bytes(view[1 + NONCE_BYTES : terms.header_bytes]), view[terms.header_bytes :]
    if len(view) < terms.header_bytes or len(payload) > terms.largest_payload_bytes:
        raise BadShare(f"a share of {len(view)} bytes", provable=False)
    leaf = merkle.leaf(context, nonce, kind, payload)
    if merkle.root_from_path(leaf, holder, path) != commitment.root:
        raise BadShare("the share is not the one that was committed to", provable=False)

    # From here on the dealer itself committed to these bytes for this holder.
    if kind != (_SEED if holder in terms.seeded else _VALUES):
        raise BadShare("a share of the wrong kind for this holder", provable=True)
    if len(payload) != wanted:
        raise BadShare(f"a payload of {len(payload)} bytes instead of {wanted}", provable=True)
    try:
        polynomials = from_bytes(commitment.fingerprints, CHALLENGES * terms.threshold)
    except ValueError as error:
        raise BadShare(f"fingerprints: {error}", provable=True) from None
    values = _values(terms, kind, payload)
    challenge = _challenge(context, terms, commitment.root)
    for k, own in enumerate(_row_fingerprints(terms, challenge, values[None])[0]):
        polynomial = [int(y) for y in polynomials[k * terms.threshold : (k + 1) * terms.threshold]]
        if evaluate(polynomial, holder + 1) != own:
            raise BadShare("the share does not lie on the committed polynomials", provable=True)
    return values[: terms.columns]


def _check_context(context: bytes) -> None:
    if len(context) != CONTEXT_BYTES:
        raise ValueError(f"a context has {CONTEXT_BYTES} bytes, not {len(context)}")


def _little_endian(x: Vector) -> memoryview:
    """The vector's bytes in the order of the wire, without a copy on little-endian machines."""
    return x.astype("<u8", copy=False).view(np.uint8).data


def _values(terms: Terms, kind: bytes, payload: memoryview) -> Vector:
    """All C + 2 values of a share: those of the secrets' polynomials, then the two of the blinding."""
    count = terms.columns + CHALLENGES
    if kind == _SEED:
        return stream(bytes(payload), b"share", count)
    try:
        return from_bytes(payload, count)
    except ValueError as error:
        raise BadShare(str(error), provable=True) from None


def _challenge(context: bytes, terms: Terms, root: bytes) -> bytes:
    """The seed of ρ_1 and ρ_2. The root fixes it, so the dealer did not know it while it made the shares."""
    return derive(context + terms.encoded() + root, b"challenge")


def _row_fingerprints(terms: Terms, challenge: bytes, rows: Vector) -> list[list[int]]:
    """For each row of C + 2 values: ⟨ρ_k, the first C⟩ plus the k-th blinding value, for k = 1, 2."""
    plain = fingerprints(challenge, rows, terms.columns)
    return [
        [(int(dot) + int(blinding)) % P for dot, blinding in zip(dots, row[terms.columns :], strict=True)]
        for dots, row in zip(plain, rows, strict=True)
    ]


def _fingerprints_of(context: bytes, terms: Terms, root: bytes, points: list[int], basis: Vector) -> bytes:
    """The coefficients of Y_1 and Y_2, interpolated from their values at the basis points."""
    at_points = _row_fingerprints(terms, _challenge(context, terms, root), basis)
    coefficients = [interpolate(points, [row[k] for row in at_points]) for k in range(CHALLENGES)]
    return np.array(coefficients, dtype="<u8").tobytes()
