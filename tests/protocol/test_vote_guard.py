"""A home that was moved takes part again once the ledger has gone on, and never where its lost state may have voted."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from cluster import Cluster, Site
from members import make_genesis

from coterie.protocol.effects import Effects
from coterie.protocol.events import Send
from coterie.protocol.ledger.blocks import Evict, Membership, read_block
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import Ack, Blocks, Deal, HandBox, Precommit, Prevote, SitOut, Status, SumShare
from coterie.protocol.records import BlockDecided, Dealt, LostStateFound, Record, ShownToUs
from coterie.protocol.sync.resume import Resume
from coterie.protocol.vote_guard import VoteGuard

ME = bytes(32)


def committee(n: int) -> Committee:
    return Committee(tuple(bytes([index]) * 32 for index in range(n)))


def passed(n: int, heads: dict[int, int], decided: int) -> bool:
    """Whether a copy takes part at the height after ``decided``, where the others told these heads since its start."""
    guard = VoteGuard(resuming=True, copied=True)
    for member, head in heads.items():
        guard.on_head(committee(n).members[member], head)
    guard.on_decided(decided, committee(n), ME)
    return guard.try_resume(committee(n), ME, decided + 1)


@pytest.mark.parametrize("n", range(3, 32))
def test_as_many_members_as_the_ledger_needs_to_go_on_are_enough(n: int) -> None:
    """With one fewer, f liars among them, an earlier certificate would have been possible."""
    one = committee(n)
    needed = one.n - one.quorum + one.f + 1
    assert needed <= one.quorum
    assert one.n - (needed - one.f) < one.quorum <= one.n - (needed - 1 - one.f)
    told = dict.fromkeys(range(1, n), 8)
    assert passed(n, dict(list(told.items())[:needed]), 10) == (needed <= n - 1)
    assert not passed(n, dict(list(told.items())[: needed - 1]), 10)


def test_a_head_counts_two_heights_on_and_a_claimed_future_never() -> None:
    assert passed(5, {1: 8, 2: 8, 3: 8}, 10)
    assert not passed(5, {1: 8, 2: 8, 3: 9}, 10)
    assert passed(5, {1: 8, 2: 8, 3: 9}, 11)
    assert not passed(5, {1: 8, 2: 8, 3: 2**50}, 10_000)


def test_the_lowest_head_since_the_start_counts_however_often_it_is_told() -> None:
    guard = VoteGuard(resuming=True, copied=True)
    for head in (8, 9, 10):
        for member in committee(5).members[1:4]:
            guard.on_head(member, head)
    guard.on_decided(10, committee(5), ME)
    assert guard.try_resume(committee(5), ME, 11)
    assert guard.may_have_dealt(11), "the round that was open when it resumed may have begun before"
    assert not guard.may_have_dealt(12)


def test_a_home_that_is_no_copy_needs_its_answers_as_ever() -> None:
    guard = VoteGuard(resuming=True)
    for member in committee(5).members[1:]:
        guard.on_head(member, 8)
    guard.on_decided(10, committee(5), ME)
    assert not guard.try_resume(committee(5), ME, 11)


def silent_about(site: Site) -> Callable[[Site, Site, Verified], bool]:
    """One liar that follows the protocol, and only never answers what it saw of others."""
    return lambda sender, receiver, message: sender is site and isinstance(message.message, Status)


@pytest.mark.parametrize("n", [4, 5, 7])
def test_a_moved_home_takes_part_again_though_one_member_never_answers(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rounds_after_a_move(n) > 3
    monkeypatch.setattr(VoteGuard, "on_decided", lambda *arguments: None)
    assert rounds_after_a_move(n) == 0


def rounds_after_a_move(n: int) -> int:
    """Rounds in half a minute after a home was moved, and then the one member that never answered went away."""
    cluster = Cluster(n, make_genesis(rounds=0, min_peers=3, evict_after_rounds=0, round_interval_ms=2_000), seed=n)
    cluster.start()
    cluster.run(lambda: all(len(s.node.state.keys) == n and s.node.state.round > 2 for s in cluster.sites if s.node))
    moved, liar = cluster.sites[n - 2], cluster.sites[n - 1]
    # As many honest members are away as the others can do without: the moved one is needed for the quorum.
    away = committee(n).n - committee(n).quorum - 1
    cluster.drop = silent_about(liar)
    cluster.crash(moved.number)
    cluster.run_for(1_000)
    cluster.start(moved.number, memory=replace(moved.disk.load(), copied=True))
    cluster.run_for(30_000)
    for number in (liar.number, *range(1, 1 + away)):
        cluster.crash(number)
    cluster.run_for(5_000)
    before = cluster.sites[0].node.state.round  # type: ignore[union-attr]
    cluster.run_for(30_000)
    return cluster.sites[0].node.state.round - before  # type: ignore[union-attr]


def contradicting_votes_of_a_moved_home() -> int:
    """A member alone decides a height and votes at the next. Its home is put back, and one liar says nothing of it.

    Returns at how many places it voted against itself.
    """
    genesis = make_genesis(
        rounds=0, min_peers=5, round_interval_ms=2_000, share_deadline_ms=60_000, view_timeout_ms=3_000
    )
    cluster = Cluster(5, genesis, seed=1)
    victim, liar = cluster.sites[2], cluster.sites[4]
    cast: dict[tuple[int, int], set[bytes | None]] = {}

    def record(site: Site, send: Send) -> None:
        """Also what never arrives was signed."""
        message = verify(send.envelope, genesis.federation)
        if site is victim and isinstance(message, Verified) and isinstance(message.message, Prevote):
            cast.setdefault((message.height, message.view), set()).add(message.message.block_hash)

    cluster.before_send = record
    cluster.start()
    states = [site.node.state for site in cluster.sites if site.node]
    cluster.run(lambda: all(site.node is not None and site.node.state.round == 2 for site in cluster.sites))
    states = [site.node.state for site in cluster.sites if site.node]
    height = states[0].height
    assert {(state.height, state.phase) for state in states} == {(height, "sharing")}
    old = list(victim.disk.records)
    cluster.drop = lambda sender, receiver, message: (
        (sender is victim and isinstance(message.message, Prevote | Precommit | SumShare))
        or (receiver is not victim and isinstance(message.message, Precommit | Blocks))
    )
    cluster.run(lambda: (height + 2, 0) in cast)
    assert {site.node.state.height - height for site in cluster.sites if site.node and site is not victim} == {0}
    cluster.crash(2)
    victim.disk.records = old
    # The liar keeps to itself what it saw, and does not vote at the height at which the lost state did.
    cluster.drop = lambda sender, receiver, message: (
        sender is liar
        and (
            isinstance(message.message, Status)
            or (isinstance(message.message, Prevote | Precommit) and message.height == height + 2)
        )
    )
    cluster.start(2, memory=replace(victim.disk.load(), copied=True))
    cluster.run_for(15_000)
    cluster.drop = silent_about(liar)
    cluster.run(lambda: max(cast)[0] > height + 2)  # and it takes part again
    return sum(len(blocks) > 1 for blocks in cast.values())


def test_a_moved_home_does_not_vote_where_its_lost_state_was_ahead_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert contradicting_votes_of_a_moved_home() == 0
    ours = VoteGuard.on_decided
    monkeypatch.setattr(VoteGuard, "on_decided", lambda self, height, *rest: ours(self, height + 1, *rest))
    assert contradicting_votes_of_a_moved_home() == 1


# A home that was left behind after `cp -r`, and is started again after its copy took part.

VICTIM, LIAR = 2, 3


def left_behind(restarts: int = 1, is_shown: bool = False, is_empty: bool = False) -> Cluster:
    """The original is started while its copy's dealing of the round is known to one liar, which never tells it.

    ``restarts``: how often the original is started before it could deal again. ``is_shown``: it stopped in the very
    round, so that no block names the copy, and the liar answers the first time. ``is_empty``: only the key is left.
    """
    genesis = make_genesis(
        rounds=0, min_peers=4, round_interval_ms=6_000, share_deadline_ms=20_000, evict_after_rounds=0
    )
    cluster = Cluster(4, genesis, seed=5)
    victim, liar = cluster.sites[VICTIM], cluster.sites[LIAR]
    cluster.start()
    cluster.run(lambda: all(site.node is not None and site.node.state.round == 2 for site in cluster.sites))
    old = list(victim.disk.records)
    if not is_shown:
        cluster.run(lambda: all(site.node is not None and site.node.state.round == 5 for site in cluster.sites))
        cluster.run(
            lambda: sum(isinstance(one, BlockDecided) for one in victim.disk.records) == cluster_height(cluster)
        )
    dealt = sum(isinstance(one, Dealt) for one in victim.disk.records)

    def from_the_copy(sender: Site, receiver: Site, message: Verified) -> bool:
        return isinstance(message.message, Ack | HandBox) or (
            sender is victim and receiver is not liar and isinstance(message.message, Deal)
        )

    cluster.drop = from_the_copy
    cluster.run(lambda: sum(isinstance(one, Dealt) for one in victim.disk.records) > dealt)
    cluster.run_for(100)
    victim.disk.records = [] if is_empty else old
    for number in range(restarts):
        cluster.crash(VICTIM)
        answers = is_shown and number == 0
        cluster.drop = lambda sender, receiver, message, answers=answers: (  # type: ignore[misc]
            isinstance(message.message, Ack)
            or (sender is liar and not answers and isinstance(message.message, Status))
            or (sender is victim and isinstance(message.message, SitOut))
        )
        cluster.start(VICTIM)
        cluster.run_for(4_000)
    cluster.run_for(8_000)
    cluster.drop = silent_about(liar)
    cluster.run_for(60_000)
    return cluster


def cluster_height(cluster: Cluster) -> int:
    return max(site.node.state.height for site in cluster.running() if site.node)


def twice_dealt(cluster: Cluster) -> set[int]:
    """The rounds in which two different dealings of the victim were sent."""
    found: dict[int, set[bytes]] = {}
    for _, sender, _, message in cluster.log:
        is_own = sender == VICTIM and message.sender == cluster.sites[VICTIM].identity.public
        if is_own and isinstance(message.message, Deal):
            found.setdefault(message.message.round, set()).add(message.message.root)
    return {round_ for round_, roots in found.items() if len(roots) > 1}


def barred(cluster: Cluster) -> list[tuple[bytes, str]]:
    """The members that were evicted, and why."""
    blocks = [read_block(one.block).body for one in cluster.sites[0].disk.records if isinstance(one, BlockDecided)]
    changes = [one for body in blocks if isinstance(body, Membership) for one in body.changes]
    return [(one.member, one.reason) for one in changes if isinstance(one, Evict)]


def is_safe(cluster: Cluster) -> None:
    assert twice_dealt(cluster) == set()
    assert barred(cluster) == []
    deals = [
        message.message.round
        for *_, message in cluster.log
        if isinstance(message.message, Deal) and message.sender == cluster.sites[VICTIM].identity.public
    ]
    assert max(deals) > 6, "and it takes part again"


def is_caught(cluster: Cluster) -> None:
    assert twice_dealt(cluster)
    assert barred(cluster) == [(cluster.sites[VICTIM].identity.public, "double-deal")]


def test_a_home_left_behind_by_its_copy_does_not_deal_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = left_behind()
    assert ours.sites[VICTIM].kinds().count("left-behind") == 1, "however many blocks show it"
    is_safe(ours)
    monkeypatch.setattr(Resume, "_shows_a_lost_state", lambda *arguments: False)
    is_caught(left_behind())


def test_contributors_alone_show_a_home_that_it_was_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate holds the votes of a quorum, which may be that of the others."""
    monkeypatch.setattr(VoteGuard, "has_cast", lambda *arguments: True)
    is_safe(left_behind())


def test_a_key_in_an_empty_home_does_not_deal_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes part at genesis at first, and stops when a block shows what it signed."""
    is_safe(left_behind(is_empty=True))
    monkeypatch.setattr(Resume, "_shows_a_lost_state", lambda *arguments: False)
    is_caught(left_behind(is_empty=True))


def test_a_home_left_behind_stays_marked_over_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """By then it has all blocks, so none proves it again."""
    ours = left_behind(restarts=2)
    assert sum(isinstance(one, LostStateFound) for one in ours.sites[VICTIM].disk.records) == 1
    is_safe(ours)
    forget(monkeypatch, LostStateFound)
    is_caught(left_behind(restarts=2))


def test_what_others_showed_once_holds_after_another_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = left_behind(restarts=2, is_shown=True)
    assert any(isinstance(one, ShownToUs) for one in ours.sites[VICTIM].disk.records)
    is_safe(ours)
    forget(monkeypatch, ShownToUs)
    is_caught(left_behind(restarts=2, is_shown=True))


def forget(monkeypatch: pytest.MonkeyPatch, kind: type[Record]) -> None:
    """Weaken the build: records of this kind never reach the disk."""
    ours = Effects.persist
    monkeypatch.setattr(
        Effects, "persist", lambda self, record: None if isinstance(record, kind) else ours(self, record)
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_at_any_moment_makes_no_home_look_left_behind(seed: int) -> None:
    """Every member is killed now and then: before a message leaves that its records announce, or just after."""
    genesis = make_genesis(rounds=0, min_peers=4, round_interval_ms=500, share_deadline_ms=3_000, evict_after_rounds=0)
    cluster = Cluster(4, genesis, seed=seed)
    chance, killed = random.Random(seed), set[str]()

    def kill(site: Site, send: Send) -> None:
        message = verify(send.envelope, genesis.federation)
        if len(cluster.running()) < 4 or not isinstance(message, Verified) or chance.random() > 0.02:
            return
        killed.add(type(message.message).__name__)
        if chance.random() < 0.5:
            cluster.crash(site.number)
        else:
            cluster.at(0, lambda: cluster.crash(site.number))
        cluster.at(chance.choice([5, 50, 3_000]), lambda: cluster.start(site.number))

    cluster.start()
    cluster.run(lambda: all(site.node is not None and site.node.state.round == 1 for site in cluster.sites))
    cluster.before_send = kill
    cluster.run_for(120_000)
    assert {"Prevote", "Precommit", "Deal", "Ack"} <= killed
    assert cluster_height(cluster) > 20
    for site in cluster.sites:
        assert "left-behind" not in site.kinds()
        assert not any(isinstance(one, LostStateFound | ShownToUs) for one in site.disk.records)
