"""What a dealer publishes of a proved dealing, and the form of a holder's share."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from ..field import ELEMENT_BYTES
from ..sharing import merkle
from ..sharing.dealing import NONCE_BYTES, SEED_BYTES
from .terms import Terms
from .transcript import chained, commitment_id

STAGES: Final = 3

# Kinds of a part: the seed of all stages; values; nothing, where the first part was a seed.
SEED: Final = b"\0"
VALUES: Final = b"\1"
NOTHING: Final = b"\2"

FINGERPRINTS: Final = 2


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a dealer publishes."""

    trees: tuple[bytes, bytes, bytes]
    """The root of each stage's tree."""

    polynomials: bytes
    """The coefficients of the published polynomials, 8 bytes each, K for each polynomial, the constant term first.

    In this order: V, each column at r, and the quotient at r, each as two polynomials for the two parts of an element
    of E; then both fingerprints.
    """

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The chained roots of the stages, from which the challenges follow."""
        return tuple(chained(self.trees))

    @property
    def id(self) -> bytes:
        """The name of all this, 32 bytes, by which an ack refers to it."""
        return commitment_id(chained(self.trees), self.polynomials)


def polynomial_count(terms: Terms) -> int:
    """The number of published polynomials over F_p."""
    return 2 * (terms.layout.width + 2) + FINGERPRINTS


class Part(NamedTuple):
    """A holder's part of one stage."""

    kind: bytes
    nonce: bytes
    path: bytes
    payload: memoryview


def payload_bytes(terms: Terms, holder: int, stage: int) -> int:
    """The exact length of a holder's payload in a stage."""
    if holder in terms.seeded:
        return 0 if stage else SEED_BYTES
    return ELEMENT_BYTES * terms.stages[stage]


def share_size(terms: Terms, holder: int) -> int:
    """The exact length of this holder's share in bytes."""
    return sum(_header(terms) + payload_bytes(terms, holder, stage) for stage in range(STAGES))


def parts_of(terms: Terms, holder: int, share: bytes) -> list[Part]:
    """The three parts of a share.

    Raises:
        ValueError: the share has another length.
    """
    wanted = share_size(terms, holder)
    if len(share) != wanted:
        raise ValueError(f"a share of {len(share)} bytes instead of {wanted}")
    parts, place, view = [], 0, memoryview(share)
    for stage in range(STAGES):
        nonce, path = place + 1, place + 1 + NONCE_BYTES
        payload = place + _header(terms)
        end = payload + payload_bytes(terms, holder, stage)
        parts.append(Part(share[place:nonce], share[nonce:path], share[path:payload], view[payload:end]))
        place = end
    return parts


def _header(terms: Terms) -> int:
    """The length of a part's header, which is kind, nonce and path."""
    return 1 + NONCE_BYTES + merkle.DIGEST_BYTES * merkle.depth(terms.holders)
