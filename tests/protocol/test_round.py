"""Whole rounds of real nodes in virtual time: what comes out is exact, and whoever is late or gone is left out."""

import hashlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cluster import Cluster, Site
from members import START_MS, identity, make_genesis
from watch import Watch

from coterie.crypto.sharing.fixed_point import FixedPoint
from coterie.protocol.agreement.height import Agreement
from coterie.protocol.events import Fetch, Leave, PeerUp, Send, Started
from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.ledger.blocks import Contributors, Membership, Model, Void, read_block, wide_value
from coterie.protocol.ledger.contribution import WIDE_UNIT, coarse, layout_of
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.ledger.state import LedgerState
from coterie.protocol.limits import SUM_GRACE_MS
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import Ack, Deal, Proposal, SumShare
from coterie.protocol.node import Newcomer, Node
from coterie.protocol.records import BlockDecided, Dealt, Memory, ModelSaved
from coterie.protocol.round.overdue_acks import OverdueAcks


class Federation(Cluster):
    """A cluster that is watched, with names for what tests ask of it."""

    def __init__(self, peers: int, genesis: Genesis | None = None, seed: int = 1, **changes: Any) -> None:
        super().__init__(peers, genesis or make_genesis(**{"min_peers": peers} | changes), seed)
        self.watch = Watch(self)

    def bodies(self, number: int = 0) -> list[Any]:
        """The bodies of the ledger's blocks, but for changes of the membership."""
        records = self.sites[number].disk.records
        blocks = [read_block(record.block).body for record in records if isinstance(record, BlockDecided)]
        return [body for body in blocks if not isinstance(body, Membership)]

    def finish(self, limit_ms: int = 120_000) -> None:
        """Run until everybody that runs has finished the training."""
        self.run(lambda: self.all_at("finished"), limit_ms)

    def reach(self, height: int, limit_ms: int = 120_000) -> None:
        """Run until everybody that runs has decided this height."""
        self.run(lambda: all(site.node.state.height >= height for site in self.running() if site.node), limit_ms)

    @property
    def state(self) -> LedgerState:
        """What the ledger of peer 0 says."""
        assert self.sites[0].node is not None
        return self.sites[0].node.state

    def models(self) -> list[Model]:
        return [body for body in self.bodies() if isinstance(body, Model)]

    def trains(self, number: int, answer: Callable[[Train], Contribution]) -> None:
        self.sites[number].train = answer


def contribution(work: Train, parameters: int, examples: int, value: float, **more: Any) -> Contribution:
    """An update of ``value`` everywhere; ten examples evaluated, with a loss of ``value`` each."""
    update = np.full(parameters, value, dtype=np.float32) if work.kind == "train" else None
    sums = more.get("sums", (10.0, 10 * value))
    return Contribution(examples, sums, hashlib.sha256(b"%d %r" % (work.round, value)).digest(), update)


def decoded(vector: bytes, genesis: Genesis, summands: int) -> np.ndarray:
    """The signed integers of one dealt vector."""
    codec = FixedPoint(2.0**genesis.clip_exponent, summands)
    slots = codec.columns(genesis.parameters)
    words = np.frombuffer(vector, dtype=np.uint64)[:slots].copy()
    return codec.decode_sum(words, genesis.parameters, 1)


# What comes out.


@pytest.mark.parametrize("peers", range(3, 10))
def test_every_size_of_federation_trains_and_all_hold_the_same_bytes(peers: int) -> None:
    federation = Federation(peers, parameters=2 * peers - 1)
    federation.start()
    federation.finish()
    assert federation.watch.models == 3, "two rounds of training and the evaluation, each sum exact"
    weights = {site.node.ctx.weights for site in federation.sites if site.node}
    assert len(weights) == 1
    assert digest_of(weights.pop() or b"") == federation.models()[-1].weights_hash
    ledgers = {tuple(federation.bodies(number)) for number in range(peers)}
    assert len(ledgers) == 1


@pytest.mark.parametrize("scheme", ["shamir", "plain"])
@pytest.mark.parametrize("parameters", [1, 2, 7])
def test_the_weights_are_the_mean_weighted_by_examples_exactly(scheme: str, parameters: int) -> None:
    examples = [100, 900, 2_000, 5_000]
    federation = Federation(4, parameters=parameters, scheme=scheme, rounds=1, examples_ref=1_000)
    for number, count in enumerate(examples):
        federation.trains(number, lambda work, n=number, c=count: contribution(work, parameters, c, 0.3 * (n - 1)))
    federation.start()
    federation.finish()
    genesis = federation.genesis
    body = federation.models()[0]
    capped = [coarse(min(count, 1_000)) for count in examples]
    coarsened = [coarse(count) for count in examples]
    assert [wide_value(one) for one in body.sums[:2]] == [WIDE_UNIT * sum(capped), WIDE_UNIT * sum(coarsened)]

    units = [decoded(vector, genesis, 4) for vector in federation.watch.dealt(1).values()]
    step = Fraction(FixedPoint(4.0, 4).step)
    mean = [float(sum(int(one[i]) for one in units) * step * 1_000 / sum(capped)) for i in range(parameters)]
    saved = [record for record in federation.sites[2].disk.records if isinstance(record, ModelSaved)][-1]
    assert np.array_equal(np.frombuffer(saved.weights, "<f4"), np.array(mean, dtype="<f4"))

    true_mean = sum(count * 0.3 * (n - 1) for n, count in enumerate(capped)) / sum(capped)
    assert np.allclose(mean, true_mean, atol=float(4 * step * 1_000 / sum(capped)) + 1e-6)


def test_the_totals_of_the_setup_round_are_exact_and_handed_to_training() -> None:
    federation = Federation(4, setup_sums=3, rounds=1)
    handed: list[Any] = []
    sums = [(1.5, -2.25, 2.0**30), (0.125, 4.0, -(2.0**30)), (0.0, 1e-3, 7.0), (3.0, 0.5, 0.25)]

    def answer(work: Train, number: int) -> Contribution:
        handed.append((work.kind, work.totals))
        if work.kind == "setup":
            return Contribution(5, sums[number], hashlib.sha256(b"%d" % number).digest())
        return contribution(work, 6, 5, 0.5)

    for number in range(4):
        federation.trains(number, lambda work, n=number: answer(work, n))
    federation.start()
    federation.finish()
    exact = tuple(sum(round(one[i] * WIDE_UNIT) for one in sums) / WIDE_UNIT for i in range(3))
    assert exact[:1] == (4.625,)
    assert handed[:4] == [("setup", None)] * 4
    assert handed[4:] == [("train", exact)] * 4 + [("evaluate", exact)] * 4
    first = federation.models()[0]
    assert first.weights_hash == federation.genesis.weights_hash, "and the model is the one of the genesis"


def test_metrics_come_from_the_securely_summed_numbers_and_every_member_says_the_same() -> None:
    federation = Federation(4, metrics=("accuracy",), rounds=1)
    for number in range(4):
        sums = (10.0 * (number + 1), 2.0 * number, 5.0 * number)
        federation.trains(number, lambda work, s=sums: contribution(work, 6, 5, 0.5, sums=s))
    federation.start()
    federation.finish()
    told = [site.facts("model") for site in federation.sites]
    assert all(one == told[0] for one in told[1:])
    assert told[0][0]["evaluated"] == 100
    assert told[0][0]["examples"] == 20
    assert told[0][0]["loss"] == pytest.approx(12 / 100)
    assert told[0][0]["metrics"] == {"accuracy": pytest.approx(30 / 100)}


def test_large_shares_are_fetched_and_the_round_is_as_exact() -> None:
    federation = Federation(4, parameters=40_000, rounds=1)
    fetched = []
    fetch = federation.simulation.fetch

    def count(site: Any, one: Fetch, answer: Any) -> None:
        fetched.append(type(one.message.message))
        fetch(site, one, answer)

    federation.simulation.fetch = count  # type: ignore[method-assign]
    federation.start()
    federation.finish()
    assert {Deal, SumShare, Proposal} <= set(fetched)
    assert federation.watch.models == 2


def test_in_plain_averaging_nothing_is_dealt_before_the_contributors_are_decided() -> None:
    federation = Federation(4, scheme="plain", rounds=1)
    blobs: dict[type, int] = {}

    def count(sender: Site, receiver: Site, send: Send) -> Send:
        message = federation_message(federation, send)
        blobs[type(message.message)] = max(blobs.get(type(message.message), 0), len(send.blob or b""))
        return send

    federation.tamper = count
    federation.start()
    federation.finish()
    assert blobs[Deal] == 0
    assert blobs[SumShare] == 8 * layout_of(federation.genesis, "train").columns
    assert federation.watch.models == 2


def federation_message(federation: Cluster, send: Send) -> Verified:
    one = verify(send.envelope, federation.genesis.federation)
    assert isinstance(one, Verified)
    return one


def test_a_federation_of_too_few_waits_and_is_quiet() -> None:
    federation = Federation(2, min_peers=3)
    federation.start()
    federation.run_for(10_000)
    assert federation.all_at("waiting")
    assert federation.sites[0].node is not None
    assert len(federation.sites[0].node.state.members) == 2
    said = len(federation.log)
    federation.run_for(60_000)
    assert len(federation.log) == said
    assert not any("round" in site.kinds() for site in federation.sites)


def test_of_the_rounds_that_are_over_no_release_is_kept_in_memory_and_none_is_read_back() -> None:
    federation = Federation(4, rounds=6)
    federation.start()
    federation.run(lambda: federation.all_at("summing") and federation.state.round == 5)
    federation.crash(2)
    federation.start(2)
    kept = [site.node.ctx.released for site in federation.sites if site.node]
    assert all(one.keys() <= {5} for one in kept)
    federation.finish()
    assert all(site.node.ctx.released == {} for site in federation.sites if site.node)
    assert len(federation.sites[2].disk.load().released) == 7


# Who is late, gone, or has nothing.


def lose_in_round_1(federation: Federation, number: int, kind: Any) -> None:
    """Messages of a kind from one peer are lost until the contributors of the first round are decided."""
    federation.drop = lambda sender, receiver, message: (
        sender.number == number and isinstance(message.message, kind) and not federation.bodies()
    )


def key(number: int) -> bytes:
    return identity(number).public


def contributing(federation: Federation, body: Contributors) -> set[int]:
    """Numbers of the peers that contribute."""
    members = sorted(site.identity.public for site in federation.sites)
    return {federation.by_key[members[index]].number for index, _ in body.dealers}


def test_whoever_has_not_dealt_by_the_share_deadline_is_left_out_and_takes_part_again_later() -> None:
    federation = Federation(4, rounds=3)
    lose_in_round_1(federation, 2, Deal)
    federation.start()
    federation.finish()
    rounds = [contributing(federation, body) for body in federation.bodies() if isinstance(body, Contributors)]
    assert rounds[0] == {0, 1, 3}
    assert rounds[-1] == {0, 1, 2, 3}
    assert federation.models()[0].round == 1


@pytest.mark.parametrize("seed", range(12))
def test_at_the_share_deadline_the_acks_of_that_moment_are_waited_for(seed: int) -> None:
    """Nobody acks before it while somebody slow is alive: one slow dealer must not void the round."""
    federation = Federation(4, seed=seed, rounds=1)
    federation.latency_ms = (1, 200)
    lose_in_round_1(federation, 2, Deal)
    federation.start()
    federation.run(lambda: len(federation.bodies()) > 0)
    assert contributing(federation, federation.bodies()[0]) == {0, 1, 3}


def test_a_holder_whose_acks_are_lost_still_contributes_and_does_not_hold() -> None:
    federation = Federation(4, rounds=1)
    lose_in_round_1(federation, 2, Ack | Proposal)
    federation.start()
    federation.finish()
    body = federation.bodies()[0]
    assert contributing(federation, body) == {0, 1, 2, 3}
    assert len(body.holders) == 3


def seconds_for(federation: Federation) -> float:
    """How long the whole training takes, in virtual time."""
    federation.start()
    federation.finish(3_000_000)
    assert federation.watch.models == 11
    return (federation.now_ms - START_MS) / 1000


def acks_are_lost(sender: Site, receiver: Site, message: Verified) -> bool:
    return sender.number == 3 and isinstance(message.message, Ack)


def deals_to_one_are_lost(sender: Site, receiver: Site, message: Verified) -> bool:
    return (sender.number, receiver.number) == (3, 1) and isinstance(message.message, Deal)


@pytest.mark.parametrize("lost", [acks_are_lost, deals_to_one_are_lost])
def test_an_ack_that_never_comes_holds_up_one_round_and_not_each(
    lost: Callable[[Site, Site, Verified], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its holder does not give it or a dealer does not send that holder its share; and people are told."""
    federation = Federation(4, rounds=10, share_deadline_ms=60_000)
    federation.drop = lost
    assert seconds_for(federation) < 65
    overdue = [one for site in federation.sites for one in site.facts("overdue")]
    assert len({one["round"] for one in overdue}) == 1
    assert {member for one in overdue for member in one["members"]} == {key(3 if lost is acks_are_lost else 1)}
    contributors = [body for body in federation.bodies() if isinstance(body, Contributors)]
    assert all(len(body.dealers) + len(body.holders) >= 7 for body in contributors), "and nobody else is left out"

    monkeypatch.setattr(OverdueAcks, "late_holders", lambda self, committee: frozenset())
    monkeypatch.setattr(OverdueAcks, "disputed_holders", lambda self, committee, dealer: frozenset())
    federation = Federation(4, rounds=10, share_deadline_ms=60_000)
    federation.drop = lost
    assert seconds_for(federation) > 11 * 30


def test_a_dealer_that_is_slow_is_waited_for_also_after_it_has_missed_a_deadline() -> None:
    """A slow machine is no reason to be left out."""
    federation = Federation(4, rounds=4, share_deadline_ms=20_000)

    def late(sender: Site, receiver: Site, message: Verified) -> bool:
        """Its first dealing of a round is lost, the one that it repeats after five seconds is not; in round 1 it is."""
        if sender.number != 2 or not isinstance(message.message, Deal):
            return False
        sent[message.message.round, receiver.number] = sent.get((message.message.round, receiver.number), 0) + 1
        return message.message.round == 1 or sent[message.message.round, receiver.number] == 1

    sent: dict[tuple[int, int], int] = {}
    federation.drop = late
    federation.start()
    federation.finish(400_000)
    rounds = [contributing(federation, body) for body in federation.bodies() if isinstance(body, Contributors)]
    assert rounds == [{0, 1, 3}, *[{0, 1, 2, 3}] * 4]
    assert not any(site.facts("overdue") for site in federation.sites)


def test_a_round_is_void_where_too_few_dealt_names_who_was_missing_and_the_next_goes_on() -> None:
    federation = Federation(4, rounds=1)
    federation.drop = lambda sender, receiver, message: (
        sender.number in (1, 2) and isinstance(message.message, Deal) and message.message.round == 1
    )
    federation.start()
    federation.finish()
    void, *rest = federation.bodies()
    assert void == Void(1, "shares", tuple(sorted((key(1), key(2)))))
    assert [type(body) for body in rest] == [Contributors, Model, Contributors, Model]
    assert rest[0].round == 2
    assert all("void" in site.kinds() for site in federation.sites)


def test_a_round_is_void_where_too_few_sums_came_and_the_same_update_is_not_dealt_again() -> None:
    federation = Federation(4, rounds=1, view_timeout_ms=100, view_delta_ms=10)
    federation.drop = lambda sender, receiver, message: (
        isinstance(message.message, SumShare) and message.message.round == 1
    )
    federation.start()
    federation.finish()
    contributors, void, *rest = federation.bodies()
    assert isinstance(contributors, Contributors)
    assert (void.reason, void.round) == ("sum", 1)
    assert len(void.names) == 3, "all but the proposer itself, who has its own"
    assert [type(body) for body in rest] == [Contributors, Model, Contributors, Model]
    first, second = federation.watch.dealt(1), federation.watch.dealt(2)
    assert not set(first.values()) & set(second.values())


def test_one_that_joins_late_takes_part_from_the_next_round_on() -> None:
    federation = Federation(5, min_peers=4, rounds=3)
    federation.start(0, 1, 2, 3)
    federation.run(lambda: federation.state.phase == "summing")
    federation.start(4)
    federation.finish()
    sizes = [len(body.dealers) for body in federation.bodies(4) if isinstance(body, Contributors)]
    assert sizes[0] == 4
    assert sizes[-1] == 5
    assert federation.bodies(4) == federation.bodies(0)
    assert "synced" in federation.sites[4].kinds()


def test_one_that_leaves_holds_in_its_last_round_and_does_not_contribute() -> None:
    """A sum with it that failed could never be repeated."""
    federation = Federation(5, min_peers=4, rounds=4)
    federation.start()
    federation.run(
        lambda: (
            all(site.node and site.node.state.phase == "sharing" for site in federation.sites)
            and all(site.node and site.node.state.committee.n == 5 for site in federation.sites)
        )
    )
    last_round = federation.state.round
    federation.hand_in(3, Leave())
    federation.run(lambda: federation.state.phase == "finished")
    bodies = [body for body in federation.bodies() if isinstance(body, Contributors)]
    sizes = {body.round: len(body.dealers) for body in bodies}
    assert sizes[last_round] == 4
    assert [len(body.holders) for body in bodies if body.round == last_round] == [5]
    assert {sizes[round_] for round_ in sizes if round_ > last_round} == {4}
    assert key(3) not in federation.state.keys
    assert federation.sites[3].node is not None
    assert key(3) not in federation.sites[3].node.state.keys, "and it knows"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda work: fail("the disk is full"), "the disk is full"),
        (lambda work: contribution(work, 6, 10, float("nan")), "value 0 of the update is nan"),
        (lambda work: contribution(work, 6, 10, float("-inf")), "value 0 of the update is -inf"),
        (lambda work: contribution(work, 5, 10, 1.0), "does not have the agreed 6 parameters"),
        (lambda work: contribution(work, 6, 0, 1.0), "there are no examples to train on"),
        (lambda work: contribution(work, 6, 10, 1.0, sums=(1.0,)), "1 sums, but 2 were agreed"),
        (lambda work: contribution(work, 6, 10, 1.0, sums=(1.0, float("nan"))), "NaN and infinity have no encoding"),
        (lambda work: contribution(work, 6, 10, 1.0, sums=(1.0, 1e300)), "not below"),
    ],
    ids=["error", "nan", "infinity", "wrong size", "no examples", "wrong sums", "nan sum", "huge sum"],
)
def test_whoever_has_no_update_sits_the_round_out_says_why_and_nobody_waits_for_it(
    answer: Callable[[Train], Contribution], reason: str
) -> None:
    federation = Federation(4, rounds=2)

    def sick_in_round_1(work: Train) -> Contribution:
        return answer(work) if work.round == 1 else contribution(work, 6, 10, 0.5)

    federation.trains(2, sick_in_round_1)
    federation.start()
    federation.finish()
    rounds = [contributing(federation, body) for body in federation.bodies() if isinstance(body, Contributors)]
    assert rounds == [{0, 1, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}]
    said = federation.sites[2].facts("sitting-out")
    assert [one["round"] for one in said] == [1]
    assert reason in said[0]["reason"]
    assert federation.now_ms < START_MS + federation.genesis.share_deadline_ms, "nobody waited for the deadline"


def fail(reason: str) -> Contribution:
    raise RuntimeError(reason)


def test_who_sits_out_still_holds_the_shares_of_the_others() -> None:
    federation = Federation(4, rounds=1)
    federation.trains(2, lambda work: fail("no data"))
    federation.start()
    federation.finish()
    assert [len(body.holders) for body in federation.bodies() if isinstance(body, Contributors)] == [4, 4]


def test_a_newcomer_with_another_model_is_refused_and_reads_both_descriptions() -> None:
    federation = Federation(4, min_peers=3, rounds=1)
    federation.start(0, 1, 2)
    site = federation.sites[3]
    site.node = Node(site.identity, federation.genesis, Memory(), Newcomer("peer 3", "mlp 4x8x1", None))
    site.boots += 1
    federation.hand_in(3, Started())
    federation.hand_in(3, PeerUp(key(0)))
    federation.hand_in(0, PeerUp(key(3)))
    federation.run(lambda: "refused" in site.kinds())
    text = next(notice.text for notice in site.notices if notice.kind == "refused")
    assert "test model" in text
    assert "mlp 4x8x1" in text
    federation.run(lambda: federation.state.phase == "finished")
    assert key(3) not in federation.state.keys


# Crashes.


@pytest.mark.parametrize("phase", ["sharing", "summing"])
@pytest.mark.parametrize("everybody", [False, True])
def test_a_restart_in_the_middle_of_a_round_goes_on_with_the_very_same_dealing(phase: str, everybody: bool) -> None:
    federation = Federation(4, rounds=1)
    federation.start()
    victims = range(4) if everybody else (2,)
    federation.run(lambda: any(isinstance(record, Dealt) for record in federation.sites[2].disk.records))
    federation.run(lambda: federation.all_at(phase))
    for number in victims:
        federation.crash(number)
    federation.run_for(300)
    federation.start(*victims)
    federation.finish()
    rounds = [contributing(federation, body) for body in federation.bodies() if isinstance(body, Contributors)]
    if everybody or phase == "summing":
        assert rounds[0] == {0, 1, 2, 3}
    assert federation.watch.models == 2


@pytest.mark.parametrize("scheme", ["shamir", "plain"])
def test_a_restarted_holder_sends_the_very_same_sum_and_nobody_says_that_it_sent_two(scheme: str) -> None:
    federation = Federation(4, rounds=1, scheme=scheme, view_timeout_ms=20_000)
    sums: list[bytes] = []

    def keep_open(sender: Site, receiver: Site, message: Verified) -> bool:
        """Nobody but peer 2 gives its sum, and the first aggregator stays the only one."""
        if isinstance(message.message, SumShare) and sender.number == 2:
            sums.append(message.message.shares_hash)
        return isinstance(message.message, SumShare) and sender.number != 2

    federation.drop = keep_open
    federation.start()
    federation.run(lambda: len(sums) > 0)
    federation.crash(2)
    federation.run_for(100)
    federation.start(2)
    federation.run(lambda: len(sums) >= 2)
    federation.drop = lambda sender, receiver, message: False
    federation.finish()
    assert len(set(sums[:2])) == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_round_survives_its_aggregator(seed: int) -> None:
    federation = Federation(4, seed=seed, rounds=1)
    federation.start()
    federation.run(lambda: federation.state.phase == "summing")
    state = federation.state
    gone = federation.by_key[state.proposer(0)].number
    federation.crash(gone)
    federation.run(lambda: len(federation.watch.states) > state.height + 1)
    assert federation.watch.models == 1, "in a later view, from what the others hold"
    federation.start(gone)
    federation.finish()


@pytest.mark.parametrize(("peers", "latency_ms"), [(7, 700), (10, 850)])
def test_plain_vectors_that_come_late_in_long_views_are_waited_for(
    peers: int, latency_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody lies; a message takes longer than the first views, and an aggregator of a later one opens the sum."""

    def voids() -> int:
        genesis = make_genesis(scheme="plain", rounds=0, min_peers=peers, share_deadline_ms=20_000)
        cluster = Cluster(peers, genesis, seed=1, latency_ms=(latency_ms * 8 // 10, latency_ms))
        cluster.start()
        first = cluster.sites[0]
        cluster.run(lambda: first.node is not None and first.node.state.round == 3, 240_000)
        decided = [read_block(one.block).body for one in first.disk.records if isinstance(one, BlockDecided)]
        return sum(isinstance(body, Void) for body in decided)

    assert voids() == 0
    monkeypatch.setattr(Agreement, "_grace_ms", lambda self, view: SUM_GRACE_MS)
    assert voids() > 0
