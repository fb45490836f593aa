"""Discrete Gaussian samples: integers k with probability proportional to exp(-k² / 2σ²), |k| <= BOUND.

By inversion of the cumulative distribution. The magnitude's cumulative probabilities, 112 of them, are known to 128
bits; a sample is the number of them that a uniform 128-bit number u reaches, with a random sign. Each probability so
is off by at most 2^-128, the whole distribution by less than 2^-120, and cutting at 14σ takes 2^-141 off.

The upper 31 bits of u nearly always decide, and in the rest of cases the other 97 are drawn. So almost all samples
take one comparison with each of some fifty 31-bit thresholds, all of them always: no branch and no address depends
on the sample. What does take time is a tie, u's upper bits equal to a threshold's, with probability 2^-25: who can
see it learns that some sample lies next to some threshold.
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
    """For k = 0 ... BOUND - 1, the probability of a magnitude of at most k, times 2^128, rounded down."""
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
    """The upper 31 bits of the thresholds; all that are the largest such number stand for one tie."""
    heads = [threshold >> _REST_BITS for threshold in thresholds()]
    largest = 2**_HEAD_BITS - 1
    table = np.array([*(head for head in heads if head < largest), largest], dtype=np.int32)
    table.flags.writeable = False
    return table


class Gaussian:
    """A position in the pseudorandom samples that one key gives for a label, and for a block, as in `Stream`."""

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
        """The next samples, int32[count]. A call for an odd number discards half a word of randomness after it."""
        from . import kernels

        words = np.empty((count + 1) // 2, dtype=np.uint64)
        self._stream.fill_words(words)
        halves = words.astype("<u8", copy=False).view("<u4")[:count].astype(np.uint32, copy=False)
        out = np.empty(count, dtype=np.int32)
        if kernels.sample(halves, _heads(), out):
            self._settle(halves, out)
        return out

    def _settle(self, halves: NDArray[np.uint32], out: Samples) -> None:
        """Decide the ties with 97 more bits."""
        upper = (halves >> np.uint32(1)).astype(np.int32)
        more = np.empty(2, dtype=np.uint64)
        for i in np.flatnonzero(np.isin(upper, _heads())):
            self._rest.fill_words(more)
            rest = (int(more[0]) | int(more[1]) << 64) & (2**_REST_BITS - 1)
            magnitude = bisect_right(thresholds(), int(upper[i]) << _REST_BITS | rest)
            out[i] = -magnitude if halves[i] & np.uint32(1) else magnitude
