"""Field arithmetic on several words at a time, written as LLVM instructions, for the kernels.

In scalar code LLVM compiles "subtract the prime if the result is too large" to a branch. In a transform that branch is
taken at random, and a butterfly takes 12 ns instead of 2. On vectors LLVM selects without a branch. No instruction of
a particular processor is named, so this runs wherever LLVM does: vectors wider than the processor's are split.

After a change to this file, the files with kernels must be touched too: numba keeps their machine code until they
change.
"""

from collections.abc import Callable
from typing import Any, Final

from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from ..field import P


def _words_in_a_register() -> int:
    """Eight where the processor has registers of 512 bits, otherwise four: more would spill into memory."""
    try:
        return 8 if binding.get_host_cpu_features().get("avx512f") else 4
    except RuntimeError:  # LLVM does not know this processor
        return 4


LANES: Final = _words_in_a_register()
WORD: Final = ir.IntType(64)
_VECTOR: Final = ir.VectorType(WORD, LANES)
_INDEX: Final = ir.IntType(32)


class Lanes:
    """Arithmetic modulo P on vectors of LANES canonical words. Methods add instructions to the builder."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def constant(self, value: int) -> Any:
        return ir.Constant(_VECTOR, [ir.Constant(WORD, value)] * LANES)

    def load(self, address: Any) -> Any:
        pointer = self.builder.inttoptr(address, _VECTOR.as_pointer())
        return self.builder.load(pointer, align=8)

    def store(self, lanes: Any, address: Any) -> None:
        pointer = self.builder.inttoptr(address, _VECTOR.as_pointer())
        self.builder.store(lanes, pointer, align=8)

    def fetch(self, address: Any, for_writing: bool = False) -> None:
        """Prefetch the cache line at this address. The address need not be valid memory."""
        pointer = self.builder.inttoptr(address, ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, flag, flag, flag])
        prefetch = self.builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        self.builder.call(prefetch, [pointer, flag(int(for_writing)), flag(2), flag(1)])

    def broadcast(self, word: Any) -> Any:
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        first = self.builder.insert_element(undefined, word, ir.Constant(_INDEX, 0))
        lanes = ir.Constant(ir.VectorType(_INDEX, LANES), [ir.Constant(_INDEX, 0)] * LANES)
        return self.builder.shuffle_vector(first, undefined, lanes)

    def where_less(self, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
        """`then` in the lanes in which a < b, `otherwise` in the others."""
        return self.builder.select(self.builder.icmp_unsigned("<", a, b), then, otherwise)

    def sum(self, a: Any, b: Any) -> Any:
        room = self.builder.sub(self.constant(P), b)
        total = self.builder.sub(a, room)
        return self.where_less(a, room, self.builder.add(total, self.constant(P)), total)

    def difference(self, a: Any, b: Any) -> Any:
        result = self.builder.sub(a, b)
        return self.where_less(a, b, self.builder.add(result, self.constant(P)), result)

    def product(self, a: Any, b: Any) -> Any:
        """The product a * b: four products of 32-bit halves, reduced with 2^64 = 2^32 - 1 and 2^96 = -1 (mod P)."""
        build, half, low = self.builder, self.constant(32), self.constant(0xFFFFFFFF)

        def upper(x: Any) -> Any:
            return build.lshr(x, half)

        def lower(x: Any) -> Any:
            return build.and_(x, low)

        a_low, a_high, b_low, b_high = lower(a), upper(a), lower(b), upper(b)
        bottom, top = build.mul(a_low, b_low), build.mul(a_high, b_high)
        cross = build.add(build.mul(a_low, b_high), upper(bottom))
        second_cross = build.add(build.mul(a_high, b_low), lower(cross))
        high_word = build.add(build.add(top, upper(cross)), upper(second_cross))
        low_word = build.or_(lower(bottom), build.shl(second_cross, half))

        difference = build.sub(low_word, upper(high_word))
        difference = self.where_less(low_word, upper(high_word), build.sub(difference, low), difference)
        rest = build.sub(build.shl(lower(high_word), half), lower(high_word))
        total = build.add(difference, rest)
        total = self.where_less(total, rest, build.add(total, low), total)
        return self.where_less(total, self.constant(P), total, build.sub(total, self.constant(P)))

    def shifted(self, x: Any, exponent: int) -> Any:
        """The product x * 2^exponent, 0 <= exponent < 96, by the same two rules and without a multiplication."""
        build, half, low = self.builder, self.constant(32), self.constant(0xFFFFFFFF)
        if exponent == 0:
            return x
        if exponent >= 64:  # a·2^64 + b·2^96
            a = build.and_(build.shl(x, self.constant(exponent - 64)), low)
            b = build.lshr(x, self.constant(96 - exponent))
            return self.difference(build.sub(build.shl(a, half), a), b)
        word = build.shl(x, self.constant(exponent))
        above = build.lshr(x, self.constant(64 - exponent))
        if exponent > 32:
            top = build.lshr(x, self.constant(96 - exponent))
            word = self.where_less(word, top, build.sub(build.sub(word, top), low), build.sub(word, top))
            above = build.and_(above, low)
        rest = build.sub(build.shl(above, half), above)
        total = build.add(word, rest)
        total = self.where_less(total, rest, build.add(total, low), total)
        return self.where_less(total, self.constant(P), total, build.sub(total, self.constant(P)))

    def along_row(self, size: Any, body: Callable[[Any], None]) -> None:
        """Add a loop that applies `body` to the offset in bytes of each vector of a row of `size` bytes."""
        builder = self.builder
        before = builder.block
        loop, after = builder.append_basic_block("row"), builder.append_basic_block("row.done")
        builder.branch(loop)
        builder.position_at_end(loop)
        offset = builder.phi(WORD)
        offset.add_incoming(ir.Constant(WORD, 0), before)
        body(offset)
        following = builder.add(offset, ir.Constant(WORD, 8 * LANES))
        offset.add_incoming(following, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, size), loop, after)
        builder.position_at_end(after)

    def folded(self, sums: list[Any]) -> Any:
        """Reduce sums[0] + sums[1]·2^22 + sums[2]·2^44 + 2^32·(sums[3] + sums[4]·2^22 + sums[5]·2^44).

        The first two of each three must be below 2^63, the third below 2^61. The sum is written as
        w0 + w1·2^32 + w2·2^64 + w3·2^96, where the w's may be longer than 32 bits. Modulo P that is
        w0 - w2 - w3 + 2^32·(w1 + w2).
        """
        build = self.builder

        def bits(x: Any, shift: int, count: int) -> Any:
            """The `count` lowest bits of x, shifted up."""
            return build.shl(build.and_(x, self.constant(2**count - 1)), self.constant(shift))

        def above(x: Any, count: int) -> Any:
            return build.lshr(x, self.constant(count))

        def total(*terms: Any) -> Any:
            result = terms[0]
            for term in terms[1:]:
                result = build.add(result, term)
            return result

        w0 = total(sums[0], bits(sums[1], 22, 10))
        w1 = total(above(sums[1], 10), bits(sums[2], 12, 20), sums[3], bits(sums[4], 22, 10))
        w2 = total(above(sums[2], 20), above(sums[4], 10), bits(sums[5], 12, 20))
        w3 = above(sums[5], 20)
        # 2^32·u for u = w1 + w2 of up to 64 bits. The part of u from 2^32 on, `once`, is worth 2^64 = 2^32 - 1 in the
        # product. Adding it to the rest of u may carry once more, into `twice`.
        u = total(w1, w2)
        once = above(u, 32)
        v = total(build.and_(u, self.constant(0xFFFFFFFF)), once)
        twice = above(v, 32)
        upper = build.shl(total(v, twice), self.constant(32))
        negative = total(w3, w2, once, twice)
        result = total(w0, upper)
        low = self.constant(0xFFFFFFFF)
        result = self.where_less(result, upper, total(result, low), result)
        difference = build.sub(result, negative)
        difference = self.where_less(result, negative, build.sub(difference, low), difference)
        return self.where_less(difference, self.constant(P), difference, build.sub(difference, self.constant(P)))


def row_operation(body: Callable[[Lanes, Any, Any, Any], None]) -> Any:
    """An intrinsic (first address, second address, factor, bytes in a row) that applies `body` along two rows."""

    def code(_context, _first, _second, _factor, _size):  # type: ignore[no-untyped-def]
        signature = types.void(types.int64, types.int64, types.uint64, types.int64)

        def generate(context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
            first, second, factor, size = arguments
            lanes = Lanes(builder)
            factor = lanes.broadcast(factor)

            def along(offset: Any) -> None:
                body(lanes, builder.add(first, offset), builder.add(second, offset), factor)

            lanes.along_row(size, along)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(code)


def _copy(lanes: Lanes, first: Any, second: Any, _factor: Any) -> None:
    """(a, b) becomes (b, b)."""
    lanes.store(lanes.load(second), first)


copy_rows: Any = row_operation(_copy)
