"""Pseudorandom field elements: AES-256 in counter mode, expanded from a seed and a label.

The key is a hash of seed and label, so one secret seed gives independent streams for all labels. That assumes
that SHA-256 with the secret seed in front is a pseudorandom function of the labels in use, and that AES-256 is a
pseudorandom permutation. Counter mode then gives words that are indistinguishable from random ones. That blocks of
a permutation do not repeat adds at most q^2 / 2^129 for q blocks of 16 bytes (the PRP/PRF switching lemma).

Words of P or more are dropped and not reduced: reducing them would favour the 2^32 - 1 smallest elements. A word
is dropped with a probability of just below 2^-32. The stream is defined as the words that remain, so it does not
depend on the sizes of the pieces in which it is read.
"""

import hashlib
from typing import Final, NoReturn

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .field import ELEMENT_BYTES, P, Vector

_DOMAIN: Final = b"coterie/1/stream"

# Elements made at a time: enough to hide the cost of a call, few enough to stay in the second-level cache.
BLOCK: Final = 8192
_ZEROS: Final = bytes(BLOCK * ELEMENT_BYTES)


def derive(seed: bytes, label: bytes) -> bytes:
    """A 32-byte key for this label, independent of the keys for all other labels.

    It is SHA-256 of a domain, the seed's length, the seed and the label. With the length no two pairs of seed and
    label have the same bytes.
    """
    return hashlib.sha256(b"%b|%d|%b|%b" % (_DOMAIN, len(seed), seed, label)).digest()


class Stream:
    """A position in a stream of one seed and label; each call continues where the last one ended.

    Each seed and label have 2^64 streams, numbered by block, of 2^64 counters each. As elements are dropped, an
    element's place in a stream does not give its counter. A caller that must start in the middle of its data uses a
    stream for each block of the data, and `seek`.
    """

    __slots__ = ("_encryptor",)

    def __init__(self, seed: bytes, label: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(derive(seed, label)), modes.CTR(bytes(16))).encryptor()

    def seek(self, block: int) -> None:
        """Go to the beginning of the stream of a block, 0 to 2^64 - 1. A new `Stream` stands at block 0."""
        self._encryptor.reset_nonce((block << 64).to_bytes(16, "big"))

    def __repr__(self) -> str:
        return "Stream(<secret>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stream holds a key and is not pickled")

    def fill(self, out: Vector) -> None:
        """Fill the vector, uint64[C], with the next elements, uniform in F_p."""
        for start in range(0, out.size, BLOCK):
            block = out[start : start + BLOCK]
            words = self._words(block.size)
            if int(words.max()) >= P:
                words = self._without_large(words)
            block[:] = words

    def fill_words(self, out: Vector) -> None:
        """Fill the array, uint64[C], with the next raw words: random bits, not field elements. None is dropped."""
        for start in range(0, out.size, BLOCK):
            block = out[start : start + BLOCK]
            block[:] = self._words(block.size)

    def _words(self, count: int) -> Vector:
        return np.frombuffer(self._encryptor.update(_ZEROS[: count * ELEMENT_BYTES]), dtype="<u8")

    def _without_large(self, words: Vector) -> Vector:
        """The words without those of P or more, and as many words below P from further on in the stream."""
        kept = words[words < P]
        while kept.size < words.size:
            more = self._words(words.size - kept.size)
            kept = np.concatenate([kept, more[more < P]])
        return kept


def stream(seed: bytes, label: bytes, count: int) -> Vector:
    """The first `count` elements of block 0's stream: uint64[count], uniform in F_p."""
    out = np.empty(count, dtype=np.uint64)
    Stream(seed, label).fill(out)
    return out
