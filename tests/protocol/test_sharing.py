"""The first half of a round, from one member's side: what it takes from the others, and what it does not."""

from functools import cached_property

import pytest
from bench import Bench
from chains import Chain, digest
from cluster import identity

from coterie.crypto.identity import Identity
from coterie.protocol.committee import Committee
from coterie.protocol.envelope import Verified
from coterie.protocol.events import FetchFailed, PeerDown, PeerUp, WorkDone
from coterie.protocol.limits import MAX_UNAWAITED_ACKS, UNAWAITED_ROUNDS
from coterie.protocol.messages import Ack, Complaint, Deal, SitOut
from coterie.protocol.patience import Patience
from coterie.protocol.schemes.base import Dealing
from coterie.protocol.schemes.shamir import RecheckShare
from coterie.protocol.sharing import Sharing
from coterie.protocol.work import Train

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
            one.public: sharing.scheme.deal(sharing.terms, one, zeros, digest("seed")).run() for one in (A, B, C, D)
        }

    def deal(self, who: Identity) -> Verified:
        """Hear this member's dealing, check the share and hold it."""
        dealing = self.dealings[who.public]
        message = Deal(1, self.sharing.terms.base, dealing.root, dealing.fingerprints, dealing.digests)
        self.hear(who, message, dealing.blobs[self.place(A)])
        self.compute()
        return self.sharing.deals[self.place(who)]

    def complain(self, who: Identity, deal: Verified, share: bytes, blob: bytes | None = None) -> None:
        """``who`` says that the share which ``deal`` binds for it is bad."""
        self.hear(who, Complaint(1, self.place_of(deal), deal.raw, share), blob)

    def place_of(self, deal: Verified) -> int:
        place = self.sharing.committee.index(deal.sender)
        assert place is not None
        return place

    def share(self, dealer: Identity, holder: Identity) -> bytes:
        """The share of a dealing, as its holder opens it."""
        return holder.open(dealer.public, self.dealings[dealer.public].blobs[self.place(holder)])


# Dealing.


def test_who_acked_a_dealing_is_sent_it_again_only_where_it_comes_back() -> None:
    """It may be an old copy that has lost its shares, and would never ack again without them."""
    table = Table()
    sharing = table.sharing
    sharing.vector = bytes(8 * sharing.terms.layout.columns)
    sharing.on_dealt(table.dealings[A.public])
    root = table.dealings[A.public].root
    table.hear(B, Ack(1, ((table.place(A), root),)))
    table.sent.clear()
    table.fire("resend", table.node.state.height + 1)
    assert {send.to for send in table.sent if table.said_in(send, Deal)} == {C.public, D.public}
    table.sent.clear()
    table.hand(PeerDown(B.public))
    table.hand(PeerUp(B.public))
    assert [send.to for send in table.sent if table.said_in(send, Deal)] == [B.public]


@pytest.mark.parametrize("reason", ["cannot read 'caf\udce9.csv'", "\ud800", "ü" * 1_000, ""], ids=ascii)
def test_a_reason_to_sit_out_is_sent_whatever_characters_are_in_it(reason: str) -> None:
    """A file name that is no UTF-8 is in the message of an exception as lone surrogates."""
    table = Table()
    table.fire("begin", 1)
    train = next(work for work in table.work if isinstance(work, Train))
    table.hand(WorkDone(train, error=reason))
    said = table.said(SitOut)[0].message
    assert isinstance(said, SitOut)
    assert said.reason == reason[:300].replace("\udce9", "?").replace("\ud800", "?")


# Waiting.


def overdue(table: Table, acks: dict[Identity, tuple[Identity, ...]]) -> list[tuple[int, int | None]]:
    """What is given up where these are the acks of the deadline."""
    for holder, dealers in acks.items():
        places = sorted(table.place(dealer) for dealer in dealers)
        table.sharing.acks[table.place(holder)] = {place: digest("root") for place in places}
    return table.sharing.overdue(table.node.ctx.alive, table.node.ctx.alive_changes)


def test_an_ack_is_overdue_only_where_enough_others_have_given_it() -> None:
    """A dealer that is late is nobody else's fault."""
    table = Table()
    everybody = (A, B, C, D)
    assert overdue(table, dict.fromkeys(everybody, everybody)) == []
    assert overdue(table, dict.fromkeys(everybody, (A, B, C))) == []
    assert overdue(table, {C: everybody, D: everybody}) == [], "two of four are no proof that it has dealt"
    one = overdue(table, {A: everybody, B: (A, B, C)})
    assert one == [(table.place(B), table.place(D))]
    assert overdue(table, {B: (B,)}) == [(table.place(B), None)], "it lacks more than f lying dealers can have caused"
    assert overdue(table, {B: everybody, A: (A,)}) == [], "and one's own lack is no reason to ack less"


def test_an_ack_is_given_up_for_some_rounds_and_who_left_is_forgotten() -> None:
    table = Table()
    patience, committee = Patience(), table.sharing.committee
    assert overdue(table, dict.fromkeys((A, B, C), (A, B, C, D)) | {D: ()}) == [(table.place(D), None)]
    patience.on_deadline(table.sharing, table.node.ctx.alive, table.node.ctx.alive_changes)
    everybody = frozenset(range(4))
    assert patience.unawaited(2, committee) == {table.place(D): everybody}
    assert patience.unawaited(2, Committee(tuple(one for one in committee.members if one != D.public))) == {}
    assert patience.unawaited(1 + UNAWAITED_ROUNDS, committee) == {table.place(D): everybody}
    assert patience.unawaited(2 + UNAWAITED_ROUNDS, committee) == {}
    assert patience._given_up == {}


def test_no_more_acks_are_remembered_than_the_limit_and_the_latest_stay() -> None:
    table, patience = Table(), Patience()
    overdue(table, dict.fromkeys((A, B, C), (A, B, C, D)) | {D: ()})
    patience._given_up = {(digest(f"{number}"), None): 1 for number in range(MAX_UNAWAITED_ACKS)}
    patience.on_deadline(table.sharing, table.node.ctx.alive, table.node.ctx.alive_changes)
    assert len(patience._given_up) == MAX_UNAWAITED_ACKS
    assert (D.public, None) in patience._given_up


# Complaints.


def test_of_all_complaints_of_a_holder_about_a_dealer_one_is_fetched() -> None:
    table = Table()
    deal = table.deal(C)
    for number in range(50):
        table.complain(B, deal, digest(f"share {number}"))
    assert [fetch.digest for fetch in table.fetches] == [digest("share 0")]
    table.complain(D, deal, digest("another holder's"))
    assert len(table.fetches) == 2


def test_a_complaint_whose_fetch_failed_is_fetched_again_when_it_is_repeated() -> None:
    table = Table()
    deal = table.deal(C)
    table.complain(B, deal, digest("share"))
    table.hand(FetchFailed(table.fetches[0], "the link is gone"))
    table.complain(B, deal, digest("share"))
    assert [fetch.digest for fetch in table.fetches] == [digest("share")] * 2


def test_a_complaint_is_judged_once_and_names_who_complains_falsely() -> None:
    table = Table()
    deal = table.deal(C)
    for _ in range(3):
        table.complain(B, deal, digest("share"), table.share(C, B))
    assert len([work for work in table.work if isinstance(work, RecheckShare)]) == 1
    table.compute()
    assert table.faults(B) == ["round 1: a false complaint"]
    assert table.faults(C) == []
    assert table.sharing.liars == set()


def test_who_complained_falsely_is_not_listened_to_again_in_the_round_and_others_are() -> None:
    table = Table()
    deals = {who: table.deal(who) for who in (B, C, D)}
    table.complain(B, deals[C], digest("share"), table.share(C, B))
    table.compute()
    table.fetches.clear()
    table.complain(B, deals[D], digest("share"))
    table.complain(B, deals[D], digest("share"), table.share(D, B))
    assert (table.fetches, table.work) == ([], [])
    table.complain(D, deals[C], digest("share"))
    assert [fetch.source for fetch in table.fetches] == [D.public]
