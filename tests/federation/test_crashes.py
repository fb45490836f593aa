"""Peers are killed, frozen and restarted; the others go on, and who returns catches up without a second vote."""

import pytest
from harness import Federation, Peer, dying

pytestmark = pytest.mark.processes


def all_agree(peers: list[Peer]) -> None:
    """Everybody finished with the same ledger, and nobody found a fault in anybody."""
    for peer in peers:
        peer.wait("finished")
        assert peer.stop() == 0, peer.story()
    proofs = [peer.ask("ledger", "verify") for peer in peers]
    assert len({proof["head"] for proof in proofs}) == 1
    assert len({proof["weights"] for proof in proofs}) == 1
    faults = [event for peer in peers for event in peer.events if event["event"] in ("fault", "bad-frame")]
    assert faults == []


@pytest.mark.parametrize("moment", ["dealing", "proposing", "voting", "releasing", "summing", "deciding"])
def test_the_aggregator_is_killed_and_the_others_go_on(federation: Federation, moment: str) -> None:
    federation.command = dying(moment, 2)
    federation.found("--rounds", "4", "--min-peers", "5", "--stay")
    peers = federation.grow(5, "--stay")
    victim = federation.first_to_end()
    survivors = [peer for peer in peers if peer is not victim]
    for peer in survivors:
        peer.model(3)
    place = victim.restart()
    victim.wait("resuming", after=place)
    all_agree(peers)


def test_everybody_is_killed_at_once_and_goes_on(federation: Federation) -> None:
    federation.found("--rounds", "6", "--min-peers", "4", "--stay", "--round-interval", "0.3")
    peers = federation.grow(4, "--stay")
    peers[0].model(2)
    for peer in peers:
        peer.process.kill()
    for peer in peers:
        peer.exit_code()
        peer.restart()
    all_agree(peers)


def test_a_frozen_peer_holds_nobody_up_and_catches_up_when_thawed(federation: Federation) -> None:
    federation.found("--rounds", "8", "--min-peers", "4", "--stay", "--round-interval", "0.2")
    peers = federation.grow(4, "--stay")
    frozen, others = peers[2], [peer for peer in peers if peer is not peers[2]]
    others[0].model(2)
    frozen.freeze()
    for peer in others:
        peer.model(7)
    frozen.thaw()
    all_agree(peers)
