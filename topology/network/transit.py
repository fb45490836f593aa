"""Bytes on their way, hop by hop, until they arrive or a link or relay ahead of them fails."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from .clock import Clock
from .links import Links, Path

__all__ = ["MAX_QUEUED_BYTES", "MAX_QUEUED_FRAMES", "Parcel", "Queue", "Transit"]

MAX_QUEUED_FRAMES: Final = 4096
MAX_QUEUED_BYTES: Final = 32 * 1024 * 1024
"""Most frames and bytes from one peer to another that have not arrived; as on real links, more is refused."""


@dataclass(slots=True)
class Queue:
    """The frames from one peer to another that wait or are on their way."""

    frames: int = 0
    size_bytes: int = 0

    def has_room(self, size_bytes: int) -> bool:
        """Whether a frame of this size is accepted."""
        return self.frames < MAX_QUEUED_FRAMES and self.size_bytes + size_bytes <= MAX_QUEUED_BYTES

    def put(self, size_bytes: int) -> None:
        """Count a frame that is sent."""
        self.frames += 1
        self.size_bytes += size_bytes

    def take(self, size_bytes: int) -> None:
        """Count a frame that has arrived or is lost."""
        self.frames -= 1
        self.size_bytes -= size_bytes


class Parcel(NamedTuple):
    """Bytes that cross a path. Either ``arrived`` or ``lost`` is called once, with ``arguments``.

    There is one for each of millions of messages, and a tuple is made in a third of the time of a frozen dataclass.
    """

    path: Path
    size_bytes: int
    is_bulk: bool
    arrived: Callable[..., None]
    lost: Callable[..., None]
    arguments: tuple[Any, ...]


class Transit:
    """Takes parcels over the links, in virtual time."""

    def __init__(self, links: Links, clock: Clock) -> None:
        self._links, self._clock = links, clock

    def carry(self, parcel: Parcel) -> None:
        """Send a parcel off now."""
        self._cross(parcel, 0, 1000 * self._clock.now_ms)

    def _cross(self, parcel: Parcel, at: int, now_us: int) -> None:
        """Cross one hop, and go on when the bytes are at its end."""
        hop = parcel.path[at]
        if at and not hop.is_open:
            parcel.lost(*parcel.arguments)
            return
        if at:
            hop.relayed_bytes += parcel.size_bytes
        arrives_us = self._links.cross(hop, parcel.size_bytes, now_us, parcel.is_bulk)
        # The clock has whole milliseconds: a relay goes on with the exact time, and no arrival comes too early.
        if at + 1 < len(parcel.path):
            self._clock.at(arrives_us // 1000, self._cross, parcel, at + 1, arrives_us)
        else:
            self._clock.at(-(-arrives_us // 1000), parcel.arrived, *parcel.arguments)
