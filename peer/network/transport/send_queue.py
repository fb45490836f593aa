"""What a connection has yet to send: frames of three ranks, packed into messages of the right size.

Frames without payload go first, then those of streams that carry conversation, then bulk. Frames of one
stream stay in order. Writers wait while the rank of their stream is full. So a heartbeat never waits for more than a
bounded number of bytes, and bulk never crowds conversation out.
"""

import struct
from collections import deque
from typing import Final

import trio

HEADER: Final = struct.Struct("!BBHII")
"""Version, type, flags, stream, length."""

DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8

MESSAGE_BYTES: Final = 65535 - 16
"""The plaintext of one Noise message."""

PAYLOAD_BYTES: Final = MESSAGE_BYTES - HEADER.size
"""The largest payload of one data frame, which then fills a message."""

MAX_QUEUED_BYTES: Final = 256 * 1024
"""Payload of one rank that is queued before writers wait."""

MAX_QUEUED_CONTROL: Final = 4096
"""Frames without payload that wait for a peer that provokes them and does not read them."""

_BATCH_BYTES: Final = 4 * MESSAGE_BYTES


class SendQueue:
    """The queues of one connection. Filling them never waits."""

    def __init__(self) -> None:
        self.room = trio.lowlevel.ParkingLot()
        """Woken when writers that found no room may look again."""
        self.closed = False
        self._control: deque[bytes] = deque()
        self._urgent: deque[tuple[bytes, memoryview]] = deque()
        self._bulk: deque[tuple[bytes, memoryview]] = deque()
        self._urgent_bytes = 0
        self._bulk_bytes = 0
        self._work = trio.lowlevel.ParkingLot()

    def __bool__(self) -> bool:
        return bool(self._control or self._urgent or self._bulk)

    @property
    def control_frames(self) -> int:
        """How many frames without payload wait."""
        return len(self._control)

    def has_room(self, urgent: bool) -> bool:
        """Whether a writer of that rank may queue more."""
        return (self._urgent_bytes if urgent else self._bulk_bytes) < MAX_QUEUED_BYTES

    def add_control(self, kind: int, flags: int, stream_id: int, value: int) -> None:
        """Queue a frame without payload, ahead of all payload."""
        if not self.closed:
            self._control.append(HEADER.pack(0, kind, flags, stream_id, value))
            self._work.unpark_all()

    def add_data(self, flags: int, stream_id: int, payload: memoryview, urgent: bool) -> None:
        """Queue a data frame behind those of its rank."""
        if self.closed:
            return
        frame = (HEADER.pack(0, DATA, flags, stream_id, len(payload)), payload)
        if urgent:
            self._urgent.append(frame)
            self._urgent_bytes += len(payload)
        else:
            self._bulk.append(frame)
            self._bulk_bytes += len(payload)
        self._work.unpark_all()

    def close(self) -> None:
        """Take no more, and wake all tasks that wait."""
        self.closed = True
        self.room.unpark_all()
        self._work.unpark_all()

    async def wait(self) -> None:
        """Wait until there is something to send."""
        while not self:
            await self._work.park()

    def next_batch(self) -> list[bytes]:
        """Take what goes out next, packed into messages; at least one if there is anything."""
        messages: list[bytes] = []
        parts: list[bytes | memoryview] = []
        size = total = 0
        while total < _BATCH_BYTES and (frame := self._pop()) is not None:
            length = len(frame[0]) + len(frame[1])
            if size + length > MESSAGE_BYTES:
                messages.append(b"".join(parts))
                parts, size = [], 0
            parts += frame
            size += length
            total += length
        if parts:
            messages.append(b"".join(parts))
        self.room.unpark_all()
        return messages

    def _pop(self) -> tuple[bytes, memoryview] | None:
        if self._control:
            return self._control.popleft(), _NO_PAYLOAD
        if self._urgent:
            frame = self._urgent.popleft()
            self._urgent_bytes -= len(frame[1])
            return frame
        if self._bulk:
            frame = self._bulk.popleft()
            self._bulk_bytes -= len(frame[1])
            return frame
        return None


_NO_PAYLOAD: Final = memoryview(b"")
