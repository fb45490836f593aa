"""Pseudorandom field elements: AES-256 in counter mode, expanded from a seed and a label.

The key is a hash of seed and label, so that one seed gives as many independent streams as there are labels.
AES-CTR under a random key is indistinguishable from random words; words of P or more are dropped rather than
reduced, because reducing them would favour the 2^32 smallest elements. A word is dropped with probability
2^-32, and the stream is defined as the words that remain: how a reader cuts it into pieces changes nothing.
"""

import hashlib
from typing import Final, NoReturn

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .field import ELEMENT_BYTES, P, Vector

_DOMAIN: Final = b"coterie/1/stream"

# Large enough to hide the cost of a call, small enough that a block stays in the second-level cache.
BLOCK: Final = 8192
_ZEROS: Final = bytes(BLOCK * ELEMENT_BYTES)


def derive(seed: bytes, label: bytes) -> bytes:
    """A 32-byte key for this label, independent of those for all others. The seed's length is hashed too."""
    return hashlib.sha256(b"%b|%d|%b|%b" % (_DOMAIN, len(seed), seed, label)).digest()


class Stream:
    """A position in the stream of one seed and label; each call goes on from where the last one ended.

    A label has 2^64 such streams of 2^64 counters each, one for each block of something. Elements are dropped, so no
    reader can go to a place within a stream; where places have to be found, each block has its own.
    """

    __slots__ = ("_encryptor",)

    def __init__(self, seed: bytes, label: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(derive(seed, label)), modes.CTR(bytes(16))).encryptor()

    def seek(self, block: int) -> None:
        """Go to the beginning of the stream of a block, 0 to 2^64 - 1; 0 is where a new one stands."""
        self._encryptor.reset_nonce((block << 64).to_bytes(16, "big"))

    def __repr__(self) -> str:
        return "Stream(<secret>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stream holds a key and is not pickled")

    def fill(self, out: Vector) -> None:
        """Fill the vector with the next elements, uniform in F_p."""
        for start in range(0, out.size, BLOCK):
            block = out[start : start + BLOCK]
            words = self._words(block.size)
            if int(words.max()) >= P:
                words = self._without_large(words)
            block[:] = words

    def fill_words(self, out: Vector) -> None:
        """Fill the array with the next raw 64-bit words, none dropped: random bits, not field elements."""
        for start in range(0, out.size, BLOCK):
            block = out[start : start + BLOCK]
            block[:] = self._words(block.size)

    def _words(self, count: int) -> Vector:
        return np.frombuffer(self._encryptor.update(_ZEROS[: count * ELEMENT_BYTES]), dtype="<u8")

    def _without_large(self, words: Vector) -> Vector:
        """The same number of words, those of P or more replaced by what follows in the stream."""
        kept = words[words < P]
        while kept.size < words.size:
            more = self._words(words.size - kept.size)
            kept = np.concatenate([kept, more[more < P]])
        return kept


def stream(seed: bytes, label: bytes, count: int) -> Vector:
    """The first `count` elements of the stream: uint64[count], uniform in F_p."""
    out = np.empty(count, dtype=np.uint64)
    Stream(seed, label).fill(out)
    return out
