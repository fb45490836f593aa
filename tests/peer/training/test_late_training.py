"""Training that takes longer than a round waits is told each time, with what to do."""

import pytest

from coterie.peer.training.late_training import LateTraining

WAYS_OUT = (
    "so the update of this peer was left out of the round; take fewer rows, or go on with a longer one: peer"
    " refound --share-deadline S (the founder chose it, and it cannot be changed in this federation)"
)


def test_training_that_was_too_long_is_told_once_it_is_over() -> None:
    lateness = LateTraining(5.0)
    lateness.begin(1, 100.0)
    lateness.end(1, 115.0)
    assert lateness.look(115.0) == [], "the round may have waited"
    lateness.leave_out(1)
    text = f"training for round 1 took 15 s, longer than the --share-deadline of 5 s, {WAYS_OUT}"
    assert lateness.look(116.0) == [(1, text)]
    assert lateness.look(117.0) == []


def test_training_that_goes_on_is_told_when_its_round_is_over_and_again_at_its_end() -> None:
    lateness = LateTraining(5.0, app="slow:App")
    lateness.begin(1, 100.0)
    assert lateness.look(107.0) == []
    lateness.leave_out(1)
    ((round, text),) = lateness.look(108.0)
    assert round == 1
    assert text.startswith("training for round 1 still goes on after 8 s, longer than the --share-deadline of 5 s")
    assert "have slow:App.fit() do less a round" in text
    assert lateness.look(109.0) == []
    lateness.end(1, 600.0)
    ((_, text),) = lateness.look(600.0)
    assert text.startswith("training for round 1 took 500 s")
    assert lateness.look(601.0) == []


@pytest.mark.parametrize("round", [1, 2])
def test_an_update_that_was_left_out_for_another_reason_is_not_told_to_be_late(round: int) -> None:
    lateness = LateTraining(5.0)
    lateness.begin(round, 100.0)
    lateness.end(round, 101.0)
    lateness.leave_out(round)
    lateness.leave_out(round + 1)  # for which nothing was trained
    assert lateness.look(200.0) == []


def test_what_is_kept_of_old_rounds_is_bounded() -> None:
    lateness = LateTraining(5.0)
    for round in range(1000):
        lateness.begin(round, 0.0)
        lateness.end(round, 9.0)
        lateness.leave_out(round + 5000)
        lateness.look(9.0)
    assert max(map(len, (lateness._began, lateness._took, lateness._left_out))) <= 16
