"""A liar shows this to one member and that to another, so that they never agree on who contributes.

Each attack stopped a federation for good, or filled it, on a build without the rule that it is named for.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from bench import Bench
from chains import Chain
from cluster import Site
from liars import Lied, at, id_of
from members import identity
from signing import dealing, signed

from coterie.protocol.agreement.validity import wrong_choice
from coterie.protocol.context import Context
from coterie.protocol.events import Received, Send, WorkDone
from coterie.protocol.jobs import Encode, Encoded
from coterie.protocol.ledger.blocks import Block, Contributors, Evict, Model
from coterie.protocol.ledger.evidence import contradiction
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Verified, seal, verify
from coterie.protocol.messages.kinds import (
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
    SumShare,
    UpheldComplaint,
)
from coterie.protocol.node import Node
from coterie.protocol.round.acks import Acks
from coterie.protocol.round.complaints import Complaints
from coterie.protocol.round.settling import Settling
from coterie.protocol.round.sharing import Sharing
from coterie.protocol.schemes.base import Dealing
from coterie.protocol.schemes.shamir import DealShares

VOTES = Proposal | Prevote | Precommit
STUCK = "nothing came of it"


def node_of(cluster: Lied, number: int) -> Node:
    """A member that runs."""
    node = cluster.sites[number].node
    assert node is not None
    return node


def sharing_of(cluster: Lied, number: int) -> Sharing:
    """Its round."""
    sharing = node_of(cluster, number).ctx.sharing
    assert sharing is not None
    return sharing


def shows(cluster: Lied, liar: int, to: int, message: Message, view: int = 0, blob: bytes | None = None) -> None:
    """The liar says this to one member."""
    identity, federation = cluster.sites[liar].identity, cluster.genesis.federation
    said = verify(seal(identity, federation, node_of(cluster, to).ctx.height, view, message), federation)
    assert isinstance(said, Verified)
    cluster.hand_in(to, Received(said, blob))


def changed(deal: Deal, **fields: Any) -> Deal:
    """The dealing with other fields."""
    return Deal(**{name: getattr(deal, name) for name in deal.__struct_fields__} | fields)


def proposer(cluster: Lied, view: int) -> int:
    """Whose turn it is."""
    return cluster.by_key[cluster.honest[0].node.state.proposer(view)].number  # type: ignore[union-attr]


def all_share(cluster: Lied) -> bool:
    """Whether all honest members are in one round that is open."""
    nodes = [site.node for site in cluster.honest]
    return (
        all(node is not None and node.state.phase == "sharing" and node.ctx.sharing is not None for node in nodes)
        and len({node.state.height for node in nodes if node is not None}) == 1
    )


def models(cluster: Lied) -> int:
    """How many rounds had a result."""
    return sum(isinstance(body, Model) for body in cluster.bodies())


# A second dealing behind a second vote.


def loses_for_a_while(cluster: Lied, kind: type[Message]) -> None:
    """What member 0 says of this kind is lost for two seconds."""
    since: list[int] = []

    def drop(sender: Site, receiver: Site, message: Verified) -> bool:
        if sender.number or not isinstance(message.message, kind):
            return False
        since.append(cluster.now_ms)
        return cluster.now_ms < since[0] + 2_000

    cluster.drop = drop


def masked_double_deal(is_lost: bool = False) -> Lied:
    """A liar that has the turn shows one member two votes, which are told to all, and then a second dealing."""
    cluster = Lied(4, [3], seed=3, rounds=30, min_peers=3)
    liar, begun = 3, [False, False]

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        return None if begun[0] and isinstance(message.message, VOTES | Accusation) else send

    def strike() -> None:
        shows(cluster, liar, 0, Prevote(bytes(32), None))
        shows(cluster, liar, 0, Prevote(b"\1" * 32, None))
        deal = sharing_of(cluster, 0).deals[at(cluster, liar)].message
        assert isinstance(deal, Deal)
        shows(cluster, liar, 0, changed(deal, root=bytes(32)))

    def after(site: Site) -> None:
        if begun[1] or not all_share(cluster) or proposer(cluster, 0) != liar:
            return
        nodes = [node_of(cluster, one.number) for one in cluster.honest]
        if any(node.view or node.ctx.just_changed for node in nodes):
            return
        begun[0] = True
        if all(len(node.ctx.sharing.acks.of(holder)) == 4 for node in nodes for holder in range(4)):  # type: ignore[union-attr]
            begun[1] = True
            cluster.at(1, strike)

    cluster.bends, cluster.after_step = [bend], after
    if is_lost:
        loses_for_a_while(cluster, Accusation)
    cluster.start()
    cluster.run(lambda: begun[1], 600_000)
    cluster.run(lambda: bool(cluster.evicted()), 120_000)
    return cluster


def accuses_once(self: Context, first: Verified, second: Verified) -> None:
    """As before: who is accused of one contradiction is not accused of another."""
    found = contradiction((first, second))
    if found is None or found[0] in {offender for offender, *_ in self.accused}:
        return
    self.accused.add((*found, -1))
    if self.pool.add_eviction(Evict(*found, (first.raw, second.raw))):
        self.out.send(None, Accusation(first.raw, second.raw))


def test_a_second_dealing_behind_a_second_vote_is_told_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = masked_double_deal()
    assert [number for number, _ in ours.evicted()] == [3]
    assert ours.accused() == {3}

    monkeypatch.setattr(Context, "accuse", accuses_once)
    with pytest.raises(AssertionError, match=STUCK):
        masked_double_deal()


def test_an_accusation_that_is_lost_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert masked_double_deal(is_lost=True).accused() == {3}

    monkeypatch.setattr(Context, "accuse_again", lambda self, to: None)
    with pytest.raises(AssertionError, match=STUCK):
        masked_double_deal(is_lost=True)


# A right complaint.


def split_complaint(is_lost: bool = False) -> Lied:
    """Liar 6 seals garbage for liar 5, which complains rightly to member 0 alone, and acks to all others."""
    dealer, holder = 6, 5
    cluster = Lied(7, [holder, dealer], seed=3, rounds=3, min_peers=5)
    dealer_at, holder_at = at(cluster, dealer), at(cluster, holder)
    ids: dict[int, bytes] = {}
    honestly, begun = cluster.compute, [False]

    def compute(site: Site, work: Any) -> WorkDone:
        done = honestly(site, work)
        if site.number != dealer or not isinstance(work, DealShares):
            return done
        dealt = done.result
        garbage = bytes(len(dealt.blobs[holder_at]))
        boxes, blobs = list(dealt.deal.box_hashes), list(dealt.blobs)
        boxes[holder_at], blobs[holder_at] = digest_of(garbage), garbage
        deal = changed(dealt.deal, box_hashes=tuple(boxes))
        ids[deal.round] = id_of(cluster, dealer, deal)
        return WorkDone(work, Dealing(deal, tuple(blobs), dealt.own))

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        said = message.message
        if sender.number == holder and isinstance(said, Complaint):
            return send if receiver.number == 0 else None
        if sender.number == holder and isinstance(said, Ack) and said.round in ids:
            named = tuple(sorted((dict(said.dealings) | {dealer_at: ids[said.round]}).items()))
            return cluster.again(sender, message, Ack(said.round, named, said.kept), send, None)
        return None if begun[0] and isinstance(said, VOTES) else send

    cluster.compute = compute  # type: ignore[method-assign]
    cluster.bends = [bend]
    if is_lost:
        loses_for_a_while(cluster, UpheldComplaint)
    cluster.start()
    cluster.run(lambda: all(site.node.state.phase != "waiting" for site in cluster.honest))  # type: ignore[union-attr]
    begun[0] = True
    cluster.run(lambda: models(cluster) > 0, 120_000)
    return cluster


def test_a_right_complaint_that_one_member_was_shown_reaches_all(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = split_complaint()
    assert ours.accused() == {6}
    assert all(site.facts("fault") for site in ours.honest)

    monkeypatch.setattr(Complaints, "_pass_on", lambda self, dealer, complaint, box: None)
    with pytest.raises(AssertionError, match=STUCK):
        split_complaint()


def test_a_right_complaint_that_is_lost_is_passed_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert split_complaint(is_lost=True).accused() == {6}

    monkeypatch.setattr(Complaints, "resend", lambda self, to: None)
    with pytest.raises(AssertionError, match=STUCK):
        split_complaint(is_lost=True)


# Acks that name this here and that there.


def see_saw(limit_ms: int) -> Lied:
    """The liar deals nothing. Its acks name all dealings for the next proposer, and for another member a made-up one
    in the place of that member's own, and one kept box more. No two of them contradict each other.
    """
    liar, n = 3, 4
    cluster = Lied(n, [liar], seed=118, rounds=3, min_peers=n, share_deadline_ms=5_000)
    place, honest = at(cluster, liar), [site.number for site in cluster.honest]
    begun, refuser, kept, aimed, busy = [False], [-1], [0], [-1], [False]

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        said = message.message
        return None if isinstance(said, Deal | Ack | SitOut) or (begun[0] and isinstance(said, VOTES)) else send

    cluster.bends = [bend]
    cluster.start()
    cluster.run(lambda: all_share(cluster), 60_000)
    begun[0], round_ = True, sharing_of(cluster, 0).round

    def say(to: int, pairs: int, good: bool) -> None:
        named = {p: sharing_of(cluster, 0).id_of(deal) for p, deal in sharing_of(cluster, 0).deals.items()}
        if not good:
            del named[at(cluster, to)]
            named[place] = b"\7" * 32
        keeps = [(dealer, holder) for dealer in sorted(named) for holder in range(n)][:pairs]
        shows(cluster, liar, to, Ack(round_, tuple(sorted(named.items())), tuple(keeps)))

    def aim(view: int) -> None:
        busy[0], first, then = True, proposer(cluster, view), proposer(cluster, view + 1)
        if refuser[0] in (-1, first):
            if refuser[0] == first:
                say(first, kept[0], True)
            kept[0] += 1
            refuser[0] = next(one for one in honest if one not in (first, then))
            say(refuser[0], kept[0], False)
        if first in honest:
            say(first, max(kept[0] - 1, 0), True)
        busy[0] = False

    def after(site: Site) -> None:
        if busy[0] or not all_share(cluster) or any(sharing_of(cluster, one).round != round_ for one in honest):
            return
        nodes = [node_of(cluster, one) for one in honest]
        if len(sharing_of(cluster, 0).deals) < n - 1 or any(node.heights.agreement is None for node in nodes):
            return
        if aimed[0] < 0:
            aimed[0] = 0
            aim(0)
        view = max(node.view for node in nodes)
        voted = all((node.view, int(node.heights.agreement.consensus.stage)) >= (view, 0) for node in nodes)  # type: ignore[union-attr]
        if aimed[0] == view and (proposer(cluster, view) == liar or voted):
            aimed[0] = view + 1
            aim(view + 1)

    cluster.after_step = after
    cluster.run(lambda: bool(cluster.contributing()), limit_ms)
    return cluster


def counts_the_largest_alone(self: Acks, holder: int, ack: Verified, named: Mapping[int, bytes], _: Any) -> None:
    """As before: what a smaller ack names is not added."""
    latest = self.latest.get(holder)
    if latest is None or self._size(ack) >= self._size(latest):
        self.latest[holder], self._named[holder] = ack, named
        self._support = {}
        for one in self._named.values():
            for dealer, dealing in one.items():
                counts = self._support.setdefault(dealer, {})
                counts[dealing] = counts.get(dealing, 0) + 1


def believes_without_proof(self: Acks, keeper: int, ack: Verified, named: Mapping[int, bytes]) -> None:
    """As before: what an ack says is kept is believed, and the ack is not shown to others if a larger one is there."""
    for dealer, other in ack.message.kept:  # type: ignore[union-attr]
        if keeper not in (dealer, other):
            self._keepers.setdefault((dealer, named[dealer], other), set()).add(keeper)


def test_acks_that_name_this_here_and_that_there_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = see_saw(60_000)
    assert ours.honest[0].node.view == 0  # type: ignore[union-attr]
    assert ours.contributing()[0][1] == {0, 1, 2}

    monkeypatch.setattr(Acks, "_add_up", counts_the_largest_alone)
    monkeypatch.setattr(Acks, "_believe_kept", believes_without_proof)
    weak = see_saw(600_000)
    assert max(node_of(weak, site.number).view for site in weak.honest) > 10, "as long as the liar has boxes to name"


# A dealing that a member cannot have.


def taken_in_late() -> Lied:
    """The liar deals to members 0 and 1 alone. In its turn it proposes all four, and withholds its own sum."""
    liar, n = 3, 4
    cluster = Lied(n, [liar], seed=3, rounds=3, min_peers=n, share_deadline_ms=5_000)
    place, proposed, begun = at(cluster, liar), [-1], [False]

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        said = message.message
        if isinstance(said, Deal) and receiver.number == 2:
            return None
        if isinstance(said, Ack | SitOut | HandBox | SumShare):
            return None
        return None if begun[0] and isinstance(said, VOTES) else send

    def propose(view: int) -> None:
        node, sharing = node_of(cluster, 0), sharing_of(cluster, 0)
        dealers = tuple(sorted((p, sharing.id_of(deal)) for p, deal in sharing.deals.items()))
        ack = Ack(sharing.round, dealers, ())
        raw = seal(cluster.sites[liar].identity, cluster.genesis.federation, node.ctx.height, view, ack)
        acks = *(sharing.acks.latest[at(cluster, one)].raw for one in (0, 1)), raw
        holders = tuple(sorted((at(cluster, 0), at(cluster, 1), place)))
        body = Contributors(sharing.round, "shamir", node.state.weights_hash, dealers, holders)
        block = Block(node.ctx.height, node.state.head, body).encode()
        for one in (0, 1, 2):
            shows(cluster, liar, one, Proposal(block, -1, acks, (), None), view)

    def after(site: Site) -> None:
        if not all_share(cluster):
            return
        height, view = node_of(cluster, 0).state.height, node_of(cluster, 0).view
        if height <= proposed[0] or proposer(cluster, view) != liar:
            return
        acks = sharing_of(cluster, 0).acks
        if all(len(acks.of(at(cluster, one))) == n for one in (0, 1)) and len(acks.of(at(cluster, 2))) == n - 1:
            proposed[0] = height
            cluster.at(1, lambda: propose(view))

    cluster.bends, cluster.after_step = [bend], after
    cluster.start()
    cluster.run(lambda: all_share(cluster), 60_000)
    begun[0] = True
    cluster.run(lambda: proposed[0] >= 0, 600_000)
    cluster.run(cluster.is_over, 600_000)
    return cluster


def judged_late(state: Any, sharing: Sharing, body: Contributors, alive: Any, changes: int, strict: bool) -> str | None:
    """As in a late view: a liar can have these come by acks that it turns, or by silence in its turns."""
    return wrong_choice(state, sharing, body, alive, changes, strict=False)


def takes_in_anything(
    state: Any, sharing: Sharing, body: Contributors, alive: Any, changes: int, strict: bool
) -> str | None:
    """As before in a late view: it is not asked whether all have what is taken in."""
    return "it leaves out somebody" if sharing.settling.due_by_proof() - dict(body.dealers).keys() else None


def test_a_dealing_that_a_member_cannot_have_is_taken_in_at_no_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coterie.protocol.agreement.choosing.wrong_choice", judged_late)
    ours = taken_in_late()
    assert all(3 not in counted for _, counted in ours.contributing())
    assert ours.voids() == []

    monkeypatch.setattr("coterie.protocol.agreement.choosing.wrong_choice", takes_in_anything)
    with pytest.raises(AssertionError, match=STUCK):
        taken_in_late()


# A repetition.


def thin_repeat() -> Lied:
    """A sum fails by the liar's numbers. It deals the repetition to members 0 and 1 alone, and hands nothing over."""
    liar, n = 3, 4
    cluster = Lied(n, [liar], seed=3, rounds=3, min_peers=n, share_deadline_ms=5_000)
    first: list[int] = []
    honestly = cluster.compute

    def compute(site: Site, work: Any) -> WorkDone:
        done = honestly(site, work)
        if site.number != liar or not isinstance(work, Encode) or first not in ([], [work.round]):
            return done
        first[:] = [work.round]
        vector = np.frombuffer(done.result.vector, dtype="<u8").copy()
        vector[0] = 2**63 + 5
        return WorkDone(work, Encoded(vector.tobytes(), done.result.seed, 0))

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        said = message.message
        if not first:
            return send
        if isinstance(said, VOTES):
            return send if node_of(cluster, 0).state.round <= first[0] else None
        if getattr(said, "round", 0) <= first[0]:
            return send
        return (
            None if isinstance(said, HandBox | SumShare) or (isinstance(said, Deal) and receiver.number == 2) else send
        )

    cluster.compute = compute  # type: ignore[method-assign]
    cluster.bends = [bend]
    cluster.start()
    with pytest.raises(AssertionError, match=STUCK):
        cluster.run(cluster.is_over, 120_000)
    return cluster


def chooses_whatever_is_acked(self: Settling, required: Any, alive: Any, changes: int) -> Any:
    """As before: a repetition is not asked for settled dealings."""
    if required is None:
        return CHOICE(self, required, alive, changes)
    wanted = {self.committee.index(member) for member in required}
    dealings = self.acks.dealings(one for one in wanted if one is not None)
    return self.acks.choose(dealings) if dealings.keys() == wanted else None


CHOICE: Callable[..., Any] = Settling.choice


def test_a_repetition_that_is_dealt_to_some_only_waits_and_names_its_dealer(monkeypatch: pytest.MonkeyPatch) -> None:
    def decided(cluster: Lied) -> int:
        return sum(isinstance(body, Contributors) for body in cluster.bodies())

    ours = thin_repeat()
    assert decided(ours) == 1
    liar = ours.sites[3].identity.public
    assert all(ours.sites[one].facts("stuck")[-1]["members"] == (liar,) for one in (0, 1, 2))

    monkeypatch.setattr(Settling, "choice", chooses_whatever_is_acked)
    monkeypatch.setattr("coterie.protocol.agreement.choosing.wrong_dealings", lambda *_: None)
    assert decided(thin_repeat()) > 1, "a sum is open that never opens, or fails again and again"


# What does not end.


def accusations(rounds: int) -> int:
    """Accusations that are sent about one member that deals twice each round and is not evicted."""
    cluster = Lied(4, [3], seed=3, rounds=rounds, evict_on_proof=False)
    sent = [0]

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        if isinstance(message.message, Deal) and receiver.number == 0:
            return cluster.again(sender, message, changed(message.message, root=bytes(32)), send, send.blob)
        return None if isinstance(message.message, Ack) else send

    def count(site: Site, send: Send) -> None:
        said = verify(send.envelope, cluster.genesis.federation)
        sent[0] += isinstance(said, Verified) and isinstance(said.message, Accusation)
        assert sent[0] < 2_000, "no end of it"

    cluster.bends, cluster.before_send = [bend], count
    cluster.go()
    return sent[0]


def accuses_again(self: Context, first: Verified, second: Verified) -> None:
    """As before: an accusation is news where no eviction waits."""
    found = contradiction((first, second))
    if found is not None and self.pool.add_eviction(Evict(*found, (first.raw, second.raw))):
        self.out.send(None, Accusation(first.raw, second.raw))


def test_where_nobody_is_evicted_an_accusation_is_told_once_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    for rounds in (2, 8):
        assert accusations(rounds) <= 4 * (1 + rounds), "each member tells what it does in a round once"

    monkeypatch.setattr(Context, "accuse", accuses_again)
    few = accusations(2)
    assert few > 4 * 3
    assert accusations(8) > few, "it goes on as long as the federation"


def test_what_an_evicted_member_is_accused_of_counts_in_this_round_alone() -> None:
    """It could accuse itself of ever new rounds; each accusation would be kept, and passed on to all."""
    chain = Chain(4)
    bench = Bench(chain)
    bench.begin()
    context, evicted = bench.node.ctx, identity(30)
    for round_ in [*range(1, 101), *range(1, 101)]:
        deals = [dealing(round_, chain.state.weights_hash, root) for root in (bytes(32), b"\1" * 32)]
        context.accuse(*(signed(evicted, one, 1, 0, chain.state.federation) for one in deals))
    assert [round_ for round_, _ in context.told] == [1]
    assert len(context.accused) == 1


# Acks without end.


def ack_flood(count: int) -> tuple[Lied, int]:
    """A liar's acks name ever new ids, of these dealers and of those in turn. Returns what the acks keep of it."""
    liar, n = 6, 7
    cluster = Lied(n, [liar], seed=3, rounds=3, share_deadline_ms=60_000)
    cluster.bends = [lambda sender, receiver, message, send: None if isinstance(message.message, Ack) else send]
    cluster.start()
    cluster.run(lambda: all_share(cluster) and len(sharing_of(cluster, 0).acks.latest) == n - 1, 60_000)
    sharing, place = sharing_of(cluster, 0), at(cluster, liar)
    others = [one for one in range(n) if one != place]
    for number in range(count):
        dealers = others[:3] if number % 2 else others[3:]
        named = tuple((one, hashlib.sha256(b"%d %d" % (number, one)).digest()) for one in dealers)
        kept = tuple((one, holder) for one in dealers for holder in others if holder != one)
        shows(cluster, liar, 0, Ack(sharing.round, named, kept))
    acks = sharing.acks
    return cluster, sum(map(len, acks._keepers.values())) + sum(map(len, acks._support.values()))


def takes_whatever_the_last_ack_allows(self: Acks, holder: int, ack: Verified) -> Verified | None:
    """As before: an ack is compared with the last one alone."""
    said, earlier = ack.message, self.latest.get(holder)
    assert isinstance(said, Ack)
    named = dict(said.dealings)
    if earlier is not None and any(named.get(one, id_) != id_ for one, id_ in self._named[holder].items()):
        self.strike(holder)
        return earlier
    for dealer, other in said.kept:
        self._keepers.setdefault((dealer, named[dealer], other), set()).add(holder)
    for dealer, made in named.items():
        self._support.setdefault(dealer, {}).setdefault(made, 1)
    self.latest[holder], self._named[holder] = ack, named
    self.changes += 1
    return None


def test_acks_of_ever_new_dealings_are_a_contradiction_and_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    few, bound = ack_flood(4)
    many, kept = ack_flood(100)
    assert kept == bound
    for cluster in (few, many):
        assert cluster.accused() == {6}
        assert sharing_of(cluster, 0).acks._doubled == {at(cluster, 6)}

    monkeypatch.setattr(Acks, "take", takes_whatever_the_last_ack_allows)
    weak, kept = ack_flood(100)
    assert kept > 10 * bound
    assert weak.accused() == set()
