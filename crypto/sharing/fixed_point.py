"""Fixed-point encoding of model updates, two values to a field element, so that sums come out exact.

A parameter is clipped, scaled by its peer's weight, rounded stochastically to an integer of `bits` bits with its
sign, and stored with an offset that makes it non-negative. Adding field elements adds both of their 31-bit slots
at once. The number of bits is chosen so that no sum of `summands` encodings exceeds its slot, and two slots are 62
bits, below the prime. So the decoded sum is exactly the sum of the integers, in whatever order it was formed.

A value is rounded up with a probability equal to its fraction (to within 2^-32), so each encoding is unbiased:
errors average out over peers and rounds instead of adding up. The random bits are pseudorandom, from a seed that
the caller draws.

Side sums (example counts, losses) need a larger range than a slot has: `encode_wide` spreads one number over four
elements.

Where dealings prove themselves (`crypto/proof`), :class:`BoundedNorm` takes the place of :class:`FixedPoint`: the whole
update is clipped, to a Euclidean norm, and slots are signed.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..field import P, Vector
from ..prng import BLOCK, Stream
from ..vectors import checked

SLOT_BITS: Final = 31
_SLOT_MASK: Final = 2**SLOT_BITS - 1
MIN_BITS: Final = 8  # fewer would train on noise

WIDE_LIMBS: Final = 4
WIDE_FRACTION_BITS: Final = 40
WIDE_RANGE_BITS: Final = 82
_WIDE_OFFSET: Final = 2 ** (WIDE_RANGE_BITS + WIDE_FRACTION_BITS)
MAX_WIDE_SUMMANDS: Final = 2**32  # a sum of this many limbs is still far below the prime


class EncodingError(ValueError):
    """A value that has no encoding, or words that are not a sum of encodings."""


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """The encoding that a federation agrees on.

    Raises:
        ValueError: a parameter is out of its range, or so many summands leave fewer than 8 bits a value.
    """

    clip: float
    """Largest magnitude of an update's element: a power of two from 2^-40 to 2^40."""

    summands: int
    """Largest number of encodings in a sum."""

    bits: int = 22
    """Bits of a value with its sign, from 8 to 22. Lowered where so many summands would overflow a slot."""

    limit: int = field(init=False)
    """The largest encoded integer, 2^(bits - 1) - 1: integers lie in [-limit, limit]."""

    def __post_init__(self) -> None:
        if not 2.0**-40 <= self.clip <= 2.0**40 or math.frexp(self.clip)[0] != 0.5:
            raise ValueError(f"clip must be a power of two between 2^-40 and 2^40, not {self.clip!r}")
        if self.summands < 1:
            raise ValueError(f"a sum has at least one summand, not {self.summands}")
        if not MIN_BITS <= self.bits <= 22:
            raise ValueError(f"bits must be between {MIN_BITS} and 22, not {self.bits}")
        affordable = SLOT_BITS - (self.summands - 1).bit_length()
        if affordable < MIN_BITS:
            raise ValueError(f"{self.summands} summands leave {affordable} bits a value, and {MIN_BITS} are needed")
        object.__setattr__(self, "bits", min(self.bits, affordable))
        object.__setattr__(self, "limit", 2 ** (self.bits - 1) - 1)

    @property
    def step(self) -> float:
        """The value of one unit of a decoded sum, a power of two."""
        return self.clip / 2.0 ** (self.bits - 1)

    @property
    def bound(self) -> float:
        """The largest magnitude that is not clipped: one step below `clip`."""
        return self.limit * self.step

    @staticmethod
    def columns(length: int) -> int:
        """The number of field elements that an update of `length` values takes."""
        return (length + 1) // 2

    def encode(self, update: NDArray[np.float32], weight: float, seed: bytes) -> tuple[Vector, int]:
        """Encode an update, float32[L], times a weight.

        Args:
            update: the values. They are clipped to ±`bound` before they are scaled.
            weight: a factor in (0, 1].
            seed: secret random bytes that decide the rounding. They must be fresh for each update.

        Returns:
            The words, uint64[ceil(L / 2)], and the number of values that were clipped.

        Raises:
            EncodingError: another type, shape or weight, or NaN or infinity in the update; the message names the
                first such index.
        """
        from ..kernels import vectors

        if update.dtype != np.float32 or update.ndim != 1:
            raise EncodingError("an update is a one-dimensional array of float32")
        if not 0.0 < weight <= 1.0:
            raise EncodingError("a weight is above 0 and at most 1")
        update = np.ascontiguousarray(update)
        _refuse_non_finite(update)
        noise = np.empty(BLOCK, dtype=np.uint64)
        randomness = Stream(seed, b"rounding")
        out = np.empty(self.columns(update.size), dtype=np.uint64)
        clipped = 0
        for start in range(0, out.size, BLOCK):
            block = out[start : start + BLOCK]
            values = update[2 * start : 2 * (start + BLOCK)]
            randomness.fill_words(noise[: block.size])
            clipped += vectors.encode(values, self.bound, weight / self.step, self.limit, noise, block)
        return out, clipped

    def decode_sum(self, words: Vector, length: int, summands: int) -> NDArray[np.int64]:
        """The exact integer sums behind a sum of encodings. Multiply them by `step` for the real values.

        Args:
            words: the sum of the encodings, uint64[ceil(L / 2)].
            length: L, the number of values in an update.
            summands: the number of encodings that were summed.

        Returns:
            int64[L].

        Raises:
            EncodingError: a slot is beyond the range of such sums, so a summand was not an encoding; or `summands` is
                not between 1 and the number agreed on.
            ValueError: the words have another shape or type.
        """
        checked(words, self.columns(length))
        if not 1 <= summands <= self.summands:
            raise EncodingError(f"a sum of {summands} where 1 to {self.summands} are agreed")
        slots = np.empty(2 * words.size, dtype=np.int64)
        slots[0::2] = words & np.uint64(_SLOT_MASK)
        slots[1::2] = words >> np.uint64(SLOT_BITS)
        # As unsigned numbers, so that an element with one of its top two bits set counts as large.
        too_large = slots.view(np.uint64) > np.uint64(2 * self.limit * summands)
        if too_large.any():
            raise EncodingError(f"value {int(too_large.argmax())} is not a sum of {summands} encodings")
        slots -= self.limit * summands
        return slots[:length]


NORM_BITS: Final = 20
"""An update of full weight and of the largest norm is 2^20 units long."""

_SIGNED_OFFSET: Final = 2**22
"""More than any slot of a proved encoding has: 3·(2^20 + ρ), where ρ < 2^13 is what rounding may add."""


@dataclass(frozen=True, slots=True)
class BoundedNorm:
    """The encoding of updates whose norm is proved: y = a + 2^31·b modulo p for each pair of signed values a, b.

    An update is scaled so that one of norm `norm`, with full weight, is about 2^20 units long. Rounding to whole units
    errs by up to sqrt(L) units in all: for 10^6 parameters 2^-11 of the largest norm.

    Raises:
        ValueError: a parameter is out of its range.
    """

    norm: float
    """The largest Euclidean norm of an update."""

    reference: int
    """The number of examples of a full weight, from 1 to 2^20."""

    def __post_init__(self) -> None:
        if not 2.0**-40 <= self.norm <= 2.0**40:
            raise ValueError(f"a norm from 2^-40 to 2^40 is needed, not {self.norm!r}")
        if not 1 <= self.reference <= 2**NORM_BITS:
            raise ValueError(f"a full weight has from 1 to 2^{NORM_BITS} examples, not {self.reference}")

    @property
    def step(self) -> float:
        """The value of one unit of a decoded sum."""
        return self.norm / 2.0**NORM_BITS

    def encode(self, update: NDArray[np.float32], capped: int, seed: bytes) -> tuple[Vector, float]:
        """Encode an update, float32[L], of so many examples.

        Args:
            update: the values. If they are longer than `norm`, all are made smaller by the same factor.
            capped: the examples that weigh the update, from 1 to `reference`.
            seed: secret random bytes that decide the rounding. They must be fresh for each update.

        Returns:
            The words, uint64[ceil(L / 2)], and the length of the update in units of `norm`: above 1 it was clipped.

        Raises:
            EncodingError: another type, shape or count, or NaN or infinity in the update; the message names the first
                such index.
        """
        from ..kernels import vectors

        if update.dtype != np.float32 or update.ndim != 1:
            raise EncodingError("an update is a one-dimensional array of float32")
        if not 1 <= capped <= self.reference:
            raise EncodingError(f"a weight of {capped} examples where 1 to {self.reference} are possible")
        update = np.ascontiguousarray(update)
        _refuse_non_finite(update)
        wide = update.astype(np.float64)
        length = math.sqrt(float(np.dot(wide, wide)))
        # The proof allows whole units for each example, which may be a little less than 2^20 in all.
        allowed = (2**NORM_BITS // self.reference) * capped
        units = capped / self.reference / self.step
        if length * units > allowed:
            units = allowed / length * (1 - 2.0**-40)
        noise = np.empty(BLOCK, dtype=np.uint64)
        randomness = Stream(seed, b"rounding")
        out = np.empty((update.size + 1) // 2, dtype=np.uint64)
        for start in range(0, out.size, BLOCK):
            block = out[start : start + BLOCK]
            values = update[2 * start : 2 * (start + BLOCK)]
            randomness.fill_words(noise[: block.size])
            vectors.encode(values, math.inf, units, _SIGNED_OFFSET, noise, block)
        return _shifted(out, P - _SIGNED_OFFSET * (1 + 2**SLOT_BITS)), length / self.norm

    def decode_sum(self, words: Vector, length: int, summands: int) -> NDArray[np.int64]:
        """The exact integer sums behind a sum of encodings. Multiply them by `step` for the real values.

        Args:
            words: the sum of the encodings, uint64[ceil(L / 2)].
            length: L, the number of values in an update.
            summands: the number of encodings that were summed, from 1 to 2^8.

        Returns:
            int64[L].

        Raises:
            EncodingError: a slot is beyond the range of such sums, so a summand was not an encoding.
            ValueError: the words have another shape or type.
        """
        checked(words, (length + 1) // 2)
        if not 1 <= summands <= 2**8:
            raise EncodingError(f"a sum of {summands} where 1 to {2**8} are possible")
        offset = summands * _SIGNED_OFFSET
        packed = _shifted(words, offset * (1 + 2**SLOT_BITS))
        slots = np.empty(2 * words.size, dtype=np.int64)
        slots[0::2] = packed & np.uint64(_SLOT_MASK)
        slots[1::2] = packed >> np.uint64(SLOT_BITS)
        too_large = slots.view(np.uint64) > np.uint64(2 * offset)
        if too_large.any():
            raise EncodingError(f"value {int(too_large.argmax())} is not a sum of {summands} encodings")
        slots -= offset
        return slots[:length]


def _shifted(words: Vector, by: int) -> Vector:
    """Each element plus a constant below P, modulo P."""
    room = np.uint64(P - by)
    return np.where(words >= room, words - room, words + np.uint64(by))


def _refuse_non_finite(update: NDArray[np.float32]) -> None:
    finite = np.isfinite(update)
    if not finite.all():
        index = int(finite.argmin())
        raise EncodingError(f"value {index} of the update is {update[index]}")


def encode_wide(value: int | float) -> Vector:
    """A number, rounded to a multiple of 2^-40 and below 2^82 in magnitude, as uint64[4] to be summed.

    Raises:
        EncodingError: NaN, infinity, or a value out of range. The message does not contain the value, which is private.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise EncodingError("NaN and infinity have no encoding")
    scaled = round(Fraction(value) * 2**WIDE_FRACTION_BITS)
    if abs(scaled) >= _WIDE_OFFSET:
        raise EncodingError(f"a number is not below 2^{WIDE_RANGE_BITS} in magnitude")
    shifted = scaled + _WIDE_OFFSET
    limbs = [(shifted >> (SLOT_BITS * i)) & _SLOT_MASK for i in range(WIDE_LIMBS)]
    return np.array(limbs, dtype=np.uint64)


def decode_wide(words: Vector, summands: int, *, is_proved: bool = False) -> int:
    """The exact sum of `summands` encoded numbers, in units of 2^-40, from the sum of their encodings, uint64[4].

    With `is_proved` numbers may be as large as a proof lets them be, which is just below 2^83 for a number that is
    proved not to be negative.

    Raises:
        EncodingError: the words cannot be such a sum, or `summands` is not between 1 and 2^32.
        ValueError: the words have another shape or type.
    """
    checked(words, WIDE_LIMBS)
    if not 1 <= summands <= MAX_WIDE_SUMMANDS:
        raise EncodingError(f"a sum of {summands} numbers")
    limbs = [int(word) for word in words]
    if max(limbs) > summands * _SLOT_MASK:
        raise EncodingError(f"the words are not a sum of {summands} encodings")
    total = sum(limb << (SLOT_BITS * i) for i, limb in enumerate(limbs)) - summands * _WIDE_OFFSET
    if not -summands * _WIDE_OFFSET < total < (2 if is_proved else 1) * summands * _WIDE_OFFSET:
        raise EncodingError(f"the words are not a sum of {summands} encodings")
    return total
