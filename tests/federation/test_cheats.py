"""A member that lies is named by everybody else and, with the evidence in the ledger, removed."""

import sys
from pathlib import Path

import pytest
from harness import Federation, assert_alike

from coterie.peer.errors import Exit

CHEAT = Path(__file__).parents[2] / "examples" / "cheating_peer.py"

pytestmark = pytest.mark.processes


def test_whoever_falsifies_its_sum_is_named_by_all_others_and_evicted_on_that_evidence(federation: Federation) -> None:
    federation.found("--rounds", "12", "--min-peers", "4", "--round-interval", "0.2")
    federation.join()
    # In every round until it is gone: where the others agree before its prevote comes, a lie goes unseen.
    rounds = ",".join(str(round_) for round_ in range(2, 13))
    honestly = federation.command
    federation.command = (sys.executable, str(CHEAT), rounds)
    liar = federation.join()
    federation.command = honestly
    federation.grow(4)
    honest = [peer for peer in federation.peers if peer is not liar]
    for peer in honest:
        fault = peer.wait("fault", lambda event: event["member"] == liar.id)
        assert fault["wrong_sum"]
        assert fault["round"] >= 2
        assert peer.wait("left", lambda event: event["member"] == liar.id)["evicted"]

    assert liar.exit_code() == Exit.REMOVED, liar.story()
    assert (
        "was evicted: it sent a wrong sum; this peer is no member any more; it will not be let in again"
        in liar.told("stopped")[-1]["text"]
    )
    liar.restart()
    assert liar.exit_code() == Exit.REMOVED
    assert "evicted from its federation for cheating" in liar.errors

    # Three are fewer than --min-peers, so they wait; a fourth lets them finish.
    honest.append(federation.join())
    for peer in honest:
        peer.wait("finished")
        assert peer.exit_code() == Exit.OK, peer.story()
    assert assert_alike(honest)["members"] == 4
    for peer in honest:
        assert {event["member"] for event in peer.told("fault")} <= {liar.id}
        evicted = [change for row in peer.ask("ledger", "show") for change in row.get("changes", [])]
        assert {"change": "evict", "peer": liar.id, "name": liar.home.name, "reason": "wrong-sum"} in evicted
