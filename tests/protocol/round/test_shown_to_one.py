"""What proves a lie reaches all, though its author showed it to one member alone, or late, or had left before."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bench import Bench
from chains import Chain
from cluster import Cluster, Site
from ledgers import double_vote, settled, wrong_sum
from members import identity, make_genesis
from signing import dealing, signed

from coterie.crypto.field import P
from coterie.crypto.sharing import robust
from coterie.protocol.agreement.height import Agreement
from coterie.protocol.agreement.sum_votes import SumVotes
from coterie.protocol.events import Leave, PeerDown, PeerUp, Send
from coterie.protocol.ledger import state as ledger
from coterie.protocol.ledger.blocks import Membership
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerError, LedgerState, apply_change
from coterie.protocol.messages.envelope import Verified, seal, verify
from coterie.protocol.messages.kinds import Deal, HandBox, Message, Precommit, Prevote
from coterie.protocol.round.sum_proofs import SumProofs

Change = Callable[[Verified], Message | None]


def lying(cluster: Cluster, liar: int, to: set[int], change: Change, tells_both: bool = False) -> None:
    """The liar says something else to some, and (``tells_both``) what it says to the others as well."""

    def tamper(sender: Site, receiver: Site, send: Send) -> Send:
        said = verify(send.envelope, cluster.genesis.federation)
        if sender.number != liar or receiver.number not in to or not isinstance(said, Verified):
            return send
        other = change(said) if said.sender == sender.identity.public else None
        if other is None:
            return send
        if tells_both:
            cluster.transmit(sender, receiver, send)
        return replace(send, envelope=seal(sender.identity, cluster.genesis.federation, said.height, said.view, other))

    cluster.tamper = tamper


def state_of(cluster: Cluster) -> LedgerState:
    node = cluster.sites[0].node
    assert node is not None
    return node.state


# A false z before one member.


def false_z_before_one(seed: int) -> tuple[list[int], bool]:
    """Who names the liar, and whether it is evicted, after twelve rounds of which it lies in the first."""
    cluster = Cluster(4, make_genesis(min_peers=3, rounds=12, evict_after_rounds=0), seed)
    heights: set[int] = set()

    def change(said: Verified) -> Message | None:
        vote = said.message
        is_first = not heights or heights == {said.height}
        if not isinstance(vote, Prevote) or vote.z is None or not is_first or state_of(cluster).committee.n < 4:
            return None
        heights.add(said.height)
        return Prevote(vote.block_hash, ((vote.z[0] + 1) % P, vote.z[1]))

    lying(cluster, 3, {2}, change)
    cluster.start()
    cluster.run(lambda: state_of(cluster).phase is Phase.FINISHED, 2_000_000)
    assert heights
    named = [site.number for site in cluster.sites if any(fact.get("wrong_sum") for fact in site.facts("fault"))]
    return named, state_of(cluster).member(cluster.sites[3].identity.public) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_false_z_that_one_member_was_shown_evicts(seed: int) -> None:
    assert false_z_before_one(seed) == ([0, 1, 2], True)


def test_a_false_z_that_is_not_passed_on_and_soon_forgotten_evicts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SumVotes, "_pass_on", lambda self, vote: None)
    monkeypatch.setattr(ledger, "_JUDGED_SUMS", 1)
    ledger.apply.cache_clear()  # it may know these very blocks from a build that remembers more
    assert false_z_before_one(1) == ([2], False)


def test_proof_of_a_wrong_sum_counts_for_64_sums() -> None:
    """Nobody is evicted while a sum is open, nor by its own proposal."""
    chain = settled()
    evict = wrong_sum(chain, 3)
    for _ in range(63):
        chain.round()
    assert evict.member not in apply_change(chain.state, evict).keys
    chain.round()
    with pytest.raises(LedgerError, match="no wrong sum"):
        apply_change(chain.state, evict)


def false_z_beside_the_true_one(view: int, seed: int = 0) -> tuple[list[int], bool]:
    """Who names a liar that shows a true z and, in a vote of that view, a false one; and whether it is evicted."""
    cluster = Cluster(4, make_genesis(min_peers=3, rounds=4, evict_after_rounds=0), seed)
    liar = cluster.sites[3]

    def tamper(sender: Site, receiver: Site, send: Send) -> Send:
        said = verify(send.envelope, cluster.genesis.federation)
        if sender is liar and isinstance(said, Verified) and said.sender == liar.identity.public:
            vote = said.message
            if isinstance(vote, Prevote) and vote.z is not None and state_of(cluster).committee.n == 4:
                false = Prevote(vote.block_hash, ((vote.z[0] + 1) % P, vote.z[1]))
                raw = seal(liar.identity, cluster.genesis.federation, said.height, view, false)
                cluster.transmit(sender, receiver, replace(send, envelope=raw))
        return send

    cluster.tamper = tamper
    cluster.start()
    cluster.run(lambda: state_of(cluster).phase is Phase.FINISHED, 2_000_000)
    named = [site.number for site in cluster.sites if any(fact.get("wrong_sum") for fact in site.facts("fault"))]
    return named, state_of(cluster).member(liar.identity.public) is None


@pytest.mark.parametrize("view", [0, 1, 5])
def test_a_false_z_beside_a_true_one_evicts_in_whatever_view(view: int) -> None:
    assert false_z_beside_the_true_one(view) == ([0, 1, 2], True)


def test_where_the_votes_of_each_view_are_judged_alone_one_of_another_view_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hear = SumProofs.hear

    def of_the_first_view(self: SumProofs, vote: Verified) -> None:
        if vote.view == 0:
            hear(self, vote)

    monkeypatch.setattr(SumProofs, "hear", of_the_first_view)
    assert false_z_beside_the_true_one(5) == ([], False)


def test_false_zs_of_many_kinds_cost_as_many_decodings_as_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of five liars gives each of the others another false z, and all pass on what they got."""
    n, counted = 16, [0]
    locate = robust.locate

    def counting(*arguments: Any) -> Any:
        counted[0] += 1
        return locate(*arguments)

    monkeypatch.setattr(robust, "locate", counting)
    cluster = Cluster(n, make_genesis(min_peers=n, rounds=1, evict_after_rounds=0), 1)
    liars = {site.identity.public for site in cluster.sites[n - 5 :]}

    def tamper(sender: Site, receiver: Site, send: Send) -> Send:
        said = verify(send.envelope, cluster.genesis.federation)
        if isinstance(said, Verified) and said.sender in liars and isinstance(vote := said.message, Prevote) and vote.z:
            false = Prevote(vote.block_hash, ((vote.z[0] + 1 + receiver.number) % P, vote.z[1]))
            raw = seal(sender.identity, cluster.genesis.federation, said.height, said.view, false)
            return replace(send, envelope=raw)
        return send

    cluster.tamper = tamper
    cluster.start()
    cluster.run(lambda: state_of(cluster).round == 2, 600_000)
    assert 0 < counted[0] <= 2 * n * n, "two for each vote of another member, at most"


def test_of_a_member_a_few_votes_are_kept_and_of_others_none() -> None:
    chain = Chain(4)
    chain.append(chain.contributors())
    case = Bench(chain)
    case.begin()
    sum_ = case.node.heights.open_sum
    assert sum_ is not None

    def vote(who: int, block: int, z: int) -> Verified:
        said = Prevote(bytes([block]) * 32, (z, 0))
        return signed(identity(who), said, case.node.ctx.height, 0, case.node.state.federation)

    for who in (1, 30, 31, 32):
        for block in range(50):
            for z in range(5):
                sum_.votes.name_liars(vote(who, block, z))
    said = sum_.summing.proofs._said.values()
    kept = [one for of_block in said for shown in of_block.votes.values() for one in shown]
    assert {one.sender for one in kept} == {identity(1).public}
    assert len(kept) == 8


# Two votes of which one comes when the block is decided.


def second_vote_after_the_decision() -> bool:
    """Whether a liar is evicted whose other precommit comes to all after the height was decided."""
    cluster = Cluster(4, make_genesis(min_peers=3, rounds=6, evict_after_rounds=0), 1)
    cluster.start()
    liar, height = cluster.sites[3], 0
    cluster.run(lambda: state_of(cluster).committee.n == 4 and state_of(cluster).phase is Phase.SUMMING)
    height = state_of(cluster).height
    other = seal(liar.identity, cluster.genesis.federation, height, 0, Precommit(b"\7" * 32))
    for site in cluster.sites[:3]:
        cluster.transmit(liar, site, Send(site.identity.public, other, None))
    cluster.run(lambda: state_of(cluster).phase is Phase.FINISHED, 300_000)
    return state_of(cluster).member(liar.identity.public) is None


def test_a_second_vote_that_comes_after_the_decision_evicts() -> None:
    assert second_vote_after_the_decision()


def test_a_second_vote_that_is_not_looked_at_any_more_evicts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Agreement.on_late

    def on_late(self: Agreement, message: Verified) -> bool:
        return not self.consensus.has(message) and honest(self, message)

    monkeypatch.setattr(Agreement, "on_late", on_late)
    assert not second_vote_after_the_decision()


# One that leaves first.


def leaves_and_lies() -> tuple[bool, bool]:
    """Whether one that left, and voted twice in the round that it belonged to still, is barred; and a member again."""
    cluster = Cluster(5, make_genesis(min_peers=4, rounds=12, evict_after_rounds=0, admit="open"), 3)
    liar = cluster.sites[4].identity.public

    def change(said: Verified) -> Message | None:
        state = state_of(cluster)
        has_left = state.member(liar) is None and liar in state.committee.members
        return Precommit(b"\7" * 32) if has_left and isinstance(said.message, Precommit) else None

    lying(cluster, 4, {0, 1}, change, tells_both=True)
    cluster.start()
    cluster.run(lambda: state_of(cluster).committee.n == 5 and state_of(cluster).phase is Phase.SHARING)
    cluster.hand_in(4, Leave())
    cluster.run(lambda: liar in state_of(cluster).gone, 100_000)
    height = state_of(cluster).height
    cluster.run(lambda: state_of(cluster).height >= height + 4, 100_000)
    cluster.tamper = lambda sender, receiver, send: send
    if cluster.sites[4].node is not None:
        cluster.crash(4)
    cluster.start(4)
    cluster.run(lambda: state_of(cluster).phase is Phase.FINISHED, 400_000)
    state = state_of(cluster)
    return state.gone[liar].barred, state.member(liar) is not None


def test_two_votes_of_one_that_has_left_bar_it() -> None:
    assert leaves_and_lies() == (True, False)


def test_where_members_alone_are_evicted_one_that_lied_after_it_had_left_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LedgerState, "may_be_evicted", lambda self, key: self.member(key) is not None)
    assert leaves_and_lies() == (False, True)


def test_who_is_barred_after_it_left_reads_no_more_than_before() -> None:
    chain = settled()
    liar = identity(1)
    chain.append(Membership((chain.leave(liar),)))
    left = chain.state.gone[liar.public].height
    state = apply_change(chain.state, double_vote(chain, 1))
    assert (state.gone[liar.public].barred, state.gone[liar.public].height) == (True, left)
    with pytest.raises(LedgerError, match="somebody who is no member"):
        apply_change(state, double_vote(chain, 1))


def told_of_one_that_has_left() -> int:
    """How many accusations of one that is no part of the round are repeated as long as it lasts."""
    chain = Chain(5)
    chain.append(Membership((chain.leave(identity(1)),)))
    chain.append(chain.void())
    assert chain.state.committee.index(identity(1).public) is None
    bench = Bench(chain)
    bench.begin()
    roots = (bytes(32), b"\1" * 32)
    deals = [dealing(chain.state.round, chain.state.weights_hash, root) for root in roots]
    context = bench.node.ctx
    context.accuse(*(signed(identity(1), deal, chain.state.height + 1, 0, chain.state.federation) for deal in deals))
    assert context.pool.accuses(identity(1).public)
    return len(context.told)


def test_what_one_that_has_left_is_accused_of_is_told_once() -> None:
    """Else each key that was ever a member costs all of them an accusation every few seconds."""
    assert told_of_one_that_has_left() == 0


# One that leaves and comes back within a round.


def leaves_and_returns(seed: int) -> bool:
    """Whether a round ends in which a liar left, came back and fell silent, while a member was away.

    That one learns of both at once. Another member trains for long, so that the round lasts.
    """
    cluster = Cluster(4, make_genesis(min_peers=3, rounds=6, evict_after_rounds=0), seed)
    liar, away = cluster.sites[3].identity.public, cluster.sites[2]
    is_cut = is_slow = False

    def drop(sender: Site, receiver: Site, message: Verified) -> bool:
        if is_cut and away in (sender, receiver):
            return True
        return is_slow and sender.number == 1 and isinstance(message.message, Deal | HandBox)

    def link(event: type[PeerUp | PeerDown]) -> None:
        for other in (0, 1, 3):
            cluster.hand_in(other, event(away.identity.public))
            cluster.hand_in(2, event(cluster.sites[other].identity.public))

    cluster.drop = drop
    cluster.start()

    def state() -> LedgerState:
        return state_of(cluster)

    cluster.run(lambda: state().committee.n == 4 and state().round == 2 and state().phase is Phase.SUMMING)
    is_cut = is_slow = True
    link(PeerDown)
    cluster.run(lambda: state().round == 3, 60_000)
    cluster.run_for(500)
    cluster.hand_in(3, Leave())
    cluster.run(lambda: liar in state().gone, 20_000)
    cluster.run_for(60)
    cluster.crash(3)
    cluster.start(3)
    cluster.run(lambda: state().member(liar) is not None, 20_000)
    cluster.run_for(60)
    assert state().round == 3
    is_cut = False
    link(PeerUp)
    cluster.run(lambda: away.node is not None and away.node.state.height == state().height, 20_000)
    cluster.run_for(300)
    cluster.crash(3)
    is_slow = False
    try:
        cluster.run(lambda: state().round > 3, 1_200_000)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("seed", range(2))
def test_one_that_leaves_and_comes_back_within_a_round_has_no_part_in_it_for_anybody(seed: int) -> None:
    assert leaves_and_returns(seed)


def test_where_whoever_is_a_member_again_counts_members_disagree_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def departed(self: LedgerState) -> frozenset[int]:
        return frozenset(place for place, key in enumerate(self.committee.members) if self.member(key) is None)

    monkeypatch.setattr(LedgerState, "departed", property(departed))
    ledger.apply.cache_clear()
    assert not leaves_and_returns(0)
