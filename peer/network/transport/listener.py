"""The listening socket: takes connections in batches, and closes at once those that the doors do not let in.

libp2p's listener starts a task for each connection. A flood of them costs the event loop several times as much as here,
where a refused one is an accept, a look at its first bytes and a close.
"""

import contextlib
import errno
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.transport.exceptions import OpenConnectionError
from libp2p.transport.tcp.tcp import TCPListener
from libp2p.utils.multiaddr_utils import extract_ip_from_multiaddr
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from ..limits.doors import Doors
from .knocks import PEEKED_BYTES, Knocks

ACCEPTED_A_TURN: Final = 16
"""Connections that are taken before the other tasks have a turn."""

MAX_WAITING_TO_KNOCK: Final = 64
"""Connections whose first bytes are awaited; of more, the oldest goes."""

KNOCK_SECONDS: Final = 1.0
"""How long they may take: a member's knock comes right behind the packets that open the connection."""

_BACKLOG: Final = 256
_PAUSE_SECONDS: Final = 0.1
_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Arrival(TrioTCPStream):
    """An inbound connection that may begin its handshake. `member`: the one whose knock it came with, or None."""

    def __init__(self, stream: trio.SocketStream, member: bytes | None) -> None:
        super().__init__(stream)
        self.member = member


class Listener(TCPListener):
    """Listens, and hands the connections that the doors let in over to libp2p, in a task each."""

    def __init__(self, handler: Callable[[Any], Awaitable[None]], doors: Doors, knocks: Knocks) -> None:
        super().__init__(handler)
        self._doors = doors
        self._knocks = knocks
        self._waiting: dict[socket.socket, trio.CancelScope] = {}

    async def listen(self, maddr: Multiaddr) -> None:
        """Listen on one address. Raises OpenConnectionError."""
        host = extract_ip_from_multiaddr(maddr)
        try:
            listening = _open(str(host), int(maddr.value_for_protocol("tcp")))
        except (OSError, ValueError) as error:
            raise OpenConnectionError(f"cannot listen on {maddr}: {error}") from error
        async with self._lifecycle_lock:
            if self._closed:
                listening.close()
                raise OpenConnectionError(f"cannot listen on {maddr}: closed")
            if self._nursery is None:
                await self._spawn_background_task()
            assert self._nursery is not None
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
            self.listeners.append(listener)
            self._nursery.start_soon(self._serve, listener, listening)

    async def _serve(self, listener: trio.SocketListener, listening: socket.socket) -> None:
        async with listener, trio.open_nursery() as nursery:
            while True:
                try:
                    await trio.lowlevel.wait_readable(listening.fileno())
                    for _ in range(ACCEPTED_A_TURN):
                        connection, address = listening.accept()
                        connection.setblocking(False)
                        self._arrived(nursery, connection, str(address[0]))
                except BlockingIOError:
                    continue
                except trio.ClosedResourceError:
                    return
                except OSError as error:
                    if error.errno in _NO_ROOM:
                        await trio.sleep(_PAUSE_SECONDS)
                    elif listening.fileno() < 0:
                        return

    def _arrived(self, nursery: trio.Nursery, connection: socket.socket, host: str) -> None:
        if self._doors.are_open_to(host, trio.current_time()):
            nursery.start_soon(self._enter, connection, None)
            return
        try:
            first = connection.recv(PEEKED_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            # Nothing has arrived on it yet: give a knock a moment to come.
            if len(self._waiting) >= MAX_WAITING_TO_KNOCK:
                self._waiting.pop(next(iter(self._waiting))).cancel()
            scope = self._waiting[connection] = trio.CancelScope(deadline=trio.current_time() + KNOCK_SECONDS)
            nursery.start_soon(self._await_knock, nursery, connection, scope)
        except OSError:
            self._refuse(connection)
        else:
            self._look(nursery, connection, first)

    async def _await_knock(self, nursery: trio.Nursery, connection: socket.socket, scope: trio.CancelScope) -> None:
        first = b""
        try:
            with scope, contextlib.suppress(OSError):
                await trio.lowlevel.wait_readable(connection.fileno())
                first = connection.recv(PEEKED_BYTES, socket.MSG_PEEK)
        except trio.Cancelled:
            connection.close()
            raise
        self._waiting.pop(connection, None)
        self._look(nursery, connection, first)

    def _look(self, nursery: trio.Nursery, connection: socket.socket, first: bytes) -> None:
        member = self._knocks.whose(first)
        if member is not None and self._doors.are_open_to_member(member, trio.current_time()):
            nursery.start_soon(self._enter, connection, member)
        else:
            self._refuse(connection)

    def _refuse(self, connection: socket.socket) -> None:
        self._doors.refused += 1
        # Without a reset the system would keep the closed connection for a minute.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.close()

    async def _enter(self, connection: socket.socket, member: bytes | None) -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
        async with stream:
            with contextlib.suppress(Exception):
                await self.handler(Arrival(stream, member))


def _open(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
