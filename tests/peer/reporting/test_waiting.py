"""A round that waits says for whom: for members that are there and have not dealt, or not acked."""

from cluster import Cluster, Site
from members import identity, make_genesis

from coterie.peer.reporting.status import ledger_status, lines, members_status
from coterie.peer.reporting.waiting import Wait, Waiting, awaited_in_round
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import Ack, Deal
from coterie.protocol.node import Node

LATE = identity(2).public


def node(cluster: Cluster, number: int) -> Node:
    found = cluster.sites[number].node
    assert found is not None
    return found


def waiting_cluster(kind: type[Deal] | type[Ack]) -> Cluster:
    """Four members, one of whose messages of this kind reach nobody, in their first round (of the setup)."""
    cluster = Cluster(4, make_genesis(share_deadline_ms=60_000, setup_sums=1, min_peers=4))

    def drop(sender: Site, receiver: Site, message: Verified) -> bool:
        return sender.number == 2 and isinstance(message.message, kind)

    cluster.drop = drop
    cluster.start()
    cluster.run_for(10_000)
    return cluster


def test_a_round_waits_for_the_member_that_does_not_deal() -> None:
    cluster = waiting_cluster(Deal)
    assert node(cluster, 0).state.kind == "setup"
    for number in (0, 1, 3):
        assert awaited_in_round(node(cluster, number)) == Wait(0, "the update", (LATE,))
    cluster.crash(2)
    cluster.run(lambda: node(cluster, 0).state.round == 1)
    cluster.run(lambda: node(cluster, 0).state.phase is Phase.SHARING)
    for _ in range(100):
        cluster.run_for(1)
        wait = awaited_in_round(node(cluster, 0))
        assert wait is None or LATE not in wait.members, "who is gone is not waited for"


def test_a_round_waits_for_the_member_that_does_not_ack() -> None:
    cluster = waiting_cluster(Ack)
    for number in (0, 1, 3):
        assert awaited_in_round(node(cluster, number)) == Wait(0, "the ack", (LATE,))


def test_it_is_told_once_a_round_after_a_while_and_stands_in_the_status() -> None:
    cluster = waiting_cluster(Deal)
    waiting, first, other = Waiting(patience_seconds=10), Wait(0, "the update", (LATE,)), Wait(1, "the ack", (LATE,))
    looks = [(first, 0), (first, 9), (None, 9), (first, 10), (first, 19), (first, 20), (first, 40), (other, 41)]
    assert [now for wait, now in looks if waiting.look(wait, now)] == [20]
    assert waiting.text(node(cluster, 0), 45) == "round 1 waits for the ack of peer 2 (since 4 s)"
    state, text = node(cluster, 0).state, waiting.text(node(cluster, 0), 45)
    status = {"running": True, **ledger_status(state), "members": members_status(state, LATE, ()), "waits": text}
    assert f"waits       {text}" in lines(status)
    assert waiting.look(other, 51)
    assert not waiting.look(None, 52)
    assert waiting.text(node(cluster, 0), 52) is None


def test_what_an_earlier_round_waited_for_is_not_told_of_this_one() -> None:
    waiting, first = Waiting(), Wait(0, "the update", (LATE,))
    assert waiting.of(0) is None
    waiting.look(first, 0)
    assert waiting.of(0) == first
    assert waiting.of(1) is None
