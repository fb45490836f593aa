"""Number-theoretic transforms: polynomials over F_p at roots of unity, in n·log n steps.

p - 1 is a multiple of 2^32, so F_p has roots of unity of every order 2^k up to that. A *coset* here is the
set of the n = 2^k points g·w^i, w being a root of unity of order n; its points are the zeros of X^n - g^n. The
transform takes a polynomial's coefficients to its values at all points of a coset, and back.

The method is the remainder tree: X^2h - r^2 = (X^h - r)(X^h + r), so a polynomial modulo the left side
splits into its remainders modulo the two factors by one multiplication per pair of coefficients (a + r·b and
a - r·b), and after log n such levels what remains are the values. The factor g enters through the r's alone,
so that a coset costs no more than the roots of unity themselves (Longa and Naehrig, "Speeding up the number
theoretic transform for faster ideal lattice-based cryptography", 2016, for g^n = -1).

The order of the points is the tree's: point j is g·w^b(j), where b reverses the log n bits of j. So point j is
the same for every n above j, and the first 2^i points are a coset of their own.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from .field import P, Vector, inverse, inverses
from .vectors import checked

GENERATOR: Final = 7  # of the multiplicative group: no root of unity of order 2^k, k <= 32, is in its coset
MAX_POINTS: Final = 2**16  # the tables for more would take seconds to make, and nobody needs them


def root_of_unity(order: int) -> int:
    """An element of that multiplicative order, a power of two; w(order) = w(2 * order)^2."""
    return pow(GENERATOR, (P - 1) // order, P)


class Coset:
    """The n points g·w^i in the order above, with what a transform needs. Made by `coset` and shared.

    Raises ValueError unless n is a power of two of at most 2^16 and g is not 0.
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
    """The points g·w^i; with g = 1 the roots of unity themselves."""
    return Coset(size, generator)


def evaluate(points: Coset, coefficients: Vector, count: int | None = None) -> Vector:
    """Values uint64[count, C] of the polynomials coefficients[k, C], constant terms first, k <= n.

    At the first `count` points of the coset, all n when it is None. Raises ValueError for other shapes.
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
    """Coefficients uint64[n, C] of the polynomials with these values[n, C]. Raises ValueError for other shapes."""
    from . import transform_kernels as kernels

    out = np.empty_like(checked(values, points.size, None))
    kernels.interpolate(values, points.inverse_roots, inverse(points.size), out)
    return out


def vanishing(zeros: Sequence[int], points: Sequence[int]) -> list[int]:
    """The values at `points` of the polynomial with these zeros: the product of all (x - zero)."""
    from . import transform_kernels as kernels
    from .lanes import LANES

    padded = np.zeros((1, -(-len(points) // LANES) * LANES), dtype=np.uint64)
    padded[0, : len(points)] = points
    products = np.ones_like(padded)
    kernels.vanishing(padded, np.array(zeros, dtype=np.uint64), products)
    return [int(value) for value in products[0, : len(points)]]
