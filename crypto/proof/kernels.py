"""The compiled inner loops of proofs: slow to import, and without checks, like those of :mod:`..kernels`."""

from typing import Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from ..field import P, Vector
from ..kernels.compiling import compiled
from ..kernels.vectors import _multiply_add, _reduced, _sum
from .extension import NON_RESIDUE

_WORDS: Final = types.Array(types.uint64, 1, "C")
_WORDS_IN: Final = types.Array(types.uint64, 1, "C", readonly=True)
_TABLE: Final = types.Array(types.uint64, 2, "C")
_TABLE_IN: Final = types.Array(types.uint64, 2, "C", readonly=True)
_PLACES_IN: Final = types.Array(types.int64, 1, "C", readonly=True)
_SIGNED: Final = types.Array(types.int64, 2, "C")
_SIGNED_IN: Final = types.Array(types.int64, 2, "C", readonly=True)

_PRIME: Final = np.uint64(P)
_ZERO: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)
_SEVEN: Final = np.uint64(NON_RESIDUE)
_BIT: Final = 64  # bits of a word
_HALVES: Final = 4  # words of a column that hold the projections' first bits; as many hold the second ones


@numba.njit
def _product(a, b):  # type: ignore[no-untyped-def]
    high, middle, low = _multiply_add(_ZERO, _ZERO, _ZERO, a, b)
    return _reduced(high, middle, low)


@numba.njit
def _difference(a, b):  # type: ignore[no-untyped-def]
    return _sum(a, _PRIME - b) if b else a


@numba.njit
def _entry_mask(word, bit):  # type: ignore[no-untyped-def]
    """All ones where the bit is set, otherwise zero."""
    return -np.int64((word >> np.uint64(bit)) & _ONE)


@compiled(types.void(_TABLE_IN, _WORDS_IN, _SIGNED))
def project(words: Vector, values: Vector, sums: NDArray[np.int64]) -> None:
    """Add Σ_c z_k[c] * the low half of values[c] to sums[0, k], and the same of the high halves to sums[1, k].

    words[C, 8] hold z: bit i of word w minus bit i of word w + 4 is the entry of projection 64·w + i. Halves are below
    2^32, so sums over 2^24 columns have room in 64 bits.
    """
    for c in range(values.size):
        low, high = np.int64(values[c] & _LOW), np.int64(values[c] >> _HALF)
        for w in range(_HALVES):
            plus, minus = words[c, w], words[c, w + _HALVES]
            for i in range(_BIT):
                first, second = _entry_mask(plus, i), _entry_mask(minus, i)
                k = _BIT * w + i
                sums[0, k] += (low & first) - (low & second)
                sums[1, k] += (high & first) - (high & second)


@numba.njit
def _joined(low, high):  # type: ignore[no-untyped-def]
    """The residue of low + 2^32 * high modulo P, for two signed sums below 2^60 in magnitude."""
    a = np.uint64(low) if low >= 0 else _PRIME - np.uint64(-low)
    b = np.uint64(high) if high >= 0 else _PRIME - np.uint64(-high)
    return _sum(a, _product(b, np.uint64(2**32)))


@compiled(types.void(_SIGNED_IN, _WORDS))
def join(sums: NDArray[np.int64], out: Vector) -> None:
    """Set out[k] to sums[0, k] + 2^32 * sums[1, k] modulo P."""
    for k in range(out.size):
        out[k] = _joined(sums[0, k], sums[1, k])


@compiled(types.void(_TABLE_IN, _SIGNED_IN, types.int64, _TABLE))
def fold(words: Vector, halves: NDArray[np.int64], start: int, out: Vector) -> None:
    """Set out[e, start + c] to - Σ_k z_k[c] * factor_k[e], for both parts e of a factor in E.

    halves[4, 256] are the low and the high halves of the factors' first parts, then those of the second parts.
    """
    for c in range(words.shape[0]):
        first_low, first_high, second_low, second_high = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for w in range(_HALVES):
            plus, minus = words[c, w], words[c, w + _HALVES]
            for i in range(_BIT):
                add, take = _entry_mask(plus, i), _entry_mask(minus, i)
                k = _BIT * w + i
                first_low += (halves[0, k] & take) - (halves[0, k] & add)
                first_high += (halves[1, k] & take) - (halves[1, k] & add)
                second_low += (halves[2, k] & take) - (halves[2, k] & add)
                second_high += (halves[3, k] & take) - (halves[3, k] & add)
        out[0, start + c] = _joined(first_low, first_high)
        out[1, start + c] = _joined(second_low, second_high)


@compiled(types.void(_PLACES_IN, _PLACES_IN, _WORDS_IN, _TABLE_IN, _TABLE))
def combine(
    elements: NDArray[np.int64], equations: NDArray[np.int64], factors: Vector, powers: Vector, out: Vector
) -> None:
    """Add factor * powers[equation, e] to out[e, element], for each triple and both parts e of a power in E."""
    for i in range(elements.size):
        for e in range(2):
            term = _product(factors[i], powers[equations[i], e])
            out[e, elements[i]] = _sum(out[e, elements[i]], term)


@numba.njit
def _inverse(value):  # type: ignore[no-untyped-def]
    """The inverse of an element that is not 0: value^(p - 2)."""
    power, result, exponent = value, _ONE, _PRIME - np.uint64(2)
    while exponent:
        if exponent & _ONE:
            result = _product(result, power)
        power = _product(power, power)
        exponent >>= _ONE
    return result


@compiled(types.void(_WORDS_IN, _WORDS_IN, types.uint64, types.uint64, _TABLE))
def lagrange(points: Vector, weights: Vector, a: np.uint64, b: np.uint64, out: Vector) -> None:
    """Set out[2, points] to the weights that take a polynomial's values at the points to its value at a + b·X.

    Args:
        points: of F_p, all different.
        weights: the barycentric weights of the points.
        a: of the element of E at which the polynomial is taken.
        b: of the same; not 0.
        out: the two parts of each weight.
    """
    first, second, norms = _ONE, _ZERO, _ONE
    square = _product(_SEVEN, _product(b, b))
    for i in range(points.size):
        difference = _difference(a, points[i])
        product = _product(first, difference), _product(second, b)
        second = _sum(_product(first, b), _product(second, difference))
        first = _sum(product[0], _product(_SEVEN, product[1]))
        out[0, i] = norms
        norms = _product(norms, _difference(_product(difference, difference), square))
    inverse = _inverse(norms)
    for i in range(points.size - 1, -1, -1):
        difference = _difference(a, points[i])
        factor = _product(_product(inverse, out[0, i]), weights[i])
        inverse = _product(inverse, _difference(_product(difference, difference), square))
        low = _difference(_product(first, difference), _product(_SEVEN, _product(second, b)))
        high = _difference(_product(second, difference), _product(first, b))
        out[0, i] = _product(low, factor)
        out[1, i] = _product(high, factor)


@numba.njit
def _falling(value, base):  # type: ignore[no-untyped-def]
    """The product value * (value - 1) * ... of `base` factors, which is zero if value is one of 0 .. base - 1."""
    product = value
    for i in range(1, base):
        product = _product(product, _difference(value, np.uint64(i)))
    return product


@compiled(types.void(_TABLE_IN, _PLACES_IN, types.int64, _WORDS_IN, _TABLE_IN, _WORDS_IN, _WORDS))
def quotient(
    table: Vector,
    bases: NDArray[np.int64],
    groups: int,
    constants: Vector,
    alphas: Vector,
    inverses: Vector,
    out: Vector,
) -> None:
    """Set out[2t] and out[2t + 1] to the two parts of G / Z at the t-th point.

    Args:
        table: the columns at the points, [points, width]; the last two are N and H.
        bases: the number of values of a digit, by column of digits.
        groups: the number of groups of eight columns that hold the projections.
        constants: the digits' offset, and T1.
        alphas: powers of α, [digits + 1, 2].
        inverses: 1 / Z, by point.
        out: two elements for each point.
    """
    digits = bases.size
    for t in range(table.shape[0]):
        first, second = _ZERO, _ZERO
        for c in range(digits):
            condition = _falling(table[t, c], bases[c])
            first = _sum(first, _product(condition, alphas[c, 0]))
            second = _sum(second, _product(condition, alphas[c, 1]))
        squares = _ZERO
        for g in range(groups):
            number = _ZERO
            for j in range(7, -1, -1):
                number = _sum(_product(number, np.uint64(8)), table[t, 8 * g + j])
            number = _difference(number, constants[0])
            squares = _sum(squares, _product(number, number))
        allowance, rest = table[t, digits], table[t, digits + 1]
        squares = _difference(squares, _product(constants[1], _product(allowance, allowance)))
        squares = _difference(squares, rest)
        first = _sum(first, _product(squares, alphas[digits, 0]))
        second = _sum(second, _product(squares, alphas[digits, 1]))
        out[2 * t] = _product(first, inverses[t])
        out[2 * t + 1] = _product(second, inverses[t])
