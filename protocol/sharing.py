"""The first half of a round: every member trains, deals its update out, checks and acks the others' dealings.

Ends when the ledger decides who contributes (:class:`.blocks.Contributors`) or that the round is void.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..crypto.identity import SEALED_OVERHEAD_BYTES
from .committee import Committee
from .contribution import RoundKind
from .envelope import Rejected, Verified, verify
from .events import Fetch
from .messages import Ack, Complaint, Deal, SitOut
from .outbox import Outbox
from .records import Dealt, ShareHeld
from .schemes import Choice, Scheme
from .schemes.base import CheckedShare, Dealing, Terms
from .schemes.choosing import choose
from .work import Contribution, Encode, Encoded, Train

NO_BOX = bytes(32)
NOBODY: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Held:
    root: bytes
    values: bytes = field(repr=False)


@dataclass(slots=True)
class Sharing:
    """One member's share phase of one round."""

    out: Outbox
    round: int
    kind: RoundKind
    committee: Committee
    scheme: Scheme
    terms: Terms
    clip: float
    examples_ref: int
    opened_at: int
    """The height being decided when the round began, as far as this member knows. A round may last for several."""
    doubts: dict[int, int] = field(default_factory=dict)
    """Rises with every failed sum of which a member was a holder."""
    failed: frozenset[int] = frozenset()
    """Those of the committee whose sum on this base model failed: it is tried again with the same contributors, since
    two sums that differ in one of them, of which one was opened before it failed, give away that one's update.
    """
    unawaited: dict[int, frozenset[int]] = field(default_factory=dict)
    """By holder, the dealers for which its ack was waited for in vain (:mod:`.patience`)."""
    closed: bool = False
    """The contributors are decided: nothing more is dealt or acked in this round (safety rule 4)."""
    may_begin: bool = False
    """The rest between rounds is over."""
    acks_whatever: bool = False
    """The share deadline has passed: ack whatever is held."""
    deadline_passed: bool = False
    """And so has the time in which the acks of then arrive: go on with what there is."""
    vector: bytes | None = field(default=None, repr=False)
    deals: dict[int, Verified] = field(default_factory=dict)
    acks: dict[int, dict[int, bytes]] = field(default_factory=dict)
    ack_envelopes: dict[int, bytes] = field(default_factory=dict)
    sat_out: dict[int, str] = field(default_factory=dict)
    liars: set[int] = field(default_factory=set)
    _held: dict[int, _Held] = field(default_factory=dict)
    _checking: set[int] = field(default_factory=set)
    _dealing: Dealing | None = None
    _deal_envelope: bytes | None = None
    _last_ack: dict[int, bytes] = field(default_factory=dict)
    _ack_changes: int = 0
    _ack_seen: tuple[int, ...] = ()
    _complete_seen: tuple[int, ...] = ()
    _is_complete: bool = False
    """The answer of ``is_complete`` for what was seen then: it is asked after every event."""
    _present_seen: tuple[int, frozenset[int]] = (-1, frozenset())
    """Who is there, and the change of ``alive`` for which that was found."""
    _complaints: dict[tuple[int, int], Verified] = field(default_factory=dict)
    """The first complaint of each holder about each dealer: the only one that is fetched and judged."""
    _judging: set[tuple[int, int]] = field(default_factory=set)
    """Which of them are under judgement or judged."""
    _false_accusers: set[int] = field(default_factory=set)
    """Holders that complained falsely: nothing more is fetched and judged for them in this round."""

    @property
    def me(self) -> int | None:
        """This member's index, None for one that only watches this round."""
        return self.committee.index(self.out.me)

    # One's own dealing.

    def begin(self, weights: bytes, totals: tuple[float, ...] | None) -> None:
        """Start training, or, after a restart, go on with the dealing that was made (safety rule 6)."""
        if self.me is not None and self.vector is None and not self.closed:
            self.out.work(Train(self.round, self.kind, weights, totals))

    def restore(self, dealt: Dealt | None, shares: Iterable[ShareHeld]) -> None:
        """Take back what was durable before a restart, and make the very same dealing again from it."""
        for held in shares:
            deal = verify(held.deal, self.out.federation)
            index = self.committee.index(held.dealer)
            if isinstance(deal, Rejected) or index is None or not isinstance(deal.message, Deal):
                continue
            self.deals[index] = deal
            self._held[index] = _Held(deal.message.root, held.values)
        if dealt is not None:
            self.vector = dealt.vector
            self.out.work(self.scheme.deal(self.terms, self.out.identity, dealt.vector, dealt.seed))

    def on_contribution(self, contribution: Contribution) -> None:
        """Training has ended: encode."""
        self.out.work(
            Encode(self.round, self.terms.layout, contribution, self.clip, self.committee.n, self.examples_ref)
        )

    def sit_out(self, reason: str) -> None:
        """Have no update this round, and say so; go on holding the others' shares.

        ``reason``: any text, also the message of an application's exception, which may be no Unicode.
        """
        reason = reason[:300].encode("utf-8", "replace").decode()
        self.out.notify("sitting-out", f"sitting out round {self.round}: {reason}", round=self.round, reason=reason)
        if self.me is not None:
            self.sat_out[self.me] = reason
            self.out.send(None, SitOut(self.round, reason))

    def on_encoded(self, encoded: Encoded) -> None:
        """The vector is fixed from here on: durable, then dealt. One that comes too late is not needed any more."""
        if self.closed or self.vector is not None:
            return
        self.vector = encoded.vector
        self.out.persist(Dealt(self.round, encoded.seed, encoded.vector))
        if encoded.clipped:
            text = f"{encoded.clipped} elements of the update were clipped to ±{self.clip}"
            self.out.notify("clipped", text, round=self.round, clipped=encoded.clipped)
        self.out.work(self.scheme.deal(self.terms, self.out.identity, encoded.vector, encoded.seed))

    def on_dealt(self, dealing: Dealing) -> None:
        """Publish the dealing and send each holder its share."""
        assert self.me is not None
        self._held[self.me] = _Held(dealing.root, dealing.own)
        if self.closed:
            return
        self._dealing = dealing
        message = Deal(self.round, self.terms.base, dealing.root, dealing.fingerprints, dealing.digests)
        own = self.out.sealed(message)
        self._deal_envelope = own.raw
        self.deals[self.me] = own
        self.out.notify("dealt", f"round {self.round}: dealt to {self.committee.n - 1} holders", round=self.round)
        for member in self.committee.members:
            self.send_deal(member)
        self._ack()

    def send_deal(self, member: bytes) -> None:
        """Send the dealing to one holder, again if need be."""
        index = self.committee.index(member)
        if self._dealing is not None and self._deal_envelope and index is not None and member != self.out.me:
            self.out.send(member, self._deal_envelope, self._dealing.blobs[index] or None)

    def close(self) -> None:
        """The contributors are decided: no share is sent or acked any more."""
        self.closed = True
        self._dealing = None
        self._deal_envelope = None

    def resend(self, to: bytes | None) -> None:
        """Repeat one's dealing and one's ack, to all or to a member that (re)connected.

        Who acked the dealing needs it no more, unless it has come back: it may have lost what it held.
        """
        if self.me is None or self.closed:
            return
        for member in self.committee.members if to is None else (to,):
            index = self.committee.index(member)
            if index is not None and (to is not None or self.me not in self.acks.get(index, {})):
                self.send_deal(member)
        if self.me in self.ack_envelopes:
            self.out.send(to, self.ack_envelopes[self.me])
        if self.me in self.sat_out:
            self.out.send(to, SitOut(self.round, self.sat_out[self.me]))

    # The others' dealings.

    def on_deal(self, deal: Verified, blob: bytes | None) -> None:
        """A dealer's commitment, with the share for this member if it came along."""
        message = deal.message
        assert isinstance(message, Deal)
        dealer = self.committee.index(deal.sender)
        if dealer is None or self.me is None or dealer == self.me or dealer in self._held or dealer in self._checking:
            return
        wrong = self._wrong_deal(dealer, message)
        if wrong:
            self.out.fault(deal.sender, f"round {self.round}: {wrong}")
            return
        earlier = self.deals.get(dealer)
        assert earlier is None or isinstance(earlier.message, Deal)
        if earlier is not None and earlier.message != message:
            self.out.fault(deal.sender, f"round {self.round}: dealt twice, with different commitments")
            return
        self.deals[dealer] = deal
        size = self.scheme.blob_bytes(self.terms, dealer, self.me)
        if size and blob is None:
            self.out.fetch(Fetch(deal.sender, message.boxes[self.me], size, deal))
            return
        if len(blob or b"") != size:
            self.out.fault(deal.sender, f"round {self.round}: a share of {len(blob or b'')} bytes, not {size}")
            return
        self._checking.add(dealer)
        self.out.work(
            self.scheme.check(self.terms, self.out.identity, dealer, message.root, message.fingerprints, blob or b"")
        )

    def _wrong_deal(self, dealer: int, message: Deal) -> str | None:
        if message.base != self.terms.base:
            return "dealt an update of another base model"
        if len(message.boxes) != self.committee.n or len(message.fingerprints) != self.scheme.fingerprint_bytes():
            return "dealt a commitment of the wrong size"
        if dealer in self.liars:
            return "dealt again after it was caught"
        return None

    def on_checked(self, dealer: int, checked: CheckedShare) -> bytes | None:
        """Hold a good share durably and ack it; publish the proof of a bad one.

        Returns the complaint, if there is one.
        """
        self._checking.discard(dealer)
        deal = self.deals.get(dealer)
        if deal is None or self.closed:
            return None
        assert isinstance(deal.message, Deal)
        if checked.values is not None:
            self._held[dealer] = _Held(deal.message.root, checked.values)
            self.out.persist(ShareHeld(self.round, deal.sender, deal.raw, checked.values))
            self._ack()
            return None
        self.out.fault(deal.sender, f"round {self.round}: {checked.wrong}", round=self.round, dealing=True)
        if checked.reveal is None:
            return None
        self.liars.add(dealer)
        digest = hashlib.sha256(checked.reveal).digest()
        complaint = self.out.seal(Complaint(self.round, dealer, deal.raw, digest))
        self.out.send(None, complaint, checked.reveal)
        return complaint

    def on_unchecked(self, dealer: int, reason: str) -> None:
        """This member failed to check a share; that says nothing about its dealer, who sends it again."""
        self._checking.discard(dealer)
        self.out.notify("work", f"round {self.round}: a share could not be checked here: {reason}", round=self.round)

    def holds(self, dealers: Iterable[tuple[int, bytes]]) -> dict[int, bytes]:
        """Return the values of the shares that are held of these dealings, by dealer.

        The root counts: who put back an old copy of its state may hold a share of another dealing of the same
        dealer than the one it acked, and would be taken for a liar if it added that up.
        """
        roots = dict(dealers)
        return {dealer: held.values for dealer, held in self._held.items() if roots.get(dealer) == held.root}

    def forget_shares(self) -> None:
        """One's sum of the shares is made: the shares themselves are not needed any more."""
        self._held.clear()
        self.vector = None

    # Acks.

    def _ack(self, whatever_is_missing: bool = False) -> None:
        """Ack once all expected dealings are held; after the deadline, whatever is held."""
        assert self.me is not None
        if not (self.acks_whatever or whatever_is_missing or self._holds_all()):
            return
        mine = {dealer: held.root for dealer, held in sorted(self._held.items())}
        if self.acks.get(self.me) == mine or not mine:
            return
        self.acks[self.me] = mine
        self._ack_changes += 1
        envelope = self.out.seal(Ack(self.round, tuple(mine.items())))
        self.ack_envelopes[self.me] = envelope
        self.out.send(None, envelope)

    def _holds_all(self) -> bool:
        """Whether no share is missing of anybody who has not said that it sits out, and did not cheat."""
        if len(self._held) < self.committee.n - len(self.sat_out) - len(self.liars):
            return False
        return set(range(self.committee.n)) - self.sat_out.keys() - self.liars <= self._held.keys()

    def ack_alive(self, alive: Iterable[bytes], changes: int) -> None:
        """Ack without waiting for members that are known to be gone. ``changes``: how often ``alive`` changed."""
        if self._checking or self.me is None:
            return
        seen = (changes, len(self._held), len(self.sat_out), len(self.liars))
        if seen == self._ack_seen:  # asked after every event: nothing has changed since the last answer
            return
        self._ack_seen = seen
        expected = self._present(alive, changes) - self.sat_out.keys() - self.liars
        if expected - self.unawaited.get(self.me, NOBODY) <= self._held.keys():
            self._ack(whatever_is_missing=True)

    def _present(self, alive: Iterable[bytes], changes: int) -> frozenset[int]:
        """Return the places of this member and of those that are alive."""
        if self._present_seen[0] != changes:
            places = {self.committee.index(member) for member in (*alive, self.out.me)}
            self._present_seen = changes, frozenset(place for place in places if place is not None)
        return self._present_seen[1]

    def on_deadline(self) -> None:
        """The share deadline: ack what there is."""
        self.acks_whatever = True
        if self.me is not None:
            self._ack()

    def on_ack(self, ack: Verified) -> None:
        """A holder's ack; a later one replaces it, and never holds less."""
        message = ack.message
        assert isinstance(message, Ack)
        holder = self.committee.index(ack.sender)
        if holder is None:
            return
        roots = dict(message.dealings)
        if len(roots) != len(message.dealings) or max(roots, default=0) >= self.committee.n:
            self.out.fault(ack.sender, f"round {self.round}: a malformed ack")
            return
        if len(roots) >= len(self.acks.get(holder, {})):
            # Most holders ack the same: one copy is kept of what is alike, which also tells `choose` that it is.
            if roots == self._last_ack:
                roots = self._last_ack
            self.acks[holder] = self._last_ack = roots
            self.ack_envelopes[holder] = ack.raw
            self._ack_changes += 1

    def on_sit_out(self, message: Verified) -> None:
        """A member has no update this round."""
        assert isinstance(message.message, SitOut)
        index = self.committee.index(message.sender)
        if index is not None and index not in self.deals:
            self.sat_out[index] = message.message.reason

    def choice(self) -> Choice | None:
        """Return a U and J that satisfy the rules, if there are any; of a sum that failed, the same U if possible."""
        candidates = frozenset(range(self.committee.n)) - self.liars
        return (self._choose(candidates & self.failed) if self.failed else None) or self._choose(candidates)

    def _choose(self, candidates: frozenset[int]) -> Choice | None:
        rules = self.committee
        return choose(self.acks, rules.min_contributors, rules.sum_quorum, tuple(sorted(candidates)), self.doubts)

    def due(self, alive: Iterable[bytes], changes: int) -> frozenset[int]:
        """Return who may not be left out of the contributors, as things stand here; ``changes``: of ``alive``.

        Until the share deadline these are all that are there, do not sit out and are held by all as far as anybody
        waits for that; of the sum that failed, if one did, those that are there, however few hold them. After the
        deadline they are those that this member would choose.
        """
        if self.deadline_passed:
            choice = self.choice()
            return frozenset(dict(choice.dealers)) if choice is not None else frozenset()
        there = self._present(alive, changes) - self.sat_out.keys() - self.liars
        if self.failed:
            return there & self.failed
        return there - {dealer for dealers in self.unawaited.values() for dealer in dealers}

    def is_complete(self, alive: Iterable[bytes], changes: int) -> bool:
        """Whether waiting longer could only bring in members that are gone, sit out or cheat.

        ``changes``: how often ``alive`` changed.
        """
        seen = (changes, self._ack_changes, len(self.sat_out), len(self.liars))
        if seen != self._complete_seen:
            expected = self._present(alive, changes)
            dealers = expected - self.sat_out.keys() - self.liars
            self._is_complete = (
                (bool(self.unawaited) or expected <= self.acks.keys())  # mostly that settles it
                and all(self._has_acked(holder, dealers) for holder in expected)
                and (choice := self.choice()) is not None
                and self.due(alive, changes) <= dict(choice.dealers).keys()
            )
            self._complete_seen = seen
        return self._is_complete

    def _has_acked(self, holder: int, dealers: frozenset[int]) -> bool:
        """Whether a holder has acked these dealers, but for those for which its ack is not waited for."""
        unawaited = self.unawaited.get(holder)
        awaited = dealers - unawaited if unawaited else dealers
        return awaited <= self.acks.get(holder, {}).keys()

    def overdue(self, alive: Iterable[bytes], changes: int) -> list[tuple[int, int | None]]:
        """Return the acks that were waited for in vain, by holder and dealer: those that enough others have given.

        A dealer that too few have acked is late itself. None for the dealer: more than f are missing, so the holder is
        to blame, whoever lies.
        """
        present, f = self._present(alive, changes), self.committee.f
        support = {dealer: sum(dealer in roots for roots in self.acks.values()) for dealer in present - self.liars}
        dealt = {dealer for dealer, count in support.items() if count >= self.committee.sum_quorum}
        found: list[tuple[int, int | None]] = []
        for holder in sorted(present):
            lacking = sorted(dealt - self.acks.get(holder, {}).keys())
            if len(lacking) <= f:
                found += [(holder, dealer) for dealer in lacking]
            elif holder != self.me:
                found.append((holder, None))
        return found

    def missing(self) -> tuple[bytes, ...]:
        """Return the members that have not acked or have not been acked by enough: named when the round is
        void.
        """
        support = {dealer: sum(dealer in roots for roots in self.acks.values()) for dealer in range(self.committee.n)}
        return tuple(
            member
            for index, member in enumerate(self.committee.members)
            if index not in self.acks or support[index] < self.committee.sum_quorum
        )

    # Complaints.

    def on_complaint(self, complaint: Verified, blob: bytes | None) -> None:
        """A holder says that a dealer cheated, and shows its share: judge."""
        message = complaint.message
        assert isinstance(message, Complaint)
        holder = self.committee.index(complaint.sender)
        if holder is not None and (holder in self._false_accusers or not self._is_first(holder, message)):
            return
        deal = verify(message.deal, self.out.federation)
        if holder is None or isinstance(deal, Rejected) or not isinstance(deal.message, Deal):
            self.out.fault(complaint.sender, f"round {self.round}: a complaint without a dealing")
            return
        dealer = self.committee.index(deal.sender)
        if dealer is None or dealer != message.dealer:
            return
        if deal.message.round != self.round or deal.message.base != self.terms.base:
            return
        size = self.scheme.blob_bytes(self.terms, dealer, holder)
        if not size:
            return
        self._complaints[(holder, dealer)] = complaint
        if blob is None:
            self.out.fetch(Fetch(complaint.sender, message.share, size - SEALED_OVERHEAD_BYTES, complaint))
            return
        self._judging.add((holder, dealer))
        self.out.work(
            self.scheme.recheck(self.terms, dealer, holder, deal.message.root, deal.message.fingerprints, blob)
        )

    def _is_first(self, holder: int, complaint: Complaint) -> bool:
        """Whether this is, or repeats, the first complaint about this dealer, and has not come with its proof yet."""
        first = self._complaints.get((holder, complaint.dealer))
        if first is None:
            return True
        assert isinstance(first.message, Complaint)
        return first.message.share == complaint.share and (holder, complaint.dealer) not in self._judging

    def on_judged(self, dealer: int, holder: int, judged: CheckedShare) -> bytes | None:
        """Name the dealer if the complaint is right, else the holder.

        Returns the complaint if it is right.
        """
        if judged.reveal is None:
            accuser = self.committee.members[holder]
            self._false_accusers.add(holder)
            self.out.fault(accuser, f"round {self.round}: a false complaint", round=self.round)
            return None
        self.liars.add(dealer)
        text = f"round {self.round}: dealt a bad share, as a holder proved"
        self.out.fault(self.committee.members[dealer], text, round=self.round, dealing=True)
        return self._complaints[(holder, dealer)].raw
