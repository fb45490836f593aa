"""libp2p's Kademlia node with a bound on everything that strangers can make it keep or do.

The stock node keeps any number of provider records, 50,000 values of a megabyte each, and every address that it was
ever told; it serves twelve streams at a time, for as long as their senders like, and each as fast as it can ask.
"""

from collections import OrderedDict
from typing import Any, Final

import trio
from libp2p.host.basic_host import BasicHost
from libp2p.kad_dht import kad_dht as stock
from libp2p.kad_dht import peer_routing, provider_store, value_store
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.kad_dht.pb.kademlia_pb2 import Record
from libp2p.kad_dht.provider_store import ProviderStore
from libp2p.kad_dht.value_store import ValueStore
from libp2p.peer.peerinfo import PeerInfo
from libp2p.records.validator import NamespacedValidator

from ..limits.hosts import host_key
from ..limits.rate_limit import TokenBucket

MAX_REQUEST_BYTES: Final = 8 * 1024
"""A request brings one key, one signed record of its sender's addresses, and perhaps one value of a kilobyte."""

MAX_RESPONSE_BYTES: Final = 64 * 1024
"""Twenty peers with their addresses and signed records."""

MAX_PROVIDED: Final = 2048
"""Provider records, of all keys; the oldest goes."""

MAX_PROVIDED_BY_ONE: Final = 8
MAX_PROVIDERS_OF_A_KEY: Final = 20
MAX_ADDRESSES: Final = 8
MAX_VALUES: Final = 2048
MAX_VALUE_BYTES: Final = 2 * 1024
MAX_STREAMS: Final = 32
"""Streams that are served at a time; for another one the oldest goes."""

MAX_STREAMS_PER_HOST: Final = 4
STREAM_SECONDS: Final = 10.0
"""How long one stream is served, a message that comes in halves included."""

ANSWERS_PER_SECOND: Final = 50.0
"""For all strangers together: each answer costs a millisecond."""

ANSWERS_BURST: Final = 200.0
_PROVIDES_PER_SECOND: Final = 1.0
_PROVIDES_BURST: Final = 10.0
_MAX_PROVIDERS_COUNTED: Final = 1024
_LENGTH_BYTES: Final = 5


class Providers(ProviderStore):
    """Which peers provide which keys: a bounded number of records in all, of each key and of each provider."""

    def __init__(self, host: BasicHost, routing: Any) -> None:
        super().__init__(host, routing)
        self._by_age: OrderedDict[tuple[bytes, str], None] = OrderedDict()
        self._of: dict[str, OrderedDict[bytes, None]] = {}

    def add_provider(self, key: bytes, provider: PeerInfo) -> None:
        """Take a record. Where there are too many, the oldest goes, but never one of our own."""
        name = str(provider.peer_id)
        is_ours = provider.peer_id == self.local_peer_id
        self._forget(key, name)
        if not is_ours:
            mine = self._of.get(name, OrderedDict())
            if len(mine) >= MAX_PROVIDED_BY_ONE:
                self._forget(next(iter(mine)), name)
            if len(self._by_age) >= MAX_PROVIDED:
                self._forget(*next(iter(self._by_age)))
            others = [one for one in self.providers.get(key, {}) if one in self._of]
            if len(self.providers.get(key, {})) >= MAX_PROVIDERS_OF_A_KEY and others:
                self._forget(key, others[0])
            self._by_age[key, name] = None
            self._of.setdefault(name, OrderedDict())[key] = None
        super().add_provider(key, PeerInfo(provider.peer_id, list(provider.addrs)[:MAX_ADDRESSES]))

    def _forget(self, key: bytes, name: str) -> None:
        self._by_age.pop((key, name), None)
        keys = self._of.get(name, OrderedDict())
        keys.pop(key, None)
        if not keys:
            self._of.pop(name, None)
        records = self.providers.get(key, {})
        records.pop(name, None)
        if not records:
            self.providers.pop(key, None)


class Values(ValueStore):
    """Records of members: a bounded number of bounded size."""

    def put_record(self, key: bytes, record: Record) -> None:
        """Take a record of another peer. Raises ValueError for one that is too large."""
        if record.ByteSize() > MAX_VALUE_BYTES:
            raise ValueError(f"a record of {record.ByteSize()} bytes")
        self.store.pop(key, None)  # so that the newest stand last
        super().put_record(key, record)

    def _evict_if_full(self) -> None:
        """Drop the oldest records of others. The stock method parses the dates of 50,000 records to find one."""
        while len(self.store) >= MAX_VALUES:
            oldest = next((key for key in self.store if key not in self.local_keys), None)
            if oldest is None:
                return
            del self.store[oldest]


class Node(KadDHT):
    """A server node of the DHT."""

    def __init__(self, host: BasicHost, validator: NamespacedValidator) -> None:
        for reader, limit in (
            (stock, MAX_REQUEST_BYTES),
            (peer_routing, MAX_RESPONSE_BYTES),
            (provider_store, MAX_RESPONSE_BYTES),
            (value_store, MAX_RESPONSE_BYTES),
        ):
            setattr(reader, "MAX_DHT_MESSAGE_SIZE", limit)  # noqa: B010
        super().__init__(host, DHTMode.SERVER, validator=validator, validator_changed=True, strict_validation=True)
        self.value_store = Values(host, self.local_peer_id)
        self.provider_store = Providers(host, self.peer_routing)
        self._answers = TokenBucket(ANSWERS_PER_SECOND, ANSWERS_BURST)
        self._provides: OrderedDict[object, TokenBucket] = OrderedDict()
        self._served: OrderedDict[trio.CancelScope, str] = OrderedDict()

    async def handle_stream(self, stream: Any) -> None:
        """Serve a stream, for a while, at a bounded rate."""
        remote = stream.muxed_conn.get_remote_address()
        host = host_key(remote[0]) if remote else ""
        scope = trio.CancelScope(deadline=trio.current_time() + STREAM_SECONDS)
        self._make_room(host)
        self._served[scope] = host
        try:
            with scope:
                paced: Any = Paced(stream, self._answers)
                await self._do_handle_stream(paced)
        finally:
            self._served.pop(scope, None)
        if scope.cancelled_caught:
            await stream.reset()

    def _make_room(self, host: str) -> None:
        neighbours = [scope for scope, other in self._served.items() if other == host]
        crowd = neighbours if len(neighbours) >= MAX_STREAMS_PER_HOST else list(self._served)
        if len(neighbours) >= MAX_STREAMS_PER_HOST or len(crowd) >= MAX_STREAMS:
            del self._served[crowd[0]]
            crowd[0].cancel()

    def _check_provider_rate_limit(self, peer_id: Any) -> bool:
        """Whether a peer may provide something now."""
        bucket = self._provides.pop(peer_id, None) or TokenBucket(_PROVIDES_PER_SECOND, _PROVIDES_BURST)
        self._provides[peer_id] = bucket
        if len(self._provides) > _MAX_PROVIDERS_COUNTED:
            self._provides.popitem(last=False)
        return bucket.take(trio.current_time())


class Paced:
    """A stream whose answers wait their turn, so that all together take no more than a share of our CPU."""

    def __init__(self, stream: Any, bucket: TokenBucket) -> None:
        self._stream = stream
        self._bucket = bucket

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def read(self, n: int | None = None) -> bytes:
        """Read on."""
        return bytes(await self._stream.read(n))

    async def write(self, data: bytes) -> None:
        """Answer; the length comes in a write of its own and goes free."""
        if len(data) > _LENGTH_BYTES:
            await trio.sleep(self._bucket.owe(trio.current_time()))
        await self._stream.write(data)
