"""The conversation with one peer on one connection: greeting, then frames, heartbeats and bulk, until it ends.

States: connected -> both greeted -> both welcomed (the link is *up*) -> over. A link that is over is never
revived; the network dials anew. Everything that the peer can make grow has a bound: frames by kind and by
whether it is a stranger, the rate of its frames, its bytes while it is a stranger, the queue of what we have
yet to send it, and the time that what it sends costs us.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.stream_muxer.exceptions import MuxedStreamError

from .frames import (
    MAX_BODY_BYTES,
    STRANGER_BODY_BYTES,
    BadFrame,
    Bounds,
    Kind,
    decode_beat,
    decode_beat_reply,
    decode_envelope,
    decode_reason,
    decode_records,
    encode,
    encode_beat,
    encode_beat_reply,
    encode_reason,
    read_frame,
)
from .greeting import Greeting, Refusal, decode_greeting
from .limits.meter import Meter, cpu_seconds
from .limits.rate_limit import TokenBucket
from .transfers import BULK_WINDOW_BYTES, Bulk, Offers
from .transport.addresses import BadRecord
from .transport.host import Connection, DialError
from .transport.streams import Stream
from .transport.yamux import MAX_OPENED_STREAMS

CONTROL_PROTOCOL: Final = "/coterie/control/1"
BULK_PROTOCOL: Final = "/coterie/bulk/1"

MAX_QUEUED_FRAMES: Final = 4096
MAX_QUEUED_BYTES: Final = 32 * 1024 * 1024
CONTROL_WINDOW_BYTES: Final = 1024 * 1024
STRANGER_BYTES: Final = 512 * 1024
"""What a stranger may send at once; it gets STRANGER_BYTES_PER_SECOND back."""

STRANGER_BYTES_PER_SECOND: Final = 32 * 1024
SECONDS_PER_BYTE: Final = 4e-9
"""About what it costs to decrypt a byte of a control frame and to copy it to where it is handled."""

READING_SECONDS: Final = 1e-5
"""About what it costs besides to take a frame apart: to measure that would cost as much again."""

SENDING_SECONDS: Final = 5e-5
"""About what it costs besides to send a frame. It is charged because many are answers, and making others answer is an
attack, too.
"""

_COALESCED_BYTES: Final = 64 * 1024
_FLUSH_SECONDS: Final = 1.0

log = logging.getLogger("coterie.network")


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient a link is, in seconds, and how many frames it takes a second."""

    beat_seconds: float = 2.0
    dead_seconds: float = 12.0
    greeting_seconds: float = 10.0
    progress_seconds: float = 20.0
    stranger_idle_seconds: float = 120.0
    member_frames_per_second: float = 2000.0
    stranger_frames_per_second: float = 20.0


class LinkOver(Exception):
    """The link ends for a reason of ours."""


class Owner(Protocol):
    """What a link needs of the network that it belongs to."""

    timing: Timing
    offers: Offers
    strangers: Meter

    @property
    def beat_status(self) -> bytes:
        """What to say with each heartbeat."""

    def our_greeting(self) -> bytes:
        """The body of the greeting to send."""

    def is_member(self, member: bytes) -> bool:
        """Whether the peer is more than a stranger now."""

    def meter_of(self, member: bytes) -> Meter:
        """What a peer may use up as a member, over all its links one after the other."""

    def judge(self, greeting: Greeting) -> None:
        """Raise Refusal unless the peer may stay."""

    async def link_up(self, link: "Link") -> bool:
        """Both sides have welcomed each other: mark the link up and report it. False if it is superfluous."""

    def last_word(self, link: "Link") -> bytes:
        """A frame for a peer whose link is superfluous, or nothing."""

    async def frame_arrived(self, link: "Link", envelope: bytes, blob: bytes | None) -> None:
        """An envelope came. May wait, which slows the peer down."""

    async def pace_changed(self, link: "Link") -> None:
        """The peer has begun or ceased to send more than it may (`is_overrun`). May wait, as above."""

    async def beat_arrived(self, link: "Link", status: bytes) -> None:
        """A heartbeat came. May wait, as above."""

    def welcome(self, link: "Link") -> None:
        """The peer is no stranger, or no longer one."""

    async def records_arrived(self, link: "Link", records: list[bytes]) -> None:
        """Address records came. Raises BadRecord and BadFrame."""


class _Bounds:
    """How long a peer's frames may be. Looked up when one has begun: by then the peer may have become a member."""

    def __init__(self, link: "Link") -> None:
        self._link = link

    def __getitem__(self, kind: Kind) -> int:
        return (STRANGER_BODY_BYTES if self._link.is_stranger else MAX_BODY_BYTES)[kind]


class Link:
    """One conversation. `run` carries it through and says in `ending` why it ended."""

    def __init__(self, owner: Owner, connection: Connection) -> None:
        self.owner = owner
        self.connection = connection
        self.member = connection.member
        self.greeting: Greeting | None = None
        self.up = False
        self.ending = ""
        self.refusal = ""
        self.refused_by_peer = False
        self.rtt_seconds: float | None = None
        self.since = self.last_beat = trio.current_time()
        self.last_status = b""
        self.gossiped = False
        self.settled = trio.Event()
        self.over = trio.Event()
        self.is_overrun = False
        self.fault = ""
        """What the peer did that no honest one does, if that is why the link ended."""
        self._as_member, self._as_stranger = owner.meter_of(self.member), Meter(common=owner.strangers)
        self._choose_meter()
        self.bulk = Bulk(owner.offers, lambda: not self.is_stranger, self._take_turn, self.member)
        self._bounds: Bounds = _Bounds(self)
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._work = trio.lowlevel.ParkingLot()
        self._idle = trio.lowlevel.ParkingLot()
        self._writing = False
        self._last_envelope = self.last_beat
        self._member_rate = _rate_limit(owner.timing.member_frames_per_second)
        self._stranger_rate = _rate_limit(owner.timing.stranger_frames_per_second)
        self._scope = trio.CancelScope()

    @property
    def is_stranger(self) -> bool:
        """Whether the peer dialled us and is no member. A peer that we dialled is none: we chose it."""
        return not self.connection.outbound and not self.owner.is_member(self.member)

    def _choose_meter(self) -> None:
        """Look again whether the peer is a member, since it may have become one. Once a turn: charges are many."""
        self.meter = self._as_stranger if self.is_stranger else self._as_member
        self.connection.muxer.meter = self.meter

    # The whole of it.

    async def run(self) -> None:
        """Carry the conversation through to its end, for whatever reason it ends."""
        if self.is_stranger:
            self.connection.muxer.budget_bytes = STRANGER_BYTES
            self.connection.muxer.needs_budget = lambda: self.is_stranger
        try:
            with self._scope:
                await self._converse()
        except* Refusal as group:
            self.refusal = _describe(group)
            self.ending = self.ending or self.refusal
        except* (BadFrame, BadRecord) as group:
            self.fault = _describe(group)
            self.ending = self.ending or self.fault
        except* (BaseLibp2pError, LinkOver, DialError, OSError, ValueError, trio.TooSlowError) as group:
            self.ending = self.ending or self.connection.muxer.reason or _describe(group) or "the connection broke"
        finally:
            self.ending = self.ending or self.connection.muxer.reason or "the connection ended"
            self.up = False
            self.bulk.close(f"the link ended: {self.ending}")
            self._scope.cancel()
            await self.connection.abort()
            self.settled.set()
            self.over.set()

    def mark_up(self) -> None:
        """From now on frames can be sent."""
        self.up = True
        self.settled.set()

    def stop(self, reason: str) -> None:
        """End the conversation now."""
        self.ending = self.ending or reason
        self._scope.cancel()

    async def say_goodbye(self, reason: str) -> None:
        """Send what is queued, our status and a goodbye, if the peer takes them quickly; then end."""
        self.send(encode_beat(int(trio.current_time() * 1e6), self.owner.beat_status))
        self.send(encode_reason(Kind.GOODBYE, reason))
        self.ending = reason
        with trio.move_on_after(_FLUSH_SECONDS):
            while (self._queue or self._writing) and not self.over.is_set():
                await self._idle.park()
            await self.connection.muxer.close()
        self.stop(reason)

    async def _converse(self) -> None:
        with trio.fail_after(self.owner.timing.greeting_seconds):
            control = await self._exchange_greetings()
            bulk = await self._stream(BULK_PROTOCOL)
        if not await self.owner.link_up(self):
            self.ending = "another connection to this peer is up"
            with trio.move_on_after(_FLUSH_SECONDS):
                await control.write(self.owner.last_word(self))
                await self.connection.muxer.close()
            return
        control.widen(CONTROL_WINDOW_BYTES)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_the_end, self._write, control)
            nursery.start_soon(self._beat, bulk)
            nursery.start_soon(self._until_the_end, self._run_bulk, bulk)
            await self._read(control)
            nursery.cancel_scope.cancel()

    async def _until_the_end(self, task: Callable[[Stream], Awaitable[None]], stream: Stream) -> None:
        """Run a task on a stream. If the whole connection ends, leave it to the reader to say so.

        The reader first reads what came before the end.
        """
        try:
            await task(stream)
        except* MuxedStreamError:
            if self.connection.muxer.is_established:
                raise

    async def _stream(self, protocol: str) -> Stream:
        if self.connection.outbound:
            return await self.connection.open(protocol)
        return await self.connection.accept(protocol)

    async def _exchange_greetings(self) -> Stream:
        control = await self._stream(CONTROL_PROTOCOL)
        await control.write(encode(Kind.GREETING, self.owner.our_greeting()))
        try:
            kind, body = await read_frame(control, self._bounds)
            self._check_refused(kind, body)
            if kind is not Kind.GREETING:
                raise BadFrame(f"{kind.name} before the greeting")
            self.greeting = decode_greeting(body, self.member)
            self.owner.judge(self.greeting)
        except Refusal as refusal:
            if not self.refused_by_peer:
                await control.write(encode_reason(Kind.REFUSED, str(refusal)))
                await self.connection.muxer.close()
            raise
        await control.write(encode(Kind.WELCOME))
        kind, body = await read_frame(control, self._bounds)
        self._check_refused(kind, body)
        if kind is not Kind.WELCOME:
            raise BadFrame(f"{kind.name} before the welcome")
        return control

    def _check_refused(self, kind: Kind, body: bytes) -> None:
        if kind is Kind.REFUSED:
            self.refused_by_peer = True
            raise Refusal(decode_reason(body))

    # Sending.

    def send(self, frame: bytes) -> bool:
        """Queue an encoded frame; False when the link is not up or its queue is full."""
        if not self.up or len(self._queue) >= MAX_QUEUED_FRAMES or self._queued_bytes + len(frame) > MAX_QUEUED_BYTES:
            return False
        self._queue.append(frame)
        self._queued_bytes += len(frame)
        self._work.unpark_all()
        self.meter.charge(SENDING_SECONDS + len(frame) * SECONDS_PER_BYTE)
        return True

    async def _write(self, control: Stream) -> None:
        while True:
            while not self._queue:
                self._writing = False
                self._idle.unpark_all()
                await self._work.park()
            self._writing = True
            batch = [self._queue.popleft()]
            size = len(batch[0])
            while self._queue and size + len(self._queue[0]) <= _COALESCED_BYTES:
                batch.append(self._queue.popleft())
                size += len(batch[-1])
            self._queued_bytes -= size
            await control.write(batch[0] if len(batch) == 1 else b"".join(batch))

    # Receiving.

    async def _read(self, control: Stream) -> None:
        while True:
            kind, body = await read_frame(control, self._bounds)
            await self._take_turn()
            self.meter.charge(READING_SECONDS + len(body) * SECONDS_PER_BYTE)
            match kind:
                case Kind.ENVELOPE:
                    frame = decode_envelope(body)
                    self._last_envelope = trio.current_time()
                    await self.owner.frame_arrived(self, frame.envelope, frame.blob)
                case Kind.BEAT:
                    beat = decode_beat(body)
                    self.last_beat, self.last_status = trio.current_time(), beat.status
                    self.send(encode_beat_reply(beat.token))
                    await self.owner.beat_arrived(self, beat.status)
                case Kind.BEAT_REPLY:
                    self._measure(decode_beat_reply(body))
                case Kind.ADDRESSES:
                    started = cpu_seconds()
                    records = decode_records(body)
                    self.meter.since(started)
                    await self.owner.records_arrived(self, records)
                case Kind.GOODBYE:
                    self.ending = f"the peer said goodbye: {decode_reason(body)}"
                    return
                case Kind.REFUSED:
                    self._check_refused(kind, body)
                case Kind.GREETING | Kind.WELCOME:
                    raise BadFrame(f"a second {kind.name}")

    async def _take_turn(self) -> None:
        """Wait until another frame of this peer may be handled, by their number and by what they cost."""
        self._choose_meter()
        bucket = self._stranger_rate if self.meter is self._as_stranger else self._member_rate
        delay = bucket.owe(trio.current_time())
        if delay > 0:
            await trio.sleep(delay)
        await self.meter.ready()
        await self._tell_pace()

    async def _tell_pace(self) -> None:
        """Report when the peer's frames begin to come late because it sends too much, and when that is over."""
        is_overrun = self.meter.is_overrun
        if is_overrun != self.is_overrun:
            self.is_overrun = is_overrun
            await self.owner.pace_changed(self)

    def _measure(self, token: int) -> None:
        elapsed = trio.current_time() - token / 1e6
        if 0 <= elapsed < self.owner.timing.dead_seconds:
            self.rtt_seconds = elapsed if self.rtt_seconds is None else (3 * self.rtt_seconds + elapsed) / 4

    async def _run_bulk(self, stream: Stream) -> None:
        stream.defer()
        if not self.is_stranger:
            stream.widen(BULK_WINDOW_BYTES)
        await self.bulk.run(stream)

    # Whether the peer is alive.

    async def _beat(self, bulk: Stream) -> None:
        """Send heartbeats, and end the link when nothing at all arrives for `dead_seconds`.

        Any bytes count as life: a peer whose frames wait for our driver is not dead.
        """
        timing, muxer = self.owner.timing, self.connection.muxer
        awake_since = next_beat = trio.current_time()
        while True:
            if trio.current_time() >= next_beat:
                self.send(encode_beat(int(trio.current_time() * 1e6), self.owner.beat_status))
                next_beat = trio.current_time() + timing.beat_seconds
            # Wake at that very moment, so that all members give up a frozen one together: members that still wait for
            # it would refuse a proposal without it.
            wakes_at = min(next_beat, max(muxer.heard_at, awake_since) + timing.dead_seconds)
            await trio.sleep_until(wakes_at)
            now = trio.current_time()
            if now - wakes_at > timing.beat_seconds:
                # We ourselves did not run, such as while suspended: what came meanwhile has yet to be read.
                awake_since = now
            silent = now - max(muxer.heard_at, awake_since)
            if silent >= timing.dead_seconds:
                raise LinkOver(f"nothing heard for {silent:.1f} s")
            if now >= next_beat:
                self._treat_as_stranger(now, bulk)
                await self._tell_pace()

    def _treat_as_stranger(self, now: float, bulk: Stream) -> None:
        """Refill the bounds of a stranger, or lift them once it is none. Raises LinkOver for one that is idle."""
        timing = self.owner.timing
        muxer = self.connection.muxer
        muxer.streams_left = MAX_OPENED_STREAMS
        self._choose_meter()
        if not self.is_stranger:
            muxer.budget_bytes = None
            bulk.widen(BULK_WINDOW_BYTES)
            self.owner.welcome(self)
        elif now - self._last_envelope > timing.stranger_idle_seconds:
            raise LinkOver("a stranger that has been silent too long")
        else:
            refill = int(STRANGER_BYTES_PER_SECOND * timing.beat_seconds)
            muxer.budget_bytes = min(STRANGER_BYTES, (muxer.budget_bytes or 0) + refill)


def _rate_limit(frames_per_second: float) -> TokenBucket:
    return TokenBucket(frames_per_second, 4 * frames_per_second)


def _describe(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, trio.TooSlowError):
        return "the peer did not answer in time"
    return str(error)
