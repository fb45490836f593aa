"""What happened since the start: in order, within bounds, and without anything that is secret."""

import pytest

from coterie.peer.page import history as module
from coterie.peer.page.history import FAULTS, MAX_TEXT_CHARS, TOLD, History


class Meters:
    """A clock and a counter that a test turns."""

    def __init__(self) -> None:
        self.seconds, self.sent, self.received = 100.0, 0, 0
        self.history = History(lambda: (self.sent, self.received), lambda: self.seconds)


def test_a_round_has_the_seconds_and_bytes_between_its_beginning_and_its_end() -> None:
    meters = Meters()
    meters.sent = 50
    assert not meters.history.take("round", "round 3 (train) begins", {"round": 3, "kind": "train"})
    meters.seconds, meters.sent, meters.received = 102.5, 450, 20
    assert meters.history.take("model", "agreed", {"round": 3})
    (row,) = meters.history.rounds
    wanted = {"round": 3, "result": "model", "seconds": 2.5, "sent_bytes": 400, "received_bytes": 20}
    assert wanted.items() <= row.items()
    assert (meters.history.round_seconds, meters.history.rounds_timed) == (2.5, 1)


def test_a_round_that_began_before_the_start_has_no_measures() -> None:
    meters = Meters()
    meters.history.take("model", "agreed", {"round": 3})
    assert meters.history.rounds[0]["seconds"] is None
    assert (meters.history.results["model"], meters.history.rounds_timed) == (1, 0)


def test_a_round_has_the_loss_over_ones_own_rows_where_it_is_known() -> None:
    history = History(lambda: (0, 0), own_loss={4: 0.5}.get)
    for number in (3, 4):
        history.take("model", "agreed", {"round": number})
    assert [row["own_loss"] for row in history.rounds] == [None, 0.5]


def test_a_void_round_is_a_round_and_a_notice() -> None:
    meters = Meters()
    meters.history.take("void", "round 2: void", {"round": 2, "reason": "shares", "height": 7})
    told = [(name, row["place"]) for name, row in meters.history.since(0)]
    assert told == [("round", 1), ("notice", 2)]
    assert meters.history.results["void"] == 1


def test_what_came_after_a_place_is_told_in_order() -> None:
    history = Meters().history
    for number in range(3):
        history.take("model", "agreed", {"round": number})
        history.take("fault", f"fault {number}", {"member": "12D3", "who": "Dresden"})
    assert [(name, row["place"]) for name, row in history.since(2)] == [
        ("round", 3),
        ("notice", 4),
        ("round", 5),
        ("notice", 6),
    ]
    assert history.since(6) == []
    assert history.notices[-1]["who"] == "Dresden"


def test_the_invite_of_the_founding_is_not_kept() -> None:
    history = Meters().history
    for kind in ("founded", "listening", "joining", "page"):
        assert not history.take(kind, "peer start --invite coterie1-SECRET", {"invite": "coterie1-SECRET"})
    assert "SECRET" not in str(history.whole())
    assert "founded" not in TOLD


def test_facts_that_are_not_named_are_not_kept() -> None:
    history = Meters().history
    history.take("joined", "a joined", {"name": "a", "member": "12D3", "height": 4, "invite": "SECRET"})
    assert "SECRET" not in str(history.whole())
    assert history.notices[0]["name"] == "a"


def test_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NOTICES", 3)
    history = History(lambda: (0, 0))
    for number in range(5):
        history.take("joined", str(number), {})
    assert [row["text"] for row in history.notices] == ["2", "3", "4"]
    assert not history.reaches(1)
    assert history.reaches(2)
    assert history.reaches(5)
    assert not history.reaches(6)
    assert not history.reaches(-1)


def test_long_and_unprintable_texts_are_cut_and_cleaned() -> None:
    history = Meters().history
    history.take("fault", "\x1b[2J\u202e" + "x" * 5000, {"who": "\x07bell"})
    (row,) = history.notices
    assert row["text"].startswith("?[2J?xxx")
    assert len(row["text"]) == MAX_TEXT_CHARS + 1
    assert row["who"] == "?bell"


def test_faults_and_evictions_are_counted_by_kind() -> None:
    history = Meters().history
    history.take("fault", "a wrong share", {})
    history.take("bad-frame", "sent nonsense", {})
    history.take("bad-frame", "sent nonsense", {})
    history.take("left", "a was evicted", {"evicted": True})
    history.take("left", "b left", {"evicted": False})
    history.take("listening", "listening on /ip4/127.0.0.1/tcp/4001", {})
    assert {kind: count for kind, count in history.faults.items() if count} == {"fault": 1, "bad-frame": 2}
    assert set(history.faults) == FAULTS
    assert history.evictions == 1
