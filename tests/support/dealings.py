"""Dealings to test with, and ways to falsify them."""

import numpy as np
import pytest

from coterie.crypto import prng, vectors
from coterie.crypto.field import P, Vector
from coterie.crypto.sharing import dealing, merkle
from coterie.crypto.sharing.dealing import BadShare, Commitment, Dealing, Terms, check, deal

CONTEXT = b"federation, round, dealer, model"
OTHER_CONTEXT = b"federation, ROUND, dealer, model"
SEED = b"thirty-two secret random bytes.."
TERMS = Terms(holders=5, threshold=3, columns=7, dealer=1)
SECRETS = prng.stream(b"secrets", b"", 7)
SEEDED, EXPLICIT = 2, 4  # a holder of each kind under TERMS


def refused(
    share: bytes,
    holder: int,
    commitment: Commitment,
    context: bytes = CONTEXT,
    terms: Terms = TERMS,
) -> BadShare:
    """The refusal of that share, which must come."""
    with pytest.raises(BadShare) as caught:
        check(context, terms, holder, commitment, share)
    return caught.value


def verdicts(dealt: Dealing, terms: Terms = TERMS) -> list[bool]:
    """For each holder, whether it accepts, or has no proof of why it does not."""

    def accepts(holder: int, share: bytes) -> bool:
        try:
            check(CONTEXT, terms, holder, dealt.commitment, share)
        except BadShare:
            return not refused(share, holder, dealt.commitment, terms=terms).provable
        return True

    return [accepts(holder, share) for holder, share in enumerate(dealt.shares)]


def falsified(
    monkeypatch: pytest.MonkeyPatch, change: Vector, terms: Terms = TERMS, secrets: Vector = SECRETS
) -> Dealing:
    """A dealing whose explicit shares have `change` added, committed to as they are."""

    def product(A: Vector, X: Vector) -> Vector:
        computed = vectors.matmul(A, X)
        return ((computed.astype(object) + change) % P).astype(np.uint64)

    with monkeypatch.context() as patch:
        patch.setattr(dealing, "matmul", product)
        return deal(CONTEXT, terms, secrets, SEED)


def recommitted(payloads: dict[int, tuple[bytes, bytes]], fingerprints: bytes | None = None) -> Dealing:
    """An honest dealing with some (kind, payload) replaced before the dealer commits."""
    honest = deal(CONTEXT, TERMS, SECRETS, SEED)
    start = TERMS.header_bytes
    parts = [payloads.get(j, (share[:1], share[start:])) for j, share in enumerate(honest.shares)]
    nonces = [share[1:33] for share in honest.shares]
    tree = merkle.Tree([merkle.leaf(CONTEXT, nonce, *part) for nonce, part in zip(nonces, parts, strict=True)])
    shares = tuple(kind + nonces[j] + tree.path(j) + payload for j, (kind, payload) in enumerate(parts))
    return Dealing(Commitment(tree.root, fingerprints or honest.commitment.fingerprints), shares)
