"""Number-theoretic transforms: polynomials over F_p at roots of unity, in n·log n steps.

The transform takes a polynomial's coefficients to its values at all n points of a coset (:mod:`.cosets`), which are the
zeros of X^n - g^n; the inverse transform takes them back.

The method is the remainder tree. X^2h - r^2 = (X^h - r)(X^h + r), so the remainder of a polynomial modulo the left
side splits into its remainders modulo the two factors, a + r·b and a - r·b for each pair (a, b) of coefficients: one
multiplication for each pair. After log n such levels the remainders are the values. The factor g enters through the
r's alone, so a coset costs no more than the roots of unity themselves (Longa and Naehrig, "Speeding up the number
theoretic transform for faster ideal lattice-based cryptography", 2016, for g^n = -1).

The order of the points is the tree's, as :mod:`.cosets` has it.
"""

from collections.abc import Sequence

import numpy as np

from .cosets import Coset
from .field import Vector, inverse
from .vectors import checked


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
    from .kernels import transforms as kernels

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
    from .kernels import transforms as kernels

    out = np.empty_like(checked(values, points.size, None))
    kernels.interpolate(values, points.inverse_roots, inverse(points.size), out)
    return out


def vanishing(zeros: Sequence[int], points: Sequence[int]) -> list[int]:
    """The value at each of the points x of the monic polynomial with these zeros: the product of all (x - zero)."""
    from .kernels import transforms as kernels
    from .kernels.words import LANES

    padded = np.zeros((1, -(-len(points) // LANES) * LANES), dtype=np.uint64)
    padded[0, : len(points)] = points
    products = np.ones_like(padded)
    kernels.vanishing(padded, np.array(zeros, dtype=np.uint64), products)
    return [int(value) for value in products[0, : len(points)]]
