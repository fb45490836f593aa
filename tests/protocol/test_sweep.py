"""Honest federations in all kinds of trouble: after every step the invariants hold, and when it is over they finish.

Each seed draws a size, a scheme, latencies, how long jobs take, losses, partitions, crashes at any moment (also between
two messages of one step), late joiners and leavers; see tests/support/sweeping.py, and tests/support/invariants.py for
what is checked. A failure names its seed; ``SEEDS=123`` or ``SEEDS=100-200`` with
``pytest tests/protocol/test_sweep.py`` runs those instead, and ``python tests/support/sweeping.py 123`` prints what
happened, message by message.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import sweeping
from cluster import Cluster, Disk, make_genesis
from invariants import INVARIANTS, Watch

from coterie.protocol.events import Notice, Send
from coterie.protocol.ledger.blocks import Block, Contributors, Void, read_block
from coterie.protocol.ledger.state import LedgerError
from coterie.protocol.messages.envelope import seal
from coterie.protocol.messages.kinds import Deal, Message, Precommit, SumShare
from coterie.protocol.records import BlockDecided, Dealt, Memory, Record, Released, VoteCast

R = TypeVar("R", bound=Record)

SWEEPER = Path(sweeping.__file__)
BLOCK = 10
DEFAULT, SOAK = range(150), range(1_000, 9_000)


def blocks(seeds: range) -> list[range]:
    """The seeds in parts, so that a failure leaves the others to run."""
    return [seeds[start : start + BLOCK] for start in range(0, len(seeds), BLOCK)]


def chosen() -> range:
    first, _, last = os.environ.get("SEEDS", "").partition("-")
    return range(int(first), int(last or first) + 1) if first else DEFAULT


def name(seeds: range) -> str:
    return f"seeds {seeds[0]}-{seeds[-1]}"


@pytest.mark.parametrize("seeds", blocks(chosen()), ids=name)
def test_whatever_happens_the_invariants_hold_and_the_training_finishes(seeds: range) -> None:
    for seed in seeds:
        sweeping.run(seed)


@pytest.mark.soak
@pytest.mark.parametrize("seeds", blocks(SOAK), ids=name)
def test_whatever_happens_the_invariants_hold_and_the_training_finishes_soak(seeds: range) -> None:
    for seed in seeds:
        sweeping.run(seed)


def test_the_sweep_is_as_troubled_as_it_says() -> None:
    plans = [sweeping.Plan.of(seed) for seed in DEFAULT]
    fields = ("peers", "late", "leaves", "scheme", "rounds", "slowest_ms", "slowest_work_ms", "loss")
    for field in (*fields, "partitions", "crashes"):
        counts = [[getattr(plan, field) for plan in plans].count(value) for value in {getattr(p, field) for p in plans}]
        assert len(counts) > 1, field
        assert min(counts) >= 10, field
    some = [sweeping.run(seed) for seed in range(12)]
    assert sum(one.crashes for one in some) > 10
    assert sum(one.lost for one in some) > 100
    assert sum(one.watch.models for one in some) > 20


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_a_seed_replays_to_the_last_byte_in_another_process(hash_seed: str) -> None:
    seeds = (1, 5, 17)
    again = subprocess.run(
        [sys.executable, str(SWEEPER), *map(str, seeds), "digest"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.split() == [sweeping.digest(sweeping.run(seed)) for seed in seeds]


def test_two_seeds_are_two_runs() -> None:
    assert len({sweeping.digest(sweeping.run(seed)) for seed in range(4)}) == 4


# The watch itself.


def test_a_build_that_forgets_its_votes_in_a_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Disk.load

    def blocks_only(self: Disk) -> Memory:
        memory = load(self)
        memory.votes, memory.values = [], []
        return memory

    monkeypatch.setattr(Disk, "load", blocks_only)
    monkeypatch.setattr("coterie.protocol.vote_guard.VoteGuard.permits", lambda self, *vote: True)
    with pytest.raises(AssertionError, match="sign once: peer . at "):
        list(map(sweeping.run, range(40)))


def watched() -> tuple[Cluster, Watch]:
    """Four members after their first round."""
    cluster = Cluster(4, make_genesis(min_peers=4, rounds=1))
    watch = Watch(cluster)
    cluster.start()
    cluster.run(lambda: all(site.node is not None and site.node.state.round == 2 for site in cluster.sites))
    return cluster, watch


def write(record: Record) -> Callable[[Cluster, Watch], None]:
    """One more record on the disk of peer 0."""

    def act(cluster: Cluster, watch: Watch) -> None:
        cluster.sites[0].disk.records.append(record)
        watch.look(cluster.sites[0])

    return act


def written(cluster: Cluster, kind: type[R]) -> R:
    """A record of a kind that peer 0 wrote."""
    return next(record for record in cluster.sites[0].disk.records if isinstance(record, kind))


def decide_again(cluster: Cluster, watch: Watch) -> None:
    write(written(cluster, BlockDecided))(cluster, watch)


def decide_alone(cluster: Cluster, watch: Watch) -> None:
    height = len(watch.states)
    data = Block(height, watch.states[-1].head, Void(2, "shares", ())).encode()
    write(BlockDecided(height, data, written(cluster, BlockDecided).certificate))(cluster, watch)


def vote_again(cluster: Cluster, watch: Watch) -> None:
    vote = written(cluster, VoteCast)
    write(VoteCast(vote.height, vote.view, vote.kind, b"another"))(cluster, watch)


def release_again(cluster: Cluster, watch: Watch) -> None:
    write(Released(written(cluster, Released).round, bytes(32)))(cluster, watch)


def release_undecided(cluster: Cluster, watch: Watch) -> None:
    write(Released(7, bytes(32)))(cluster, watch)


def deal_something_else(cluster: Cluster, watch: Watch) -> None:
    cluster.run(lambda: cluster.all_at("summing"))
    for site in cluster.sites:
        site.disk.records = [
            Dealt(record.round, record.seed, record.vector[8:] + record.vector[:8])
            if isinstance(record, Dealt)
            else record
            for record in site.disk.records
        ]
    cluster.run(lambda: watch.models == 2)


def send_undurable(message: Message) -> Callable[[Cluster, Watch], None]:
    def act(cluster: Cluster, watch: Watch) -> None:
        site = cluster.sites[0]
        sealed = seal(site.identity, cluster.genesis.federation, 1, 9, message)
        watch.before_send(site, Send(None, sealed))

    return act


def accuse(cluster: Cluster, watch: Watch) -> None:
    cluster.sites[0].notices.append(Notice("fault", "it was peer 1"))
    watch.look(cluster.sites[0])


def hoard_sums(cluster: Cluster, watch: Watch) -> None:
    cluster.run(lambda: cluster.all_at("summing"))
    node = cluster.sites[0].node
    assert node is not None
    assert node.ctx.summing is not None
    node.ctx.summing._deferred |= {bytes([number]): b"" for number in range(100)}
    watch.look(cluster.sites[0])


def hoard(cluster: Cluster, watch: Watch) -> None:
    node = cluster.sites[0].node
    assert node is not None
    node._inbox._kept[b"somebody"] = [None] * 100  # type: ignore[list-item]
    watch.look(cluster.sites[0])


def hoard_boxes(cluster: Cluster, watch: Watch) -> None:
    cluster.run(lambda: cluster.all_at("sharing"))
    node = cluster.sites[0].node
    assert node is not None
    assert node.ctx.sharing is not None
    for holder in range(4):
        node.ctx.sharing.custody.keep(1, bytes(32), holder, b"box")
    watch.look(cluster.sites[0])


def hoard_early_boxes(cluster: Cluster, watch: Watch) -> None:
    cluster.run(lambda: cluster.all_at("sharing"))
    node = cluster.sites[0].node
    assert node is not None
    assert node.ctx.sharing is not None
    node.ctx.sharing.custody._early |= {(bytes([number]), 1, 2): None for number in range(100)}  # type: ignore[dict-item]
    watch.look(cluster.sites[0])


def sum_over_others(cluster: Cluster, watch: Watch) -> None:
    """The watch takes it that the first sum on this base was one of somebody else."""
    for key in watch._summed:
        watch._summed[key] = frozenset({bytes(32)})
    state = next(one for one in watch.states if one.phase == "sharing" and (one.weights, False) in watch._summed)
    body = next(read_block(one).body for one in watch.blocks if isinstance(read_block(one).body, Contributors))
    assert isinstance(body, Contributors)
    watch._repeated(state, body)


BREACHES = [
    ("agreement", decide_again),
    ("certificate", decide_alone),
    ("sign once", vote_again),
    ("release once", release_again),
    ("release once", release_undecided),
    ("exact", deal_something_else),
    ("repeated", sum_over_others),
    ("durable", send_undurable(Precommit(bytes(32)))),
    ("durable", send_undurable(SumShare(1, bytes(32), bytes(32)))),
    ("durable", send_undurable(Deal(9, bytes(32), bytes(32), b"", bytes(96), (), ()))),
    ("innocent", accuse),
    ("bounded", hoard),
    ("bounded", hoard_sums),
    ("bounded", hoard_boxes),
    ("bounded", hoard_early_boxes),
]


@pytest.mark.parametrize(("invariant", "breach"), BREACHES, ids=[f"{name} {i}" for i, (name, _) in enumerate(BREACHES)])
def test_the_watch_sees_a_breach(invariant: str, breach: Callable[[Cluster, Watch], None]) -> None:
    cluster, watch = watched()
    with pytest.raises((AssertionError, LedgerError), match=invariant):
        breach(cluster, watch)


def test_every_invariant_has_a_breach_that_is_seen() -> None:
    assert {invariant for invariant, _ in BREACHES} == set(INVARIANTS)
