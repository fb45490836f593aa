"""What users read of an open proposal."""

from typing import Any

import pytest

from coterie.peer.reporting.proposals import line

ROW: dict[str, Any] = {
    "id": "ab12cd34" + "0" * 56,
    "name": "berlin",
    "options": "--rounds 60",
    "accepting": ["berlin", "rome"],
    "refusing": [],
    "needed": 3,
    "refused": False,
    "own_vote": None,
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "2 yes of 3 needed (berlin, rome); to vote: peer vote yes ab12cd34 (or no)"),
        ({"own_vote": True}, "2 yes of 3 needed (berlin, rome); this peer voted yes"),
        (
            {"refusing": ["oslo"], "own_vote": False},
            "2 yes of 3 needed (berlin, rome), 1 no (oslo); this peer voted no",
        ),
        ({"accepting": [], "refused": True}, "0 yes of 3 needed; refused"),
    ],
)
def test_a_proposal_is_told_with_its_votes_and_what_to_type(changes: dict[str, Any], told: str) -> None:
    assert line(ROW | changes) == f"ab12cd34: berlin proposes --rounds 60; {told}"
