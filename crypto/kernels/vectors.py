"""The compiled inner loops over field vectors. Only modules with kernels load numba, as their import is slow.

A product of two elements is 128 bits wide. The loops add such products up, in 192 bits or in pieces, and reduce once
at the end. That makes them fast: to reduce after each product would take several times as long. Matrix products work
on several columns at a time (`words`).

Every kernel releases the GIL and trusts its caller: `crypto.vectors` and `fixed_point` check types and shapes.
Signatures are explicit, so each kernel is compiled once, when this module is imported (`compiling`).
"""

from typing import Any, Final

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from ..field import P, Vector
from .compiling import compiled
from .words import LANES, WORD, Lanes, copy_rows

_WORD: Final = types.uint64
_IN_1D: Final = types.Array(_WORD, 1, "C", readonly=True)
_IN_2D: Final = types.Array(_WORD, 2, "C", readonly=True)
_OUT_1D: Final = types.Array(_WORD, 1, "C")
_OUT_2D: Final = types.Array(_WORD, 2, "C")
_FLOATS: Final = types.Array(types.float32, 1, "C", readonly=True)

_PRIME: Final = np.uint64(P)
_ZERO: Final = np.uint64(0)
_LOW: Final = np.uint64(0xFFFFFFFF)  # the low half of a word, and also 2^64 mod P
_HALF: Final = np.uint64(32)

_LIMB: Final = np.uint64(2**22 - 1)
_MAX_TERMS: Final = 512  # products of a limb and half an element that add up within 64 bits
_DOT_VECTORS: Final = 2  # vectors of LANES columns each that a dot product makes at once
_DOT_COLUMNS: Final = _DOT_VECTORS * LANES

# Words of X that a matrix product gathers at a time: few enough to stay in the first-level cache. The least number of
# columns makes a fetch from each row worth its cost.
_BLOCK: Final = 4096
_LEAST_COLUMNS: Final = 64


def _multiply_add_code(_context, _high, _middle, _low, _a, _b):  # type: ignore[no-untyped-def]
    """The sum (high, middle, low) + a * b in three words of a 192-bit number: a multiplication and three additions."""
    signature = types.UniTuple(_WORD, 3)(*[_WORD] * 5)  # type: ignore[no-untyped-call]

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        word, double, triple = ir.IntType(64), ir.IntType(128), ir.IntType(192)
        high, middle, low, a, b = arguments

        def placed(value: Any, shift: int) -> Any:
            return builder.shl(builder.zext(value, triple), ir.Constant(triple, shift))

        def word_at(value: Any, shift: int) -> Any:
            return builder.trunc(builder.lshr(value, ir.Constant(triple, shift)), word)

        total = builder.or_(builder.or_(placed(high, 128), placed(middle, 64)), placed(low, 0))
        product = builder.mul(builder.zext(a, double), builder.zext(b, double))
        total = builder.add(total, builder.zext(product, triple))
        words = (word_at(total, 128), word_at(total, 64), word_at(total, 0))
        return context.make_tuple(builder, signature.return_type, words)

    return signature, generate


_multiply_add: Any = intrinsic(_multiply_add_code)


@numba.njit
def _mask(condition):  # type: ignore[no-untyped-def]
    """All ones where the condition holds, otherwise zero."""
    return _ZERO - np.uint64(condition)


@numba.njit
def _reduced(high, middle, low):  # type: ignore[no-untyped-def]
    """The canonical residue of high * 2^128 + middle * 2^64 + low modulo P; high must be below 2^31.

    Modulo P, 2^64 = 2^32 - 1, 2^96 = -1 and 2^128 = -2^32, so reduction takes shifts and additions only.
    """
    upper, lower = middle >> _HALF, middle & _LOW
    difference = low - upper
    difference -= _LOW & _mask(low < upper)  # wrapping took 2^64 too much
    product = (lower << _HALF) - lower
    total = difference + product
    total += _LOW & _mask(total < product)
    total -= _PRIME & _mask(total >= _PRIME)
    rest = high << _HALF
    return total - rest + (_PRIME & _mask(total < rest))


@numba.njit
def _sum(a, b):  # type: ignore[no-untyped-def]
    room = _PRIME - b
    return a - room + (_PRIME & _mask(a < room))


@compiled(types.void(_OUT_1D, _IN_1D))
def add_into(accumulator: Vector, x: Vector) -> None:
    """Add x to the accumulator, element by element."""
    for i in range(accumulator.size):
        accumulator[i] = _sum(accumulator[i], x[i])


def _dot_lanes(limbs_used: int) -> Any:
    """Return an intrinsic that computes the next columns of one row of a product, from factors of so many limbs."""

    def code(_context, _limbs, _column, _terms, _out):  # type: ignore[no-untyped-def]
        """Set _DOT_COLUMNS elements at `out` to the sum over t of factor t times row t of the block at `column`.

        All arguments but `terms` are addresses of words. `limbs` holds the lowest 22, the next 22 and the other 20 bits
        of each factor; row t + 1 of the block follows row t. A limb times half an element is below 2^54, so up to 512
        products add up without a carry, and all is reduced once.
        """
        signature = types.void(*[types.int64] * 4)

        def generate(context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
            limbs, column, terms, out = arguments
            lanes = Lanes(builder)
            zero, low_half = lanes.constant(0), lanes.constant(0xFFFFFFFF)
            before = builder.block
            loop, after = builder.append_basic_block("dot"), builder.append_basic_block("dot.done")
            builder.branch(loop)
            builder.position_at_end(loop)
            count, factor, place = (builder.phi(WORD) for _ in range(3))
            sums = [[builder.phi(zero.type) for _ in range(2 * limbs_used)] for _ in range(_DOT_VECTORS)]
            parts = []
            for limb in range(limbs_used):
                word = builder.load(builder.inttoptr(_offset(builder, factor, 8 * limb), WORD.as_pointer()))
                parts.append(builder.and_(lanes.broadcast(word), low_half))
            following = []
            for vector, before_adding in enumerate(sums):
                x = lanes.load(_offset(builder, place, 8 * LANES * vector))
                halves = [builder.and_(x, low_half), builder.lshr(x, lanes.constant(32))]
                products = [builder.mul(part, half) for half in halves for part in parts]
                following.append([builder.add(a, b) for a, b in zip(before_adding, products, strict=True)])
            next_count = _offset(builder, count, 1)
            steps = [(count, ir.Constant(WORD, 0), next_count), (factor, limbs, _offset(builder, factor, 24))]
            steps.append((place, column, _offset(builder, place, 8 * _DOT_COLUMNS)))
            for old, new in zip(sums, following, strict=True):
                steps.extend((a, zero, b) for a, b in zip(old, new, strict=True))
            for variable, first, then in steps:
                variable.add_incoming(first, before)
                variable.add_incoming(then, loop)
            builder.cbranch(builder.icmp_signed("<", next_count, terms), loop, after)
            builder.position_at_end(after)
            unused = [zero] * (3 - limbs_used)
            for vector, total in enumerate(following):
                six = [*total[:limbs_used], *unused, *total[limbs_used:], *unused]
                lanes.store(lanes.folded(six), _offset(builder, out, 8 * LANES * vector))
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(code)


def _offset(builder: Any, value: Any, by: int) -> Any:
    return builder.add(value, ir.Constant(WORD, by))


_dot_any: Any = _dot_lanes(3)
_dot_small: Any = _dot_lanes(1)


@numba.njit
def _limbs_of(A, first, terms):  # type: ignore[no-untyped-def]
    """The lowest 22, the next 22 and the other 20 bits of A[:, first:first + terms]; and whether 22 bits are enough."""
    limbs = np.empty((A.shape[0], terms, 3), dtype=np.uint64)
    rest = _ZERO
    for i in range(A.shape[0]):
        for t in range(terms):
            factor = A[i, first + t]
            limbs[i, t, 0] = factor & _LIMB
            limbs[i, t, 1] = (factor >> np.uint64(22)) & _LIMB
            limbs[i, t, 2] = factor >> np.uint64(44)
            rest |= factor >> np.uint64(22)
    return limbs, rest == _ZERO


@numba.njit
def _gather(X, t, start, stop, block, place):  # type: ignore[no-untyped-def]
    """Copy X[t, start:stop] into block[:, place, :], with zeros after it."""
    whole = (stop - start) // _DOT_COLUMNS
    row = np.int64(8 * _DOT_COLUMNS)
    target = np.int64(block.ctypes.data) + row * place
    source = np.int64(X.ctypes.data) + 8 * (t * X.shape[1] + start)
    for g in range(whole):
        copy_rows(target + g * block.shape[1] * row, source + g * row, _ZERO, row)
    done = start + whole * _DOT_COLUMNS
    if done < stop:
        for c in range(_DOT_COLUMNS):
            block[whole, place, c] = X[t, done + c] if done + c < stop else _ZERO


@numba.njit
def _dot_block(limbs, small, i, block, g, out, place):  # type: ignore[no-untyped-def]
    """Set the elements of `out` from `place` on to row i of the factors times the g-th group of columns of the block.

    Addresses are taken here, where the arrays are arguments. A function that created an array and then used only its
    address could have it freed too early: numba frees an array after its last use as an array.
    """
    terms = np.int64(limbs.shape[1])
    factors = np.int64(limbs.ctypes.data) + 24 * i * terms
    columns = np.int64(block.ctypes.data) + 8 * g * block.shape[1] * _DOT_COLUMNS
    target = np.int64(out.ctypes.data) + 8 * place
    if small:
        _dot_small(factors, columns, terms, target)
    else:
        _dot_any(factors, columns, terms, target)


@numba.njit
def _add_products(A, first, terms, X, Y, out):  # type: ignore[no-untyped-def]
    """Set `out`, or add to it unless `first` is 0: A[:, first:first + terms] times these rows of X over Y."""
    columns = out.shape[1]
    limbs, small = _limbs_of(A, first, terms)
    size = max(_LEAST_COLUMNS, min(512, _BLOCK // terms // _DOT_COLUMNS * _DOT_COLUMNS))
    block = np.empty((size // _DOT_COLUMNS, terms, _DOT_COLUMNS), dtype=np.uint64)
    spare = np.empty((1, _DOT_COLUMNS), dtype=np.uint64)
    for start in range(0, columns, size):
        stop = min(columns, start + size)
        for t in range(first, first + terms):
            if t < X.shape[0]:
                _gather(X, t, start, stop, block, t - first)
            else:
                _gather(Y, t - X.shape[0], start, stop, block, t - first)
        for i in range(A.shape[0]):
            for c in range(start, stop, _DOT_COLUMNS):
                g = (c - start) // _DOT_COLUMNS
                # Only the first terms of a whole group of columns can be stored in place. Further terms must be added,
                # and a last group that is not whole must be cut off.
                if first == 0 and c + _DOT_COLUMNS <= stop:
                    _dot_block(limbs, small, i, block, g, out, i * columns + c)
                    continue
                _dot_block(limbs, small, i, block, g, spare, 0)
                for j in range(min(_DOT_COLUMNS, stop - c)):
                    out[i, c + j] = _sum(out[i, c + j], spare[0, j]) if first else spare[0, j]


@compiled(types.void(_IN_2D, _IN_2D, _IN_2D, _OUT_2D))
def matmul(A: Vector, X: Vector, Y: Vector, out: Vector) -> None:
    """Set out[m, C] to the product of A[m, k + l] and the rows of X[k, C] followed by those of Y[l, C].

    The columns are gathered in blocks, which stay in the cache for all rows of A. A loop over a few columns of all rows
    in their places would wait for memory most of the time.
    """
    if A.shape[1] == 0:
        out[:] = _ZERO
    for first in range(0, A.shape[1], _MAX_TERMS):
        _add_products(A, first, min(_MAX_TERMS, A.shape[1] - first), X, Y, out)


def _dot_lanewise_code(_context, _first, _second, _terms, _out):  # type: ignore[no-untyped-def]
    """Set LANES elements at `out` to the sum over t of a[t] * b[t], for the vectors a at `first` and b at `second`.

    Vector t + 1 follows vector t. The products are added up as in `_dot_lanes`, with limbs of a.
    """
    signature = types.void(*[types.int64] * 4)

    def generate(context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        first, second, terms, out = arguments
        lanes = Lanes(builder)
        before = builder.block
        loop, after = builder.append_basic_block("dot"), builder.append_basic_block("dot.done")
        builder.branch(loop)
        builder.position_at_end(loop)
        count = builder.phi(WORD)
        sums = [builder.phi(lanes.constant(0).type) for _ in range(6)]
        offset = builder.mul(count, ir.Constant(WORD, 8 * LANES))
        a, b = lanes.load(builder.add(first, offset)), lanes.load(builder.add(second, offset))
        shifted = [a, builder.lshr(a, lanes.constant(22)), builder.lshr(a, lanes.constant(44))]
        limbs = [builder.and_(x, lanes.constant(int(_LIMB))) for x in shifted]
        halves = [builder.and_(b, lanes.constant(0xFFFFFFFF)), builder.lshr(b, lanes.constant(32))]
        products = [builder.mul(limb, half) for half in halves for limb in limbs]
        following = [builder.add(x, y) for x, y in zip(sums, products, strict=True)]
        next_count = _offset(builder, count, 1)
        count.add_incoming(ir.Constant(WORD, 0), before)
        count.add_incoming(next_count, loop)
        for old, new in zip(sums, following, strict=True):
            old.add_incoming(lanes.constant(0), before)
            old.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", next_count, terms), loop, after)
        builder.position_at_end(after)
        lanes.store(lanes.folded(following), out)
        return context.get_dummy_value()

    return signature, generate


_dot_lanewise: Any = intrinsic(_dot_lanewise_code)


@numba.njit
def _dot_run(A, i, a, X, j, x, terms, spare):  # type: ignore[no-untyped-def]
    """The sum of A[i, a + c] * X[j, x + c] over all c < terms * LANES; `spare` has room for LANES elements."""
    first = np.int64(A.ctypes.data) + 8 * (i * np.int64(A.shape[1]) + a)
    second = np.int64(X.ctypes.data) + 8 * (j * np.int64(X.shape[1]) + x)
    _dot_lanewise(first, second, np.int64(terms), np.int64(spare.ctypes.data))
    total = spare[0]
    for lane in range(1, LANES):
        total = _sum(total, spare[lane])
    return total


@compiled(types.void(_IN_2D, _IN_2D, types.int64, _OUT_2D))
def add_dot_products(weights: Vector, rows: Vector, start: int, out: Vector) -> None:
    """Add to each out[i, k] the sum over b of weights[k, b] * rows[i, start + b]."""
    columns = weights.shape[1]
    together = columns - columns % LANES
    spare = np.empty(LANES, dtype=np.uint64)
    for i in range(rows.shape[0]):
        for k in range(weights.shape[0]):
            total = out[i, k]
            for b in range(0, together, _MAX_TERMS * LANES):
                terms = min(_MAX_TERMS, (together - b) // LANES)
                total = _sum(total, _dot_run(weights, k, b, rows, i, start + b, terms, spare))
            high, middle, low = _ZERO, _ZERO, total
            for b in range(together, columns):
                high, middle, low = _multiply_add(high, middle, low, weights[k, b], rows[i, start + b])
            out[i, k] = _reduced(high, middle, low)


@numba.njit
def _slot(value, bound, units, offset, bits):  # type: ignore[no-untyped-def]
    """The slot of a value: clipped to ±bound, in units, rounded up or down by 32 random bits, plus the offset."""
    clipped = min(max(np.float64(value), -bound), bound)
    return np.uint64(np.int64(np.floor(clipped * units + np.float64(bits) * 2.0**-32)) + offset)


@compiled(types.int64(_FLOATS, types.float64, types.float64, types.int64, _IN_1D, _OUT_1D))
def encode(update: NDArray[np.float32], bound: float, units: float, offset: int, noise: Vector, out: Vector) -> int:
    """Pack pairs of the update's L values into out[ceil(L / 2)], the even one in the low 31 bits.

    Each value is clipped to ±bound, multiplied by `units`, rounded with 32 bits of `noise` and shifted by `offset`. An
    update of odd length is filled up with a zero. Returns the number of values that were clipped. NaN gives garbage in
    both slots, so the caller refuses it first.
    """
    clipped = 0
    for i in range(update.size // 2):
        even, odd = update[2 * i], update[2 * i + 1]
        clipped += int(abs(even) > bound) + int(abs(odd) > bound)
        low = _slot(even, bound, units, offset, noise[i] & _LOW)
        high = _slot(odd, bound, units, offset, noise[i] >> _HALF)
        out[i] = low | (high << np.uint64(31))
    if update.size % 2:
        last = update[-1]
        clipped += int(abs(last) > bound)
        low = _slot(last, bound, units, offset, noise[out.size - 1] & _LOW)
        out[out.size - 1] = low | (np.uint64(offset) << np.uint64(31))
    return clipped
