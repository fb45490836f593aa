"""Masking and unmasking, of whole vectors or in pieces of any number of blocks.

What is masked are the words of `MaskParameters.encoding`, two values of an update each; what comes out of the
unmasked sum are words again, for its `decode_sum`. A masked vector has exactly as many elements: the last block is
cut where the vector ends. Sums are `vectors.add_into`'s. Side sums need more room than an element has left; they go
the way of the keys.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from ..codec import SLOT_BITS, EncodingError
from ..field import Vector
from ..vectors import checked
from .contents import Contents
from .keys import Key
from .parameters import BOUND, DIMENSION, SIGMA, MaskParameters
from .ring import Products

NOISE_DEVIATIONS: Final = 10
PIECE: Final = 16 * DIMENSION  # elements that are worked on at a time, when the caller leaves the choice: 512 KiB


class OtherWords(ValueError):
    """Words that are not those that a key was made for: two vectors masked with one key show their difference."""


class _Place:
    """Where the next piece belongs: all are of whole blocks, except the last."""

    __slots__ = ("done",)

    def __init__(self, first_block: int) -> None:
        if first_block < 0:
            raise ValueError(f"there is no block {first_block}")
        self.done = first_block * DIMENSION

    def take(self, count: int) -> int:
        """The block at which a piece of that many elements begins."""
        if self.done % DIMENSION:
            raise ValueError("there was a piece that did not end with a block, and another one after it")
        self.done += count
        return (self.done - count) // DIMENSION


class Masker:
    """Masks the vector that a key was made for, piece by piece, from any block on: the same bytes each time."""

    __slots__ = ("_key", "_place", "_products")

    def __init__(self, key: Key, first_block: int = 0) -> None:
        self._products = Products(key.public_seed, key.vector)
        self._key = key
        self._place = _Place(first_block)

    def __repr__(self) -> str:
        return f"Masker({self._key.parameters}, done={self._place.done})"

    def mask(self, words: Vector) -> Vector:
        """The next encoded words, uint64[C], masked: uint64[C]. C is a multiple of 4096 except at the end.

        Nothing is used up by words that are refused. Raises OtherWords for others than the key was made for, and
        EncodingError for words that the encoding cannot have made.
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
    """Takes the masks off a sum of `added` masked vectors, piece by piece; `keys`: the sum of their keys.

    Raises ValueError for another shape of keys and more summands than agreed.
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
        """The next piece of the sum, uint64[C], as a sum of encoded words. C as in `Masker.mask`.

        Raises EncodingError when there is no such sum there: the keys or the sum are not what they should be, or a
        summand was not a masked encoding.
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
    """What a sum of that many errors, each made non-negative, can be: ten standard deviations around its mean.

    An honest sum is outside with probability 2^-75 an element.
    """
    width = min(BOUND * added, math.isqrt((NOISE_DEVIATIONS * SIGMA) ** 2 * added) + 1)
    return BOUND * added - width, BOUND * added + width


def mask(
    parameters: MaskParameters, public_seed: bytes, words: Vector, seed: bytes, context: bytes
) -> tuple[Key, Vector]:
    """A key for the words, uint64[C], and the words masked with it.

    seed: 32 secret random bytes; context: federation, round, base model, member. Raises as `Key` and `Masker` do.
    """
    key = Key(seed, context, public_seed, parameters, Contents.of(words))
    return key, _in_pieces(words, Masker(key).mask)


def unmask(parameters: MaskParameters, public_seed: bytes, total: Vector, keys: Vector, added: int) -> Vector:
    """The sum of encoded words behind the sum of `added` masked vectors. Raises as `Unmasker` does."""
    unmasker = Unmasker(parameters, public_seed, keys, added)
    return _in_pieces(total, unmasker.unmask)


def _in_pieces(vector: Vector, work: Callable[[Vector], Vector]) -> Vector:
    out = np.empty_like(checked(vector, None))
    for start in range(0, vector.size, PIECE):
        out[start : start + PIECE] = work(vector[start : start + PIECE])
    return out


def _check_encoded(parameters: MaskParameters, words: Vector) -> None:
    """A slot beyond its range would spill into its neighbours and into the sum of the errors."""
    largest = np.uint64(2 * parameters.encoding.limit)
    low_bits = np.uint64(2**SLOT_BITS - 1)
    if words.size and (int((words & low_bits).max()) > largest or int((words >> np.uint64(SLOT_BITS)).max()) > largest):
        raise EncodingError(f"words that no encoding with {parameters.bits} bits has made")
