"""Transforms of up to 64 points, unrolled: their rows stay in registers, and their factors are powers of two.

2 has the order 192 modulo P, so 8 has the order 64, and the roots of unity of that order are its powers. To multiply by
a power of two takes shifts and a reduction; a product takes four multiplications and a reduction.

After a change to this file, the modules with kernels must be touched too: see `words`.
"""

from collections.abc import Sequence
from typing import Any, Final

from numba import types
from numba.extending import intrinsic

from ..cosets import coset
from ..field import P
from .rows import COLUMNS
from .words import WORD, Lanes

BLOCK: Final = 16  # number of values of a transform that stays in registers
_STEP: Final = 8  # number of rows in the first step of a transform of rows in memory
_EXPONENTS: Final = {pow(2, exponent, P): exponent for exponent in range(192)}


def _joined(lanes: Lanes, values: Sequence[Any]) -> list[Any]:
    """From vectors of the values at n roots of unity of order n, in `ntt`'s order, to n times the coefficients."""
    rows = list(values)
    roots = coset(len(rows)).inverse_roots
    nodes, distance = len(rows) // 2, 1
    while nodes:
        for node in range(nodes):
            exponent = _EXPONENTS[int(roots[nodes + node])]
            for i in range(2 * node * distance, (2 * node + 1) * distance):
                a, b = rows[i], rows[i + distance]
                rows[i], rows[i + distance] = lanes.sum(a, b), _difference(lanes, a, b, exponent)
        nodes, distance = nodes // 2, 2 * distance
    return rows


def _difference(lanes: Lanes, a: Any, b: Any, exponent: int) -> Any:
    """(a - b) * 2^exponent, where 2^96 = -1."""
    if exponent >= 96:
        return lanes.shifted(lanes.difference(b, a), exponent - 96)
    return lanes.shifted(lanes.difference(a, b), exponent)


def _join_block_code(_context, _sources, _weights, _factors, _target, _pitch, _size):  # type: ignore[no-untyped-def]
    """Transform 16 weighted rows back to coefficients.

    The polynomial has the values weights[j] times the row at sources[j], at the roots of unity of order 16. The row at
    target + i * pitch becomes factors[i] times 16 times its coefficient i; factors[0] must be 1.

    `sources`, `weights`, `factors` and `target` are addresses; `pitch` and `size`, of a row, are in bytes. Prefetches
    the columns after the rows at `sources`.
    """
    signature = types.void(*[types.int64] * 6)

    def generate(context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        sources, weights, factors, target, pitch, size = arguments
        lanes = Lanes(builder)

        def word(table: Any, i: int) -> Any:
            return builder.load(builder.inttoptr(builder.add(table, WORD(8 * i)), WORD.as_pointer()))

        def along(offset: Any) -> None:
            values = []
            for j in range(BLOCK):
                address = builder.add(word(sources, j), offset)
                values.append(lanes.product(lanes.load(address), lanes.broadcast(word(weights, j))))
                lanes.fetch(builder.add(address, WORD(8 * COLUMNS)))
            for i, joined in enumerate(_joined(lanes, values)):
                row = lanes.product(joined, lanes.broadcast(word(factors, i))) if i else joined
                lanes.store(row, builder.add(builder.add(target, builder.mul(pitch, WORD(i))), offset))

        lanes.along_row(size, along)
        return context.get_dummy_value()

    return signature, generate


def _join_rows(count: int) -> Any:
    """An intrinsic (address of the first row, bytes in a row) that transforms `count` rows in place.

    From the values at the roots of unity of order `count` it makes `count` times the coefficients, in two steps.
    8 adjacent points k ... k + 7 are g = points[k] times the roots of unity of order 8. So a transform of their values,
    and a product of coefficient i with g^-i, give the polynomial's remainder modulo X^8 - g^8. Over all k, the
    coefficients i of these remainders are the values, at the roots of unity of order count / 8, of the polynomial whose
    coefficients are the i + 8j.
    """
    points = coset(count).points

    def code(_context, _first, _size):  # type: ignore[no-untyped-def]
        signature = types.void(types.int64, types.int64)

        def generate(context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
            first, size = arguments
            lanes = Lanes(builder)
            zero = lanes.constant(0)

            def along(offset: Any) -> None:
                start = builder.add(first, offset)
                places = [builder.add(start, builder.mul(size, WORD(i))) for i in range(count)]
                for k in range(0, count, _STEP):
                    inner = places[k : k + _STEP]
                    for i, row in enumerate(_joined(lanes, [lanes.load(place) for place in inner])):
                        lanes.store(_difference(lanes, row, zero, _EXPONENTS[pow(points[k], -i, P)]), inner[i])
                for i in range(_STEP):
                    outer = places[i::_STEP]
                    joined = _joined(lanes, [lanes.load(place) for place in outer])
                    for row, place in zip(joined, outer, strict=True):
                        lanes.store(row, place)

            lanes.along_row(size, along)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(code)


join_block: Any = intrinsic(_join_block_code)
join_8_rows: Any = _join_rows(8)
join_16_rows: Any = _join_rows(16)
join_32_rows: Any = _join_rows(32)
join_64_rows: Any = _join_rows(64)
