"""A decided sum stays open until enough hold a share of it; a member that was away becomes a holder when it is back.

Five members: K is 3, and four must hold a share for a sum to open. A is away when the dealings are made, so U and J are
the other four; then B is killed while the sum is open.
"""

import pytest
from cluster import Cluster
from members import make_genesis
from watch import Watch

from coterie.protocol.events import PeerDown, PeerUp
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.messages.kinds import SumShare
from coterie.protocol.round.sharing import Sharing

A, B = 4, 2
OTHERS = (0, 1, 3)


class Away(Cluster):
    """A is away, as a process that was killed or as one that nobody reaches, until the sum is open without B, too."""

    def __init__(self, is_killed: bool, seed: int = 1) -> None:
        super().__init__(5, make_genesis(min_peers=5, setup_sums=0, rounds=1, round_interval_ms=5_000), seed)
        self.watch = Watch(self)
        self.is_killed = is_killed
        self.apart = False
        self.drop = lambda sender, receiver, message: (
            (self.apart and A in (sender.number, receiver.number))
            or (sender.number == B and isinstance(message.message, SumShare))
        )

    def go(self) -> None:
        """Run until the sum has waited for long."""
        self.start()
        self.run(lambda: self.all_at(Phase.SHARING))
        if self.is_killed:
            self.crash(A)
        else:
            self.apart = True
            self.link(PeerDown)
        self.run(lambda: self.is_at(Phase.SUMMING))
        self.crash(B)
        self.run_for(600_000)
        assert self.is_at(Phase.SUMMING), "nothing is given up, and nothing else is summed"
        assert self.summed() == {0, 1, 2, 3}

    def come_back(self) -> None:
        """A is there again, and B is not."""
        if self.is_killed:
            self.start(A)
        else:
            self.apart = False
            self.link(PeerUp)

    def link(self, event: type[PeerDown | PeerUp]) -> None:
        """Tell A and the others that they reach one another, or do not."""
        for site in self.running():
            if site.number != A:
                self.hand_in(site.number, event(self.sites[A].identity.public))
                self.hand_in(A, event(site.identity.public))

    def is_at(self, phase: Phase) -> bool:
        """Whether those that stay are all in this phase."""
        return all(self.sites[one].node.state.phase is phase for one in OTHERS)  # type: ignore[union-attr]

    def summed(self) -> set[int]:
        """The contributors of the open sum."""
        state = self.sites[0].node.state  # type: ignore[union-attr]
        assert state.contributors is not None
        return {self.by_key[state.committee.members[index]].number for index, _ in state.contributors.dealers}


@pytest.mark.parametrize("is_killed", [False, True], ids=["not reached", "killed"])
def test_a_sum_opens_once_a_member_that_was_away_holds_a_share_of_it(is_killed: bool) -> None:
    cluster = Away(is_killed)
    cluster.go()
    told = cluster.sites[0].facts("stuck")[-1]
    assert told["members"] == (cluster.sites[B].identity.public,), "of those that hold a share, B is missed"

    cluster.come_back()
    cluster.run(lambda: cluster.sites[0].node.state.trained == 1)  # type: ignore[union-attr]
    assert cluster.watch.models == 1, "the sum of what all four dealt, B too: the watch compares"
    assert cluster.sites[B].node is None


@pytest.mark.parametrize("is_killed", [False, True], ids=["not reached", "killed"])
def test_such_a_sum_stays_closed_where_boxes_of_members_that_are_away_are_not_kept(
    is_killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sharing, "_hand_over", lambda self, holders, to=None: None)
    cluster = Away(is_killed)
    cluster.go()
    cluster.come_back()
    cluster.run_for(600_000)
    assert cluster.is_at(Phase.SUMMING), "B dealt to A never, and is gone"
    cluster.start(B)
    cluster.run(lambda: cluster.sites[0].node.state.trained == 1)  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(5))
def test_a_late_holder_that_is_killed_between_boxes_takes_them_again(seed: int) -> None:
    cluster = Away(is_killed=True, seed=seed)
    cluster.go()
    cluster.come_back()
    cluster.run_for(5 + 7 * seed)
    cluster.crash(A)
    cluster.run_for(100)
    cluster.start(A)
    cluster.run(lambda: cluster.sites[0].node.state.trained == 1)  # type: ignore[union-attr]
