"""Verifiable Shamir sharing: no member sees the update of another one, and a wrong sum cannot pass.

A dealer shares each element of its vector out by a polynomial of degree K-1, with the secret at 0 and the share of the
holder with place j at j+1. K-1 of the holders get a seed in place of their shares. The dealer commits to all shares in
a Merkle tree and publishes fingerprints of the polynomials, by which each holder checks its share
(``crypto/sharing/dealing.py``). A holder's sum of shares is a share of the sum. The aggregator opens W from at least
K+f sum shares on one polynomial, and the z's of the prevotes, which are fingerprints of sum shares, prove W in the same
way. docs/crypto.md has the assumptions and sources.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ...crypto.identity.identity import BoxError, Identity
from ..ledger.committee import Committee
from ..ledger.contribution import Layout, counts_of
from ..ledger.evidence import Judgement, Point, judge_points
from ..ledger.terms import commitment_of, statement, wrong_proof
from ..limits import PROTOCOL_VERSION
from ..messages.encoding import digest_of
from ..messages.kinds import NO_BOX, Complaint, Deal
from .base import (
    CheckedShare,
    CheckJob,
    Choice,
    Dealing,
    DealJob,
    JudgeJob,
    Opened,
    OpenJob,
    Scheme,
    Terms,
    blob_digests,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...crypto.proof.prover import Proved
    from ...crypto.proof.terms import Terms as Statement

# What the simulator charges; topology/engine/costs.py says how these were found.
DEAL_ROW_NS: Final = 16.0
"""For one element of one holder's share: expanding, transforming, hashing, sealing."""
HOLDER_US: Final = 30.0
"""For one holder of a dealing, whatever the size: its box, leaf and path."""
PAIR_US: Final = 0.5
"""What every other holder adds to that, in its fingerprints and the polynomials' values."""
CHECK_NS: Final = 19.0
"""For one element of a share: opening and checking it."""
CHECK_EACH_US: Final = 70.0
"""For one share, whatever the size."""
PROVE_MS: Final = 4.0
"""For the proof of a dealing, whatever the size."""
PROVE_NS: Final = 280.0
"""For the same, for one column of the update."""
VERIFY_MS: Final = 1.8
"""For checking a proof, and a share against it, whatever the size."""
VERIFY_NS: Final = 76.0
"""For the same, for one column of the update."""
OPEN_NS: Final = 26.0
"""For one element of a sum share (hashing, checking, combining), or of the sum itself."""
OPEN_PAIR_US: Final = 0.3
"""For each pair of holders, whatever the size: solving for the polynomial."""


@dataclass(frozen=True, slots=True)
class ShamirScheme(Scheme):
    """Each dealer shares its vector out to all holders; a holder's sum of shares is a share of the sum."""

    def deal(self, terms: Terms, identity: Identity, vector: bytes, seed: bytes, seeded: tuple[int, ...]) -> DealJob:
        """Return the job that makes the shares, the commitment and the boxes."""
        return DealShares(terms, self.committee, identity, vector, seed, seeded)

    def seeded(self, dealer: int, absent: frozenset[int]) -> tuple[int, ...]:
        """Return K-1 holders: first those that are absent, whose boxes others keep, then those after the dealer."""
        n = self.committee.n
        others = [(dealer + step) % n for step in range(1, n)]
        return tuple(sorted(sorted(others, key=lambda one: one not in absent)[: self.committee.threshold - 1]))

    def wrong_deal(self, terms: Terms, dealer: int, deal: Deal) -> str | None:
        """Say what is wrong with the sizes, the seeded holders, the key of the boxes or the proof; None if nothing."""
        from ...crypto.identity.sealing import dealing_key

        n, threshold = self.committee.n, self.committee.threshold
        if len(deal.box_hashes) != n or deal.box_hashes[dealer] != NO_BOX:
            return "dealt a commitment of the wrong size"
        if len(deal.published) != published_bytes(terms, threshold):
            return "dealt a commitment of the wrong size"
        seeded = deal.seeded
        if seeded != tuple(sorted(set(seeded) - {dealer})) or len(seeded) != threshold - 1 or seeded[-1] >= n:
            return "dealt seeds to the wrong holders"
        if dealing_key(deal.key, terms.context(dealer)) is None:
            return "dealt boxes without a key of its own"
        return wrong_proof(terms, threshold, dealer, deal) if terms.layout.proved is not None else None

    def has_false_proof(self, terms: Terms, dealer: int, deal: Deal) -> bool:
        """Whether a dealing proves what is not so."""
        is_proved = terms.layout.proved is not None
        return is_proved and wrong_proof(terms, self.committee.threshold, dealer, deal) is not None

    def blob_bytes(self, terms: Terms, dealer: int, holder: int, deal: Deal) -> int:
        """Return the exact size of the sealed share."""
        return _box_bytes(self.committee.n, self.committee.threshold, terms.layout, holder in deal.seeded)

    def check(self, terms: Terms, identity: Identity, dealer: int, deal: Deal, blob: bytes) -> CheckJob:
        """Return the job that opens the box and checks the share in it."""
        return CheckShare(terms, self.committee, identity, dealer, deal, blob)

    def judge_complaint(
        self, terms: Terms, dealer: int, holder: int, deal: Deal, complaint: Complaint, blob: bytes
    ) -> JudgeJob:
        """Return the job that opens the same box with the secret of the complaint."""
        return JudgeComplaint(terms, self.committee, dealer, holder, deal, complaint.secret, complaint.proof, blob)

    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> OpenJob:
        """Return the job that reconstructs W from the sum shares, wrong ones included."""
        return OpenSum(terms, self.committee, tuple(sorted(rows.items())))

    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        """Return what K+f agreeing fingerprints prove."""
        return judge_points(points, self.committee)

    def charged_blob_bytes(self, layout: Layout, deal: Deal, holder: int | None) -> int:
        """Return the size of a sealed share or seed."""
        from ...crypto.identity.sealing import BOX_OVERHEAD_BYTES
        from ...crypto.sharing import dealing, merkle

        header = 1 + dealing.NONCE_BYTES + merkle.DIGEST_BYTES * max(1, merkle.depth(len(deal.box_hashes)))
        is_seed = holder in deal.seeded
        if layout.proved is not None:
            elements = layout.columns + _witness_elements(replace(layout, parameters=min(layout.parameters, 1)))
            return 3 * header + (dealing.SEED_BYTES if is_seed else 8 * elements) + BOX_OVERHEAD_BYTES
        payload = dealing.SEED_BYTES if is_seed else 8 * (layout.columns + dealing.CHALLENGES)
        return header + payload + BOX_OVERHEAD_BYTES

    def simulated_bytes(self, parameters: int) -> int:
        """Return a fit to what simulations of 4 to 20 peers with 100,000 to 1,000,000 parameters took."""
        peers = self.committee.n
        return parameters * (10 * peers + 75) * peers


@lru_cache(maxsize=16)
def _witness_elements(layout: Layout) -> int:
    """Return the number of elements of a share beside those of the vector, where dealings prove themselves."""
    stated = statement(Terms(b"", 0, b"", (b"",) * 3, layout), 2, dealer=0)
    return sum(stated.stages[1:])


def published_bytes(terms: Terms, threshold: int) -> int:
    """Return the size of what a dealing publishes of its shares: fingerprints, or trees and a proof."""
    from ...crypto.proof.commitment import polynomial_count

    if terms.layout.proved is None:
        return 16 * threshold
    return 3 * 32 + 8 * threshold * polynomial_count(statement(terms, threshold, 0))


@lru_cache(maxsize=64)
def _box_bytes(holders: int, threshold: int, layout: Layout, is_seed: bool) -> int:
    """Return the size of a sealed share. Cached: it is needed for every dealing, and a round has two sizes."""
    from ...crypto.identity.sealing import BOX_OVERHEAD_BYTES
    from ...crypto.proof import commitment as proofs
    from ...crypto.sharing import dealing

    holder = int(is_seed)  # by default dealer 0 gives a seed to 1, not to itself
    if layout.proved is not None:
        stated = statement(Terms(b"", 0, b"", (b"",) * holders, layout), threshold, dealer=0)
        return proofs.share_size(stated, holder) + BOX_OVERHEAD_BYTES
    terms = dealing.Terms(holders, threshold, layout.columns, dealer=0)
    return dealing.share_size(terms, holder) + BOX_OVERHEAD_BYTES


def _crypto_terms(terms: Terms, committee: Committee, dealer: int, seeded: tuple[int, ...]):  # type: ignore[no-untyped-def]
    from ...crypto.sharing import dealing

    return dealing.Terms(committee.n, committee.threshold, terms.layout.columns, dealer, seeded)


@dataclass(frozen=True, slots=True)
class DealShares(DealJob):
    """Share out, commit, seal.

    The result depends on the job's fields alone, so a restarted dealer sends the very same bytes.
    """

    terms: Terms
    committee: Committee
    identity: Identity
    vector: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    seeded: tuple[int, ...]
    label: str = "sharing"

    def run(self) -> Dealing:
        """Return the dealing, with one sealed share for each holder."""
        from ...crypto.identity import sealing
        from ...crypto.prng import derive

        me = self.committee.index(self.identity.public)
        assert me is not None
        root, published, made = self._shares(me)
        ephemeral = sealing.Ephemeral(derive(self.seed, b"boxes"), self.terms.context(me), root)
        shares = zip(self.committee.members, made, strict=True)
        blobs = tuple(
            b"" if holder == me else ephemeral.seal(member, share) for holder, (member, share) in enumerate(shares)
        )
        deal = Deal(
            self.terms.round,
            self.terms.base_hash,
            root,
            published,
            ephemeral.key,
            self.seeded,
            blob_digests(blobs),
        )
        # A dealer that made a mistake sees it here, before it sends anything.
        return Dealing(deal, blobs, _values(self.terms, self.committee, me, me, deal, made[me]))

    def _shares(self, me: int) -> tuple[bytes, bytes, tuple[bytes, ...]]:
        """Return the root, what else is published, and the share of each holder.

        Raises:
            ValueError: the vector is not what the dealing has to prove.
        """
        from ...crypto.field import from_bytes
        from ...crypto.sharing import dealing

        context, vector = self.terms.context(me), from_bytes(self.vector, self.terms.layout.columns)
        if self.terms.layout.proved is None:
            terms = _crypto_terms(self.terms, self.committee, me, self.seeded)
            dealt = dealing.deal(context, terms, vector, self.seed)
            return dealt.commitment.root, dealt.commitment.fingerprints, dealt.shares
        stated = statement(self.terms, self.committee.threshold, me, self.seeded)
        proved = self._prove(context, stated, vector)
        commitment = proved.commitment
        return commitment.roots[-1], b"".join(commitment.trees) + commitment.polynomials, proved.shares

    def _prove(self, context: bytes, stated: "Statement", vector: "NDArray[np.uint64]") -> "Proved":
        """Return the proved dealing of a vector. A liar of a simulation proves something else."""
        from ...crypto.proof.checks import BadDealing, check_public
        from ...crypto.proof.prover import prove

        proved = prove(context, stated, vector, *counts_of(vector, self.terms.layout), self.seed)
        try:
            check_public(context, stated, proved.commitment)  # whatever is sent convicts its dealer if it is false
        except BadDealing as error:
            raise ValueError(f"the proof came out false, so it is not sent: {error}") from None
        return proved

    def cost_ms(self, columns: int) -> float:
        """Return the time of dealing to all holders."""
        return deal_ms(self.committee.n, columns, self.terms.layout)


@dataclass(frozen=True, slots=True)
class CheckShare(CheckJob):
    """Open a box from a dealer and check the share against the dealer's published commitment."""

    terms: Terms
    committee: Committee
    identity: Identity
    dealer: int
    deal: Deal = field(repr=False)
    blob: bytes = field(repr=False)
    label: str = "checking a share"

    def run(self) -> CheckedShare:
        """Return the values, or what is wrong with the share and the proof of it."""
        from ...crypto.identity.sealing import dealing_key
        from ...crypto.sharing.dealing import BadShare

        holder = self.committee.index(self.identity.public)
        key = dealing_key(self.deal.key, self.terms.context(self.dealer))
        assert holder is not None
        assert key is not None, "a dealing without a good key is not taken"
        try:
            share = key.open(self.identity, self.blob)
            return CheckedShare(values=_values(self.terms, self.committee, self.dealer, holder, self.deal, share))
        except (BoxError, BadShare) as error:
            opening = key.reveal(self.identity)
            return CheckedShare(wrong=str(error), secret=opening.shared, proof=opening.proof)

    def cost_ms(self, columns: int) -> float:
        """Return the time of checking one share."""
        return check_ms(self.committee.n, columns, self.terms.layout)


@dataclass(frozen=True, slots=True)
class JudgeComplaint(JudgeJob):
    """Open the box that a holder complains about, with the secret that the complaint proves."""

    terms: Terms
    committee: Committee
    dealer: int
    holder: int
    deal: Deal = field(repr=False)
    secret: bytes = field(repr=False)
    proof: bytes = field(repr=False)
    blob: bytes = field(repr=False)
    label: str = "judging a complaint"

    def run(self) -> CheckedShare:
        """Return what is wrong with the dealing; nothing is wrong if the complaint is false."""
        from ...crypto.identity.sealing import Opening, dealing_key
        from ...crypto.sharing.dealing import BadShare

        accuser, opening = self.committee.members[self.holder], Opening(self.secret, self.proof)
        key = dealing_key(self.deal.key, self.terms.context(self.dealer))
        assert key is not None, "a dealing without a good key is not taken"
        if not key.judge(accuser, opening):
            return CheckedShare(values=b"")
        try:
            share = key.open_with(accuser, opening, self.blob)
            return CheckedShare(values=_values(self.terms, self.committee, self.dealer, self.holder, self.deal, share))
        except (BoxError, BadShare) as error:
            return CheckedShare(wrong=str(error))

    def cost_ms(self, columns: int) -> float:
        """Return the time of checking one share."""
        return check_ms(self.committee.n, columns, self.terms.layout)


def _values(terms: Terms, committee: Committee, dealer: int, holder: int, deal: Deal, share: bytes) -> bytes:
    """Return the values of a share.

    Raises:
        BadShare: the share does not fit the dealer's commitment.
    """
    from ...crypto.proof.checks import check_share
    from ...crypto.sharing import dealing

    context = terms.context(dealer)
    if terms.layout.proved is not None:
        stated = statement(terms, committee.threshold, dealer, deal.seeded)
        return check_share(context, stated, holder, commitment_of(deal), share).tobytes()
    commitment = dealing.Commitment(deal.root, deal.published)
    crypto_terms = _crypto_terms(terms, committee, dealer, deal.seeded)
    return dealing.check(context, crypto_terms, holder, commitment, share).tobytes()


@dataclass(frozen=True, slots=True)
class OpenSum(OpenJob):
    """Reconstruct W from sum shares.

    Liars are located once for all columns, on a random combination of them (``crypto/sharing/robust.py``).
    """

    terms: Terms
    committee: Committee
    rows: tuple[tuple[int, bytes], ...] = field(repr=False)
    label: str = "opening the sum"

    def run(self) -> Opened | None:
        """Return W; None if fewer than K+f sum shares agree, never a guess."""
        import numpy as np

        from ...crypto.field import is_canonical
        from ...crypto.sharing.robust import decode
        from ...crypto.sharing.shamir import Scheme

        # One matrix, filled row by row: the sum shares of a round are the largest data that a member ever holds.
        matrix = np.empty((len(self.rows), self.terms.layout.columns), dtype=np.uint64)
        good: list[int] = []
        hashes = b"coterie/sum-shares/%d\x00" % PROTOCOL_VERSION
        for index, data in self.rows:
            row = np.frombuffer(data, dtype="<u8")
            if row.size == matrix.shape[1] and is_canonical(row):
                matrix[len(good)] = row
                hashes += digest_of(data)
                good.append(index)
        if len(good) < self.committee.sum_quorum:
            return None
        # The combination that locates the liars must not be known before the shares are fixed, so it is derived from a
        # hash of all of them.
        fixed = hashlib.sha256(hashes).digest()
        scheme = Scheme(self.committee.n, self.committee.threshold)
        decoded = decode(scheme, good, matrix[: len(good)], self.committee.sum_quorum, fixed)
        if decoded is None:
            return None
        vector = decoded.secret.tobytes()
        liars = {index for index, _ in self.rows} - set(good) | set(decoded.liars)
        return Opened(vector, digest_of(vector), tuple(sorted(liars)))

    def cost_ms(self, columns: int) -> float:
        """Return the time of opening so many sum shares."""
        return open_ms(len(self.rows), columns)


# What the simulator charges for these jobs, and for those that stand for them where shares are ideal.


def deal_ms(holders: int, columns: int, layout: Layout) -> float:
    """Return the time of a dealing to so many holders, in milliseconds."""
    proof = 0.0 if layout.proved is None else PROVE_MS + 1e-6 * PROVE_NS * columns
    return proof + holders * (1e-6 * DEAL_ROW_NS * columns + 1e-3 * (HOLDER_US + PAIR_US * holders))


def check_ms(holders: int, columns: int, layout: Layout) -> float:
    """Return the time of checking a share, or of judging a complaint about one, in milliseconds."""
    proof = 0.0 if layout.proved is None else VERIFY_MS + 1e-6 * VERIFY_NS * columns
    return proof + 1e-3 * (CHECK_EACH_US + PAIR_US * holders) + 1e-6 * CHECK_NS * columns


def open_ms(rows: int, columns: int) -> float:
    """Return the time of making W of so many sum shares, in milliseconds."""
    pairs = 1e-3 * OPEN_PAIR_US * rows**2
    return 0.15 + pairs + 1e-6 * OPEN_NS * columns * (rows + 1)
