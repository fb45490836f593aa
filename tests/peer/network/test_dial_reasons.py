"""Why an address leads nowhere is told in words that say what to look at."""

import socket
from collections.abc import Callable
from typing import Any

import trio

from coterie.peer.network.link_events import Unreachable


async def answer_as_a_web_server(stream: trio.SocketStream) -> None:
    async with stream:
        await stream.receive_some()
        await stream.send_all(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        while await stream.receive_some():
            pass


async def test_a_server_of_another_kind_is_told_as_such(world: Callable[[], Any]) -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer_as_a_web_server, [listener])
        port = listener.socket.getsockname()[1]
        async with world() as peers:
            peer = await peers.start(1, f"/ip4/127.0.0.1/tcp/{port}")
            assert "no Coterie peer answers there" in (await peer.event(Unreachable)).reason
        nursery.cancel_scope.cancel()


class NoNames(trio.abc.HostnameResolver):
    """Knows no host."""

    async def getaddrinfo(self, *question: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def getnameinfo(self, *question: Any) -> Any:
        raise NotImplementedError


async def test_a_name_that_there_is_not_is_told_in_the_systems_words(world: Callable[[], Any]) -> None:
    trio.socket.set_custom_hostname_resolver(NoNames())
    async with world() as peers:
        peer = await peers.start(1, "/dns/no-such-host.invalid/tcp/4001")
        reason = (await peer.event(Unreachable)).reason
        assert reason == "/dns/no-such-host.invalid/tcp/4001: Name or service not known"
