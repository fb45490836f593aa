"""Where members make each other dial, and how often."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from coterie.peer.network import dialling, network
from coterie.peer.network.dialling import LAST_BACKOFF_SECONDS, MAX_DIALS_PER_MINUTE, Dialler
from coterie.peer.network.link import Link
from coterie.peer.network.transport.addresses import Address
from coterie.peer.network.transport.host import DialError

MEMBER = b"m" * 32
PLACES = [Address(f"/ip4/192.0.2.{number}/tcp/1", MEMBER) for number in range(1, 7)]


class Roads:
    """A network in which nobody answers."""

    member = b"a" * 32

    def __init__(self) -> None:
        self.dialled: list[tuple[str, float]] = []

    def link_to(self, member: bytes) -> Link | None:
        return None

    def addresses_of(self, member: bytes) -> list[Address]:
        return PLACES

    def is_member(self, member: bytes) -> bool:
        return True

    async def dial(self, address: Address, told: bool = False) -> Link | None:
        self.dialled.append((address.text, trio.current_time()))
        await trio.lowlevel.checkpoint()
        raise DialError("refused")

    def unreachable(self, address: Address, reason: str) -> None:
        pass


async def dials_in(seconds: float, news_every: float) -> list[tuple[str, float]]:
    """The dials that one member causes, of which there is news so often."""
    roads = Roads()
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            dialler = Dialler(roads, nursery)
            dialler.want(MEMBER)
            while True:
                await trio.sleep(news_every)
                dialler.want(MEMBER)
    return roads.dialled


async def test_news_at_any_rate_do_not_have_a_member_dialled_at_any_rate(clock: Any) -> None:
    dialled = await dials_in(600, news_every=0.05)
    assert len(dialled) <= 11 * MAX_DIALS_PER_MINUTE
    for place in PLACES:
        times = [at for text, at in dialled if text == place.text]
        resets = 600 / LAST_BACKOFF_SECONDS
        attempts_a_reset = 7  # 0.3, 0.6, 1.2, 2.4, 4.8, 9.6, 10 s
        assert len(times) <= resets * attempts_a_reset


async def test_without_a_rest_between_news_a_member_is_dialled_at_their_rate(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def any_news(self: Dialler, member: bytes, target: Any, seconds: float) -> bool:
        with trio.move_on_after(seconds) as scope:
            await target.news.wait()
        return not scope.cancelled_caught

    monkeypatch.setattr(Dialler, "_has_fresh_news", any_news)
    monkeypatch.setattr(dialling, "MAX_DIALS_PER_MINUTE", 10**6)
    assert len(await dials_in(60, news_every=0.05)) > 10 * MAX_DIALS_PER_MINUTE


async def test_a_member_of_which_there_is_news_after_a_while_is_dialled_at_once(clock: Any) -> None:
    roads = Roads()
    async with trio.open_nursery() as nursery:
        dialler = Dialler(roads, nursery)
        dialler.want(MEMBER)
        await trio.sleep(100)
        before = len(roads.dialled)
        dialler.want(MEMBER)
        await trio.testing.wait_all_tasks_blocked()
        assert len(roads.dialled) > before
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("address", ["/ip4/169.254.169.254/tcp/80", "/ip4/127.0.0.1/tcp/22", "/dns/localhost/tcp/22"])
async def test_nobody_is_sent_where_a_record_has_no_business(address: str, world: Callable[[], Any]) -> None:
    async with world() as peers:
        one = await peers.start(0, listen=["/ip4/0.0.0.0/tcp/0"], announce=["/ip4/192.0.2.1/tcp/4001"])
        one.network._record = None  # this machine may have no other address than loopback
        with pytest.raises(DialError, match="not dialled, because a member's record may not name such an address"):
            await one.network.dial(Address(address, MEMBER), told=True)


async def knocks(world: Callable[[], Any]) -> bool:
    """Whether a peer that is not on loopback knocks at a port of its own machine because a record says so."""
    async with world() as peers:
        one = await peers.start(0, listen=["/ip4/0.0.0.0/tcp/0"], announce=["/ip4/192.0.2.1/tcp/4001"])
        one.network._record = None
        with socket.socket() as service:
            service.bind(("127.0.0.1", 0))
            service.listen()
            service.setblocking(False)
            with trio.move_on_after(0.5):
                try:
                    place = Address(f"/ip4/127.0.0.1/tcp/{service.getsockname()[1]}", MEMBER)
                    await one.network.dial(place, told=True)
                except DialError:
                    pass
            try:
                service.accept()
            except BlockingIOError:
                return False
            return True


async def test_a_record_makes_nobody_knock_at_its_own_services(
    world: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await knocks(world)
    monkeypatch.setattr(network, "is_proper", lambda *_: True)
    assert await knocks(world)
