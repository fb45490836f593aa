"""Merkle trees over SHA-256: one root commits to a list, and a path shows that a leaf stands at its place.

Leaves and nodes are hashed in domains of their own, so that no node passes for a leaf. The number of leaves
is known to whoever verifies; lists whose length is not a power of two are filled up with a leaf that nobody
can open.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

DIGEST_BYTES: Final = 32

_LEAF: Final = b"coterie/1/merkle\x00"
_NODE: Final = b"coterie/1/merkle\x01"
_PADDING: Final = hashlib.sha256(b"coterie/1/merkle\x02").digest()


def leaf(*parts: bytes | memoryview) -> bytes:
    """The digest of one leaf. The parts are hashed end to end: all but the last must have known lengths."""
    digest = hashlib.sha256(_LEAF)
    for part in parts:
        digest.update(part)
    return digest.digest()


def depth(count: int) -> int:
    """The number of steps from a leaf to the root of a tree of `count` leaves."""
    return (count - 1).bit_length()


class Tree:
    """The tree over a list of leaf digests. Raises ValueError when there are none."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not leaves:
            raise ValueError("a tree has at least one leaf")
        level = [*leaves, *[_PADDING] * (2 ** depth(len(leaves)) - len(leaves))]
        self._levels = [level]
        while len(level) > 1:
            level = [_node(left, right) for left, right in zip(level[0::2], level[1::2], strict=True)]
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """The 32 bytes that commit to all leaves."""
        return self._levels[-1][0]

    def path(self, index: int) -> bytes:
        """The siblings from that leaf up to the root, 32 * depth bytes."""
        return b"".join(level[(index >> height) ^ 1] for height, level in enumerate(self._levels[:-1]))


def root_from_path(leaf_digest: bytes, index: int, path: bytes) -> bytes:
    """The root of the tree in which this leaf stands at `index` with this path.

    Raises ValueError when the path is not whole digests or too short for the index.
    """
    if len(path) % DIGEST_BYTES or index >> (len(path) // DIGEST_BYTES):
        raise ValueError(f"a path of {len(path)} bytes for leaf {index}")
    digest = leaf_digest
    for height in range(len(path) // DIGEST_BYTES):
        sibling = path[DIGEST_BYTES * height : DIGEST_BYTES * (height + 1)]
        digest = _node(sibling, digest) if (index >> height) & 1 else _node(digest, sibling)
    return digest


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()
