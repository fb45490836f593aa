"""The answering side of the control socket; see :mod:`.control` for what is said on it."""

import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import trio

from .control import Json, short_path
from .exits import Exit, PeerError

MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_CONNECTIONS: Final = 16
MAX_WAITING_EVENTS: Final = 256

_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class ControlServer:
    """Answers requests with ``answer``, and watchers with what is handed to :meth:`tell`.

    A :class:`PeerError` out of ``answer`` goes to the asker, with its exit code.
    """

    def __init__(self, path: Path, answer: Callable[[Json], Awaitable[Json]]) -> None:
        self._path = path
        self._answer = answer
        self._connections = 0
        self._watchers: set[trio.MemorySendChannel[Json]] = set()

    def tell(self, event: Json) -> None:
        """Pass an event on to whoever watches; one that does not keep up misses some."""
        for watcher in self._watchers:
            with suppress(trio.WouldBlock, *_GONE):
                watcher.send_nowait(event)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen while the context lasts. Whoever calls holds the home's lock, so an old socket is a dead
        one.

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
        if self._connections >= MAX_CONNECTIONS:
            return
        self._connections += 1
        try:
            with suppress(*_GONE):
                async for line in _lines(stream):
                    await self._handle(stream, line)
        finally:
            self._connections -= 1

    async def _handle(self, stream: trio.SocketStream, line: bytes) -> None:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("not an object")
            if request.get("do") == "watch":
                await self._watch(stream)
                return
            answer = {"ok": True, **await self._answer(request)}
        except PeerError as error:
            answer = {"ok": False, "error": str(error), "code": int(error.code)}
        except (ValueError, RecursionError) as error:
            answer = {"ok": False, "error": f"not a request: {error}", "code": int(Exit.USAGE)}
        await stream.send_all(_line(answer))

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


async def _lines(stream: trio.SocketStream) -> AsyncIterator[bytes]:
    buffer = bytearray()
    while data := await stream.receive_some(4096):
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            yield line
        if len(buffer) > MAX_REQUEST_BYTES:
            return


def _line(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
