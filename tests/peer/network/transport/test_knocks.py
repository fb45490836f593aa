"""Knocks: members get in through a flood from their own address, and nobody else learns how."""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from libp2p.utils import encode_delim

from coterie.crypto.identity.identity import Identity
from coterie.peer.network.limits import doors
from coterie.peer.network.link_events import Connected, Disconnected, Unreachable
from coterie.peer.network.network import Network
from coterie.peer.network.transport import knocks as knocks_module
from coterie.peer.network.transport import listener
from coterie.peer.network.transport.knocks import (
    KNOCK_BYTES,
    PEEKED_BYTES,
    Knocks,
    make_knock,
    protocol_name,
    read_knock,
)

FEW = 4


def first_bytes(knock: bytes) -> bytes:
    return encode_delim(b"/multistream/1.0.0") + encode_delim(protocol_name(knock).encode())


def test_caller_and_called_make_the_same_knock_and_nobody_else_does(identity: Callable[[int], Identity]) -> None:
    caller, called, other = map(identity, range(3))
    knock = make_knock(caller, called.public, 7, is_caller=True)
    assert len(knock) == KNOCK_BYTES
    assert make_knock(called, caller.public, 7, is_caller=False) == knock
    others = [
        make_knock(called, caller.public, 7, is_caller=True),
        make_knock(caller, called.public, 8, is_caller=True),
        make_knock(other, called.public, 7, is_caller=True),
        make_knock(caller, other.public, 7, is_caller=True),
    ]
    assert len({knock, *others}) == 5


def test_a_knock_is_read_back_and_nothing_else_is_taken_for_one() -> None:
    knock = bytes(range(KNOCK_BYTES))
    sent = first_bytes(knock)
    assert read_knock(sent + b"\x07/noise\n") == knock
    assert len(sent) - 1 == PEEKED_BYTES
    for odd in (b"", sent[: PEEKED_BYTES - 1], b"x" + sent, sent.replace(b"knock", b"knack"), sent[:38] + b"zz" * 16):
        assert read_knock(odd) is None


async def test_clocks_may_differ_by_a_minute(identity: Callable[[int], Identity]) -> None:
    called = Knocks(identity(0), lambda: 600.0)
    await called.expect([identity(1).public])
    for seconds, heard in ((539.0, False), (540.0, True), (600.0, True), (719.0, True), (720.0, False)):
        knock = Knocks(identity(1), lambda seconds=seconds: seconds).for_call(identity(0).public)
        assert knock is not None
        assert (called.whose(first_bytes(knock)) == identity(1).public) is heard


async def test_no_more_knocks_are_expected_than_the_limit(
    identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knocks_module, "MAX_EXPECTED", 9)
    knocks = Knocks(identity(0), lambda: 0.0)
    await knocks.expect([identity(number).public for number in range(1, 10)])
    assert len(knocks._expected) == 9
    await knocks.expect([bytes(32), identity(1).public])  # no box can be made for the first
    assert set(knocks._expected.values()) == {identity(1).public}


@asynccontextmanager
async def flood(port: int, callers: int = 8) -> AsyncIterator[list[int]]:
    """Strangers on 127.0.0.1 that connect, propose Noise, and connect again as soon as they are sent away; gives
    what they were refused.
    """
    refused = [0]

    async def call() -> None:
        while True:
            with contextlib.suppress(OSError, trio.BrokenResourceError):
                stream = await trio.open_tcp_stream("127.0.0.1", port)
                async with stream:
                    await stream.send_all(encode_delim(b"/multistream/1.0.0") + encode_delim(b"/noise"))
                    while await stream.receive_some():
                        pass
            refused[0] += 1

    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(call)
        yield refused
        nursery.cancel_scope.cancel()


def out_of_handshakes(network: Network) -> bool:
    return not network._host.swarm.doors.are_open_to("127.0.0.1", trio.current_time())


@pytest.mark.parametrize("knocking", [False, True], ids=["weakened", "ours"])
async def test_a_member_gets_in_from_the_address_of_a_flood_by_its_knock(
    knocking: bool, world: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "HANDSHAKE_BURST", FEW)
    monkeypatch.setattr(doors, "HANDSHAKES_PER_SECOND", 1e-9)
    if not knocking:
        monkeypatch.setattr(Knocks, "for_call", lambda *_: None)
    async with world() as peers:
        called = await peers.start(1)
        member = await peers.start(0, called)
        await called.linked(member)
        await member.linked(called)
        called_knocks = called.network._host.swarm.knocks
        while not called_knocks._expected:
            await trio.sleep(0.01)
        # The member dials: it has the lower id, and the called one does not know where it is.
        called.network._dialler._roads = _Nowhere(called.network)
        async with flood(int(called.address.split("/")[4])) as refused:
            while not out_of_handshakes(called.network):
                await trio.sleep(0.01)
            places = len(called.events), len(member.events)
            for link in list(called.network._links.values()):
                link.stop("cut by the test")
            await called.event(Disconnected, places[0])
            if knocking:
                await called.event(Connected, places[0], member=member.member)
            else:
                await member.event(Unreachable, places[1])
                assert called.network.connected() == []
            assert refused[0] > 0


class _Nowhere:
    """The roads of a peer that cannot dial anybody."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def addresses_of(self, member: bytes) -> list[Any]:
        return []


async def test_a_copied_knock_is_worth_the_few_handshakes_of_its_member(
    world: Callable[[], Any], identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "HANDSHAKE_BURST", 0)
    monkeypatch.setattr(doors, "MEMBER_HANDSHAKES_PER_SECOND", 1e-9)
    async with world() as peers:
        called = await peers.start(0)
        swarm = called.network._host.swarm
        await swarm.knocks.expect([identity(1).public])
        knock = make_knock(identity(1), called.member, swarm.knocks._minute(), is_caller=True)
        answered = []
        for _ in range(12):
            stream = await trio.open_tcp_stream("127.0.0.1", int(called.address.split("/")[4]))
            async with stream:
                await stream.send_all(first_bytes(knock))
                try:
                    answered.append(bool(await stream.receive_some()))
                except trio.BrokenResourceError:
                    answered.append(False)
        assert answered == [True] * doors.MEMBER_HANDSHAKE_BURST + [False] * 4


async def test_connections_that_say_nothing_neither_wait_for_long_nor_in_numbers(
    world: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "HANDSHAKE_BURST", 0)
    monkeypatch.setattr(listener, "MAX_WAITING_TO_KNOCK", 3)
    async with world() as peers:
        called = await peers.start(0)
        (listening,) = called.network._host.swarm.listeners.values()
        held = [socket.create_connection(("127.0.0.1", int(called.address.split("/")[4]))) for _ in range(20)]
        while called.network._host.swarm.doors.refused < 17:
            assert len(listening._waiting) <= 3
            await trio.sleep(0.01)
        while called.network._host.swarm.doors.refused < 20:  # by their deadline
            await trio.sleep(0.01)
        assert not listening._waiting
        for one in held:
            one.close()
