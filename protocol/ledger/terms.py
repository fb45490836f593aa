"""The round that a dealing is bound to, and the proof that a dealing carries where the genesis asks for one."""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..limits import PROTOCOL_VERSION
from ..messages.encoding import encode
from ..messages.kinds import Deal
from .contribution import Layout

if TYPE_CHECKING:
    from ...crypto.proof import commitment as proofs
    from ...crypto.proof import terms as statements

_TREES_BYTES = 3 * 32


@dataclass(frozen=True, slots=True)
class Terms:
    """The round that a dealing is bound to, besides its dealer: a share of one round means nothing in another."""

    federation: bytes
    round: int
    base_hash: bytes
    members: tuple[bytes, ...]
    layout: Layout
    _contexts: dict[int, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def context(self, dealer: int) -> bytes:
        """Return the 32 bytes that bind a dealing of this dealer."""
        context = self._contexts.get(dealer)
        if context is None:
            bound = (self.federation, self.round, self.base_hash, self.members, self.layout.columns, dealer)
            context = hashlib.sha256(b"coterie/dealing/%d\x00" % PROTOCOL_VERSION + encode(bound)).digest()
            self._contexts[dealer] = context
        return context


def statement(terms: Terms, threshold: int, dealer: int, seeded: tuple[int, ...] = ()) -> "statements.Terms":
    """Return what a dealing of this round proves, where the layout says that dealings prove themselves.

    Raises:
        ValueError: ``seeded`` are not the places of threshold - 1 other members.
    """
    from ...crypto.proof.terms import Declared
    from ...crypto.proof.terms import Terms as Statement

    layout = terms.layout
    assert layout.proved is not None
    return Statement(
        holders=len(terms.members),
        threshold=threshold,
        dealer=dealer,
        update_columns=layout.slots,
        wide_sums=layout.wide,
        reference=layout.proved.reference,
        seeded=seeded,
        declared=tuple(map(Declared, layout.proved.declared)),
    )


def commitment_of(deal: Deal) -> "proofs.Commitment":
    """Return what a dealing that proves itself commits to: three trees, and the polynomials of the proof."""
    from ...crypto.proof.commitment import Commitment

    trees, polynomials = deal.published[:_TREES_BYTES], deal.published[_TREES_BYTES:]
    return Commitment((trees[:32], trees[32:64], trees[64:]), polynomials)


def wrong_proof(terms: Terms, threshold: int, dealer: int, deal: Deal) -> str | None:
    """Say why a dealing does not prove what it should; None if it does.

    Everybody comes to the same answer from the signed message and the ledger, so it is evidence by itself.
    """
    from ...crypto.proof.checks import BadDealing, check_public

    try:
        stated = statement(terms, threshold, dealer, deal.seeded)
    except ValueError:
        return "dealt seeds to the wrong holders"
    commitment = commitment_of(deal)
    if len(deal.published) < _TREES_BYTES or commitment.roots[-1] != deal.root:
        return "dealt a commitment that is none"
    try:
        check_public(terms.context(dealer), stated, commitment)
    except BadDealing as error:
        return f"dealt what its proof does not show to be an update: {error}"
    return None
