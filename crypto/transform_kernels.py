"""The compiled inner loops of number-theoretic transforms. Like `kernels`, costly to import.

A transform works on the columns of a buffer of `rows`: each butterfly combines two whole rows with one factor.

Nothing branches on data or looks anything up by it, so the time taken depends on sizes only.

As in `kernels`, everything releases the GIL and trusts its caller, which is `ntt`.
"""

from typing import Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from .compiling import compiled
from .field import Vector
from .lanes import copy_rows
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

_RING_COLUMNS: Final = 8  # a ring's polynomials have 4096 coefficients, so fewer columns of them stay in the cache
_TILE: Final = 8  # words in a cache line


@numba.njit
def split_all(buffer, filled, size, roots):  # type: ignore[no-untyped-def]
    """The first `size` rows from coefficients to values, in place; see `ntt` for the order.

    Only the first `filled` coefficients count, the rest are taken to be zero: what is in their rows does not matter.
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
    """The first `size` rows from values to `size` times the coefficients, in place.

    With parts = 2, to half as much of the coefficients of the remainders at the root's two children.
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
    """out[m, C] = the first m of the n = roots.size values of the polynomials coefficients[k, C]; k, m <= n."""
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
    """out[n, C] = the coefficients of n * scale times the polynomials with the values values[n, C]."""
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
    """out[m, C] = values of S + (X^l - 1)·R, where S has the values secrets[l, C] and R these coefficients.

    inverse_roots[l] and scale = 1 / l lead from the secrets to S, roots[n] from coefficients to values.
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
    """The last level of `join_all`, down to what is left modulo X^l - 1, l = pack, which vanishes where secrets sit.

    Returns whether a coefficient from `terms` on is not zero; `room` is a row. The factor, which all of the upper half
    shares, is applied when only l rows are left of it.
    """
    half = size // 2
    start, row = row_at(buffer, 0)
    for i in range(half):
        fork_rows(start + i * row, start + (i + half) * row, ZERO, row)
    wrong = any_set(buffer, max(terms, half), size, room) or any_set(buffer, min(terms, half), half, room)
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
    """out[l, column:] = weights times the values where the secrets sit, from what is left modulo X^l - 1 in the first l
    rows; `room` is a row."""
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
    """out[l, C] = the secrets behind rows[m', C], row i being the value at positions[i] of n = inverse_roots.size.

    weights[m']: A / n at these positions, where A is the polynomial that vanishes at all others;
    secret_weights[l]: 1 / A where the secrets sit. `terms` is the number of coefficients of A times a shared
    polynomial. Returns in how many blocks of columns a coefficient beyond these is not zero: none, if the rows are of
    one sharing.
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
    """target[i, b] = source[first + b, i], or the way back: target[first + b, i] = source[i, b]; for all b < count.

    A cache line of each row at a time: neither side is gone through with long strides twice.
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
    """out[b, n] = the coefficients of n times the polynomials whose values are values[b, n] * factor[n]."""
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
    """out[1, k] *= the product over all zeros of (points[1, k] - zero); k a multiple of LANES."""
    target, source = np.int64(out.ctypes.data), np.int64(points.ctypes.data)
    for zero in zeros:
        times_distance_rows(target, source, zero, np.int64(8 * points.size))
