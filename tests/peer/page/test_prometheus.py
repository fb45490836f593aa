"""Prometheus reads what is told, and every metric is explained."""

import re
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from served_page import Served

from coterie.peer.page.history import History
from coterie.peer.page.prometheus import CONTENT_TYPE, METRICS, metrics_text

PAGE = Path(__file__).parents[3] / "docs" / "page.md"


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text.decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def history_of_two_rounds() -> History:
    seconds = iter((0.0, 2.0, 2.0, 5.0))
    sent = iter(((0, 0), (10, 1), (10, 1), (30, 4)))
    history = History(lambda: next(sent), lambda: next(seconds))
    for number in (1, 2):
        history.take("round", "begins", {"round": number})
        history.take("model", "agreed", {"round": number})
    history.take("fault", "a wrong share", {})
    return history


def test_a_scrape_says_what_the_status_says(served: Served) -> None:
    status, headers, body = served.get("/metrics")
    assert (status, headers["Content-Type"]) == (200, CONTENT_TYPE)
    told = samples(body)
    assert told["coterie_up", ()] == 1
    assert told["coterie_height", ()] == served.status["height"]
    assert told["coterie_round", ()] == served.status["round"]
    assert told["coterie_members", ()] == told["coterie_members_connected", ()] == 4
    assert told["coterie_members_missing", ()] == 0
    assert told["coterie_quorum", ()] == served.status["quorum"]
    assert told["coterie_loss", ()] == served.status["loss"]
    assert told["coterie_bytes_total", (("direction", "sent"),)] == 1000
    assert told["coterie_phase", (("phase", "finished"),)] == 1
    assert told["coterie_phase", (("phase", "sharing"),)] == 0


def test_rounds_are_summed_up_and_the_last_one_told(served: Served) -> None:
    told = samples(metrics_text(served.status, history_of_two_rounds()))
    assert (told["coterie_round_seconds_count", ()], told["coterie_round_seconds_sum", ()]) == (2, 5.0)
    assert told["coterie_last_round_seconds", ()] == 3.0
    assert told["coterie_last_round_bytes", (("direction", "sent"),)] == 20
    assert told["coterie_rounds_total", (("result", "model"),)] == 2
    assert told["coterie_rounds_total", (("result", "void"),)] == 0
    assert told["coterie_faults_total", (("kind", "fault"),)] == 1


def test_a_hostile_name_is_a_label_and_nothing_else(served: Served) -> None:
    name = 'a"} 1\ncoterie_height 99\\\n#'
    served.status["members"][0]["name"] = name
    served.status["metrics"] = {'x"} 1\ncoterie_up 7': 0.5}
    told = samples(metrics_text(served.status, History(lambda: (0, 0))))
    assert told["coterie_height", ()] == served.status["height"]
    assert told["coterie_up", ()] == 1
    peer = served.status["members"][0]["id"]
    assert told["coterie_missed_rounds", (("name", name), ("peer", peer))] == 0


def test_what_is_not_known_is_left_out(served: Served) -> None:
    served.status["loss"] = None
    for row in served.status["members"]:
        row["rtt_seconds"] = None
    text = metrics_text(served.status, History(lambda: (0, 0))).decode()
    assert "coterie_loss" not in text
    assert "coterie_rtt_seconds" not in text
    assert "coterie_last_round_seconds" not in text


def test_a_peer_that_looks_for_a_federation_is_not_up() -> None:
    status: dict[str, Any] = {"running": True, "uptime_seconds": 3.0, "traffic": {}, "members": []}
    told = samples(metrics_text(status, History(lambda: (0, 0))))
    assert told["coterie_up", ()] == 0
    assert ("coterie_height", ()) not in told


def test_each_metric_stands_once_with_its_type(served: Served) -> None:
    text = metrics_text(served.status, history_of_two_rounds()).decode()
    heads = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert len(heads) == len(dict(heads))
    assert dict(heads).items() <= {name: one[0] for name, one in METRICS.items()}.items()


def test_the_documents_explain_every_metric_and_no_other() -> None:
    assert set(re.findall(r"`(coterie_\w+)", PAGE.read_text())) == set(METRICS)
