"""Operations on rows of a buffer, of which the compiled transforms consist.

Row i of a buffer holds coefficient or value i of a few polynomials, one in each column. An operation treats whole rows,
several words at a time, and so all polynomials alike. `_split` and `_join` are the two directions of a butterfly.

After a change to this file, the modules with kernels must be touched too: see `words`.
"""

from typing import Any, Final

import numba
import numpy as np
from numba import types

from .words import WORD, Lanes, row_operation

IN_1D: Final = types.Array(types.uint64, 1, "C", readonly=True)
IN_2D: Final = types.Array(types.uint64, 2, "C", readonly=True)
OUT_2D: Final = types.Array(types.uint64, 2, "C")
INDICES: Final = types.Array(types.int64, 1, "C", readonly=True)

ZERO: Final = np.uint64(0)

# Columns that are transformed at a time, a multiple of LANES: few enough for 1024 rows to stay in the cache of a core.
COLUMNS: Final = 32


def _split(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (a + factor * b, a - factor * b)."""
    a, b = lanes.load(first), lanes.product(lanes.load(second), factor)
    lanes.store(lanes.sum(a, b), first)
    lanes.store(lanes.difference(a, b), second)


def _join(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (a + b, (a - b) * factor): with the inverse factor, twice the rows that `_split` began with."""
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
    """(a, b) becomes (b, b). Prefetches the columns after b's."""
    lanes.store(lanes.load(second), first)
    lanes.fetch(lanes.builder.add(second, WORD(8 * COLUMNS)))


def _read_product(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (factor * b, b). Prefetches the columns after b's."""
    lanes.store(lanes.product(lanes.load(second), factor), first)
    lanes.fetch(lanes.builder.add(second, WORD(8 * COLUMNS)))


def _write(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (b, b). Prefetches the columns after a's, for writing."""
    lanes.store(lanes.load(second), first)
    lanes.fetch(lanes.builder.add(first, WORD(8 * COLUMNS)), for_writing=True)


def _or(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (a | b, b), as bits and not as elements."""
    lanes.store(lanes.builder.or_(lanes.load(first), lanes.load(second)), first)


def _times_distance(lanes: Lanes, first: Any, second: Any, factor: Any) -> None:
    """(a, b) becomes (a * (b - factor), b)."""
    distance = lanes.difference(lanes.load(second), factor)
    lanes.store(lanes.product(lanes.load(first), distance), first)


split_rows: Any = row_operation(_split)
join_rows: Any = row_operation(_join)
fork_rows: Any = row_operation(_fork)
product_rows: Any = row_operation(_product)
add_rows: Any = row_operation(_add)
subtract_rows: Any = row_operation(_subtract)
_read_rows: Any = row_operation(_read)
_read_product_rows: Any = row_operation(_read_product)
_write_rows: Any = row_operation(_write)
or_rows: Any = row_operation(_or)
times_distance_rows: Any = row_operation(_times_distance)


@numba.njit
def row_at(buffer, i):  # type: ignore[no-untyped-def]
    """The address of row i, and the size of a row in bytes."""
    size = np.int64(buffer.shape[1] * 8)
    return np.int64(buffer.ctypes.data) + i * size, size


@numba.njit
def _source(values, i, column, fresh):  # type: ignore[no-untyped-def]
    """The address of values[i, column:], or of a copy where these are fewer columns than a row of `fresh` has.

    The copy is made in `fresh`, with zeros after it.
    """
    count = values.shape[1] - column
    if count >= fresh.shape[1]:
        return np.int64(values.ctypes.data) + 8 * (i * np.int64(values.shape[1]) + column)
    for c in range(fresh.shape[1]):
        fresh[0, c] = values[i, column + c] if c < count else ZERO
    return np.int64(fresh.ctypes.data)


@numba.njit
def load(buffer, i, values, j, column, fresh):  # type: ignore[no-untyped-def]
    """Set row i to values[j, column:] as far as they go, with zeros after them; `fresh` is a spare row."""
    target, row = row_at(buffer, i)
    _read_rows(target, _source(values, j, column, fresh), ZERO, row)


@numba.njit
def load_product(buffer, i, factor, values, j, column, fresh):  # type: ignore[no-untyped-def]
    """Set row i to factor * values[j, column:], as `load` does."""
    target, row = row_at(buffer, i)
    _read_product_rows(target, _source(values, j, column, fresh), factor, row)


@numba.njit
def store(buffer, i, values, j, column):  # type: ignore[no-untyped-def]
    """Set values[j, column:] to row i, as far as they go."""
    count = values.shape[1] - column
    if count >= buffer.shape[1]:
        source, row = row_at(buffer, i)
        _write_rows(np.int64(values.ctypes.data) + 8 * (j * np.int64(values.shape[1]) + column), source, ZERO, row)
    else:
        for c in range(count):
            values[j, column + c] = buffer[i, c]


@numba.njit
def any_set(buffer, first, stop, seen):  # type: ignore[no-untyped-def]
    """Whether the rows from `first` to before `stop` hold anything but zeros; `seen` is a spare row."""
    target, row = row_at(seen, 0)
    seen[:] = ZERO
    for i in range(first, stop):
        or_rows(target, row_at(buffer, i)[0], ZERO, row)
    found = ZERO
    for c in range(seen.shape[1]):
        found |= seen[0, c]
    return found != ZERO
