"""Opening a sharing when some shares are wrong: find the liars once, then open the batch without them.

The values of one polynomial of degree below K at n points are a Reed-Solomon codeword, and a wrong share is
an error in it. Decoding column by column is slow and unnecessary, because a liar lies as a row: one random
linear combination of all columns, drawn after the shares are fixed, is again a codeword, in which a row that
is wrong anywhere is wrong with probability 1 - 1/p. Two combinations bring what slips through to about
2^-128. One decoding of that codeword (Gao, "A new algorithm for decoding Reed-Solomon codes", 2003) names
the liars, and the rows of the others open the batch. Where holders and secrets sit is the `Scheme`'s affair.

An answer is given only when `agree` rows agree with it and no other answer is as close; otherwise there is
none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .field import P, Vector, evaluate, from_roots, interpolate, inverse, lagrange_matrix
from .shamir import Scheme, Way
from .vectors import checked, fingerprints, matmul


@dataclass(frozen=True, slots=True)
class Located:
    """A decoded codeword: the polynomial's coefficients, constant term first, and the positions off it."""

    coefficients: tuple[int, ...]
    liars: tuple[int, ...]

    @property
    def value(self) -> int:
        """The polynomial's value at 0: on the line, the only or the first secret."""
        return self.coefficients[0]


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """An opened batch: its secrets, uint64[l, C], and the indices of the holders whose rows were wrong."""

    secrets: Vector
    liars: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Decoded(secrets=<{self.secrets.size} elements>, liars={self.liars})"

    @property
    def secret(self) -> Vector:
        """The secrets of an unpacked batch, uint64[C]. Raises ValueError when a column has several."""
        if len(self.secrets) != 1:
            raise ValueError(f"{len(self.secrets)} secrets in each column, not one")
        only: Vector = self.secrets[0]
        return only


def locate(xs: Sequence[int], ys: Sequence[int], threshold: int, agree: int) -> Located | None:
    """The polynomial of degree below `threshold` on which at least `agree` of the points (xs[i], ys[i]) lie.

    None when there is no such polynomial or when more than (len(xs) - threshold) / 2 points are off it,
    where another one could be as close. A y that is not canonical counts as off. Raises ValueError for
    points at 0 or twice the same and for agree < threshold, which would accept anything.
    """
    _check(xs, threshold, agree)
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} points but {len(ys)} values")
    if len(xs) < agree:
        return None
    if all(0 <= y < P for y in ys):
        honest = interpolate(xs[:threshold], ys[:threshold])
        if not _off(honest, xs, ys):
            return Located(tuple(honest), ())
    decoded = _gao(xs, [y % P for y in ys], threshold)
    if decoded is None:
        return None
    liars = _off(decoded, xs, ys)
    if len(xs) - len(liars) < agree or 2 * len(liars) > len(xs) - threshold:
        return None
    return Located(tuple(decoded), liars)


def decode(scheme: Scheme, indices: Sequence[int], rows: Vector, agree: int, seed: bytes) -> Decoded | None:
    """Open rows[m', C], row i being the share that holder indices[i] (counted from 0) answered, or a sum of shares.

    The seed makes the random combinations: 32 bytes that nobody knew when the rows were fixed. The result is
    None unless at least `agree` rows lie on polynomials of degree below the scheme's threshold, column by column.
    Raises ValueError for shapes that do not match, agree < threshold, and holders out of range or named twice.
    """
    checked(rows, len(indices), None)
    if any(not 0 <= index < scheme.holders for index in indices):
        raise ValueError(f"a holder's index is from 0 to {scheme.holders - 1}")
    points = scheme.points
    xs = [points[index] for index in indices]
    combined = fingerprints(seed, rows)
    found = [locate(xs, [int(y) for y in column], scheme.threshold, agree) for column in combined.T]
    first, second = found
    if first is None or second is None:
        return None
    wrong = {*first.liars, *second.liars}
    right = [position for position in range(len(xs)) if position not in wrong]
    if len(right) < agree:
        return None
    secrets = _opened(scheme, indices, rows, right[: scheme.threshold])
    expected = [[evaluate(one.coefficients, z) for one in (first, second)] for z in scheme.secret_points]
    if fingerprints(seed, secrets).tolist() != expected:
        raise ArithmeticError("the opened batch does not match its own fingerprint")
    return Decoded(secrets, tuple(sorted(indices[position] for position in wrong)))


def _opened(scheme: Scheme, indices: Sequence[int], rows: Vector, positions: Sequence[int]) -> Vector:
    """The secrets, uint64[l, C], from the rows at these K positions."""
    if scheme.opening_way(len(positions), rows.shape[1]) is Way.NTT:
        return scheme.reconstruct([indices[position] for position in positions], rows[positions], Way.NTT)
    # Zero weights are cheaper than a copy of the rows that count.
    weights = np.zeros((scheme.pack, len(indices)), dtype=np.uint64)
    points = scheme.points
    weights[:, positions] = lagrange_matrix([points[indices[position]] for position in positions], scheme.secret_points)
    return matmul(weights, rows)


def _check(xs: Sequence[int], threshold: int, agree: int) -> None:
    if not 1 <= threshold <= agree:
        raise ValueError(f"{agree} agreeing points say nothing about a polynomial with {threshold} coefficients")
    reduced = {x % P for x in xs}
    if len(reduced) != len(xs) or 0 in reduced:
        raise ValueError("every holder has one point of its own, and none of them is 0")


def _off(coefficients: Sequence[int], xs: Sequence[int], ys: Sequence[int]) -> tuple[int, ...]:
    """The positions of the points that are not on the polynomial."""
    return tuple(i for i, (x, y) in enumerate(zip(xs, ys, strict=True)) if evaluate(coefficients, x) != y)


def _gao(xs: Sequence[int], ys: Sequence[int], threshold: int) -> list[int] | None:
    """The one polynomial of degree below `threshold` that at most (n - threshold) / 2 of the n points miss,
    or None.

    The extended Euclidean algorithm on the polynomial that vanishes at all points and the one through all of
    them, stopped half way: the remainder it has then reached is the wanted polynomial times the one that
    vanishes at the errors, and that is the cofactor.
    """
    older, newer = from_roots(xs), _trimmed(interpolate(xs, ys))
    older_cofactor: list[int] = []
    newer_cofactor = [1]
    while newer and 2 * (len(newer) - 1) >= len(xs) + threshold:
        quotient, remainder = _divided(older, newer)
        cofactor = _minus(older_cofactor, _product(quotient, newer_cofactor))
        older, newer, older_cofactor, newer_cofactor = newer, remainder, newer_cofactor, cofactor
    quotient, remainder = _divided(newer, newer_cofactor)
    if remainder or len(quotient) > threshold:
        return None
    return [*quotient, *[0] * (threshold - len(quotient))]


def _trimmed(a: list[int]) -> list[int]:
    while a and a[-1] == 0:
        a.pop()
    return a


def _product(a: Sequence[int], b: Sequence[int]) -> list[int]:
    if not a or not b:
        return []
    product = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return _trimmed([x % P for x in product])


def _minus(a: Sequence[int], b: Sequence[int]) -> list[int]:
    length = max(len(a), len(b))
    a, b = [*a, *[0] * (length - len(a))], [*b, *[0] * (length - len(b))]
    return _trimmed([(x - y) % P for x, y in zip(a, b, strict=True)])


def _divided(a: Sequence[int], b: Sequence[int]) -> tuple[list[int], list[int]]:
    """Quotient and remainder of a by b, neither with leading zeros."""
    remainder = list(a)
    quotient = [0] * max(0, len(a) - len(b) + 1)
    lead = inverse(b[-1])
    for shift in range(len(quotient) - 1, -1, -1):
        factor = remainder[shift + len(b) - 1] * lead % P
        quotient[shift] = factor
        for i, coefficient in enumerate(b):
            remainder[shift + i] = (remainder[shift + i] - factor * coefficient) % P
    return _trimmed(quotient), _trimmed(remainder[: len(b) - 1] if quotient else remainder)
