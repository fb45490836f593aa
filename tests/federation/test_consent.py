"""What an operator accepts by joining, and that going on in a new federation adds nothing up twice."""

import pytest
from harness import Federation, Peer, assert_alike

from coterie.peer.errors import Exit

pytestmark = pytest.mark.processes


def test_nobody_takes_part_in_plain_averaging_unasked(federation: Federation) -> None:
    founder = federation.found("--scheme", "plain", "--rounds", "3", "--round-interval", "0.2")
    assert "hides nothing" in founder.told("founded")[0]["text"]
    assert "--allow-plain" in founder.told("founded")[0]["note"]
    assert "--allow-plain" not in founder.told("founded")[0]["command"]

    unasked = federation.join()
    assert unasked.exit_code() == Exit.CONSENT, unasked.story()
    assert "plain hides nothing" in unasked.errors
    assert f"peer start --home {unasked.home} --allow-plain" in unasked.errors
    unasked.restart(*unasked.options, "--allow-plain")
    asked = federation.join("--allow-plain")
    peers = [founder, unasked, asked]
    for one in peers:
        one.wait("finished")
        assert one.exit_code() == Exit.OK, one.story()
    assert_alike(peers)
    assert "plain hides nothing" in asked.run("status").stdout


def test_who_did_not_accept_a_low_threshold_ends_when_the_federation_grows_that_far(federation: Federation) -> None:
    founder = federation.found("--threshold", "2", "--round-interval", "0.3")
    _, *unasked = federation.grow(4)
    for one in unasked:
        one.contributes(after_round=0)
    asked = federation.join("--allow-threshold", "2")
    for one in unasked:
        assert one.exit_code() == Exit.CONSENT, one.story()
        assert "2 members of 5 together can open an update" in one.errors
        assert "--allow-threshold 2" in one.errors
    for one in (founder, asked):
        assert one.stop() == Exit.OK
    for round_ in (event for event in founder.told("contributors") if len(founder.told("committee")) > 1):
        assert len(round_["members"]) <= 4, "nobody that had not accepted it contributed to a round of five"


def test_a_refounded_federation_goes_on_with_the_totals_of_the_old_one(federation: Federation) -> None:
    federation.found("--rounds", "2")
    old = federation.grow(3)
    for one in old:
        one.wait("finished")
        assert one.exit_code() == Exit.OK
    new = federation.folder / "new"
    done = old[0].run("refound", "--to", str(new), "--rounds", "2")
    assert done.returncode == Exit.OK, done.stderr
    assert "--continues" in done.stdout

    again = Federation(federation.folder / "again")
    again.folder.mkdir()
    with again:
        again.peers.append(Peer(new))
        joined = [again.join("--continues", str(one.home)) for one in old[1:]]
        lost = again.join("--continues", str(federation.folder / "nowhere"))
        assert lost.exit_code() == Exit.FEDERATION, lost.story()
        assert "there is no store" in lost.errors
        peers = [again.peers[0], *joined]
        for one in peers:
            rounds = one.wait("round")
            assert (rounds["round"], rounds["kind"]) == (1, "train")
            first = one.wait("model")
            assert (first["evaluated"], first["loss"]) == (0, None)
            assert one.wait("model", lambda event: event["round"] == 2)["evaluated"] > 0
            one.wait("finished")
            assert one.exit_code() == Exit.OK, one.story()
        assert_alike(peers)
