"""What a request to propose options asks for: absolute numbers, within their bounds."""

from typing import Any

import pytest
from chains import Chain
from ledgers import finished

from coterie.peer.errors import PeerError
from coterie.peer.runtime.voting import _change
from coterie.protocol.messages.kinds import OptionsChange


@pytest.mark.parametrize(
    ("rounds", "trained", "wanted"),
    [(40, 0, 60), (40, 25, 60), (0, 25, 45)],
    ids=["before the first round", "on the way", "without a limit"],
)
def test_further_rounds_are_added_to_the_limit_or_to_what_was_trained(rounds: int, trained: int, wanted: int) -> None:
    state = Chain(4, rounds=rounds).with_(trained=trained).state
    assert _change(state, {"more_rounds": 20}) == OptionsChange(rounds=wanted)


def test_after_the_end_further_rounds_are_added_to_those_trained() -> None:
    state = finished().with_(trained=25).state
    assert _change(state, {"more_rounds": 20}) == OptionsChange(rounds=45)


def test_other_options_are_taken_as_they_are() -> None:
    given = {"rounds": 0, "patience": 3, "min_peers": 5, "evict_after": 7}
    assert _change(Chain(4).state, given) == OptionsChange(0, 3, 5, 7)


@pytest.mark.parametrize(
    "given",
    [
        None,
        {"more_rounds": 0},
        {"more_rounds": True},
        {"more_rounds": "20"},
        {"more_rounds": 2**31},
        {"rounds": -1},
        {"rounds": "7"},
        {"min_peers": 2},
        {"learning_rate": 0.1},
    ],
)
def test_a_request_beyond_the_bounds_is_refused(given: Any) -> None:
    with pytest.raises(PeerError, match="not a request: "):
        _change(Chain(4, rounds=40).state, given)
