"""The compiled inner loops of number-theoretic transforms. Like `kernels`, costly to import.

A transform works on columns: row i of a buffer holds coefficient i of a few polynomials, and each butterfly
combines two whole rows with one factor. All polynomials are so treated alike, four words at a time.

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
from .lanes import Lanes, row_operation

_IN_1D: Final = types.Array(types.uint64, 1, "C", readonly=True)
_IN_2D: Final = types.Array(types.uint64, 2, "C", readonly=True)
_OUT_2D: Final = types.Array(types.uint64, 2, "C")
_INDICES: Final = types.Array(types.int64, 1, "C", readonly=True)

_ZERO: Final = np.uint64(0)

# Columns that are transformed at a time, a multiple of the lanes: few, so that 1024 rows stay in the cache
# next to the core. A ring's polynomials have 4096 coefficients, so fewer of them.
_COLUMNS: Final = 32
_RING_COLUMNS: Final = 8


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


def _add_product(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (a + factor * b, b)."""
    b = lanes.product(lanes.load(second), factor)
    lanes.store(lanes.sum(lanes.load(first), b), first)


def _add(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (a + b, b)."""
    lanes.store(lanes.sum(lanes.load(first), lanes.load(second)), first)


def _subtract(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (a - b, b)."""
    lanes.store(lanes.difference(lanes.load(first), lanes.load(second)), first)


def _times_distance(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (a * (b - factor), b)."""
    distance = lanes.difference(lanes.load(second), factor)
    lanes.store(lanes.product(lanes.load(first), distance), first)


_split_rows: Any = row_operation(_split)
_join_rows: Any = row_operation(_join)
_add_product_rows: Any = row_operation(_add_product)
_add_rows: Any = row_operation(_add)
_subtract_rows: Any = row_operation(_subtract)
_times_distance_rows: Any = row_operation(_times_distance)


@numba.njit
def _split_all(buffer, size, roots):  # type: ignore[no-untyped-def]
    """The first `size` rows from coefficients to values, in place; see `ntt.Tree` for the order."""
    start, row = np.int64(buffer.ctypes.data), np.int64(buffer.shape[1] * 8)
    nodes, distance = 1, size // 2
    while distance:
        for node in range(nodes):
            for i in range(2 * node * distance, (2 * node + 1) * distance):
                _split_rows(start + i * row, start + (i + distance) * row, roots[nodes + node], row)
        nodes, distance = 2 * nodes, distance // 2


@numba.njit
def _join_all(buffer, size, inverse_roots):  # type: ignore[no-untyped-def]
    """The first `size` rows from values to `size` times the coefficients, in place."""
    start, row = np.int64(buffer.ctypes.data), np.int64(buffer.shape[1] * 8)
    nodes, distance = size // 2, 1
    while nodes:
        for node in range(nodes):
            for i in range(2 * node * distance, (2 * node + 1) * distance):
                _join_rows(start + i * row, start + (i + distance) * row, inverse_roots[nodes + node], row)
        nodes, distance = nodes // 2, 2 * distance


@numba.njit
def _load(fresh, values, column):  # type: ignore[no-untyped-def]
    """The row `fresh` = values[column:], as far as they go; zeros behind them."""
    count = min(fresh.shape[1], values.size - column)
    for c in range(count):
        fresh[0, c] = values[column + c]
    for c in range(count, fresh.shape[1]):
        fresh[0, c] = _ZERO


@numba.njit
def _store(buffer, i, values, column):  # type: ignore[no-untyped-def]
    """values[column:] = row i, as far as they go."""
    for c in range(min(buffer.shape[1], values.size - column)):
        values[column + c] = buffer[i, c]


@numba.njit
def _add_multiple(buffer, i, factor, other, j):  # type: ignore[no-untyped-def]
    """Row i of the buffer += factor * row j of the other one."""
    row = np.int64(buffer.shape[1] * 8)
    target, source = np.int64(buffer.ctypes.data) + i * row, np.int64(other.ctypes.data) + j * row
    _add_product_rows(target, source, factor, row)


@numba.njit
def _add_row(buffer, i, other, j):  # type: ignore[no-untyped-def]
    """Row i of the buffer += row j of the other one."""
    row = np.int64(buffer.shape[1] * 8)
    target, source = np.int64(buffer.ctypes.data) + i * row, np.int64(other.ctypes.data) + j * row
    _add_rows(target, source, _ZERO, row)


@numba.njit
def _subtract_row(buffer, i, other, j):  # type: ignore[no-untyped-def]
    """Row i of the buffer -= row j of the other one."""
    row = np.int64(buffer.shape[1] * 8)
    target, source = np.int64(buffer.ctypes.data) + i * row, np.int64(other.ctypes.data) + j * row
    _subtract_rows(target, source, _ZERO, row)


@compiled(types.void(_IN_2D, _IN_1D, _OUT_2D))
def evaluate(coefficients: Vector, roots: Vector, out: Vector) -> None:
    """out[m, C] = the first m of the n = roots.size values of the polynomials coefficients[k, C]; k, m <= n."""
    buffer = np.empty((roots.size, _COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, _COLUMNS), dtype=np.uint64)
    for column in range(0, out.shape[1], _COLUMNS):
        buffer[:] = _ZERO
        for i in range(coefficients.shape[0]):
            _load(fresh, coefficients[i], column)
            _add_row(buffer, i, fresh, 0)
        _split_all(buffer, roots.size, roots)
        for i in range(out.shape[0]):
            _store(buffer, i, out[i], column)


@compiled(types.void(_IN_2D, _IN_1D, types.uint64, _OUT_2D))
def interpolate(values: Vector, inverse_roots: Vector, scale: int, out: Vector) -> None:
    """out[n, C] = the coefficients of n * scale times the polynomials with the values values[n, C]."""
    size = inverse_roots.size
    buffer = np.empty((size, _COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, _COLUMNS), dtype=np.uint64)
    for column in range(0, out.shape[1], _COLUMNS):
        buffer[:] = _ZERO
        for i in range(size):
            _load(fresh, values[i], column)
            _add_multiple(buffer, i, scale, fresh, 0)
        _join_all(buffer, size, inverse_roots)
        for i in range(size):
            _store(buffer, i, out[i], column)


@compiled(types.void(_IN_2D, _IN_2D, _IN_1D, types.uint64, _IN_1D, _OUT_2D))
def share(secrets: Vector, randomness: Vector, inverse_roots: Vector, scale: int, roots: Vector, out: Vector) -> None:
    """out[m, C] = values of S + (X^l - 1)·R, where S has the values secrets[l, C] and R these coefficients.

    inverse_roots[l] and scale = 1 / l lead from the secrets to S, roots[n] from coefficients to values.
    """
    pack = secrets.shape[0]
    buffer = np.empty((roots.size, _COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, _COLUMNS), dtype=np.uint64)
    for column in range(0, out.shape[1], _COLUMNS):
        buffer[:] = _ZERO
        for i in range(pack):
            _load(fresh, secrets[i], column)
            _add_multiple(buffer, i, scale, fresh, 0)
        _join_all(buffer, pack, inverse_roots)
        for i in range(randomness.shape[0]):
            _load(fresh, randomness[i], column)
            _subtract_row(buffer, i, fresh, 0)
            _add_row(buffer, i + pack, fresh, 0)
        _split_all(buffer, roots.size, roots)
        for i in range(out.shape[0]):
            _store(buffer, i, out[i], column)


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
    polynomial. Returns how many coefficients beyond these are not zero: none, if the rows are of one sharing.
    """
    size, pack = inverse_roots.size, secret_roots.size
    buffer = np.empty((size, _COLUMNS), dtype=np.uint64)
    fresh = np.empty((1, _COLUMNS), dtype=np.uint64)
    wrong = 0
    for column in range(0, out.shape[1], _COLUMNS):
        buffer[:] = _ZERO
        for i in range(positions.size):
            _load(fresh, rows[i], column)
            _add_multiple(buffer, positions[i], weights[i], fresh, 0)
        _join_all(buffer, size, inverse_roots)
        for i in range(terms, size):
            for c in range(_COLUMNS):
                wrong += int(buffer[i, c] != _ZERO)
        for i in range(pack, terms):  # modulo X^l - 1, which vanishes where the secrets sit
            _add_row(buffer, i % pack, buffer, i)
        _split_all(buffer, pack, secret_roots)
        for i in range(pack):
            fresh[:] = _ZERO
            _add_multiple(fresh, 0, secret_weights[i], buffer, i)
            _store(fresh, 0, out[i], column)
    return wrong


@compiled(types.void(_IN_2D, _IN_1D, _IN_1D, _OUT_2D))
def ring_product(values: Vector, factor: Vector, inverse_roots: Vector, out: Vector) -> None:
    """out[b, n] = the coefficients of n times the polynomials whose values are values[b, n] * factor[n]."""
    size = factor.size
    buffer = np.empty((size, _RING_COLUMNS), dtype=np.uint64)
    fresh = np.zeros((1, _RING_COLUMNS), dtype=np.uint64)
    for first in range(0, values.shape[0], _RING_COLUMNS):
        count = min(_RING_COLUMNS, values.shape[0] - first)
        buffer[:] = _ZERO
        for i in range(size):
            for b in range(count):
                fresh[0, b] = values[first + b, i]
            _add_multiple(buffer, i, factor[i], fresh, 0)
        _join_all(buffer, size, inverse_roots)
        for b in range(count):
            for i in range(size):
                out[first + b, i] = buffer[i, b]


@compiled(types.void(_IN_2D, _IN_1D, _OUT_2D))
def vanishing(points: Vector, zeros: Vector, out: Vector) -> None:
    """out[1, k] *= the product over all zeros of (points[1, k] - zero); k a multiple of four."""
    target, source = np.int64(out.ctypes.data), np.int64(points.ctypes.data)
    for zero in zeros:
        _times_distance_rows(target, source, zero, np.int64(8 * points.size))
