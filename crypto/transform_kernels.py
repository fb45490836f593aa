"""The compiled inner loops of number-theoretic transforms. Like `kernels`, costly to import.

A transform works on columns: row i of a buffer holds coefficient i of a few polynomials, and each butterfly
combines two whole rows with one factor. All polynomials are so treated alike, several words at a time.

Nothing branches on data or looks anything up by it, so the time taken depends on sizes only.

As in `kernels`, everything releases the GIL and trusts its caller, which is `ntt`.
"""

from typing import Any, Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from .field import Vector
from .kernels import compiled
from .lanes import WORD, Lanes, copy_rows, row_operation

_IN_1D: Final = types.Array(types.uint64, 1, "C", readonly=True)
_IN_2D: Final = types.Array(types.uint64, 2, "C", readonly=True)
_OUT_2D: Final = types.Array(types.uint64, 2, "C")
_INDICES: Final = types.Array(types.int64, 1, "C", readonly=True)

_ZERO: Final = np.uint64(0)

# Columns that are transformed at a time, a multiple of the lanes: few, so that 1024 rows stay in the cache
# next to the core. A ring's polynomials have 4096 coefficients, so fewer of them.
_COLUMNS: Final = 32
_RING_COLUMNS: Final = 8
_TILE: Final = 8  # words in a cache line


def _split(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (a + factor * b, a - factor * b)."""
    a, b = lanes.load(first), lanes.product(lanes.load(second), factor)
    lanes.store(lanes.sum(a, b), first)
    lanes.store(lanes.difference(a, b), second)


def _join(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (a + b, (a - b) * factor): with the inverse factor, twice what `_split` started from."""
    a, b = lanes.load(first), lanes.load(second)
    lanes.store(lanes.sum(a, b), first)
    lanes.store(lanes.product(lanes.difference(a, b), factor), second)


def _fork(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (a + b, a - b)."""
    a, b = lanes.load(first), lanes.load(second)
    lanes.store(lanes.sum(a, b), first)
    lanes.store(lanes.difference(a, b), second)


def _product(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (factor * b, b)."""
    lanes.store(lanes.product(lanes.load(second), factor), first)


def _add(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (a + b, b)."""
    lanes.store(lanes.sum(lanes.load(first), lanes.load(second)), first)


def _subtract(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (a - b, b)."""
    lanes.store(lanes.difference(lanes.load(first), lanes.load(second)), first)


def _read(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (b, b), and the columns behind b are asked for."""
    lanes.store(lanes.load(second), first)
    lanes.fetch(lanes.builder.add(second, WORD(8 * _COLUMNS)))


def _read_product(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (factor * b, b), and the columns behind b are asked for."""
    lanes.store(lanes.product(lanes.load(second), factor), first)
    lanes.fetch(lanes.builder.add(second, WORD(8 * _COLUMNS)))


def _write(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (b, b), and the columns behind a are asked for."""
    lanes.store(lanes.load(second), first)
    lanes.fetch(lanes.builder.add(first, WORD(8 * _COLUMNS)), for_writing=True)


def _or(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (a | b, b): bits, not elements."""
    lanes.store(lanes.builder.or_(lanes.load(first), lanes.load(second)), first)


def _times_distance(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (a * (b - factor), b)."""
    distance = lanes.difference(lanes.load(second), factor)
    lanes.store(lanes.product(lanes.load(first), distance), first)


_split_rows: Any = row_operation(_split)
_join_rows: Any = row_operation(_join)
_fork_rows: Any = row_operation(_fork)
_product_rows: Any = row_operation(_product)
_add_rows: Any = row_operation(_add)
_subtract_rows: Any = row_operation(_subtract)
_read_rows: Any = row_operation(_read)
_read_product_rows: Any = row_operation(_read_product)
_write_rows: Any = row_operation(_write)
_or_rows: Any = row_operation(_or)
_times_distance_rows: Any = row_operation(_times_distance)


@numba.njit
def _split_all(buffer, filled, size, roots):  # type: ignore[no-untyped-def]
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
                _split_rows(start + i * row, start + (i + distance) * row, roots[nodes + node], row)
            for i in range(first + pairs, first + left):
                copy_rows(start + (i + distance) * row, start + i * row, _ZERO, row)
        nodes, distance, filled = 2 * nodes, distance // 2, left


@numba.njit
def _join_all(buffer, size, inverse_roots, parts):  # type: ignore[no-untyped-def]
    """The first `size` rows from values to `size` times the coefficients, in place.

    With parts = 2, to half as much of the coefficients of the remainders at the root's two children.
    """
    start, row = np.int64(buffer.ctypes.data), np.int64(buffer.shape[1] * 8)
    nodes, distance = size // 2, 1
    while nodes >= parts:
        for node in range(nodes):
            for i in range(2 * node * distance, (2 * node + 1) * distance):
                _join_rows(start + i * row, start + (i + distance) * row, inverse_roots[nodes + node], row)
        nodes, distance = nodes // 2, 2 * distance


@numba.njit
def _row(buffer, i):  # type: ignore[no-untyped-def]
    """The address of row i, and a row's size in bytes."""
    size = np.int64(buffer.shape[1] * 8)
    return np.int64(buffer.ctypes.data) + i * size, size


@numba.njit
def _source(values, i, column, fresh):  # type: ignore[no-untyped-def]
    """The address of values[i, column:] where these are enough columns, else of the row `fresh`, which is filled with
    them and with zeros behind them."""
    count = values.shape[1] - column
    if count >= fresh.shape[1]:
        return np.int64(values.ctypes.data) + 8 * (i * np.int64(values.shape[1]) + column)
    for c in range(fresh.shape[1]):
        fresh[0, c] = values[i, column + c] if c < count else _ZERO
    return np.int64(fresh.ctypes.data)


@numba.njit
def _load(buffer, i, values, j, column, fresh):  # type: ignore[no-untyped-def]
    """Row i = values[j, column:], as far as they go; zeros behind them."""
    target, row = _row(buffer, i)
    _read_rows(target, _source(values, j, column, fresh), _ZERO, row)


@numba.njit
def _load_product(buffer, i, factor, values, j, column, fresh):  # type: ignore[no-untyped-def]
    """Row i = factor * values[j, column:]."""
    target, row = _row(buffer, i)
    _read_product_rows(target, _source(values, j, column, fresh), factor, row)


@numba.njit
def _store(buffer, i, values, j, column):  # type: ignore[no-untyped-def]
    """values[j, column:] = row i, as far as they go."""
    count = values.shape[1] - column
    if count >= buffer.shape[1]:
        source, row = _row(buffer, i)
        _write_rows(np.int64(values.ctypes.data) + 8 * (j * np.int64(values.shape[1]) + column), source, _ZERO, row)
    else:
        for c in range(count):
            values[j, column + c] = buffer[i, c]


@numba.njit
def _any(buffer, first, stop, seen):  # type: ignore[no-untyped-def]
    """Whether anything but zeros is in these rows; `seen` is a row of room."""
    target, row = _row(seen, 0)
    seen[:] = _ZERO
    for i in range(first, stop):
        _or_rows(target, _row(buffer, i)[0], _ZERO, row)
    found = _ZERO
    for c in range(seen.shape[1]):
        found |= seen[0, c]
    return found != _ZERO


@compiled(types.void(_IN_2D, _IN_1D, _OUT_2D))
def evaluate(coefficients: Vector, roots: Vector, out: Vector) -> None:
    """out[m, C] = the first m of the n = roots.size values of the polynomials coefficients[k, C]; k, m <= n."""
    filled = coefficients.shape[0]
    buffer = np.zeros((roots.size, _COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, _COLUMNS), dtype=np.uint64)
    for column in range(0, out.shape[1], _COLUMNS):
        for i in range(filled):
            _load(buffer, i, coefficients, i, column, fresh)
        _split_all(buffer, filled, roots.size, roots)
        for i in range(out.shape[0]):
            _store(buffer, i, out, i, column)


@compiled(types.void(_IN_2D, _IN_1D, types.uint64, _OUT_2D))
def interpolate(values: Vector, inverse_roots: Vector, scale: int, out: Vector) -> None:
    """out[n, C] = the coefficients of n * scale times the polynomials with the values values[n, C]."""
    size = inverse_roots.size
    buffer = np.empty((size, _COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, _COLUMNS), dtype=np.uint64)
    for column in range(0, out.shape[1], _COLUMNS):
        for i in range(size):
            _load_product(buffer, i, scale, values, i, column, fresh)
        _join_all(buffer, size, inverse_roots, 1)
        for i in range(size):
            _store(buffer, i, out, i, column)


@compiled(types.void(_IN_2D, _IN_2D, _IN_1D, types.uint64, _IN_1D, _OUT_2D))
def share(secrets: Vector, randomness: Vector, inverse_roots: Vector, scale: int, roots: Vector, out: Vector) -> None:
    """out[m, C] = values of S + (X^l - 1)·R, where S has the values secrets[l, C] and R these coefficients.

    inverse_roots[l] and scale = 1 / l lead from the secrets to S, roots[n] from coefficients to values.
    """
    pack = secrets.shape[0]
    filled = pack + randomness.shape[0]
    buffer = np.empty((roots.size, _COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, _COLUMNS), dtype=np.uint64)
    for column in range(0, out.shape[1], _COLUMNS):
        for i in range(pack):
            _load_product(buffer, i, scale, secrets, i, column, fresh)
        _join_all(buffer, pack, inverse_roots, 1)
        for i in range(randomness.shape[0]):
            _load(buffer, i + pack, randomness, i, column, fresh)
            target, row = _row(buffer, i)
            _subtract_rows(target, _row(buffer, i + pack)[0], _ZERO, row)
        _split_all(buffer, filled, roots.size, roots)
        for i in range(out.shape[0]):
            _store(buffer, i, out, i, column)


@numba.njit
def _last_join(buffer, size, factor, terms, pack, room):  # type: ignore[no-untyped-def]
    """The last level of `_join_all`, down to what is left modulo X^l - 1, l = pack, which vanishes where secrets sit.

    Returns whether a coefficient from `terms` on is not zero; `room` is a row. The factor, which all of the upper half
    shares, is applied when only l rows are left of it.
    """
    half = size // 2
    start, row = _row(buffer, 0)
    for i in range(half):
        _fork_rows(start + i * row, start + (i + half) * row, _ZERO, row)
    wrong = _any(buffer, max(terms, half), size, room) or _any(buffer, min(terms, half), half, room)
    for i in range(pack, min(terms, half)):
        _add_rows(start + (i % pack) * row, start + i * row, _ZERO, row)
    for i in range(half + pack, terms):
        _add_rows(start + (half + i % pack) * row, start + i * row, _ZERO, row)
    for i in range(pack):
        _product_rows(start + (half + i) * row, start + (half + i) * row, factor, row)
        _add_rows(start + i * row, start + (half + i) * row, _ZERO, row)
    return wrong


@compiled(types.int64(_IN_2D, _INDICES, _IN_1D, _IN_1D, types.int64, _IN_1D, _IN_1D, _OUT_2D))
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
    buffer = np.empty((size, _COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, _COLUMNS), dtype=np.uint64)
    missing = np.ones(size, dtype=np.bool_)
    for position in positions:
        missing[position] = False
    wrong = 0
    for column in range(0, out.shape[1], _COLUMNS):
        for i in range(size):
            if missing[i]:
                buffer[i] = _ZERO
        for i in range(positions.size):
            _load_product(buffer, positions[i], weights[i], rows, i, column, fresh)
        _join_all(buffer, size, inverse_roots, 2)
        wrong += int(_last_join(buffer, size, inverse_roots[1], terms, pack, fresh))
        _split_all(buffer, pack, pack, secret_roots)
        for i in range(pack):
            _load_product(fresh, 0, secret_weights[i], buffer, i, 0, fresh)
            _store(fresh, 0, out, i, column)
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


@compiled(types.void(_IN_2D, _IN_1D, _IN_1D, _OUT_2D))
def ring_product(values: Vector, factor: Vector, inverse_roots: Vector, out: Vector) -> None:
    """out[b, n] = the coefficients of n times the polynomials whose values are values[b, n] * factor[n]."""
    size = factor.size
    buffer = np.zeros((size, _RING_COLUMNS), dtype=np.uint64)
    for first in range(0, values.shape[0], _RING_COLUMNS):
        count = min(_RING_COLUMNS, values.shape[0] - first)
        _turn(values, first, count, buffer, False)
        for i in range(size):
            target, row = _row(buffer, i)
            _product_rows(target, target, factor[i], row)
        _join_all(buffer, size, inverse_roots, 1)
        _turn(buffer, first, count, out, True)


@compiled(types.void(_IN_2D, _IN_1D, _OUT_2D))
def vanishing(points: Vector, zeros: Vector, out: Vector) -> None:
    """out[1, k] *= the product over all zeros of (points[1, k] - zero); k a multiple of LANES."""
    target, source = np.int64(out.ctypes.data), np.int64(points.ctypes.data)
    for zero in zeros:
        _times_distance_rows(target, source, zero, np.int64(8 * points.size))
