"""Opening by transform although shares are missing: what the compiled kernels need to know, and which one to ask.

Let A be the polynomial that vanishes at the points of the coset whose shares are missing. Then A times a shared
polynomial is known at all points, zeros included, and its coefficients, at most as many as there are missing points and
K together, follow by one transform: from there on they must be zero, or the shares are not of one sharing. Secrets come
from what is left modulo X^l - 1, which vanishes where they sit, and are divided by A there (Soro and Lacan, "FNT-based
Reed-Solomon erasure codes", 2010).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .field import P, Vector, inverse, inverses
from .ntt import Coset, coset, vanishing


def in_blocks(size: int) -> bool:
    """Whether a transform of that many points can be done in two steps, whose small transforms need no products."""
    return 128 <= size <= 1024


def opened(holders: Coset, secrets: Coset, indices: Sequence[int], rows: Vector, threshold: int) -> Vector | None:
    """The secrets uint64[l, C] behind rows[m', C], row i being the share at point indices[i] of `holders`.

    None if the rows do not lie on polynomials of degree below the threshold. Trusts that there are as many rows as
    indices, at least `threshold`, and no index twice.
    """
    present = set(indices)
    missing = [point for j, point in enumerate(holders.points) if j not in present]
    erased = vanishing(missing, [*(holders.points[index] for index in indices), *secrets.points])
    scale = inverse(holders.size)
    weights = np.array([value * scale % P for value in erased[: len(indices)]], dtype=np.uint64)
    at_secrets = np.array(inverses(erased[len(indices) :]), dtype=np.uint64)
    terms = len(missing) + threshold
    out = np.empty((secrets.size, rows.shape[1]), dtype=np.uint64)
    if in_blocks(holders.size):
        wrong = _open_in_blocks(holders, indices, rows, weights, terms, secrets.roots, at_secrets, out)
    else:
        from . import transform_kernels as kernels

        positions, inward = np.array(indices, dtype=np.int64), holders.inverse_roots
        wrong = kernels.open_with_erasures(rows, positions, weights, inward, terms, secrets.roots, at_secrets, out)
    return None if wrong else out


def _open_in_blocks(
    holders: Coset,
    indices: Sequence[int],
    rows: Vector,
    weights: Vector,
    terms: int,
    secret_roots: Vector,
    at_secrets: Vector,
    out: Vector,
) -> int:
    from . import block_kernels as kernels

    sources, by_point = np.zeros(holders.size, dtype=np.int64), np.zeros(holders.size, dtype=np.uint64)
    sources[indices], by_point[indices] = range(len(indices)), weights
    factors, turns = _block_tables(holders.size, holders.generator)
    return kernels.open_with_erasures(rows, sources, by_point, factors, terms, turns, secret_roots, at_secrets, out)


@lru_cache(maxsize=32)
def _block_tables(size: int, generator: int) -> tuple[Vector, Vector]:
    """For block k of 16 points, which begins with g_k: g_k^-i for all i < 16; and g^-16k."""
    first_points = coset(size, generator).points[::16]
    factors = [[pow(point, -i, P) for i in range(16)] for point in first_points]
    turns = [pow(generator, -16 * k, P) for k in range(len(first_points))]
    return np.array(factors, dtype=np.uint64), np.array(turns, dtype=np.uint64)
