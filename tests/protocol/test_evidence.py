"""Rule R5: nothing that an honest member signs is evidence against it, whatever liars say to it, in whatever order.

For votes, dealings and acks all other members lie: they choose every message that the victim gets, the order of its
timers and of its work, and when it is killed and started again. For complaints, sums and silence the victim is judged,
so there f members lie and the others are honest. Each search is shown to find a fault that is planted in honest code.
"""

import random
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from bench import Bench
from chains import Chain, digest
from cluster import Disk, identity
from ledgers import key
from signing import signed

from coterie.crypto.identity import Identity
from coterie.protocol.agreement import Agreement
from coterie.protocol.blocks import Body, Contributors, Membership, Void, block_hash
from coterie.protocol.committee import Committee
from coterie.protocol.envelope import Verified, verify
from coterie.protocol.events import PeerDown, PeerUp, WorkDone
from coterie.protocol.evidence import contradiction
from coterie.protocol.messages import (
    Accusation,
    Ack,
    Complaint,
    Deal,
    HandBox,
    Message,
    Precommit,
    Prevote,
    Proposal,
    SitOut,
    dealing_id,
)
from coterie.protocol.records import BlockDecided, ModelSaved, Record
from coterie.protocol.safety import VoteGuard
from coterie.protocol.schemes.base import Dealing, Terms
from coterie.protocol.schemes.shamir import DealShares
from coterie.protocol.sharing import Sharing
from coterie.protocol.work import Contribution, ReadBlocks, Train

VICTIM = 0


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
        self.records: list[Record] = [ModelSaved(self.chain.genesis.weights, weights)]
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
        self.hear(who, HandBox(1, self.place(dealer.public), named, holder, dealt.deal.boxes[holder]), box)

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
            self.bench.fire(*timer.key)

    def propose(self) -> None:
        view = self.rnd.randrange(4)
        dealers = tuple((place, self.id_of(member)) for place, member in enumerate(self.terms.members))
        leave_out = self.rnd.choice([None, 0, 1, 2, 3])
        bodies: list[Body] = [
            Contributors(1, "shamir", self.terms.base, tuple(d for d in dealers if d[0] != leave_out), (0, 1, 2, 3)),
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
            box = deal.message.boxes[self.place(who.public)]
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
