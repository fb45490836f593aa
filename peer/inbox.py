"""The events that wait for the node.

What the peer's own timers, jobs and transfers bring has no bound here, because the node asked for each of
them; it goes first. What comes from the network has one; once it is reached, the network waits, and there its
links wait in turn, so that a peer that sends much slows nobody down but itself.
"""

from collections import deque
from typing import Final

import trio

from ..protocol.events import Event

MAX_WAITING_FROM_NETWORK: Final = 64


class Inbox:
    """A queue with two entrances and one exit."""

    def __init__(self) -> None:
        self._own: deque[Event] = deque()
        self._foreign: deque[Event] = deque()
        self._arrived = trio.lowlevel.ParkingLot()
        self._taken = trio.lowlevel.ParkingLot()

    def put(self, event: Event) -> None:
        """Add an event that follows from what the node asked for."""
        self._own.append(event)
        self._arrived.unpark()

    async def put_foreign(self, event: Event) -> None:
        """Add an event that came from the network; wait while too many do."""
        while len(self._foreign) >= MAX_WAITING_FROM_NETWORK:
            await self._taken.park()
        self._foreign.append(event)
        self._arrived.unpark()

    async def get(self) -> Event:
        """Take the next event; wait for one."""
        while not (self._own or self._foreign):
            await self._arrived.park()
        if self._own:
            return self._own.popleft()
        self._taken.unpark()
        return self._foreign.popleft()
