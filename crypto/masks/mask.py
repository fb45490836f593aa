"""Masking and unmasking, of whole vectors or in pieces of any number of blocks.

The words that `MaskParameters.encoding` makes are masked, each of two values of an update. The unmasked sum is words
again, for its `decode_sum`. A masked vector has exactly as many elements as the words: the last block is cut where they
end. `vectors.add_into` sums masked vectors. Side sums need more room than an element has left, so they are shared in
the same way as the keys.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from ..field import Vector
from ..sharing.fixed_point import SLOT_BITS, EncodingError
from ..vectors import checked
from .contents import Contents
from .keys import Key
from .parameters import BOUND, DIMENSION, SIGMA, MaskParameters
from .ring import Products

NOISE_DEVIATIONS: Final = 10  # of the sum of the errors that `unmask` accepts
PIECE: Final = 16 * DIMENSION  # elements of a piece where the caller leaves the choice: 512 KiB


class OtherWords(ValueError):
    """Words for which the key was not made. Two vectors masked with one key would show their difference."""


class _Place:
    """The place of the next piece. All pieces but the last are of whole blocks."""

    __slots__ = ("done",)

    def __init__(self, first_block: int) -> None:
        if first_block < 0:
            raise ValueError(f"there is no block {first_block}")
        self.done = first_block * DIMENSION

    def take(self, count: int) -> int:
        """The block at which the next piece, of `count` elements, begins; the place moves behind it.

        Raises:
            ValueError: the piece before did not end with a whole block.
        """
        if self.done % DIMENSION:
            raise ValueError("there was a piece that did not end with a block, and another one after it")
        self.done += count
        return (self.done - count) // DIMENSION


class Masker:
    """Masks the vector for which a key was made, piece by piece, from any block on. Gives the same bytes each time."""

    __slots__ = ("_key", "_place", "_products")

    def __init__(self, key: Key, first_block: int = 0) -> None:
        self._products = Products(key.public_seed, key.vector)
        self._key = key
        self._place = _Place(first_block)

    def __repr__(self) -> str:
        return f"Masker({self._key.parameters}, done={self._place.done})"

    def mask(self, words: Vector) -> Vector:
        """Mask the next encoded words, uint64[C]; returns uint64[C]. C is a multiple of 4096 except at the end.

        Words that are refused do not move the place.

        Raises:
            OtherWords: the key was made for other words.
            EncodingError: the encoding cannot have made these words.
            ValueError: the piece before did not end with a whole block.
        """
        from . import kernels

        parameters = self._key.parameters
        _check_encoded(parameters, checked(words, None))
        other = self._key.contents.differ_at(self._place.done // DIMENSION, words)
        if other is not None:
            raise OtherWords(f"block {other} is not what the key was made for")
        block = self._place.take(words.size)
        masked = self._products.at(block, words.size)
        errors = self._key.errors(block, words.size)
        kernels.hide(words, errors, BOUND, parameters.scale, parameters.radix, masked)
        return masked


class Unmasker:
    """Takes the masks off a sum of masked vectors, piece by piece.

    Args:
        parameters: those with which the vectors were masked.
        public_seed: that of the public element.
        keys: the sum of the vectors' keys, uint64[4096].
        added: the number of vectors in the sum.
        first_block: the block at which the first piece begins.

    Raises:
        ValueError: another shape of keys, or `added` is not between 1 and the number of summands agreed on.
    """

    __slots__ = ("_added", "_parameters", "_place", "_products")

    def __init__(
        self, parameters: MaskParameters, public_seed: bytes, keys: Vector, added: int, first_block: int = 0
    ) -> None:
        if not 1 <= added <= parameters.summands:
            raise ValueError(f"a sum of {added} where 1 to {parameters.summands} are agreed")
        self._products = Products(public_seed, checked(keys, DIMENSION))
        self._parameters = parameters
        self._added = added
        self._place = _Place(first_block)

    def __repr__(self) -> str:
        return f"Unmasker({self._parameters}, added={self._added}, done={self._place.done})"

    def unmask(self, total: Vector) -> Vector:
        """Unmask the next piece of the sum, uint64[C]; returns the sum of the encoded words. C is as in `Masker.mask`.

        Raises:
            EncodingError: no such sum comes out. The keys or the sum are wrong, or a summand was no masked encoding.
            ValueError: the piece before did not end with a whole block.
        """
        from . import kernels

        block = self._place.take(checked(total, None).size)
        words = self._products.at(block, total.size)
        least, most = noise_range(self._added)
        wrong = kernels.uncover(total, self._parameters.scale, self._parameters.radix, least, most, words)
        if wrong >= 0:
            index = block * DIMENSION + wrong
            raise EncodingError(f"element {index} is not a sum of {self._added} masked encodings")
        return words


def noise_range(added: int) -> tuple[int, int]:
    """The least and the largest sum of so many errors that is accepted: ten standard deviations around the mean.

    Each error counts with BOUND added, which makes it non-negative. An element of an honest sum is outside with
    probability 2^-75.
    """
    width = min(BOUND * added, math.isqrt((NOISE_DEVIATIONS * SIGMA) ** 2 * added) + 1)
    return BOUND * added - width, BOUND * added + width


def mask(
    parameters: MaskParameters, public_seed: bytes, words: Vector, seed: bytes, context: bytes
) -> tuple[Key, Vector]:
    """Make a key for the words, uint64[C], and mask them with it; returns both.

    The other arguments are those of `Key`.

    Raises:
        ValueError: a seed has another length.
        EncodingError: the encoding cannot have made these words.
    """
    key = Key(seed, context, public_seed, parameters, Contents.of(words))
    return key, _in_pieces(words, Masker(key).mask)


def unmask(parameters: MaskParameters, public_seed: bytes, total: Vector, keys: Vector, added: int) -> Vector:
    """The sum of the encoded words, uint64[C], behind the sum of `added` masked vectors.

    The other arguments are those of `Unmasker`.

    Raises:
        ValueError: as `Unmasker` does.
        EncodingError: as `Unmasker.unmask` does.
    """
    unmasker = Unmasker(parameters, public_seed, keys, added)
    return _in_pieces(total, unmasker.unmask)


def _in_pieces(vector: Vector, work: Callable[[Vector], Vector]) -> Vector:
    out = np.empty_like(checked(vector, None))
    for start in range(0, vector.size, PIECE):
        out[start : start + PIECE] = work(vector[start : start + PIECE])
    return out


def _check_encoded(parameters: MaskParameters, words: Vector) -> None:
    """Refuse words with a slot beyond its range: it would spill into its neighbours and the sum of the errors."""
    largest = np.uint64(2 * parameters.encoding.limit)
    low_bits = np.uint64(2**SLOT_BITS - 1)
    if words.size and (int((words & low_bits).max()) > largest or int((words >> np.uint64(SLOT_BITS)).max()) > largest):
        raise EncodingError(f"words that no encoding with {parameters.bits} bits has made")
