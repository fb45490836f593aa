"""Newcomers that can reach a single member are admitted all the same, whoever's turn it is to propose."""

import pytest
from cluster import Cluster, Site
from members import make_genesis

from coterie.protocol.messages.envelope import Verified


@pytest.mark.parametrize("seed", range(6))
def test_newcomers_who_reach_the_founder_only_are_all_admitted(seed: int) -> None:
    cluster = Cluster(6, make_genesis(min_peers=6, rounds=1), seed=seed)

    def no_link(sender: Site, receiver: Site, message: Verified) -> bool:
        founder = cluster.sites[0].node
        assert founder is not None
        known = {sender.identity.public, receiver.identity.public} <= set(founder.state.keys)
        return not known and 0 not in (sender.number, receiver.number)

    cluster.drop = no_link
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    assert len(cluster.sites[0].facts("joined")) == 5
