"""Cosets of roots of unity: the points at which transforms evaluate, and the tables that these need.

p - 1 is a multiple of 2^32, so F_p has roots of unity of every order 2^k with k <= 32. A *coset* here is the set of
the n = 2^k points g·w^i, where w is a root of unity of order n.

The order of the points is that of the remainder tree (:mod:`.ntt`): point j is g·w^b(j), where b reverses the log n
bits of j. So point j is the same for every n above j, and the first 2^i points are a coset too.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from .field import P, Vector, inverses

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
