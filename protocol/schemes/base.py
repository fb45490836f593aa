"""The interface between a round and a way of summing: :class:`Scheme`, its jobs, and their results.

A scheme is a class of its own below :class:`Scheme`, and a line in :data:`..scheme_registry.SCHEMES`. Its only state is
the committee of the round. Heavy work is done in jobs, frozen values that a worker runs. The node tells jobs apart by
their purpose alone, which is their base class:

=============  =======================================================  ======================
purpose        what for                                                 result
=============  =======================================================  ======================
DealJob        make the dealing of this member's vector                 Dealing
CheckJob       turn a dealer's blob into a share                        CheckedShare
JudgeJob       judge another holder's complaint about a dealer          CheckedShare
SumJob         add up the shares of the decided dealings                sum share, its digest
OpenJob        make W of sum shares                                     Opened, or None as yet
=============  =======================================================  ======================
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...crypto.identity.identity import Identity
from ..jobs import SchemeJob, SumJob, SumShares, fingerprint_of
from ..ledger.committee import Committee
from ..ledger.contribution import Layout
from ..ledger.evidence import Judgement, Point
from ..ledger.terms import Terms as Terms
from ..messages.encoding import digest_of
from ..messages.kinds import NO_BOX, Complaint, Deal


@dataclass(frozen=True, slots=True)
class Choice:
    """A contributor set U with the ids of its dealings, and a holder set J, by places in the committee."""

    dealers: tuple[tuple[int, bytes], ...]
    holders: tuple[int, ...]


# The results of jobs.


@dataclass(frozen=True, slots=True)
class Dealing:
    """A dealing that is ready to send.

    ``deal`` is what is published, ``blobs`` what is sent to each holder (empty for nothing), ``own`` the dealer's own
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
    """The outcome of checking a share: its values, or what is wrong with it.

    ``secret`` and ``proof`` let all members open the same box, and so prove what is wrong
    (:class:`..messages.kinds.Complaint`).
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


# The base classes of jobs, beside :class:`..jobs.SumJob`. By the fields named here the node knows what a job was for;
# the class of a job has them among its own fields, in any order.


class DealJob(SchemeJob[Dealing]):
    """Make the dealing of this member's vector.

    The result depends on the job's fields alone, so a restarted dealer sends the very same bytes.
    """

    __slots__ = ()
    terms: Terms


class CheckJob(SchemeJob[CheckedShare]):
    """Turn the blob that a dealer sent to this member into a share to ack, or say what is wrong and prove it."""

    __slots__ = ()
    terms: Terms
    dealer: int


class JudgeJob(SchemeJob[CheckedShare]):
    """Judge a holder's complaint about a dealer; say what is wrong if it is right. All members find the same."""

    __slots__ = ()
    terms: Terms
    dealer: int
    holder: int


class OpenJob(SchemeJob[Opened | None]):
    """Make W of the sum shares that are here; None if they do not suffice, never a guess."""

    __slots__ = ()
    terms: Terms


@dataclass(frozen=True, slots=True)
class Scheme(ABC):
    """One way to sum the contributions of a round.

    A holder is a member to which each dealer gives one share. The methods that are not abstract are right for every
    scheme in which K holders can open the sum, K-1 cannot, and K+f pin it down.
    """

    committee: Committee

    # Dealing.

    @abstractmethod
    def deal(self, terms: Terms, identity: Identity, vector: bytes, seed: bytes, seeded: tuple[int, ...]) -> DealJob:
        """Return the job that makes a :class:`Dealing`.

        Args:
            terms: the round.
            identity: the dealer.
            vector: the contribution, as little-endian field elements.
            seed: 32 random bytes, from which all other randomness of the dealing follows.
            seeded: the holders that are sent as little as possible, as :meth:`seeded` chose them.
        """

    def seeded(self, dealer: int, absent: frozenset[int]) -> tuple[int, ...]:
        """Return the holders that are sent as little as possible: those that are absent first."""
        return ()

    @abstractmethod
    def wrong_deal(self, terms: Terms, dealer: int, deal: Deal) -> str | None:
        """Say what is wrong with a dealing as far as the message alone shows it; None if nothing is.

        In a right dealing ``deal.boxes`` has for each member the digest of its blob, or NO_BOX if it gets none. If all
        are NO_BOX and the key is NO_KEY, ``deal.root`` is the digest of the sum share that the dealer will send. Then
        the digest of another sum share is proof against the dealer.
        """

    def has_false_proof(self, terms: Terms, dealer: int, deal: Deal) -> bool:
        """Whether a dealing that :meth:`wrong_deal` refuses is evidence by itself: it proves what is not so."""
        return False

    @abstractmethod
    def blob_bytes(self, terms: Terms, dealer: int, holder: int, deal: Deal) -> int:
        """Return the exact size of the blob that the dealer sends to this holder; 0 if there is none."""

    @abstractmethod
    def check(self, terms: Terms, identity: Identity, dealer: int, deal: Deal, blob: bytes) -> CheckJob:
        """Return the job that turns a received blob into a :class:`CheckedShare`."""

    @abstractmethod
    def judge_complaint(
        self, terms: Terms, dealer: int, holder: int, deal: Deal, complaint: Complaint, blob: bytes
    ) -> JudgeJob:
        """Return the job that judges a complaint. Its :class:`CheckedShare` says what is wrong, if it is right."""

    # Summing.

    def senders(self, choice: Choice) -> tuple[int, ...]:
        """Return the members that owe a sum share: J."""
        return choice.holders

    def may_send(self, choice: Choice, index: int) -> bool:
        """Whether a sum share of this member may count, and a z in its prevote.

        It may for every member: one that holds all of U has a share of the sum, whether it was in J or got its boxes
        later.
        """
        return True

    def minimum(self, choice: Choice) -> int:
        """Return how many sum shares an attempt to open takes: K + f."""
        return self.committee.sum_quorum

    def own_row(
        self, terms: Terms, choice: Choice, own_vector: bytes | None, held: Mapping[int, bytes]
    ) -> tuple[bytes, ...]:
        """Return the rows that add up to this member's sum share: its shares of all of U; none if it lacks one.

        Args:
            terms: the round.
            choice: U and J.
            own_vector: this member's own contribution, if that is in U.
            held: by dealer, the ``values`` of the shares that are held, and ``own`` of this member's own dealing.
        """
        if not all(dealer in held for dealer, _ in choice.dealers):
            return ()
        return tuple(held[dealer] for dealer, _ in choice.dealers)

    def add_up(self, terms: Terms, contributors: bytes, rows: tuple[bytes, ...]) -> SumJob:
        """Return the job that makes this member's sum share of its rows: here, their sum as field elements."""
        return SumShares(terms.round, contributors, rows)

    def sum_bytes(self, layout: Layout) -> int:
        """Return the exact size of a sum share in bytes."""
        return layout.vector_bytes

    @abstractmethod
    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> OpenJob:
        """Return the job that makes :class:`Opened` of sum shares, or None while they do not suffice."""

    def fingerprint(self, holder: int, challenge: bytes, share: bytes, columns: int) -> Point:
        """Return z, the fingerprint of this holder's own sum share. A worker calls it.

        Raises:
            ValueError: the share is malformed.
        """
        return fingerprint_of(challenge, share, columns)

    @abstractmethod
    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        """Judge the fingerprints of prevotes; None while too few agree to prove anything.

        The secret that they prove must be the fingerprint of W, whatever f of them say. Liars are named only if the
        scheme is listed as one that proves them (``proves_liars``).
        """

    # Rough sizes: deadlines allow for them, and the simulator charges them.

    def share_bytes(self, layout: Layout) -> int:
        """Return the rough size of a share, on its way to a holder or a keeper."""
        return layout.vector_bytes

    def charged_blob_bytes(self, layout: Layout, deal: Deal, holder: int | None) -> int:
        """Return the size that the simulator charges for the box of a holder (None: of another peer).

        ``deal`` may be one that :meth:`wrong_deal` refuses.
        """
        return self.share_bytes(layout)

    def simulated_bytes(self, parameters: int) -> int:
        """Return the rough memory that the shares of a simulation take, in bytes; 0 if it need not be considered."""
        return 0
