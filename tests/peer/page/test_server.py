"""The routes of the page, who gets an answer, and how many at once."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest
import trio
import trio.testing
from members import identity
from served_page import Events, Served, running_status, serving

from coterie.peer.errors import Exit, PeerError
from coterie.peer.home.folder import Home
from coterie.peer.home.page_address import PageAddress
from coterie.peer.network.limits import meter
from coterie.peer.page import http, server
from coterie.peer.page.block_rows import LedgerRows
from coterie.peer.page.history import History
from coterie.peer.page.server import MAX_CONNECTIONS, MAX_FOLLOWERS, PageServer

ROUTES = ("/", "/status.json", "/ledger.json", "/metrics", "/healthz")
TOKEN = "0123456789abcdef0123456789abcdef"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def closed(read_home: Home) -> Iterator[Served]:
    """One that needs a token."""
    with serving(read_home.folder, running_status(read_home.folder, identity(0).public), token=TOKEN) as running:
        yield running


@pytest.mark.parametrize("path", ROUTES)
def test_each_route_is_answered_with_headers_that_keep_browsers_careful(served: Served, path: str) -> None:
    status, headers, body = served.get(path)
    assert (status, int(headers["Content-Length"])) == (200, len(body))
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", ROUTES)
def test_head_is_get_without_the_body(served: Served, path: str) -> None:
    status, headers, body = served.get(path, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", [*ROUTES, "/events"])
def test_nothing_can_be_changed(served: Served, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        status, headers, _ = served.get(path, method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/x", "//", "/status.json/", "/../status.json", "/%2e%2e/", "/page.html", "/\xff"])
def test_there_is_nothing_else(served: Served, path: str) -> None:
    with served.raw(b"GET " + path.encode("latin-1") + b" HTTP/1.1\r\nHost: localhost\r\n\r\n") as link:
        assert link.recv(100).split()[1] in (b"404", b"400")


def test_the_status_is_what_the_peer_says(served: Served) -> None:
    status, headers, body = served.get("/status.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == json.loads(json.dumps(served.status))


def test_the_ledger_is_told_from_a_height_on(served: Served) -> None:
    everything, start = [], 0
    while start is not None:
        part = json.loads(served.get(f"/ledger.json?from={start}")[2])
        everything += part["rows"]
        start = part["next"]
    assert [row["height"] for row in everything] == list(range(served.status["height"] + 1))
    assert everything[-1]["hash"] == served.status["head"]
    assert json.loads(served.get("/ledger.json")[2])["rows"] == everything[:5]


@pytest.mark.parametrize(
    "query", ["from=-1", "from=x", "from=", "from=1&from=2", "to=3", "from=1.0", "from=%31", f"from={10**10}"]
)
def test_a_height_that_is_none_is_refused(served: Served, query: str) -> None:
    status, _, body = served.get(f"/ledger.json?{query}")
    assert (status, body) == (400, b"from has to be a height: /ledger.json?from=0\n")


def test_a_foreign_host_or_origin_is_refused_on_every_route(served: Served) -> None:
    for path in (*ROUTES, "/events"):
        assert served.get(path, Host="evil.example")[0] == 421
        assert served.get(path, Origin="http://evil.example")[0] == 403
        assert served.get(path, Origin="null")[0] == 403
        assert served.get(path, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403


def test_without_the_token_only_health_is_told(closed: Served) -> None:
    for path in ("/", "/status.json", "/ledger.json", "/metrics", "/events"):
        status, headers, body = closed.get(path)
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="Coterie", charset="UTF-8"')
        assert b"peer" not in body
        assert closed.get(path, Authorization="Bearer " + TOKEN[::-1])[0] == 401
    assert closed.get("/healthz")[0] == 200


def test_with_the_token_everything_is_told(closed: Served) -> None:
    for path in ROUTES:
        assert closed.get(path, Authorization=f"Bearer {TOKEN}")[0] == 200


def test_requests_follow_each_other_on_a_connection(served: Served) -> None:
    with served.raw(GET * 3) as link, link.makefile("rb") as answers:
        assert _answers(answers, 3) == [200, 200, 200]


def _answers(stream: Any, count: int) -> list[int]:
    found = []
    for _ in range(count):
        found.append(int(stream.readline().split()[1]))
        length = 0
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.partition(b": ")
            if name.lower() == b"content-length":
                length = int(value)
        stream.read(length)
    return found


def test_after_a_refusal_the_connection_ends(served: Served) -> None:
    data = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabcde" + GET
    with served.raw(data) as link, link.makefile("rb") as answers:
        assert _answers(answers, 1) == [405]
        assert answers.read() == b""


def test_a_status_that_cannot_be_told_ends_the_connection_and_nothing_else(served: Served) -> None:
    served.status = {"height": object()}
    with served.raw(b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n") as link:
        assert link.recv(100) == b""
    assert served.get("/healthz")[0] == 200


# Events.


def test_a_follower_gets_the_history_and_the_status_and_then_what_happens(served: Served) -> None:
    served.tell("round", "round 7 (train) begins", round=7)
    served.tell("joined", "Coimbra joined", name="Coimbra", height=3)
    with Events(served) as events:
        assert events.answer.headers["Content-Type"] == "text/event-stream"
        name, history = events.next()
        assert (name, [row["text"] for row in history["notices"]]) == ("history", ["Coimbra joined"])
        assert events.until("status")["height"] == served.status["height"]
        served.bytes[0] += 500
        served.tell("model", "round 7 (train): agreed", round=7)
        row = events.until("round")
        assert (row["round"], row["sent_bytes"]) == (7, 500)
        served.tell("fault", "Dresden: a wrong sum share", who="Dresden")
        assert events.until("notice")["text"] == "Dresden: a wrong sum share"
        served.status["height"] += 1
        served.tell("left", "Dresden left", name="Dresden", evicted=True)
        while events.until("status")["height"] != served.status["height"]:
            pass


def test_a_follower_that_comes_back_gets_what_it_missed(served: Served) -> None:
    with Events(served) as events:
        events.until("status")
        last = events.last
    served.tell("joined", "Coimbra joined")
    served.tell("model", "agreed", round=1)
    with Events(served, last) as events:
        assert [events.next()[0] for _ in range(2)] == ["notice", "round"]


@pytest.mark.parametrize("last", ["0123456789abcdef-1", "nonsense", "", "-", "0" * 5000])
def test_a_follower_of_another_run_begins_anew(served: Served, last: str) -> None:
    served.tell("joined", "Coimbra joined")
    with Events(served, last) as events:
        name, history = events.next()
    assert (name, len(history["notices"])) == ("history", 1)


def test_too_many_followers_are_told_to_come_later(served: Served) -> None:
    with ExitStack() as stack:
        followers = [stack.enter_context(Events(served)) for _ in range(MAX_FOLLOWERS)]
        for one in followers:
            one.until("status")
        status, headers, _ = served.get("/events")
        assert (status, headers["Retry-After"]) == (503, "10")
        assert served.get("/status.json")[0] == 200
        served.tell("joined", "Coimbra joined")
        for one in followers:
            assert one.until("notice")["text"] == "Coimbra joined"


def test_a_place_among_the_followers_is_free_again_when_one_goes(served: Served) -> None:
    for _ in range(3 * MAX_FOLLOWERS):
        with Events(served) as events:
            events.until("status")
        while served.server._followers:  # until the server has seen that it went
            served.get("/healthz")


def test_an_invite_is_told_to_nobody(served: Served) -> None:
    with Events(served) as events:
        events.until("status")
        served.tell("founded", "peer start --invite coterie1-SECRET", invite="coterie1-SECRET")
        served.tell("joined", "Coimbra joined")
        assert "SECRET" not in json.dumps(events.until("notice"))
    assert b"SECRET" not in served.get("/metrics")[2] + served.get("/status.json")[2]


# Bounds.


def test_silent_connections_make_room_for_new_ones(served: Served) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(served.raw()) for _ in range(MAX_CONNECTIONS)]
        slow = [stack.enter_context(served.raw(GET[:20])) for _ in range(MAX_CONNECTIONS)]
        for _ in range(5):
            assert served.get("/status.json")[0] == 200
        assert silent[0].recv(10) == b""
        assert len(served.server._open) <= MAX_CONNECTIONS + 1
        del slow


def test_many_connections_leave_nothing_behind(served: Served) -> None:
    for _ in range(3 * MAX_CONNECTIONS):
        served.raw(GET[:10]).close()
    while served.server._open:
        with served.raw(GET) as link:
            link.recv(100)
        served.get("/healthz", Connection="close")
        if set(served.server._open) == set(served.server._silent):
            break
    assert served.get("/status.json")[0] == 200


def test_a_connection_has_an_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_REQUESTS", 3)
    with served.raw(GET * 5) as link, link.makefile("rb") as answers:
        assert _answers(answers, 3) == [200] * 3
        assert answers.read() == b""


def test_clients_that_read_nothing_hold_nobody_up(served: Served) -> None:
    served.status["padding"] = "x" * 5_000_000
    asked = b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS // 2):
            stack.enter_context(served.raw(asked))
        assert served.get("/healthz")[0] == 200
        with Events(served) as events:
            assert events.until("status")["padding"]


def seconds_of_flood(page: PageServer, links: int, requests: int) -> float:
    """The virtual seconds in which so many requests over each of so many links are answered."""

    async def serve(stream: Any) -> None:
        async with stream:
            await page._serve(stream)

    async def ask() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, ours)
            await theirs.send_all(GET * requests)
            await theirs.send_eof()
            async for _ in theirs:
                pass

    async def run() -> float:
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(links):
                nursery.start_soon(ask)
        return trio.current_time() - started

    return trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("links", [1, 4])
def test_all_requests_together_take_a_twentieth_of_the_loop_s_time(
    read_home: Home, monkeypatch: pytest.MonkeyPatch, links: int
) -> None:
    """The CPU clock of the loop is the test's: it goes on by 10 ms whenever it is read."""
    computed = count(0.0, 0.01)
    for module in (meter, http, server):
        monkeypatch.setattr(module, "cpu_seconds", lambda: next(computed))
    place, rows = PageAddress("127.0.0.1", 0), LedgerRows(read_home.folder)
    page = PageServer(place, None, dict, History(lambda: (0, 0)), rows)
    took = seconds_of_flood(page, links, requests=100)
    used = page._meter.used_seconds
    assert used > 1, "or there is nothing to wait for"
    assert took == pytest.approx((used - meter.BURST_SECONDS) / 0.05, abs=1)


def test_a_status_is_not_made_more_often_than_once_a_second(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STATUS_SECONDS", 1e6)
    made = []
    kept = served.server._status
    served.server._status = lambda: made.append(1) or kept()  # type: ignore[func-returns-value]
    for _ in range(20):
        assert served.get("/status.json")[0] == served.get("/metrics")[0] == 200
    assert len(made) == 1


def test_an_address_in_use_is_told(served: Served, read_home: Home) -> None:
    with pytest.raises(PeerError, match=rf"--page 127.0.0.1:{served.port}: cannot listen") as caught:
        Served(read_home.folder, {}, served.port)
    assert caught.value.code is Exit.PORT


def test_the_page_is_served_over_ip_version_6(read_home: Home) -> None:
    async def run() -> bytes:
        history = History(lambda: (0, 0))
        page = PageServer(PageAddress("::1", 0), None, dict, history, LedgerRows(read_home.folder))
        async with page.serving() as place:
            assert page.url == f"http://[::1]:{place.port}/"
            stream = await trio.open_tcp_stream("::1", place.port)
            await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: [::1]:%d\r\n\r\n" % place.port)
            return bytes(await stream.receive_some(100))

    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    assert trio.run(run).startswith(b"HTTP/1.1 200")
