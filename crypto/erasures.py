"""Opening by transform although shares are missing: prepares the tables of the compiled kernels and chooses a kernel.

Let A be the polynomial that vanishes at the points of the coset whose shares are missing. Then A times a shared
polynomial is known at all points: where a share is missing it is 0. One transform gives its coefficients. Its degree is
below the number of missing points plus K; if a coefficient from there on is not zero, the shares are not of one
sharing. The remainder of the product modulo X^l - 1, which vanishes where the l secrets sit, has the product's values
there. Divided by the values of A they are the secrets (Soro and Lacan, "FNT-based Reed-Solomon erasure codes", 2010).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .cosets import Coset, coset
from .field import P, Vector, inverse, inverses
from .ntt import vanishing


def in_blocks(size: int) -> bool:
    """Whether `block_shares` can open at so many points: by two steps, whose small transforms need no products."""
    return 128 <= size <= 1024


def opened(holders: Coset, secrets: Coset, indices: Sequence[int], rows: Vector, threshold: int) -> Vector | None:
    """The secrets, uint64[l, C], behind rows[m', C]; row i is the share at point indices[i] of `holders`.

    None if the rows do not lie on polynomials of degree below the threshold. Trusts its caller that there are as many
    rows as indices, that they are at least `threshold`, and that no index occurs twice.
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
        from .kernels import transforms as kernels

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
    from .kernels import block_shares as kernels

    sources, by_point = np.zeros(holders.size, dtype=np.int64), np.zeros(holders.size, dtype=np.uint64)
    sources[indices], by_point[indices] = range(len(indices)), weights
    factors, turns = _block_tables(holders.size, holders.generator)
    return kernels.open_with_erasures(rows, sources, by_point, factors, terms, turns, secret_roots, at_secrets, out)


@lru_cache(maxsize=32)
def _block_tables(size: int, generator: int) -> tuple[Vector, Vector]:
    """Two tables by block k of 16 points, whose first point is g_k: g_k^-i for all i < 16, and g^-16k."""
    first_points = coset(size, generator).points[::16]
    factors = [[pow(point, -i, P) for i in range(16)] for point in first_points]
    turns = [pow(generator, -16 * k, P) for k in range(len(first_points))]
    return np.array(factors, dtype=np.uint64), np.array(turns, dtype=np.uint64)
