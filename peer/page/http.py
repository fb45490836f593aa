"""One connection of HTTP/1.1 on the server's side: GET and HEAD without a body, each with bounds.

h11 knows the protocol. What is computed here for a connection is charged to the one meter of all of them, as
:mod:`..network.limits.meter` does it for peers: a flood of requests makes the page slow, and nothing else.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import h11
import trio

from ..network.limits.meter import Meter, cpu_seconds

MAX_HEADER_BYTES: Final = 8 * 1024
"""Request line and headers together."""
READ_BYTES: Final = 4096
REQUEST_SECONDS: Final = 10.0
"""How long a request may take to arrive, and a connection may be silent between two."""
ANSWER_SECONDS: Final = 60.0
"""How long an answer may take to be read."""
SEND_SECONDS: Final = 20.0
"""How long a part of a stream may take to be read."""
PART_BYTES: Final = 64 * 1024
END_SECONDS: Final = 1.0
MAX_UNREAD_BYTES: Final = 64 * 1024
"""How much of what comes after the last request is still read, so that its answer gets through."""

METHODS: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked; the names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that the page does not take; ``answer`` says why, and the connection ends with it."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.answer = Answer(status, f"{text}\n".encode(), headers={"Connection": "close", **(headers or {})})


class Connection:
    """Reads requests from a stream and writes answers to it. ``always``: headers of every answer."""

    def __init__(self, stream: trio.abc.HalfCloseableStream, meter: Meter, always: Mapping[str, str]) -> None:
        self._stream = stream
        self._meter = meter
        self._always = always
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER_BYTES)
        self._is_head = False

    async def request(self) -> Request | None:
        """Return the next request; None after the last one, or if the other side falls silent.

        Raises:
            Refused: the page does not take it.
        """
        event: h11.Event | None = None
        with trio.move_on_after(REQUEST_SECONDS):
            event = await self._event()
        return self._read(event) if isinstance(event, h11.Request) else None

    async def _event(self) -> h11.Event | None:
        """What comes next; None once nothing more can come."""
        while True:
            await self._meter.ready()
            started = cpu_seconds()
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise Refused(error.error_status_hint, f"not a request: {error}") from None
            finally:
                self._meter.since(started)
            if isinstance(event, h11.Event):
                return event
            if event is h11.PAUSED:
                return None
            self._http.receive_data(await self._stream.receive_some(READ_BYTES))

    def _read(self, event: h11.Request) -> Request:
        method = event.method.decode("ascii")
        self._is_head = method == "HEAD"
        if method not in METHODS:
            raise Refused(405, "this page can only be read", {"Allow": ", ".join(METHODS)})
        headers: dict[str, str] = {}
        for name, value in event.headers:
            told = name.decode("ascii")
            if told in headers and told in ("host", "origin", "authorization"):
                raise Refused(400, f"more than one header {told}")
            headers[told] = value.decode("latin-1")
        if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
            raise Refused(413, "a request has no body here")
        path, _, query = event.target.decode("latin-1").partition("?")
        if type(self._http.next_event()) is not h11.EndOfMessage:
            raise Refused(413, "a request has no body here")
        if not path.startswith("/"):
            raise Refused(400, "the target of a request must be a path")
        return Request(method, path, query, headers)

    async def answer(self, answer: Answer) -> bool:
        """Send an answer; return whether another request may follow."""
        length = {"Content-Length": str(len(answer.body))}
        head = self._start(answer, length)
        body = b"" if self._is_head else answer.body
        with trio.move_on_after(ANSWER_SECONDS) as sending:
            await self._stream.send_all(head)
            for start in range(0, len(body), PART_BYTES):
                await self._send(body[start : start + PART_BYTES])
        if sending.cancelled_caught:
            return False
        self._http.send(h11.EndOfMessage())
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def end(self) -> None:
        """Let the other side read the last answer: closing a socket with bytes unread would take it back."""
        with trio.move_on_after(END_SECONDS), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.send_eof()
            for _ in range(MAX_UNREAD_BYTES // READ_BYTES):
                if not await self._stream.receive_some(READ_BYTES):
                    return

    @asynccontextmanager
    async def stream(self, answer: Answer) -> AsyncIterator["Parts"]:
        """Begin an answer whose parts follow, until one side is gone. It is the last one of its connection."""
        head = self._start(answer, {"Connection": "close"})
        with trio.fail_after(SEND_SECONDS):
            await self._stream.send_all(head)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_closed, nursery.cancel_scope)
            yield Parts(self)
            nursery.cancel_scope.cancel()

    async def _until_closed(self, scope: trio.CancelScope) -> None:
        """End a stream when its reader goes away, or sends anything: no further request is answered."""
        with suppress(trio.BrokenResourceError):
            await self._stream.receive_some(READ_BYTES)
        scope.cancel()

    def _start(self, answer: Answer, more: Mapping[str, str]) -> bytes:
        headers = {"Content-Type": answer.kind, **self._always, **answer.headers, **more}
        event = h11.Response(status_code=answer.status, headers=list(headers.items()))
        return self._http.send(event) or b""

    async def _send(self, body: bytes) -> None:
        started = cpu_seconds()
        data = self._http.send(h11.Data(data=body)) or b""
        self._meter.since(started)
        await self._stream.send_all(data)


class Parts:
    """Where the parts of a streamed answer go."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def send(self, part: bytes) -> None:
        """Send a part.

        Raises:
            trio.TooSlowError: the reader did not take it in time.
            trio.BrokenResourceError: the reader is gone.
        """
        with trio.fail_after(SEND_SECONDS):
            await self._connection._send(part)
