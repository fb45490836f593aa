"""Vectors to prove things of, provers that lie at one step, and what becomes of their dealings."""

import hashlib
from collections.abc import Iterable

import numpy as np

from coterie.crypto.field import P, Vector
from coterie.crypto.proof.checks import BadDealing, check_public, check_share
from coterie.crypto.proof.prover import Proved, Prover
from coterie.crypto.proof.terms import SLOT, Terms
from coterie.crypto.sharing.dealing import BadShare
from coterie.crypto.sharing.fixed_point import encode_wide

CONTEXT = hashlib.sha256(b"a round").digest()
OTHER_CONTEXT = hashlib.sha256(b"another round").digest()
SEED = b"thirty-two secret random bytes.."
KEY = b"thirty-two bytes of a dealing..."
TERMS = Terms(holders=7, threshold=3, dealer=2, update_columns=300, wide_sums=4, reference=512)
SMALL = Terms(holders=7, threshold=3, dealer=2, update_columns=5, wide_sums=2, reference=512)
EXAMPLES = 300
BOUND = TERMS.unit * EXAMPLES


def columns_of(values: Iterable[int]) -> Vector:
    """Signed values in twos, as the codec packs them."""
    pairs = list(values)
    return np.array([(a + SLOT * b) % P for a, b in zip(pairs[0::2], pairs[1::2], strict=True)], dtype=np.uint64)


def update_of(columns: int, norm: float, seed: int = 1) -> Vector:
    """A random update of about this norm, never above it."""
    values = np.random.default_rng(seed).standard_normal(2 * columns)
    return columns_of(int(one) for one in np.trunc(values * (norm / np.sqrt((values * values).sum()))))


def vector_of(
    terms: Terms, update: Vector | None = None, capped: float = EXAMPLES, examples: float = EXAMPLES, norm: float = 0.97
) -> Vector:
    """A vector as a member deals it; the update has `norm` times the length that its weight allows."""
    if update is None and terms.update_columns:
        update = update_of(terms.update_columns, norm * terms.unit * EXAMPLES)
    others = [37.25 * one for one in range(terms.wide_sums - 2)]
    wide = [encode_wide(one) for one in (capped, examples, *others)]
    beacon = np.random.default_rng(2).integers(0, 2**63, 2).astype(np.uint64)
    return np.concatenate([*([] if update is None else [update]), *wide, beacon])


def dealt_by(
    prover: type[Prover], terms: Terms, vector: Vector, capped: int = EXAMPLES, examples: int = EXAMPLES
) -> Proved:
    """What this prover deals."""
    proved = prover(CONTEXT, terms, vector, capped, examples, KEY).prove()
    assert proved is not None
    return proved


def verdict(terms: Terms, proved: Proved, holder: int, context: bytes = CONTEXT) -> str:
    """What a holder makes of a dealing: "accepted", or by which side it is refused, and why."""
    try:
        check_public(context, terms, proved.commitment)
    except BadDealing as error:
        return f"public: {error}"
    try:
        check_share(context, terms, holder, proved.commitment, proved.shares[holder])
    except BadShare as error:
        return f"{'provable' if error.provable else 'unprovable'}: {error}"
    return "accepted"


def verdicts(terms: Terms, proved: Proved) -> set[str]:
    """What all holders make of it."""
    return {verdict(terms, proved, holder) for holder in range(terms.holders)}
