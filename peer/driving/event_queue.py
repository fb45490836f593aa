"""The events that wait for the node.

Events of the peer's own timers, jobs and transfers go first. Their number has no bound here, because the node asked for
each of them. Of the events from the network one for each link waits at most: a link hands in the next one when the node
has dealt with the last. So links take turns, and a peer that sends much slows down only itself.
"""

from collections import deque
from dataclasses import dataclass, field

import trio

from ...protocol.events import Event


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event and the peer that caused it, if any. The node's work on the event is charged to that peer."""

    event: Event
    cause: bytes | None = None
    done: trio.Event = field(default_factory=trio.Event, repr=False)


class EventQueue:
    """A queue with two entrances and one exit."""

    def __init__(self) -> None:
        self._own: deque[Arrival] = deque()
        self._foreign: deque[Arrival] = deque()
        self._arrived = trio.lowlevel.ParkingLot()

    def put(self, event: Event, cause: bytes | None = None) -> None:
        """Add an event that follows from a request of the node. ``cause``: the peer to charge, if any."""
        self._own.append(Arrival(event, cause))
        self._arrived.unpark()

    async def put_foreign(self, event: Event, cause: bytes) -> None:
        """Add an event that came from a peer, and wait until the node has dealt with it."""
        arrival = Arrival(event, cause)
        self._foreign.append(arrival)
        self._arrived.unpark()
        await arrival.done.wait()

    async def get(self) -> Arrival:
        """Take the next event. Wait if there is none; otherwise let all other tasks have a turn first."""
        if self._own or self._foreign:
            await trio.lowlevel.checkpoint()
        while not (self._own or self._foreign):
            await self._arrived.park()
        return self._own.popleft() if self._own else self._foreign.popleft()
