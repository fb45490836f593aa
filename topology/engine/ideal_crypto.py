"""Ideal cryptography: a trusted party in place of shares; the state machines, messages, counts and sizes are real.

A dealer gives its vector to the :class:`Vault` and sends each holder a token. The holder of a token adds it up like a
share. The fingerprint of a sum is that of the vector itself and the same for all holders; real fingerprints lie on
polynomials that determine this value. So the simulation spends no time on sharing, checking and decoding, but charges
for them in virtual time. A false dealing or sum share is still found and named by the same steps of the protocol.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from ...crypto.identity.identity import Identity
from ...crypto.identity.sealing import BOX_OVERHEAD_BYTES
from ...protocol.ledger.committee import Committee
from ...protocol.ledger.evidence import Judgement, Point
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.terms import statement
from ...protocol.messages.encoding import digest_of
from ...protocol.messages.kinds import NO_KEY, Complaint, Deal
from ...protocol.node import Newcomer, Node
from ...protocol.records import Memory
from ...protocol.schemes import Scheme, ShamirScheme, scheme_of
from ...protocol.schemes.base import (
    CheckedShare,
    CheckJob,
    Choice,
    Dealing,
    DealJob,
    JudgeJob,
    Opened,
    OpenJob,
    Terms,
    blob_digests,
)
from ...protocol.schemes.shamir import check_ms, deal_ms, open_ms, published_bytes

TOKEN_BYTES = 32 + BOX_OVERHEAD_BYTES


@dataclass(slots=True)
class Vault:
    """The trusted party: keeps vectors by the root of their dealing, and forgets those of old rounds."""

    _vectors: dict[bytes, tuple[int, bytes]] = field(default_factory=dict, repr=False)

    def keep(self, root: bytes, round_: int, vector: bytes) -> None:
        """Keep the vector of a dealing."""
        if root not in self._vectors:
            oldest = min((kept for kept, _ in self._vectors.values()), default=round_)
            if oldest < round_ - 1:
                self._vectors = {key: kept for key, kept in self._vectors.items() if kept[0] >= round_ - 1}
            self._vectors[root] = (round_, vector)

    def get(self, root: bytes, round_: int) -> bytes | None:
        """Return a dealing's vector, or None if there was no such dealing.

        Raises:
            ValueError: the round is so old that its dealings are forgotten; whether this one existed is unknown.
        """
        if root not in self._vectors and any(kept > round_ + 1 for kept, _ in self._vectors.values()):
            raise ValueError(f"the dealings of round {round_} are forgotten")
        return self._vectors[root][1] if root in self._vectors else None


class IdealNode(Node):
    """A node that shares through a vault if its federation uses Shamir's scheme; other schemes stay as they are."""

    def __init__(
        self, vault: Vault, identity: Identity, genesis: Genesis, memory: Memory, newcomer: Newcomer | None = None
    ) -> None:
        # Tokens, and the blobs of the smaller model that is really simulated, stand for blobs of any size: the node
        # fetches each one that did not come with its message.
        super().__init__(identity, genesis, memory, newcomer, partial(_ideal, vault), inline_bytes=0)


def _ideal(vault: Vault, name: str, committee: Committee) -> Scheme:
    scheme = scheme_of(name, committee)
    return IdealScheme(committee, vault) if isinstance(scheme, ShamirScheme) else scheme


@dataclass(frozen=True, slots=True)
class IdealScheme(ShamirScheme):
    """Shamir's scheme with a vault in place of shares; see :class:`...protocol.schemes.base.Scheme`."""

    vault: Vault

    def deal(self, terms: Terms, identity: Identity, vector: bytes, seed: bytes, seeded: tuple[int, ...]) -> DealJob:
        """Return the job that gives the vector to the vault."""
        return IdealDeal(terms, self.committee, identity, vector, seed, seeded, self.vault)

    def wrong_deal(self, terms: Terms, dealer: int, deal: Deal) -> str | None:
        """Say whether the dealing has the wrong size, or its vector cannot be proved; None if it is right."""
        sizes = (len(deal.box_hashes), len(deal.published))
        if sizes != (self.committee.n, published_bytes(terms, self.committee.threshold)):
            return "dealt the wrong size"
        return "dealt what no proof shows to be an update" if self.has_false_proof(terms, dealer, deal) else None

    def has_false_proof(self, terms: Terms, dealer: int, deal: Deal) -> bool:
        """Whether the vector behind a dealing is not what it would have to prove, as the vault sees it."""
        from ...crypto.field import from_bytes
        from ...crypto.proof.statement import falsehood

        vector = None if terms.layout.proved is None else self.vault.get(deal.root, deal.round)
        if vector is None:
            return False
        stated = statement(terms, self.committee.threshold, dealer)
        return falsehood(stated, from_bytes(vector, terms.layout.columns)) is not None

    def blob_bytes(self, terms: Terms, dealer: int, holder: int, deal: Deal) -> int:
        """Return the size of a token."""
        return TOKEN_BYTES

    def check(self, terms: Terms, identity: Identity, dealer: int, deal: Deal, blob: bytes) -> CheckJob:
        """Return the job that asks the vault for the vector."""
        return IdealCheck(terms, self.committee.n, dealer, deal, blob, self.vault)

    def judge_complaint(
        self, terms: Terms, dealer: int, holder: int, deal: Deal, complaint: Complaint, blob: bytes
    ) -> JudgeJob:
        """Return the job that judges a token that a holder shows."""
        return IdealJudge(terms, self.committee.n, dealer, holder, deal, blob, self.vault)

    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> OpenJob:
        """Return the job that finds the sum on which K + f sum shares agree."""
        return IdealOpen(terms, self.committee.sum_quorum, tuple(sorted(rows.items())))

    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        """Return the fingerprint on which K + f agree, and the holders that differ; None if no K + f agree."""
        known = points
        if len(known) < self.committee.sum_quorum:
            return None
        secret, count = Counter(known.values()).most_common(1)[0]
        if count < self.committee.sum_quorum:
            return None
        liars = tuple(sorted(index for index, point in known.items() if point != secret))
        return Judgement(secret, liars, tuple((value,) for value in secret))


@dataclass(frozen=True, slots=True)
class IdealDeal(DealJob):
    """Give a vector to the vault."""

    terms: Terms
    committee: Committee
    identity: Identity
    vector: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    seeded: tuple[int, ...]
    vault: Vault = field(repr=False)
    label: str = "sharing"

    def run(self) -> Dealing:
        """Return a dealing of tokens."""
        me = self.committee.index(self.identity.public)
        assert me is not None
        root = hashlib.sha256(b"ideal" + self.terms.context(me) + self.seed + self.vector).digest()
        self.vault.keep(root, self.terms.round, self.vector)
        token = root + bytes(BOX_OVERHEAD_BYTES)
        blobs = tuple(b"" if holder == me else token for holder in range(self.committee.n))
        terms = self.terms
        fingerprints = bytes(published_bytes(terms, self.committee.threshold))
        deal = Deal(terms.round, terms.base_hash, root, fingerprints, NO_KEY, self.seeded, blob_digests(blobs))
        return Dealing(deal, blobs, self.vector)

    def cost_ms(self, columns: int) -> float:
        """Return the milliseconds that a real dealing takes."""
        return deal_ms(self.committee.n, columns, self.terms.layout)


@dataclass(frozen=True, slots=True)
class IdealCheck(CheckJob):
    """Ask the vault for the vector of a token."""

    terms: Terms
    holders: int
    dealer: int
    deal: Deal = field(repr=False)
    token: bytes = field(repr=False)
    vault: Vault = field(repr=False)
    label: str = "checking a share"

    def run(self) -> CheckedShare:
        """Return the values, or what is wrong with them."""
        return _check(self.vault, self.deal, self.token)

    def cost_ms(self, columns: int) -> float:
        """Return what a real share takes."""
        return check_ms(self.holders, columns, self.terms.layout)


@dataclass(frozen=True, slots=True)
class IdealJudge(JudgeJob):
    """Judge a token that a holder shows."""

    terms: Terms
    holders: int
    dealer: int
    holder: int
    deal: Deal = field(repr=False)
    token: bytes = field(repr=False)
    vault: Vault = field(repr=False)
    label: str = "judging a complaint"

    def run(self) -> CheckedShare:
        """Return a verdict that says what is wrong, if the complaint is right."""
        return _check(self.vault, self.deal, self.token)

    def cost_ms(self, columns: int) -> float:
        """Return what a real share takes."""
        return check_ms(self.holders, columns, self.terms.layout)


def _check(vault: Vault, deal: Deal, token: bytes) -> CheckedShare:
    shown = {"secret": bytes(32), "proof": bytes(64)}
    if token[:32] != deal.root:
        return CheckedShare(wrong="not the token of this dealing", **shown)
    if any(deal.published):
        return CheckedShare(wrong="the dealing is false", **shown)
    vector = vault.get(deal.root, deal.round)
    return CheckedShare(values=vector) if vector is not None else CheckedShare(wrong="nothing was dealt", **shown)


@dataclass(frozen=True, slots=True)
class IdealOpen(OpenJob):
    """Find the sum on which K + f holders agree; without liars all sum shares are equal."""

    terms: Terms
    sum_quorum: int
    rows: tuple[tuple[int, bytes], ...] = field(repr=False)
    label: str = "opening the sum"

    def run(self) -> Opened | None:
        """Return W, or None."""
        vector, count = Counter(row for _, row in self.rows).most_common(1)[0]
        if count < self.sum_quorum:
            return None
        liars = tuple(index for index, row in self.rows if row != vector)
        return Opened(vector, digest_of(vector), liars)

    def cost_ms(self, columns: int) -> float:
        """Return the milliseconds that opening as many real sum shares takes."""
        return open_ms(len(self.rows), columns)
