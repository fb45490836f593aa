"""What proves a lie reaches all, though its author showed it to one member alone, or late, or had left before."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cluster import Cluster, Site, identity, make_genesis
from ledgers import double_vote, settled, wrong_sum

from coterie.crypto.field import P
from coterie.protocol import ledger
from coterie.protocol.agreement import Agreement
from coterie.protocol.blocks import Membership
from coterie.protocol.envelope import Verified, seal, verify
from coterie.protocol.events import Leave, Send
from coterie.protocol.ledger import LedgerError, LedgerState, Phase, apply_change
from coterie.protocol.messages import Message, Precommit, Prevote

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
            cluster._transmit(sender, receiver, send)
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
        return Prevote(vote.block, ((vote.z[0] + 1) % P, vote.z[1]))

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
    monkeypatch.setattr(Agreement, "_pass_on", lambda self, vote: None)
    monkeypatch.setattr(ledger, "_JUDGED_SUMS", 1)
    ledger.apply.cache_clear()  # it may know these very blocks from a build that remembers more
    assert false_z_before_one(0) == ([2], False)


def test_proof_of_a_wrong_sum_counts_for_eight_sums() -> None:
    """Nobody is evicted while a sum is open, nor by its own proposal."""
    chain = settled()
    evict = wrong_sum(chain, 3)
    for _ in range(7):
        chain.round()
    assert evict.member not in apply_change(chain.state, evict).keys
    chain.round()
    with pytest.raises(LedgerError, match="no wrong sum"):
        apply_change(chain.state, evict)


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
        cluster._transmit(liar, site, Send(site.identity.public, other, None))
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
