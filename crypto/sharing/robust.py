"""Opening a sharing when some shares are wrong: find the liars once, then open the batch without them.

The values of one polynomial of degree below K at m points are a Reed-Solomon codeword, and a wrong share is an
error in it. To decode column by column is slow and unnecessary, because a liar's share is a whole row. A random
linear combination of all columns, drawn after the shares are fixed, is again a codeword, in which a row that is
wrong in any column is wrong with probability 1 - 1/p. Two combinations are drawn, so a wrong row passes with
probability p^-2, about 2^-128. Decoding the two codewords (Gao, "A new algorithm for decoding Reed-Solomon codes",
2003) names the liars, and the rows of the others open the batch. The `Scheme` knows where holders and secrets sit.

An answer is given only when at least `agree` rows agree with it and no other answer is as close; otherwise there is
none. Up to (m - K)/2 wrong rows are corrected. If more are wrong, an answer may rest on rows that lie on no
polynomials of degree below K, but only with probability at most C(m, K + 1)·p^-2: K + 1 of these rows would have to
pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..field import P, Vector, evaluate, from_roots, interpolate, inverse, lagrange_matrix
from ..vectors import checked, fingerprints, matmul
from .shamir import Scheme, Way


@dataclass(frozen=True, slots=True)
class Located:
    """A decoded codeword: the polynomial's coefficients, constant term first, and the positions that are off it."""

    coefficients: tuple[int, ...]
    liars: tuple[int, ...]

    @property
    def value(self) -> int:
        """The polynomial's value at 0, which on the line is the only or the first secret."""
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
        """The secrets of an unpacked batch, uint64[C].

        Raises:
            ValueError: a column has several secrets.
        """
        if len(self.secrets) != 1:
            raise ValueError(f"{len(self.secrets)} secrets in each column, not one")
        only: Vector = self.secrets[0]
        return only


def locate(xs: Sequence[int], ys: Sequence[int], threshold: int, agree: int) -> Located | None:
    """The polynomial of degree below `threshold` on which at least `agree` of the points (xs[i], ys[i]) lie.

    None when there is no such polynomial, and when more than (len(xs) - threshold) / 2 points are off it: another
    one could be as close. A y that is not canonical counts as off.

    Raises:
        ValueError: an x is 0 or occurs twice modulo P; there are not as many ys; `threshold` is below 1; or `agree`
            is below `threshold`, so that any points would agree.
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
    """Open a batch of shares, or of sums of shares, of which some may be wrong.

    Args:
        scheme: how the batch was shared; K is its threshold.
        indices: the holders that answered, counted from 0, in any order.
        rows: uint64[m', C]; row i is the answer of holder indices[i].
        agree: the least number of rows that must agree, at least K. Against f liars it must be at least K + f, so that
            K honest rows are among those that agree.
        seed: makes the random combinations. Nobody may have known it when the rows were fixed.

    Returns:
        The secrets and the liars. None unless at least `agree` rows lie, in each column, on one polynomial of degree
        below K, and at most (m' - K)/2 do not.

    Raises:
        ValueError: shapes do not match, `agree` is below K, or a holder is out of range or occurs twice.
        ArithmeticError: the opened secrets do not fit the combinations, so this machine computed wrongly.
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
    # Zero weights for the other rows are cheaper than a copy of these.
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
    """The polynomial of degree below `threshold` that misses at most (n - threshold) / 2 of the n points, or None.

    The extended Euclidean algorithm runs on the polynomial that vanishes at all points and the polynomial through all
    of them, and stops half way. The remainder at that step is the wanted polynomial times the cofactor of the second
    one, and this cofactor vanishes at the errors. Where more points are wrong, a polynomial that misses more of them
    can come out, so the caller counts.
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
    """Quotient and remainder of a by b, both without leading zeros."""
    remainder = list(a)
    quotient = [0] * max(0, len(a) - len(b) + 1)
    lead = inverse(b[-1])
    for shift in range(len(quotient) - 1, -1, -1):
        factor = remainder[shift + len(b) - 1] * lead % P
        quotient[shift] = factor
        for i, coefficient in enumerate(b):
            remainder[shift + i] = (remainder[shift + i] - factor * coefficient) % P
    return _trimmed(quotient), _trimmed(remainder[: len(b) - 1] if quotient else remainder)
