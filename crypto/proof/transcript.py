"""The hashes of a proof: chained roots, and the challenges that follow from them (Fiat and Shamir).

Leaves and challenges are bound to the context (federation, round, base model, members, dealer) and the terms. Every
challenge is bound to all stages that were dealt before it.
"""

import hashlib
from typing import Final

import numpy as np

from ..field import Vector
from ..prng import Stream, derive, stream
from ..sharing import merkle
from .extension import Element
from .terms import PROJECTIONS, Terms

_TERMS: Final = b"coterie/1/proof terms\0"
_ROOT: Final = b"coterie/1/proof root\0"
_COMMITMENT: Final = b"coterie/1/proof commitment\0"

PROJECTION_WORDS: Final = PROJECTIONS // 32
"""Words of 64 bits for the entries of a column: a first bit for each projection, then a second one for each."""


def leaf(
    context: bytes, terms_digest: bytes, stage: int, kind: bytes, nonce: bytes, payload: bytes | memoryview
) -> bytes:
    """The digest of a holder's part of one stage, a leaf of the stage's tree."""
    return merkle.leaf(context, terms_digest, bytes([stage]), kind, nonce, payload)


def digest_of(terms: Terms) -> bytes:
    """The digest of the terms, which goes into every leaf."""
    return hashlib.sha256(_TERMS + terms.encoded()).digest()


def chained(trees: tuple[bytes, ...]) -> list[bytes]:
    """The root of each stage: a hash of the root before it and of the stage's tree."""
    roots, before = [], bytes(32)
    for stage, tree in enumerate(trees):
        before = hashlib.sha256(_ROOT + bytes([stage]) + before + tree).digest()
        roots.append(before)
    return roots


def commitment_id(roots: list[bytes], polynomials: bytes) -> bytes:
    """The name, 32 bytes, of all that a dealer publishes of a proof."""
    return hashlib.sha256(_COMMITMENT + b"".join(roots) + polynomials).digest()


class Transcript:
    """The challenges of one dealing. Each method takes the root of the last stage that its challenge depends on."""

    __slots__ = ("_bound",)

    def __init__(self, context: bytes, terms: Terms) -> None:
        self._bound = context + terms.encoded()

    def projections(self, root: bytes) -> Stream:
        """The stream of the projections' words, `PROJECTION_WORDS` a column, by the root of the vector."""
        return Stream(self._seed(root, b"projections"), b"words")

    def alpha(self, root: bytes) -> Element:
        """α, which combines the columns' conditions, by the root of the witness."""
        return self._element(root, b"alpha")

    def mu(self, root: bytes) -> Element:
        """μ, which combines the equations, by the root of the quotient."""
        return self._element(root, b"mu")

    def point(self, root: bytes) -> Element:
        """r, the point at which the columns and the quotient are shown, by the root of the quotient."""
        return self._element(root, b"r")

    def fingerprint_seed(self, root: bytes) -> bytes:
        """The seed of the fingerprints' weights, by the root of the quotient."""
        return self._seed(root, b"fingerprint")

    def _seed(self, root: bytes, label: bytes) -> bytes:
        return derive(self._bound + root, b"proof|" + label)

    def _element(self, root: bytes, label: bytes) -> Element:
        """An element of E that is not in F_p, so that it is the point of no row."""
        seed, attempt = self._seed(root, label), 0
        while True:
            first, second = (int(one) for one in stream(seed, b"%d" % attempt, 2))
            if second:
                return first, second
            attempt += 1


def words(source: Stream, columns: int) -> Vector:
    """The words of the next columns, uint64[columns, PROJECTION_WORDS]."""
    out = np.empty(columns * PROJECTION_WORDS, dtype=np.uint64)
    source.fill_words(out)
    return out.reshape(columns, PROJECTION_WORDS)
