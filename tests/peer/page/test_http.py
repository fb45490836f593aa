"""A connection has bounds: nobody holds one for long, or fills the memory through it. In virtual time."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from coterie.peer.network.limits.meter import Meter
from coterie.peer.page.http import (
    ANSWER_SECONDS,
    MAX_HEADER_BYTES,
    REQUEST_SECONDS,
    SEND_SECONDS,
    Answer,
    Connection,
    Refused,
    Request,
)

GET = b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


def converse(test: Callable[[Connection, trio.StapledStream], Awaitable[None]]) -> float:
    """Run a test with a connection and its other side; return the virtual seconds that it took."""

    async def run() -> float:
        ours, theirs = trio.testing.lockstep_stream_pair()
        started = trio.current_time()
        await test(Connection(ours, Meter(1.0), {"X-Always": "yes"}), theirs)
        return trio.current_time() - started

    return trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


async def say(theirs: trio.StapledStream, *parts: bytes) -> None:
    for part in parts:
        await theirs.send_all(part)


def asked(*parts: bytes) -> Request | None:
    """What the server takes these bytes for."""
    found: list[Request | None] = []

    async def test(connection: Connection, theirs: trio.StapledStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, theirs, *parts)
            found.append(await connection.request())
            nursery.cancel_scope.cancel()

    converse(test)
    return found[0]


def refused(*parts: bytes) -> Answer:
    with pytest.RaisesGroup(Refused) as caught:
        asked(*parts)
    (error,) = caught.value.exceptions
    assert isinstance(error, Refused)
    assert error.answer.headers["Connection"] == "close"
    return error.answer


def test_a_request_is_read_whatever_pieces_it_comes_in() -> None:
    request = asked(*(bytes([one]) for one in b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-Y: z\r\n\r\n"))
    assert request == Request("GET", "/a", "b=c", {"host": "h", "x-y": "z"})


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"get"])
def test_only_reading_is_answered(method: bytes) -> None:
    answer = refused(method + GET[3:])
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", 413),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nOrigin: a\r\nOrigin: b\r\n\r\n", 400),
        (b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400), 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: \x00\r\n\r\n", 400),
        (b"GET /" + b"a" * (MAX_HEADER_BYTES + 1), 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * MAX_HEADER_BYTES, 431),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, status: int) -> None:
    assert refused(data).status == status


def test_a_request_that_does_not_arrive_ends_the_connection() -> None:
    async def test(connection: Connection, theirs: trio.StapledStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, theirs, GET[:20])
            assert await connection.request() is None

    assert converse(test) == pytest.approx(REQUEST_SECONDS)


def test_a_request_that_comes_a_byte_at_a_time_has_no_longer() -> None:
    async def drip(theirs: trio.StapledStream) -> None:
        for byte in GET:
            await theirs.send_all(bytes([byte]))
            await trio.sleep(1)

    async def test(connection: Connection, theirs: trio.StapledStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, theirs)
            assert await connection.request() is None
            nursery.cancel_scope.cancel()

    assert converse(test) == pytest.approx(REQUEST_SECONDS)


def test_the_end_of_a_connection_is_no_request() -> None:
    async def test(connection: Connection, theirs: trio.StapledStream) -> None:
        await theirs.send_eof()
        assert await connection.request() is None

    converse(test)


def test_an_answer_that_nobody_reads_ends_the_connection() -> None:
    async def test(connection: Connection, theirs: trio.StapledStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, theirs, GET)
            assert await connection.request() is not None
            assert not await connection.answer(Answer(200, b"x" * 1_000_000))

    assert converse(test) == pytest.approx(ANSWER_SECONDS)


def test_a_stream_that_nobody_reads_ends() -> None:
    async def test(connection: Connection, theirs: trio.StapledStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, theirs, GET)
            assert await connection.request() is not None
            nursery.start_soon(theirs.receive_some, 10_000)
            async with connection.stream(Answer(200)) as parts:
                await parts.send(b"part")

    with pytest.RaisesGroup(trio.TooSlowError, flatten_subgroups=True):
        converse(test)
    assert SEND_SECONDS < ANSWER_SECONDS


def test_a_stream_ends_when_its_reader_goes() -> None:
    async def leave(theirs: trio.StapledStream) -> None:
        await theirs.send_all(GET)
        await theirs.receive_some(10_000)
        await theirs.aclose()

    async def test(connection: Connection, theirs: trio.StapledStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave, theirs)
            assert await connection.request() is not None
            async with connection.stream(Answer(200)):
                await trio.sleep_forever()

    assert converse(test) == 0


def test_the_answer_to_head_has_a_length_and_no_body() -> None:
    told: list[bytes] = []

    async def read(theirs: trio.StapledStream) -> None:
        await theirs.send_all(b"HEAD" + GET[3:])
        told.append(await theirs.receive_some(10_000))

    async def test(connection: Connection, theirs: trio.StapledStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, theirs)
            assert await connection.request() is not None
            assert await connection.answer(Answer(200, b"body"))

    converse(test)
    head, _, body = told[0].partition(b"\r\n\r\n")
    assert b"Content-Length: 4" in head
    assert b"X-Always: yes" in head
    assert body == b""


def test_a_meter_that_is_used_up_lets_requests_wait() -> None:
    meter = Meter(0.05)

    async def run() -> float:
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(GET)
        meter.charge(10)  # a flood before
        started = trio.current_time()
        assert await Connection(ours, meter, {}).request() is not None
        return trio.current_time() - started

    assert trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0)) > 1
