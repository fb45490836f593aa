"""Opening at 128 to 1024 points, by a transform that goes through memory twice. Like `vectors`, slow to import.

A transform of n = 16·m points, m <= 64, needs no roots of unity but powers of two if it is done in two steps:

1. Points 16k ... 16k + 15 are g_k = points[16k] times the roots of unity of order 16. A transform of these 16 values
   in registers and a product of coefficient i with g_k^-i leave the polynomial's remainder modulo X^16 - g_k^16.
2. g_k^16 is g^16 times root k of order m. So for each i, a transform of the m remainders' coefficients i gives the
   polynomial's coefficients i + 16j, times g^16j. That factor does not hide whether a coefficient is zero. It is taken
   off later, and only from the rows that are used: to open one secret, all coefficients with the same j are added up
   first.

(The split into such steps is Bailey's, "FFTs in external or hierarchical memory", 1990.) By contrast, each level of
`transforms` reads and writes all rows, 256 KB for 1024 points, and multiplies half of them.

No branch depends on data. As in `vectors`, everything releases the GIL and trusts its caller, which is `erasures`.
"""

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from ..field import Vector
from .compiling import compiled
from .rows import COLUMNS, IN_1D, IN_2D, INDICES, OUT_2D, ZERO, add_rows, any_set, or_rows, product_rows, row_at
from .transforms import store_secrets
from .unrolled import BLOCK, join_8_rows, join_16_rows, join_32_rows, join_64_rows, join_block


@numba.njit
def _find_sources(rows, sources, column, room, addresses):  # type: ignore[no-untyped-def]
    """Set addresses[j] to that of rows[sources[j], column:], or of a copy in room[j], filled up with zeros."""
    columns = np.int64(rows.shape[1])
    whole = columns - column >= room.shape[1]
    for j in range(BLOCK):
        if whole:
            addresses[j] = np.int64(rows.ctypes.data) + 8 * (sources[j] * columns + column)
        else:
            for c in range(room.shape[1]):
                room[j, c] = rows[sources[j], column + c] if column + c < columns else ZERO
            addresses[j] = row_at(room, j)[0]


@numba.njit
def _first_step(rows, sources, weights, factors, column, room, addresses, buffer):  # type: ignore[no-untyped-def]
    """From shares to the remainders modulo X^16 - g_k^16; coefficient i of remainder k is put in row i·m + k."""
    groups = np.int64(buffer.shape[0] // BLOCK)
    for k in range(groups):
        first = BLOCK * k
        _find_sources(rows, sources[first : first + BLOCK], column, room, addresses)
        target, row = row_at(buffer, k)
        _join_at(addresses, weights, factors, first, target, groups * row, row)


@numba.njit
def _join_at(addresses, weights, factors, first, target, pitch, row):  # type: ignore[no-untyped-def]
    """`join_block` with the tables from `first` on. Takes addresses where arrays are arguments; `vectors` says why."""
    words, table = np.int64(addresses.ctypes.data), np.int64(8 * first)
    weight, factor = np.int64(weights.ctypes.data) + table, np.int64(factors.ctypes.data) + table
    join_block(words, weight, factor, target, pitch, row)


@numba.njit
def _second_step(buffer, i):  # type: ignore[no-untyped-def]
    """Take the m rows from i·m on, in place, to the coefficients i + 16j, each times g^16j."""
    groups = np.int64(buffer.shape[0] // BLOCK)
    first, row = row_at(buffer, i * groups)
    if groups == 64:
        join_64_rows(first, row)
    elif groups == 32:
        join_32_rows(first, row)
    elif groups == 16:
        join_16_rows(first, row)
    else:
        join_8_rows(first, row)


@numba.njit
def _second_steps(buffer, terms, kept, seen, room):  # type: ignore[no-untyped-def]
    """Do the second step for all i, and add the coefficients i + 16j with i >= kept to (i mod kept) + 16j.

    Returns whether a coefficient from `terms` on is not zero; `seen` and `room` are spare rows. All work on a group of
    rows is done while the group is in the cache.
    """
    groups = buffer.shape[0] // BLOCK
    target, row = row_at(seen, 0)
    seen[:] = ZERO
    for i in range(BLOCK):
        _second_step(buffer, i)
        for j in range(groups):
            source = row_at(buffer, i * groups + j)[0]
            if i + BLOCK * j >= terms:
                or_rows(target, source, ZERO, row)
            elif i >= kept:
                add_rows(row_at(buffer, i % kept * groups + j)[0], source, ZERO, row)
    return any_set(seen, 0, 1, room)


@numba.njit
def _fold(buffer, terms, kept, turns, secrets):  # type: ignore[no-untyped-def]
    """The remainder modulo X^l - 1, which vanishes where the secrets sit, from the rows that `_second_steps` left.

    X^(i + 16j) is X^(i mod l) where l divides 16, and X^(i + 16·(j mod l/16)) otherwise.
    """
    groups = buffer.shape[0] // BLOCK
    wrapped = max(1, secrets.shape[0] // BLOCK)
    for i in range(kept):
        for j in range(groups):
            if i + BLOCK * j < terms:
                source, row = row_at(buffer, i * groups + j)
                target = row_at(secrets, i + BLOCK * (j % wrapped))[0]
                if j < wrapped:
                    product_rows(target, source, turns[j], row)
                else:
                    product_rows(source, source, turns[j], row)
                    add_rows(target, source, ZERO, row)


@compiled(types.int64(IN_2D, INDICES, IN_1D, IN_2D, types.int64, IN_1D, IN_1D, IN_1D, OUT_2D))
def open_with_erasures(
    rows: Vector,
    sources: NDArray[np.int64],
    weights: Vector,
    factors: Vector,
    terms: int,
    turns: Vector,
    secret_roots: Vector,
    secret_weights: Vector,
    out: Vector,
) -> int:
    """As `transform_kernels.open_with_erasures`, for n = sources.size points, 128 <= n <= 1024.

    Args:
        rows: the shares.
        sources: by point j, [n]: rows[sources[j]] is its share, or any row where the share is missing.
        weights: A / n by point, [n]; 0 where the share is missing.
        factors: g_k^-i, [m, 16].
        terms: as there.
        turns: g^-16j, [m].
        secret_roots: as there.
        secret_weights: as there.
        out: the secrets.

    Returns:
        As there.
    """
    pack = secret_roots.size
    kept = min(pack, BLOCK)
    buffer = np.empty((sources.size, COLUMNS), dtype=np.uint64)
    secrets = np.empty((pack, COLUMNS), dtype=np.uint64)
    room = np.empty((BLOCK, COLUMNS), dtype=np.uint64)
    seen, spare = np.empty((1, COLUMNS), dtype=np.uint64), np.empty((1, COLUMNS), dtype=np.uint64)
    addresses = np.empty(BLOCK, dtype=np.int64)
    wrong = 0
    for column in range(0, out.shape[1], COLUMNS):
        _first_step(rows, sources, weights, factors, column, room, addresses, buffer)
        wrong += int(_second_steps(buffer, terms, kept, seen, spare))
        _fold(buffer, terms, kept, turns, secrets)
        store_secrets(secrets, secret_roots, secret_weights, out, column, spare)
    return wrong
