"""The yamux stream multiplexer, as libp2p speaks it on the wire
(https://github.com/hashicorp/yamux/blob/master/spec.md).

libp2p's own implementation kills a sender whose peer pauses for five seconds, takes any amount of data beyond
the window that it granted, and breaks the whole connection when one write is cancelled
(`tests/peer/network/test_yamux.py` shows each). This one speaks the same protocol to any peer and differs in
what it promises:

- Flow control is enforced. A peer that sends more than it was granted is disconnected, so `window x streams`
  bounds what it can make us hold.
- One task writes. `write` only queues whole frames, so a cancelled write never leaves a partial frame on the
  wire.
- A slow reader stalls its own stream for as long as it likes. Whether a peer is alive is the heartbeats'
  question.
- Payloads are handed on as views of the decrypted message; `readinto` copies them once, to where they stay.
"""

import struct
from collections import deque
from types import TracebackType
from typing import Any, Final, Protocol, Self

import trio
from libp2p.abc import IMuxedConn, IMuxedStream
from libp2p.connection_types import ConnectionType
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import (
    MuxedConnUnavailable,
    MuxedStreamEOF,
    MuxedStreamError,
    MuxedStreamReset,
)

INITIAL_WINDOW_BYTES: Final = 256 * 1024
"""What the specification grants each side of a new stream."""

MAX_WINDOW_BYTES: Final = 16 * 1024 * 1024
MAX_INBOUND_STREAMS: Final = 8
MAX_QUEUED_BYTES: Final = 256 * 1024
"""Bytes queued behind the socket before writers wait: what a heartbeat may have to wait for."""

MAX_QUEUED_REPLIES: Final = 64
"""Pings that we have yet to answer; more of them go unanswered."""

MAX_QUEUED_CONTROL: Final = 4096
"""Frames without payload that wait for a peer that provokes them and does not read them."""

MESSAGE_BYTES: Final = 65535 - 16
"""The plaintext of one Noise message; one data frame fills one exactly."""

_HEADER: Final = struct.Struct("!BBHII")
_PAYLOAD_BYTES: Final = MESSAGE_BYTES - _HEADER.size
_SMALL_BYTES: Final = 16 * 1024
_BATCH_BYTES: Final = 4 * MESSAGE_BYTES
_CLOSE_GRACE_SECONDS: Final = 0.5

_DATA, _WINDOW, _PING, _GO_AWAY = range(4)
_SYN, _ACK, _FIN, _RST = 1, 2, 4, 8


class Wire(Protocol):
    """Whole messages, encrypted and authenticated, in order."""

    async def receive(self) -> bytes:
        """The next message; empty at the end of the connection."""

    async def send(self, messages: list[bytes]) -> None:
        """Send messages of at most :data:`MESSAGE_BYTES` each."""

    async def aclose(self) -> None:
        """Close the socket now, whatever is under way."""

    def remote_address(self) -> tuple[str, int] | None:
        """Host and port of the other end."""


class Violation(Exception):
    """The peer broke the yamux protocol; the connection cannot go on."""


class Stream(IMuxedStream):
    """One stream of a connection: ordered bytes in both directions, flow-controlled each way."""

    def __init__(self, stream_id: int, mux: "Muxer") -> None:
        self.stream_id = stream_id
        self.mux = mux
        self.muxed_conn = mux
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
            self._chunks.append(chunk)
        elif self._chunks and isinstance(last := self._chunks[-1], bytearray) and len(last) < _SMALL_BYTES:
            last += chunk
        else:
            # A view would keep the whole message alive for the sake of a few bytes.
            self._chunks.append(bytearray(chunk))
        self.buffered += len(chunk)
        self._readable.unpark_all()

    def spend_grant(self, length: int) -> None:
        """Account for a data frame of `length` bytes. Raises Violation when the peer was not granted that
        much.
        """
        if length > self._granted:
            raise Violation(f"{length} bytes on stream {self.stream_id}, {self._granted} granted")
        self._granted -= length

    def add_credit(self, amount: int) -> None:
        """The peer lets us send `amount` bytes more."""
        self._credit = min(self._credit + amount, 2**31)
        self._writable.unpark_all()

    def end(self) -> None:
        """The peer has sent all it will."""
        self.ended = True
        self._readable.unpark_all()

    def fail(self) -> None:
        """The stream is gone, with the connection or by itself."""
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
        self.mux.queue_control(_WINDOW, 0, self.stream_id, amount)

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
        """Move buffered bytes into `view`; how many."""
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
        """Queue all of `data`, waiting for credit and for room. If cancelled, whole frames of it may have
        gone.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        view = memoryview(data)
        done = 0
        while done < len(view):
            if self.finished:
                raise (
                    MuxedStreamReset("stream was reset")
                    if self.broken
                    else MuxedStreamError("stream is closed")
                )
            if self._credit == 0:
                await self._writable.park()
            elif not self.mux.has_room(self.urgent):
                await self.mux.room.park()
            else:
                size = min(self._credit, _PAYLOAD_BYTES, len(view) - done)
                self._credit -= size
                self.mux.queue_data(self, view[done : done + size])
                done += size

    async def close(self) -> None:
        """Send no more; what is queued still goes."""
        if not self.finished:
            self.finished = True
            self.mux.queue_control(_WINDOW, _FIN, self.stream_id, 0, after=self)
            self.mux.forget_if_done(self)
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """Drop the stream in both directions."""
        if not self.broken:
            self.fail()
            self._chunks.clear()
            self.mux.queue_control(_WINDOW, _RST, self.stream_id, 0)
            self.mux.forget_if_done(self)

    def set_deadline(self, ttl: int) -> None:
        """Deadlines are the caller's cancel scopes."""
        raise NotImplementedError

    def get_remote_address(self) -> tuple[str, int] | None:
        """Host and port of the other end."""
        return self.mux.get_remote_address()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Muxer(IMuxedConn):
    """One multiplexed connection. `start` runs it and returns when it is over, for whatever reason."""

    def __init__(self, wire: Wire, peer_id: ID, is_initiator: bool) -> None:
        self.wire = wire
        self.peer_id = peer_id
        self._is_initiator = is_initiator
        self.event_started = trio.Event()
        self.event_closed = trio.Event()
        self.reason = ""
        self.owner: object = None
        """Whoever this connection belongs to."""
        self.budget_bytes: int | None = None
        """What the peer may still send in all; None for no limit. The owner of the connection sets and
        refills it.
        """
        self.bytes_received = 0
        self.bytes_sent = 0
        self.room = trio.lowlevel.ParkingLot()
        self._streams: dict[int, Stream] = {}
        self._next_id = 1 if is_initiator else 2
        self._last_remote_id = 0
        self._accept_send, self._accept_receive = trio.open_memory_channel[Stream](MAX_INBOUND_STREAMS)
        self._control: deque[bytes] = deque()
        self._urgent: deque[tuple[bytes, memoryview]] = deque()
        self._bulk: deque[tuple[bytes, memoryview]] = deque()
        self._queued = 0
        self._urgent_queued = 0
        self._work = trio.lowlevel.ParkingLot()
        self._drained = trio.lowlevel.ParkingLot()
        self._writing = False
        self._closing = False
        self._partial = bytearray()
        self._payload_left = 0
        self._payload_stream: Stream | None = None
        self._payload_flags = 0

    # The life of the connection.

    async def start(self) -> None:
        """Run until the connection is over. Never raises but for cancellation."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_loop)
                self.event_started.set()
                await self._read_loop()
                nursery.cancel_scope.cancel()
        except* (Violation, OSError, ValueError, trio.BrokenResourceError, trio.ClosedResourceError) as group:
            self.reason = self.reason or str(group.exceptions[0])
        finally:
            self._finish()
            with trio.CancelScope(shield=True), trio.move_on_after(1):
                await self.wire.aclose()
            self.event_closed.set()

    def _finish(self) -> None:
        self._closing = True
        self.event_started.set()
        self._accept_send.close()
        for stream in self._streams.values():
            stream.fail()
        self._streams.clear()
        for lot in (self.room, self._work, self._drained):
            lot.unpark_all()

    async def close(self) -> None:
        """Say goodbye, send what is queued if that goes quickly, and close. Always returns soon."""
        if not self._closing:
            self._closing = True
            self._control.append(_HEADER.pack(0, _GO_AWAY, 0, 0, 0))
            self._work.unpark_all()
            with trio.move_on_after(_CLOSE_GRACE_SECONDS):
                while (
                    self._writing or self._control or self._urgent or self._bulk
                ) and not self.event_closed.is_set():
                    await self._drained.park()
        await self.abort()

    async def abort(self) -> None:
        """Close the socket now. Wakes every task that is stuck on it."""
        self._closing = True
        with trio.CancelScope(shield=True), trio.move_on_after(1):
            await self.wire.aclose()

    # Sending.

    def has_room(self, urgent: bool) -> bool:
        """Whether a writer may queue more. Urgent streams have room of their own, so bulk cannot crowd them
        out.
        """
        return (self._urgent_queued if urgent else self._queued) < MAX_QUEUED_BYTES

    def queue_control(
        self, kind: int, flags: int, stream_id: int, value: int, after: Stream | None = None
    ) -> None:
        """Queue a frame without payload; with `after`, behind what that stream has queued."""
        if self._closing:
            return
        frame = _HEADER.pack(0, kind, flags, stream_id, value)
        if after is None:
            self._control.append(frame)
        else:
            (self._urgent if after.urgent else self._bulk).append((frame, memoryview(b"")))
        self._work.unpark_all()

    def queue_data(self, stream: Stream, payload: memoryview) -> None:
        """Queue one data frame."""
        frame = (_HEADER.pack(0, _DATA, 0, stream.stream_id, len(payload)), payload)
        if stream.urgent:
            self._urgent.append(frame)
            self._urgent_queued += len(payload)
        else:
            self._bulk.append(frame)
            self._queued += len(payload)
        self._work.unpark_all()

    async def _write_loop(self) -> None:
        while True:
            while not (self._control or self._urgent or self._bulk):
                self._writing = False
                self._drained.unpark_all()
                await self._work.park()
            self._writing = True
            messages = self._next_batch()
            self.room.unpark_all()
            self.bytes_sent += sum(map(len, messages))
            await self.wire.send(messages)

    def _next_batch(self) -> list[bytes]:
        """Take what goes out next: control frames, then urgent streams, then the others; packed into
        messages.
        """
        messages: list[bytes] = []
        parts: list[bytes | memoryview] = []
        size = total = 0
        while total < _BATCH_BYTES:
            if self._control:
                header, payload = self._control.popleft(), memoryview(b"")
            elif self._urgent:
                header, payload = self._urgent.popleft()
                self._urgent_queued -= len(payload)
            elif self._bulk:
                header, payload = self._bulk.popleft()
                self._queued -= len(payload)
            else:
                break
            length = len(header) + len(payload)
            if size + length > MESSAGE_BYTES:
                messages.append(b"".join(parts))
                parts, size = [], 0
            parts += (header, payload)
            size += length
            total += length
        messages.append(b"".join(parts))
        return messages

    # Receiving.

    async def _read_loop(self) -> None:
        while message := await self.wire.receive():
            self.bytes_received += len(message)
            if self.budget_bytes is not None:
                self.budget_bytes -= len(message)
                if self.budget_bytes < 0:
                    raise Violation("more bytes than a stranger may send")
            if not self._take(message):
                return

    def _take(self, message: bytes) -> bool:
        """Process one decrypted message; False when the peer said goodbye."""
        view = memoryview(message)
        position = 0
        while position < len(view):
            if self._payload_left:
                chunk = view[position : position + self._payload_left]
                position += len(chunk)
                self._payload_left -= len(chunk)
                if self._payload_stream is not None:
                    self._payload_stream.deliver(chunk, len(view))
                if not self._payload_left:
                    self._payload_done()
                continue
            if not self._partial and position + _HEADER.size <= len(view):
                header = _HEADER.unpack_from(view, position)
                position += _HEADER.size
            else:
                missing = view[position : position + _HEADER.size - len(self._partial)]
                self._partial += missing
                position += len(missing)
                if len(self._partial) < _HEADER.size:
                    break
                header = _HEADER.unpack(self._partial)
                self._partial.clear()
            if not self._handle(*header):
                return False
        if len(self._control) > MAX_QUEUED_CONTROL:
            raise Violation("the peer does not read our answers")
        return True

    def _handle(self, version: int, kind: int, flags: int, stream_id: int, value: int) -> bool:
        if version != 0 or kind > _GO_AWAY:
            raise Violation(f"yamux frame of version {version}, type {kind}")
        if kind == _GO_AWAY:
            self.reason = self.reason or "the peer closed the connection"
            return False
        if kind == _PING:
            if flags & _SYN and len(self._control) < MAX_QUEUED_REPLIES:
                self.queue_control(_PING, _ACK, 0, value)
            return True
        if flags & _SYN:
            self._open_remote(stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            self._check_known(stream_id)
        if kind == _DATA and value:
            if value > MAX_WINDOW_BYTES:
                raise Violation(f"data frame of {value} bytes")
            if stream is not None:
                stream.spend_grant(value)
            self._payload_left, self._payload_stream, self._payload_flags = value, stream, flags
        elif stream is not None:
            if kind == _WINDOW:
                stream.add_credit(value)
            self._apply(stream, flags)
        return True

    def _payload_done(self) -> None:
        stream, self._payload_stream = self._payload_stream, None
        if stream is not None:
            self._apply(stream, self._payload_flags)

    def _apply(self, stream: Stream, flags: int) -> None:
        if flags & _RST:
            stream.fail()
        elif flags & _FIN:
            stream.end()
        self.forget_if_done(stream)

    def _open_remote(self, stream_id: int) -> None:
        if stream_id % 2 == self._next_id % 2 or stream_id <= self._last_remote_id:
            raise Violation(f"the peer opened stream {stream_id}")
        self._last_remote_id = stream_id
        stream = Stream(stream_id, self)
        try:
            if sum(other % 2 == stream_id % 2 for other in self._streams) >= MAX_INBOUND_STREAMS:
                raise trio.WouldBlock
            self._accept_send.send_nowait(stream)
        except (trio.WouldBlock, trio.BrokenResourceError):
            if len(self._control) < MAX_QUEUED_REPLIES:
                self.queue_control(_WINDOW, _RST, stream_id, 0)
        else:
            self._streams[stream_id] = stream
            self.queue_control(_WINDOW, _ACK, stream_id, 0)

    def _check_known(self, stream_id: int) -> None:
        """Frames of a stream that we have dropped are ignored; of one that never was, refused."""
        ours = stream_id % 2 == self._next_id % 2
        if stream_id == 0 or (stream_id >= self._next_id if ours else stream_id > self._last_remote_id):
            raise Violation(f"a frame of stream {stream_id}, which was never opened")

    def forget_if_done(self, stream: Stream) -> None:
        """Drop the bookkeeping of a stream that is over in both directions."""
        if stream.ended and stream.finished:
            self._streams.pop(stream.stream_id, None)

    # The interface that libp2p expects.

    async def open_stream(self) -> Stream:
        """A new stream to the peer."""
        if self._closing:
            raise MuxedStreamError("the connection is closed")
        stream = Stream(self._next_id, self)
        self._next_id += 2
        self._streams[stream.stream_id] = stream
        self.queue_control(_WINDOW, _SYN, stream.stream_id, 0)
        await trio.lowlevel.checkpoint()
        return stream

    async def accept_stream(self) -> Stream:
        """The next stream that the peer opens."""
        try:
            return await self._accept_receive.receive()
        except trio.EndOfChannel:
            raise MuxedConnUnavailable("the connection is closed") from None

    @property
    def is_initiator(self) -> bool:
        """Whether we dialled."""
        return self._is_initiator

    @property
    def is_established(self) -> bool:
        """Whether streams can be opened."""
        return self.event_started.is_set() and not self._closing

    @property
    def is_closed(self) -> bool:
        """Whether the connection is over."""
        return self.event_closed.is_set()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Host and port of the other end."""
        return self.wire.remote_address()

    def get_transport_addresses(self) -> list[Any]:
        """Nothing: libp2p only logs them."""
        return []

    def get_connection_type(self) -> ConnectionType:
        """Direct: relays are not built yet."""
        return ConnectionType.DIRECT

    def rtt(self) -> float:
        """Unknown here; the heartbeats measure it."""
        return 0.0
