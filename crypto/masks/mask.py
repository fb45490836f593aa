"""Masking and unmasking, of whole vectors or in pieces of any number of blocks.

What is masked are the words of `MaskParameters.encoding`, two values of an update each; what comes out of the
unmasked sum are words again, for its `decode_sum`. A masked vector has exactly as many elements: the last block is
cut where the vector ends. Sums are `vectors.add_into`'s. Side sums need more room than an element has left; they go
the way of the keys.
"""

import hashlib
from collections.abc import Callable

import numpy as np

from ..codec import SLOT_BITS, EncodingError
from ..field import Vector
from ..vectors import checked
from .keys import Key
from .parameters import BOUND, DIMENSION, MaskParameters
from .ring import Products

PIECE = 16 * DIMENSION  # elements that are worked on at a time, when the caller leaves the choice: 512 KiB


class _Blocks:
    """Counts pieces: all are of whole blocks, except the last."""

    __slots__ = ("done", "ragged")

    def __init__(self) -> None:
        self.done = 0
        self.ragged = False

    def take(self, count: int) -> None:
        if self.ragged:
            raise ValueError("there was a piece that did not end with a block, and another one after it")
        self.ragged = count % DIMENSION != 0
        self.done += count


class Masker:
    """Masks one vector, piece by piece.

    The public seed is the same for all whose vectors are summed; the key is used up. Raises KeyReused for a key that
    has masked before.
    """

    __slots__ = ("_blocks", "_errors", "_parameters", "_products")

    def __init__(self, parameters: MaskParameters, public_seed: bytes, key: Key) -> None:
        self._products = Products(public_seed, key.vector)
        self._parameters = parameters
        self._blocks = _Blocks()
        self._errors = key.begin()

    def __repr__(self) -> str:
        return f"Masker({self._parameters}, done={self._blocks.done})"

    def mask(self, words: Vector) -> Vector:
        """The next encoded words, uint64[C], masked: uint64[C]. C is a multiple of 4096 except at the end.

        Raises EncodingError, and uses nothing up, for words that the encoding cannot have made.
        """
        from . import kernels

        _check_encoded(self._parameters, checked(words, None))
        self._blocks.take(words.size)
        masked = self._products.next(words.size)
        errors = self._errors.draw(words.size)
        kernels.hide(words, errors, BOUND, self._parameters.scale, self._parameters.radix, masked)
        return masked


class Unmasker:
    """Takes the masks off a sum of `added` masked vectors, piece by piece; `keys`: the sum of their keys.

    Raises ValueError for another shape of keys and more summands than agreed.
    """

    __slots__ = ("_added", "_blocks", "_parameters", "_products")

    def __init__(self, parameters: MaskParameters, public_seed: bytes, keys: Vector, added: int) -> None:
        if not 1 <= added <= parameters.summands:
            raise ValueError(f"a sum of {added} where 1 to {parameters.summands} are agreed")
        self._products = Products(public_seed, checked(keys, DIMENSION))
        self._parameters = parameters
        self._added = added
        self._blocks = _Blocks()

    def __repr__(self) -> str:
        return f"Unmasker({self._parameters}, added={self._added}, done={self._blocks.done})"

    def unmask(self, total: Vector) -> Vector:
        """The next piece of the sum, uint64[C], as a sum of encoded words. C as in `Masker.mask`.

        Raises EncodingError when there is no such sum there: the keys or the sum are not what they should be, or a
        summand was not a masked encoding.
        """
        from . import kernels

        self._blocks.take(checked(total, None).size)
        words = self._products.next(total.size)
        noise = 2 * BOUND * self._added
        wrong = kernels.uncover(total, self._parameters.scale, self._parameters.radix, noise, words)
        if wrong >= 0:
            index = self._blocks.done - total.size + wrong
            raise EncodingError(f"element {index} is not a sum of {self._added} masked encodings")
        return words


def mask(
    parameters: MaskParameters, public_seed: bytes, words: Vector, seed: bytes, context: bytes
) -> tuple[Key, Vector]:
    """A fresh key and the words, uint64[C], masked with it.

    seed: 32 secret random bytes; context: federation, round, member. The words go into the key, so that a seed that
    is used for two vectors by mistake gives two keys. Raises ValueError as `Key` and `Masker` do.
    """
    digest = hashlib.sha256(checked(words, None).astype("<u8", copy=False).view(np.uint8).data).digest()
    key = Key(seed, b"%d|%b%b" % (len(context), context, digest))
    masker = Masker(parameters, public_seed, key)
    return key, _in_pieces(words, masker.mask)


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
