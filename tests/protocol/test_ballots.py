"""Members that change options of the training: they propose, vote, and go on with what was decided."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from cluster import Cluster
from members import identity, make_genesis
from signing import signed

from coterie.protocol.events import ProposeOptions, Received, Send, VoteOnOptions
from coterie.protocol.ledger import options as ledger_options
from coterie.protocol.ledger.state import LedgerState, apply
from coterie.protocol.limits import MAX_VOTES_PER_MEMBER
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import OptionsChange, OptionsProposal, OptionsVote
from coterie.protocol.node import Node
from coterie.protocol.open_proposals import OpenProposal
from coterie.protocol.records import BallotCast


def finished(peers: int = 4) -> Cluster:
    """Peers that have trained their one round."""
    cluster = Cluster(peers, make_genesis(rounds=1), is_founded=True)
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    return cluster


def node(cluster: Cluster, number: int) -> Node:
    found = cluster.sites[number].node
    assert found is not None
    return found


def opened(cluster: Cluster, number: int) -> tuple[OpenProposal, ...]:
    return node(cluster, number).ctx.pool.proposals.listed(node(cluster, number).state)


def propose(cluster: Cluster, number: int, **change: int) -> bytes:
    """A peer proposes; wait until all that run know of it. Returns the id."""
    cluster.hand_in(number, ProposeOptions(OptionsChange(**change)))
    mine = next(one.id for one in opened(cluster, number) if one.envelope.sender == cluster.sites[number].key)
    numbers = [one.number for one in cluster.running()]
    cluster.run(lambda: all(any(one.id == mine for one in opened(cluster, other)) for other in numbers))
    return mine


def vote(cluster: Cluster, proposal: bytes, *numbers: int, accepts: bool = True) -> None:
    for number in numbers:
        cluster.hand_in(number, VoteOnOptions(proposal, accepts))


def trained(cluster: Cluster, rounds: int) -> bool:
    return cluster.all_at("finished") and all(
        node(cluster, one.number).state.trained == rounds for one in cluster.running()
    )


def test_after_the_end_a_quorum_trains_more_rounds() -> None:
    cluster = finished()
    vote(cluster, propose(cluster, 1, rounds=3), 2, 3)
    cluster.run(lambda: trained(cluster, 3))
    assert not any(opened(cluster, number) for number in range(4))
    assert all("options" in one.kinds() for one in cluster.sites)


def test_a_minority_decides_nothing_and_so_many_noes_end_a_proposal() -> None:
    cluster = finished()
    mine = propose(cluster, 1, rounds=3)
    vote(cluster, mine, 2)
    vote(cluster, mine, 0, 3, accepts=False)
    cluster.run(lambda: all(one.is_refused for number in range(4) for one in opened(cluster, number)))
    cluster.run_for(60_000)
    assert trained(cluster, 1)
    other = propose(cluster, 1, rounds=2)
    assert other != mine, "a refused proposal makes room for another"


def test_options_change_in_the_middle_of_the_training() -> None:
    cluster = Cluster(4, make_genesis(rounds=3), is_founded=True)
    cluster.start()
    cluster.run(lambda: node(cluster, 0).state.trained == 1)
    vote(cluster, propose(cluster, 0, rounds=5), 1, 2, 3)
    cluster.run(lambda: trained(cluster, 5))


def test_a_member_has_one_open_proposal() -> None:
    cluster = finished()
    propose(cluster, 1, rounds=3)
    cluster.hand_in(1, ProposeOptions(OptionsChange(rounds=4)))
    assert len(opened(cluster, 1)) == 1
    assert "still open" in cluster.sites[1].notices[-1].text


def test_a_vote_is_durable_before_it_is_sent_and_final_also_after_a_restart() -> None:
    cluster = finished()
    mine = propose(cluster, 1, rounds=3)
    sent: list[tuple[int, Verified]] = []

    def watch(site: object, send: Send) -> None:
        read = cluster.simulation.known(send.envelope)
        if read is not None and isinstance(read.message, OptionsVote) and read.sender == cluster.sites[2].key:
            kept = [one for one in cluster.sites[2].disk.records if isinstance(one, BallotCast)]
            assert [one.envelope for one in kept] == [read.raw], "durable before it is sent"
            sent.append((len(kept), read))

    cluster.before_send = watch  # type: ignore[assignment]
    vote(cluster, mine, 2, accepts=False)
    cluster.run_for(100)
    assert sent
    cluster.start(2)
    cluster.run(lambda: bool(opened(cluster, 2)))
    vote(cluster, mine, 2, accepts=True)
    assert "has voted on it already" in cluster.sites[2].notices[-1].text
    assert opened(cluster, 2)[0].vote_of(cluster.sites[2].key) is False
    cluster.run_for(60_000)
    assert len([one for one in cluster.sites[2].disk.records if isinstance(one, BallotCast)]) == 1


def test_a_vote_counts_also_after_its_voter_has_gone() -> None:
    cluster = finished()
    cluster.crash(3)
    mine = propose(cluster, 1, rounds=3)
    cluster.run_for(1_000)
    cluster.crash(1)  # proposer and voter; those that stay know both
    cluster.start(3)
    cluster.run(lambda: bool(opened(cluster, 3)))
    vote(cluster, mine, 2, 3)
    cluster.run(lambda: trained(cluster, 3))


def test_of_two_open_proposals_one_is_decided() -> None:
    cluster = finished()
    mine, other = propose(cluster, 1, rounds=3), propose(cluster, 2, rounds=4)
    assert len(opened(cluster, 0)) == 2
    vote(cluster, mine, 0)
    vote(cluster, other, 0)
    cluster.run_for(10_000)
    assert trained(cluster, 1), "two yes-votes each, and three are needed"
    vote(cluster, other, 3)
    cluster.run(lambda: trained(cluster, 4))
    assert not opened(cluster, 0)


def test_a_flood_of_proposals_and_votes_keeps_no_more_than_the_newest() -> None:
    cluster = finished()
    state, liar = node(cluster, 0).state, identity(3)
    pool = node(cluster, 0).ctx.pool.proposals
    for number in range(1, 100):
        message = OptionsProposal(1, state.round, number, OptionsChange(rounds=1 + number))
        cluster.hand_in(0, Received(signed(liar, message, state.height + 1, federation=state.federation)))
        for height in range(3):
            unknown = OptionsVote(bytes([number, height]) * 16, True)
            cluster.hand_in(0, Received(signed(liar, unknown, state.height + 1, federation=state.federation)))
        mine = OptionsVote(opened(cluster, 0)[0].id, True)
        cluster.hand_in(0, Received(signed(liar, mine, state.height + 1, federation=state.federation)))
    assert pool.held == (1, 1)
    assert pool.held[1] <= MAX_VOTES_PER_MEMBER
    assert opened(cluster, 0)[0].proposal.change.rounds == 100


def test_an_older_proposal_of_a_member_does_not_replace_its_newer_one() -> None:
    cluster = finished()
    mine = propose(cluster, 1, rounds=3)
    old = OptionsProposal(1, node(cluster, 0).state.round, 1, OptionsChange(rounds=9))
    said = signed(identity(1), old, node(cluster, 0).state.height + 1, federation=node(cluster, 0).state.federation)
    cluster.hand_in(0, Received(said))
    assert [one.id for one in opened(cluster, 0)] == [mine]


# A liar that votes both ways, and one that shows votes of an old proposal.


def test_a_liar_that_votes_both_ways_counts_once_and_as_a_yes_everywhere() -> None:
    cluster = finished()
    mine = propose(cluster, 1, rounds=3)
    cluster.run_for(1_000)
    state = node(cluster, 0).state
    said = [
        signed(identity(3), OptionsVote(mine, accepts), state.height + 1, federation=state.federation)
        for accepts in (False, True)
    ]
    for number, order in ((0, said), (1, said), (2, said[::-1])):
        for one in order:
            cluster.hand_in(number, Received(one))
    assert all(len(opened(cluster, number)[0].accepting) == 2 for number in range(3))
    assert all(not opened(cluster, number)[0].refusing for number in range(3))


@pytest.fixture
def weakened() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as bent:
        yield bent
    apply.cache_clear()


def _replays_old_votes() -> int:
    """Members agree on more rounds, and then on fewer. A liar shows them the first proposal and its votes once more.

    Returns the rounds that they have agreed on in the end.
    """
    apply.cache_clear()
    cluster = finished()
    first = propose(cluster, 1, rounds=60)
    vote(cluster, first, 2)
    cluster.run(lambda: len(opened(cluster, 2)[0].accepting) == 2)
    old = opened(cluster, 2)[0]
    message = signed(identity(3), OptionsVote(first, True), node(cluster, 3).state.height + 1, federation=_of(cluster))
    said = [old.envelope, *old.accepting, message]
    vote(cluster, first, 3)
    cluster.run(lambda: all(node(cluster, number).state.amendments == 1 for number in range(4)))
    vote(cluster, propose(cluster, 0, rounds=50), 1, 2)
    cluster.run(lambda: all(node(cluster, number).state.amendments == 2 for number in range(4)))
    for number in range(3):
        for one in said:
            cluster.hand_in(number, Received(one))
    cluster.run_for(10_000)
    return node(cluster, 0).state.agreed.rounds


def _of(cluster: Cluster) -> bytes:
    return node(cluster, 0).state.federation


def test_old_votes_that_a_liar_shows_again_decide_nothing() -> None:
    assert _replays_old_votes() == 50


def test_where_the_number_does_not_count_old_votes_decide_again(weakened: pytest.MonkeyPatch) -> None:
    honest = ledger_options.proposed

    def unnumbered(state: LedgerState, one: Verified) -> ledger_options.Options:
        assert isinstance(one.message, OptionsProposal)
        return honest(replace(state, amendments=one.message.number - 1), one)

    for place in ("ledger.options", "open_proposals", "handlers.ballots"):
        weakened.setattr(f"coterie.protocol.{place}.proposed", unnumbered)
    assert _replays_old_votes() == 60
