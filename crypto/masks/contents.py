"""What is to be masked, by its hashes, block after block: made in a pass of its own, before anything is masked.

A key is derived from them, so that no two vectors have one; and each block is compared with them before it is masked.
Two vectors masked with one key show their difference, and a vector that was trained or rounded anew after a restart is
another one.
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
        """How many words there were."""

    def __repr__(self) -> str:
        return f"Contents(length={self.length})"

    @classmethod
    def of(cls, words: Vector) -> "Contents":
        """Those of a whole vector, uint64[C]."""
        contents = cls()
        contents.add(words)
        return contents

    def add(self, words: Vector) -> None:
        """Take the next words, uint64[C]. C is a multiple of 4096 except at the end.

        Raises ValueError for words after a piece that does not end with a block.
        """
        if self.length % DIMENSION and words.size:
            raise ValueError("there was a piece that did not end with a block, and another one after it")
        checked(words, None)
        self._blocks += [_digest(words[start : start + DIMENSION]) for start in range(0, words.size, DIMENSION)]
        self.length += words.size

    @property
    def digest(self) -> bytes:
        """One hash over all, 32 bytes."""
        return hashlib.sha256(_CONTENTS + self.length.to_bytes(8, "big") + b"".join(self._blocks)).digest()

    def differ_at(self, first: int, words: Vector) -> int | None:
        """The first block, counted from ``first``, in which the words are not what they were; None if they all are.

        A block that ends early, or comes after the last one, is another.
        """
        for place, start in enumerate(range(0, words.size, DIMENSION), first):
            if self._blocks[place : place + 1] != [_digest(words[start : start + DIMENSION])]:
                return place
        return None


def _digest(words: Vector) -> bytes:
    return hashlib.sha256(_BLOCK + words.astype("<u8", copy=False).view(np.uint8).data).digest()
