"""The yamux stream multiplexer, as libp2p speaks it on the wire.

Source: https://github.com/hashicorp/yamux/blob/master/spec.md

libp2p's own implementation kills a sender whose peer pauses for five seconds, takes any amount of data beyond
the window that it granted, and breaks the whole connection when one write is cancelled
(`tests/peer/network/transport/test_yamux.py` shows each). This one speaks the same protocol to any peer and differs in
what it promises:

- Flow control is enforced. A peer that sends more than it was granted is disconnected, so `window x streams`
  bounds what it can make us hold.
- One task writes. `write` only queues whole frames, so a cancelled write never leaves a partial frame on the
  wire.
- A slow reader stalls its own stream for as long as it likes. The heartbeats, and not this, tell whether a peer is
  alive.
- Payloads are handed on as views of the decrypted message; `readinto` copies them once, to where they stay.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import trio
from libp2p.abc import IMuxedConn
from libp2p.connection_types import ConnectionType
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamError

from ..limits.meter import Meter
from .send_queue import ACK, DATA, GO_AWAY, HEADER, MAX_QUEUED_CONTROL, PING, RST, SYN, WINDOW, SendQueue
from .streams import MAX_WINDOW_BYTES, Stream, Violation

MAX_INBOUND_STREAMS: Final = 8
"""Streams that the peer may have open at a time."""

MAX_OPENED_STREAMS: Final = 16
"""Streams that the peer may open in all, until the owner of the connection lets it have more."""

MAX_QUEUED_REPLIES: Final = 64
"""Pings that we have yet to answer; more of them go unanswered."""

FRAME_COST_BYTES: Final = 512
"""What a frame or a message counts besides its bytes, if the peer has a budget of bytes: one of twelve bytes costs as
much of our CPU as one of a thousand.
"""

MESSAGES_A_TURN: Final = 16
"""Messages that are handled before the other tasks have a turn: 14,000 of one byte fit in a receive buffer."""

FRAMES_A_TURN: Final = 64
"""Frames of one message that are handled before the other tasks have a turn: 5,000 fit in."""

_MESSAGE_SECONDS: Final = 3e-5
"""About what it costs to receive, decrypt and take apart one message, which happens too often to be measured."""

_FRAME_SECONDS: Final = 5e-6
"""What each frame in it costs besides."""

_CLOSE_GRACE_SECONDS: Final = 0.5
_UNWANTED_SECONDS_PER_BYTE: Final = 2e-9
"""About what it costs to decrypt bytes that go to no stream; those that go to one were granted."""


class Wire(Protocol):
    """Whole messages, encrypted and authenticated, in order."""

    async def receive(self) -> bytes:
        """The next message; empty at the end of the connection."""

    async def send(self, messages: list[bytes]) -> None:
        """Send messages of at most :data:`MESSAGE_BYTES` each."""

    async def send_eof(self) -> None:
        """Send no more. Never raises, whatever the state of the connection."""

    async def aclose(self) -> None:
        """Close the socket now, whatever is under way."""

    def remote_address(self) -> tuple[str, int] | None:
        """Host and port of the other end."""


@dataclass(slots=True)
class Traffic:
    """What connections have carried, multiplexing included, encryption not."""

    sent_bytes: int = 0
    received_bytes: int = 0


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
        """The object that this connection belongs to."""
        self.budget_bytes: int | None = None
        """What the peer may still send in all; None for no limit. The owner of the connection sets and refills it."""
        self.needs_budget: Callable[[], bool] = lambda: True
        """Asked once the budget is spent: since it was set, the peer may have become one that needs none."""
        self.meter: Meter | None = None
        """What the peer uses up of our time; the owner of the connection sets it."""
        self.streams_left = MAX_OPENED_STREAMS
        self.bytes_received = 0
        self.heard_at = trio.current_time()
        """When anything came last."""
        self.total = Traffic()
        """Counted together with other connections, where the owner shares one."""
        self._outbox = SendQueue()
        self._streams: dict[int, Stream] = {}
        self._next_id = 1 if is_initiator else 2
        self._last_remote_id = 0
        self._accept_send, self._accept_receive = trio.open_memory_channel[Stream](MAX_INBOUND_STREAMS)
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
        self._outbox.close()
        self._drained.unpark_all()

    async def close(self) -> None:
        """Say goodbye, send what is queued if that goes quickly, and close. Always returns soon."""
        if not self._closing:
            self._closing = True
            with trio.move_on_after(_CLOSE_GRACE_SECONDS):
                await self._drain()
                self._outbox.add_control(GO_AWAY, 0, 0, 0)
                await self._drain()
                # Closing a socket with unread bytes in it resets the connection, which takes back what we
                # just sent. So say that nothing follows, and read on until the peer closes.
                await self.wire.send_eof()
                await self.event_closed.wait()
        await self.abort()

    async def _drain(self) -> None:
        while (self._writing or self._outbox) and not self.event_closed.is_set():
            await self._drained.park()

    async def abort(self) -> None:
        """Close the socket now. Wakes every task that is stuck on it."""
        self._closing = True
        with trio.CancelScope(shield=True), trio.move_on_after(1):
            await self.wire.aclose()

    async def _write_loop(self) -> None:
        while True:
            if not self._outbox:
                self._writing = False
                self._drained.unpark_all()
                await self._outbox.wait()
            self._writing = True
            messages = self._outbox.next_batch()
            self.total.sent_bytes += sum(map(len, messages))
            await self.wire.send(messages)

    # Receiving.

    async def _read_loop(self) -> None:
        messages = 0
        while message := await self.wire.receive():
            messages += 1
            if messages % MESSAGES_A_TURN == 0:  # the wire does not wait for what it has received already
                await trio.lowlevel.checkpoint()
            self.bytes_received += len(message)
            self.heard_at = trio.current_time()
            self.total.received_bytes += len(message)
            if self.budget_bytes is not None:
                self._spend(len(message) + FRAME_COST_BYTES, "bytes")
            goes_on = await self._take(message)
            if self.meter is not None and self.meter.delay() > 0:
                await self.meter.ready()
            if not goes_on:
                return

    async def _take(self, message: bytes) -> bool:
        """Process one decrypted message; False when the peer said goodbye."""
        view = memoryview(message)
        position = frames = 0
        while position < len(view):
            if self._payload_left:
                # The rest of a data frame, which may have begun in an earlier message.
                chunk = view[position : position + self._payload_left]
                position += len(chunk)
                self._payload_left -= len(chunk)
                if self._payload_stream is not None:
                    self._payload_stream.deliver(chunk, len(view))
                else:
                    self._charge(len(chunk) * _UNWANTED_SECONDS_PER_BYTE)
                if not self._payload_left:
                    self._payload_done()
                continue
            if not self._partial and position + HEADER.size <= len(view):
                header = HEADER.unpack_from(view, position)
                position += HEADER.size
            else:
                # A header that a message cuts in two is put together first.
                missing = view[position : position + HEADER.size - len(self._partial)]
                self._partial += missing
                position += len(missing)
                if len(self._partial) < HEADER.size:
                    break
                header = HEADER.unpack(self._partial)
                self._partial.clear()
            if not self._handle(*header):
                return False
            frames += 1
            if frames % FRAMES_A_TURN == 0:
                self._charge(FRAMES_A_TURN * _FRAME_SECONDS)
                await trio.lowlevel.checkpoint()
        self._charge(_MESSAGE_SECONDS + frames % FRAMES_A_TURN * _FRAME_SECONDS)
        if self._outbox.control_frames > MAX_QUEUED_CONTROL:
            raise Violation("the peer does not read our answers")
        return True

    def _spend(self, amount: int, what: str) -> None:
        assert self.budget_bytes is not None
        self.budget_bytes -= amount
        if self.budget_bytes < 0:
            if self.needs_budget():
                raise Violation(f"more {what} than a stranger may send")
            self.budget_bytes = None

    def _charge(self, seconds: float) -> None:
        """Charge an estimate, where other modules measure: all messages cost the same, and so do all frames."""
        if self.meter is not None:
            self.meter.charge(seconds)

    def _handle(self, version: int, kind: int, flags: int, stream_id: int, value: int) -> bool:
        if self.budget_bytes is not None:
            self._spend(FRAME_COST_BYTES, "frames")
        if version != 0 or kind > GO_AWAY:
            raise Violation(f"yamux frame of version {version}, type {kind}")
        if kind == GO_AWAY:
            self.reason = self.reason or "the peer closed the connection"
            return False
        if kind == PING:
            if flags & SYN and self._outbox.control_frames < MAX_QUEUED_REPLIES:
                self._outbox.add_control(PING, ACK, 0, value)
            return True
        if flags & SYN:
            self._open_remote(stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            self._check_known(stream_id)
        if kind == DATA and value:
            if value > MAX_WINDOW_BYTES:
                raise Violation(f"data frame of {value} bytes")
            if stream is not None:
                stream.spend_grant(value)
            self._payload_left, self._payload_stream, self._payload_flags = value, stream, flags
        elif stream is not None:
            if kind == WINDOW:
                stream.add_credit(value)
            stream.apply(flags)
        return True

    def _payload_done(self) -> None:
        stream, self._payload_stream = self._payload_stream, None
        if stream is not None:
            stream.apply(self._payload_flags)

    def _open_remote(self, stream_id: int) -> None:
        if stream_id % 2 == self._next_id % 2 or stream_id <= self._last_remote_id:
            raise Violation(f"the peer opened stream {stream_id}")
        self._last_remote_id = stream_id
        theirs = sum(other % 2 == stream_id % 2 for other in self._streams)
        if self.streams_left > 0 and theirs < MAX_INBOUND_STREAMS and not self._closing:
            stream = self._new_stream(stream_id)
            with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):
                self._accept_send.send_nowait(stream)
                self._streams[stream_id] = stream
                self.streams_left -= 1
                self._outbox.add_control(WINDOW, ACK, stream_id, 0)
                return
        self._outbox.add_control(WINDOW, RST, stream_id, 0)

    def _check_known(self, stream_id: int) -> None:
        """Refuse a frame of a stream that never was. Frames of one that we have dropped are ignored."""
        ours = stream_id % 2 == self._next_id % 2
        if stream_id == 0 or (stream_id >= self._next_id if ours else stream_id > self._last_remote_id):
            raise Violation(f"a frame of stream {stream_id}, which was never opened")

    def _new_stream(self, stream_id: int) -> Stream:
        return Stream(stream_id, self, self._outbox, self._forget)

    def _forget(self, stream_id: int) -> None:
        self._streams.pop(stream_id, None)

    # The interface that libp2p expects.

    async def open_stream(self) -> Stream:
        """A new stream to the peer."""
        if self._closing:
            raise MuxedStreamError("the connection is closed")
        stream = self._new_stream(self._next_id)
        self._next_id += 2
        self._streams[stream.stream_id] = stream
        self._outbox.add_control(WINDOW, SYN, stream.stream_id, 0)
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
