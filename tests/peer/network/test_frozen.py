"""A peer whose process is stopped or killed: its connection looks alive, and must not hold anybody up."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from coterie.crypto.identity.identity import Identity
from coterie.peer.network.link import Timing
from coterie.peer.network.link_events import Beat, Connected, Disconnected, Frame
from coterie.peer.network.transfers import PullFailed
from coterie.protocol.messages.encoding import digest_of

pytestmark = pytest.mark.processes

BLOB = bytes(32 * 1024 * 1024)
PROCESS = Identity.from_seed(bytes([255]) * 32).public

PEER = """
import sys, trio
from coterie.crypto.identity.identity import Identity
from coterie.peer.network.link_events import Frame
from coterie.peer.network.link import Timing
from coterie.peer.network.network import Network
from coterie.protocol.messages.encoding import digest_of

BLOB = bytes(32 * 1024 * 1024)

async def main():
    timing = Timing(beat_seconds=0.1, dead_seconds=1.5)
    network = Network(Identity.from_seed(bytes([255]) * 32), ["/ip4/127.0.0.1/tcp/0"], allow=lambda member: True,
                      bootstrap=sys.argv[1:], timing=timing)
    network.offer(digest_of(BLOB), BLOB)
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        async for event in network.inbound:
            if isinstance(event, Frame):
                network.send(event.member, b"echo " + event.envelope)

trio.run(main)
"""


@asynccontextmanager
async def process(*bootstrap: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A peer in a process of its own, which echoes frames and offers a large blob."""
    started = subprocess.Popen([sys.executable, "-c", PEER, *bootstrap])
    try:
        yield started
    finally:
        started.kill()
        started.wait()


async def test_a_frozen_peer_is_reported_and_holds_nobody_up(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        async with process(first.address) as frozen:
            member = (await first.event(Connected, member=PROCESS)).member
            await second.event(Connected, member=member)
            frozen.send_signal(signal.SIGSTOP)
            # Fill what the kernel takes on behalf of the frozen process, and more.
            while first.network.send(member, bytes(500_000)):
                pass
            seen = len(second.events)
            while not any(isinstance(event, Disconnected) for event in first.events):
                assert first.network.send(second.member, b"meanwhile")
                await second.event(Frame, after=seen, member=first.member)
                seen = len(second.events)
                await first.event(Beat, after=len(first.events), member=second.member)
            event = await first.event(Disconnected)
            assert event.member == member
            assert "nothing heard" in event.reason
            assert first.network.connected() == [second.member]
            assert first.network.link_to(second.member).up

            seen = len(first.events)
            frozen.send_signal(signal.SIGCONT)
            await first.event(Connected, after=seen, member=member)
            await first.until(lambda: first.network.send(member, b"hello"))
            await first.event(Frame, member=member, envelope=b"echo hello")


async def test_a_frozen_peer_is_given_up_at_the_moment_and_not_at_the_next_heartbeat(world: Callable[[], Any]) -> None:
    """All members give it up together so; who asked at its own heartbeats alone would know for an hour of nothing."""
    async with world() as peers:
        first = await peers.start(0, timing=Timing(beat_seconds=3600.0, dead_seconds=1.5))
        async with process(first.address) as frozen:
            await first.event(Beat, member=PROCESS)
            frozen.send_signal(signal.SIGSTOP)
            assert "nothing heard" in (await first.event(Disconnected, member=PROCESS)).reason


async def test_a_pull_from_a_peer_that_freezes_fails_and_one_from_another_does_not_wait(
    world: Callable[[], Any],
) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        digest = digest_of(BLOB)
        second.network.offer(digest, BLOB)
        async with process(first.address) as frozen:
            member = (await first.event(Connected, member=PROCESS)).member
            frozen.send_signal(signal.SIGSTOP)
            with pytest.raises(PullFailed, match="the link ended: nothing heard|too little progress"):
                await first.network.pull(member, digest, len(BLOB))
            assert await first.network.pull(second.member, digest, len(BLOB)) == BLOB


async def test_a_killed_peer_fails_its_transfer_at_once(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first = await peers.start(0)
        async with process(first.address) as victim:
            member = (await first.event(Connected)).member
            digest = digest_of(BLOB)
            link = first.network.link_to(member)

            async def kill_in_the_middle() -> None:
                while link.bulk.bytes_in == 0:
                    await trio.lowlevel.checkpoint()
                victim.kill()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_in_the_middle)
                with trio.fail_after(10), pytest.raises(PullFailed, match="the link ended"):
                    await first.network.pull(member, digest, len(BLOB))
            await first.event(Disconnected, member=member)
