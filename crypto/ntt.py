"""Number-theoretic transforms: polynomials over F_p at roots of unity, in n·log n steps.

p - 1 is a multiple of 2^32, so F_p has roots of unity of every order 2^k with k <= 32. A *coset* here is the set of
the n = 2^k points g·w^i, where w is a root of unity of order n. Its points are the zeros of X^n - g^n. The transform
takes a polynomial's coefficients to its values at all points of a coset; the inverse transform takes them back.

The method is the remainder tree. X^2h - r^2 = (X^h - r)(X^h + r), so the remainder of a polynomial modulo the left
side splits into its remainders modulo the two factors, a + r·b and a - r·b for each pair (a, b) of coefficients: one
multiplication for each pair. After log n such levels the remainders are the values. The factor g enters through the
r's alone, so a coset costs no more than the roots of unity themselves (Longa and Naehrig, "Speeding up the number
theoretic transform for faster ideal lattice-based cryptography", 2016, for g^n = -1).

The order of the points is the tree's: point j is g·w^b(j), where b reverses the log n bits of j. So point j is the
same for every n above j, and the first 2^i points are a coset too.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from .field import P, Vector, inverse, inverses
from .vectors import checked

GENERATOR: Final = 7  # of the multiplicative group, so its coset contains no root of unity of order 2^k, k <= 32
MAX_POINTS: Final = 2**16  # tables for more points would take seconds to make, and nothing needs them


def root_of_unity(order: int) -> int:
    """An element w of this multiplicative order, a power of two up to 2^32; w(order) = w(2 * order)^2."""
    return pow(GENERATOR, (P - 1) // order, P)


class Coset:
    """The n points g·w^i in the tree's order, with the tables of a transform. `coset` makes and shares them.

    `points` are the points; `roots` and `inverse_roots` are the r's of the tree and their inverses, by node.

    Raises:
        ValueError: n is not a power of two up to 2^16, or g is 0 modulo P.
    """

    __slots__ = ("generator", "inverse_roots", "points", "roots", "size")

    def __init__(self, size: int, generator: int) -> None:
        if not 1 <= size <= MAX_POINTS or size & (size - 1):
            raise ValueError(f"a transform has 1 to {MAX_POINTS} points, a power of two, not {size}")
        if generator % P == 0:
            raise ValueError("a coset does not contain 0")
        self.size = size
        self.generator = generator % P
        points, turns = [self.generator], [1]  # turn i of m: w(2m)^b(i)
        factors = [1]  # roots[0] belongs to no node; node i of a level of m has roots[m + i] = g^h·w(2m)^b(i)
        while len(points) < size:
            nodes = len(points)
            scale = pow(self.generator, size // (2 * nodes), P)
            factors.extend(scale * turn % P for turn in turns)
            step, half_step = root_of_unity(2 * nodes), root_of_unity(4 * nodes)
            points.extend([point * step % P for point in points])
            turns.extend([turn * half_step % P for turn in turns])
        self.points = tuple(points)
        self.roots = _table(factors)
        self.inverse_roots = _table(inverses(factors))

    def __repr__(self) -> str:
        return f"Coset(size={self.size}, generator={self.generator})"


def _table(values: Sequence[int]) -> Vector:
    table = np.array(values, dtype=np.uint64)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=32)
def coset(size: int, generator: int = 1) -> Coset:
    """The coset of n = `size` points g·w^i, g = `generator`; with g = 1 they are the roots of unity themselves.

    Raises:
        ValueError: as `Coset` does.
    """
    return Coset(size, generator)


def evaluate(points: Coset, coefficients: Vector, count: int | None = None) -> Vector:
    """The values of C polynomials at the first `count` points of a coset; None is all n of them.

    Args:
        points: the coset.
        coefficients: uint64[k, C], k <= n, constant terms first.
        count: the number of points.

    Returns:
        uint64[count, C].

    Raises:
        ValueError: more coefficients or values than points, or another shape or type.
    """
    from . import transform_kernels as kernels

    checked(coefficients, None, None)
    count = points.size if count is None else count
    if not coefficients.shape[0] <= points.size or not 0 <= count <= points.size:
        raise ValueError(f"{coefficients.shape[0]} coefficients or {count} values at {points.size} points")
    out = np.empty((count, coefficients.shape[1]), dtype=np.uint64)
    kernels.evaluate(coefficients, points.roots, out)
    return out


def interpolate(points: Coset, values: Vector) -> Vector:
    """The coefficients, uint64[n, C], of the C polynomials of degree below n with these values, uint64[n, C].

    Raises:
        ValueError: the values have another shape or type.
    """
    from . import transform_kernels as kernels

    out = np.empty_like(checked(values, points.size, None))
    kernels.interpolate(values, points.inverse_roots, inverse(points.size), out)
    return out


def vanishing(zeros: Sequence[int], points: Sequence[int]) -> list[int]:
    """The value at each of the points x of the monic polynomial with these zeros: the product of all (x - zero)."""
    from . import transform_kernels as kernels
    from .lanes import LANES

    padded = np.zeros((1, -(-len(points) // LANES) * LANES), dtype=np.uint64)
    padded[0, : len(points)] = points
    products = np.ones_like(padded)
    kernels.vanishing(padded, np.array(zeros, dtype=np.uint64), products)
    return [int(value) for value in products[0, : len(points)]]
