"""The first seven safety rules of the protocol: each attack works on a build without the one check, and fails on ours.

| rule | what it says | tests |
| --- | --- | --- |
| 1 | a sum is released for one decided contributor set a round, durably first | `test_rule_1_…` |
| 2 | at least K+1 updates are summed, all on the decided base model | `test_rule_2_…` |
| 3 | no second, different vote, not even from an old copy of the state | `test_rule_3_…` |
| 4 | decided contributors end the round; no second set is summed | `test_rule_4_…`, `test_repeated_sum.py` |
| 5 | certificates count distinct members | `test_rule_5_…` |
| 6 | a dealing is durable before it is sent, a share before it is acked | `test_rule_6_…` |
| 7 | the beacon follows from the contributors' sum | `test_rule_7_…` |
"""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from chains import Chain
from cluster import Cluster, Site
from members import identity, make_genesis
from watch import Watch

from coterie.crypto.field import P
from coterie.crypto.sharing.dealing import Terms as DealingTerms
from coterie.crypto.sharing.dealing import check, deal
from coterie.crypto.sharing.robust import decode
from coterie.crypto.sharing.shamir import Scheme
from coterie.protocol.agreement.open_sum import OpenSum
from coterie.protocol.agreement.tendermint import Consensus, Decide
from coterie.protocol.effects import Effects
from coterie.protocol.jobs import SumShares
from coterie.protocol.ledger.blocks import Contributors, Evict, Membership, Model, read_block
from coterie.protocol.ledger.certificates import extend
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.state import LedgerError, check_sets
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import Ack, Blocks, CertifiedBlock, Deal, Precommit, Prevote, Proposal, SumShare
from coterie.protocol.records import BlockDecided, Dealt, Record, Released, ShareHeld, VoteCast
from coterie.protocol.round.complaints import Complaints
from coterie.protocol.round.sharing import Sharing
from coterie.protocol.round.summing import Summing
from coterie.protocol.vote_guard import VoteGuard
from coterie.topology.invariants import Violation

N, COLUMNS = 4, 5
COMMITTEE = Committee(tuple(bytes([index]) * 32 for index in range(N)))


class Shares:
    """The dealings of four members, and every holder's share of each."""

    def __init__(self) -> None:
        random = np.random.default_rng(7)
        self.vectors = [random.integers(0, P, COLUMNS, dtype=np.uint64) for _ in range(N)]
        self.rows: list[list[np.ndarray[Any, Any]]] = []
        for dealer, vector in enumerate(self.vectors):
            terms = DealingTerms(N, COMMITTEE.threshold, COLUMNS, dealer)
            context = hashlib.sha256(b"context %d" % dealer).digest()
            dealt = deal(context, terms, vector, hashlib.sha256(b"seed %d" % dealer).digest())
            opened = [check(context, terms, j, dealt.commitment, share) for j, share in enumerate(dealt.shares)]
            self.rows.append(opened)

    def sum_share(self, holder: int, dealers: tuple[int, ...]) -> "np.ndarray[Any, Any]":
        """S_j over a contributor set."""
        return np.array([sum(int(self.rows[i][holder][c]) for i in dealers) % P for c in range(COLUMNS)], np.uint64)

    def opened(self, dealers: tuple[int, ...]) -> list[int]:
        """What all holders' released sums open to."""
        rows = np.stack([self.sum_share(holder, dealers) for holder in range(N)])
        decoded = decode(Scheme(N, COMMITTEE.threshold), range(N), rows, COMMITTEE.sum_quorum, bytes(32))
        assert decoded is not None
        return [int(one) for one in decoded.secret]


def difference(larger: list[int], smaller: list[int]) -> list[int]:
    return [(one - other) % P for one, other in zip(larger, smaller, strict=True)]


def body(*dealers: int) -> Contributors:
    return Contributors(3, "shamir", bytes(32), tuple((i, bytes([i]) * 32) for i in dealers), (0, 1, 2))


def summing(which: Contributors) -> Summing:
    """A holder's sum phase for a contributor set; only what `release` looks at is real."""
    from coterie.crypto.identity.identity import Identity
    from coterie.protocol.ledger.contribution import Layout
    from coterie.protocol.schemes import ShamirScheme
    from coterie.protocol.schemes.base import Terms

    me = Identity.from_seed(bytes(32))
    committee = Committee(tuple(sorted((me.public, *COMMITTEE.members[1:]))))
    which = replace_holders(which, committee.index(me.public) or 0)
    terms = Terms(bytes(32), 3, bytes(32), committee.members, Layout(COLUMNS, 0))
    out = Effects(me, bytes(32))
    return Summing(out, which, committee, ShamirScheme(committee), terms, 4.0, 1024, None)


def replace_holders(which: Contributors, me: int) -> Contributors:
    holders = tuple(sorted({me, *which.holders}))
    return Contributors(which.round, which.scheme, which.base_hash, which.dealers, holders)


def released_for(which: Contributors, before: bytes | None) -> bool:
    """Whether a holder that released `before` adds up its shares for this set too."""
    one = summing(which)
    one.release(None, {dealer: bytes(8 * COLUMNS) for dealer, _ in which.dealers}, before)
    return any(isinstance(work, SumShares) for work in one.out.flush().work)


# Rule 1: one release a round.


def test_rule_1_two_opened_sums_of_a_round_give_away_one_members_update() -> None:
    shares = Shares()
    exposed = difference(shares.opened((0, 1, 2, 3)), shares.opened((0, 1, 2)))
    assert exposed == [int(one) for one in shares.vectors[3]]


def test_rule_1_a_second_set_is_released_without_the_check_and_never_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = body(0, 1, 2, 3), body(0, 1, 2)
    before = summing(first).body.digest()
    assert released_for(first, None)
    assert released_for(first, before), "after a restart the same sum may be sent again"
    assert not released_for(second, before)

    ours = Summing.release
    monkeypatch.setattr(Summing, "release", lambda self, vector, held, released: ours(self, vector, held, None))
    assert released_for(second, before)


def test_rule_1_no_sum_leaves_before_its_release_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert train_under_watch()
    forget(monkeypatch, Released)
    with pytest.raises(Violation, match="durable first: . released round 1"):
        train_under_watch()


def without_precommits() -> Cluster:
    """A federation in which nobody's precommits for contributors arrive: a polka, locks, but never a certificate."""
    cluster = Cluster(4, make_genesis(min_peers=4))
    cluster.drop = lambda sender, receiver, message: (
        isinstance(message.message, Precommit) and receiver.node is not None and receiver.node.state.phase == "sharing"
    )
    cluster.start()
    cluster.run(lambda: cluster.all_at("sharing"))
    return cluster


def sums_sent(cluster: Cluster) -> list[SumShare]:
    cluster.run_for(20_000)
    return [message.message for _, _, _, message in cluster.log if isinstance(message.message, SumShare)]


def test_rule_1_no_sum_is_released_without_a_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = without_precommits()
    assert sums_sent(ours) == []
    ours.drop = lambda sender, receiver, message: False
    ours.run(lambda: ours.all_at("finished"))
    assert sums_sent(ours)

    def by_prevotes(self: Consensus) -> bool:
        for view, at in self._views.items():
            if at.proposal is not None and at.prevoted.get(at.proposal[0], 0) >= self.committee.quorum:
                self.decided = at.proposal[0]
                self._out.append(Decide(self.decided, view))
                return True
        return False

    weak = without_precommits()
    monkeypatch.setattr(Consensus, "_line_49", by_prevotes)
    assert sums_sent(weak)


# Rule 2: enough updates, on the right model.


def test_rule_2_a_sum_with_colluders_around_one_honest_update_exposes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = Shares()
    colluder, honest = 0, 3
    padded = body(colluder, honest)
    with pytest.raises(LedgerError, match=r"at least 3 must be summed \(K\+1\)"):
        check_sets(Committee(COMMITTEE.members), padded)

    monkeypatch.setattr(Committee, "min_contributors", 1)
    check_sets(Committee(COMMITTEE.members), padded)
    known = [int(one) for one in shares.vectors[colluder]]
    assert difference(shares.opened((colluder, honest)), known) == [int(one) for one in shares.vectors[honest]]


def test_rule_2_a_dealing_on_another_base_model_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def rebased(site: Site, receiver: Site, send: Any) -> Any:
        """Peer 1 deals an update of a model of its own."""
        from coterie.protocol.messages.envelope import seal

        message = verified(cluster, send.envelope)
        if site.number != 1 or not isinstance(message.message, Deal):
            return send
        fields = {name: getattr(message.message, name) for name in message.message.__struct_fields__}
        forged = Deal(**fields | {"base_hash": bytes(32)})
        raw = seal(site.identity, cluster.genesis.federation, message.height, message.view, forged)
        return replace(send, envelope=raw)

    cluster = Cluster(4, make_genesis(min_peers=4))
    cluster.tamper = rebased
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    contributors = decided(cluster, Contributors)
    assert contributors
    liar = cluster.sites[0].node.state.committee.index(cluster.sites[1].identity.public)  # type: ignore[union-attr]
    assert all(liar not in dict(one.dealers) for one in contributors)

    # Without the check the dealing is held: its commitment says nothing about the base, that is in the message.
    monkeypatch.setattr(Complaints, "wrong_deal", lambda self, dealer, message: None)
    cluster = Cluster(4, make_genesis(min_peers=4))
    cluster.tamper = rebased
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    assert any(liar in dict(one.dealers) for one in decided(cluster, Contributors))


# Rule 3: sign once.


def vote_again_from_an_old_copy() -> list[tuple[bytes | None, bytes | None]]:
    """A member's home is put back to before a vote, and the proposal does not reach it again.

    Returns its contradicting votes that left it.
    """
    cluster = Cluster(4, make_genesis(min_peers=4, view_timeout_ms=30_000))
    # Decisions about contributors never come about, so the height lasts.
    cluster.drop = lambda sender, receiver, message: (
        isinstance(message.message, Precommit) and receiver.node is not None and receiver.node.state.phase == "sharing"
    )
    cluster.start()
    cluster.run(lambda: all(has_voted(site) for site in cluster.sites))
    state = cluster.sites[0].node.state  # type: ignore[union-attr]
    victim = next(site for site in cluster.sites if site.identity.public != state.proposer(0))
    place = next(i for i, one in enumerate(victim.disk.records) if is_vote_at(one, state.height + 1))
    cluster.crash(victim.number)
    victim.disk.records = victim.disk.records[:place]
    ours = cluster.drop
    cluster.drop = lambda sender, receiver, message: (
        ours(sender, receiver, message) or (receiver is victim and isinstance(message.message, Proposal))
    )
    cluster.start(victim.number)
    cluster.run_for(40_000)
    cast: dict[tuple[int, int], set[bytes | None]] = {}
    for _, sender, _, message in cluster.log:
        if sender == victim.number and isinstance(message.message, Prevote):
            cast.setdefault((message.height, message.view), set()).add(message.message.block_hash)
    return [tuple(blocks) for blocks in cast.values() if len(blocks) > 1]  # type: ignore[misc]


def has_voted(site: Site) -> bool:
    return site.node is not None and any(is_vote_at(one, site.node.state.height + 1) for one in site.disk.records)


def is_vote_at(record: Record, height: int) -> bool:
    return isinstance(record, VoteCast) and record.height == height and record.kind == 0


def test_rule_3_an_old_copy_of_the_state_votes_against_itself_only_without_the_guard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert vote_again_from_an_old_copy() == []
    monkeypatch.setattr(VoteGuard, "_knows", lambda self, seen: True)
    assert vote_again_from_an_old_copy()


def test_rule_3_no_vote_leaves_before_it_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert train_under_watch()
    forget(monkeypatch, VoteCast)
    with pytest.raises(Violation, match="durable first: . sent a vote of height"):
        train_under_watch()


# Rule 4: decided contributors end the round.


def test_rule_4_the_ledger_takes_no_second_contributor_set_in_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain(4)
    state = chain.state
    first = Contributors(
        state.round, "shamir", state.weights_hash, tuple((i, bytes(32)) for i in range(4)), (0, 1, 2, 3)
    )
    second = Contributors(
        state.round, "shamir", state.weights_hash, tuple((i, bytes(32)) for i in range(3)), (0, 1, 2, 3)
    )
    chain.append(first)
    with pytest.raises(LedgerError, match="contributors while summing"):
        chain.append(second)
    monkeypatch.setattr("coterie.protocol.ledger.state._expect", lambda holds, otherwise: None)
    assert chain.append(second).contributors == second


# Rule 5: certificates count members.


def test_rule_5_a_certificate_with_a_doubled_signer_passes_only_where_votes_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = Chain(4)
    before, good = chain.states[0], chain.blocks[0]
    state = chain.states[1]
    chain.append(
        Contributors(state.round, "shamir", state.weights_hash, tuple((i, bytes(32)) for i in range(4)), (0, 1, 2))
    )
    certified = chain.blocks[1]
    doubled = CertifiedBlock(certified.block, (certified.certificate[0],) * state.committee.quorum)
    assert extend(before, good).height == 1
    with pytest.raises(LedgerError, match="one of them signs twice"):
        extend(state, doubled)

    def count_votes(state: Any, one: CertifiedBlock) -> None:
        if len(one.certificate) < state.committee.quorum:
            raise LedgerError("too few votes")

    monkeypatch.setattr("coterie.protocol.ledger.certificates.check_certificate", count_votes)
    assert extend(state, doubled).height == 2


# Rule 6: durable before it is sent, held before it is acked.


def test_rule_6_no_dealing_is_sent_before_it_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, Dealt)
    with pytest.raises(Violation, match="durable first: . sent a dealing of round 1"):
        train_under_watch()


def test_rule_6_no_share_is_acked_before_it_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, ShareHeld)
    with pytest.raises(Violation, match="durable first: . acked a share of round 1"):
        train_under_watch()


def is_over(cluster: Cluster) -> bool:
    """Whether they have finished, or evicted a member."""
    return cluster.all_at("finished") or any(evicted(cluster))


def evicted(cluster: Cluster) -> list[tuple[int, str]]:
    """The members that were evicted, and why."""
    changes = [change for body in decided(cluster, Membership) for change in body.changes]
    return [(cluster.by_key[one.member].number, one.reason) for one in changes if isinstance(one, Evict)]


def dealings(cluster: Cluster, number: int) -> dict[int, set[Deal]]:
    """All the different dealings that left a member, by round."""
    found: dict[int, set[Deal]] = {}
    for _, sender, _, message in cluster.log:
        if sender == number and message.sender == identity(number).public and isinstance(message.message, Deal):
            found.setdefault(message.message.round, set()).add(message.message)
    return found


def dealt_around_a_crash() -> Cluster:
    """Peer 2 is killed when its dealing of round 1 has just left it, and started again."""
    cluster = Cluster(4, make_genesis(min_peers=4, rounds=1), seed=3)
    crashed: list[int] = []

    def crash(site: Site) -> None:
        if site.number == 2 and "dealt" in site.kinds() and not crashed:
            crashed.append(2)
            cluster.at(0, lambda: cluster.crash(2))
            cluster.at(5, lambda: cluster.start(2))  # while the round still shares

    cluster.after_step = crash
    cluster.start()
    cluster.run(lambda: bool(crashed) and len(cluster.running()) == 4 and is_over(cluster))
    return cluster


def believes_only_its_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weaken the build: a member does not hold to what the others show that it dealt and acked."""
    monkeypatch.setattr(Sharing, "hold_to", lambda self, said: None)


def test_rule_6_a_restarted_dealer_sends_the_very_same_dealing(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = dealt_around_a_crash()
    assert (len(dealings(ours, 2)[1]), evicted(ours)) == (1, [])
    forget(monkeypatch, Dealt)
    no_disk = dealt_around_a_crash()
    assert (len(dealings(no_disk, 2)[1]), evicted(no_disk)) == (1, []), "the others remind it of what it dealt"
    believes_only_its_disk(monkeypatch)
    weak = dealt_around_a_crash()
    assert (len(dealings(weak, 2)[1]), evicted(weak)) == (2, [(2, "double-deal")])


def dealt_from_an_old_copy(moment: str, copied: bool) -> Cluster:
    """Peer 2's home is put back to before its dealing of a round, and does or does not know that.

    In that round somebody joins, so that it lasts for another height; or peer 2 alone knew that it had begun.
    """
    cluster = Cluster(5, make_genesis(min_peers=4, rounds=2, round_interval_ms=10_000, share_deadline_ms=60_000))
    victim, after = cluster.sites[2], int(moment == "it was ahead")
    cluster.start(0, 1, 2, 3)
    cluster.run(lambda: cluster.all_at("sharing"))
    cluster.drop = lambda sender, receiver, message: isinstance(message.message, Ack)
    if after:
        cluster.drop = lambda sender, receiver, message: False
        cluster.run(lambda: cluster.all_at("summing"))
        cluster.drop = lambda sender, receiver, message: (
            receiver is not victim and isinstance(message.message, Precommit | Blocks)
        )
    old = list(victim.disk.records)
    written = 1 + after
    cluster.run(lambda: sum(isinstance(one, Dealt) for one in victim.disk.records) == written)
    cluster.run_for(500)
    assert all(site.node.state.round == 1 for site in cluster.sites[:4] if site is not victim and site.node)
    cluster.crash(2)
    victim.disk.records = old
    cluster.start(2, memory=replace(victim.disk.load(), copied=copied))
    cluster.run_for(1_000)
    if not after:
        cluster.start(4)
        cluster.run_for(12_000)  # so long that it would have trained again
    cluster.drop = lambda sender, receiver, message: False
    cluster.run(lambda: is_over(cluster), 600_000)
    return cluster


MOMENTS = [("somebody joins", 1), ("it was ahead", 2)]


@pytest.mark.parametrize(("moment", "round_"), MOMENTS)
def test_rule_6_an_old_copy_of_the_state_deals_twice_in_a_round_only_without_the_guard(
    moment: str, round_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dealt = dealings(ours := dealt_from_an_old_copy(moment, copied=True), 2)
    assert {len(one) for one in dealt.values()} == {1}
    assert evicted(ours) == []
    assert max(dealt) == 3, "and it takes part again"

    monkeypatch.setattr(VoteGuard, "may_have_dealt", lambda self, opened_at: self.copied and opened_at < 0)
    believes_only_its_disk(monkeypatch)
    weak = dealt_from_an_old_copy(moment, copied=True)
    assert len(dealings(weak, 2)[round_]) == 2
    assert evicted(weak) == [(2, "double-deal")], "which is evidence against an honest member"


@pytest.mark.parametrize("moment", ["somebody joins"])
def test_rule_6_one_rolled_back_without_noticing_holds_to_what_others_show_that_it_dealt(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dealt = dealings(ours := dealt_from_an_old_copy(moment, copied=False), 2)
    assert {len(one) for one in dealt.values()} == {1}
    assert evicted(ours) == []
    assert max(dealt) == 3, "and it takes part again"

    believes_only_its_disk(monkeypatch)
    weak = dealt_from_an_old_copy(moment, copied=False)
    assert len(dealings(weak, 2)[1]) == 2
    assert evicted(weak) == [(2, "double-deal")]


# Rule 7: the beacon is nobody's choice.


def beacons_with_a_choosy_proposer(monkeypatch: pytest.MonkeyPatch, chosen: bytes) -> set[bytes]:
    """The decided beacons of a federation in which peers 0 and 1 propose a beacon that they chose."""
    cluster = Cluster(7, make_genesis(min_peers=7, rounds=4), seed=1)
    choosy = {site.identity.public for site in cluster.sites[:2]}
    ours = Summing.outcome

    def outcome(self: Summing) -> Any:
        opened = ours(self)
        if opened is None or self.out.me not in choosy:
            return opened
        fields = {name: getattr(opened[0], name) for name in opened[0].__struct_fields__}
        return Model(**fields | {"beacon": chosen}), opened[1]

    with monkeypatch.context() as patch:
        patch.setattr(Summing, "outcome", outcome)
        cluster.start()
        cluster.run(lambda: cluster.all_at("finished"))
    return {one.beacon for one in decided(cluster, Model)}


def test_rule_7_a_proposer_that_chooses_the_beacon_is_outvoted(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = hashlib.sha256(b"the order that suits me").digest()
    assert chosen not in beacons_with_a_choosy_proposer(monkeypatch, chosen)

    def trusting(self: OpenSum, vector_hash: bytes) -> None:
        for proposal, digest in self._take_waiting(vector_hash):
            self.judge(proposal, digest, True)

    monkeypatch.setattr(OpenSum, "on_vector", trusting)
    assert chosen in beacons_with_a_choosy_proposer(monkeypatch, chosen)


# What the tests share.


def forget(monkeypatch: pytest.MonkeyPatch, kind: type[Record]) -> None:
    """Weaken the build: records of this kind never reach the disk."""
    ours = Effects.persist
    monkeypatch.setattr(
        Effects, "persist", lambda self, record: None if isinstance(record, kind) else ours(self, record)
    )


def train_under_watch() -> int:
    """Train a small federation under all invariants; returns how many models were decided."""
    cluster = Cluster(4, make_genesis(min_peers=4))
    watch = Watch(cluster)
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    return watch.models


def decided(cluster: Cluster, kind: type[Any]) -> list[Any]:
    """The decided blocks of one kind."""
    blocks = [read_block(one.block) for one in cluster.sites[2].disk.records if isinstance(one, BlockDecided)]
    return [one.body for one in blocks if isinstance(one.body, kind)]


def verified(cluster: Cluster, envelope: bytes) -> Verified:
    from coterie.protocol.messages.envelope import verify

    message = verify(envelope, cluster.genesis.federation)
    assert isinstance(message, Verified)
    return message
