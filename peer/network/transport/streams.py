"""One stream of a multiplexed connection, and its flow control."""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import trio
from libp2p.abc import IMuxedConn, IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamEOF, MuxedStreamError, MuxedStreamReset

from .send_queue import FIN, PAYLOAD_BYTES, RST, WINDOW, SendQueue

INITIAL_WINDOW_BYTES: Final = 256 * 1024
"""What the specification grants each side of a new stream."""

MAX_WINDOW_BYTES: Final = 16 * 1024 * 1024
_SMALL_BYTES: Final = 16 * 1024


class Violation(Exception):
    """The peer broke the yamux protocol; the connection cannot go on."""


class Stream(IMuxedStream):
    """One stream of a connection: ordered bytes in both directions, flow-controlled each way."""

    def __init__(self, stream_id: int, connection: IMuxedConn, outbox: SendQueue, done: Callable[[int], None]) -> None:
        """`done` is told the stream's id when it is over in both directions."""
        self.stream_id = stream_id
        self.muxed_conn = connection
        self._outbox = outbox
        self._done = done
        self.urgent = True
        self._chunks: deque[memoryview | bytearray] = deque()
        self._offset = 0
        self.buffered = 0
        self._window = INITIAL_WINDOW_BYTES
        self._granted = INITIAL_WINDOW_BYTES  # bytes that the peer may still send
        self._consumed = 0
        self._credit = INITIAL_WINDOW_BYTES  # bytes that we may still send
        self._readable = trio.lowlevel.ParkingLot()
        self._writable = trio.lowlevel.ParkingLot()
        self.ended = False  # the peer sends no more
        self.finished = False  # we send no more
        self.broken = False

    # What the connection's reader calls; none of it waits.

    def deliver(self, chunk: memoryview, message_bytes: int) -> None:
        """Take a piece of payload; `chunk` is a view into a message of `message_bytes`."""
        if self.ended or self.broken:
            return
        if 2 * len(chunk) >= message_bytes and len(chunk) > _SMALL_BYTES:
            # Most of its message: the view is kept as it is, and nothing is copied.
            self._chunks.append(chunk)
        elif self._chunks and isinstance(last := self._chunks[-1], bytearray) and len(last) < _SMALL_BYTES:
            last += chunk
        else:
            # A view would keep the whole message alive for the sake of a few bytes.
            self._chunks.append(bytearray(chunk))
        self.buffered += len(chunk)
        self._readable.unpark_all()

    def spend_grant(self, length: int) -> None:
        """Account for a data frame of `length` bytes. Raises Violation when the peer was not granted that much."""
        if length > self._granted:
            raise Violation(f"{length} bytes on stream {self.stream_id}, {self._granted} granted")
        self._granted -= length

    def add_credit(self, amount: int) -> None:
        """Take note that the peer lets us send `amount` bytes more."""
        self._credit = min(self._credit + amount, 2**31)
        self._writable.unpark_all()

    def apply(self, flags: int) -> None:
        """Act on the flags of a frame, after its payload."""
        if flags & RST:
            self.fail()
        elif flags & FIN:
            self.ended = True
            self._readable.unpark_all()
        self._forget_if_done()

    def fail(self) -> None:
        """Wake all that wait: the stream is gone, with the connection or by itself."""
        self.broken = self.ended = self.finished = True
        self._readable.unpark_all()
        self._writable.unpark_all()

    # What its user calls.

    def widen(self, window_bytes: int) -> None:
        """Let the peer have up to `window_bytes` on the way to us, from now on."""
        more = min(window_bytes, MAX_WINDOW_BYTES) - self._window
        if more > 0 and not self.ended:
            self._window += more
            self._grant(more)

    def defer(self) -> None:
        """From now on let other streams' frames go first. There is no way back: frames would overtake."""
        self.urgent = False

    def _grant(self, amount: int) -> None:
        self._granted += amount
        self._outbox.add_control(WINDOW, 0, self.stream_id, amount)

    def _consume(self, length: int) -> None:
        self.buffered -= length
        self._consumed += length
        if 2 * self._consumed >= self._window and not self.ended:
            self._grant(self._consumed)
            self._consumed = 0

    async def _wait_readable(self) -> None:
        while not self._chunks:
            if self.broken:
                raise MuxedStreamReset("stream was reset")
            if self.ended:
                raise MuxedStreamEOF("the peer closed the stream")
            await self._readable.park()

    def _pop_into(self, view: memoryview) -> int:
        """Move buffered bytes into `view`; returns how many."""
        done = 0
        while done < len(view) and self._chunks:
            chunk = self._chunks[0]
            take = min(len(chunk) - self._offset, len(view) - done)
            view[done : done + take] = memoryview(chunk)[self._offset : self._offset + take]
            done += take
            self._offset += take
            if self._offset == len(chunk):
                self._chunks.popleft()
                self._offset = 0
        self._consume(done)
        return done

    async def readinto(self, view: memoryview) -> None:
        """Fill the whole of `view`. Raises MuxedStreamEOF or MuxedStreamReset when the stream ends before."""
        done = 0
        while done < len(view):
            await self._wait_readable()
            done += self._pop_into(view[done:])

    async def read_exactly(self, count: int) -> bytes:
        """Exactly `count` bytes. Raises MuxedStreamEOF or MuxedStreamReset when the stream ends before."""
        data = bytearray(count)
        await self.readinto(memoryview(data))
        return bytes(data)

    async def read(self, n: int | None = None) -> bytes:
        """Up to `n` bytes (any number if None or negative), at least one."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if n == 0:
            return b""
        await self._wait_readable()
        data = bytearray(self.buffered if n is None or n < 0 else min(n, self.buffered))
        self._pop_into(memoryview(data))
        return bytes(data)

    async def write(self, data: bytes | memoryview) -> None:
        """Queue all of `data`, waiting for credit and for room. If cancelled, whole frames of it may have gone."""
        await trio.lowlevel.checkpoint_if_cancelled()
        view = memoryview(data)
        done = 0
        while done < len(view):
            if self.finished:
                raise (MuxedStreamReset("stream was reset") if self.broken else MuxedStreamError("stream is closed"))
            if self._credit == 0:
                await self._writable.park()
            elif not self._outbox.has_room(self.urgent):
                await self._outbox.room.park()
            else:
                size = min(self._credit, PAYLOAD_BYTES, len(view) - done)
                self._credit -= size
                self._outbox.add_data(0, self.stream_id, view[done : done + size], self.urgent)
                done += size

    async def close(self) -> None:
        """Send no more; what is queued still goes."""
        if not self.finished:
            self.finished = True
            self._outbox.add_data(FIN, self.stream_id, memoryview(b""), self.urgent)
            self._forget_if_done()
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """Drop the stream in both directions."""
        if not self.broken:
            self.fail()
            self._chunks.clear()
            self._outbox.add_control(WINDOW, RST, self.stream_id, 0)
            self._forget_if_done()

    def _forget_if_done(self) -> None:
        if self.ended and self.finished:
            self._done(self.stream_id)

    def set_deadline(self, ttl: int) -> None:
        """Do not use this: deadlines are the caller's cancel scopes."""
        raise NotImplementedError

    def get_remote_address(self) -> tuple[str, int] | None:
        """Host and port of the other end."""
        remote: tuple[str, int] | None = self.muxed_conn.get_remote_address()  # type: ignore[attr-defined]
        return remote

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
