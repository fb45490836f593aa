"""A newcomer that gives up takes its request back, or it would become a member that nobody runs."""

from collections.abc import Callable

import pytest
from bench import Bench
from chains import Chain
from cluster import Cluster, Site
from members import START_MS, identity, make_genesis
from signing import signed

from coterie.crypto.identity.identity import Identity
from coterie.protocol.agreement.choosing import Choosing
from coterie.protocol.agreement.height import Agreement
from coterie.protocol.agreement.proposing import Proposing
from coterie.protocol.effects import Effects
from coterie.protocol.events import PeerDown, PeerUp, Received, Started, Withdraw
from coterie.protocol.handlers.membership import MembershipRequests
from coterie.protocol.ledger.blocks import Block, Join, Membership, block_hash
from coterie.protocol.limits import JOIN_MEMORY_MS, JOIN_RETRY_MS, MAX_PENDING_JOINS
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import JoinRequest, Prevote, Proposal, Withdrawal
from coterie.protocol.node import Newcomer
from coterie.protocol.pending_changes import CLOCK_SKEW_MS, PendingChanges
from coterie.protocol.timers import RetryJoin

A, B, C = (identity(number) for number in range(3))
NEW = identity(9)
ASKED = JoinRequest("newcomer", "test model", b"", b"")


def asked(bench: Bench, who: Identity = NEW) -> None:
    """A newcomer asks, or a copy of its request arrives."""
    bench.hear(who, ASKED)


def taken_back(bench: Bench, at_ms: int | None = None, who: Identity = NEW) -> None:
    """A newcomer takes its request back, or a copy of that arrives."""
    bench.hear(who, Withdrawal(bench.now_ms if at_ms is None else at_ms))


def member() -> Bench:
    """One of three members."""
    bench = Bench(Chain(3, min_peers=5), 0)
    bench.begin()
    bench.hand(PeerUp(NEW.public))
    return bench


def waits(bench: Bench) -> bool:
    return NEW.public in bench.node.ctx.pool.candidates


# What a member does.


def test_a_request_that_is_taken_back_is_forgotten_and_the_others_are_told_once() -> None:
    bench = member()
    asked(bench)
    assert waits(bench)
    taken_back(bench)
    assert not waits(bench)
    told = bench.said(Withdrawal)
    assert sorted(send.to or b"" for send in bench.sent if send.envelope == told[0].raw) == sorted((B.public, C.public))
    bench.sent.clear()
    taken_back(bench)
    assert bench.said(Withdrawal) == []


def test_a_withdrawal_of_what_was_never_asked_is_neither_kept_nor_passed_on() -> None:
    bench = member()
    taken_back(bench)
    assert bench.said(Withdrawal) == []
    assert bench.node.ctx.pool._withdrawn == {}
    asked(bench)
    assert waits(bench)


def test_a_member_cannot_take_its_admission_back() -> None:
    bench = member()
    taken_back(bench, who=B)
    assert bench.said(Withdrawal) == []
    assert bench.node.state.member(B.public) is not None


def test_a_copy_that_was_under_way_does_not_bring_a_request_back_and_a_later_one_counts() -> None:
    bench = member()
    asked(bench)
    taken_back(bench)
    bench.now_ms += JOIN_RETRY_MS - 1
    asked(bench)
    assert not waits(bench)
    bench.now_ms += 1
    asked(bench)
    assert waits(bench)


def _without_memory(self: PendingChanges, withdrawal: Verified, now_ms: int) -> bool:
    return self._joins.pop(withdrawal.sender, None) is not None


@pytest.mark.parametrize("weakened", [True, False])
def test_a_replayed_withdrawal_does_not_keep_a_newcomer_out(weakened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if weakened:
        monkeypatch.setattr(PendingChanges, "withdraw", _without_memory)
    bench = member()
    asked(bench)
    taken_back(bench, START_MS)
    bench.now_ms += JOIN_RETRY_MS
    for later_ms in (0, JOIN_RETRY_MS, CLOCK_SKEW_MS, 100 * CLOCK_SKEW_MS):
        bench.now_ms = START_MS + JOIN_RETRY_MS + later_ms
        asked(bench)
        taken_back(bench, START_MS)
        assert waits(bench) is not weakened


def test_a_withdrawal_counts_near_its_time_only_so_that_it_can_be_forgotten() -> None:
    for off_ms in (-CLOCK_SKEW_MS - 1, CLOCK_SKEW_MS + 1):
        bench = member()
        asked(bench)
        taken_back(bench, START_MS + off_ms)
        assert waits(bench)
    for off_ms in (-CLOCK_SKEW_MS, CLOCK_SKEW_MS):
        bench = member()
        asked(bench)
        taken_back(bench, START_MS + off_ms)
        assert not waits(bench)


def test_a_newcomer_that_gives_up_again_takes_the_same_request_back_again() -> None:
    bench = member()
    for _ in range(3):
        asked(bench)
        assert waits(bench)
        taken_back(bench)
        assert not waits(bench)
        bench.now_ms += JOIN_RETRY_MS


def test_no_more_withdrawals_are_remembered_than_the_limit_until_their_time_is_over() -> None:
    """Where there is no room none takes effect. One that took effect unremembered could be replayed for ever."""
    bench = member()
    for number in range(100, 100 + MAX_PENDING_JOINS):
        asked(bench, identity(number))
        taken_back(bench, who=identity(number))
    assert len(bench.node.ctx.pool._withdrawn) == MAX_PENDING_JOINS
    asked(bench)
    taken_back(bench)
    assert waits(bench)
    bench.now_ms += CLOCK_SKEW_MS + 1
    taken_back(bench)
    assert not waits(bench)
    assert len(bench.node.ctx.pool._withdrawn) == 1


# What a newcomer does.


def newcomer() -> Bench:
    chain = Chain(1, min_peers=3)
    bench = Bench(chain, 9, newcomer=Newcomer("newcomer", "test model"))
    bench.hand(Started())
    return bench


def test_a_newcomer_tells_all_that_it_is_linked_to_and_asks_no_more() -> None:
    bench = newcomer()
    for one in (A, B):
        bench.hand(PeerUp(one.public))
    assert bench.node.may_be_admitted
    bench.sent.clear()
    bench.hand(Withdraw())
    assert sorted(send.to or b"" for send in bench.sent) == sorted((A.public, B.public))
    assert [one.message for one in bench.said(Withdrawal)] == [Withdrawal(START_MS)] * 2
    assert not bench.node.may_be_admitted
    bench.sent.clear()
    bench.fire(RetryJoin(1))
    bench.hand(PeerUp(C.public))
    bench.hand(Withdraw())
    assert bench.said(JoinRequest) == bench.said(Withdrawal) == []
    assert [one.facts for one in bench.notices if one.kind == "withdrawn"] == [{"peers": 2}]


def test_a_newcomer_that_can_tell_nobody_knows_that_its_request_stays() -> None:
    bench = newcomer()
    bench.hand(PeerUp(A.public))
    bench.hand(PeerDown(A.public))
    bench.hand(Withdraw())
    assert bench.node.may_be_admitted
    assert [one.facts for one in bench.notices if one.kind == "withdrawn"] == [{"peers": 0}]


def test_a_newcomer_that_never_asked_and_a_member_take_nothing_back() -> None:
    for bench in (newcomer(), member()):
        bench.hand(Withdraw())
        assert bench.said(Withdrawal) == []
        assert bench.notices == [one for one in bench.notices if one.kind != "withdrawn"]


# What comes of it.

FOUNDER, JOINER, GHOST, LATER = range(4)


def is_member(cluster: Cluster, number: int) -> bool:
    founder = cluster.sites[FOUNDER].node
    assert founder is not None
    return founder.state.member(cluster.sites[number].identity.public) is not None


def admitted_after_it_gave_up(is_founders_turn: bool) -> Cluster:
    """Two members, of whom one is away when a newcomer asks and gives up. Then that member comes back.

    ``is_founders_turn``: whether the member that stayed had proposed meanwhile to admit the newcomer.
    """
    for seed in range(32):
        cluster = Cluster(4, make_genesis(min_peers=9, created_ms=START_MS + seed), seed=seed)
        cluster.start(FOUNDER, JOINER)
        cluster.run(lambda cluster=cluster: is_member(cluster, JOINER))
        state = cluster.sites[FOUNDER].node.state  # type: ignore[union-attr]
        if (state.proposer(0) == cluster.sites[FOUNDER].identity.public) is is_founders_turn:
            break
    else:
        raise AssertionError("nobody's turn")
    cluster.crash(JOINER)
    cluster.start(GHOST)
    cluster.run_for(5_000)
    cluster.hand_in(GHOST, Withdraw())
    cluster.run_for(100)
    cluster.crash(GHOST)
    cluster.run_for(60_000)
    cluster.start(JOINER)
    cluster.run_for(60_000)
    return cluster


@pytest.mark.parametrize("is_founders_turn", [True, False])
def test_who_gave_up_is_not_admitted_and_those_that_ask_later_are(is_founders_turn: bool) -> None:
    cluster = admitted_after_it_gave_up(is_founders_turn)
    assert not is_member(cluster, GHOST)
    cluster.start(LATER)
    cluster.run(lambda: is_member(cluster, LATER), 30_000)


WEAKENED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "nothing is taken back": lambda patch: patch.setattr(MembershipRequests, "withdraw", lambda self: None),
    "members do not heed it": lambda patch: patch.setattr(PendingChanges, "withdraw", lambda *_: False),
    "its proposal is repeated": lambda patch: patch.setattr(Proposing, "_is_taken_back", lambda *_: False),
}


@pytest.mark.parametrize("what", WEAKENED)
def test_without_this_a_member_that_nobody_runs_keeps_everybody_else_out(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    WEAKENED[what](monkeypatch)
    monkeypatch.setattr(PendingChanges, "forget_unheard", lambda *_: None)
    cluster = admitted_after_it_gave_up(is_founders_turn=True)
    assert is_member(cluster, GHOST)
    cluster.crash(JOINER)
    cluster.start(LATER)
    cluster.run_for(60_000)
    assert not is_member(cluster, LATER)


def test_who_gave_up_and_asks_again_is_admitted() -> None:
    cluster = admitted_after_it_gave_up(is_founders_turn=True)
    assert not is_member(cluster, GHOST)
    cluster.start(GHOST)
    cluster.run(lambda: is_member(cluster, GHOST), 30_000)


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_a_request_that_is_not_made_again_is_forgotten_by_who_missed_that_it_was_taken_back(
    is_forgotten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_forgotten:
        monkeypatch.setattr(PendingChanges, "forget_unheard", lambda *_: None)
    monkeypatch.setattr(PendingChanges, "withdraw", lambda *_: False)
    cluster = Cluster(4, make_genesis(min_peers=9), seed=1)
    cluster.start(0, 1, 2)
    cluster.run(lambda: all(is_member(cluster, number) for number in (1, 2)))
    cluster.crash(1)
    cluster.crash(2)
    cluster.start(3)
    cluster.run_for(1_000)
    cluster.hand_in(3, Withdraw())
    cluster.run_for(100)
    cluster.crash(3)
    cluster.run_for(2 * JOIN_MEMORY_MS)
    cluster.start(1, 2)
    cluster.run_for(60_000)
    assert is_member(cluster, 3) is not is_forgotten


def test_who_goes_on_asking_is_remembered() -> None:
    bench = member()
    asked(bench)
    for _ in range(3):
        bench.now_ms += JOIN_MEMORY_MS
        asked(bench)
        assert waits(bench)
    bench.now_ms += JOIN_MEMORY_MS + 1
    bench.hand(PeerUp(B.public))
    assert not waits(bench)


@pytest.mark.parametrize("rests", [True, False])
def test_a_request_that_was_taken_back_leaves_no_views_that_go_on(rests: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The member whose turn it is is away, so the others go on to a view in which there is nothing to decide."""
    if not rests:
        monkeypatch.setattr(Agreement, "_is_wanted", lambda self, view: True)
    cluster = Cluster(4, make_genesis(rounds=1, min_peers=4))
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    cluster.run_for(5_000)
    node = cluster.sites[0].node
    assert node is not None
    away = cluster.by_key[node.state.proposer(0)].number
    cluster.crash(away)
    cluster.run_for(1_000)
    there = [number for number in range(4) if number != away]
    out = Effects(NEW, cluster.genesis.federation, height=1)
    for message in (ASKED, Withdrawal(cluster.now_ms)):
        for number in there:
            cluster.hand_in(number, PeerUp(NEW.public))
            verified = verify(out.seal(message), cluster.genesis.federation)
            assert isinstance(verified, Verified)
            cluster.hand_in(number, Received(verified))
        cluster.run_for(40)
    cluster.run_for(3_600_000)
    views = [cluster.sites[number].node.view for number in there]  # type: ignore[union-attr]
    assert all(view == 1 for view in views) if rests else all(view > 50 for view in views)
    cluster.start(away)
    late = cluster.now_ms
    for number in range(4):
        cluster.hand_in(number, PeerUp(NEW.public))
        asking = verify(out.seal(ASKED), cluster.genesis.federation)
        assert isinstance(asking, Verified)
        cluster.hand_in(number, Received(asking))
    cluster.run(lambda: cluster.sites[there[0]].node.state.member(NEW.public) is not None, 600_000)  # type: ignore[union-attr]
    assert not rests or cluster.now_ms - late < 10_000, "and the next one need not wait for a view that lasts minutes"


@pytest.mark.parametrize("rests", [True, False])
def test_an_eviction_that_no_later_view_proposes_leaves_no_views_that_go_on(
    rests: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent member's, whose own turn the first view was, in the rest between two rounds."""
    if not rests:
        monkeypatch.setattr(Choosing, "has_value", lambda self, view: bool(self._changes()) or self._may_go_on())
    genesis = make_genesis(rounds=0, evict_after_rounds=1, min_peers=4, round_interval_ms=36_000_000)
    cluster = Cluster(5, genesis, seed=9)
    cluster.start()
    cluster.run(lambda: all(site.node is not None and site.node.state.trained == 1 for site in cluster.sites), 10**8)
    cluster.crash(4)
    there = cluster.sites[:4]
    cluster.run(lambda: all(site.node is not None and site.node.state.trained == 2 for site in there), 10**8)
    cluster.run_for(600_000)
    assert is_member(cluster, 4), "the others cannot evict it at this height"
    views = [site.node.view for site in there if site.node is not None]
    assert views == [1] * 4 if rests else min(views) > 10


def test_members_that_a_newcomer_cannot_reach_hear_of_its_withdrawal_too() -> None:
    cluster = Cluster(5, make_genesis(min_peers=9), seed=1)
    ghost = 4

    def no_link(sender: Site, receiver: Site, message: Verified) -> bool:
        return {sender.number, receiver.number} in ({ghost, 1}, {ghost, 2})

    cluster.start(0, 1, 2, 3)
    cluster.run(lambda: all(is_member(cluster, number) for number in (1, 2, 3)))
    cluster.run_for(1_000)
    cluster.crash(3)
    cluster.crash(2)
    cluster.drop = no_link
    cluster.start(ghost)
    cluster.run_for(5_000)
    asking = [site.number for site in cluster.sites[:2] if len(site.node.ctx.pool.candidates)]  # type: ignore[union-attr]
    assert asking == [0, 1]
    cluster.hand_in(ghost, Withdraw())
    cluster.run_for(200)
    assert [site.node.ctx.pool.candidates for site in cluster.sites[:2]] == [frozenset()] * 2  # type: ignore[union-attr]
    told = [message.raw for _, _, _, message in cluster.log if isinstance(message.message, Withdrawal)]
    assert len(told) <= 1 + 2 * 3, "from the newcomer, and from each of two members to all others"


def test_a_block_that_admits_one_that_gave_up_is_voted_for() -> None:
    """Otherwise a newcomer could ask some, take it back at others, and so cost one view after the other."""
    chain = Chain(3, min_peers=5)
    state = chain.state
    proposer = next(one for one in (A, B, C) if one.public == state.proposer(0))
    bench = Bench(chain, next(number for number, one in enumerate((A, B, C)) if one is not proposer))
    bench.begin()
    asked(bench)
    taken_back(bench)
    request = signed(NEW, ASKED, state.height + 1, 0, state.federation)
    block = Block(state.height + 1, state.head, Membership((Join(request.raw),))).encode()
    bench.hear(proposer, Proposal(block, -1, (), (), None))
    assert {one.message.block_hash for one in bench.said(Prevote)} == {block_hash(block)}
