"""What a proof hashes: roots that build on each other, and the challenges that follow from them.

Everything is bound to the context (federation, round, base model, members, dealer) and to the terms, and every
challenge to all that was dealt before it.
"""

import hashlib
from typing import Final

import numpy as np

from .. import merkle
from ..field import Vector
from ..prng import Stream, derive, stream
from .extension import Element
from .terms import PROJECTIONS, Terms

_TERMS: Final = b"coterie/1/proof terms\0"
_ROOT: Final = b"coterie/1/proof root\0"
_COMMITMENT: Final = b"coterie/1/proof commitment\0"

PROJECTION_WORDS: Final = PROJECTIONS // 32
"""Words of 64 bits for the entries of a column: a first bit for each projection, then a second."""


def leaf(
    context: bytes, terms_digest: bytes, stage: int, kind: bytes, nonce: bytes, payload: bytes | memoryview
) -> bytes:
    """The digest of a holder's part of one stage."""
    return merkle.leaf(context, terms_digest, bytes([stage]), kind, nonce, payload)


def digest_of(terms: Terms) -> bytes:
    """What stands for the terms in a leaf."""
    return hashlib.sha256(_TERMS + terms.encoded()).digest()


def chained(trees: tuple[bytes, ...]) -> list[bytes]:
    """The root of each stage, from the roots of the trees: each takes in the one before."""
    roots, before = [], bytes(32)
    for stage, tree in enumerate(trees):
        before = hashlib.sha256(_ROOT + bytes([stage]) + before + tree).digest()
        roots.append(before)
    return roots


def commitment_id(roots: list[bytes], polynomials: bytes) -> bytes:
    """The name of all that a dealer publishes of a proof."""
    return hashlib.sha256(_COMMITMENT + b"".join(roots) + polynomials).digest()


class Transcript:
    """The challenges of one dealing."""

    __slots__ = ("_bound",)

    def __init__(self, context: bytes, terms: Terms) -> None:
        self._bound = context + terms.encoded()

    def projections(self, root: bytes) -> Stream:
        """The stream of the projections' words, `PROJECTION_WORDS` a column, after the vector is fixed."""
        return Stream(self._seed(root, b"projections"), b"words")

    def alpha(self, root: bytes) -> Element:
        """What combines the columns' conditions, after the witness is fixed."""
        return self._element(root, b"alpha")

    def mu(self, root: bytes) -> Element:
        """What combines the equations, after the quotient is fixed."""
        return self._element(root, b"mu")

    def point(self, root: bytes) -> Element:
        """r: where the columns and the quotient are shown, after it is fixed."""
        return self._element(root, b"r")

    def fingerprint_seed(self, root: bytes) -> bytes:
        """The seed of the fingerprints' weights."""
        return self._seed(root, b"fingerprint")

    def _seed(self, root: bytes, label: bytes) -> bytes:
        return derive(self._bound + root, b"proof|" + label)

    def _element(self, root: bytes, label: bytes) -> Element:
        """An element of E that is not in F_p."""
        seed, attempt = self._seed(root, label), 0
        while True:
            first, second = (int(one) for one in stream(seed, b"%d" % attempt, 2))
            if second:
                return first, second
            attempt += 1


def words(source: Stream, columns: int) -> Vector:
    """The next columns' words: uint64[columns, PROJECTION_WORDS]."""
    out = np.empty(columns * PROJECTION_WORDS, dtype=np.uint64)
    source.fill_words(out)
    return out.reshape(columns, PROJECTION_WORDS)
