"""The page of a peer in a federation of real processes tells what its commands tell."""

import json
import urllib.request

import pytest
from harness import WAIT_SECONDS, Federation, Peer

pytestmark = pytest.mark.processes


def read(one: Peer, route: str) -> bytes:
    with urllib.request.urlopen(f"{one.wait('page')['url']}{route}", timeout=WAIT_SECONDS) as answer:
        return bytes(answer.read())


def test_a_page_follows_the_rounds_and_comes_back_with_its_peer(federation: Federation) -> None:
    federation.found("--round-interval", "0.5")
    one = federation.join("--page", "127.0.0.1:0")
    federation.join()
    with urllib.request.urlopen(f"{one.wait('page')['url']}events", timeout=WAIT_SECONDS) as events:
        lines = (line.decode().rstrip("\n") for line in events)
        name = next(line for line in lines if line == "event: round")
        data = next(json.loads(line.partition(": ")[2]) for line in lines if line.startswith("data: "))
    assert (name, data["result"]) == ("event: round", "model")
    assert data["seconds"] > 0
    assert data["sent_bytes"] > 0
    status = json.loads(read(one, "status.json"))
    assert (status["id"], status["page"]) == (one.id, one.wait("page")["url"])
    assert one.ask("status").keys() == status.keys()
    rows = json.loads(read(one, "ledger.json?from=0"))["rows"][:4]
    assert [{key: row[key] for key in row if key != "text"} for row in rows] == one.ask("ledger", "show")[:4]
    metrics = read(one, "metrics").decode()
    assert "\ncoterie_members 3.0\n" in metrics
    assert b"coterie1-" not in read(one, "status.json") + metrics.encode() + read(one, "ledger.json")
    one.kill()
    place = one.restart()
    url = one.wait("page", after=place)["url"]
    with urllib.request.urlopen(f"{url}healthz", timeout=WAIT_SECONDS) as answer:
        assert answer.read() == b"ok\n"
