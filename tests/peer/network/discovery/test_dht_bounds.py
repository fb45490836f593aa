"""The DHT port: what strangers can make it keep or do is bounded, and others are served beside them."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import varint
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht.kad_dht import KadDHT
from libp2p.kad_dht.pb.kademlia_pb2 import Message, Record
from libp2p.kad_dht.provider_store import ProviderStore
from libp2p.kad_dht.value_store import ValueStore
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.stream_muxer.exceptions import MuxedStreamError
from multiaddr import Multiaddr

from coterie.crypto.identity.identity import Identity
from coterie.peer.network.discovery import dht as dht_module
from coterie.peer.network.discovery import kademlia
from coterie.peer.network.discovery.dht import Dht, record_key
from coterie.peer.network.discovery.kademlia import Node, Paced, Providers, Values
from coterie.peer.network.transport import hardening
from coterie.peer.network.transport.addresses import Address, parse_address, sign_record
from coterie.peer.network.transport.host import Connection, DialError, Host
from coterie.peer.network.transport.yamux import Muxer

KAD = "/ipfs/kad/1.0.0"
PLACE = Multiaddr("/ip4/192.0.2.1/tcp/1")


def framed(message: Message) -> bytes:
    data = message.SerializeToString()
    return bytes(varint.encode(len(data)) + data)


FIND = framed(Message(type=Message.FIND_NODE, key=bytes(32)))
HALF = b"\x7f"


@asynccontextmanager
async def node(identity: Callable[[int], Identity]) -> AsyncIterator[tuple[Dht, Address]]:
    dht = Dht(identity(60), "/ip4/127.0.0.1/tcp/0", [])
    async with trio.open_nursery() as nursery:
        address: Address = await nursery.start(dht.run, lambda: b"", lambda: b"", lambda record: None)
        yield dht, address
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def guest(identity: Identity, address: Address) -> AsyncIterator[Connection]:
    host = Host(identity, lambda connection: True, lambda connection: None, [])
    async with host.run([]):
        yield await host.dial(address.text, address.member)


async def is_answered(connection: Connection, request: bytes = FIND) -> bool:
    try:
        stream = await connection.open(KAD)
        await stream.write(request)
        return bool(await stream.read(1))
    except (DialError, MuxedStreamError):
        return False


async def serving(dht: Dht, count: int) -> None:
    """Wait until so many streams are served, or as many as are let in."""
    node: Any = dht._node
    while max(len(node._served), node._inbound_limiter.borrowed_tokens) < count:
        await trio.sleep(0.01)


@pytest.mark.parametrize("weakened", [True, False])
async def test_messages_that_come_in_halves_keep_nobody_out(
    weakened: bool, identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    if weakened:
        monkeypatch.setattr(Node, "handle_stream", KadDHT.handle_stream)
    async with (
        node(identity) as (dht, address),
        guest(identity(10), address) as one,
        guest(identity(11), address) as other,
        guest(identity(12), address) as honest,
    ):
        for connection in (one, other):
            for _ in range(8):
                # Of a stream that is turned away, the weakened build resets it while we write.
                with contextlib.suppress(DialError, MuxedStreamError):
                    await (await connection.open(KAD)).write(HALF)
        await serving(dht, 12 if weakened else kademlia.MAX_STREAMS_PER_HOST)
        assert await is_answered(honest) is not weakened


async def test_a_message_that_comes_in_halves_is_not_waited_for(
    identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kademlia, "STREAM_SECONDS", 0.2)
    async with node(identity) as (_, address), guest(identity(10), address) as connection:
        stream = await connection.open(KAD)
        await stream.write(HALF)
        with pytest.raises(MuxedStreamError):
            await stream.read(1)


def _refuse_when_full(dht: Dht, muxer: Muxer, outbound: bool) -> bool:
    """What the build before did."""
    dht._guests = {other: one for other, one in dht._guests.items() if not other.is_closed}
    if not outbound and len(dht._guests) >= dht_module.MAX_CONNECTIONS:
        return False
    dht._guests[muxer] = dht_module.Guest(muxer, outbound, trio.current_time())
    return True


@pytest.mark.parametrize(
    ("bound", "weakened"),
    [("MAX_CONNECTIONS", True), ("MAX_CONNECTIONS", False), ("MAX_CONNECTIONS_PER_HOST", False)],
)
async def test_idle_connections_make_room_and_the_one_that_spoke_last_stays(
    bound: str, weakened: bool, identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_module, bound, 2)
    if weakened:
        monkeypatch.setattr(Dht, "_admit", _refuse_when_full)
    async with (
        node(identity) as (dht, address),
        guest(identity(10), address) as idle,
        guest(identity(11), address) as busy,
    ):
        while len(dht._guests) < 2:
            await trio.sleep(0.01)
        assert await is_answered(busy)
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.suppress(DialError))
            async with guest(identity(12), address) as late:
                assert await is_answered(late) is not weakened
                if not weakened:
                    await idle.closed.wait()
                    assert not busy.closed.is_set()


async def test_a_connection_that_says_nothing_is_closed(
    identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_module, "IDLE_SECONDS", 0.2)
    async with node(identity) as (dht, address), guest(identity(10), address) as idle:
        await idle.closed.wait()
        assert not dht._guests


async def test_a_value_with_a_heap_of_bytes_around_it_is_not_stored(identity: Callable[[int], Identity]) -> None:
    member = identity(1)
    signed = sign_record(member, [parse_address("/ip4/192.0.2.1/tcp/1")], 1).encoded
    key = record_key(member.public).encode()
    async with node(identity) as (dht, address), guest(identity(10), address) as connection:
        for heap, stored in ((b"", True), (bytes(kademlia.MAX_VALUE_BYTES), False), (bytes(10**6), False)):
            dht._node.value_store.store.clear()
            record = Record(key=key, value=signed, author=heap)
            request = framed(Message(type=Message.PUT_VALUE, key=key, record=record))
            assert await is_answered(connection, request) is stored
            assert (key in dht._node.value_store.store) is stored


class _Somebody:
    """As much of a host as the stores need."""

    def get_id(self) -> ID:
        return peer(0)


def peer(number: int) -> ID:
    return ID.from_pubkey(create_new_key_pair(number.to_bytes(31, "big") + b"\1").public_key)


@pytest.mark.parametrize(("make", "bounded"), [(ProviderStore, False), (Providers, True)])
def test_provider_records_of_ever_new_identities_do_not_fill_the_memory(
    make: Any, bounded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kademlia, "MAX_PROVIDED", 50)
    store = make(_Somebody(), None)
    store.add_provider(b"ours", PeerInfo(peer(0), [PLACE]))
    for number in range(1, 41):
        for key in range(20):
            store.add_provider(b"%d %d" % (number, key), PeerInfo(peer(number), [PLACE] * 30))
    assert (store.size() <= 51) is bounded
    assert [one.peer_id for one in store.get_providers(b"ours")] == [peer(0)]
    assert (len(store.get_provided_keys(peer(40))) <= kademlia.MAX_PROVIDED_BY_ONE) is bounded
    (newest,) = store.get_providers(b"40 19")
    assert (len(newest.addrs) <= kademlia.MAX_ADDRESSES) is bounded


def test_the_providers_of_a_key_make_room_by_age_and_we_do_not() -> None:
    store = Providers(_Somebody(), None)  # type: ignore[arg-type]
    for number in range(40):
        store.add_provider(b"key", PeerInfo(peer(number), [PLACE]))
    found = {one.peer_id for one in store.get_providers(b"key")}
    assert found == {peer(0), *(peer(number) for number in range(21, 40))}
    store.add_provider(b"key", PeerInfo(peer(21), [PLACE]))  # again, so that it is the newest
    store.add_provider(b"key", PeerInfo(peer(50), [PLACE]))
    assert peer(21) in {one.peer_id for one in store.get_providers(b"key")}
    assert len(store._by_age) == len(store._of) == 19


@pytest.mark.parametrize(("make", "bounded"), [(ValueStore, False), (Values, True)])
def test_values_make_room_by_age_and_our_own_stay(make: Any, bounded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia, "MAX_VALUES", 10)
    store = make(_Somebody(), peer(0))
    store.store[b"ours"] = (Record(), 2.0**40)
    store.local_keys.add(b"ours")
    for number in range(40):
        store.put_record(b"%d" % number, Record(value=b"x"))
    assert (len(store.store) <= 10) is bounded
    assert b"ours" in store.store
    assert b"39" in store.store


@pytest.mark.parametrize("bounded", [True, False])
def test_addresses_of_ever_new_peers_do_not_fill_the_memory(bounded: bool) -> None:
    store: Any = hardening.Peers() if bounded else hardening.PeerStore(max_peers=10**6)
    for number in range(1, 1000):
        store.add_addrs(peer(number), [Multiaddr(f"/ip4/192.0.2.1/tcp/{port}") for port in range(1, 20)], 7200)
    assert (len(store.peer_ids()) <= hardening.MAX_KNOWN_PEERS) is bounded
    assert (len(store.addrs(peer(999))) <= hardening.MAX_PEER_ADDRESSES) is bounded


async def test_questions_without_a_pause_are_answered_at_a_bounded_rate(clock: Any) -> None:
    class Sink:
        async def write(self, data: bytes) -> None:
            pass

    paced = Paced(Sink(), kademlia.TokenBucket(kademlia.ANSWERS_PER_SECOND, kademlia.ANSWERS_BURST))
    began = trio.current_time()
    answers = int(kademlia.ANSWERS_BURST + 10 * kademlia.ANSWERS_PER_SECOND)
    for _ in range(answers):
        await paced.write(b"\x7f")
        await paced.write(bytes(100))
    assert trio.current_time() - began == pytest.approx(10, abs=0.1)  # seconds of a virtual clock
