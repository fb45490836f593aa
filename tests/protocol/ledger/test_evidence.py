"""Rule R5: nothing that an honest member signs is evidence against it, whatever liars say to it, in whatever order.

For votes, dealings and acks all other members lie: they choose every message that the victim gets, the order of its
timers and of its work, and when it is killed and started again. For complaints, sums and silence the victim is judged,
so there f members lie and the others are honest. Each search is shown to find a fault that is planted in honest code.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from bench import Bench
from chains import Chain, digest
from cluster import Disk
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from ledgers import key
from members import identity
from signing import members, signed

from coterie.crypto.field import P, evaluate
from coterie.crypto.identity.identity import Identity
from coterie.crypto.identity.sealing import DealingKey, dealing_key
from coterie.protocol.agreement import validity
from coterie.protocol.agreement.choosing import Choosing
from coterie.protocol.agreement.height import Agreement
from coterie.protocol.events import PeerDown, PeerUp, Started, WorkDone
from coterie.protocol.jobs import Contribution, ReadBlocks, Train
from coterie.protocol.ledger.blocks import Body, Contributors, Evict, Membership, Void, block_hash
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.contribution import layout_of
from coterie.protocol.ledger.evidence import contradiction, wrong_sum
from coterie.protocol.ledger.state import LedgerError, apply
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import (
    Accusation,
    Ack,
    Blocks,
    Complaint,
    Deal,
    GetStatus,
    HandBox,
    Message,
    Precommit,
    Prevote,
    Proposal,
    SitOut,
    Status,
    SumShare,
    dealing_id,
)
from coterie.protocol.pending_changes import PendingChanges
from coterie.protocol.records import BlockDecided, Dealt, Memory, ModelSaved, Record, ShareHeld
from coterie.protocol.round.sharing import Sharing
from coterie.protocol.scheme_registry import SCHEMES
from coterie.protocol.schemes.base import Dealing, Terms
from coterie.protocol.schemes.shamir import DealShares, ShamirScheme
from coterie.protocol.timers import RestOver, ShareDeadline
from coterie.protocol.vote_guard import VoteGuard

VICTIM = 0
SEARCH = (Phase.generate,)


@lru_cache
def dealing_of(dealer: Identity, terms: Terms, which: int, seeded: tuple[int, ...] | None = None) -> Dealing:
    """One of the dealings of a member for a round: good in itself, and another than those of other numbers."""
    committee = Committee(terms.members)
    place = committee.index(dealer.public)
    assert place is not None
    seeded = tuple(one for one in range(committee.n) if one != place)[: committee.threshold - 1]
    return DealShares(terms, committee, dealer, bytes(8 * terms.layout.columns), bytes([which]) * 32, seeded).run()


class Siege:
    """An honest member of four, the others of which are one adversary that has all their keys."""

    def __init__(self, seed: int) -> None:
        self.rnd = random.Random(seed)
        self.chain = Chain(4)
        weights = np.zeros(self.chain.genesis.parameters, "<f4").tobytes()
        self.records: list[Record] = [ModelSaved(self.chain.genesis.weights_hash, weights)]
        self.records += [BlockDecided(h, one.block, one.certificate) for h, one in enumerate(self.chain.blocks, 1)]
        self.signed: list[Verified] = []
        self.others = [one for one in self.chain.committee if one.public != key(VICTIM)]
        self.blocks: list[bytes | None] = [None, digest("a block that nobody has")]
        self.deals: dict[bytes, Deal] = {}
        self.boot()

    def boot(self) -> None:
        """Start the victim from what is durable."""
        self.bench = Bench(self.chain, VICTIM, Disk(list(self.records)).load())
        self.bench.begin()
        self.collect()
        self.terms = self.bench.node.ctx.sharing.terms if self.bench.node.ctx.sharing is not None else self.terms

    def collect(self) -> None:
        """Keep what the victim made durable and what it signed and sent."""
        self.records += self.bench.records
        for send in self.bench.sent:
            one = verify(send.envelope, self.chain.state.federation)
            assert isinstance(one, Verified)
            if one.sender == key(VICTIM):
                self.signed.append(one)
                if isinstance(one.message, Deal):
                    self.deals[one.sender] = one.message
        self.bench.records.clear()
        self.bench.sent.clear()

    def act(self, steps: int) -> None:
        """Do something, again and again."""
        moves: list[tuple[int, Callable[[], None]]] = [
            (8, self.deal),
            (4, self.hand_box),
            (4, self.ack),
            (8, self.work),
            (5, self.time),
            (5, self.vote),
            (3, self.propose),
            (1, self.complain),
            (1, self.come_and_go),
            (2, self.restart),
        ]
        for _ in range(steps):
            self.rnd.choices([move for _, move in moves], [weight for weight, _ in moves])[0]()
            self.collect()

    # What the adversary may choose.

    def hear(self, who: Identity, message: Message, blob: bytes | None = None, view: int = 0) -> None:
        height = self.bench.node.state.height + 1
        self.bench.hear(who, message, blob, view, height)

    def one(self) -> Identity:
        return self.rnd.choice(self.others)

    def either(self, who: Identity) -> Dealing:
        return dealing_of(who, self.terms, self.rnd.randrange(2))

    def place(self, who: bytes) -> int:
        return self.terms.members.index(who)

    def id_of(self, member: bytes) -> bytes:
        """Return the id of a dealing of a member."""
        who = next((one for one in self.others if one.public == member), None)
        deal = self.either(who).deal if who is not None else self.deals.get(member)
        return dealing_id(self.terms.federation, member, deal) if deal is not None else digest("nothing")

    def deal(self) -> None:
        who = self.one()
        dealt = self.either(who)
        blob = dealt.blobs[self.place(key(VICTIM))]
        self.hear(who, dealt.deal, self.rnd.choice([blob, blob, blob, None, self.rnd.randbytes(len(blob))]))

    def hand_box(self) -> None:
        who, dealer = self.one(), self.one()
        dealt, holder = self.either(dealer), self.rnd.randrange(4)
        named = dealing_id(self.terms.federation, dealer.public, dealt.deal)
        box = dealt.blobs[holder] or None
        self.hear(who, HandBox(1, self.place(dealer.public), named, holder, dealt.deal.box_hashes[holder]), box)

    def ack(self) -> None:
        dealers = sorted(self.rnd.sample(range(4), self.rnd.randint(1, 4)))
        named = tuple((dealer, self.id_of(self.terms.members[dealer])) for dealer in dealers)
        kept = tuple((dealer, holder) for dealer in dealers for holder in range(4) if self.rnd.random() < 0.3)
        self.hear(self.one(), Ack(1, named, kept))
        if self.rnd.random() < 0.1:
            self.hear(self.one(), SitOut(1, "no"))

    def work(self) -> None:
        if not self.bench.work:
            return
        job = self.bench.work.pop(self.rnd.randrange(len(self.bench.work)))
        if isinstance(job, Train):
            update = np.full(self.chain.genesis.parameters, 0.5, np.float32)
            done: Any = Contribution(10, (4.0, 2.0), self.rnd.randbytes(32), update)
        elif isinstance(job, ReadBlocks) or self.rnd.random() < 0.05:
            self.bench.hand(WorkDone(job, error="no memory"))
            return
        else:
            try:
                done = job.run()
            except ValueError as error:
                self.bench.hand(WorkDone(job, error=str(error)))
                return
        self.bench.hand(WorkDone(job, done))

    def time(self) -> None:
        if self.bench.timers:
            timer = self.bench.timers[self.rnd.randrange(len(self.bench.timers))]
            self.bench.fire(timer.key)

    def propose(self) -> None:
        view = self.rnd.randrange(4)
        dealers = tuple((place, self.id_of(member)) for place, member in enumerate(self.terms.members))
        leave_out = self.rnd.choice([None, 0, 1, 2, 3])
        bodies: list[Body] = [
            Contributors(
                1, "shamir", self.terms.base_hash, tuple(d for d in dealers if d[0] != leave_out), (0, 1, 2, 3)
            ),
            Void(1, "shares", ()),
            Membership((self.chain.join(identity(self.rnd.randrange(10, 13))),)),
        ]
        node = self.bench.node
        if node.state.height + 1 != self.chain.state.height + 1:
            return
        proposer = node.state.proposer(view)
        data = self.chain.block(self.rnd.choice(bodies))
        self.blocks.append(block_hash(data))
        who = next((one for one in self.others if one.public == proposer), None)
        if who is not None:
            federation = self.terms.federation
            acks = tuple(signed(one, Ack(1, dealers), 1, 0, federation).raw for one in self.others)
            polka = tuple(signed(one, Prevote(block_hash(data), None), 2, 0, federation).raw for one in self.others)
            valid = self.rnd.choice([-1, -1, 0])
            self.hear(who, Proposal(data, valid, acks, polka if valid == 0 else (), None), view=view)

    def vote(self) -> None:
        block, view = self.rnd.choice(self.blocks), self.rnd.randrange(4)
        message = Prevote(block, None) if self.rnd.random() < 0.7 else Precommit(block)
        for one in self.rnd.sample(self.others, self.rnd.randint(1, 3)):
            self.hear(one, message, view=view)

    def complain(self) -> None:
        who, said = self.one(), [one for one in self.signed if isinstance(one.message, Deal)]
        if said:
            deal = said[-1]
            assert isinstance(deal.message, Deal)
            box = deal.message.box_hashes[self.place(who.public)]
            made_up = Complaint(1, self.place(key(VICTIM)), deal.raw, box, self.rnd.randbytes(32), bytes(64))
            self.hear(who, made_up, self.rnd.randbytes(80))
        pair = self.rnd.choices(self.signed, k=2) if self.signed else []
        if pair:
            self.hear(who, Accusation(pair[0].raw, pair[1].raw))

    def come_and_go(self) -> None:
        who = self.one().public
        self.bench.hand(self.rnd.choice([PeerDown(who), PeerUp(who)]))

    def restart(self) -> None:
        self.boot()


def evidence_against_itself(signed: Iterable[Verified]) -> set[str]:
    """What any two of these statements of one member are evidence of."""
    return {found[1] for pair in combinations(dict.fromkeys(signed), 2) if (found := contradiction(pair)) is not None}


@lru_cache
def besieged(seeds: range, fault: str = "") -> tuple[set[str], dict[str, int]]:
    """What searches find against their victims, and how much these signed. ``fault``: a name for what is planted."""
    found: set[str] = set()
    counts = {"votes": 0, "deals": 0, "acks": 0}
    for seed in seeds:
        siege = Siege(seed)
        siege.act(90)
        found |= evidence_against_itself(siege.signed)
        for kinds, name in ((Prevote | Precommit, "votes"), (Deal, "deals"), (Ack, "acks")):
            counts[name] += len({one.raw for one in siege.signed if isinstance(one.message, kinds)})
    return found, counts


@pytest.mark.parametrize("kind", ["double-vote", "double-deal", "double-ack"])
def test_an_honest_member_never_contradicts_itself(kind: str) -> None:
    found, counts = besieged(range(40))
    assert kind not in found
    assert min(counts.values()) >= 20, f"or the search shows nothing: {counts}"


def test_the_search_finds_a_member_that_forgets_its_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Agreement.open
    monkeypatch.setattr(Agreement, "open", lambda self, votes, values: ours(self, [], []))
    monkeypatch.setattr(VoteGuard, "permits", lambda self, *place: True)
    assert besieged(range(40), "votes")[0] == {"double-vote"}


def test_the_search_finds_a_member_that_deals_anew_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Sharing.restore
    monkeypatch.setattr(Sharing, "restore", lambda self, dealt, shares: ours(self, None, shares))
    assert "double-deal" in besieged(range(40), "deals")[0]


def test_the_search_finds_a_member_that_forgets_which_dealing_it_acked(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Sharing.restore
    monkeypatch.setattr(Sharing, "restore", lambda self, dealt, shares: ours(self, dealt, []))
    assert besieged(range(40), "acks")[0] == {"double-ack"}


@pytest.mark.soak
@pytest.mark.parametrize("start", range(1_000, 3_000, 200))
def test_an_honest_member_never_contradicts_itself_soak(start: int) -> None:
    assert besieged(range(start, start + 200))[0] == set()


# An older copy of a home: the others show it what it signed before, as far as they have it.


def life(
    memory: list[Record], which: int, entropy: int, shown: tuple[bytes | None, bytes | None] = (None, None)
) -> tuple[list[Record], list[Verified]]:
    """A member starts, is shown its dealing and its ack, deals, and is dealt to. What it writes down and signs."""
    chain, victim, others = federation()
    bench = Bench(chain, VICTIM, Disk(list(memory)).load() if memory else None)
    bench.hand(Started())
    for one in others:
        bench.hand(PeerUp(one.public))
    nonce = bench.said(GetStatus)[0].message.nonce
    for one in others:
        bench.hear(one, Status(nonce, chain.state.height, None, *shown))
    bench.fire(RestOver(1))
    terms, place = terms_of(chain), chain.state.committee.members.index(victim.public)
    for _ in range(3):
        for job in [one for one in bench.work if isinstance(one, Train)]:
            bench.work.remove(job)
            update = np.full(chain.genesis.parameters, 0.5, np.float32)
            bench.hand(WorkDone(job, Contribution(40, (4.0, 2.0), bytes([entropy]) * 32, update)))
        bench.compute()
        for one in others:
            dealt = dealing_of(one, terms, which)
            bench.hear(one, dealt.deal, dealt.blobs[place])
    bench.fire(ShareDeadline(1))
    bench.compute()
    return bench.records, [signed for signed in bench.said(Message) if signed.sender == victim.public]


def two_lives(is_shown: str, kept: str) -> set[str]:
    """What the words of a home and of an older copy of it, which lives after it, are evidence of."""
    records, said = life([], which=0, entropy=1)
    deal = next(one.raw for one in said if isinstance(one.message, Deal))
    ack = next(one.raw for one in said if isinstance(one.message, Ack))
    chain, weights = federation()[0], bytes(24)
    memory: list[Record] = [ModelSaved(chain.genesis.weights_hash, weights)]
    memory += [BlockDecided(h, one.block, one.certificate) for h, one in enumerate(chain.blocks, 1)]
    other, _ = life([], which=1, entropy=2)
    if kept == "another dealing":
        memory += [one for one in other if isinstance(one, Dealt)]
    elif kept == "other shares":
        memory += [one for one in other if isinstance(one, ShareHeld)]
    shown = (deal if is_shown != "its ack" else None, ack if is_shown != "its dealing" else None)
    _, again = life(memory, which=1, entropy=3, shown=shown)
    assert records
    return evidence_against_itself([*said, *again])


@pytest.mark.parametrize("kept", ["nothing", "another dealing", "other shares"])
@pytest.mark.parametrize("is_shown", ["both", "its ack"])
def test_an_older_copy_of_a_home_says_nothing_against_what_it_is_shown(
    is_shown: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert two_lives(is_shown, kept) == set()
    monkeypatch.setattr(Sharing, "hold_to", lambda self, said: None)
    assert two_lives(is_shown, kept) == {"double-deal", "double-ack"}


def test_an_older_copy_of_a_home_that_is_shown_its_dealing_alone_makes_no_other() -> None:
    assert "double-deal" not in two_lives("its dealing", "nothing")


def test_what_others_show_of_a_member_that_resumes_is_kept_once_a_member() -> None:
    """Or one of them could fill its memory before it takes part."""
    chain, _, others = federation()
    bench = Bench(chain, VICTIM)
    bench.hand(Started())
    nonce = bench.said(GetStatus)[0].message.nonce
    federation_id = chain.state.federation
    for number in range(50):
        ack = signed(bench.me, Ack(1, ((0, digest(f"{number}")),)), 2, 0, federation_id).raw
        forged = signed(others[0], Ack(1, ((0, digest("x")),)), 2, 0, federation_id).raw
        bench.hear(others[0], Status(nonce, chain.state.height, None, forged, ack))
    assert [len(one) for one in bench.node._resume._shown.values()] == [1]


# A bad dealing: f liars complain about an honest dealer, to a member that judges.


def federation() -> tuple[Chain, Identity, list[Identity]]:
    """Four members in a round; the victim, and the others."""
    chain = Chain(4, evict_after_rounds=3)
    return chain, identity(VICTIM), [one for one in chain.committee if one.public != key(VICTIM)]


def terms_of(chain: Chain, round_: int = 1, base: bytes | None = None) -> Terms:
    state = chain.state
    layout = layout_of(chain.genesis, "train")
    return Terms(state.federation, round_, base or state.weights_hash, state.committee.members, layout)


def complaints() -> list[tuple[Complaint, bytes]]:
    """Everything that a holder can say against an honest dealer, with boxes, secrets and proofs of all there is."""
    chain, victim, (liar, _, third) = federation()
    terms = terms_of(chain)
    other_terms = [terms_of(chain, round_=2), terms_of(chain, base=digest("another base"))]
    dealt = [dealing_of(victim, one, 0) for one in (terms, *other_terms)]
    own = dealing_of(liar, terms, 0)
    place, dealer = terms.members.index(liar.public), terms.members.index(victim.public)
    said = [signed(victim, one.deal, 2, 0, terms.federation).raw for one in dealt]
    said.append(signed(liar, own.deal, 2, 0, terms.federation).raw)
    openings: list[tuple[bytes, bytes]] = [
        (bytes(32), bytes(64)),
        (b"\1" + bytes(31), bytes(64)),
        (b"\7" * 32, b"\7" * 64),
    ]
    for deal, context in [*zip(dealt, (terms, *other_terms), strict=True)]:
        found = dealing_key(deal.deal.key, context.context(dealer))
        assert found is not None
        for who in (liar, third):
            opening = found.reveal(who)
            openings += [(opening.shared, opening.proof), (opening.shared, bytes(64)), (b"\3" * 32, opening.proof)]
    boxes = [one for one in (*dealt[0].blobs, *dealt[1].blobs, own.blobs[dealer]) if one]
    boxes += [bytes(len(dealt[0].blobs[place])), bytes(range(200)) * 2]
    return [
        (Complaint(1, dealer, deal, digest_of(box), secret, proof), box)
        for deal in said
        for box in boxes
        for secret, proof in openings
    ]


def judged_guilty(sample: int) -> int:
    """How many of the complaints make an honest member want to evict the honest dealer."""
    chain, victim, (liar, judge, _) = federation()
    number = next(number for number in range(4) if key(number) == judge.public)
    guilty = 0
    cases = complaints()
    for case in random.Random(1).sample(cases, min(sample, len(cases))):
        bench = Bench(chain, number)
        bench.begin()
        bench.hear(victim, dealing_of(victim, terms_of(chain), 0).deal)
        bench.hear(liar, *case)
        bench.compute()
        assert bench.node.ctx.sharing is not None
        wants = victim.public in bench.node.ctx.pool.vouched or bench.node.ctx.pool.accuses(victim.public)
        guilty += wants or bench.node.ctx.sharing.committee.index(victim.public) in bench.node.ctx.sharing.excluded
    return guilty


def test_no_complaint_about_an_honest_dealing_is_found_right() -> None:
    chain, victim, (liar, *_) = federation()
    terms, dealt = terms_of(chain), dealing_of(victim, terms_of(chain), 0)
    place, dealer = terms.members.index(liar.public), terms.members.index(victim.public)
    scheme = ShamirScheme(chain.state.committee)
    for complaint, box in complaints():  # whatever a member lets through before it judges
        judged = scheme.judge_complaint(terms, dealer, place, dealt.deal, complaint, box)
        if complaint.box_hash == dealt.deal.box_hashes[place]:
            assert judged.run().wrong is None
    assert judged_guilty(150) == 0


def test_the_search_finds_a_judge_that_believes_any_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DealingKey, "judge", lambda self, accuser, opening: True)
    assert judged_guilty(150) > 0


def test_an_eviction_for_a_dealing_that_was_not_shown_to_be_bad_here_gets_no_vote() -> None:
    chain, victim, (liar, _, _) = federation()
    complaint, _ = complaints()[0]
    proof = signed(liar, complaint, 2, 0, chain.state.federation).raw
    body = Membership((Evict(victim.public, "bad-dealing", (proof,)),))
    pool = PendingChanges()
    assert validity.wrong_membership(chain.state, body, pool, 0, frozenset()) is not None
    pool.vouched.add(victim.public)
    assert validity.wrong_membership(chain.state, body, pool, 0, frozenset()) is None


# A wrong sum: liars deal what they like, and f of them choose the fingerprints beside those of honest members.


class Sum:
    """The victim has dealt and holds the first dealing of each other member; then U names some of the second ones."""

    def __init__(self, which: tuple[int, int, int]) -> None:
        chain, victim, others = federation()
        self.chain, self.others = chain, others
        self.bench = bench = Bench(chain, VICTIM)
        bench.begin()
        bench.fire(RestOver(1))
        train = next(one for one in bench.work if isinstance(one, Train))
        bench.work.remove(train)
        update = np.full(chain.genesis.parameters, 0.5, np.float32)
        bench.hand(WorkDone(train, Contribution(40, (4.0, 2.0), bytes(32), update)))
        bench.compute()
        terms = terms_of(chain)
        place = terms.members.index(victim.public)
        for one in others:
            first = dealing_of(one, terms, 0)
            bench.hear(one, first.deal, first.blobs[place])
        bench.compute()
        sharing = bench.node.ctx.sharing
        assert sharing is not None
        assert len(sharing.acks.of(place)) == 4
        own = sharing.deals[place].message
        assert isinstance(own, Deal)
        deals = {one.public: dealing_of(one, terms, number) for one, number in zip(others, which, strict=True)}
        ids = {member: dealing_id(terms.federation, member, one.deal) for member, one in deals.items()}
        ids[victim.public] = dealing_id(terms.federation, victim.public, own)
        dealers = tuple((at, ids[member]) for at, member in enumerate(terms.members))
        chain.append(Contributors(1, "shamir", terms.base_hash, dealers, (0, 1, 2, 3)), others)
        vector = np.frombuffer(sharing.vector or b"", np.uint64).copy()
        bench.hear(others[0], Blocks((chain.blocks[-1],)))
        bench.compute()
        self.vector = vector.tobytes()  # the others' are zero

    def prevotes(self) -> list[Prevote]:
        """What the victim prevotes about the sum that everybody would open."""
        bench, summing = self.bench, self.bench.node.ctx.summing
        assert summing is not None
        vector_hash = digest_of(self.vector)
        body = summing.outcome_of(summing._job(vector_hash, self.vector).run())
        data = self.chain.block(body)
        view = next(view for view in range(4) if bench.proposer(view) != bench.me)
        for one in self.others if view else ():
            bench.hear(one, Prevote(digest("something else"), None), view=view)
        bench.hear(bench.proposer(view), Proposal(data, -1, (), (), vector_hash), self.vector, view=view)
        bench.compute()
        said = [one.message for one in bench.said(Prevote)]
        return [one for one in said if isinstance(one, Prevote) and one.block_hash == block_hash(data)]


@pytest.mark.parametrize("which", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1, 1), (1, 1, 1)])
def test_a_fingerprint_is_signed_only_for_shares_of_the_dealings_that_the_ledger_names(
    which: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dealer that showed the victim another dealing than the others would have it sign a point off the polynomial."""
    case = Sum(which)
    votes = case.prevotes()
    assert len(votes) == 1
    assert (votes[0].z is not None) is (which == (0, 0, 0))
    assert bool(case.bench.said(SumShare)) is (which == (0, 0, 0))

    monkeypatch.setattr(
        Sharing, "holds", lambda self, dealers: {place: self._held[place].values for place, _ in dealers}
    )
    assert Sum(which).prevotes()[0].z is not None, "the planted fault"


def interpolated(points: dict[int, int], x: int) -> int:
    """The value at x of the polynomial of least degree through these points."""
    total = 0
    for one, y in points.items():
        for other in points:
            if other != one:
                y = y * (x - other) * pow(one - other, -1, P) % P
        total += y
    return total % P


class Case:
    """Votes for a block, and which members are honest."""

    def __init__(self, votes: list[Verified], committee: Committee, honest: set[bytes], block: bytes) -> None:
        self.votes, self.committee, self.honest, self.block = votes, committee, honest, block

    def __repr__(self) -> str:
        said = [(self.committee.index(one.sender), one.view, one.message) for one in self.votes]
        return f"{self.committee.n} members, honest {sorted(map(self.committee.index, self.honest), key=str)}, {said}"

    def names_an_honest_member(self) -> bool:
        return bool(self.honest & set(wrong_sum(self.votes, 9, self.block, self.committee)))


@st.composite
def evidence_of_liars(draw: st.DrawFn) -> Case:
    """Votes that f liars put together to have an honest member evicted, with its own among them."""
    ids = members(draw(st.integers(3, 10)))
    committee = Committee(tuple(one.public for one in ids))
    block, elements = digest("block"), st.integers(0, P - 1)
    polynomials = [draw(st.lists(elements, min_size=committee.threshold, max_size=committee.threshold)) for _ in "YZ"]
    aimed = draw(st.booleans())  # all liars agree on one polynomial with as many honest members as that can be
    all_liars = committee.f if aimed else 0
    liars = draw(st.sets(st.integers(0, committee.n - 1), min_size=all_liars, max_size=committee.f))
    honest = [place for place in range(committee.n) if place not in liars]
    true = {place: tuple(evaluate(one, place + 1) for one in polynomials) for place in honest}
    victim = draw(st.sampled_from(honest))
    friends = [place for place in draw(st.permutations(honest)) if place != victim][: committee.threshold - 1]
    bent = {place + 1: true[place][0] for place in friends}
    bent[victim + 1] = (true[victim][0] + 1) % P  # a polynomial on which the victim is off and others are not
    shown = {victim, *(friends if aimed else draw(st.sets(st.sampled_from(honest))))}
    votes = [signed(ids[place], Prevote(block, true[place]), 9, draw(st.integers(0, 2))) for place in sorted(shown)]
    for liar in sorted(liars):
        for _ in range(1 if aimed else draw(st.integers(0, 2))):
            smart = interpolated(bent, liar + 1), evaluate(polynomials[1], liar + 1)
            z = smart if aimed else draw(st.sampled_from([smart]) | st.tuples(elements, elements))
            votes.append(signed(ids[liar], Prevote(block, z), 9, draw(st.integers(0, 2))))
    return Case(draw(st.permutations(votes)), committee, {ids[place].public for place in honest}, block)


@settings(max_examples=150, deadline=None)
@given(evidence_of_liars())
def test_no_votes_of_f_liars_put_a_true_fingerprint_off_the_polynomial(case: Case) -> None:
    assert not case.names_an_honest_member()


def test_the_search_finds_a_judgement_that_k_points_suffice_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """K-1 honest points and f liars are enough for another polynomial."""
    monkeypatch.setattr(Committee, "sum_quorum", property(lambda self: self.threshold))
    found = find(
        evidence_of_liars(),
        Case.names_an_honest_member,
        settings=settings(max_examples=600, database=None, phases=SEARCH),
    )
    assert found.names_an_honest_member()


def framed_in_plain() -> tuple[Chain, Evict]:
    """The votes for a plain sum in which a liar's z lies on the line of two honest ones, against the third of those."""
    chain = Chain(4, scheme="plain")
    chain.round()
    settled = chain.state.settled
    assert settled is not None
    honest = [(123456789, 987654321), (555, 777), (31337, 4242)]  # of their vectors: they lie on no line
    lines = [{1: honest[0][part], 2: honest[1][part]} for part in (0, 1)]
    lie = tuple(interpolated(line, 4) for line in lines)
    votes = [
        signed(one, Prevote(settled.block, z), settled.height, 0, chain.state.federation).raw
        for one, z in zip(chain.committee, [*honest, lie], strict=True)
    ]
    return chain, Evict(settled.committee.members[2], "wrong-sum", tuple(votes))


def test_a_z_of_a_plain_sum_convicts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints of whole vectors lie on no polynomial, so one liar could have an honest member look like one."""
    chain, frame = framed_in_plain()
    block = chain.block(Membership((frame,)))
    with pytest.raises(LedgerError, match="a plain sum proves nothing about anybody"):
        apply(chain.state, block)
    monkeypatch.setitem(SCHEMES, "plain", replace(SCHEMES["plain"], proves_liars=True))
    assert frame.member not in apply(chain.state, block).keys


# Silence: proved by the ledger alone, and never of a member that is heard.


def missed_rounds(rounds: int) -> Chain:
    """The victim has missed this many rounds, and three are needed."""
    chain, victim, _ = federation()
    return chain.with_(
        members=tuple(replace(one, missed=rounds if one.key == victim.public else 0) for one in chain.state.members)
    )


def test_nothing_that_a_member_signs_makes_it_silent() -> None:
    siege = Siege(7)
    siege.act(60)
    said = [one.raw for one in siege.signed]
    for rounds in (0, 2, 3):
        chain = missed_rounds(rounds)
        for evidence in [(), *((one,) for one in said), *pairwise(said)]:
            body = Membership((Evict(key(VICTIM), "silent", evidence),))
            if rounds == 3 and evidence == ():
                assert key(VICTIM) not in apply(chain.state, chain.block(body)).keys
                continue
            with pytest.raises(LedgerError):
                apply(chain.state, chain.block(body))


HEARD: dict[str, Callable[[Bench, Identity], object]] = {
    "is connected": lambda bench, victim: None,
    "has dealt": lambda bench, victim: bench.hear(victim, dealing_of(victim, terms_of(bench.chain), 0).deal),
    "has acked": lambda bench, victim: bench.hear(
        victim, Ack(1, ((bench.chain.state.keys.index(victim.public), HASH),))
    ),
}
HASH = digest("a dealing")


def voted_out(how: str | None) -> bool:
    """Whether an honest member votes to evict the victim as silent. ``how``: in what way it hears it."""
    chain = missed_rounds(3)
    victim = identity(VICTIM)
    number = next(n for n in (1, 2, 3) if key(n) != chain.state.proposer(0))
    memory = Memory(model=ModelSaved(chain.genesis.weights_hash, bytes(4 * chain.genesis.parameters)))
    bench = Bench(chain, number, memory)
    bench.begin()
    object.__setattr__(bench.node.ctx, "state", chain.state)
    if how is not None:
        HEARD[how](bench, victim)
    if how != "is connected":
        bench.hand(PeerDown(victim.public))
    view = next(view for view in range(4) if bench.proposer(view).public not in (bench.me.public, victim.public))
    for one in bench.others if view else ():
        bench.hear(one, Prevote(digest("something else"), None), view=view)
    data = chain.block(Membership((Evict(victim.public, "silent", ()),)))
    bench.hear(bench.proposer(view), Proposal(data, -1, (), (), None), view=view)
    return block_hash(data) in [
        one.message.block_hash for one in bench.said(Prevote) if isinstance(one.message, Prevote)
    ]


@pytest.mark.parametrize("how", HEARD)
def test_a_member_that_is_heard_in_any_way_is_not_voted_out_as_silent(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not voted_out(how)
    assert voted_out(None), "it is, where it is not heard"
    monkeypatch.setattr(Choosing, "_heard", lambda self: frozenset())
    assert voted_out(how)
