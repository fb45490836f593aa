"""The server of the page: a few routes that tell what the peer knows, within bounds.

===================  =====================================================================
``/``                the page
``/status.json``     what `peer status --json` prints
``/events``          the same facts as they change, as server-sent events
``/ledger.json``     rows of the ledger from the height ``from`` on
``/metrics``         for Prometheus
``/healthz``         "ok" as long as the peer's event loop runs
===================  =====================================================================

What is sent to the readers that follow ``/events`` is made once for all of them. None has a queue: one that reads
slowly gets the newest status next. The peer never waits for a reader.
"""

import json
import logging
import math
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from ...protocol.ledger.state import LedgerError
from ..errors import Exit, PeerError
from ..home.page_address import PageAddress
from ..network.limits.meter import Meter, cpu_seconds
from .block_rows import LedgerRows
from .document import load_document
from .guard import Guard
from .history import History
from .http import Answer, Connection, Parts, Refused, Request
from .prometheus import CONTENT_TYPE, metrics_text

Json = dict[str, Any]

MAX_CONNECTIONS: Final = 32
MAX_FOLLOWERS: Final = 8
"""Readers of ``/events`` among these connections; the others are for single requests."""
MAX_REQUESTS: Final = 1000
"""Requests on one connection."""
SHARE: Final = 0.05
"""Part of the event loop's time that all requests together may take in the long run."""
STATUS_SECONDS: Final = 1.0
"""How old a status may be when it is sent, and how often one is sent while there are no notices."""
HURRY_SECONDS: Final = 0.2
"""How long a notice is held back, so that notices that come together are sent together."""
ACCEPT_SECONDS: Final = 0.0005
"""What opening a connection is charged with, whatever is said on it."""
RETRY_MS: Final = 2000
"""After this time a browser that has lost its stream tries again."""

_FROM: Final = re.compile(r"(?:from=([0-9]{1,9}))?", re.ASCII)
_LAST: Final = re.compile(r"([0-9a-f]{16})-([0-9]{1,12})", re.ASCII)
_OPEN: Final = frozenset({"/healthz"})
"""Routes that need no token: they only say that a peer runs here."""
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError)

log = logging.getLogger("coterie.page")


class PageServer:
    """Serves the page of one peer. ``status`` returns what `peer status --json` prints."""

    def __init__(
        self, place: PageAddress, token: str | None, status: Callable[[], Json], history: History, ledger: LedgerRows
    ) -> None:
        self.url: str | None = None
        """Where the page is, while it is served."""
        self._place = place
        self._status = status
        self._history = history
        self._ledger = ledger
        self._guard = Guard(place, token)
        self._document = load_document()
        self._meter = Meter(SHARE)
        self._open: dict[trio.CancelScope, None] = {}
        self._silent: dict[trio.CancelScope, None] = {}
        """Connections that wait for a request, in the order in which they began to."""
        self._followers = 0
        self._told: bytes = b""
        """The newest status as JSON."""
        self._told_at = -math.inf
        self._changed = trio.lowlevel.ParkingLot()
        self._news = trio.Event()
        self._always = {
            "Content-Security-Policy": self._document.policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    def tell(self, kind: str, text: str, facts: Json) -> None:
        """Take a notice for the page, with plain facts."""
        if self._history.take(kind, text, facts):
            self._news.set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[PageAddress]:
        """Serve while the context lasts; yields the place with its real port.

        Raises:
            PeerError: the address cannot be listened on.
        """
        try:
            (listener,) = await trio.open_tcp_listeners(self._place.port, host=self._place.host, backlog=64)
        except OSError as error:
            where = f"{self._place.host}:{self._place.port}"
            raise PeerError(f"--page {where}: cannot listen there ({error.strerror})", Exit.PORT) from None
        place = PageAddress(self._place.host, int(listener.socket.getsockname()[1]))
        self.url = place.url
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, self._serve, [_Paced(listener, self._meter)])
                nursery.start_soon(self._look)
                yield place
                nursery.cancel_scope.cancel()
        finally:
            self.url = None

    # Connections.

    async def _serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection. Of too many, the one that has waited for a request for longest makes room."""
        if len(self._open) >= MAX_CONNECTIONS:
            oldest = next(iter(self._silent), None)
            if oldest is None:
                return
            del self._silent[oldest]
            oldest.cancel()
        with trio.CancelScope() as scope:
            self._open[scope] = None
            try:
                await self._converse(Connection(stream, self._meter, self._always), scope)
            except* _GONE:
                pass
            except* Exception:
                # Whatever goes wrong with a request, the peer goes on; the log says what it was.
                log.warning("a request to the page could not be answered", exc_info=True)
            finally:
                del self._open[scope]

    async def _converse(self, connection: Connection, scope: trio.CancelScope) -> None:
        for _ in range(MAX_REQUESTS):
            self._silent[scope] = None
            try:
                request = await connection.request()
            except Refused as refused:
                await connection.answer(refused.answer)
                break
            finally:
                self._silent.pop(scope, None)
            if request is None:
                return
            if not await self._handle(connection, request):
                break
        await connection.end()

    async def _handle(self, connection: Connection, request: Request) -> bool:
        """Answer a request; return whether another may follow."""
        started = cpu_seconds()
        refusal = self._guard.refuse(request.headers, is_open=request.path in _OPEN)
        self._meter.since(started)
        if refusal is not None:
            asks = {"WWW-Authenticate": 'Basic realm="Coterie", charset="UTF-8"'} if refusal.status == 401 else {}
            return await connection.answer(Answer(refusal.status, f"{refusal.text}\n".encode(), headers=asks))
        if request.path != "/events":
            return await connection.answer(await self._answer(request))
        if self._followers >= MAX_FOLLOWERS:
            return await connection.answer(
                Answer(503, f"{MAX_FOLLOWERS} programs follow already\n".encode(), headers={"Retry-After": "10"})
            )
        if request.method == "HEAD":
            return await connection.answer(Answer(200, kind="text/event-stream"))
        self._followers += 1
        try:
            async with connection.stream(Answer(200, kind="text/event-stream")) as parts:
                await self._follow(parts, request.headers.get("last-event-id", ""))
        finally:
            self._followers -= 1
        return False

    async def _answer(self, request: Request) -> Answer:
        match request.path:
            case "/":
                return Answer(200, self._document.body, "text/html; charset=utf-8")
            case "/status.json":
                return _json(self._newest())
            case "/ledger.json":
                return await self._rows(request.query)
            case "/metrics":
                started = cpu_seconds()
                body = metrics_text(json.loads(self._newest()), self._history)
                self._meter.since(started)
                return Answer(200, body, CONTENT_TYPE)
            case "/healthz":
                return Answer(200, b"ok\n")
        return Answer(404, b"there is /, /status.json, /events, /ledger.json, /metrics and /healthz\n")

    async def _rows(self, query: str) -> Answer:
        match = _FROM.fullmatch(query)
        if match is None:
            return Answer(400, b"from has to be a height: /ledger.json?from=0\n")
        try:
            return _json(await self._ledger.answer(int(match[1] or 0)))
        except (PeerError, LedgerError) as error:
            return Answer(503, f"{error}\n".encode())

    # What is told.

    def _newest(self) -> bytes:
        """The status as JSON. However often readers ask, it is made anew once a second at most."""
        now = trio.current_time()
        if now - self._told_at >= STATUS_SECONDS:
            self._told, self._told_at = json.dumps(self._status()).encode(), now
        return self._told

    async def _look(self) -> None:
        """Wake all readers that follow: soon after a notice, and once a second."""
        while True:
            with trio.move_on_after(STATUS_SECONDS):
                await self._news.wait()
                await trio.sleep(HURRY_SECONDS)
                self._told_at = -math.inf
            self._news = trio.Event()
            if self._followers:
                self._newest()
            self._changed.unpark_all()

    async def _follow(self, parts: Parts, last: str) -> None:
        """Send what is new as long as the reader takes it. ``last``: what a reader that comes back has seen."""
        match, history = _LAST.fullmatch(last), self._history
        place = int(match[2]) if match is not None and match[1] == history.run else -1
        await parts.send(b"retry: %d\n\n" % RETRY_MS)
        told = b""
        while True:
            if not history.reaches(place):
                place = history.newest
                await parts.send(self._event("history", _encode(history.whole()), place))
            for name, row in history.since(place):
                place = row["place"]
                await parts.send(self._event(name, _encode(row), place))
            if (newest := self._newest()) != told:
                told = newest
                await parts.send(self._event("status", newest, place))
            await self._changed.park()

    def _event(self, name: str, data: bytes, place: int) -> bytes:
        return b"event: %s\nid: %s-%d\ndata: %s\n\n" % (name.encode(), self._history.run.encode(), place, data)


class _Paced(trio.abc.Listener[trio.SocketStream]):
    """Accepts a connection only when the meter has time for it; until then it waits in the system's queue."""

    def __init__(self, listener: trio.SocketListener, meter: Meter) -> None:
        self._listener = listener
        self._meter = meter

    async def accept(self) -> trio.SocketStream:
        await self._meter.ready()
        stream = await self._listener.accept()
        self._meter.charge(ACCEPT_SECONDS)
        return stream

    async def aclose(self) -> None:
        await self._listener.aclose()


def _json(body: bytes) -> Answer:
    return Answer(200, body, "application/json")


def _encode(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
