"""The first half of a round, from one member's side: what it takes from the others, and what it does not."""

import itertools
from functools import cached_property

import numpy as np
import pytest
from bench import Bench
from chains import Chain, digest
from members import identity
from signing import signed

from coterie.crypto.identity.identity import Identity
from coterie.crypto.identity.sealing import dealing_key
from coterie.protocol.events import FetchFailed, PeerDown, PeerUp, WorkDone
from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.limits import MAX_UNAWAITED, UNAWAITED_ROUNDS
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import Ack, Complaint, Deal, HandBox, SitOut, dealing_id
from coterie.protocol.round import sharing
from coterie.protocol.round.acks import Acks
from coterie.protocol.round.complaints import Complaints
from coterie.protocol.round.overdue_acks import OverdueAcks
from coterie.protocol.round.sharing import Sharing
from coterie.protocol.schemes.base import Dealing
from coterie.protocol.schemes.shamir import CheckShare, JudgeComplaint
from coterie.protocol.timers import AcksDue, HandOver, Resend, RestOver, ShareDeadline, TellKept

A, B, C, D = (identity(number) for number in range(4))


class Table(Bench):
    """Peer 0 in the first round of four; the others deal as they are told to."""

    def __init__(self) -> None:
        super().__init__(Chain(4))
        self.begin()

    @property
    def sharing(self) -> Sharing:
        assert self.node.ctx.sharing is not None
        return self.node.ctx.sharing

    def place(self, who: Identity) -> int:
        place = self.sharing.committee.index(who.public)
        assert place is not None
        return place

    @cached_property
    def dealings(self) -> dict[bytes, Dealing]:
        """What each member deals: zeros."""
        sharing = self.sharing
        zeros = bytes(8 * sharing.terms.layout.columns)
        return {
            one.public: sharing.scheme.deal(
                sharing.terms,
                one,
                zeros,
                digest(f"seed {one.public.hex()}"),
                sharing.scheme.seeded(self.place(one), frozenset()),
            ).run()
            for one in (A, B, C, D)
        }

    def deal(self, who: Identity) -> Verified:
        """Hear this member's dealing, check the share and hold it."""
        dealing = self.dealings[who.public]
        self.hear(who, dealing.deal, dealing.blobs[self.place(A)])
        self.compute()
        return self.sharing.deals[self.place(who)]

    def id_of(self, who: Identity) -> bytes:
        """The id of a member's dealing."""
        return dealing_id(self.sharing.terms.federation, who.public, self.dealings[who.public].deal)

    def ack(self, who: Identity, *dealers: Identity, kept: tuple[tuple[Identity, Identity], ...] = ()) -> None:
        """``who`` acks these dealings, and says which boxes (dealer, holder) it keeps."""
        named = tuple(sorted((self.place(one), self.id_of(one)) for one in dealers))
        boxes = tuple(sorted((self.place(dealer), self.place(holder)) for dealer, holder in kept))
        self.hear(who, Ack(1, named, boxes))

    def box(self, dealer: Identity, holder: Identity) -> bytes:
        """The sealed box of a dealing."""
        return self.dealings[dealer.public].blobs[self.place(holder)]

    def hand_box(self, dealer: Identity, holder: Identity) -> HandBox:
        """The message that hands it over."""
        digests = self.dealings[dealer.public].deal.box_hashes
        return HandBox(1, self.place(dealer), self.id_of(dealer), self.place(holder), digests[self.place(holder)])

    def complain(
        self, who: Identity, deal: Verified, box: bytes | None = None, blob: bytes | None = None, number: int = 0
    ) -> None:
        """``who`` says that the box which ``deal`` binds for it is bad; ``number``: with another proof each."""
        message = deal.message
        assert isinstance(message, Deal)
        named = message.box_hashes[self.place(who)] if box is None else box
        proof = digest(f"{number}") * 2
        self.hear(who, Complaint(1, self.place_of(deal), deal.raw, named, digest("secret"), proof), blob)

    def place_of(self, deal: Verified) -> int:
        place = self.sharing.committee.index(deal.sender)
        assert place is not None
        return place

    def has_dealt(self) -> None:
        """Peer 0 has dealt."""
        self.sharing.vector = bytes(8 * self.sharing.terms.layout.columns)
        self.sharing.on_dealt(self.dealings[A.public], self.node.ctx.alive, self.node.ctx.alive_changes)
        self.fire("nothing")


# Dealing.


def test_who_acked_a_dealing_is_sent_it_again_only_where_it_comes_back() -> None:
    """It may be an old copy that has lost its shares, and would never ack again without them."""
    table = Table()
    table.has_dealt()
    table.ack(B, A)
    table.sent.clear()
    table.fire(Resend(table.node.state.height + 1))
    assert {send.to for send in table.sent if table.said_in(send, Deal)} == {C.public, D.public}
    table.sent.clear()
    table.hand(PeerDown(B.public))
    table.hand(PeerUp(B.public))
    assert [send.to for send in table.sent if table.said_in(send, Deal)] == [B.public]


@pytest.mark.parametrize("reason", ["cannot read 'caf\udce9.csv'", "\ud800", "ü" * 1_000, ""], ids=ascii)
def test_a_reason_to_sit_out_is_sent_whatever_characters_are_in_it(reason: str) -> None:
    """A file name that is no UTF-8 is in the message of an exception as lone surrogates."""
    table = Table()
    table.fire(RestOver(1))
    train = next(work for work in table.work if isinstance(work, Train))
    table.hand(WorkDone(train, error=reason))
    said = table.said(SitOut)[0].message
    assert isinstance(said, SitOut)
    assert said.reason == reason[:300].replace("\udce9", "?").replace("\ud800", "?")


# Boxes that others keep.


def handed(table: Table, to: Identity | None = None) -> set[tuple[bytes | None, int]]:
    """To whom boxes were handed, and for which holder."""
    sent = [(send.to, one.message) for send in table.sent for one in table.said_in(send, HandBox)]
    return {
        (member, message.holder)
        for member, message in sent
        if isinstance(message, HandBox) and (to is None or member == to.public)
    }


def test_at_the_deadline_the_box_of_a_holder_without_an_ack_goes_to_others_until_they_say_that_they_keep_it() -> None:
    table = Table()
    table.has_dealt()
    for one in (B, C):
        table.ack(one, A)
    assert handed(table) == set()
    table.fire(ShareDeadline(1))
    assert handed(table) == set(), "acks that others send at the deadline are on their way"
    table.fire(AcksDue(1))
    everybody = {(one.public, table.place(D)) for one in (B, C)}
    assert everybody <= handed(table) <= everybody | {(D.public, table.place(D))}
    table.sent.clear()
    table.ack(B, A, kept=((A, D),))
    table.fire(Resend(table.node.state.height + 1))
    assert handed(table) - {(D.public, table.place(D))} == {(C.public, table.place(D))}
    table.sent.clear()
    table.ack(D, A)
    table.fire(Resend(table.node.state.height + 1))
    assert handed(table) == set()


@pytest.mark.parametrize("is_weak", [False, True])
def test_an_ack_after_the_deadline_makes_room_for_the_box_of_another_holder(
    is_weak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one dealer f boxes are kept; an honest holder that was merely slow must not take a refuser's place."""
    if is_weak:
        monkeypatch.setattr(Sharing, "has_more_to_hand_over", lambda self, *there: False)
    table = Table()
    table.has_dealt()
    table.fire(ShareDeadline(1))
    table.fire(AcksDue(1))
    (first,) = {holder for _, holder in handed(table)}
    slow = next(one for one in (B, C, D) if table.place(one) == first)
    others = [one for one in (B, C, D) if one is not slow]
    table.ack(slow, A)
    table.ack(others[0], A)
    if any(timer.key == HandOver(1) for timer in table.timers):
        table.fire(HandOver(1))
    assert ({holder for _, holder in handed(table)} >= {first, table.place(others[1])}) != is_weak


def test_a_dealing_that_is_made_after_the_deadline_is_handed_over_soon() -> None:
    table = Table()
    table.fire(RestOver(1))
    table.fire(ShareDeadline(1))
    table.fire(AcksDue(1))
    train = next(one for one in table.work if isinstance(one, Train))
    table.work.remove(train)
    update = np.zeros(table.chain.genesis.parameters, np.float32)
    table.hand(WorkDone(train, Contribution(10, (4.0, 2.0), bytes(32), update)))
    table.compute()
    assert HandOver(1) in [timer.key for timer in table.timers]
    table.fire(HandOver(1))
    assert {table.place(one) for one in (B, C, D)} >= {holder for _, holder in handed(table)} != set()


def test_the_rest_between_rounds_ends_when_f_plus_1_have_dealt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that was restarted does not know when the rest began."""

    def trains() -> list[bool]:
        table, found = Table(), []
        for one in (B, C):
            table.deal(one)
            found.append(any(isinstance(work, Train) for work in table.work))
        table.fire(RestOver(1))
        assert sum(isinstance(work, Train) for work in table.work) == 1
        return found

    assert trains() == [False, True]
    monkeypatch.setattr(Sharing, "has_begun_elsewhere", lambda self: False)
    assert trains() == [False, False]


def test_a_keeper_says_what_it_keeps_and_serves_it_to_the_holder_alone() -> None:
    table = Table()
    for one in (B, C, D):
        table.deal(one)
    table.fire(ShareDeadline(1))
    table.sent.clear()
    table.hear(B, table.hand_box(B, D), table.box(B, D))
    assert handed(table) == {(D.public, table.place(D))}
    assert [send.blob for send in table.sent if table.said_in(send, HandBox)] == [table.box(B, D)]
    table.fire(TellKept(1))
    acks = [one.message for one in table.said(Ack)]
    assert isinstance(acks[-1], Ack)
    assert acks[-1].kept == ((table.place(B), table.place(D)),)


@pytest.mark.parametrize("wrong", ["another box", "another dealing", "cut short", "not its dealer", "no such holder"])
def test_a_box_that_is_not_as_dealt_or_not_from_its_dealer_is_not_kept(wrong: str) -> None:
    table = Table()
    for one in (B, C, D):
        table.deal(one)
    message, blob, sender = table.hand_box(B, D), table.box(B, D), B
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    match wrong:
        case "another box":
            message = HandBox(**fields | {"box_hash": digest("another")})
        case "another dealing":
            message = HandBox(**fields | {"dealing": table.id_of(C)})
        case "cut short":
            blob = blob[:-1]
        case "not its dealer":
            sender = C
        case _:
            message = HandBox(**fields | {"holder": 4})
    table.hear(sender, message, blob)
    table.fire(TellKept(1))
    assert all(isinstance(one.message, Ack) and one.message.kept == () for one in table.said(Ack))
    assert table.sharing.custody.boxes_for(table.place(D)) == []


def test_a_box_that_comes_before_its_dealing_is_kept_once_that_is_there() -> None:
    table = Table()
    table.hear(B, table.hand_box(B, D), table.box(B, D))
    table.hear(C, table.hand_box(B, A), table.box(B, A))
    table.hear(C, table.hand_box(B, D), table.box(B, D))
    assert table.sharing.custody.boxes_for(table.place(D)) == []
    dealing = table.dealings[B.public]
    table.hear(B, dealing.deal)
    assert [box for _, _, box in table.sharing.custody.boxes_for(table.place(D))] == [table.box(B, D)]
    assert any(isinstance(one, CheckShare) for one in table.work), "and its own, from whoever served it"


def test_boxes_that_came_early_are_bounded_whoever_sends_them() -> None:
    table = Table()
    for number in range(300):
        message = table.hand_box(B, D)
        fields = {name: getattr(message, name) for name in message.__struct_fields__}
        table.hear(B, HandBox(**fields | {"holder": number % 4, "dealing": digest(f"{number}")}), table.box(B, D))
        table.hear(C, HandBox(**fields | {"holder": number % 4, "dealing": digest(f"{number}")}), table.box(B, D))
    assert table.sharing.custody.count_early <= 2 + table.sharing.custody.per_dealer


def test_boxes_of_strangers_are_not_kept() -> None:
    """There may be any number of them."""
    table = Table()
    stranger = Identity.from_seed(bytes([99]) * 32)
    table.hear(stranger, table.hand_box(B, A), table.box(B, A))
    assert table.sharing.custody.count_early == 0
    table.hear(C, table.hand_box(B, A), table.box(B, A))
    assert table.sharing.custody.count_early == 1


def test_of_more_boxes_than_an_ack_can_name_each_member_names_other_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the dealers that come last would be left out by all."""
    table = Table()
    monkeypatch.setattr(sharing, "MAX_KEPT_BOXES", 2)
    pairs = [(dealer, holder) for dealer in range(4) for holder in range(4) if dealer != holder]
    first = set()
    for place in range(4):
        table.sharing.me = place
        named = table.sharing._as_many_as_fit(set(), pairs)
        first.add(named[0][0])
        assert len(named) == 2
        assert table.sharing._as_many_as_fit(set(named), pairs) == named, "what was named stays named"
    assert first == set(range(4))


def test_holders_that_could_have_their_shares_have_as_long_again_f_plus_one_times_at_most() -> None:
    """B hands the box for C over at the last moment, and does not ack A's dealing: J is A and D, for now."""
    table = Table()

    def takes(who: Identity, dealers: tuple[Identity, ...], *kept: tuple[Identity, Identity]) -> None:
        named = tuple(sorted((table.place(one), table.id_of(one)) for one in dealers))
        boxes = tuple(sorted((table.place(dealer), table.place(holder)) for dealer, holder in kept))
        table.sharing.acks.take(table.place(who), signed(who, Ack(1, named, boxes)))

    def waits() -> bool:
        return table.sharing.waits_for_holders({B.public, C.public, D.public}, 1)

    takes(A, (A, B, C, D))
    takes(B, (B, C, D))
    takes(C, (A, C, D), (A, B))
    takes(D, (A, B, C, D), (A, B))
    assert not waits(), "B's dealing is not settled, so A and D hold all that counts, and C too"
    takes(D, (A, B, C, D), (A, B), (B, C))
    takes(A, (A, B, C, D), (A, B), (B, C))
    assert waits()
    assert not waits(), "nothing more was said"
    takes(C, (A, C, D), (A, B), (D, B))
    assert waits()
    takes(D, (A, B, C, D), (A, B), (B, C), (C, B))
    assert not waits(), "so often liars may have it"


def test_what_was_in_dispute_is_handed_over_when_it_is_dealt() -> None:
    table = Table()
    table.node.ctx.patience.on_disputes([(A.public, D.public)])
    table.has_dealt()
    assert {(B.public, table.place(D)), (C.public, table.place(D))} <= handed(table)


def test_an_ack_that_a_holder_shows_to_the_dealer_alone_is_shown_to_all() -> None:
    """The others take the dealer for one that did not deal to it."""
    table = Table()
    table.has_dealt()
    for one in (B, C, D):
        table.ack(one, *((A,) if one is D else (A, B, C, D)))
    alone = table.sharing.acks.latest[table.place(D)]
    table.fire(ShareDeadline(1))
    table.sent.clear()
    table.ack(D, B, C)  # what the others have of it: passed on, as they found it
    assert [send.envelope for send in table.sent if send.to is None] == [alone.raw]
    table.ack(D, C)
    assert len([send for send in table.sent if send.to is None]) == 1, "once"


def test_a_box_that_others_keep_is_enough_of_a_sign_that_they_lack_an_ack() -> None:
    table = Table()
    table.has_dealt()
    table.ack(D, A)
    table.sent.clear()
    table.ack(B, A, C, kept=((C, D),))
    assert [send.envelope for send in table.sent if send.to is None] == [table.sharing.acks.latest[table.place(D)].raw]


# Waiting.


def overdue(table: Table, acks: dict[Identity, tuple[Identity, ...]]) -> tuple[set[int], set[int]]:
    """Which holders and which dealers are to blame where these are the acks of the deadline."""
    table.sharing.acks = table.sharing.settling.acks = Acks(table.sharing.committee)
    for holder, dealers in acks.items():
        named = tuple(sorted((table.place(one), table.id_of(one)) for one in dealers))
        table.sharing.acks.take(table.place(holder), signed(holder, Ack(1, named)))
    table.sharing.acks.changes = next(COUNTER)  # what is remembered by it is of other acks
    found = table.sharing.settling.overdue(table.node.ctx.alive, table.node.ctx.alive_changes)
    return set(found[0]), set(found[1])


COUNTER = itertools.count(1_000)


def test_a_share_is_overdue_only_where_enough_others_hold_theirs() -> None:
    """A dealer that is late is nobody else's fault."""
    table = Table()
    everybody = (A, B, C, D)
    assert overdue(table, dict.fromkeys(everybody, everybody)) == (set(), set())
    assert overdue(table, dict.fromkeys(everybody, (A, B, C))) == (set(), set())
    assert overdue(table, {C: everybody, D: everybody}) == (set(), set()), "two of four are no proof that it has dealt"
    assert overdue(table, {A: everybody, B: (A, B, C), C: everybody, D: everybody}) == (set(), {table.place(D)})


def test_a_holder_is_overdue_with_what_it_could_have_had() -> None:
    table = Table()
    everybody = (A, B, C, D)
    keep = {(table.place(D), table.place(B))}
    assert overdue(table, {A: everybody, B: (A, B, C), C: everybody, D: everybody}) == (set(), {table.place(D)})
    for who in (A, C):
        named = tuple(sorted((table.place(one), table.id_of(one)) for one in everybody))
        table.sharing.acks.take(table.place(who), signed(who, Ack(1, named, tuple(keep))))
    found = table.sharing.settling.overdue(table.node.ctx.alive, table.node.ctx.alive_changes)
    assert found == ({table.place(B)}, set())


def at_deadline(table: Table, patience: OverdueAcks, acks: dict[Identity, tuple[Identity, ...]]) -> OverdueAcks:
    overdue(table, acks)
    present = frozenset(range(4))
    dealings = table.sharing.settling.reached(present)
    patience.on_deadline(table.sharing.acks, dealings, present, A.public)
    return patience


def test_a_missing_ack_is_in_dispute_at_first_and_the_dealers_fault_if_it_is_missing_again() -> None:
    table, everybody = Table(), (A, B, C, D)
    committee = table.sharing.committee
    acks = dict.fromkeys(everybody, everybody) | {B: (A, B, C)}
    patience = at_deadline(table, OverdueAcks(), acks)
    assert patience.disputed_holders(committee, D.public) == {table.place(B)}
    assert (patience.late_holders(committee), patience.late_dealers(committee)) == (frozenset(), frozenset())
    at_deadline(table, patience, acks)
    assert (patience.late_holders(committee), patience.late_dealers(committee)) == (frozenset(), {table.place(D)})


def test_one_that_lacks_the_shares_of_more_than_f_dealers_is_at_fault_itself_and_they_are_not() -> None:
    table, everybody = Table(), (A, B, C, D)
    committee = table.sharing.committee
    patience = at_deadline(table, OverdueAcks(), dict.fromkeys(everybody, everybody) | {B: (A, B)})
    assert (patience.late_holders(committee), patience.late_dealers(committee)) == ({table.place(B)}, frozenset())
    at_deadline(table, patience, dict.fromkeys(everybody, everybody) | {B: (A, B), C: (A, B, C)})
    assert patience.late_dealers(committee) == frozenset(), "for one of them is another one's fault"


def test_one_dealer_that_leaves_out_one_after_the_other_is_at_fault_when_they_are_more_than_f() -> None:
    table, everybody = Table(), (A, B, C, D)
    committee = table.sharing.committee
    patience = at_deadline(table, OverdueAcks(), dict.fromkeys(everybody, everybody) | {B: (A, B, C)})
    at_deadline(table, patience, dict.fromkeys(everybody, everybody) | {C: (A, B, C)})
    assert patience.late_dealers(committee) == {table.place(D)}
    assert patience.late_holders(committee) == frozenset()


def test_an_overdue_share_is_not_waited_for_for_some_rounds() -> None:
    table, patience = Table(), OverdueAcks()
    committee = table.sharing.committee
    patience.on_round(1)
    patience.on_overdue([D.public], [C.public])
    patience.on_disputes([(B.public, A.public)])
    without = Committee(tuple(one for one in committee.members if one != D.public))
    assert patience.late_holders(without) == frozenset(), "one that is no member is no matter"
    patience.on_round(1 + UNAWAITED_ROUNDS)
    assert patience.late_holders(committee) == {table.place(D)}
    assert patience.late_dealers(committee) == {table.place(C)}
    assert patience.disputed_holders(committee, B.public) == {table.place(A)}
    patience.on_round(2 + UNAWAITED_ROUNDS)
    assert (patience._holders, patience._dealers, patience._disputes) == ({}, {}, {})


def test_no_more_is_remembered_than_the_limit_and_the_latest_stays() -> None:
    patience = OverdueAcks()
    many = [digest(f"{number}") for number in range(MAX_UNAWAITED)]
    patience.on_overdue([*many, D.public], [*many, C.public])
    patience.on_disputes([*((one, one) for one in many), (B.public, A.public)])
    assert len(patience._holders) == len(patience._dealers) == len(patience._disputes) == MAX_UNAWAITED
    assert D.public in patience._holders
    assert C.public in patience._dealers
    assert (B.public, A.public) in patience._disputes


# Complaints.


def test_of_all_complaints_of_a_holder_about_a_dealer_one_is_fetched() -> None:
    table = Table()
    deal = table.deal(C)
    for number in range(50):
        table.complain(B, deal, number=number)
    boxes = table.dealings[C.public].deal.box_hashes
    assert [fetch.digest for fetch in table.fetches] == [boxes[table.place(B)]]
    table.complain(D, deal)
    assert [fetch.digest for fetch in table.fetches[1:]] == [boxes[table.place(D)]]


def test_a_complaint_about_a_box_that_is_not_of_the_dealing_is_not_fetched() -> None:
    table = Table()
    table.complain(B, table.deal(C), box=digest("a box of mine"))
    assert (table.fetches, table.work) == ([], [])


def test_a_complaint_whose_fetch_failed_is_fetched_again_when_it_is_repeated() -> None:
    table = Table()
    deal = table.deal(C)
    table.complain(B, deal)
    table.hand(FetchFailed(table.fetches[0], "the link is gone"))
    table.complain(B, deal)
    assert len(table.fetches) == 2
    assert table.fetches[0].digest == table.fetches[1].digest


def test_a_complaint_whose_box_could_not_be_had_makes_room_for_another_of_the_same_author(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed before others have pulled the box, it complains in other words when it is back."""

    def fetches() -> int:
        table = Table()
        deal = table.deal(C)
        table.complain(B, deal, number=1)
        table.hand(FetchFailed(table.fetches[0], "the link is gone"))
        table.complain(B, deal, number=2)
        return len(table.fetches)

    assert fetches() == 2
    monkeypatch.setattr(Complaints, "on_fetch_failed", lambda self, said: None)
    assert fetches() == 1


def test_a_complaint_is_judged_once_and_names_who_complains_falsely() -> None:
    table = Table()
    deal = table.deal(C)
    for _ in range(3):
        table.complain(B, deal, blob=table.box(C, B))
    assert len([work for work in table.work if isinstance(work, JudgeComplaint)]) == 1
    table.compute()
    assert table.faults(B) == ["round 1: a false complaint"]
    assert table.faults(C) == []
    assert table.sharing.excluded == set()


def test_the_right_secret_of_a_good_box_is_a_false_complaint_too() -> None:
    table = Table()
    deal = table.deal(C)
    message = deal.message
    assert isinstance(message, Deal)
    key = dealing_key(message.key, table.sharing.terms.context(table.place(C)))
    assert key is not None
    opening = key.reveal(B)
    complaint = Complaint(
        1, table.place(C), deal.raw, message.box_hashes[table.place(B)], opening.shared, opening.proof
    )
    table.hear(B, complaint, table.box(C, B))
    table.compute()
    assert table.faults(B) == ["round 1: a false complaint"]
    assert table.faults(C) == []
    assert table.sharing.excluded == set()


def test_who_complained_falsely_is_not_listened_to_again_in_the_round_and_others_are() -> None:
    table = Table()
    deals = {who: table.deal(who) for who in (B, C, D)}
    table.complain(B, deals[C], blob=table.box(C, B))
    table.compute()
    table.fetches.clear()
    table.complain(B, deals[D])
    table.complain(B, deals[D], blob=table.box(D, B))
    judging = [one for one in table.work if not isinstance(one, Train)]
    assert (table.fetches, judging) == ([], [])
    table.complain(D, deals[C])
    assert [fetch.source for fetch in table.fetches] == [D.public]
