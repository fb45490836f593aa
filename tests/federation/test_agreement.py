"""Real peers that find each other agree on one model, and can all prove it."""

import pytest
from harness import Federation

pytestmark = pytest.mark.processes


def test_five_peers_agree_on_a_model(federation: Federation) -> None:
    federation.found("--rounds", "3", "--min-peers", "5")
    peers = federation.grow(5)
    for peer in peers:
        peer.wait("finished")
        assert peer.exit_code() == 0, peer.story()
    proofs = [peer.ask("ledger", "verify") for peer in peers]
    assert len({proof["head"] for proof in proofs}) == 1
    assert {proof["trained"] for proof in proofs} == {3}
    files = [peer.ask("model", "export", "--out", str(peer.home / "model.npz")) for peer in peers]
    assert {file["weights"] for file in files} == {proofs[0]["weights"]}
    assert all(file["current"] for file in files)
    assert peers[0].ask("status")["loss"] < 0.1
