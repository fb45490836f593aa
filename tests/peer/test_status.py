"""What `peer status` prints for people and for scripts."""

import json
from typing import Any

import pytest
from cluster import identity

from coterie.crypto.identity import peer_id
from coterie.peer.cli import main
from coterie.peer.commands import status
from coterie.peer.status import faults_status


def test_faults_are_told_by_peer_id_whatever_the_peers_call_themselves() -> None:
    one, other = identity(1).public, identity(2).public
    assert faults_status({one: {"a bad envelope": 3}, other: {}}) == {
        peer_id(one): {"a bad envelope": 3},
        peer_id(other): {},
    }


def test_watched_as_json_the_status_is_one_line_each_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Any] = [{"height": 1, "members": [{"name": "a"}]}, {"height": 2}]
    waiting = iter(shown)

    def sleep(seconds: float) -> None:
        if waiting.__length_hint__() == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "_status", lambda given: next(waiting))
    monkeypatch.setattr(status.time, "sleep", sleep)
    assert main(["status", "--watch", "--json"]) == 130
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == shown
