"""After the end of the training the members vote for more rounds, train them, and end once more."""

import pytest
from harness import QUICK, Federation, assert_alike

pytestmark = pytest.mark.processes


def test_members_vote_for_more_rounds_after_the_end(federation: Federation) -> None:
    founder = federation.found(*QUICK, "--rounds", "2", "--stay")
    peers = federation.grow(3, "--stay")
    for peer in peers:
        peer.wait("finished")
    assert peers[1].run("vote").stdout == "nothing is proposed\n"

    proposed = peers[1].run("propose", "--rounds", "+2")
    assert proposed.returncode == 0, proposed.stderr
    assert "proposes --rounds 4; 1 yes of 3 needed" in proposed.stdout
    twice = peers[1].run("propose", "--rounds", "+3")
    assert twice.returncode != 0
    assert "of this member is still open" in twice.stderr

    event = founder.wait("proposed")
    assert f"peer vote yes {event['proposal'][:8]}" in event["text"]
    (row,) = founder.ask("vote")["proposals"]
    assert (row["options"], row["own_vote"], row["id"]) == ("--rounds 4", None, event["proposal"])
    assert "proposal    " in founder.run("status").stdout

    peers[2].wait("proposed")
    assert "this peer voted yes" in peers[2].run("vote", "yes").stdout
    again = peers[2].run("vote", "no")
    assert "has voted on it already" in again.stderr
    marks = [peer.mark() for peer in peers]
    assert founder.run("vote", "yes", row["id"][:8]).returncode == 0
    for peer, mark in zip(peers, marks, strict=True):
        peer.wait("finished", lambda event: event["rounds"] == 4, after=mark)
        assert peer.told("options")[-1]["options"] == "--rounds 4"
    listed = founder.run("ledger", "show").stdout
    assert "the options become --rounds 4" in listed
    for peer in peers:
        assert peer.stop() == 0
    assert_alike(peers)
    assert all(peer.proof().trained == 4 for peer in peers)
