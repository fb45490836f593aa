"""The answering side of the control socket; :mod:`.client` describes the requests and answers."""

import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import trio

from ..errors import Exit, PeerError
from .client import Json, short_path

MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_CONNECTIONS: Final = 16
MAX_WATCHERS: Final = 8
"""How many of these connections may watch; the others are for requests."""
MAX_WAITING_EVENTS: Final = 256
REQUEST_SECONDS: Final = 10.0
"""How long one request may take to arrive, and its answer to be read."""

log = logging.getLogger("coterie.control")

_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class ControlServer:
    """Answers requests with ``answer``, and sends watchers the events that :meth:`tell` gets.

    A :class:`PeerError` that ``answer`` raises goes to the program that asked, with its exit code.
    """

    def __init__(self, path: Path, answer: Callable[[Json], Awaitable[Json]]) -> None:
        self._path = path
        self._answer = answer
        self._connections = 0
        self._silent: dict[trio.CancelScope, None] = {}
        """Connections from which no request is being answered, the one that has been silent for longest first."""
        self._watchers: set[trio.MemorySendChannel[Json]] = set()

    def tell(self, event: Json) -> None:
        """Send an event to all watchers; a watcher that does not keep up misses some."""
        for watcher in self._watchers:
            with suppress(trio.WouldBlock, *_GONE):
                watcher.send_nowait(event)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen while the context lasts.

        The caller holds the home's lock, so a socket that is there already is one that a dead peer left behind.

        Raises:
            PeerError: the socket cannot be made.
        """
        try:
            self._path.unlink(missing_ok=True)
            listener = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            before = os.umask(0o177)
            try:
                with short_path(self._path) as address:
                    await listener.bind(address)
            finally:
                os.umask(before)
            listener.listen(MAX_CONNECTIONS)
        except OSError as error:
            raise PeerError(f"{self._path}: cannot listen ({error.strerror}); use a local disk", Exit.HOME) from None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, self._serve, [trio.SocketListener(listener)])
                yield
                nursery.cancel_scope.cancel()
        finally:
            self._path.unlink(missing_ok=True)

    async def _serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection. If there are too many, the one that has been silent for longest is closed.

        If all of them are being answered, the new one is closed.
        """
        if self._connections >= MAX_CONNECTIONS:
            oldest = next(iter(self._silent), None)
            if oldest is None:
                return
            del self._silent[oldest]
            oldest.cancel()
        self._connections += 1
        try:
            with suppress(*_GONE):
                await self._converse(stream)
        finally:
            self._connections -= 1

    async def _converse(self, stream: trio.SocketStream) -> None:
        buffer = bytearray()
        while True:
            with trio.move_on_after(REQUEST_SECONDS) as waiting:
                self._silent[waiting] = None
                try:
                    line = await _line_of(stream, buffer)
                finally:
                    self._silent.pop(waiting, None)
            if waiting.cancelled_caught or line is None:
                return
            if await self._handle(stream, line):
                return

    async def _handle(self, stream: trio.SocketStream, line: bytes) -> bool:
        """Answer one request; return whether it was the last one of its connection."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("not an object")
            if request.get("do") == "watch":
                if len(self._watchers) < MAX_WATCHERS:
                    await self._watch(stream)
                    return True
                raise PeerError(f"{MAX_WATCHERS} programs watch already")
            answer = {"ok": True, **await self._answer(request)}
        except PeerError as error:
            answer = {"ok": False, "error": str(error), "code": int(error.code)}
        except Exception as error:
            # Whatever goes wrong in a request, the peer goes on. An error that is a bug of ours is logged.
            if not isinstance(error, ValueError | RecursionError):
                log.warning("a request could not be answered", exc_info=True)
            what = str(error) if isinstance(error, ValueError) else type(error).__name__
            answer = {"ok": False, "error": f"not a request: {what}", "code": int(Exit.USAGE)}
        with trio.move_on_after(REQUEST_SECONDS) as sending:
            await stream.send_all(_line(answer))
        return sending.cancelled_caught

    async def _watch(self, stream: trio.SocketStream) -> None:
        send, receive = trio.open_memory_channel[Json](MAX_WAITING_EVENTS)
        self._watchers.add(send)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_closed, stream, nursery.cancel_scope)
                async for event in receive:
                    await stream.send_all(_line(event))
        except* trio.BrokenResourceError:
            pass
        finally:
            self._watchers.discard(send)


async def _until_closed(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    with suppress(*_GONE):
        while await stream.receive_some(1024):
            pass
    scope.cancel()


async def _line_of(stream: trio.SocketStream, buffer: bytearray) -> bytes | None:
    """Return the next line without its line break; None at the end of the stream, or if the line is too long."""
    while (end := buffer.find(b"\n")) < 0:
        if len(buffer) > MAX_REQUEST_BYTES:
            return None
        data = await stream.receive_some(4096)
        if not data:
            return None
        buffer += data
    line = bytes(buffer[:end])
    del buffer[: end + 1]
    return line


def _line(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
