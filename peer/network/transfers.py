"""Blobs, pulled by whoever needs them: the receiver decides what it takes, when, how large, and from whom.

Each link has one bulk stream. A REQUEST names digest and exact size; the other side answers with CHUNKs, or
FAILED with a reason. Several transfers share the stream in turn, a chunk each. The reader of the stream never
waits for anything but the stream itself: chunks go straight into a buffer of the size that the puller gave.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from .frames import (
    BULK_HEADER_BYTES,
    BadFrame,
    BulkKind,
    Request,
    decode_bulk_header,
    decode_reason,
    decode_request,
    encode_bulk_header,
    encode_cancel,
    encode_failed,
    encode_request,
)
from .streams import Stream

CHUNK_BYTES: Final = 256 * 1024
MAX_PULLS: Final = 256
"""Transfers under way to us at a time, of all peers together; more wait."""

MAX_PULLS_PER_PEER: Final = 4
"""Of one peer: a slow one must not have all the slots."""

MIN_PROGRESS_BYTES: Final = 64 * 1024
"""What must arrive (or all that is missing) within the time that a pull allows for progress."""

MAX_PULL_BYTES: Final = 1024 * 1024 * 1024
"""Buffers of those transfers together; also the largest blob."""

MAX_SERVED: Final = 4
"""Blobs under way to one peer at a time; more wait."""

MAX_WAITING: Final = 64
"""Requests of one peer that wait; more are refused."""

MAX_OPEN_PULLS: Final = 256
"""Pulls of ours at one peer, those that we called off and that still arrive included."""

MAX_REPLIES: Final = 2 * MAX_OPEN_PULLS
"""Short answers that wait for a peer that does not read them."""

BULK_WINDOW_BYTES: Final = 2 * 1024 * 1024

log = logging.getLogger("coterie.network")


class PullFailed(Exception):
    """A blob did not come; the message says why. Pull again, there or elsewhere."""


class Offers:
    """The blobs that others may pull from us, by digest; offered as often as withdrawn."""

    def __init__(self) -> None:
        self._blobs: dict[bytes, tuple[bytes, bool, int]] = {}

    def add(self, digest: bytes, data: bytes, public: bool) -> None:
        """Offer `data` to members, or with `public` to everybody."""
        _, was_public, count = self._blobs.get(digest, (data, False, 0))
        self._blobs[digest] = (data, public or was_public, count + 1)

    def remove(self, digest: bytes) -> None:
        """Take back one offer of `digest`. Transfers under way go on."""
        if digest in self._blobs:
            data, public, count = self._blobs.pop(digest)
            if count > 1:
                self._blobs[digest] = (data, public, count - 1)

    def find(self, request: Request, is_member: bool) -> bytes | str:
        """The blob, or why not."""
        data, public, _ = self._blobs.get(request.digest, (b"", False, 0))
        if request.digest not in self._blobs or not (is_member or public):
            return "not offered"
        if len(data) != request.size:
            return f"it has {len(data)} bytes, not {request.size}"
        return data


class PullSlots:
    """How much all pulls of this process together may hold: MAX_PULLS transfers and MAX_PULL_BYTES."""

    def __init__(self, pulls: int = MAX_PULLS, capacity_bytes: int = MAX_PULL_BYTES) -> None:
        self.capacity_bytes = capacity_bytes
        self._pulls = pulls
        self._bytes = capacity_bytes
        self._waiting: deque[object] = deque()
        self._changed = trio.lowlevel.ParkingLot()

    async def acquire(self, size: int) -> None:
        """Wait, in order of arrival, for a slot with `size` bytes. Raises PullFailed if it can never fit."""
        if size > self.capacity_bytes:
            raise PullFailed(f"{size} bytes are more than the {self.capacity_bytes} that pulls may hold")
        ticket = object()
        self._waiting.append(ticket)
        try:
            while self._waiting[0] is not ticket or self._pulls == 0 or self._bytes < size:
                await self._changed.park()
            self._pulls -= 1
            self._bytes -= size
        finally:
            self._waiting.remove(ticket)
            self._changed.unpark_all()

    def release(self, size: int) -> None:
        """Give a slot back."""
        self._pulls += 1
        self._bytes += size
        self._changed.unpark_all()


@dataclass(slots=True)
class _Pull:
    buffer: bytearray
    received: int = 0
    failure: str = ""
    moved: trio.Event = field(default_factory=trio.Event)

    def progress(self) -> None:
        self.moved.set()
        self.moved = trio.Event()

    async def reach(self, goal: int) -> None:
        while self.received < goal and not self.failure:
            await self.moved.wait()


@dataclass(slots=True)
class _Serving:
    transfer: int
    data: memoryview
    position: int = 0


class Bulk:
    """The bulk stream of one link, from both ends: what we pull from the peer and what we serve it."""

    def __init__(self, offers: Offers, is_member: Callable[[], bool]) -> None:
        self._offers = offers
        self._is_member = is_member
        self._pulls: dict[int, _Pull | None] = {}  # None: called off, chunks may still arrive
        self._next_transfer = 0
        self._out: deque[bytes] = deque()
        self._serving: deque[_Serving] = deque()
        self._requests: deque[tuple[int, Request]] = deque()
        self._work = trio.lowlevel.ParkingLot()
        self._scratch = memoryview(bytearray(0))
        self._closed = ""
        self.slots = trio.Semaphore(MAX_PULLS_PER_PEER)
        self.bytes_in = 0
        self.bytes_out = 0

    async def run(self, stream: Stream) -> None:
        """Serve and receive on `stream` until it ends. Raises BadFrame and what the stream raises."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, stream)
            await self._read(stream)

    def close(self, reason: str) -> None:
        """Fail every pull that is under way; later ones fail at once."""
        self._closed = reason
        for pull in self._pulls.values():
            if pull is not None:
                pull.failure = pull.failure or reason
                pull.progress()
        self._pulls.clear()
        self._work.unpark_all()

    async def pull(self, digest: bytes, size: int, progress_seconds: float) -> bytes:
        """The blob of that digest and size. Raises PullFailed when it does not come or is not what was asked
        for.

        It may take long, as long as MIN_PROGRESS_BYTES of it arrive every `progress_seconds`.
        """
        if self._closed:
            raise PullFailed(self._closed)
        if len(self._pulls) >= MAX_OPEN_PULLS:
            raise PullFailed("too many pulls from this peer")
        transfer = self._next_transfer = (self._next_transfer + 1) % 2**32
        pull = self._pulls[transfer] = _Pull(bytearray(size))
        self._send(encode_request(transfer, Request(digest, size)))
        try:
            while pull.received < size and not pull.failure:
                with trio.move_on_after(progress_seconds) as scope:
                    await pull.reach(min(size, pull.received + MIN_PROGRESS_BYTES))
                if scope.cancelled_caught:
                    raise PullFailed(
                        f"too little progress in {progress_seconds:g} s, at {pull.received} of {size} bytes"
                    )
        finally:
            self._forget(transfer, pull)
        if pull.failure:
            raise PullFailed(pull.failure)
        return await trio.to_thread.run_sync(_check, pull.buffer, digest)

    def _forget(self, transfer: int, pull: _Pull) -> None:
        if transfer not in self._pulls:
            return
        if pull.received == len(pull.buffer) or pull.failure:
            del self._pulls[transfer]
        else:
            self._pulls[transfer] = None
            self._send(encode_cancel(transfer))

    def _send(self, frame: bytes) -> None:
        self._out.append(frame)
        self._work.unpark_all()

    # Receiving.

    async def _read(self, stream: Stream) -> None:
        while True:
            kind, transfer, length = decode_bulk_header(await stream.read_exactly(BULK_HEADER_BYTES))
            match kind:
                case BulkKind.CHUNK:
                    await self._read_chunk(stream, transfer, length)
                case BulkKind.FAILED:
                    reason = decode_reason(await stream.read_exactly(length)) if length else "no reason given"
                    self._end_pull(transfer, reason)
                case BulkKind.REQUEST:
                    self._take_request(transfer, decode_request(await stream.read_exactly(length)))
                case BulkKind.CANCEL:
                    self._cancel_serving(transfer)

    async def _read_chunk(self, stream: Stream, transfer: int, length: int) -> None:
        if transfer not in self._pulls:
            raise BadFrame("a chunk of a transfer that was never asked for")
        pull = self._pulls[transfer]
        self.bytes_in += length
        if pull is None:
            if len(self._scratch) < length:
                self._scratch = memoryview(bytearray(length))
            await stream.readinto(self._scratch[:length])
            return
        end = pull.received + length
        if end > len(pull.buffer):
            raise BadFrame("more bytes than were asked for")
        await stream.readinto(memoryview(pull.buffer)[pull.received : end])
        pull.received = end
        pull.progress()

    def _end_pull(self, transfer: int, reason: str) -> None:
        pull = self._pulls.pop(transfer, None)
        if pull is not None:
            pull.failure = reason
            pull.progress()

    # Serving.

    def _take_request(self, transfer: int, request: Request) -> None:
        if len(self._requests) >= MAX_WAITING:
            self._reply(encode_failed(transfer, "too many requests"))
            return
        self._requests.append((transfer, request))
        self._work.unpark_all()

    def _cancel_serving(self, transfer: int) -> None:
        self._serving = deque(item for item in self._serving if item.transfer != transfer)
        self._requests = deque(item for item in self._requests if item[0] != transfer)
        # Our last word on it, after which the other side can forget it.
        self._reply(encode_failed(transfer, "called off"))

    def _reply(self, frame: bytes) -> None:
        if len(self._out) >= MAX_REPLIES:
            raise BadFrame("the peer does not read our answers")
        self._send(frame)

    def _admit_requests(self) -> None:
        while self._requests and len(self._serving) < MAX_SERVED:
            transfer, request = self._requests.popleft()
            found = self._offers.find(request, self._is_member())
            if isinstance(found, str):
                self._out.append(encode_failed(transfer, found))
            elif found:
                self._serving.append(_Serving(transfer, memoryview(found)))

    async def _write(self, stream: Stream) -> None:
        while True:
            self._admit_requests()
            if self._out:
                await stream.write(self._out.popleft())
            elif self._serving:
                await self._write_chunk(stream)
            else:
                await self._work.park()

    async def _write_chunk(self, stream: Stream) -> None:
        item = self._serving.popleft()
        chunk = item.data[item.position : item.position + CHUNK_BYTES]
        item.position += len(chunk)
        if item.position < len(item.data):
            self._serving.append(item)
        self.bytes_out += len(chunk)
        await stream.write(encode_bulk_header(BulkKind.CHUNK, item.transfer, len(chunk)))
        await stream.write(chunk)


def _check(buffer: bytearray, digest: bytes) -> bytes:
    if hashlib.sha256(buffer).digest() != digest:
        raise PullFailed("the blob does not have the digest that was asked for")
    return bytes(buffer)
