"""Peers that are no members, or worse: what they may do, and that members do not feel them."""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import handshaking
import pytest
import trio
from libp2p.stream_muxer.exceptions import MuxedStreamError

from coterie.crypto.identity.identity import Identity
from coterie.peer.network import network as network_module
from coterie.peer.network.frames import MAX_BODY_BYTES as BOUNDS
from coterie.peer.network.frames import (
    STRANGER_BODY_BYTES,
    BulkKind,
    Kind,
    encode,
    encode_bulk_header,
    encode_envelope,
    read_frame,
)
from coterie.peer.network.greeting import encode_greeting
from coterie.peer.network.link import BULK_PROTOCOL, CONTROL_PROTOCOL, STRANGER_BYTES, Timing
from coterie.peer.network.link_events import Connected, Disconnected, Frame
from coterie.peer.network.network import NO_HANDSHAKE_AT_MEMBERS
from coterie.peer.network.transfers import PullFailed
from coterie.peer.network.transport.host import Connection, DialError, Host
from coterie.peer.network.transport.wire import NoiseWire, WireError
from coterie.protocol.messages.encoding import digest_of


class Stranger:
    """A peer whose every byte the test decides."""

    def __init__(self, host: Host, target: Any, member: bytes) -> None:
        self.host = host
        self.member = member
        self.target = target
        self.connection: Connection
        self.control: Any
        self.bulk: Any

    async def dial(self) -> None:
        text = self.target.address.partition("/p2p/")[0]
        self.connection = await self.host.dial(text, self.target.member)

    async def greet(self) -> None:
        await self.dial()
        self.control = await self.connection.open(CONTROL_PROTOCOL)
        await self.control.write(encode(Kind.GREETING, encode_greeting(b"", b"", "stranger", b"")))
        assert (await read_frame(self.control, BOUNDS))[0] is Kind.GREETING
        await self.control.write(encode(Kind.WELCOME))
        assert (await read_frame(self.control, BOUNDS))[0] is Kind.WELCOME
        self.bulk = await self.connection.open(BULK_PROTOCOL)


@asynccontextmanager
async def stranger(target: Any, identity: Identity) -> AsyncIterator[Stranger]:
    host = Host(identity, lambda connection: True, lambda connection: None, [])
    async with host.run([]):
        yield Stranger(host, target, identity.public)


@pytest.fixture
def members(identity: Callable[[int], Identity]) -> Callable[[bytes], bool]:
    """The `allow` of a federation of test identities 0, 1 and 2."""
    return {identity(number).public for number in range(3)}.__contains__


async def guest_without_heartbeats(
    peers: Any, identity: Callable[[int], Identity]
) -> tuple[Any, Any, Callable[[], None]]:
    """A member, a stranger linked to it, and what makes that one a member: no heartbeat looks again at what it is."""
    roll = {identity(0).public}
    slow = Timing(beat_seconds=3600.0, dead_seconds=3600.0)
    first = await peers.start(0, allow=roll.__contains__, timing=slow)
    guest = await peers.start(9, first, timing=slow)
    await first.linked(guest)
    await guest.linked(first)
    return first, guest, lambda: roll.add(guest.member)


async def test_a_strangers_small_frame_reaches_the_driver(
    world: Callable[[], Any], identity: Callable[[int], Identity], members: Callable[[bytes], bool]
) -> None:
    async with world() as peers:
        member = await peers.start(0, allow=members)
        async with stranger(member, identity(9)) as guest:
            await guest.greet()
            await guest.control.write(encode_envelope(b"may I join?", None))
            assert await member.event(Frame) == Frame(identity(9).public, b"may I join?", None)
            assert member.network.send(identity(9).public, b"not yet")
            assert not member.network.peers()[0].is_member


async def test_garbage_on_the_port_does_no_harm(world: Callable[[], Any], members: Callable[[bytes], bool]) -> None:
    async with world() as peers:
        member = await peers.start(0, allow=members)
        host, port = member.address.split("/")[2], int(member.address.split("/")[4])
        for size in (1, 20, 1000, 200_000):
            async with await trio.open_tcp_stream(host, port) as stream:
                with contextlib.suppress(trio.BrokenResourceError):
                    await stream.send_all(os.urandom(size))
                    await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
        other = await peers.start(1, member, allow=members)
        await other.linked(member)


@pytest.mark.parametrize(
    "frame",
    [
        encode(Kind.ENVELOPE, bytes(17 * 1024)),
        b"\xff\xff\xff\xff\x06",
        b"\x00\x00\x00\x00\x06",
        b"\x00\x00\x00\x01\x63",
        encode(Kind.WELCOME),
        encode(Kind.GREETING, b"again"),
        encode(Kind.ENVELOPE, b"\x09"),
    ],
    ids=["too large for a stranger", "4 GiB", "empty", "unknown kind", "welcome", "greeting", "malformed"],
)
async def test_a_bad_frame_ends_the_link_of_its_sender_only(
    frame: bytes,
    world: Callable[[], Any],
    identity: Callable[[int], Identity],
    members: Callable[[bytes], bool],
) -> None:
    async with world() as peers:
        first, second = await peers.pair(allow=members)
        async with stranger(first, identity(9)) as guest:
            await guest.greet()
            await first.event(Connected, member=identity(9).public)
            await guest.control.write(frame)
            await first.event(Disconnected, member=identity(9).public)
        assert first.network.connected() == [second.member]


@pytest.mark.parametrize(
    "frame",
    [
        b"\x09" + bytes(8),
        encode_bulk_header(BulkKind.REQUEST, 1, 3) + b"abc",
        encode_bulk_header(BulkKind.CHUNK, 1, 2**31),
        encode_bulk_header(BulkKind.CHUNK, 1, 3) + b"abc",
        encode_bulk_header(BulkKind.CANCEL, 1, 0) * 2000,
    ],
    ids=["unknown kind", "malformed request", "2 GiB", "unasked chunk", "many cancels"],
)
async def test_a_bad_bulk_frame_ends_the_link_of_its_sender_only(
    frame: bytes,
    world: Callable[[], Any],
    identity: Callable[[int], Identity],
    members: Callable[[bytes], bool],
) -> None:
    async with world() as peers:
        first, second = await peers.pair(allow=members)
        async with stranger(first, identity(2)) as rogue:  # a member gone bad
            await rogue.greet()
            await first.event(Connected, member=identity(2).public)
            await rogue.bulk.write(frame)
            await first.event(Disconnected, member=identity(2).public)
        assert first.network.connected() == [second.member]


async def test_a_member_may_send_what_is_too_large_for_a_stranger(
    world: Callable[[], Any], members: Callable[[bytes], bool]
) -> None:
    async with world() as peers:
        first, second = await peers.pair(allow=members)
        assert first.network.send(second.member, bytes(17 * 1024), bytes(60_000))
        assert len((await second.event(Frame)).blob) == 60_000


async def test_a_connection_that_does_not_greet_is_dropped(
    world: Callable[[], Any], identity: Callable[[int], Identity], members: Callable[[bytes], bool]
) -> None:
    async with world() as peers:
        member = await peers.start(0, allow=members)
        member.network.timing = replace(member.network.timing, greeting_seconds=0.2)
        async with stranger(member, identity(9)) as guest:
            await guest.dial()
            await guest.connection.closed.wait()
            # Time enough to begin a greeting, on a slow machine too.
            member.network.timing = replace(member.network.timing, greeting_seconds=2.0)
            await guest.dial()
            control = await guest.connection.open(CONTROL_PROTOCOL)
            await control.write(encode(Kind.GREETING, encode_greeting(b"", b"", "", b""))[:20])
            await guest.connection.closed.wait()


async def test_a_stranger_that_says_nothing_is_dropped_and_a_quiet_member_is_not(
    world: Callable[[], Any], identity: Callable[[int], Identity], members: Callable[[bytes], bool]
) -> None:
    async with world() as peers:
        first, second = await peers.pair(allow=members)
        for peer in (first, second):
            peer.network.timing = replace(peer.network.timing, stranger_idle_seconds=0.3)
        guest = await peers.start(9, first)
        event = await first.event(Disconnected, member=guest.member)
        assert "has been silent too long" in event.reason
        assert first.network.connected() == [second.member]


def _reading_on(receive: Callable[[NoiseWire], Awaitable[bytes]]) -> Callable[[NoiseWire], Awaitable[bytes]]:
    """What a build does that takes no notice of empty messages."""

    async def read_on(wire: NoiseWire) -> bytes:
        while True:
            try:
                return await receive(wire)
            except WireError as error:
                if "nothing in it" not in str(error):
                    raise

    return read_on


@pytest.mark.parametrize("weakened", [True, False])
async def test_messages_with_nothing_in_them_end_the_connection(
    weakened: bool, world: Callable[[], Any], members: Callable[[bytes], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cost no byte of a stranger's budget, and fifteen thousand of them fit in a receive buffer."""
    if weakened:
        monkeypatch.setattr(NoiseWire, "receive", _reading_on(NoiseWire.receive))
    async with world() as peers:
        member = await peers.start(0, allow=members)
        async with handshaking.caller(int(member.address.split("/")[4])) as (line, state):
            await line.send(bytes(state.write_message(handshaking.honest(bytes(32)))))
            await line.send(state.encrypt(b"\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n"))
            while b"yamux" not in state.decrypt(await line.message()):
                pass
            for _ in range(3):
                await line.send(state.encrypt(b""))
            await line.send(state.encrypt(bytes((0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7))))  # a ping
            answered = False
            with contextlib.suppress(EOFError, trio.BrokenResourceError):
                answered = bool(state.decrypt(await line.message()))
            assert answered is weakened


async def test_strangers_cannot_take_the_place_of_members(
    world: Callable[[], Any],
    identity: Callable[[int], Identity],
    members: Callable[[bytes], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network_module, "MAX_STRANGERS", 3)
    async with world() as peers:
        first = await peers.start(0, allow=members)
        async with trio.open_nursery() as nursery:
            let_in: list[int] = []
            turned_away: list[int] = []
            tried = trio.Event()

            async def crowd(number: int) -> None:
                async with stranger(first, identity(number)) as guest:
                    try:
                        await guest.greet()
                        let_in.append(number)
                    except (DialError, MuxedStreamError):
                        turned_away.append(number)
                    if len(let_in) + len(turned_away) == 8:
                        tried.set()
                    await trio.sleep_forever()

            for number in range(10, 18):
                nursery.start_soon(crowd, number)
            await tried.wait()
            assert (len(let_in), len(turned_away)) == (3, 5)
            second = await peers.start(1, first, allow=members)
            await second.linked(first)
            await first.linked(second)
            assert second.network.send(first.member, b"unhindered")
            await first.event(Frame, member=second.member)
            nursery.cancel_scope.cancel()


async def test_one_host_cannot_take_all_places_of_strangers(
    world: Callable[[], Any],
    identity: Callable[[int], Identity],
    members: Callable[[bytes], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network_module, "MAX_STRANGERS_PER_HOST", 1)
    async with world() as peers:
        first = await peers.start(0, allow=members)
        async with stranger(first, identity(10)) as one, stranger(first, identity(11)) as other:
            await one.greet()
            with pytest.raises((DialError, MuxedStreamError)):
                await other.greet()


async def test_a_stranger_that_sends_and_sends_is_cut_off(
    world: Callable[[], Any], identity: Callable[[int], Identity], members: Callable[[bytes], bool]
) -> None:
    async with world() as peers:
        member = await peers.start(0, allow=members)
        async with stranger(member, identity(9)) as guest:
            await guest.greet()
            with pytest.raises(MuxedStreamError):  # noqa: PT012
                while True:
                    await guest.bulk.write(bytes(10_000))
                    await guest.control.write(encode_envelope(bytes(10_000), None))
            await guest.connection.closed.wait()


@pytest.mark.parametrize("weakened", [True, False])
async def test_who_has_become_a_member_may_send_more_than_a_stranger_at_once(
    weakened: bool, world: Callable[[], Any], identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: the limit stood until the next heartbeat, and the first rounds of a large model broke the link."""
    async with world() as peers:
        first, guest, admit = await guest_without_heartbeats(peers, identity)
        muxer = first.network.link_to(guest.member).connection.muxer
        if weakened:
            monkeypatch.setattr(muxer, "needs_budget", lambda: True)
        admit()
        blob = bytes(4 * STRANGER_BYTES)
        guest.network.offer(digest_of(blob), blob)
        if weakened:
            with pytest.raises(PullFailed, match="than a stranger may send"):
                await first.network.pull(guest.member, digest_of(blob), len(blob))
        else:
            assert await first.network.pull(guest.member, digest_of(blob), len(blob)) == blob


@pytest.mark.parametrize("weakened", [True, False])
async def test_the_first_frame_of_who_has_become_a_member_may_be_a_members(
    weakened: bool, world: Callable[[], Any], identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: how long it may be was looked up when the link began to wait for it."""
    async with world() as peers:
        first, guest, admit = await guest_without_heartbeats(peers, identity)
        if weakened:
            monkeypatch.setattr(first.network.link_to(guest.member), "_bounds", STRANGER_BODY_BYTES)
            assert guest.network.send(first.member, b"small")  # for the link waits with the right ones already
            await first.event(Frame)
        admit()
        count = len(first.events)
        assert guest.network.send(first.member, bytes(17 * 1024), bytes(60_000))
        if weakened:
            assert "are allowed" in (await first.event(Disconnected, after=count)).reason
        else:
            assert len((await first.event(Frame, after=count)).blob) == 60_000


async def test_a_stranger_pulls_only_what_is_public(world: Callable[[], Any], members: Callable[[bytes], bool]) -> None:
    async with world() as peers:
        member = await peers.start(0, allow=members)
        guest = await peers.start(9, member)
        await guest.linked(member)
        await member.linked(guest)
        digest = digest_of(b"weights")
        member.network.offer(digest, b"weights")
        with pytest.raises(PullFailed, match="not offered"):
            await guest.network.pull(member.member, digest, 7)
        member.network.offer(digest, b"weights", public=True)
        assert await guest.network.pull(member.member, digest, 7) == b"weights"


async def test_addresses_are_for_members_and_a_new_member_gets_them(
    world: Callable[[], Any], identity: Callable[[int], Identity]
) -> None:
    roll = {identity(number).public for number in range(2)}
    async with world() as peers:
        first, second = await peers.pair(allow=roll.__contains__)
        guest = await peers.start(9, first)
        await guest.linked(first)
        await first.linked(guest)
        await guest.event(network_module.Beat)
        assert guest.network.connected() == [first.member]
        assert identity(9).public not in {row.member for row in second.network.peers()}
        roll.add(guest.member)
        first.network.refresh()
        second.network.refresh()
        await guest.linked(first, second)
        await second.linked(guest)


async def test_addresses_that_a_stranger_spreads_are_not_taken(
    world: Callable[[], Any], identity: Callable[[int], Identity], members: Callable[[bytes], bool]
) -> None:
    from coterie.peer.network.frames import encode_records
    from coterie.peer.network.transport.addresses import parse_address, sign_record

    async with world() as peers:
        member = await peers.start(0, allow=members)
        async with stranger(member, identity(9)) as guest:
            await guest.greet()
            record = sign_record(identity(1), [parse_address("/ip4/192.0.2.1/tcp/1")], 2**40)
            await guest.control.write(encode_records([record.encoded]) + encode_envelope(b"after", None))
            await member.event(Frame)
        assert member.network.records() == []


async def test_of_too_many_strangers_the_one_that_was_there_longest_makes_room(
    world: Callable[[], Any],
    identity: Callable[[int], Identity],
    members: Callable[[bytes], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However it keeps busy: else a few that hold their places keep every newcomer out."""
    monkeypatch.setattr(network_module, "MAX_STRANGERS", 2)
    monkeypatch.setattr(network_module, "STRANGER_GRACE_SECONDS", 0.0)
    async with world() as peers:
        first = await peers.start(0, allow=members)
        async with (
            stranger(first, identity(10)) as oldest,
            stranger(first, identity(11)) as older,
            stranger(first, identity(12)) as newcomer,
        ):
            for guest in (oldest, older):
                await guest.greet()
                await guest.control.write(encode_envelope(b"junk", None))
                await first.event(Frame, member=guest.member)
            await newcomer.greet()
            await newcomer.control.write(encode_envelope(b"may I join?", None))
            await first.event(Frame, member=identity(12).public)
            gone = await first.event(Disconnected)
            assert gone.member == identity(10).public
            assert "closed to make room" in gone.reason


async def test_a_caller_cannot_send_a_newcomer_to_addresses_of_its_choice(
    world: Callable[[], Any], identity: Callable[[int], Identity]
) -> None:
    from coterie.peer.network.frames import encode_records
    from coterie.peer.network.transport.addresses import parse_address, sign_record

    async with world() as peers:
        newcomer = await peers.start(0, allow=lambda member: None)
        async with stranger(newcomer, identity(9)) as guest:
            await guest.greet()
            record = sign_record(identity(1), [parse_address("/ip4/192.0.2.1/tcp/1")], 2**40)
            await guest.control.write(encode_records([record.encoded]) + encode_envelope(b"after", None))
            await newcomer.event(Frame)
            assert {row.member for row in newcomer.network.peers()} == {identity(9).public}
            assert newcomer.network.records() == []


async def test_a_newcomer_dials_whom_those_that_it_dialled_name_and_no_more_than_so_many(
    world: Callable[[], Any], identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_module, "MAX_VOUCHED", 2)
    async with world() as peers:
        first, second = await peers.pair()
        third = await peers.start(2, first, second)
        await third.linked(first, second)
        await first.linked(second, third)
        newcomer = await peers.start(9, first, allow=lambda member: None)
        await newcomer.until(lambda: len(newcomer.network.records()) == 2)
        known = {row.member for row in newcomer.network.peers() if row.is_member}
        assert len(known) == 2
        assert first.member in known


async def test_a_newcomer_finds_the_others_when_the_one_it_knew_is_gone_before_it_is_admitted(
    world: Callable[[], Any], identity: Callable[[int], Identity]
) -> None:
    roll = {identity(number).public for number in range(2)}
    async with world() as peers:
        first, second = await peers.pair(allow=roll.__contains__)
        newcomer = await peers.start(9, first, allow=lambda member: None)
        await newcomer.linked(first)
        roll.add(newcomer.member)  # it has asked; nobody tells the network of it, for no block is decided
        await newcomer.linked(second)
        await first.network.stop()
        assert second.member in newcomer.network.connected()


async def test_where_a_peer_stood_when_it_said_goodbye_stays_known(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        second.network.beat_status = b"height 7"  # between two heartbeats
        await second.network.stop()
        await first.event(Disconnected, member=second.member)
        (row,) = first.network.peers()
        assert (row.connected, row.status) == (False, b"height 7")


async def test_a_call_without_handshake_is_no_strangers_where_a_member_is(world: Callable[[], Any]) -> None:
    async def hang_up(peer: Any) -> dict[str, int]:
        swarm = peer.network._host.swarm
        stream = await trio.open_tcp_stream("127.0.0.1", int(peer.address.split("/")[4]))
        await stream.aclose()
        while not swarm.failed_handshakes:
            await trio.lowlevel.checkpoint()
        return {why: count for why, count in peer.network.turned_away().items() if count}

    async with world() as peers:
        alone = await peers.start(5)
        assert await hang_up(alone) == {"no handshake": 1}
        first, second = await peers.pair()
        for one in (first, second):  # one of them was called by the other, and both know where the other one is
            await one.until(lambda one=one: bool(one.network.records()))
            assert await hang_up(one) == {NO_HANDSHAKE_AT_MEMBERS: 1}
        assert {why: count for why, count in first.network.turned_away().items() if count} == {}, "counted once"
