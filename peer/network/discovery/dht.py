"""Finding members through a Kademlia DHT, with nothing but the federation's id and any node of the DHT.

Members *provide* a key that is derived from the federation's id, and store their signed address record under a key
that is derived from their own id. A peer that knows the federation's id looks up the providers, then their records.
Of what the DHT says only signed records are believed.

The DHT runs on a port of its own: it talks to anybody, and the links to members must not pay for that.
"""

import base64
import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.peerinfo import PeerInfo
from libp2p.records.validator import NamespacedValidator, Validator
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from ....crypto.identity.identity import Identity
from ..limits.hosts import host_key
from ..transport.addresses import Address, AddressRecord, BadRecord, open_record
from ..transport.hardening import Basic, GuardedManager, Swarm, peer_of, public_key_of
from ..transport.host import ListenError, check_port_is_free
from ..transport.yamux import Muxer

NAMESPACE: Final = "coterie"
MAX_CONNECTIONS: Final = 64
"""Inbound connections at a time. For another one, the one that has been silent for longest goes."""

MAX_CONNECTIONS_PER_HOST: Final = 16
IDLE_SECONDS: Final = 30.0
"""After so long without a byte a connection is closed: a peer that asks again connects again."""

MAX_PROVIDERS: Final = 64
FIRST_PAUSE_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 120.0
_STEP_SECONDS: Final = 30.0
_CONNECTION_BYTES: Final = 16 * 1024 * 1024
_STREAMS: Final = 4096

log = logging.getLogger("coterie.network")


def provider_key(federation: bytes) -> str:
    """The key that members provide: a SHA-256 multihash, in hex."""
    return (b"\x12\x20" + hashlib.sha256(b"coterie/1/dht/federation" + federation).digest()).hex()


def record_key(member: bytes) -> str:
    """The key of a member's address record; py-libp2p looks up no key of more than 50 bytes."""
    digest = hashlib.sha256(b"coterie/1/dht/member" + member).digest()[:24]
    return f"/{NAMESPACE}/{base64.urlsafe_b64encode(digest).decode()}"


class RecordValidator(Validator):
    """Lets a DHT node store nothing but signed address records, each under its member's key."""

    def validate(self, key: str, value: bytes) -> None:
        """Raise BadRecord for anything else."""
        if record_key(open_record(value).member) != key:
            raise BadRecord("an address record under another member's key")

    def select(self, key: str, values: list[bytes]) -> int:
        """Choose the newest record; all are of one key."""
        del key
        return max(range(len(values)), key=lambda index: open_record(values[index]).sequence)


class Dht:
    """Our node of the DHT: serves others, publishes our record, and finds members."""

    def __init__(self, identity: Identity, listen: str, entries: Sequence[Address]) -> None:
        """`entries` are nodes of the DHT to begin with; they need their /p2p/ part."""
        self._listen = listen
        self._entries = [address for address in entries if address.member is not None]
        self._guests: dict[Muxer, Guest] = {}
        self._nursery: trio.Nursery | None = None
        self._swarm = Swarm(identity, self._admit, lambda _: None)
        self._basic = Basic(self._swarm)
        self._swarm.guard(self._basic.negotiate)
        self._node: Any = None
        self._member = identity.public

    async def run(
        self,
        federation: Callable[[], bytes],
        record: Callable[[], bytes],
        found: Callable[[AddressRecord], None],
        *,
        task_status: Any = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run until cancelled; reports the address that others can use as an entry as started. Raises ListenError."""
        from .kademlia import Node  # takes long to import, and few peers use it

        check_port_is_free(self._listen)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._close_idle)
            network = GuardedManager(self._swarm)
            nursery.start_soon(network.run)
            await network.wait_started()
            if not await self._swarm.listen(Multiaddr(self._listen)):
                raise ListenError(f"cannot listen on {self._listen}")
            self._node = Node(self._basic, NamespacedValidator({NAMESPACE: RecordValidator()}, strict_validation=True))
            service = GuardedManager(self._node)
            nursery.start_soon(service.run)
            await service.wait_started()
            task_status.started(Address(str(self._basic.get_transport_addrs()[0]), self._member))
            try:
                await self._keep_looking(federation, record, found)
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(2):
                    await service.stop()
                    await network.stop()
                nursery.cancel_scope.cancel()

    async def _keep_looking(
        self,
        federation: Callable[[], bytes],
        record: Callable[[], bytes],
        found: Callable[[AddressRecord], None],
    ) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                with trio.move_on_after(_STEP_SECONDS):
                    await self._enter()
                    if federation():
                        await self.publish(federation(), record())
                        for item in await self.look_up(federation()):
                            found(item)
            except* (BaseLibp2pError, ValueError, OSError) as group:
                log.debug("DHT: %r", group.exceptions[0])
            await trio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS)

    async def _enter(self) -> None:
        for entry in self._entries:
            assert entry.member is not None
            peer = peer_of(entry.member)
            self._swarm.unblock_peer(peer)
            try:
                await self._basic.connect(PeerInfo(peer, [Multiaddr(entry.text)]))
                await self._node.add_peer(peer, skip_server_mode_check=True)
            except BaseLibp2pError as error:
                log.debug("DHT node %s: %s", entry, error)
        await self._node.refresh_routing_table()

    async def publish(self, federation: bytes, record: bytes) -> None:
        """Publish that we are of the federation, and our address record."""
        if record:
            await self._node.put_value(record_key(self._member), record)
        await self._node.provide(provider_key(federation))

    async def look_up(self, federation: bytes) -> list[AddressRecord]:
        """The address records of the peers that say that they are of the federation; each is signed by its peer."""
        records = []
        for provider in (await self._node.find_providers(provider_key(federation)))[:MAX_PROVIDERS]:
            try:
                member = public_key_of(provider.peer_id)
                if member == self._member:
                    continue
                value = await self._node.get_value(record_key(member))
                record = open_record(value) if value else None
            except (ValueError, BaseLibp2pError):
                continue
            if record is not None and record.member == member:
                records.append(record)
        return records

    def _admit(self, muxer: Muxer, outbound: bool) -> bool:
        if self._nursery is None:
            return False
        now = trio.current_time()
        muxer.streams_left = _STREAMS
        muxer.budget_bytes = _CONNECTION_BYTES
        if not outbound:
            self._make_room((muxer.get_remote_address() or ("", 0))[0], now)
        self._guests[muxer] = Guest(muxer, outbound, now)
        return True

    def _make_room(self, address: str, now: float) -> None:
        host = host_key(address)
        guests = [guest for guest in self._look_at_guests(now) if not guest.outbound]
        neighbours = [guest for guest in guests if guest.host == host]
        if len(neighbours) >= MAX_CONNECTIONS_PER_HOST:
            self._close(min(neighbours, key=lambda guest: guest.heard_at))
        elif len(guests) >= MAX_CONNECTIONS:
            self._close(min(guests, key=lambda guest: guest.heard_at))

    def _look_at_guests(self, now: float) -> list["Guest"]:
        """Note which guests have sent something since the last look, and forget those that are gone."""
        self._guests = {muxer: guest for muxer, guest in self._guests.items() if not muxer.is_closed}
        for guest in self._guests.values():
            guest.listen(now)
        return list(self._guests.values())

    def _close(self, guest: "Guest") -> None:
        assert self._nursery is not None
        del self._guests[guest.muxer]
        self._nursery.start_soon(guest.muxer.abort)

    async def _close_idle(self) -> None:
        while True:
            await trio.sleep(IDLE_SECONDS / 4)
            now = trio.current_time()
            for guest in self._look_at_guests(now):
                if now - guest.heard_at >= IDLE_SECONDS:
                    self._close(guest)


class Guest:
    """A connection to our node, and when it last said something."""

    def __init__(self, muxer: Muxer, outbound: bool, now: float) -> None:
        self.muxer = muxer
        self.outbound = outbound
        self.host = host_key((muxer.get_remote_address() or ("", 0))[0])
        self.heard_at = now
        self._bytes = muxer.bytes_received

    def listen(self, now: float) -> None:
        """Look whether it has said something since."""
        if self.muxer.bytes_received != self._bytes:
            self._bytes, self.heard_at = self.muxer.bytes_received, now
