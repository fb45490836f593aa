"""What every way of summing offers to a round: :class:`Scheme`, its jobs, and what these come to.

A scheme is a class of its own below :class:`Scheme`, and a line in :data:`..registry.SCHEMES`. It has no state but
the members of the round. What takes time is a job, a frozen value that a worker runs. The node tells jobs apart by
their purpose alone, which is their base class:

=============  =======================================================  ======================
purpose        what for                                                 comes to
=============  =======================================================  ======================
DealJob        make the dealing of this member's vector                 Dealing
CheckJob       turn a dealer's blob into a share                        CheckedShare
JudgeJob       judge another holder's complaint about a dealer          CheckedShare
SumJob         add up the shares of the decided dealings                sum share, its digest
OpenJob        make W of sum shares                                     Opened, or None as yet
=============  =======================================================  ======================
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...crypto.identity import Identity
from ..committee import Committee
from ..contribution import Layout
from ..evidence import Judgement, Point
from ..limits import PROTOCOL_VERSION
from ..messages import NO_BOX, Complaint, Deal
from ..wire import digest_of, encode
from ..work import SchemeJob, SumJob, SumShares, fingerprint_of


@dataclass(frozen=True, slots=True)
class Choice:
    """A contributor set U with the ids of its dealings, and a holder set J, by index in the committee."""

    dealers: tuple[tuple[int, bytes], ...]
    holders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a dealing is bound to besides its dealer: a share of one round means nothing in another."""

    federation: bytes
    round: int
    base: bytes
    members: tuple[bytes, ...]
    layout: Layout
    _contexts: dict[int, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def context(self, dealer: int) -> bytes:
        """Return the 32 bytes that bind a dealing of this dealer."""
        context = self._contexts.get(dealer)
        if context is None:
            bound = (self.federation, self.round, self.base, self.members, self.layout.columns, dealer)
            context = hashlib.sha256(b"coterie/dealing/%d\x00" % PROTOCOL_VERSION + encode(bound)).digest()
            self._contexts[dealer] = context
        return context


# What jobs come to.


@dataclass(frozen=True, slots=True)
class Dealing:
    """A dealing, ready to send: what is published, the blob for each holder (empty for none), and one's own
    share.
    """

    deal: Deal
    blobs: tuple[bytes, ...] = field(repr=False)
    own: bytes = field(repr=False)


def blob_digests(blobs: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the digest of each blob, or NO_BOX."""
    return tuple(digest_of(blob) if blob else NO_BOX for blob in blobs)


@dataclass(frozen=True, slots=True)
class CheckedShare:
    """The outcome of checking a share: the values, or what is wrong with it.

    ``secret`` and ``proof`` let anybody open the same box, and so prove what is wrong (:class:`..messages.Complaint`).
    """

    values: bytes | None = field(default=None, repr=False)
    wrong: str | None = None
    secret: bytes = field(default=b"", repr=False)
    proof: bytes = b""


@dataclass(frozen=True, slots=True)
class Opened:
    """The sum vector W and its digest, with the holders whose sum shares were wrong."""

    vector: bytes = field(repr=False)
    digest: bytes
    liars: tuple[int, ...]


# Jobs by their purpose, beside :class:`..work.SumJob`. The fields named here are those by which the node knows what a
# job was for; the class of a job has them among its own, in any order.


class DealJob(SchemeJob[Dealing]):
    """Make the dealing of this member's vector.

    Deterministic in its fields, so that a restarted dealer sends the very same bytes.
    """

    __slots__ = ()
    terms: Terms


class CheckJob(SchemeJob[CheckedShare]):
    """Turn what a dealer sent to this member into a share that it may ack, or say what is wrong and prove it."""

    __slots__ = ()
    terms: Terms
    dealer: int


class JudgeJob(SchemeJob[CheckedShare]):
    """Judge a holder's complaint about a dealer: say what is wrong if it is right; everybody comes to the same."""

    __slots__ = ()
    terms: Terms
    dealer: int
    holder: int


class OpenJob(SchemeJob[Opened | None]):
    """Make W of the sum shares that are here; None where they do not suffice: never a guess."""

    __slots__ = ()
    terms: Terms


@dataclass(frozen=True, slots=True)
class Scheme(ABC):
    """One way to sum the contributions of a round.

    A holder is a member that dealers give shares to, each member one. What is not abstract here is right for every
    scheme in which K holders can open the sum, K-1 cannot, and K+f pin it down.
    """

    committee: Committee

    # Dealing.

    @abstractmethod
    def deal(self, terms: Terms, identity: Identity, vector: bytes, seed: bytes, seeded: tuple[int, ...]) -> DealJob:
        """Return the job that makes a :class:`Dealing`. ``seeded``: holders to whom as little as possible is sent."""

    def seeded(self, dealer: int, absent: frozenset[int]) -> tuple[int, ...]:
        """Return the holders to whom as little as possible is sent: those that are absent first."""
        return ()

    @abstractmethod
    def wrong_deal(self, terms: Terms, dealer: int, deal: Deal) -> str | None:
        """Say what is wrong with a dealing that everybody can see from the message alone.

        A right one has in ``deal.boxes`` for each member the digest of what it gets, or NO_BOX. Where all are NO_BOX
        and the key is NO_KEY, ``deal.root`` is the digest of what its dealer sends as its sum share, and the digest of
        anything else is a proof against it.
        """

    @abstractmethod
    def blob_bytes(self, terms: Terms, dealer: int, holder: int, deal: Deal) -> int:
        """Return the exact size of what the dealer sends to this holder; 0 where that is nothing."""

    @abstractmethod
    def check(self, terms: Terms, identity: Identity, dealer: int, deal: Deal, blob: bytes) -> CheckJob:
        """Return the job that turns a received blob into a :class:`CheckedShare`."""

    @abstractmethod
    def judge_complaint(
        self, terms: Terms, dealer: int, holder: int, deal: Deal, complaint: Complaint, blob: bytes
    ) -> JudgeJob:
        """Return the job that judges a complaint: a :class:`CheckedShare` with what is wrong, if it is right."""

    # Summing.

    def senders(self, choice: Choice) -> tuple[int, ...]:
        """Return who owes a sum share: J."""
        return choice.holders

    def may_send(self, choice: Choice, index: int) -> bool:
        """Whether a sum share of this member may count, and a z in its prevote.

        Anybody's: who holds all of U by now has a share of the sum, whether it was among J or got its boxes later.
        """
        return True

    def minimum(self, choice: Choice) -> int:
        """Return how many sum shares it takes to try to open: K + f."""
        return self.committee.sum_quorum

    def own_row(
        self, terms: Terms, choice: Choice, own_vector: bytes | None, held: Mapping[int, bytes]
    ) -> tuple[bytes, ...]:
        """Return the rows that add up to one's own sum share, one's shares of all of U; empty if one has none to give.

        ``held``: the ``values`` of the shares that are held, and ``own`` of one's own dealing, by dealer.
        """
        if not all(dealer in held for dealer, _ in choice.dealers):
            return ()
        return tuple(held[dealer] for dealer, _ in choice.dealers)

    def add_up(self, terms: Terms, contributors: bytes, rows: tuple[bytes, ...]) -> SumJob:
        """Return the job that makes one's sum share of its rows: here, their sum as field elements."""
        return SumShares(terms.round, contributors, rows)

    def sum_bytes(self, layout: Layout) -> int:
        """Return the exact size of a sum share."""
        return layout.vector_bytes

    @abstractmethod
    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> OpenJob:
        """Return the job that makes :class:`Opened` of sum shares, or None while they do not suffice."""

    def fingerprint(self, holder: int, challenge: bytes, share: bytes, columns: int) -> Point:
        """Return z, the fingerprint of this holder's own sum share; called by a worker."""
        return fingerprint_of(challenge, share, columns)

    @abstractmethod
    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        """Judge the prevotes' fingerprints; None while too few agree to prove anything.

        The secret that they prove has to be the fingerprint of W, whatever f of them say. It names liars only if the
        scheme is listed as one that proves them.
        """

    # About how much there is: what deadlines allow for, and what the simulator charges.

    def share_bytes(self, layout: Layout) -> int:
        """Return about how large a share is, on its way to a holder or a keeper."""
        return layout.vector_bytes

    def charged_blob_bytes(self, layout: Layout, deal: Deal, holder: int | None) -> int:
        """Return what the simulator charges for the box of a holder (None: of some other peer), if it stands for one.

        ``deal`` may be none that :meth:`wrong_deal` lets pass.
        """
        return self.share_bytes(layout)

    def simulated_bytes(self, parameters: int) -> int:
        """Return about how much memory the shares of a simulation take; 0 where they need no thought."""
        return 0
