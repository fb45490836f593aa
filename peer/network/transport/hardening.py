"""libp2p 0.8.1 made fit for an open port: the one module that touches libp2p's inside.

Each trap of the stock library, and what stands against it here (tests/peer/network/transport/test_hardening.py shows
both):

====================================================  ==================================================
stock libp2p                                          here
====================================================  ==================================================
accepts plaintext, so anybody can claim any PeerId    `Upgrader`: Noise only
parses RSA keys of strangers, for seconds each        `handshake_keys`: Ed25519 alone, of 36 bytes
takes handshakes of 64 KiB                            `noise`: its own, each message bounded
a task and a handshake for every caller               `listener`, `doors`, `knocks`: a budget of handshakes
reads any length that an unauthenticated peer says    `wire.Meter` bounds the bytes before authentication
an exception in a stream handler ends the host        `Swarm.guard`: one choke point for inbound streams
an exception in a background task ends the service    `GuardedManager`
leaks a slot an inbound connection; deaf after 250    `Swarm._handle_inbound_connection`: slots come back
idle half-open sockets keep those slots for 10 s      the oldest of the fullest host goes for a new one
a resource manager refuses by rate and by memory      none; `Swarm.add_conn` asks one admission hook
dials 250 ms apart, one address a peer, not again     `Swarm.dial` connects to one address, now
for 60 s after a failure
connects by itself to peers in the peerstore          watermarks of zero
remembers for ever which peers were here              `Swarm.notify_disconnected` does not
`disconnect` hangs or leaves zombies behind           `Swarm.abort`: bounded, wakes tasks that are stuck
yamux that stalls, overflows and corrupts             `yamux.Muxer`
logs to the root logger, and much                     `quiet`
====================================================  ==================================================
"""

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from importlib import metadata
from typing import Any, Final

import trio
from libp2p.abc import IMuxedConn, INetConn, INetStream, IRawConnection, ISecureConn
from libp2p.crypto.ed25519 import Ed25519PublicKey
from libp2p.crypto.keys import KeyPair, KeyType, PrivateKey, PublicKey
from libp2p.custom_types import THandler, TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.io.abc import ReadWriteCloser
from libp2p.network import swarm as stock_swarm
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection import swarm_connection
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.protocol_muxer.exceptions import (
    MultiselectClientError,
    MultiselectCommunicatorError,
    MultiselectError,
)
from libp2p.protocol_muxer.multiselect import MULTISELECT_PROTOCOL_ID, PROTOCOL_NOT_FOUND_MSG
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.exceptions import HandshakeFailure
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL_ID
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL_ID
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.tools.anyio_service.trio_manager import TrioManager
from libp2p.transport.exceptions import MuxerUpgradeFailure, SecurityUpgradeFailure
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from libp2p.utils import encode_delim
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from ....crypto.identity.identity import Identity
from ..limits.doors import MAX_CALLERS, Doors, HalfOpen
from ..limits.hosts import host_key
from .handshake_keys import close_parsers
from .knocks import Knocks, protocol_name
from .listener import Arrival, Listener
from .noise import NoiseXX
from .wire import Meter, NoiseWire
from .yamux import Muxer

LIBP2P_VERSION: Final = "0.8.1"
HANDSHAKE_SECONDS: Final = 10.0
MAX_KNOWN_PEERS: Final = 512
"""Peers whose addresses libp2p's store holds; of members we have our own book."""

MAX_PEER_ADDRESSES: Final = 8
_MAX_CONNECTIONS: Final = 2048

log = logging.getLogger("coterie.network")


class UnsupportedLibp2p(ImportError):
    """The installed libp2p is not the version whose private attributes this module knows."""


def check_version(installed: str) -> None:
    """Raise UnsupportedLibp2p unless `installed` is the version that this module was written against."""
    if installed != LIBP2P_VERSION:
        raise UnsupportedLibp2p(
            f"libp2p {installed} is installed, but Coterie knows the inside of {LIBP2P_VERSION} only; "
            f"run: pip install libp2p=={LIBP2P_VERSION}"
        )


check_version(metadata.version("libp2p"))
close_parsers()


def quiet() -> None:
    """Keep libp2p's routine troubles out of the user's terminal and log.

    One module of it logs to the root logger by `logging.warning`, which also configures that logger as a side
    effect; others set levels of their own.
    """
    parent = logging.getLogger("libp2p")
    parent.propagate = False
    parent.handlers = [logging.NullHandler()]
    setattr(swarm_connection, "logging", logging.getLogger("libp2p.network.connection"))  # noqa: B010


class GuardedManager(TrioManager):
    """Runs a libp2p service in which a task that fails ends alone, instead of the service with it."""

    def run_task(
        self,
        async_fn: Callable[..., Awaitable[Any]],
        *args: Any,
        daemon: bool = False,
        name: str | None = None,
        _internal: bool = False,
    ) -> None:
        """Like TrioManager's; exceptions of tasks other than the service's own are logged and dropped."""
        if _internal:
            super().run_task(async_fn, *args, daemon=daemon, name=name, _internal=True)
            return

        async def guarded(*arguments: Any) -> None:
            try:
                await async_fn(*arguments)
            except Exception:
                log.debug("a task of %s failed", type(self._service).__name__, exc_info=True)

        super().run_task(guarded, *args, name=name or getattr(async_fn, "__name__", "task"))


class Upgrader(TransportUpgrader):
    """Noise and our yamux, nothing else; and outbound connections to a peer whose id is not known yet."""

    def __init__(self, keys: KeyPair, knocks: Knocks) -> None:
        self._noise = NoiseXX(keys)
        super().__init__(
            secure_transports_by_protocol={NOISE_PROTOCOL_ID: self._noise},
            muxer_transports_by_protocol={TProtocol(YAMUX_PROTOCOL_ID): Yamux},
        )
        self._knocks = knocks

    async def upgrade_security(
        self, raw_conn: IRawConnection, is_initiator: bool, peer_id: ID | None = None
    ) -> ISecureConn:
        """Authenticate the other side. With a peer id it must be that peer, without one it may be anybody."""
        try:
            if not is_initiator:
                return await self.security_multistream.secure_inbound(raw_conn)
            await self._propose_noise(raw_conn, peer_id)
            return await self._noise.secure_outbound(raw_conn, peer_id)
        except (
            MultiselectError,
            MultiselectClientError,
            MultiselectCommunicatorError,
            HandshakeFailure,
            ValueError,
        ) as error:
            raise SecurityUpgradeFailure(str(error)) from error

    async def _propose_noise(self, raw_conn: IRawConnection, peer_id: ID | None) -> None:
        """Agree on Noise, and knock if we know which member we call.

        All goes into one packet, since the other side looks for a knock in the first.
        """
        knock = None if peer_id is None else self._knocks.for_call(public_key_of(peer_id))
        lines = [MULTISELECT_PROTOCOL_ID, str(NOISE_PROTOCOL_ID)]
        answers = list(lines)
        if knock is not None:
            lines.insert(1, protocol_name(knock))
            answers.insert(1, PROTOCOL_NOT_FOUND_MSG)
        await raw_conn.write(b"".join(encode_delim(line.encode()) for line in lines))
        communicator = MultiselectCommunicator(raw_conn)
        for expected in answers:
            if await communicator.read() != expected:
                raise MultiselectClientError("the other side does not accept Noise")

    async def upgrade_connection(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """Agree on yamux by name and run our own."""
        del peer_id  # unknown when we dialled an address without one
        try:
            await self.muxer_multistream.select_transport(conn)
        except (MultiselectError, MultiselectClientError) as error:
            raise MuxerUpgradeFailure(str(error)) from error
        return Muxer(_take_over(conn), conn.get_remote_peer(), conn.is_initiator)


def _take_over(secured: Any) -> NoiseWire:
    """The socket and the cipher of a finished Noise handshake, with all that the handshake read ahead."""
    messages = secured.conn
    plaintext = secured._drain(None)
    raw: RawConnection = messages.read_writer.read_write_closer
    assert isinstance(raw.stream, Meter)
    return NoiseWire(raw.stream, messages.noise_state, plaintext)


class Transport(TCP):
    """TCP whose connections are metered until the other side has authenticated, and let in within a budget."""

    def __init__(self, doors: Doors, knocks: Knocks) -> None:
        super().__init__()
        self._doors = doors
        self._knocks = knocks

    def create_listener(self, handler_function: THandler) -> Listener:
        """A listener that asks the doors first."""
        return Listener(handler_function, self._doors, self._knocks)

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        """Connect to one address. Raises OpenConnectionError."""
        raw = await super().dial(maddr)
        raw.stream = Meter(raw.stream.stream)  # type: ignore[attr-defined]
        return raw


Admit = Callable[[Muxer, bool], bool]
"""(connection, whether we dialled) -> whether to keep it; synchronous, called once it is authenticated."""

Registered = Callable[[SwarmConn], None]
"""Called with each connection that is up."""


class Peers(PeerStore):
    """libp2p's store of peers and addresses, from which the oldest go; the stock one sorts all for each new one."""

    def __init__(self) -> None:
        super().__init__(max_peers=MAX_KNOWN_PEERS)

    def _enforce_peer_limit(self) -> None:
        keep = self.local_peer_record.record().peer_id if self.local_peer_record is not None else None
        excess = len(self.peer_data_map) - self.max_peers
        for peer in [peer for peer in self.peer_data_map if peer != keep][:excess]:
            self.peer_record_map.pop(peer, None)
            del self.peer_data_map[peer]

    def add_addrs(self, peer_id: ID, addrs: Sequence[Multiaddr], ttl: int = 0) -> None:
        """Take the first MAX_PEER_ADDRESSES of these addresses of a peer."""
        super().add_addrs(peer_id, list(addrs)[:MAX_PEER_ADDRESSES], ttl)


class OwnAddress(SwarmException):
    """We dialled an address that is our own."""


class Swarm(stock_swarm.Swarm):
    """libp2p's swarm with slots that come back, one admission hook, one choke point for inbound streams."""

    def __init__(self, identity: Identity, admit: Admit, registered: Registered) -> None:
        keys = key_pair(identity)
        store = Peers()
        me = ID.from_pubkey(keys.public_key)
        self.doors = Doors()
        self.knocks = Knocks(identity, time.time)
        store.add_key_pair(me, keys)
        super().__init__(
            me,
            store,
            Upgrader(keys, self.knocks),
            transports=[Transport(self.doors, self.knocks)],
            retry_config=RetryConfig(max_retries=0),
            connection_config=ConnectionConfig(
                max_connections=_MAX_CONNECTIONS,
                min_connections=0,
                low_watermark=0,
                high_watermark=0,  # the automatic dialler aims for the mean of the two
                max_connections_per_peer=4,
                inbound_upgrade_timeout=HANDSHAKE_SECONDS,
                outbound_upgrade_timeout=HANDSHAKE_SECONDS,
            ),
        )
        self._admit = admit
        self._registered = registered
        self._half_open = HalfOpen()
        self.failed_handshakes: Counter[str] = Counter()
        """By host (:func:`...host_key`). Only so many hosts are told apart; the others count under the empty key."""

    async def _handle_inbound_connection(self, read_write_closer: ReadWriteCloser, maddr: Multiaddr) -> None:
        """Authenticate an inbound connection within a slot; then hold it open without the slot, until it is over."""
        assert isinstance(read_write_closer, Arrival)
        meter = Meter(read_write_closer.stream)
        host = (meter.get_remote_address() or ("", 0))[0]
        muxer: IMuxedConn | None = None
        scope = trio.CancelScope()
        if read_write_closer.member is None:
            leaving = self._half_open.enter(host, scope)
            if isinstance(leaving, trio.CancelScope):
                leaving.cancel()
        try:
            with scope:
                muxer = await self.upgrade_inbound_raw_conn(RawConnection(meter, False), maddr)
        except Exception as error:
            key = host_key(host)
            is_told_apart = key in self.failed_handshakes or len(self.failed_handshakes) < MAX_CALLERS
            self.failed_handshakes[key if is_told_apart else ""] += 1
            log.debug("inbound connection from %s failed: %r", meter.get_remote_address(), error)
        finally:
            self._half_open.leave(host, scope)
        if isinstance(muxer, Muxer):
            await muxer.event_closed.wait()

    async def add_conn(self, muxed_conn: IMuxedConn, direction: str = "unknown") -> SwarmConn:
        """Register an authenticated connection if the admission hook takes it. Raises SwarmException otherwise."""
        assert isinstance(muxed_conn, Muxer)
        if muxed_conn.peer_id == self.self_id:
            await muxed_conn.abort()
            raise OwnAddress("that is our own address")
        if not self._admit(muxed_conn, direction == "outbound"):
            await muxed_conn.abort()
            raise SwarmException("refused by admission")
        connection = await super().add_conn(muxed_conn, direction)
        self._registered(connection)
        return connection

    def _schedule_prune(self) -> None:
        """Drop nothing here: the network decides which connections to drop, and not by counting."""

    async def notify_disconnected(self, conn: INetConn) -> None:
        """Notify the listeners, and do nothing else.

        The stock method keeps a note of each peer, so as not to dial it soon, and never drops it. Nothing here dials by
        itself.
        """
        await self._notify("disconnected", conn)

    async def dial(self, address: Multiaddr, peer_id: ID | None) -> SwarmConn:
        """One connection to one address, authenticated as `peer_id` unless that is None.

        Raises OpenConnectionError, SwarmException, or what the handshake raises.
        """
        transport = self.transport_manager.transport_for_dialing(address)
        if transport is None:
            raise SwarmException(f"no way to dial {address}; addresses look like /ip4/192.0.2.1/tcp/4001")
        raw = await transport.dial(address)
        try:
            return await self.upgrade_outbound_raw_conn(raw, peer_id)  # type: ignore[arg-type]
        except BaseException:
            with trio.CancelScope(shield=True):
                await raw.close()
            raise

    def guard(self, handler: Callable[[INetStream], Awaitable[None]]) -> None:
        """Make `handler` the only way in for streams that peers open, and contain all that it raises."""

        async def guarded(stream: INetStream) -> None:
            try:
                await handler(stream)
            except Exception:
                log.debug("inbound stream failed", exc_info=True)
                await stream.reset()

        self.set_stream_handler(guarded)

    async def abort(self, connection: SwarmConn) -> None:
        """Cut a connection off. Never hangs, even if tasks are stuck on it, and leaves nothing behind."""
        with trio.CancelScope(shield=True):
            if isinstance(connection.muxed_conn, Muxer):
                await connection.muxed_conn.abort()
            with trio.move_on_after(1):
                await connection.close()
            if connection in self.connections.get(connection.muxed_conn.peer_id, []):
                self.remove_conn(connection)


class Basic(BasicHost):
    """libp2p's host without what it starts by itself: no identify, no ping, no observed addresses."""

    def __init__(self, swarm: Swarm) -> None:
        super().__init__(swarm, disable_identify_address_discovery=True)
        for protocol in self.get_mux().get_protocols():
            if protocol is not None:
                self.remove_stream_handler(protocol)

    async def negotiate(self, stream: INetStream) -> None:
        """Agree with the peer on the protocol of an inbound stream, and run its handler."""
        await self._swarm_stream_handler(stream)

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        """Do not identify: it costs two streams a connection, and our greeting says more."""


class _IdentityKey(PrivateKey):
    """Our identity as libp2p wants to see a private key: it can sign, and the secret stays where it is."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def sign(self, data: bytes) -> bytes:
        return self._identity.sign(data)

    def get_public_key(self) -> PublicKey:
        return Ed25519PublicKey.from_bytes(self._identity.public)

    def get_type(self) -> KeyType:
        return KeyType.Ed25519

    def to_bytes(self) -> bytes:
        raise TypeError("the identity's secret does not leave it")


def key_pair(identity: Identity) -> KeyPair:
    """An identity in libp2p's form."""
    key = _IdentityKey(identity)
    return KeyPair(key, key.get_public_key())


def peer_of(public: bytes) -> ID:
    """libp2p's PeerId of a 32-byte Ed25519 key."""
    return ID.from_pubkey(Ed25519PublicKey.from_bytes(public))


def public_key_of(peer: ID) -> bytes:
    """The 32-byte Ed25519 key inside a PeerId. Raises ValueError when it holds none (another key type)."""
    try:
        key = peer.extract_public_key()
        raw = None if key is None else key.to_bytes()
    except Exception as error:
        raise ValueError("a peer id without an Ed25519 key") from error
    if key is None or key.get_type() is not KeyType.Ed25519 or raw is None or len(raw) != 32:
        raise ValueError("a peer id without an Ed25519 key")
    return raw
