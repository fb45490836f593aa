"""Loading the kernels before the first round: it runs the jobs of a round for real."""

import pytest

from coterie.peer import warming
from coterie.protocol.work import CheckVector


def test_every_job_of_a_round_is_run_once_and_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    run = CheckVector.run
    monkeypatch.setattr(CheckVector, "run", lambda self: found.append(run(self)))
    warming._run_round()
    assert [one.wrong for one in found] == [None]
    assert found[0].sums[0] == found[0].sums[1]


def test_a_failure_is_left_to_the_round_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MemoryError

    monkeypatch.setattr(warming, "_run_round", fail)
    warming.warm_up()
