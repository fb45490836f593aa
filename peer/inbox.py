"""The events that wait for the node.

What the peer's own timers, jobs and transfers bring has no bound here, because the node asked for each of
them; it goes first. Of what comes from the network one event a link waits at a time: a link hands in the next one when
the node has dealt with the last. So each has its turn, and a peer that sends much slows nobody down but itself.
"""

from collections import deque
from dataclasses import dataclass, field

import trio

from ..protocol.events import Event


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event, and the peer that caused it, if it was one: what the node has to do for it is charged to that peer."""

    event: Event
    cause: bytes | None = None
    done: trio.Event = field(default_factory=trio.Event, repr=False)


class Inbox:
    """A queue with two entrances and one exit."""

    def __init__(self) -> None:
        self._own: deque[Arrival] = deque()
        self._foreign: deque[Arrival] = deque()
        self._arrived = trio.lowlevel.ParkingLot()

    def put(self, event: Event, cause: bytes | None = None) -> None:
        """Add an event that follows from what the node asked for."""
        self._own.append(Arrival(event, cause))
        self._arrived.unpark()

    async def put_foreign(self, event: Event, cause: bytes) -> None:
        """Add an event that came from a peer, and wait until it was dealt with."""
        arrival = Arrival(event, cause)
        self._foreign.append(arrival)
        self._arrived.unpark()
        await arrival.done.wait()

    async def get(self) -> Arrival:
        """Take the next event; wait for one, or else let all other tasks have a turn."""
        if self._own or self._foreign:
            await trio.lowlevel.checkpoint()
        while not (self._own or self._foreign):
            await self._arrived.park()
        return self._own.popleft() if self._own else self._foreign.popleft()
