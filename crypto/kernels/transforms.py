"""The compiled inner loops of number-theoretic transforms. Like `vectors`, slow to import.

A transform works on the columns of a buffer (`rows`): each butterfly combines two whole rows with one factor.

No branch and no address depends on data, so the time depends on sizes only.

As in `vectors`, everything releases the GIL and trusts its callers: `ntt`, `shamir`, `erasures` and `masks.ring`.
"""

from typing import Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from ..field import Vector
from .compiling import compiled
from .rows import (
    COLUMNS,
    IN_1D,
    IN_2D,
    INDICES,
    OUT_2D,
    ZERO,
    add_rows,
    any_set,
    fork_rows,
    join_rows,
    load,
    load_product,
    product_rows,
    row_at,
    split_rows,
    store,
    subtract_rows,
    times_distance_rows,
)
from .words import copy_rows

_RING_COLUMNS: Final = 8  # fewer than COLUMNS, so that a ring's polynomials, of 4096 coefficients, stay in the cache
_TILE: Final = 8  # words in a cache line


@numba.njit
def split_all(buffer, filled, size, roots):  # type: ignore[no-untyped-def]
    """Take the first `size` rows from coefficients to values, in place; see `ntt` for the order.

    Only the first `filled` coefficients count. The others are taken to be zero, whatever their rows hold.
    """
    start, row = np.int64(buffer.ctypes.data), np.int64(buffer.shape[1] * 8)
    nodes, distance = 1, size // 2
    while distance:
        pairs, left = max(0, filled - distance), min(filled, distance)
        for node in range(nodes):
            first = 2 * node * distance
            for i in range(first, first + pairs):
                split_rows(start + i * row, start + (i + distance) * row, roots[nodes + node], row)
            for i in range(first + pairs, first + left):
                copy_rows(start + (i + distance) * row, start + i * row, ZERO, row)
        nodes, distance, filled = 2 * nodes, distance // 2, left


@numba.njit
def join_all(buffer, size, inverse_roots, parts):  # type: ignore[no-untyped-def]
    """Take the first `size` rows from values to `size` times the coefficients, in place.

    With parts = 2 the last level is left out: the rows become size / 2 times the coefficients of the remainders at the
    two children of the tree's root.
    """
    start, row = np.int64(buffer.ctypes.data), np.int64(buffer.shape[1] * 8)
    nodes, distance = size // 2, 1
    while nodes >= parts:
        for node in range(nodes):
            for i in range(2 * node * distance, (2 * node + 1) * distance):
                join_rows(start + i * row, start + (i + distance) * row, inverse_roots[nodes + node], row)
        nodes, distance = nodes // 2, 2 * distance


@compiled(types.void(IN_2D, IN_1D, OUT_2D))
def evaluate(coefficients: Vector, roots: Vector, out: Vector) -> None:
    """Set out[m, C] to the first m of the n = roots.size values of the polynomials coefficients[k, C]; k, m <= n."""
    filled = coefficients.shape[0]
    buffer = np.zeros((roots.size, COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, COLUMNS), dtype=np.uint64)
    for column in range(0, out.shape[1], COLUMNS):
        for i in range(filled):
            load(buffer, i, coefficients, i, column, fresh)
        split_all(buffer, filled, roots.size, roots)
        for i in range(out.shape[0]):
            store(buffer, i, out, i, column)


@compiled(types.void(IN_2D, IN_1D, types.uint64, OUT_2D))
def interpolate(values: Vector, inverse_roots: Vector, scale: int, out: Vector) -> None:
    """Set out[n, C] to the coefficients of n * scale times the polynomials with these values[n, C]."""
    size = inverse_roots.size
    buffer = np.empty((size, COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, COLUMNS), dtype=np.uint64)
    for column in range(0, out.shape[1], COLUMNS):
        for i in range(size):
            load_product(buffer, i, scale, values, i, column, fresh)
        join_all(buffer, size, inverse_roots, 1)
        for i in range(size):
            store(buffer, i, out, i, column)


@compiled(types.void(IN_2D, IN_2D, IN_1D, types.uint64, IN_1D, OUT_2D))
def share(secrets: Vector, randomness: Vector, inverse_roots: Vector, scale: int, roots: Vector, out: Vector) -> None:
    """Set out[m, C] to values of S + (X^l - 1)·R; S has the values secrets[l, C], and R the coefficients `randomness`.

    inverse_roots[l] and scale = 1 / l lead from the secrets to S, and roots[n] lead from coefficients to values.
    """
    pack = secrets.shape[0]
    filled = pack + randomness.shape[0]
    buffer = np.empty((roots.size, COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, COLUMNS), dtype=np.uint64)
    for column in range(0, out.shape[1], COLUMNS):
        for i in range(pack):
            load_product(buffer, i, scale, secrets, i, column, fresh)
        join_all(buffer, pack, inverse_roots, 1)
        for i in range(randomness.shape[0]):
            load(buffer, i + pack, randomness, i, column, fresh)
            target, row = row_at(buffer, i)
            subtract_rows(target, row_at(buffer, i + pack)[0], ZERO, row)
        split_all(buffer, filled, roots.size, roots)
        for i in range(out.shape[0]):
            store(buffer, i, out, i, column)


@numba.njit
def _last_join(buffer, size, factor, terms, pack, room):  # type: ignore[no-untyped-def]
    """The last level of `join_all`, then the remainder modulo X^l - 1, l = pack, which vanishes where the secrets sit.

    Returns whether a coefficient from `terms` on is not zero; `room` is a spare row. The factor, which is the same for
    all of the upper half, is applied after the half has been reduced to l rows.
    """
    half = size // 2
    start, row = row_at(buffer, 0)
    for i in range(half):
        fork_rows(start + i * row, start + (i + half) * row, ZERO, row)
    wrong = any_set(buffer, max(terms, half), size, room) or any_set(buffer, min(terms, half), half, room)
    # Coefficients from `terms` on are zero if the shares are of one sharing, and otherwise the result does not count.
    for i in range(pack, min(terms, half)):
        add_rows(start + (i % pack) * row, start + i * row, ZERO, row)
    for i in range(half + pack, terms):
        add_rows(start + (half + i % pack) * row, start + i * row, ZERO, row)
    for i in range(pack):
        product_rows(start + (half + i) * row, start + (half + i) * row, factor, row)
        add_rows(start + i * row, start + (half + i) * row, ZERO, row)
    return wrong


@numba.njit
def store_secrets(buffer, roots, weights, out, column, room):  # type: ignore[no-untyped-def]
    """Set out[l, column:] to weights times the values where the secrets sit.

    The first l rows hold the coefficients of the remainder modulo X^l - 1; `room` is a spare row.
    """
    pack = roots.size
    split_all(buffer, pack, pack, roots)
    for i in range(pack):
        load_product(room, 0, weights[i], buffer, i, 0, room)
        store(room, 0, out, i, column)


@compiled(types.int64(IN_2D, INDICES, IN_1D, IN_1D, types.int64, IN_1D, IN_1D, OUT_2D))
def open_with_erasures(
    rows: Vector,
    positions: NDArray[np.int64],
    weights: Vector,
    inverse_roots: Vector,
    terms: int,
    secret_roots: Vector,
    secret_weights: Vector,
    out: Vector,
) -> int:
    """Set out[l, C] to the secrets behind rows[m', C]; row i is the value at point positions[i] of n.

    Let A be the polynomial that vanishes at all other points (see `erasures`).

    Args:
        rows: the shares.
        positions: the places of their points in the coset.
        weights: A / n at these points, [m'].
        inverse_roots: of the coset of n points, [n].
        terms: the number of coefficients of A times a shared polynomial.
        secret_roots: of the l roots of unity where the secrets sit, [l].
        secret_weights: 1 / A there, [l].
        out: the secrets.

    Returns:
        The number of blocks of columns in which a coefficient from `terms` on is not zero: 0 if the rows are of one
        sharing.
    """
    size, pack = inverse_roots.size, secret_roots.size
    buffer = np.empty((size, COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, COLUMNS), dtype=np.uint64)
    missing = np.ones(size, dtype=np.bool_)
    for position in positions:
        missing[position] = False
    wrong = 0
    for column in range(0, out.shape[1], COLUMNS):
        for i in range(size):
            if missing[i]:
                buffer[i] = ZERO
        for i in range(positions.size):
            load_product(buffer, positions[i], weights[i], rows, i, column, fresh)
        join_all(buffer, size, inverse_roots, 2)
        wrong += int(_last_join(buffer, size, inverse_roots[1], terms, pack, fresh))
        store_secrets(buffer, secret_roots, secret_weights, out, column, fresh)
    return wrong


@numba.njit
def _turn(source, first, count, target, back):  # type: ignore[no-untyped-def]
    """Set target[i, b] to source[first + b, i], or with `back` target[first + b, i] to source[i, b], for all b < count.

    Works on one cache line of each row at a time, so neither side is passed over with long strides more than once.
    """
    size = source.shape[0] if back else source.shape[1]
    for start in range(0, size, _TILE):
        stop = min(size, start + _TILE)
        for b in range(count):
            if back:
                for i in range(start, stop):
                    target[first + b, i] = source[i, b]
            else:
                for i in range(start, stop):
                    target[i, b] = source[first + b, i]


@compiled(types.void(IN_2D, IN_1D, IN_1D, OUT_2D))
def ring_product(values: Vector, factor: Vector, inverse_roots: Vector, out: Vector) -> None:
    """Set out[b, n] to the coefficients of n times the polynomials whose values are values[b, n] * factor[n]."""
    size = factor.size
    buffer = np.zeros((size, _RING_COLUMNS), dtype=np.uint64)
    for first in range(0, values.shape[0], _RING_COLUMNS):
        count = min(_RING_COLUMNS, values.shape[0] - first)
        _turn(values, first, count, buffer, False)
        for i in range(size):
            target, row = row_at(buffer, i)
            product_rows(target, target, factor[i], row)
        join_all(buffer, size, inverse_roots, 1)
        _turn(buffer, first, count, out, True)


@compiled(types.void(IN_2D, IN_1D, OUT_2D))
def vanishing(points: Vector, zeros: Vector, out: Vector) -> None:
    """Multiply out[1, k] by the product over all zeros of (points[1, k] - zero); k is a multiple of LANES."""
    target, source = np.int64(out.ctypes.data), np.int64(points.ctypes.data)
    for zero in zeros:
        times_distance_rows(target, source, zero, np.int64(8 * points.size))
