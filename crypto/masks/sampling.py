"""Discrete Gaussian samples: integers k with probability proportional to exp(-k² / 2σ²), |k| <= BOUND.

Samples are drawn by inversion of the cumulative distribution. The 112 cumulative probabilities of the magnitude are
known to 128 bits. A sample's magnitude is the number of them that a uniform 128-bit number u reaches; its sign is
random. Each probability is off by at most 2^-128, so the statistical distance of a sample is below 2^-120. The cut at
14σ costs 2^-141.

The upper 31 bits of u nearly always decide; the other 97 are drawn only in the other cases. Every sample is compared
with every one of some fifty thresholds of 31 bits, so no branch and no address depends on the sample. The exception is
a tie, where u's upper bits equal a threshold's: it has probability 2^-25 and takes visibly longer. An observer of the
time learns that some sample lies next to some threshold, and not which.
"""

from bisect import bisect_right
from decimal import ROUND_FLOOR, Decimal, localcontext
from functools import lru_cache
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..prng import Stream
from .parameters import BOUND, SIGMA

Samples = NDArray[np.int32]

PRECISION_BITS: Final = 128
_HEAD_BITS: Final = 31
_REST_BITS: Final = PRECISION_BITS - _HEAD_BITS
_DECIMALS: Final = 60


@lru_cache(maxsize=1)
def thresholds() -> tuple[int, ...]:
    """The probabilities of a magnitude of at most k, for k = 0 ... BOUND - 1, times 2^128, rounded down."""
    with localcontext() as context:
        context.prec = _DECIMALS
        weights = [(Decimal(-k * k) / (2 * SIGMA * SIGMA)).exp() * (2 if k else 1) for k in range(BOUND + 1)]
        unit = Decimal(2**PRECISION_BITS) / sum(weights)
        reached = Decimal(0)
        cumulative = []
        for weight in weights[:-1]:
            reached += weight
            cumulative.append(int((reached * unit).to_integral_value(ROUND_FLOOR)))
    return tuple(cumulative)


@lru_cache(maxsize=1)
def _heads() -> Samples:
    """The upper 31 bits of the thresholds. Those that are all ones stand there once: they make the same tie."""
    heads = [threshold >> _REST_BITS for threshold in thresholds()]
    largest = 2**_HEAD_BITS - 1
    table = np.array([*(head for head in heads if head < largest), largest], dtype=np.int32)
    table.flags.writeable = False
    return table


class Gaussian:
    """A position in the pseudorandom samples of one key, label and block, as in `Stream`."""

    __slots__ = ("_rest", "_stream")

    def __init__(self, key: bytes, label: bytes) -> None:
        self._stream = Stream(key, label)
        self._rest = Stream(key, label + b"|rest")

    def __repr__(self) -> str:
        return "Gaussian(<secret>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a sampler holds a key and is not pickled")

    def seek(self, block: int) -> None:
        """Go to the beginning of a block's samples."""
        self._stream.seek(block)
        self._rest.seek(block)

    def draw(self, count: int) -> Samples:
        """The next samples, int32[count]. After an odd number, the other half of a word of randomness is discarded."""
        from . import kernels

        words = np.empty((count + 1) // 2, dtype=np.uint64)
        self._stream.fill_words(words)
        halves = words.astype("<u8", copy=False).view("<u4")[:count].astype(np.uint32, copy=False)
        out = np.empty(count, dtype=np.int32)
        if kernels.sample(halves, _heads(), out):
            self._settle(halves, out)
        return out

    def _settle(self, halves: NDArray[np.uint32], out: Samples) -> None:
        """Decide the ties, with 97 more bits each."""
        upper = (halves >> np.uint32(1)).astype(np.int32)
        more = np.empty(2, dtype=np.uint64)
        for i in np.flatnonzero(np.isin(upper, _heads())):
            self._rest.fill_words(more)
            rest = (int(more[0]) | int(more[1]) << 64) & (2**_REST_BITS - 1)
            magnitude = bisect_right(thresholds(), int(upper[i]) << _REST_BITS | rest)
            out[i] = -magnitude if halves[i] & np.uint32(1) else magnitude
