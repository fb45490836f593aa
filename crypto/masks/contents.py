"""Hashes of the words to be masked, block by block, made in a pass of their own before anything is masked.

A key is derived from them, so no two vectors have the same key. Each block is compared with them before it is masked.
The reason: two vectors masked with one key show their difference, and after a restart a vector that is trained or
rounded again is another one.
"""

import hashlib
from typing import Final

import numpy as np

from ..field import Vector
from ..vectors import checked
from .parameters import DIMENSION

_BLOCK: Final = b"coterie/1/mask block"
_CONTENTS: Final = b"coterie/1/mask contents"


class Contents:
    """The hashes of a vector's blocks, in the order in which its words come."""

    __slots__ = ("_blocks", "length")

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self.length = 0
        """Number of words so far."""

    def __repr__(self) -> str:
        return f"Contents(length={self.length})"

    @classmethod
    def of(cls, words: Vector) -> "Contents":
        """The hashes of a whole vector, uint64[C]."""
        contents = cls()
        contents.add(words)
        return contents

    def add(self, words: Vector) -> None:
        """Take the next words, uint64[C]. C is a multiple of 4096 except at the end.

        Raises:
            ValueError: the piece before did not end with a whole block.
        """
        if self.length % DIMENSION and words.size:
            raise ValueError("there was a piece that did not end with a block, and another one after it")
        checked(words, None)
        self._blocks += [_digest(words[start : start + DIMENSION]) for start in range(0, words.size, DIMENSION)]
        self.length += words.size

    @property
    def digest(self) -> bytes:
        """One hash over the number of words and all hashes, 32 bytes."""
        return hashlib.sha256(_CONTENTS + self.length.to_bytes(8, "big") + b"".join(self._blocks)).digest()

    def differ_at(self, first: int, words: Vector) -> int | None:
        """The first block that does not have the hashed words; None if they all have them.

        A block that ends early, or comes after the last one, does not have them.

        Args:
            first: the number of the block with which `words` begin.
            words: uint64[C].
        """
        for place, start in enumerate(range(0, words.size, DIMENSION), first):
            if self._blocks[place : place + 1] != [_digest(words[start : start + DIMENSION])]:
                return place
        return None


def _digest(words: Vector) -> bytes:
    return hashlib.sha256(_BLOCK + words.astype("<u8", copy=False).view(np.uint8).data).digest()
