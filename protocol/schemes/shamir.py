"""Verified Shamir shares (DESIGN section 6): no member ever sees another's update, and a wrong sum cannot
pass.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...crypto.identity import SEALED_OVERHEAD_BYTES, BoxError, Identity
from ..committee import Committee
from ..evidence import Judgement, Point, judge_points
from .base import CheckedShare, Choice, Dealing, Opened, Terms, blob_digests


@dataclass(frozen=True, slots=True)
class ShamirScheme:
    """Each dealer shares its vector out to all holders; a holder's sum of shares is a share of the sum."""

    committee: Committee
    name: str = "shamir"

    def deal(self, terms: Terms, identity: Identity, vector: bytes, seed: bytes) -> "DealShares":
        """Return the job that deals: shares, commitments, boxes."""
        return DealShares(terms, self.committee, identity, vector, seed)

    def blob_bytes(self, terms: Terms, dealer: int, holder: int) -> int:
        """Return the exact size of the sealed share."""
        from ...crypto.dealing import share_size

        return share_size(_crypto_terms(terms, self.committee, dealer), holder) + SEALED_OVERHEAD_BYTES

    def fingerprint_bytes(self) -> int:
        """Return the size of the 2K coefficients of Y_1 and Y_2."""
        return 16 * self.committee.threshold

    def check(
        self, terms: Terms, identity: Identity, dealer: int, root: bytes, fingerprints: bytes, blob: bytes
    ) -> "CheckShare":
        """Return the job that opens the box and checks the share in it."""
        return CheckShare(terms, self.committee, identity, dealer, root, fingerprints, blob)

    def recheck(
        self, terms: Terms, dealer: int, holder: int, root: bytes, fingerprints: bytes, share: bytes
    ) -> "RecheckShare":
        """Return the job that judges a revealed share."""
        return RecheckShare(terms, self.committee, dealer, holder, root, fingerprints, share)

    def senders(self, choice: Choice) -> tuple[int, ...]:
        """Return J."""
        return choice.holders

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

    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> "OpenSum":
        """Return the robust reconstruction of the batch."""
        return OpenSum(terms, self.committee, tuple(sorted(rows.items())))

    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        """Return what K+f agreeing fingerprints prove."""
        return judge_points({j: z for j, z in points.items() if j in choice.holders}, self.committee)


def _crypto_terms(terms: Terms, committee: Committee, dealer: int):  # type: ignore[no-untyped-def]
    from ...crypto import dealing

    return dealing.Terms(committee.n, committee.threshold, terms.layout.columns, dealer)


@dataclass(frozen=True, slots=True)
class DealShares:
    """Share out, commit, seal.

    Deterministic in its fields, so that a restarted dealer sends the very same bytes.
    """

    terms: Terms
    committee: Committee
    identity: Identity
    vector: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    label: str = "sharing"

    def run(self) -> Dealing:
        """Return the dealing with one sealed share a holder."""
        from ...crypto import dealing
        from ...crypto.field import from_bytes
        from ...crypto.prng import derive

        me = self.committee.index(self.identity.public)
        assert me is not None
        context = self.terms.context(me)
        terms = _crypto_terms(self.terms, self.committee, me)
        dealt = dealing.deal(context, terms, from_bytes(self.vector, self.terms.layout.columns), self.seed)
        blobs = []
        for holder, (member, share) in enumerate(zip(self.committee.members, dealt.shares, strict=True)):
            nonce = derive(self.seed, b"box nonce %d" % holder)[:24]
            blobs.append(b"" if holder == me else self.identity.seal(member, share, nonce))
        own = dealing.check(context, terms, me, dealt.commitment, dealt.shares[me])
        commitment = dealt.commitment
        sealed = tuple(blobs)
        return Dealing(
            self.terms.round,
            commitment.root,
            commitment.fingerprints,
            sealed,
            blob_digests(sealed),
            own.tobytes(),
        )


@dataclass(frozen=True, slots=True)
class CheckShare:
    """Open a box from a dealer and check the share against the dealer's published commitment."""

    terms: Terms
    committee: Committee
    identity: Identity
    dealer: int
    root: bytes
    fingerprints: bytes = field(repr=False)
    blob: bytes = field(repr=False)
    label: str = "checking a share"

    def run(self) -> CheckedShare:
        """Return the values, or the reason and, where there is one, the proof."""
        try:
            share = self.identity.open(self.committee.members[self.dealer], self.blob)
        except BoxError as error:
            return CheckedShare(wrong=str(error))
        holder = self.committee.index(self.identity.public)
        assert holder is not None
        return _check(self.terms, self.committee, self.dealer, holder, self.root, self.fingerprints, share)


@dataclass(frozen=True, slots=True)
class RecheckShare:
    """Judge a share that a holder revealed in a complaint."""

    terms: Terms
    committee: Committee
    dealer: int
    holder: int
    root: bytes
    fingerprints: bytes = field(repr=False)
    share: bytes = field(repr=False)
    label: str = "judging a complaint"

    def run(self) -> CheckedShare:
        """Return ``reveal`` set if the complaint is right."""
        return _check(self.terms, self.committee, self.dealer, self.holder, self.root, self.fingerprints, self.share)


def _check(
    terms: Terms,
    committee: Committee,
    dealer: int,
    holder: int,
    root: bytes,
    fingerprints: bytes,
    share: bytes,
) -> CheckedShare:
    from ...crypto import dealing

    commitment = dealing.Commitment(root, fingerprints)
    try:
        values = dealing.check(
            terms.context(dealer), _crypto_terms(terms, committee, dealer), holder, commitment, share
        )
    except dealing.BadShare as error:
        return CheckedShare(wrong=str(error), reveal=share if error.provable else None)
    return CheckedShare(values=values.tobytes())


@dataclass(frozen=True, slots=True)
class OpenSum:
    """Reconstruct W from sum shares, liars located once for the batch."""

    terms: Terms
    committee: Committee
    rows: tuple[tuple[int, bytes], ...] = field(repr=False)
    label: str = "opening the sum"

    def run(self) -> Opened | None:
        """Return W, or None where fewer than K+f agree: never a guess."""
        import numpy as np

        from ...crypto.field import is_canonical
        from ...crypto.robust import decode
        from ...crypto.shamir import Scheme

        # One matrix, filled row by row: a round's sum shares are the largest thing that a member ever holds.
        matrix = np.empty((len(self.rows), self.terms.layout.columns), dtype=np.uint64)
        good: list[int] = []
        hashes = b""
        for index, data in self.rows:
            row = np.frombuffer(data, dtype="<u8")
            if row.size == matrix.shape[1] and is_canonical(row):
                matrix[len(good)] = row
                hashes += hashlib.sha256(data).digest()
                good.append(index)
        if len(good) < self.committee.sum_quorum:
            return None
        # The combination that locates the liars must not be known before the shares are fixed: it hashes all of them.
        fixed = hashlib.sha256(hashes).digest()
        scheme = Scheme(self.committee.n, self.committee.threshold)
        decoded = decode(scheme, good, matrix[: len(good)], self.committee.sum_quorum, fixed)
        if decoded is None:
            return None
        vector = decoded.secret.tobytes()
        liars = {index for index, _ in self.rows} - set(good) | set(decoded.liars)
        return Opened(vector, hashlib.sha256(vector).digest(), tuple(sorted(liars)))
