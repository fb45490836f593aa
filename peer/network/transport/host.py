"""Our libp2p host: authenticated connections to members, and byte streams on them.

The modules above this one know members by their 32-byte keys, connections, streams, and addresses as texts.
"""

import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import trio
from libp2p.abc import IMuxedConn, INetStream
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError, ParseError
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.stream.net_stream import NetStream
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from ....crypto.identity.identity import Identity
from .addresses import Address
from .hardening import Basic, GuardedManager, OwnAddress, Swarm, peer_of, public_key_of, quiet
from .streams import Stream
from .yamux import Muxer, Traffic

DIAL_SECONDS: Final = 10.0
NEGOTIATE_SECONDS: Final = 10
_MAX_WAITING_STREAMS: Final = 1
_PORTS: Final = range(65_536)

_INNER_BRIDGES: Final = ("docker", "br-", "virbr", "veth", "vnet", "cni", "podman", "lxc", "lxdbr")
"""How the names of interfaces begin that lead to containers and virtual machines on the same machine."""
_SHUTDOWN_SECONDS: Final = 5.0


class ListenError(Exception):
    """An address that we cannot listen on; the message says which and why."""


class DialError(Exception):
    """An address that did not lead to the peer; the message says why."""


class DialedOurselves(DialError):
    """The address is one of our own."""


class Connection:
    """An authenticated connection to `member`, up until `closed` is set."""

    def __init__(self, host: "Host", member: bytes, muxer: Muxer, outbound: bool) -> None:
        self.member = member
        self.muxer = muxer
        self.outbound = outbound
        self.closed = muxer.event_closed
        remote = muxer.get_remote_address()
        self.remote_host = remote[0] if remote else ""
        self.swarm_connection: SwarmConn | None = None
        self._host = host
        self._arrivals: dict[str, tuple[trio.MemorySendChannel[Stream], trio.MemoryReceiveChannel[Stream]]] = {}

    def _arrival(self, protocol: str) -> tuple[trio.MemorySendChannel[Stream], trio.MemoryReceiveChannel[Stream]]:
        if protocol not in self._arrivals:
            self._arrivals[protocol] = trio.open_memory_channel[Stream](_MAX_WAITING_STREAMS)
        return self._arrivals[protocol]

    def deliver(self, protocol: str, stream: Stream) -> None:
        """Take a stream that the peer opened. Raises WouldBlock when one of that protocol already waits."""
        self._arrival(protocol)[0].send_nowait(stream)

    async def accept(self, protocol: str) -> Stream:
        """The next stream of `protocol` that the peer opens."""
        return await self._arrival(protocol)[1].receive()

    async def open(self, protocol: str) -> Stream:
        """Open a stream. Raises DialError when the peer does not answer or does not speak the protocol."""
        assert self.swarm_connection is not None
        return await self._host.open_stream(self.swarm_connection, protocol)

    async def abort(self) -> None:
        """Cut the connection off; returns soon whatever its state."""
        if self.swarm_connection is not None:
            await self._host.swarm.abort(self.swarm_connection)
        else:
            await self.muxer.abort()

    async def close(self) -> None:
        """Send what is queued, if that goes quickly, and close."""
        await self.muxer.close()
        await self.abort()


class Host:
    """Listens, dials and hands over connections.

    `admit` is asked once about each authenticated connection and may not wait; `connected` gets those that it takes.
    """

    def __init__(
        self,
        identity: Identity,
        admit: Callable[[Connection], bool],
        connected: Callable[[Connection], None],
        protocols: Sequence[str],
    ) -> None:
        quiet()
        self.member = identity.public
        self.traffic = Traffic()
        self._admit = admit
        self._connected = connected
        self.swarm = Swarm(identity, self._authenticated, self._registered)
        self.basic = Basic(self.swarm)
        for protocol in protocols:
            self.basic.set_stream_handler(TProtocol(protocol), self._arrived)
        self.swarm.guard(self.basic.negotiate)

    @asynccontextmanager
    async def run(self, listen: Sequence[str]) -> AsyncIterator[None]:
        """Listen on `listen` (port 0 picks one) while the context lasts. Raises ListenError."""
        for address in listen:
            check_port_is_free(address)
        manager = GuardedManager(self.swarm)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(manager.run)
            await manager.wait_started()
            try:
                for address in listen:
                    if not await self.swarm.listen(Multiaddr(address)):
                        raise ListenError(f"cannot listen on {address}")
                yield
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(_SHUTDOWN_SECONDS):
                    await self._shut_down(manager)
                nursery.cancel_scope.cancel()

    async def _shut_down(self, manager: GuardedManager) -> None:
        for listener in list(self.swarm.listeners.values()):
            await listener.close()
        async with trio.open_nursery() as nursery:
            for connection in self.swarm.get_connections():
                assert isinstance(connection, SwarmConn)
                nursery.start_soon(self.swarm.abort, connection)
        await manager.stop()

    def listening(self) -> list[str]:
        """The addresses that we listen on, with their real ports."""
        return [str(address) for address in self.basic.get_transport_addrs()]

    async def dial(self, address: str, member: bytes | None) -> Connection:
        """Connect to `address`; the peer there has to be `member`, unless that is None. Raises DialError."""
        try:
            with trio.fail_after(DIAL_SECONDS):
                swarm_connection = await self._dial(address, None if member is None else peer_of(member))
        except trio.TooSlowError:
            raise DialError(f"{address} did not answer within {DIAL_SECONDS:.0f} s") from None
        except OwnAddress as error:
            raise DialedOurselves(str(error)) from None
        except (BaseLibp2pError, OSError, ValueError, trio.BrokenResourceError) as error:
            raise DialError(f"{address}: {_root_cause(error)}") from error
        return _owner(swarm_connection.muxed_conn)

    async def _dial(self, address: str, peer: ID | None) -> SwarmConn:
        """Dial each address that a host name stands for, until one answers."""
        error: Exception = OSError(f"no address for the name in {address}")
        for resolved in await resolve(address):
            try:
                return await self.swarm.dial(Multiaddr(resolved), peer)
            except OwnAddress:
                raise
            except (BaseLibp2pError, OSError) as failure:
                error = failure
        raise error

    async def open_stream(self, swarm_connection: SwarmConn, protocol: str) -> Stream:
        """Open a stream and agree on its protocol. Raises DialError."""
        try:
            net_stream = await swarm_connection.new_stream()
            await self.basic.multiselect_client.select_one_of(
                [TProtocol(protocol)], MultiselectCommunicator(net_stream), NEGOTIATE_SECONDS
            )
        except (BaseLibp2pError, OSError) as error:
            raise DialError(f"no {protocol} stream: {_root_cause(error)}") from error
        assert isinstance(net_stream.muxed_stream, Stream)
        return net_stream.muxed_stream

    async def _arrived(self, stream: INetStream) -> None:
        assert isinstance(stream, NetStream)
        assert isinstance(stream.muxed_stream, Stream)
        _owner(stream.muxed_conn).deliver(str(stream.get_protocol()), stream.muxed_stream)

    def _authenticated(self, muxer: Muxer, outbound: bool) -> bool:
        try:
            member = public_key_of(muxer.peer_id)
        except ValueError:
            return False
        connection = Connection(self, member, muxer, outbound)
        muxer.owner = connection
        muxer.total = self.traffic
        return member != self.member and self._admit(connection)

    def _registered(self, swarm_connection: SwarmConn) -> None:
        connection = _owner(swarm_connection.muxed_conn)
        connection.swarm_connection = swarm_connection
        self._connected(connection)


def _owner(muxer: IMuxedConn) -> Connection:
    assert isinstance(muxer, Muxer)
    assert isinstance(muxer.owner, Connection)
    return muxer.owner


async def resolve(address: str) -> list[str]:
    """The IP addresses that a /dns, /dns4 or /dns6 address stands for, as the operating system sees it."""
    _, family, host, _, port, *_ = address.split("/")
    families = {"dns": socket.AF_UNSPEC, "dns4": socket.AF_INET, "dns6": socket.AF_INET6}
    if family not in families:
        return [address]
    found = await trio.socket.getaddrinfo(host, port, families[family], socket.SOCK_STREAM)
    return [f"/{'ip6' if ':' in ip else 'ip4'}/{ip}/tcp/{port}" for *_, (ip, *_) in found]


def _root_cause(error: BaseException) -> str:
    """The innermost reason of an error, in one line; libp2p wraps the one that matters several times."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, PeerIDMismatchesPubkey):
        return "another peer than the expected one answers there"
    if isinstance(cause, ParseError):
        return "no Coterie peer answers there, but something else"
    if isinstance(cause, socket.gaierror):
        return str(cause.strerror)  # its number is none of the system's errors
    text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    return os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else text


def split_listen(address: str) -> tuple[int, str, int]:
    """Socket family, host and port of a listen address like /ip4/0.0.0.0/tcp/4001. Raises ListenError."""
    parts = address.strip("/").split("/")
    with contextlib.suppress(ValueError):
        match parts:
            case ["ip4", host, "tcp", port] if int(port) in _PORTS:
                return socket.AF_INET, str(IPv4Address(host)), int(port)
            case ["ip6", host, "tcp", port] if int(port) in _PORTS:
                return socket.AF_INET6, str(IPv6Address(host)), int(port)
    raise ListenError(
        f"cannot listen on {address}: the form is /ip4/0.0.0.0/tcp/4001 or /ip6/::/tcp/4001, and a port is a number"
        " from 1 to 65535 (0: any free one)"
    )


def check_port_is_free(address: str) -> None:
    """Raise ListenError unless we can have the port for ourselves.

    libp2p's listener sets SO_REUSEPORT, with which two processes share a port without noticing, and each gets some of
    the connections. A bind without that option fails instead.
    """
    family, host, port = split_listen(address)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Lingering connections of an earlier run do not hold the port, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ListenError(
                    f"port {port} on {host} is in use by another process; choose another with --listen"
                ) from None
            raise ListenError(f"cannot listen on {address}: {os.strerror(error.errno or 0)}") from None


def dialable(listening: str) -> list[Address]:
    """The addresses to dial for one that we listen on: a wildcard becomes the host's own, its main one first.

    The others are needed, too: peers may reach this machine over a VPN or a second network, which is not on its default
    route.
    """
    family, host, port = split_listen(listening)
    hosts = [host] if host not in ("0.0.0.0", "::") else [_main_address(family), *_other_addresses(family)]
    kind = "ip6" if family == socket.AF_INET6 else "ip4"
    return [Address(f"/{kind}/{one}/tcp/{port}") for one in dict.fromkeys(hosts)]


def _other_addresses(family: int) -> list[str]:
    """The addresses of this machine's interfaces at which others may reach it.

    Not those of bridges to containers and virtual machines on this machine: other machines have the same ones.
    """
    import ifaddr

    version = 6 if family == socket.AF_INET6 else 4
    found = []
    for adapter in ifaddr.get_adapters():
        if not adapter.name.startswith(_INNER_BRIDGES):
            texts = [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for ip in adapter.ips]
            found += [one for one in map(ip_address, texts) if one.version == version]
    return [str(one) for one in found if not (one.is_loopback or one.is_link_local or one.is_unspecified)]


def _main_address(family: int) -> str:
    """This machine's address on its default route; loopback if it has none. Nothing is sent to find out."""
    target, loopback = ("2001:db8::1", "::1") if family == socket.AF_INET6 else ("192.0.2.1", "127.0.0.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return loopback
