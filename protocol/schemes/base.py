"""What every way of summing offers to a round."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...crypto.identity import Identity
from ..committee import Committee
from ..contribution import Layout
from ..evidence import Judgement, Point
from ..limits import PROTOCOL_VERSION
from ..messages import NO_BOX, Complaint, Deal
from ..wire import digest_of, encode


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

    def context(self, dealer: int) -> bytes:
        """Return the 32 bytes that bind a dealing of this dealer."""
        bound = (self.federation, self.round, self.base, self.members, self.layout.columns, dealer)
        return hashlib.sha256(b"coterie/dealing/%d\x00" % PROTOCOL_VERSION + encode(bound)).digest()


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


class Scheme(Protocol):
    """One way to sum the contributions of a round. Stateless but for its committee; heavy parts are work."""

    @property
    def name(self) -> str:
        """Return the name by which the genesis calls it."""

    @property
    def committee(self) -> Committee:
        """Return the members of the round."""

    def deal(self, terms: Terms, identity: Identity, vector: bytes, seed: bytes, seeded: tuple[int, ...]) -> Any:
        """Return the job that makes a :class:`Dealing`. ``seeded``: holders to whom as little as possible is sent."""

    def seeded(self, dealer: int, absent: frozenset[int]) -> tuple[int, ...]:
        """Return the holders to whom as little as possible is sent: those that are absent first."""

    def wrong_deal(self, terms: Terms, dealer: int, deal: Deal) -> str | None:
        """Say what is wrong with a dealing that everybody can see from the message alone."""

    def blob_bytes(self, terms: Terms, dealer: int, holder: int, deal: Deal) -> int:
        """Return the exact size of what the dealer sends to this holder; 0 where that is nothing."""

    def check(self, terms: Terms, identity: Identity, dealer: int, deal: Deal, blob: bytes) -> Any:
        """Return the job that turns a received blob into a :class:`CheckedShare`."""

    def judge_complaint(
        self, terms: Terms, dealer: int, holder: int, deal: Deal, complaint: Complaint, blob: bytes
    ) -> Any:
        """Return the job that judges a complaint: a :class:`CheckedShare` with what is wrong, if it is right."""

    def senders(self, choice: Choice) -> tuple[int, ...]:
        """Return who owes a sum share."""

    def may_send(self, choice: Choice, index: int) -> bool:
        """Whether a sum share of this member may count, and a z in its prevote."""

    def minimum(self, choice: Choice) -> int:
        """Return how many sum shares it takes to try to open."""

    def own_row(
        self, terms: Terms, choice: Choice, own_vector: bytes | None, held: Mapping[int, bytes]
    ) -> tuple[bytes, ...]:
        """Return the rows that add up to one's own sum share; empty if one has none to give."""

    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> Any:
        """Return the job that makes :class:`Opened` of sum shares, or None while they do not suffice."""

    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        """Judge the prevotes' fingerprints; None while too few agree to prove anything."""
