"""Merkle trees over SHA-256: one root commits to a list, and a path shows that a leaf stands at its place.

The root binds if SHA-256 is collision resistant. It hides a leaf only as far as the leaf's own bytes are hard to
guess, so callers hash a random nonce into each leaf. Leaves and nodes are hashed in domains of their own, so no node
passes for a leaf. The verifier knows the number of leaves, and with it the length of a path. A list whose length is
not a power of two is filled up with a padding digest, which is the digest of no known leaf.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

DIGEST_BYTES: Final = 32

_LEAF: Final = b"coterie/1/merkle\x00"
_NODE: Final = b"coterie/1/merkle\x01"
_PADDING: Final = hashlib.sha256(b"coterie/1/merkle\x02").digest()


def leaf(*parts: bytes | memoryview) -> bytes:
    """The digest of one leaf.

    The parts are hashed end to end, so all of them but the last must have lengths that are fixed beforehand.
    """
    digest = hashlib.sha256(_LEAF)
    for part in parts:
        digest.update(part)
    return digest.digest()


def depth(count: int) -> int:
    """The number of steps from a leaf to the root of a tree of `count` leaves."""
    return (count - 1).bit_length()


class Tree:
    """The tree over a list of leaf digests.

    Raises:
        ValueError: there are none.
    """

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
        """The siblings on the way from the leaf at `index` up to the root, 32 * depth bytes."""
        return b"".join(level[(index >> height) ^ 1] for height, level in enumerate(self._levels[:-1]))


def root_from_path(leaf_digest: bytes, index: int, path: bytes) -> bytes:
    """The root of the tree in which this leaf stands at `index` with this path.

    The caller checks the path's length: it must be 32 * depth(count) bytes.

    Raises:
        ValueError: the path is not a whole number of digests, or too short for the index.
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
