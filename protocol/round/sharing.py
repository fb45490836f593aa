"""The first half of a round: every member trains, deals its update out, checks and acks the others' dealings.

It ends when the ledger decides the contributors (:class:`..ledger.blocks.Contributors`), or that the round is void.
After that, members that were away may still get their boxes of the decided dealings, and so become holders of the sum.

After the rest between rounds a member trains, and deals. It acks once it holds a share of every member that is there.
At its share deadline it acks whatever it holds. A moment later, when the others' acks should be here, those that are
missing are in dispute, and dealers hand the boxes in question to other members. When these have had time to arrive, the
round goes on with the dealings that are settled. :class:`SharePhase` has the phases, and docs/protocol.md, "Acks and
disputes", the reasons.

A member is *present* if there is a link to it (``alive``). ``changes`` counts how often ``alive`` changed, so that
results that depend on it are computed once for each change.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

from ..effects import Effects
from ..events import Fetch, NoticeKind
from ..jobs import Contribution, Encode, Encoded, Train
from ..ledger.committee import Committee
from ..ledger.contribution import RoundKind
from ..limits import INLINE_BLOB_BYTES, KEPT_BOXES_DELAY_MS, MAX_KEPT_BOXES
from ..machines import Table
from ..messages.encoding import digest_of
from ..messages.envelope import Rejected, Verified, verify
from ..messages.kinds import Ack, Complaint, Deal, HandBox, SitOut, dealing_id
from ..records import Dealt, ShareHeld
from ..schemes import Scheme
from ..schemes.base import CheckedShare, Dealing, Terms
from ..timers import TellKept
from .acks import Acks, wrong_ack
from .complaints import Complaints
from .custody import Custody
from .overdue_acks import OverdueAcks
from .passing_on import PassingOn
from .settling import Settling


class SharePhase(Enum):
    """How long this member still waits for what is missing. It goes on after U is decided, for members that were away.

    The others' deadline may pass for this member while it still rests::

        resting              --rest over--> sharing
        resting              --deadline---> resting late
        resting late         --rest over--> late
        resting late         --hand over--> resting handing over
        resting handing over --rest over--> handing over
        sharing              --deadline---> late
        late                 --hand over--> handing over
        handing over         --settle-----> settled
    """

    RESTING = auto()
    """The rest between rounds: this member does not train yet."""
    RESTING_LATE = auto()
    RESTING_HANDING_OVER = auto()
    SHARING = auto()
    """It trains, deals, and waits for a share of every member that is there."""
    LATE = auto()
    """The share deadline has passed, here or for f+1 others: it acks whatever it holds."""
    HANDING_OVER = auto()
    """The acks of the deadline are here: it hands boxes of holders that have not acked to others."""
    SETTLED = auto()
    """These boxes have had the time to arrive: only settled dealings count."""

    @property
    def is_resting(self) -> bool:
        """Whether the rest between rounds is not over."""
        return self in (SharePhase.RESTING, SharePhase.RESTING_LATE, SharePhase.RESTING_HANDING_OVER)

    @property
    def is_late(self) -> bool:
        """Whether the share deadline has passed, here or for f+1 others, so that this member acks whatever it holds."""
        return self not in (SharePhase.RESTING, SharePhase.SHARING)

    @property
    def hands_over(self) -> bool:
        """Whether the boxes of holders that have not acked go to others."""
        return self in (SharePhase.RESTING_HANDING_OVER, SharePhase.HANDING_OVER, SharePhase.SETTLED)


class ShareInput(Enum):
    """What moves a share phase on."""

    REST_OVER = auto()
    DEADLINE = auto()
    HAND_OVER = auto()
    SETTLE = auto()


SHARE_PHASES: Final = Table(
    {
        (SharePhase.RESTING, ShareInput.REST_OVER): SharePhase.SHARING,
        (SharePhase.RESTING, ShareInput.DEADLINE): SharePhase.RESTING_LATE,
        (SharePhase.RESTING_LATE, ShareInput.REST_OVER): SharePhase.LATE,
        (SharePhase.RESTING_LATE, ShareInput.HAND_OVER): SharePhase.RESTING_HANDING_OVER,
        (SharePhase.RESTING_HANDING_OVER, ShareInput.REST_OVER): SharePhase.HANDING_OVER,
        (SharePhase.SHARING, ShareInput.DEADLINE): SharePhase.LATE,
        (SharePhase.LATE, ShareInput.HAND_OVER): SharePhase.HANDING_OVER,
        (SharePhase.HANDING_OVER, ShareInput.SETTLE): SharePhase.SETTLED,
    }
)


@dataclass(slots=True)
class _Held:
    """A share that this member holds: the id of its dealing, and its values."""

    dealing: bytes
    values: bytes = field(repr=False)


@dataclass(slots=True)
class _Offer:
    """A box of one dealer that is under check."""

    deal: Verified
    blob: bytes = field(repr=False)


@dataclass(slots=True)
class Sharing:
    """One member's share phase of one round."""

    out: Effects
    round: int
    kind: RoundKind
    committee: Committee
    scheme: Scheme
    terms: Terms
    clip: float
    """The bound of an update: of each element, or where dealings prove themselves of its Euclidean norm."""
    examples_ref: int
    opened_at: int
    """The height that was decided next when the round began for this member. A round may last for several heights."""
    accuse: Callable[[Verified, Verified], None]
    """Called with two statements of one member that contradict each other."""
    convict: Callable[[Verified], None]
    """Called with a dealing that is evidence by itself."""
    patience: OverdueAcks
    decided: dict[int, bytes] | None = None
    """U, once it is decided: nothing more is dealt, and only its dealings are still checked and acked."""
    phase: SharePhase = SharePhase.RESTING
    told_overdue: set[int] = field(default_factory=set)
    """Members that the operator was told are overdue."""
    inline_bytes: int = INLINE_BLOB_BYTES
    """A box up to this size comes with its dealing. A simulation sets its own: its boxes may stand for larger ones."""
    vector: bytes | None = field(default=None, repr=False)
    """This member's contribution, encoded; it is fixed once it is here."""
    deals: dict[int, Verified] = field(default_factory=dict)
    """By dealer, its dealing."""
    _refused: dict[int, Verified] = field(default_factory=dict)
    """By dealer, a dealing that does not fit this round."""
    sat_out: dict[int, str] = field(default_factory=dict)
    """By member that has no update for this round, its reason."""
    excluded: set[int] = field(default_factory=set)
    """Members whose updates do not count: proved to have dealt falsely, or no longer members."""
    bound: dict[int, bytes] = field(default_factory=dict)
    """By dealer, the dealing that this member acked before it lost its state, as others show; it holds no other one."""
    shown_deal: Verified | None = None
    """This member's own dealing of this round, as others showed it after a restart."""
    me: int | None = field(init=False)
    """This member's place in the committee; None if it only watches this round."""
    complaints: Complaints = field(init=False)
    showing: PassingOn = field(init=False)
    acks: Acks = field(init=False)
    settling: Settling = field(init=False)
    custody: Custody = field(init=False)
    _held: dict[int, _Held] = field(default_factory=dict)
    _checking: dict[int, _Offer] = field(default_factory=dict)
    _offers: dict[int, list[Fetch]] = field(default_factory=dict)
    """By dealer, the sources from which this member's box can be fetched; all are asked."""
    _dealing: Dealing | None = field(default=None, repr=False)
    _deal_envelope: bytes = b""
    _handed: set[int] = field(default_factory=set)
    """Holders whose boxes this member, as dealer, has handed to others."""
    _hands_over_more: bool = False
    """Whether a timer runs, after which further boxes are handed over."""
    _kept_heeded: list[int] = field(default_factory=list)
    """The count ``acks.kept_changes`` each time that holders were given more time."""
    _says_kept: bool = False
    """Whether a timer runs, after which an ack says which boxes are kept."""
    _ack_seen: tuple[int, ...] = ()
    """What the last answer of ``ack_alive`` depended on."""

    _ids: dict[bytes, bytes] = field(default_factory=dict)
    """By a dealing's envelope, its id, which is needed at every ack: one or two for each dealer."""

    def __post_init__(self) -> None:
        self.me = self.committee.index(self.out.me)
        self.complaints = Complaints(self.out, self.round, self.committee, self.scheme, self.terms)
        self.showing = PassingOn(self.out, self.committee)
        self.acks = Acks(self.committee)
        self.settling = Settling(self.committee, self.out.me, self.acks, self.patience, self.excluded, self.sat_out)
        self.custody = Custody(self.committee)

    def id_of(self, deal: Verified) -> bytes:
        """Return the id of a dealing."""
        found = self._ids.get(deal.raw)
        if found is None:
            assert isinstance(deal.message, Deal)
            found = self._ids[deal.raw] = dealing_id(self.terms.federation, deal.sender, deal.message)
        return found

    # Going on.

    def end_rest(self) -> None:
        """End the rest between rounds: from here on this member may train."""
        self._move_on(ShareInput.REST_OVER)

    def end_settling(self) -> None:
        """End the time to settle what was missing at the share deadline: only settled dealings count now."""
        self._move_on(ShareInput.SETTLE)

    @property
    def may_begin(self) -> bool:
        """Whether the rest between rounds is over."""
        return not self.phase.is_resting

    @property
    def is_over(self) -> bool:
        """Whether the time to settle what was missing at the share deadline is over: only settled dealings count."""
        return self.phase is SharePhase.SETTLED

    def _move_on(self, given: ShareInput) -> None:
        self.phase = SHARE_PHASES.after(self.phase, given)

    def newly_overdue(self, late: Iterable[int]) -> list[int]:
        """Return those of these late members that the operator has not been told of, and count them as told."""
        news = sorted(set(late) - self.told_overdue)
        self.told_overdue |= set(news)
        return news

    # This member's own dealing.

    def hold_to(self, said: Verified) -> None:
        """Hold to a dealing or an ack of this member that others showed after a restart, if it is of this round."""
        if isinstance(said.message, Deal) and said.message.round == self.round:
            self.shown_deal = said
        elif isinstance(said.message, Ack) and said.message.round == self.round:
            self.bound |= dict(said.message.dealings)

    def has_dealt_otherwise(self, dealing: bytes = b"") -> bool:
        """Whether others show that this member made, or acked, another dealing of its own in this round."""
        shown = self.id_of(self.shown_deal) if self.shown_deal is not None else dealing
        acked = self.bound.get(self.me, dealing) if self.me is not None else dealing
        return shown != dealing or acked != dealing

    def begin(self, weights: bytes, totals: tuple[float, ...] | None) -> None:
        """Start training, unless this member has its vector already, as after a restart (safety rule 6)."""
        if self.me is not None and self.vector is None and self.decided is None:
            self.out.work(Train(self.round, self.kind, weights, totals))

    def restore(self, dealt: Dealt | None, shares: Iterable[ShareHeld]) -> None:
        """Take back what was durable before a restart, and make the very same dealing again from it."""
        for held in shares:
            deal = verify(held.deal, self.out.federation)
            index = self.committee.index(held.dealer)
            if isinstance(deal, Rejected) or index is None or not isinstance(deal.message, Deal):
                continue
            if self.bound.get(index, self.id_of(deal)) != self.id_of(deal):
                continue
            self.deals[index] = deal
            self._held[index] = _Held(self.id_of(deal), held.values)
        if dealt is not None:
            self.vector = dealt.vector
            self.out.work(self.scheme.deal(self.terms, self.out.identity, dealt.vector, dealt.seed, dealt.seeded))

    def on_contribution(self, contribution: Contribution) -> None:
        """Take the result of the training, and have it encoded."""
        self.out.work(
            Encode(self.round, self.terms.layout, contribution, self.clip, self.committee.n, self.examples_ref)
        )

    def sit_out(self, reason: str) -> None:
        """Contribute no update in this round, and say so; go on holding the others' shares.

        ``reason``: any text, such as the message of an application's exception, which may not be valid Unicode.
        """
        reason = reason[:300].encode("utf-8", "replace").decode()
        self.out.notify(
            NoticeKind.SITTING_OUT, f"sitting out round {self.round}: {reason}", round=self.round, reason=reason
        )
        if self.me is not None:
            self.sat_out[self.me] = reason
            self.out.send(None, SitOut(self.round, reason))

    def on_encoded(self, encoded: Encoded, alive: Iterable[bytes], changes: int) -> None:
        """Take the vector, which is fixed from here on: make it durable, then deal it.

        A vector that comes after the contributors were decided is dropped.
        """
        if self.decided is not None or self.vector is not None or self.me is None:
            return
        self.vector = encoded.vector
        seeded = self.scheme.seeded(self.me, self._away(alive, changes))
        self.out.persist(Dealt(self.round, encoded.seed, encoded.vector, seeded))
        if encoded.length > 1:
            text = f"the update was made {encoded.length:.3g} times shorter: it may be {self.clip:.4g} long (--norm)"
            self.out.notify(NoticeKind.CLIPPED, text, round=self.round, clipped=0, times=encoded.length)
        if encoded.clipped:
            text = f"{encoded.clipped} elements of the update were clipped to ±{self.clip}"
            self.out.notify(NoticeKind.CLIPPED, text, round=self.round, clipped=encoded.clipped)
        self.out.work(self.scheme.deal(self.terms, self.out.identity, encoded.vector, encoded.seed, seeded))

    def on_dealt(self, dealing: Dealing, alive: Iterable[bytes], changes: int) -> None:
        """Publish the dealing and send each holder its share.

        After a restart U may be decided. Then the dealing only serves holders that still lack their boxes.
        """
        assert self.me is not None
        own = self.out.sealed(dealing.deal)
        if self.has_dealt_otherwise(self.id_of(own)):
            self.sit_out("this home is an older copy of itself: it has dealt in this round already")
            return
        self.deals[self.me] = own
        self._held[self.me] = _Held(self.id_of(own), dealing.own)
        if self.decided is not None and self.decided.get(self.me) != self._held[self.me].dealing:
            return
        self._dealing, self._deal_envelope = dealing, own.raw
        if self.decided is not None:
            return
        self.out.notify(
            NoticeKind.DEALT, f"round {self.round}: dealt to {self.committee.n - 1} holders", round=self.round
        )
        for member in self.committee.members:
            self.send_deal(member)
        disputed = self.patience.disputed_holders(self.committee, self.out.me)
        self._hand_over(sorted(self._away(alive, changes) & {*dealing.deal.seeded, *disputed}))
        self._ack()

    def _away(self, alive: Iterable[bytes], changes: int) -> frozenset[int]:
        """Return the holders that are absent, or had not acked at an earlier share deadline.

        They get seeds, as far as there are enough. Boxes of seeds are tiny, so others keep them from the start. An
        absent member then becomes a holder when it comes back, and nobody has to wait again for a late one.
        """
        gone = frozenset(range(self.committee.n)) - self.settling.present(alive, changes)
        late = self.patience.late_holders(self.committee) | self.patience.disputed_holders(self.committee, self.out.me)
        return gone | late - {self.me}

    def send_deal(self, member: bytes) -> None:
        """Send the dealing to one holder, with its box."""
        index = self.committee.index(member)
        if self._dealing is not None and index is not None and member != self.out.me:
            self.out.send(member, self._deal_envelope, self._dealing.blobs[index] or None)

    def close(self, dealers: Iterable[tuple[int, bytes]]) -> None:
        """Take the decided contributors (safety rule 4): now only boxes for holders that lack them are of use."""
        self.decided = dict(dealers)
        self._learn_left_out()
        for index in self.deals.keys() - self.decided.keys() - {self.me}:
            self._held.pop(index, None)
        if self._dealing is not None and self.me is not None:
            own = self._held[self.me].dealing
            blobs = (
                b"" if self.acks.of(holder).get(self.me) == own else blob
                for holder, blob in enumerate(self._dealing.blobs)
            )
            self._dealing = replace(self._dealing, blobs=tuple(blobs))
        if self.me is None or self.decided.get(self.me) != self._own_id():
            self._dealing = None

    def _learn_left_out(self) -> None:
        """If this member's dealing was left out though enough hold it, remember the other holders as in dispute.

        A dealer that was restarted has forgotten its disputes. The others no longer wait for it, so it may never come
        to a share deadline of its own.
        """
        own, me = self._own_id(), self.me
        if own is None or me is None or self.decided is None or me in self.decided:
            return
        acked = self.acks.holders_of({me: own})
        if len(acked) >= self.committee.sum_quorum:
            lacking = set(range(self.committee.n)) - {me, *acked}
            self.patience.on_disputes((self.out.me, self.committee.members[one]) for one in sorted(lacking))

    def _own_id(self) -> bytes | None:
        """Return the id of this member's own dealing; None if it has made none."""
        held = self._held.get(self.me) if self.me is not None else None
        return held.dealing if held is not None else None

    def end(self) -> None:
        """Drop shares, boxes and the dealing: the round is over."""
        self._dealing = None
        self._held.clear()
        self._checking.clear()
        self._offers.clear()
        self.custody.clear()

    def resend(self, to: bytes | None) -> None:
        """Repeat this member's dealing and ack, to all or to one that (re)connected, and serve the boxes kept for them.

        The dealing skips holders that already acked it, unless they just reconnected and may have lost it.
        """
        if self.me is None:
            return
        self.complaints.resend(to)
        if self.decided is None and to is not None:
            self.showing.resend(to)
        own = self._own_id()
        for member in self.committee.members if to is None else (to,):
            index = self.committee.index(member)
            if index is None or index == self.me:
                continue
            lacks = self.acks.of(index).get(self.me) != own
            if lacks or (to is not None and self.decided is None):
                self.send_deal(member)
            for dealer, dealing, box in self.custody.boxes_for(index):
                if self.acks.of(index).get(dealer) != dealing:
                    self._serve(dealer, index, box)
        if self.decided is None:
            self._hand_over(sorted(self._handed), to)
        if self.me in self.acks.latest:
            self.out.send(to, self.acks.latest[self.me].raw)
        if self.me in self.sat_out and self.decided is None:
            self.out.send(to, SitOut(self.round, self.sat_out[self.me]))

    # The others' dealings.

    def on_deal(self, deal: Verified, blob: bytes | None) -> None:
        """Take a dealer's commitment, with this member's box if that came with it."""
        message = deal.message
        assert isinstance(message, Deal)
        dealer = self.committee.index(deal.sender)
        if dealer is None or self.me is None or dealer == self.me:
            return
        earlier = self.deals.get(dealer) or self._refused.get(dealer)
        if earlier is not None and earlier.message != message:
            self.caught(dealer)
            self.accuse(earlier, deal)
            return
        if dealer in self._held or dealer in self._checking or dealer in self.excluded or dealer in self._refused:
            return
        if earlier is None:
            wrong = self.complaints.wrong_deal(dealer, message)
            if wrong:
                self.out.fault(deal.sender, f"round {self.round}: {wrong}")
                self._refused[dealer] = deal
                if self.scheme.has_false_proof(self.terms, dealer, message):
                    self.caught(dealer)
                    self.convict(deal)
                return
            self.deals[dealer] = deal
        if self._is_of_use(dealer):
            self._take_box(deal, deal, blob)
        for early in self.custody.take_early(dealer):
            self.on_hand_box(*early)

    def _is_of_use(self, dealer: int) -> bool:
        """Whether this member would hold a share of this dealer's dealing."""
        dealing = self.id_of(self.deals[dealer])
        return (self.decided is None or self.decided.get(dealer) == dealing) and self.bound.get(
            dealer, dealing
        ) == dealing

    def _take_box(self, deal: Verified, bearer: Verified, blob: bytes | None) -> None:
        """Check this member's box of a dealing, or fetch it from ``bearer``'s sender first."""
        message, dealer = deal.message, self.committee.index(deal.sender)
        assert isinstance(message, Deal)
        assert dealer is not None
        assert self.me is not None
        size = self.scheme.blob_bytes(self.terms, dealer, self.me, message)
        if size and blob is None:
            if size <= self.inline_bytes and bearer is deal:
                return  # the dealing alone, passed on by a member that keeps the box: a HandBox brings it next
            offers = self._offers.setdefault(dealer, [])
            if all(one.source != bearer.sender for one in offers):
                offers.append(Fetch(bearer.sender, message.box_hashes[self.me], size, bearer))
            self._fetch_from(offers)
            return
        if len(blob or b"") != size:
            # The dealer is at fault only if it committed to this box: anybody may pass a dealing on with another box.
            if digest_of(blob or b"") == message.box_hashes[self.me]:
                self.out.fault(deal.sender, f"round {self.round}: a share of {len(blob or b'')} bytes, not {size}")
            return
        self._offers.pop(dealer, None)
        self._checking[dealer] = _Offer(deal, blob or b"")
        self.out.work(self.scheme.check(self.terms, self.out.identity, dealer, message, blob or b""))

    def _fetch_from(self, offers: list[Fetch]) -> None:
        """Ask all sources: a dealer that lets the transfer crawl must not keep a holder from the keepers of its box."""
        for offer in offers:
            self.out.fetch(offer)

    def on_fetch_failed(self, fetch: Fetch) -> None:
        """Forget a source that did not deliver a box; it is asked again when it offers the box again."""
        for dealer, offers in list(self._offers.items()):
            left = [one for one in offers if (one.source, one.digest) != (fetch.source, fetch.digest)]
            if left:
                self._offers[dealer] = left
            else:
                del self._offers[dealer]

    def on_checked(self, dealer: int, checked: CheckedShare) -> bytes | None:
        """Hold a good share durably and ack it; publish the proof of a bad one.

        Returns the complaint, if there is one.
        """
        offer = self._checking.pop(dealer, None)
        if offer is None or not self._is_of_use(dealer):
            return None
        deal = offer.deal
        if checked.values is not None:
            self._held[dealer] = _Held(self.id_of(deal), checked.values)
            self.out.persist(ShareHeld(self.round, deal.sender, deal.raw, checked.values))
            self._ack()
            return None
        assert isinstance(deal.message, Deal)
        assert self.me is not None
        if digest_of(offer.blob) != deal.message.box_hashes[self.me]:
            return None  # another box came with the dealing, from whichever peer; the right one comes again
        self.out.fault(deal.sender, f"round {self.round}: {checked.wrong}", round=self.round, dealing=True)
        self.caught(dealer)
        digest = digest_of(offer.blob)
        complaint = self.out.seal(Complaint(self.round, dealer, deal.raw, digest, checked.secret, checked.proof))
        self.complaints.complain(dealer, complaint, offer.blob)
        return complaint

    def on_unchecked(self, dealer: int, reason: str) -> None:
        """Note that this member failed to check a share: that says nothing about the dealer, which sends it again."""
        self._checking.pop(dealer, None)
        self.out.notify(
            NoticeKind.WORK, f"round {self.round}: a share could not be checked here: {reason}", round=self.round
        )

    def on_judged(self, dealer: int, holder: int, judged: CheckedShare | None) -> bytes | None:
        """Take the verdict on a complaint, None if there is none; return the complaint if it is right.

        Then its dealer is excluded.
        """
        proof = self.complaints.on_judged(dealer, holder, judged)
        if proof is not None:
            self.caught(dealer)
        return proof

    def caught(self, dealer: int) -> None:
        """Exclude a dealer that is proved to have dealt falsely."""
        self.exclude({dealer})

    def on_contradiction(self, said: Verified) -> None:
        """Take a statement that its author contradicted: its dealing, or all of its acks, no longer count."""
        index = self.committee.index(said.sender)
        if index is None or not isinstance(said.message, Deal | Ack) or said.message.round != self.round:
            return
        if isinstance(said.message, Deal):
            self.caught(index)
        else:
            self.acks.strike(index)

    def exclude(self, members: Iterable[int]) -> None:
        """Exclude these members from the contributors of this round."""
        self.excluded.update(members)
        self.acks.changes += 1

    def holds(self, dealers: Iterable[tuple[int, bytes]]) -> dict[int, bytes]:
        """Return the values of the shares that are held of these dealings, by dealer.

        Dealings are compared by their ids: a member restored from an old copy of its state may hold a share of another
        dealing of the same dealer than it acked, and would pass for a liar if it added that up.
        """
        ids = dict(dealers)
        return {dealer: held.values for dealer, held in self._held.items() if ids.get(dealer) == held.dealing}

    def decided_vector(self) -> bytes | None:
        """Return this member's vector if the dealing of it in U is the one that was made here; otherwise None."""
        own, me = self._own_id(), self.me
        is_counted = own is not None and me is not None and (self.decided or {}).get(me) == own
        return self.vector if is_counted else None

    def forget_shares(self) -> None:
        """Drop the values of the shares: this member's sum of them is made."""
        for held in self._held.values():
            held.values = b""
        self.vector = None

    # Acks.

    def _ack(self, whatever_is_missing: bool = False) -> None:
        """Ack once all expected dealings are held; after the deadline, whatever is held."""
        assert self.me is not None
        if not (self.phase.is_late or whatever_is_missing or self._holds_all()):
            return
        mine = {dealer: held.dealing for dealer, held in sorted(self._held.items())}
        last = self.acks.latest.get(self.me)
        # What was said once stays said: a box that was dropped since was for a holder that has acked.
        said = last.message.kept if last is not None and isinstance(last.message, Ack) else ()
        kept = self._as_many_as_fit({pair for pair in said if pair[0] in mine}, self.custody.named(mine))
        message = Ack(self.round, tuple(mine.items()), kept, self.phase.is_late)
        if not mine or (last is not None and last.message == message):
            return
        own = self.out.sealed(message)
        self.acks.take(self.me, own)
        self.out.send(None, own.raw)

    def _as_many_as_fit(
        self, said: set[tuple[int, int]], kept: Iterable[tuple[int, int]]
    ) -> tuple[tuple[int, int], ...]:
        """Return the boxes that an ack names: those named before, then others as far as they fit.

        Each member begins with the dealer after itself, so that members name different boxes if not all fit.
        """
        me, n = self.me or 0, self.committee.n
        more = sorted(set(kept) - said, key=lambda pair: ((pair[0] - me) % n, pair[1]))
        return tuple(sorted([*said, *more[: MAX_KEPT_BOXES - len(said)]]))

    def _holds_all(self) -> bool:
        """Whether a share of every dealer is held: of all that do not sit out and are not excluded, or of U."""
        if self.decided is not None:
            return self.decided.keys() <= self._held.keys()
        if len(self._held) < self.committee.n - len(self.sat_out) - len(self.excluded):
            return False
        return set(range(self.committee.n)) - self.sat_out.keys() - self.excluded <= self._held.keys()

    def ack_alive(self, alive: Iterable[bytes], changes: int) -> None:
        """Ack without waiting for members that are absent or were late before."""
        if self._checking or self.me is None:
            return
        seen = (changes, len(self._held), len(self.sat_out), len(self.excluded))
        if seen == self._ack_seen:  # called after every event: nothing has changed since the last answer
            return
        self._ack_seen = seen
        expected = self.settling.present(alive, changes) - self.sat_out.keys() - self.excluded
        if expected - self.patience.late_dealers(self.committee) <= self._held.keys():
            self._ack(whatever_is_missing=True)

    def is_late(self) -> bool:
        """Whether the share deadline has passed for f+1 others and not here: they may decide without this member."""
        return self.decided is None and not self.phase.is_late and self.acks.is_past_deadline()

    def ack_what_there_is(self) -> None:
        """Ack whatever is held, at the share deadline, though some dealer may have left this member out."""
        self._move_on(ShareInput.DEADLINE)
        if self.me is not None and self.decided is None:
            self._ack()

    def on_deadline(self, alive: Iterable[bytes], changes: int) -> frozenset[int]:
        """Once the acks of the share deadline are here, hand the boxes of holders that have not acked to others.

        Returns the present holders that have not acked a dealing that K+f holders have acked.
        """
        self._move_on(ShareInput.HAND_OVER)
        if self.me is None or self.decided is not None:
            return frozenset()
        late = self._learn_disputes(alive, changes)
        self._hand_over(self._lacking(alive, changes))
        return late

    def waits_for_holders(self, alive: Iterable[bytes], changes: int) -> bool:
        """Whether to give holders more time to ack shares that they could have; asked when the time for that is over.

        A dealer may hand a box over so late that others keep it in time, which settles its dealing, while the holder
        does not have it yet. If J is too small for that reason alone, the round would be void. Each of f liars can do
        so, so there is more time f+1 times at most, each time only if members have named further kept boxes.
        """
        said = self.acks.kept_changes
        is_news = said > (self._kept_heeded[-1] if self._kept_heeded else 0)
        if self.decided is not None or not is_news or len(self._kept_heeded) > self.committee.f:
            return False
        settled = self.settling.settled(alive, changes)
        if len(settled) < self.committee.min_contributors or self.acks.choose(settled) is not None:
            return False
        self._kept_heeded.append(said)
        return True

    def hand_over_lacking(self, alive: Iterable[bytes], changes: int) -> None:
        """Hand over what is still missing: at the others' deadline, once there is room, or if the dealing was late.

        The others remember the pairs in dispute, and expect their boxes to be handed over as soon as the dealer deals
        the next time. So this member remembers them, too: the others may decide before its own deadline.
        """
        present, lacking = self.settling.present(alive, changes), self._lacking(alive, changes)
        self._move_on(ShareInput.HAND_OVER)
        self._hands_over_more = False
        self._hand_over(lacking)
        self.patience.on_disputes((self.out.me, self.committee.members[one]) for one in lacking if one in present)

    def _learn_disputes(self, alive: Iterable[bytes], changes: int) -> frozenset[int]:
        """Remember the pairs in dispute, and show each dealer the acks that lack its dealing."""
        present = self.settling.present(alive, changes)
        lacking = self.patience.on_deadline(self.acks, self.settling.reached(present), present, self.out.me)
        for dealer, dealing in self.settling.acked_by(self.committee.f + 1, present).items():
            for one in sorted(self.acks.latest.keys() - {dealer, self.me}):
                # The holder may have acked to the dealer alone, which then does not know that others lack the ack.
                if dealer != self.me and self.acks.of(one).get(dealer) != dealing:
                    self.out.send(self.committee.members[dealer], self.acks.latest[one].raw)
        return frozenset().union(*lacking.values()) - {self.me}

    def has_more_to_hand_over(self, alive: Iterable[bytes], changes: int) -> bool:
        """Whether an ack after the deadline made room for another holder's box; True once, until it is handed over."""
        if not self.phase.hands_over or self._hands_over_more:
            return False
        self._hands_over_more = any(one not in self._handed for one in self._lacking(alive, changes))
        return self._hands_over_more

    def _lacking(self, alive: Iterable[bytes], changes: int) -> list[int]:
        """Return the holders that have not acked this member's dealing, the present ones first."""
        own, me, present = self._own_id(), self.me, self.settling.present(alive, changes)
        if own is None or me is None or self.decided is not None:
            return []
        lacking = [one for one in range(self.committee.n) if one != me and self.acks.of(one).get(me) != own]
        return sorted(lacking, key=lambda one: (one not in present, one))

    def on_ack(self, ack: Verified) -> None:
        """Take a holder's ack; accuse the holder if it contradicts an earlier one."""
        message = ack.message
        assert isinstance(message, Ack)
        holder = self.committee.index(ack.sender)
        if holder is None:
            return
        wrong = wrong_ack(message, self.committee.n)
        if wrong:
            self.out.fault(ack.sender, f"round {self.round}: {wrong}")
            return
        earlier = self.acks.take(holder, ack)
        if earlier is not None:
            self.accuse(earlier, ack)
            return
        self.showing.other_dealings(holder, self.acks.of(holder), self._refused | self.deals, self.id_of)
        own = self._own_id()
        if self.phase.is_late and (self.me, own) not in message.dealings and self._vouch(holder):
            self.patience.on_disputes([(self.out.me, self.committee.members[holder])])
        for dealer, other in message.kept:
            if dealer not in (self.me, other):
                self._vouch(other)

    def _vouch(self, holder: int) -> bool:
        """Show to all that a holder, with which others see this member in dispute, has acked this member's dealing."""
        own = self._own_id()
        if self.me is None or own is None or holder == self.me or self.decided is not None:
            return False
        return self.showing.vouch(holder, self.me, self.acks.proof(holder, self.me, own))

    def has_begun_elsewhere(self) -> bool:
        """Whether f+1 dealings show that an honest member has ended the rest between rounds, and this one has not."""
        others = self.deals.keys() - {self.me}
        return self.phase.is_resting and self.decided is None and len(others) > self.committee.f

    def on_sit_out(self, message: Verified) -> None:
        """Note that a member has no update in this round."""
        assert isinstance(message.message, SitOut)
        index = self.committee.index(message.sender)
        if index is not None and index not in self.deals:
            self.sat_out[index] = message.message.reason

    # Boxes that others keep.

    def _hand_over(self, holders: Iterable[int], to: bytes | None = None) -> None:
        """Hand the box of each of these holders to 2f+1 others: f+1 of these are honest, and keep and serve it.

        Members that said that they keep a box are skipped. With ``to`` only that member is handed boxes, which it may
        have lost. Boxes are handed over for as many holders without an ack as keepers have room for.
        """
        dealing, me, n = self._dealing, self.me, self.committee.n
        if dealing is None or me is None:
            return
        own = self._held[me].dealing
        for holder in holders:
            lacking = [one for one in self._handed if self.acks.of(one).get(me) != own]
            if self.acks.of(holder).get(me) == own or (
                holder not in lacking and len(lacking) >= self.custody.per_dealer
            ):
                continue
            self._handed.add(holder)
            box = dealing.blobs[holder]
            message = self.out.seal(HandBox(self.round, me, own, holder, dealing.deal.box_hashes[holder]))
            keepers = [one for step in range(1, n) if (one := (holder + step) % n) != me]
            for keeper in keepers[: 2 * self.committee.f + 1]:
                member = self.committee.members[keeper]
                if to == member or (to is None and not self.acks.keeps(keeper, me, own, holder)):
                    self.out.send(member, message, box or None)

    def on_hand_box(self, message: Verified, blob: bytes | None) -> None:
        """Take a box: this member's own, or one to keep for another holder."""
        handed = message.message
        assert isinstance(handed, HandBox)
        if self.me is None or max(handed.holder, handed.dealer) >= self.committee.n:
            return
        if self.committee.index(message.sender) is None:  # there could be any number of strangers
            return
        deal = self.deals.get(handed.dealer)
        if deal is None:
            self.custody.keep_early(message, blob, self.me)
            return
        if self.id_of(deal) != handed.dealing:
            return
        assert isinstance(deal.message, Deal)
        if handed.box_hash != deal.message.box_hashes[handed.holder]:
            self.out.fault(message.sender, f"round {self.round}: a box that is not of the dealing")
        elif handed.holder == self.me:
            done = handed.dealer in self._held or handed.dealer in self._checking or handed.dealer in self.excluded
            if not done and self._is_of_use(handed.dealer):
                self._take_box(deal, message, blob)
        elif message.sender == deal.sender and self.decided is None:
            self._keep(deal, message, handed, blob)

    def _keep(self, deal: Verified, message: Verified, handed: HandBox, blob: bytes | None) -> None:
        """Keep a box for another holder, if there is room and the holder has not acked; serve it, and say so soon."""
        assert isinstance(deal.message, Deal)
        dealer, holder = handed.dealer, handed.holder
        self.custody.make_room(dealer, self.acks.holders_of({dealer: handed.dealing}))
        ack = self.acks.proof(holder, dealer, handed.dealing)
        if ack is not None:  # the holder has acked, and its dealer has not seen the ack
            self.showing.vouch(holder, dealer, ack)
            return
        if not self.custody.has_room(dealer, holder):
            return
        size = self.scheme.blob_bytes(self.terms, dealer, holder, deal.message)
        if size and blob is None:
            self.out.fetch(Fetch(message.sender, handed.box_hash, size, message))
            return
        if len(blob or b"") != size:
            self.out.fault(message.sender, f"round {self.round}: a box of {len(blob or b'')} bytes, not {size}")
            return
        self.custody.keep(dealer, handed.dealing, holder, blob or b"")
        self._serve(dealer, holder, blob or b"")
        if not self._says_kept:
            self._says_kept = True
            self.out.timer(KEPT_BOXES_DELAY_MS, TellKept(self.round))

    def _serve(self, dealer: int, holder: int, box: bytes) -> None:
        """Send a kept box to its holder, after the dealing that it belongs to."""
        deal, to = self.deals[dealer], self.committee.members[holder]
        assert isinstance(deal.message, Deal)
        self.out.send(to, deal.raw)
        handed = HandBox(self.round, dealer, self.id_of(deal), holder, deal.message.box_hashes[holder])
        self.out.send(to, handed, box or None)

    def say_kept(self) -> None:
        """Say in an ack which boxes are kept; called a moment after one came, so that one ack names several."""
        self._says_kept = False
        if self.me in self.acks.latest or self.phase.is_late:
            self._ack(whatever_is_missing=True)
