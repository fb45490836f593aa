"""Tests of the network run under trio, each against a guard of a minute; `world` starts peers on loopback."""

import hashlib
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from coterie.crypto.identity.identity import Identity
from coterie.peer.network.link import Timing
from coterie.peer.network.link_events import Event
from coterie.peer.network.network import Network

GUARD_SECONDS = 60

BRISK = Timing(beat_seconds=0.1, dead_seconds=1.5, greeting_seconds=5.0, progress_seconds=2.0)
"""Heartbeats quick enough to see a peer die within a test."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutine tests under trio; `clock` in a test's arguments becomes the clock of its run."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def guarded() -> None:
        with trio.fail_after(GUARD_SECONDS if "clock" not in arguments else 10**6):
            await pyfuncitem.obj(**arguments)

    trio.run(guarded, clock=arguments.get("clock"))
    return True


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """Virtual time that jumps ahead whenever nothing else can happen."""
    return trio.testing.MockClock(autojump_threshold=0)


def make_identity(number: int) -> Identity:
    """The test identities, ordered: a lower number has a lower id."""
    return _ordered()[number]


def _ordered(cache: list[Identity] = []) -> list[Identity]:  # noqa: B006
    if not cache:
        seeds = (hashlib.sha256(b"network test %d" % number).digest() for number in range(80))
        cache += sorted(map(Identity.from_seed, seeds), key=lambda identity: identity.public)
    return cache


class Peer:
    """A running network and all that it reported."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.member = network.member
        self.events: list[Event] = []
        self.address = ""
        self._changed = trio.Event()

    async def listen(self) -> None:
        async for event in self.network.inbound:
            self.events.append(event)
            self._changed.set()
            self._changed = trio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds`, looked at after every event."""
        while not holds():
            await self._changed.wait()

    async def event(self, kind: type[Event], after: int = 0, **wanted: Any) -> Any:
        """The first event of a kind with these attributes, from the `after`-th event on."""

        def found() -> list[Event]:
            return [
                event
                for event in self.events[after:]
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in wanted.items())
            ]

        await self.until(lambda: bool(found()))
        return found()[0]

    async def linked(self, *others: "Peer") -> None:
        """Wait until links to all of `others` are up."""
        await self.until(lambda: {other.member for other in others} <= set(self.network.connected()))


class World:
    """Peers in one process, on real TCP."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.peers: list[Peer] = []

    async def start(self, number: int, *bootstrap: "Peer | str", **options: Any) -> Peer:
        options = {"allow": lambda member: True, "timing": BRISK, "name": f"peer {number}"} | options
        options["bootstrap"] = [peer if isinstance(peer, str) else peer.address for peer in bootstrap]
        listen = options.pop("listen", ["/ip4/127.0.0.1/tcp/0"])
        network = Network(make_identity(number), listen, **options)
        peer = Peer(network)
        peer.address = (await self._nursery.start(network.run))[0]
        self._nursery.start_soon(peer.listen)
        self.peers.append(peer)
        return peer

    async def pair(self, **options: Any) -> tuple[Peer, Peer]:
        first = await self.start(0, **options)
        second = await self.start(1, first, **options)
        await first.linked(second)
        await second.linked(first)
        return first, second


@asynccontextmanager
async def _world() -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        world = World(nursery)
        yield world
        for peer in world.peers:
            await peer.network.stop()
        nursery.cancel_scope.cancel()


@pytest.fixture
def world() -> Callable[[], Any]:
    """`async with world() as peers:` gives a `World`."""
    return _world


@pytest.fixture
def identity() -> Callable[[int], Identity]:
    """The test identities by number, in the order of their ids."""
    return make_identity
