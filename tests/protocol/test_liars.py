"""f members lie together about dealings, acks and boxes: nobody honest is left out, accused or evicted, nor waits long.

Findings A1 and A4 of the audit. Each attack is run on a build without the rule that defeats it, too.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import watch
from cluster import Site
from liars import Bend, Lied, at, deals_to_all_but, id_of, other_deal, proposes_no_contributors, refuses
from members import START_MS

from coterie.crypto.field import P, evaluate, interpolate
from coterie.crypto.sharing import dealing, merkle
from coterie.protocol.context import Context
from coterie.protocol.events import Send
from coterie.protocol.limits import PROTOCOL_VERSION
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import Ack, Complaint, Deal, HandBox
from coterie.protocol.round.acks import Acks
from coterie.protocol.round.overdue_acks import OverdueAcks
from coterie.protocol.round.sharing import Sharing
from coterie.topology.invariants import Violation

SIZES = [4, 7, pytest.param(10, marks=pytest.mark.soak)]
LARGE = [pytest.param(n, marks=pytest.mark.soak) for n in (7, 10)]
SEEDS = [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)]


def liars_of(n: int) -> range:
    """The last f of n."""
    return range(n - (n - 1) // 3, n)


def everybody_honest_counts(cluster: Lied) -> bool:
    """Whether all honest members contribute to each round that has a result."""
    honest = {site.number for site in cluster.honest}
    return all(honest <= counted for _, counted in cluster.contributing())


# Two dealings of one dealer.


def changed(**fields: Callable[[Deal], Any]) -> Callable[[Deal], Deal]:
    """The dealing with other fields."""

    def change(deal: Deal) -> Deal:
        values = {name: getattr(deal, name) for name in deal.__struct_fields__}
        return Deal(**values | {name: make(deal) for name, make in fields.items()})

    return change


OTHER = {
    "fingerprints": changed(published=lambda deal: bytes([deal.published[0] ^ 1]) + deal.published[1:]),
    "boxes": changed(box_hashes=lambda deal: deal.box_hashes[::-1]),
    "a box of another": changed(
        box_hashes=lambda deal: (deal.box_hashes[0], deal.box_hashes[2], deal.box_hashes[1], *deal.box_hashes[3:])
    ),
    "root": changed(root=lambda deal: bytes(32)),
    "base": changed(base_hash=lambda deal: bytes(32)),
    "seeded": changed(seeded=lambda deal: deal.seeded[1:]),
    "key": changed(key=lambda deal: bytes(96)),
}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("field", OTHER)
def test_two_dealings_of_one_dealer_evict_it_and_accuse_nobody_else(n: int, field: str) -> None:
    liar = n - 1
    cluster = Lied(n, [liar], min_peers=n - 1)
    cluster.bends = [other_deal(cluster, OTHER[field], {1, 2} if n > 4 else {1})]
    cluster.start()
    cluster.run(lambda: cluster.is_over() and len(cluster.honest[0].node.state.keys) == n - 1, 600_000)  # type: ignore[union-attr]
    reasons = {"double-deal"} if field not in ("fingerprints", "root") else {"double-deal", "bad-dealing"}
    assert [number for number, _ in cluster.evicted()] == [liar]
    assert cluster.evicted()[0][1] in reasons, "a share that fails under the other dealing proves that one bad, too"
    assert cluster.accused() <= {liar}


def other_share(
    cluster: Lied, liar: int, victim: int, context: bytes, terms: dealing.Terms, dealt: dealing.Dealing
) -> tuple[dealing.Dealing, bytes]:
    """The dealing with another share for the victim, and fingerprints on whose polynomials that share lies.

    The fingerprints in the dealing are those of all the others.
    """
    bad, good = at(cluster, victim), [one for one in range(terms.holders) if one != at(cluster, victim)]
    parts = [(share[:1], bytes(share[terms.header_bytes :])) for share in dealt.shares]
    nonces = [share[1:33] for share in dealt.shares]
    kind, payload = parts[bad]
    parts[bad] = kind, bytes([payload[0] ^ 1]) + payload[1:]
    leaves = [merkle.leaf(context, nonce, *part) for nonce, part in zip(nonces, parts, strict=True)]
    tree = merkle.Tree(leaves)
    shares = tuple(one + nonces[j] + tree.path(j) + payload for j, (one, payload) in enumerate(parts))
    challenge = dealing._challenge(context, terms, tree.root)
    rows = [dealing._values(terms, one, memoryview(payload)) for one, payload in parts]
    own = [dealing._row_fingerprints(terms, challenge, row[None])[0] for row in rows]
    places = good[: terms.threshold]
    ys = [interpolate([j + 1 for j in places], [own[j][k] for j in places]) for k in (0, 1)]
    others = [[(y[0] + own[bad][k] - evaluate(y, bad + 1)) % P, *y[1:]] for k, y in enumerate(ys)]
    commitment = dealing.Commitment(tree.root, np.array(ys, dtype="<u8").tobytes())
    return dealing.Dealing(commitment, shares), np.array(others, dtype="<u8").tobytes()


def framed_by_other_fingerprints(n: int, seed: int) -> Lied:
    """A liar deals a false share to one holder, and shows it alone fingerprints on whose polynomials the share lies.

    The root is the same. So the holder accepts its share, and acks; what it adds up is off the others' polynomial.
    """
    liar, victim = n - 1, 0
    cluster = Lied(n, [liar], seed, min_peers=n, setup_sums=0)
    shown: dict[bytes, bytes] = {}
    honest = dealing.deal

    def deal(context: bytes, terms: dealing.Terms, secrets: Any, entropy: bytes) -> dealing.Dealing:
        dealt = honest(context, terms, secrets, entropy)
        if terms.dealer != at(cluster, liar):
            return dealt
        bent, other = other_share(cluster, liar, victim, context, terms, dealt)
        shown[bent.commitment.root] = other
        return bent

    cluster.bends = [other_deal(cluster, changed(published=lambda one: shown[one.root]), {victim})]
    with pytest.MonkeyPatch.context() as bent:
        bent.setattr(dealing, "deal", deal)
        cluster.start()
        cluster.run(lambda: cluster.is_over() or bool(cluster.evicted()), 600_000)
    return cluster


@pytest.mark.parametrize("n", SIZES)
def test_other_fingerprints_frame_a_holder_only_where_a_dealing_is_named_by_less(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = framed_by_other_fingerprints(n, 1)
    assert ours.evicted() == [(n - 1, "double-deal")]
    assert ours.accused() == {n - 1}

    def by_its_root(federation: bytes, dealer: bytes, deal: Deal) -> bytes:
        return deal.root

    monkeypatch.setattr("coterie.protocol.round.sharing.dealing_id", by_its_root)
    monkeypatch.setattr(Context, "accuse", lambda self, first, second: None)
    with pytest.raises(Violation, match="evidence: . names 0, which is honest: round 1: a wrong sum share"):
        framed_by_other_fingerprints(n, 1)
    monkeypatch.setattr(watch, "BROKEN", frozenset({"evidence"}))
    weak = framed_by_other_fingerprints(n, 1)
    assert weak.evicted() == [(0, "wrong-sum")], "an honest member, by its own prevote"


# Who counts.


def refusal(cluster: Lied) -> list[Bend]:
    return [refuses(cluster, {0}, set(cluster.liars))]


def refusal_that_the_dealer_does_not_see(cluster: Lied) -> list[Bend]:
    return [refuses(cluster, {0}, set(cluster.liars), shown={0})]


def refusal_that_a_keeper_does_not_see(cluster: Lied) -> list[Bend]:
    """A keeper has the ack, so it does not keep the box; the dealer and others have not."""
    return [refuses(cluster, {0}, set(cluster.liars), shown={1})]


def refusal_and_leaving_out(cluster: Lied) -> list[Bend]:
    return [refuses(cluster, {0}, set(cluster.liars)), deals_to_all_but(cluster, {1}, hands_over=False)]


def leaving_out_and_hidden_refusal(cluster: Lied) -> list[Bend]:
    return [refuses(cluster, {0}, set(cluster.liars), shown={0}), deals_to_all_but(cluster, {1, 2}, hands_over=True)]


def silence_about_acks(cluster: Lied) -> list[Bend]:
    """Acks go to the victim alone."""

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        return None if isinstance(message.message, Ack) and receiver.number != 0 else send

    return [bend]


def false_ids(cluster: Lied) -> list[Bend]:
    """Liars ack dealings of the victim that there are none of."""
    place = at(cluster, 0)

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        ack = message.message
        if not isinstance(ack, Ack):
            return send
        named = tuple((dealer, bytes(32) if dealer == place else id_) for dealer, id_ in ack.dealings)
        return cluster.again(sender, message, Ack(ack.round, named, ack.kept), send, None)

    return [bend]


def false_custody(cluster: Lied) -> list[Bend]:
    """Liars refuse the victim, say that they keep what they do not, and serve other boxes."""

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        one = message.message
        if isinstance(one, HandBox) and one.dealer != at(cluster, sender.number):
            blob = bytes(len(send.blob or b""))
            return replace(send, blob=blob)
        if not isinstance(one, Ack):
            return send
        n, me = len(cluster.sites), at(cluster, sender.number)
        named = [dealer for dealer, _ in one.dealings]
        kept = tuple((d, h) for d in named for h in range(n) if me not in (d, h) and d != h)
        return cluster.again(sender, message, Ack(one.round, one.dealings, kept), send, None)

    return [*refusal(cluster), bend]


def false_complaints(cluster: Lied) -> list[Bend]:
    """Liars complain about each dealing, with a box that is right and a secret that is not."""
    complained: set[tuple[int, int, int]] = set()

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        return send

    ours = cluster.simulation.hand_in

    def hand_in(site: Any, event: Any) -> None:
        ours(site, event)
        one = getattr(getattr(event, "message", None), "message", None)
        if site.number in cluster.liars and isinstance(one, Deal) and getattr(event, "blob", None) and site.node:
            place = site.node.state.committee.index(event.message.sender)
            key = (site.number, place, one.round)
            if place is not None and key not in complained:
                complained.add(key)
                box = one.box_hashes[at(cluster, site.number)]
                false = Complaint(one.round, place, event.message.raw, box, bytes(32), bytes(64))
                raw = cluster.again(site, event.message, false, Send(None, b""), event.blob)
                cluster.say(site, raw)

    cluster.simulation.hand_in = hand_in  # type: ignore[method-assign]
    return [bend]


LIES = [
    refusal,
    refusal_that_the_dealer_does_not_see,
    refusal_that_a_keeper_does_not_see,
    refusal_and_leaving_out,
    leaving_out_and_hidden_refusal,
    silence_about_acks,
    false_ids,
    false_custody,
    false_complaints,
]


def lied(n: int, lie: Callable[[Lied], list[Bend]], seed: int = 1, rounds: int = 4, **changes: Any) -> Lied:
    # The liars of false_ids are evicted, and the others go on. So few wait for nobody: all are members from the start.
    fewest = {"min_peers": n - (n - 1) // 3, "is_founded": True} if lie is false_ids else {}
    cluster = Lied(n, liars_of(n), seed, rounds=rounds, share_deadline_ms=20_000, setup_sums=0, **fewest, **changes)
    cluster.bends = lie(cluster)
    cluster.go()
    return cluster


def seconds(cluster: Lied) -> float:
    return (cluster.now_ms - START_MS) / 1000


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("lie", LIES)
def test_whatever_f_liars_refuse_and_keep_back_every_honest_member_counts(
    lie: Callable[[Lied], list[Bend]], n: int, seed: int
) -> None:
    cluster = lied(n, lie, seed)
    assert everybody_honest_counts(cluster), cluster.contributing()
    assert cluster.voids() == []
    contradict = sorted(cluster.liars) if lie is false_ids else []  # their own proposals show what else they signed
    assert sorted(cluster.evicted()) == [(number, "double-ack") for number in contradict]
    assert cluster.accused() <= set(cluster.liars)
    if lie is false_ids:
        assert cluster.contributing()[0][1] == set(range(n)), "all liars lie in one round, and are not found out in it"
        assert deadlines(cluster) == 1


def one_dealer_after_the_other(cluster: Lied) -> list[Bend]:
    """One liar at a time refuses another dealer each round."""
    refusals = {number: refuses(cluster, {number}, set(cluster.liars)) for number in range(len(cluster.honest))}

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        round_, f = getattr(message.message, "round", 0), len(cluster.liars)
        is_its_turn = sender.number == cluster.liars[round_ // (f + 1) % f]
        return refusals[round_ % len(refusals)](sender, receiver, message, send) if is_its_turn else send

    return [bend]


def one_holder_after_the_other(cluster: Lied) -> list[Bend]:
    """One liar at a time leaves another holder out each round, and hands its box over at the deadline."""
    leavings = {number: deals_to_all_but(cluster, {number}, hands_over=True) for number in range(len(cluster.honest))}

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        round_, f = getattr(message.message, "round", 0), len(cluster.liars)
        is_its_turn = sender.number == cluster.liars[round_ // (f + 1) % f]
        return leavings[round_ % len(leavings)](sender, receiver, message, send) if is_its_turn else send

    return [bend]


@pytest.mark.parametrize("n", [4, *LARGE])
@pytest.mark.parametrize("lie", [*LIES, one_dealer_after_the_other, one_holder_after_the_other])
def test_a_liar_costs_at_most_f_plus_1_share_deadlines_as_a_holder_and_as_a_dealer(
    lie: Callable[[Lied], list[Bend]], n: int
) -> None:
    """The liars together: f times as many.

    Each deadline puts a pair of it and somebody else into dispute, or shows whose fault one is that was before.

    The box of a pair in dispute is handed over at once the next time. And who is in dispute with more than f is at
    fault: one of these others is honest.
    """
    cluster = lied(n, lie, rounds=12)
    f = len(cluster.liars)
    assert deadlines(cluster) <= (2 if lie is leaving_out_and_hidden_refusal else 1) * f * (f + 1)


def deadlines(cluster: Lied) -> int:
    """How many rounds lasted until the share deadline."""
    starts = itertools.pairwise(ms for _, ms in begun(cluster))
    return sum(later - earlier > cluster.genesis.share_deadline_ms for earlier, later in starts)


def begun(cluster: Lied) -> list[tuple[int, int]]:
    """When each round's contributors were proposed first."""
    first: dict[int, int] = {}
    for ms, _, _, message in cluster.log:
        if isinstance(message.message, Deal):
            first.setdefault(message.message.round, ms)
    return [*sorted(first.items()), (10**9, cluster.now_ms)]


def test_a_refused_dealer_is_left_out_where_its_boxes_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def lie(cluster: Lied) -> list[Bend]:
        return [*refusal(cluster), proposes_no_contributors(cluster, set(cluster.liars))]

    assert everybody_honest_counts(lied(4, lie))
    monkeypatch.setattr(Sharing, "_hand_over", lambda self, holders, to=None: None)
    assert not everybody_honest_counts(lied(4, lie))


def test_a_dealer_is_left_out_by_acks_that_it_alone_sees_where_it_does_not_show_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Sharing, "_vouch", lambda self, holder: False)
    assert not everybody_honest_counts(lied(7, refusal_that_the_dealer_does_not_see))
    assert not everybody_honest_counts(lied(7, silence_about_acks))


def test_false_keepers_alone_settle_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Acks, "_could_hold", lambda self, dealer, dealing, holder: True)
    everything = lied(4, refusal_and_leaving_out)
    assert 3 in everything.contributing()[0][1], "the dealer that left one out counts all the same"


def restarted(n: int, lie: Callable[[Lied], list[Bend]]) -> Lied:
    """The dealer whose share is refused is killed after its dispute, between two rounds, and so has forgotten it."""
    cluster = Lied(
        n, liars_of(n), rounds=8, share_deadline_ms=20_000, setup_sums=0, round_interval_ms=5_000, min_peers=n
    )
    cluster.bends = lie(cluster)
    cluster.start()
    cluster.run(lambda: all(site.node is not None and site.node.state.trained == 3 for site in cluster.honest))
    cluster.crash(0)
    cluster.run_for(50)
    cluster.start(0)
    cluster.run(cluster.is_over, 600_000)
    return cluster


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("lie", [refusal, refusal_that_the_dealer_does_not_see])
def test_a_dealer_that_forgot_its_disputes_costs_one_more_deadline_and_counts_all_the_same(
    lie: Callable[[Lied], list[Bend]], n: int
) -> None:
    cluster, f = restarted(n, lie), (n - 1) // 3
    assert everybody_honest_counts(cluster), cluster.contributing()
    assert deadlines(cluster) <= f * (f + 1) + 1
    late = [site.node.ctx.patience.late_dealers(cluster.committee()) for site in cluster.honest if site.node]
    assert late == [frozenset()] * len(cluster.honest)


# Dealers that keep something back.


def test_a_dealer_that_deals_to_all_but_one_and_hands_nothing_over_is_out_and_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run() -> Lied:
        return lied(4, lambda cluster: [deals_to_all_but(cluster, {1}, hands_over=False)], rounds=10)

    ours = run()
    assert all(counted == {0, 1, 2} for _, counted in ours.contributing())
    assert seconds(ours) < 2 * 20
    assert ours.evicted() == []

    monkeypatch.setattr(OverdueAcks, "late_dealers", lambda self, committee: frozenset())
    assert seconds(run()) > 10 * 20


def garbage_box(cluster: Lied) -> list[Bend]:
    """The liar seals garbage for one holder, and says the same to all."""

    def garbage(deal: Deal, blob: bytes) -> tuple[Deal, bytes]:

        wrong = bytes([blob[0] ^ 1]) + blob[1:]
        place = at(cluster, 0)
        boxes = tuple(digest_of(wrong) if one == place else box for one, box in enumerate(deal.box_hashes))
        return changed(box_hashes=lambda _: boxes)(deal), wrong

    seen: dict[int, bytes] = {}

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        one = message.message
        if isinstance(one, Deal):
            if sender.number not in seen or one.round not in seen:
                blobs = sender.node.ctx.sharing._dealing.blobs  # type: ignore[union-attr]
                seen[one.round] = blobs[at(cluster, 0)]
            deal, wrong = garbage(one, seen[one.round])
            return cluster.again(sender, message, deal, send, wrong if receiver.number == 0 else send.blob)
        if isinstance(one, Ack):
            named = []
            me = at(cluster, sender.number)
            sharing = sender.node.ctx.sharing if sender.node else None
            for dealer, id_ in one.dealings:
                if dealer == me and sharing is not None and sharing.round == one.round and one.round in seen:
                    own = sharing.deals[me].message
                    assert isinstance(own, Deal)
                    id_ = id_of(cluster, sender.number, garbage(own, seen[one.round])[0])
                named.append((dealer, id_))
            return cluster.again(sender, message, Ack(one.round, tuple(named), one.kept), send, None)
        return send

    return [bend]


@pytest.mark.parametrize("n", SIZES)
def test_a_garbage_box_is_proved_and_evicts_its_dealer(n: int) -> None:
    cluster = Lied(n, [n - 1], min_peers=n - 1, rounds=3)
    cluster.bends = garbage_box(cluster)
    cluster.start()
    cluster.run(lambda: cluster.is_over() and bool(cluster.evicted()), 600_000)
    assert cluster.evicted() == [(n - 1, "bad-dealing")]
    assert cluster.accused() == {n - 1}
    assert all(site.facts("fault") for site in cluster.honest), "everybody judges the same way"


def test_false_complaints_name_the_accuser_everywhere() -> None:
    cluster = lied(4, false_complaints)
    assert cluster.accused() == {3}
    assert all("false complaint" in str([n.text for n in site.notices if n.kind == "fault"]) for site in cluster.honest)


# Eviction as silent.


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("lie", [refusal, refusal_that_the_dealer_does_not_see, silence_about_acks])
def test_nobody_is_evicted_as_silent_that_is_heard(lie: Callable[[Lied], list[Bend]], n: int) -> None:
    cluster = lied(n, lie, rounds=6, evict_after_rounds=2)
    assert cluster.evicted() == []
    assert PROTOCOL_VERSION == 2
