"""The ring, the widths of keys and errors, and the number of bits of a value that fit above the errors.

A masked element holds two values of an update above its error:

    Δ·(low + M·high) + (error + BOUND)

M is one more than the largest sum in a slot, and Δ is one more than the largest sum of the last bracket, so sums never
carry. The condition is Δ·M² <= p. M and Δ are exact numbers and not powers of two: at the sizes in use this leaves
room for one more bit of each value.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from ..field import P
from ..sharing.fixed_point import MIN_BITS, EncodingError, FixedPoint

DIMENSION: Final = 4096  # N: coefficients of a ring element, and of a key

# Standard deviation of each coefficient of keys and errors. The opened sum of two honest members' keys is a hint on
# each key. To learn more is as hard as plain ring-LWE of half this width, 4 (Kim, Lee, Seo and Song, CRYPTO 2023,
# theorem 1). The tables of the homomorphic encryption standard are for 3.2. See docs/crypto-masks.md.
SIGMA: Final = 8
BOUND: Final = 14 * SIGMA  # no coefficient is larger in magnitude; a Gaussian exceeds it with probability 2^-141

MAX_BITS: Final = 22


@dataclass(frozen=True, slots=True)
class MaskParameters:
    """How updates are encoded so that sums of masked ones decode exactly.

    Raises:
        EncodingError: more bits than fit, or not even 8 bits fit.
        ValueError: `clip` or `bits` is out of its range.
    """

    summands: int
    """Largest number of masked vectors in a sum."""

    clip: float
    """Largest magnitude of an update's element, a power of two."""

    bits: int = 0
    """Bits of a value with its sign, from 8 to 22; 0 stands for as many as fit."""

    encoding: FixedPoint = field(init=False)
    """The encoding that these numbers lead to."""

    radix: int = field(init=False)
    """M, larger than every sum in one slot."""

    scale: int = field(init=False)
    """Δ, larger than every sum of errors made non-negative."""

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
    """One more than the largest sum of so many values from 0 to 2^bits - 2, as `fixed_point` stores them."""
    return summands * ((1 << bits) - 2) + 1


def _scale(summands: int) -> int:
    """One more than the largest sum of so many errors, each with BOUND added, which makes it non-negative."""
    return summands * 2 * BOUND + 1


def largest_bits(summands: int) -> int:
    """The number of bits of a value that fit when so many are summed: at most 22; 0 or less when none fit."""
    room = math.isqrt(P // _scale(summands))  # the largest M
    fitting: int = ((room - 1) // summands + 2).bit_length() - 1
    return min(MAX_BITS, fitting)
