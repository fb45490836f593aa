"""Ideal cryptography: the state machines, messages, counts and sizes are real; shares are handed to a trusted party.

A dealer gives its vector to the :class:`Vault` and sends holders a token; who holds a token of a dealing can sum it
like a share. Fingerprints of a sum are those of the vector itself, the same for all holders, which is what
the polynomials of real ones say about it. So what costs time in a real round (sharing, checking, decoding)
costs none here, and a false dealing or sum share is still found and named by the same steps of the protocol.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..crypto.identity import Identity
from ..crypto.sealing import BOX_OVERHEAD_BYTES
from ..protocol.committee import Committee
from ..protocol.evidence import Judgement, Point
from ..protocol.genesis import Genesis
from ..protocol.messages import NO_KEY, Complaint, Deal
from ..protocol.node import Newcomer, Node
from ..protocol.records import Memory
from ..protocol.schemes.base import CheckedShare, Choice, Dealing, Opened, Terms, blob_digests
from ..protocol.schemes.shamir import CheckShare, DealShares, JudgeComplaint, OpenSum, ShamirScheme
from ..protocol.sharing import Sharing
from ..protocol.wire import digest_of

TOKEN_BYTES = 32 + BOX_OVERHEAD_BYTES


@dataclass(slots=True)
class Vault:
    """The trusted party: vectors by the root of their dealing; those of old rounds are forgotten."""

    _vectors: dict[bytes, tuple[int, bytes]] = field(default_factory=dict, repr=False)

    def keep(self, root: bytes, round_: int, vector: bytes) -> None:
        """Take a vector."""
        if root not in self._vectors:
            oldest = min((kept for kept, _ in self._vectors.values()), default=round_)
            if oldest < round_ - 1:
                self._vectors = {key: kept for key, kept in self._vectors.items() if kept[0] >= round_ - 1}
            self._vectors[root] = (round_, vector)

    def get(self, root: bytes, round_: int) -> bytes | None:
        """Return a dealing's vector, or None if there was no such dealing.

        Raises:
            ValueError: the round is so old that its dealings are forgotten; that says nothing about any of them.
        """
        if root not in self._vectors and any(kept > round_ + 1 for kept, _ in self._vectors.values()):
            raise ValueError(f"the dealings of round {round_} are forgotten")
        return self._vectors[root][1] if root in self._vectors else None


class IdealNode(Node):
    """A node whose rounds share through a vault, if its federation shares with Shamir's scheme: no other is ideal."""

    def __init__(
        self, vault: Vault, identity: Identity, genesis: Genesis, memory: Memory, newcomer: Newcomer | None = None
    ) -> None:
        self._vault = vault
        super().__init__(identity, genesis, memory, newcomer)

    def _new_sharing(self) -> Sharing:
        sharing = super()._new_sharing()
        if isinstance(sharing.scheme, ShamirScheme):
            sharing.scheme = sharing.complaints.scheme = IdealScheme(sharing.committee, self._vault)
            sharing.inline_bytes = 0  # a token stands for a share of any size
        return sharing


@dataclass(frozen=True, slots=True)
class IdealScheme:
    """Shamir's scheme as it would be if nobody could break it; see :class:`..protocol.schemes.base.Scheme`."""

    committee: Committee
    vault: Vault
    name: str = "shamir"

    def deal(
        self, terms: Terms, identity: Identity, vector: bytes, seed: bytes, seeded: tuple[int, ...]
    ) -> "IdealDeal":
        """Return the job that hands the vector in."""
        return IdealDeal(terms, self.committee, identity, vector, seed, seeded, vault=self.vault)

    def seeded(self, dealer: int, absent: frozenset[int]) -> tuple[int, ...]:
        """Return the holders that a real dealer gives seeds."""
        return ShamirScheme(self.committee).seeded(dealer, absent)

    def wrong_deal(self, terms: Terms, dealer: int, deal: Deal) -> str | None:
        """Say whether the dealing has the wrong size."""
        sizes = (len(deal.boxes), len(deal.fingerprints))
        return None if sizes == (self.committee.n, 16 * self.committee.threshold) else "dealt the wrong size"

    def blob_bytes(self, terms: Terms, dealer: int, holder: int, deal: Deal) -> int:
        """Return the size of a token."""
        return TOKEN_BYTES

    def check(self, terms: Terms, identity: Identity, dealer: int, deal: Deal, blob: bytes) -> "IdealCheck":
        """Return the job that asks the vault."""
        return IdealCheck(terms, self.committee, identity, dealer, deal, blob, vault=self.vault)

    def judge_complaint(
        self, terms: Terms, dealer: int, holder: int, deal: Deal, complaint: Complaint, blob: bytes
    ) -> "IdealJudge":
        """Return the job that judges a token that a holder shows."""
        secret, proof = complaint.secret, complaint.proof
        return IdealJudge(terms, self.committee, dealer, holder, deal, secret, proof, blob, vault=self.vault)

    def senders(self, choice: Choice) -> tuple[int, ...]:
        """Return J."""
        return choice.holders

    def may_send(self, choice: Choice, index: int) -> bool:
        """Anybody, as with real shares."""
        return True

    def minimum(self, choice: Choice) -> int:
        """Return K + f."""
        return self.committee.sum_quorum

    def own_row(
        self, terms: Terms, choice: Choice, own_vector: bytes | None, held: Mapping[int, bytes]
    ) -> tuple[bytes, ...]:
        """Return one's shares of all of U."""
        if not all(dealer in held for dealer, _ in choice.dealers):
            return ()
        return tuple(held[dealer] for dealer, _ in choice.dealers)

    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> "IdealOpen":
        """Return the job that finds what K + f sum shares agree on."""
        return IdealOpen(terms, self.committee, tuple(sorted(rows.items())))

    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        """Return what K + f fingerprints agree on."""
        known = points
        if len(known) < self.committee.sum_quorum:
            return None
        secret, count = Counter(known.values()).most_common(1)[0]
        if count < self.committee.sum_quorum:
            return None
        liars = tuple(sorted(index for index, point in known.items() if point != secret))
        return Judgement(secret, liars, tuple((value,) for value in secret))


@dataclass(frozen=True, slots=True)
class IdealDeal(DealShares):
    """Hand a vector to the vault."""

    vault: Vault = field(default_factory=Vault, repr=False)

    def run(self) -> Dealing:
        """Return a dealing of tokens."""
        me = self.committee.index(self.identity.public)
        assert me is not None
        root = hashlib.sha256(b"ideal" + self.terms.context(me) + self.seed + self.vector).digest()
        self.vault.keep(root, self.terms.round, self.vector)
        token = root + bytes(BOX_OVERHEAD_BYTES)
        blobs = tuple(b"" if holder == me else token for holder in range(self.committee.n))
        fingerprints = bytes(16 * self.committee.threshold)
        terms = self.terms
        deal = Deal(terms.round, terms.base, root, fingerprints, NO_KEY, self.seeded, blob_digests(blobs))
        return Dealing(deal, blobs, self.vector)


@dataclass(frozen=True, slots=True)
class IdealCheck(CheckShare):
    """Ask the vault for what a token stands for."""

    vault: Vault = field(default_factory=Vault, repr=False)

    def run(self) -> CheckedShare:
        """Return the values, or what is wrong with them."""
        return _check(self.vault, self.deal, self.blob)


@dataclass(frozen=True, slots=True)
class IdealJudge(JudgeComplaint):
    """Judge a token that a holder shows."""

    vault: Vault = field(default_factory=Vault, repr=False)

    def run(self) -> CheckedShare:
        """Return what is wrong if the complaint is right."""
        return _check(self.vault, self.deal, self.blob)


def _check(vault: Vault, deal: Deal, token: bytes) -> CheckedShare:
    shown = {"secret": bytes(32), "proof": bytes(64)}
    if token[:32] != deal.root:
        return CheckedShare(wrong="not the token of this dealing", **shown)
    if any(deal.fingerprints):
        return CheckedShare(wrong="the dealing is false", **shown)
    vector = vault.get(deal.root, deal.round)
    return CheckedShare(values=vector) if vector is not None else CheckedShare(wrong="nothing was dealt", **shown)


@dataclass(frozen=True, slots=True)
class IdealOpen(OpenSum):
    """Find the sum that K + f holders agree on; the sum shares are all equal where nobody lies."""

    def run(self) -> Opened | None:
        """Return W, or None."""
        vector, count = Counter(row for _, row in self.rows).most_common(1)[0]
        if count < self.committee.sum_quorum:
            return None
        liars = tuple(index for index, row in self.rows if row != vector)
        return Opened(vector, digest_of(vector), liars)
