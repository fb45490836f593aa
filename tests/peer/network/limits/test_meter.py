"""What a peer has used up of our time, and what it waits for."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from members import identity

from coterie.peer.network.limits.meter import BURST_SECONDS, MAX_DEBT_SECONDS, OVERRUN_SECONDS, Meter
from coterie.peer.network.link_events import Connected, Report
from coterie.peer.network.network import Network


class Deaf:
    """Hears what members say, and does nothing about it."""

    async def frame(self, member: bytes, envelope: bytes, blob: bytes | None) -> None:
        """Ignore it."""

    async def heartbeat(self, member: bytes, status: bytes) -> None:
        """Ignore it."""

    async def pace(self, member: bytes, is_overrun: bool) -> None:
        """Ignore it."""


async def ignore(event: Report) -> None:
    """What else links report."""


async def waited(meter: Meter) -> float:
    started = trio.current_time()
    await meter.ready()
    return trio.current_time() - started


async def test_a_burst_is_free_and_what_exceeds_it_is_waited_for(clock: Any) -> None:
    meter = Meter(share=0.1, burst_seconds=0.4)
    assert await waited(meter) == 0
    meter.charge(0.4)
    assert await waited(meter) == 0
    meter.charge(0.05)
    assert await waited(meter) == pytest.approx(0.5, abs=0.01)


async def test_a_member_has_a_twentieth_of_the_loop_s_time_and_strangers_a_tenth_together(clock: Any) -> None:
    network = lonely()
    for meter, share in ((network.meter_of(b"a member"), 0.05), (network.strangers, 0.1)):
        meter.charge(BURST_SECONDS + 0.05)
        assert await waited(meter) == pytest.approx(0.05 / share, abs=0.01)


async def test_each_block_gives_every_member_three_milliseconds_more_and_strangers_none(clock: Any) -> None:
    network = lonely()
    links = [SimpleNamespace(is_stranger=is_stranger, meter=Meter(share=1.0)) for is_stranger in (False, True)]
    network._links = dict(zip((b"member", b"stranger"), links, strict=True))
    for link in links:
        link.meter.charge(BURST_SECONDS + 0.05)
    for _ in range(10):
        network.block_decided()
    assert [link.meter.delay() for link in links] == pytest.approx([0.02, 0.05])


def lonely() -> Any:
    """A network that nobody has called."""
    return Network(identity(0), ("/ip4/127.0.0.1/tcp/0",), allow=lambda member: None)


async def test_nobody_is_kept_waiting_for_longer_than_its_debt_may_be(clock: Any) -> None:
    meter = Meter(share=0.1)
    meter.charge(1000)
    assert await waited(meter) == pytest.approx(MAX_DEBT_SECONDS / 0.1, abs=0.01)


async def test_what_is_not_used_is_not_saved_up_beyond_a_burst(clock: Any) -> None:
    meter = Meter(share=0.1)
    await trio.sleep(1000)
    meter.earn(1000)
    meter.charge(BURST_SECONDS + 0.1)
    assert await waited(meter) == pytest.approx(1, abs=0.01)


async def test_a_common_meter_holds_for_all_that_share_it(clock: Any) -> None:
    common = Meter(share=0.1, burst_seconds=0.1)
    first, second = Meter(common=common), Meter(common=common)
    first.charge(0.2)
    assert await waited(second) == pytest.approx(1, abs=0.01)


async def test_who_goes_on_using_up_its_share_is_overrun_until_it_has_rested(clock: Any) -> None:
    meter = Meter(share=0.1, burst_seconds=0.4)
    meter.charge(0.41)
    await meter.ready()
    assert not meter.is_overrun
    for _ in range(round(OVERRUN_SECONDS / 0.1)):
        meter.charge(0.02)
        await meter.ready()
    assert meter.is_overrun
    await trio.sleep(1)
    assert meter.is_overrun
    await trio.sleep(1.1)
    assert not meter.is_overrun


FLOOD = 60


async def flooded(world: Callable[[], Any], wait: Callable[[int, int], bool]) -> tuple[int, int]:
    """A member's costly frames and another's cheap ones: how many of each are handled when ``wait`` holds."""
    handled: list[bytes] = []
    async with world() as peers:
        victim = await peers.start(0)
        hostile, honest = await peers.start(1, victim), await peers.start(2, victim)
        for one in (hostile, honest):
            await one.linked(victim)
        await victim.linked(hostile, honest)

        def counts() -> tuple[int, int]:
            return handled.count(hostile.member), handled.count(honest.member)

        done = trio.Event()

        class Hears(Deaf):
            async def frame(self, member: bytes, envelope: bytes, blob: bytes | None) -> None:
                handled.append(member)
                if member == hostile.member:
                    victim.network.charge(hostile.member, 10.0)
                if wait(*counts()):
                    done.set()

        await victim.network.hand_over(Hears(), ignore)
        for number in range(FLOOD):
            assert hostile.network.send(victim.member, b"costly %d" % number)
            assert honest.network.send(victim.member, b"cheap %d" % number)
        await done.wait()
        return counts()


async def test_a_link_that_costs_too_much_waits_and_the_others_do_not(world: Callable[[], Any]) -> None:
    costly, cheap = await flooded(world, lambda costly, cheap: cheap == FLOOD)
    assert cheap == FLOOD
    assert costly < FLOOD / 4


async def test_without_a_meter_all_that_a_member_sends_is_handled_at_once(
    world: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Meter, "delay", lambda self: 0.0)
    costly, _ = await flooded(world, lambda costly, cheap: costly == FLOOD)
    assert costly == FLOOD


async def test_a_new_link_brings_no_new_burst(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        link = first.network.link_to(second.member)
        link.meter.charge(10.0)
        seen = len(first.events)
        await link.connection.abort()
        await first.event(Connected, after=seen)
        assert first.network.link_to(second.member) is not link
        assert first.network.link_to(second.member).meter.used_seconds >= 10.0


async def test_it_is_told_when_a_member_is_overrun(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        told, overrun = [], trio.Event()

        class Hears(Deaf):
            async def frame(self, member: bytes, envelope: bytes, blob: bytes | None) -> None:
                first.network.charge(member, 0.5)

            async def pace(self, member: bytes, is_overrun: bool) -> None:
                told.append((member, is_overrun))
                overrun.set()

        await first.network.hand_over(Hears(), ignore)
        for _ in range(20):
            second.network.send(first.member, b"costly")
        await overrun.wait()
        assert told == [(second.member, True)]
