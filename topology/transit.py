"""Bytes on their way, hop by hop, until they arrive or a link or a relay before them fails."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .clock import Clock
from .links import Links, Path

__all__ = ["Parcel", "Transit"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What crosses a path. ``arrived`` or ``lost`` is called with ``arguments``: one of them, and once."""

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
        """Cross one hop, and go on from there when the bytes have."""
        hop = parcel.path[at]
        if at and not hop.is_open:
            parcel.lost(*parcel.arguments)
            return
        arrives_us = self._links.cross(hop, parcel.size_bytes, now_us, parcel.is_bulk)
        if at + 1 < len(parcel.path):
            self._clock.at(arrives_us // 1000, self._cross, parcel, at + 1, arrives_us)
        else:
            self._clock.at(-(-arrives_us // 1000), parcel.arrived, *parcel.arguments)
