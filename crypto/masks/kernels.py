"""The compiled inner loops of masks: slow to import, and without checks, like those of :mod:`..kernels`."""

from typing import Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from ..field import P, Vector
from ..kernels.compiling import compiled

_WORDS: Final = types.Array(types.uint64, 1, "C")
_WORDS_IN: Final = types.Array(types.uint64, 1, "C", readonly=True)
_HALVES_IN: Final = types.Array(types.uint32, 1, "C", readonly=True)
_SIGNED: Final = types.Array(types.int32, 1, "C")
_SIGNED_IN: Final = types.Array(types.int32, 1, "C", readonly=True)

_PRIME: Final = np.uint64(P)
_SLOT_BITS: Final = np.uint64(31)
_SLOT_MASK: Final = np.uint64(2**31 - 1)
_CHUNK: Final = 2048  # samples that stay in the first-level cache while they meet all thresholds


@compiled(types.int64(_HALVES_IN, _SIGNED_IN, _SIGNED))
def sample(randomness: NDArray[np.uint32], heads: NDArray[np.int32], out: NDArray[np.int32]) -> int:
    """Set out[i] to ± the number of heads below the upper 31 bits of randomness[i]; its lowest bit is the sign.

    Every sample is compared with every head, so neither branches nor addresses depend on it. Returns the number of
    samples that equal a head; the caller must settle these.
    """
    magnitudes = np.zeros(_CHUNK, dtype=np.int32)
    ties = 0
    for start in range(0, out.size, _CHUNK):
        count = min(_CHUNK, out.size - start)
        for i in range(count):
            magnitudes[i] = np.int32(randomness[start + i] >> np.uint32(1))
        above, tied = np.zeros(_CHUNK, dtype=np.int32), np.zeros(_CHUNK, dtype=np.int32)
        for head in heads:
            for i in range(_CHUNK):
                above[i] += np.int32(magnitudes[i] > head)
                tied[i] |= np.int32(magnitudes[i] == head)
        for i in range(count):
            sign = np.int32(1) - np.int32(2) * np.int32(randomness[start + i] & np.uint32(1))
            out[start + i] = sign * above[i]
            ties += tied[i]
    return ties


@compiled(types.void(_WORDS_IN, _SIGNED_IN, types.int64, types.uint64, types.uint64, _WORDS))
def hide(words: Vector, errors: NDArray[np.int32], bound: int, scale: int, radix: int, masked: Vector) -> None:
    """Add scale * (low + radix * high) + errors[i] + bound to masked[i], for the two slots of words[i]."""
    for i in range(words.size):
        value = (words[i] & _SLOT_MASK) + radix * (words[i] >> _SLOT_BITS)
        room = _PRIME - (scale * value + np.uint64(np.int64(errors[i]) + bound))
        wraps = np.uint64(0) - np.uint64(masked[i] < room)
        masked[i] = masked[i] - room + (_PRIME & wraps)


@compiled(types.int64(_WORDS_IN, types.uint64, types.uint64, types.uint64, types.uint64, _WORDS))
def uncover(total: Vector, scale: int, radix: int, least: int, most: int, words: Vector) -> int:
    """Set words[i] to total[i] - words[i], taken apart into the two slots; words[i] holds the sum of the masks.

    Returns the first i at which the sum of the errors is not between `least` and `most` or a slot is not below the
    radix; -1 if there is none.
    """
    for i in range(words.size):
        wraps = np.uint64(0) - np.uint64(total[i] < words[i])
        plain = total[i] - words[i] + (_PRIME & wraps)
        value = plain // scale
        high = value // radix
        noise = plain - value * scale
        if noise < least or noise > most or high >= radix:
            return i
        words[i] = (value - high * radix) | (high << _SLOT_BITS)
    return -1
