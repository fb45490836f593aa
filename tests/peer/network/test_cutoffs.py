"""Members that did what no honest peer does are cut off, longer each time."""

from collections.abc import Callable
from typing import Any

import pytest
from libp2p.exceptions import BaseLibp2pError

from coterie.crypto.identity.identity import Identity
from coterie.peer.network import cutoffs
from coterie.peer.network.cutoffs import FIRST_CUT_OFF_SECONDS, LAST_CUT_OFF_SECONDS, CutOffs
from coterie.peer.network.frames import MAX_BODY_BYTES, Kind, encode, read_frame
from coterie.peer.network.greeting import encode_greeting
from coterie.peer.network.link import BULK_PROTOCOL, CONTROL_PROTOCOL
from coterie.peer.network.link_events import Connected, Disconnected
from coterie.peer.network.transport.host import DialError, Host


def test_each_time_is_twice_as_long_as_the_one_before_up_to_a_bound() -> None:
    cut = CutOffs()
    seconds = [cut.add(b"m", "why", 0.0) for _ in range(20)]
    assert seconds[:3] == [FIRST_CUT_OFF_SECONDS, 2 * FIRST_CUT_OFF_SECONDS, 4 * FIRST_CUT_OFF_SECONDS]
    assert seconds[-1] == LAST_CUT_OFF_SECONDS


def test_it_ends() -> None:
    cut = CutOffs()
    cut.add(b"m", "why", 100.0)
    assert cut.reason(b"m", 100.0 + FIRST_CUT_OFF_SECONDS / 2) == "why"
    assert cut.reason(b"m", 100.0 + FIRST_CUT_OFF_SECONDS) is None
    assert cut.reason(b"another", 100.0) is None


def test_a_bounded_number_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutoffs, "MAX_CUT_OFFS", 2)
    cut = CutOffs()
    for member in (b"a", b"b", b"c"):
        cut.add(member, "why", 0.0)
    assert [cut.reason(member, 1.0) for member in (b"a", b"b", b"c")] == [None, "why", "why"]


async def greeted(host: Host, target: Any) -> Any:
    """A control stream on which both sides are welcome."""
    connection = await host.dial(target.address.partition("/p2p/")[0], target.member)
    control = await connection.open(CONTROL_PROTOCOL)
    await control.write(encode(Kind.GREETING, encode_greeting(b"", b"", "member", b"")) + encode(Kind.WELCOME))
    assert [(await read_frame(control, MAX_BODY_BYTES))[0] for _ in range(2)] == [Kind.GREETING, Kind.WELCOME]
    await connection.open(BULK_PROTOCOL)
    return control


async def after_a_bad_frame(world: Callable[[], Any], identity: Callable[[int], Identity]) -> bool:
    """Whether a member that sent a malformed frame has a link again as soon as it calls."""
    async with world() as peers:
        victim = await peers.start(0, allow={identity(0).public, identity(9).public}.__contains__)
        host = Host(identity(9), lambda connection: True, lambda connection: None, [])
        async with host.run([]):
            control = await greeted(host, victim)
            await victim.event(Connected, member=identity(9).public)
            await control.write(encode(Kind.ENVELOPE, b"\x09"))
            await victim.event(Disconnected, member=identity(9).public)
            try:
                await greeted(host, victim)
            except (BaseLibp2pError, DialError, OSError):
                return False
            return True


async def test_a_member_that_sends_a_malformed_frame_gets_no_link_for_a_while(
    world: Callable[[], Any], identity: Callable[[int], Identity]
) -> None:
    assert not await after_a_bad_frame(world, identity)


async def test_a_member_that_is_not_cut_off_calls_again_at_once(
    world: Callable[[], Any], identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CutOffs, "reason", lambda *_: None)
    assert await after_a_bad_frame(world, identity)


async def test_who_is_cut_off_is_not_dialled_either(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        first.network.cut_off(second.member, "a lie")
        await first.event(Disconnected)
        with pytest.raises(DialError, match="cut off: a lie"):
            await first.network.dial(second.network._record.addresses[0])
        (row,) = first.network.peers()
        assert row.trouble == "cut off: a lie"
