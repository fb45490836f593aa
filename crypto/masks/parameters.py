"""The ring, the widths of keys and errors, and how many bits of an update fit above the errors.

A masked element holds two values of an update above the sum of all errors:

    Δ·(low + M·high) + (error + BOUND)

M is one more than the largest sum of a slot and Δ one more than the largest sum of the last bracket, so that nothing
ever carries; what has to hold is Δ·M² <= p. The three numbers are exact, not powers of two: at the sizes in use this
keeps a bit more of each value.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from ..codec import MIN_BITS, EncodingError, FixedPoint
from ..field import P

DIMENSION: Final = 4096  # N: coefficients of a ring element, and of a key

# Standard deviation of each coefficient of keys and errors. Opening a sum of two honest keys leaves, of this width,
# a half to hide behind (hint-RLWE); the standard's tables are for 3.2. See docs/crypto-masks.md.
SIGMA: Final = 8
BOUND: Final = 14 * SIGMA  # no coefficient is larger; a Gaussian exceeds it with probability 2^-141

MAX_BITS: Final = 22


@dataclass(frozen=True, slots=True)
class MaskParameters:
    """How updates are encoded so that sums of `summands` of them, masked, decode exactly.

    clip: largest magnitude of an update's element, a power of two; bits: of a value, with its sign, from 8 to 22; the
    most that fits when it is 0. Raises EncodingError for more bits than fit, and where not even 8 do.
    """

    summands: int
    clip: float
    bits: int = 0
    encoding: FixedPoint = field(init=False)
    radix: int = field(init=False)  # M, above every sum in one slot
    scale: int = field(init=False)  # Δ, above every sum of errors

    def __post_init__(self) -> None:
        if self.summands < 1:
            raise EncodingError(f"a sum has at least one summand, not {self.summands}")
        fitting = largest_bits(self.summands)
        if fitting < MIN_BITS:
            raise EncodingError(f"{self.summands} summands leave {fitting} bits a value, and {MIN_BITS} are needed")
        if self.bits > fitting:
            raise EncodingError(f"{self.summands} summands leave {fitting} bits a value, not {self.bits}")
        encoding = FixedPoint(self.clip, self.summands, self.bits or fitting)
        object.__setattr__(self, "bits", encoding.bits)
        object.__setattr__(self, "encoding", encoding)
        object.__setattr__(self, "radix", _radix(self.summands, encoding.bits))
        object.__setattr__(self, "scale", _scale(self.summands))


def _radix(summands: int, bits: int) -> int:
    """One more than the largest sum of that many values from 0 to 2^bits - 2, as `codec` stores them."""
    return summands * ((1 << bits) - 2) + 1


def _scale(summands: int) -> int:
    """One more than the largest sum of that many errors, each made non-negative."""
    return summands * 2 * BOUND + 1


def largest_bits(summands: int) -> int:
    """How many bits of a value fit when that many are summed; at most 22, and 0 or less when nothing fits."""
    room = math.isqrt(P // _scale(summands))  # the largest M
    fitting: int = ((room - 1) // summands + 2).bit_length() - 1
    return min(MAX_BITS, fitting)
