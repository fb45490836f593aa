"""Blobs, pulled by the peer that needs them: the receiver decides what it takes, when, how large, and from which peer.

Each link has one bulk stream. A REQUEST names digest and exact size; the other side answers with CHUNKs, or
FAILED with a reason. Several transfers share the stream in turn, a chunk each. The reader of the stream never
waits for anything but the stream itself: chunks go straight into a buffer of the size that the puller gave.
"""

import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

import trio

from ...protocol.limits import MAX_MEMBERS
from ...protocol.messages.encoding import digest_of
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
from .transport.streams import Stream

CHUNK_BYTES: Final = 256 * 1024
MAX_PULLS: Final = 256
"""Transfers under way to us at a time, of all peers together; more wait."""

MAX_HASHED_HERE_BYTES: Final = 512 * 1024
"""A larger blob is hashed in a thread. Up to this size, half a millisecond, the way there would cost more."""

MAX_PULLS_PER_PEER: Final = 4
"""Transfers of one peer to us at a time: a slow one must not have all the slots."""

MIN_PROGRESS_BYTES: Final = 64 * 1024
"""What must arrive (or all that is missing) within the time that a pull allows for progress."""

MAX_PROGRESSES: Final = 120
"""The most such times that a blob may take, so that of a large one more must arrive in each. Otherwise its buffer could
be held for days.
"""

MAX_PULL_BYTES: Final = 1024 * 1024 * 1024
"""Bytes of the buffers of all transfers to us together; also the size of the largest blob."""

PARTS_OF_PULL_BYTES: Final = 4
"""One peer may hold one buffer of any size, or several that together have at most one of so many parts of these bytes.
"""

MAX_SERVED: Final = 4
"""Blobs under way to one peer at a time; more wait."""

MAX_SERVED_BYTES: Final = 1024 * 1024 * 1024
"""What those blobs may have together, since they stay in memory until they are through; a larger one goes alone."""

MAX_TIMES_SERVED: Final = 2
"""How often a peer may have each blob that is on offer: once, and again if that failed."""

FORGIVEN_SECONDS: Final = 300.0
"""After this long it may ask anew: its link may have failed again and again."""

MAX_SERVED_PEERS: Final = 2 * MAX_MEMBERS

SERVING_SECONDS: Final = 120.0
"""A peer must take the next chunk of what it asked for within this time."""

MAX_WAITING: Final = 64
"""Requests of one peer that wait; more are refused."""

MAX_OPEN_PULLS: Final = 256
"""Pulls of ours at one peer, including those that we called off and that still arrive."""

MAX_REPLIES: Final = 2 * MAX_OPEN_PULLS
"""Short answers that wait for a peer that does not read them."""

BULK_WINDOW_BYTES: Final = 2 * 1024 * 1024

log = logging.getLogger("coterie.network")


class PullFailed(Exception):
    """A blob did not come; the message says why. Pull again, there or elsewhere."""


class WrongBlob(PullFailed):
    """A peer sent bytes that do not have the digest that was asked for."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A blob on offer. If it is withdrawn and offered again, what each peer was given is counted anew."""

    data: bytes = field(repr=False)
    public: bool
    count: int
    served: "dict[object, _Served]" = field(default_factory=dict, repr=False)
    """What each peer was given of it, or is being given."""


@dataclass(slots=True)
class _Served:
    since: float
    amount: int = 0
    """Bytes."""


class Offers:
    """The blobs that others may pull from us, by digest; each is withdrawn as often as it was offered."""

    def __init__(self) -> None:
        self._blobs: dict[bytes, Offer] = {}

    def add(self, digest: bytes, data: bytes, public: bool) -> None:
        """Offer `data` to members, or with `public` to everybody."""
        known = self._blobs.get(digest)
        if known is None:
            self._blobs[digest] = Offer(data, public, 1)
        else:
            self._blobs[digest] = replace(known, data=data, public=public or known.public, count=known.count + 1)

    def remove(self, digest: bytes) -> None:
        """Take back one offer of `digest`. Transfers under way go on."""
        known = self._blobs.pop(digest, None)
        if known is not None and known.count > 1:
            self._blobs[digest] = replace(known, count=known.count - 1)

    def find(self, request: Request, is_member: bool) -> Offer | str:
        """The blob that a request asks for, or why the peer cannot have it."""
        known = self._blobs.get(request.digest)
        if known is None or not (is_member or known.public):
            return "not offered"
        if len(known.data) != request.size:
            return f"it has {len(known.data)} bytes, not {request.size}"
        return known

    def reserve(self, offer: Offer, peer: object) -> _Served | None:
        """Account for giving a whole blob to a peer; None if it has had it too often already."""
        now = trio.current_time()
        served = offer.served.get(peer)
        if served is None or now - served.since >= FORGIVEN_SECONDS:
            if len(offer.served) >= MAX_SERVED_PEERS:
                del offer.served[next(iter(offer.served))]
            served = offer.served[peer] = _Served(now)
        if served.amount > (MAX_TIMES_SERVED - 1) * len(offer.data):
            return None
        served.amount += len(offer.data)
        return served


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket:
    """One pull that waits for its slot."""

    peer: object
    size: int


class PullSlots:
    """How much all pulls of this process together may hold: MAX_PULLS transfers and MAX_PULL_BYTES.

    A peer that lets its pulls crawl keeps what they hold. So each peer may have only a part, and pulls of others do not
    wait behind those of a peer that has used up its part.
    """

    def __init__(self, pulls: int = MAX_PULLS, capacity_bytes: int = MAX_PULL_BYTES) -> None:
        self.capacity_bytes = capacity_bytes
        self._pulls = pulls
        self._bytes = capacity_bytes
        self._held: Counter[object] = Counter()
        self._waiting: deque[_Ticket] = deque()
        self._changed = trio.lowlevel.ParkingLot()

    async def acquire(self, size: int, peer: object) -> None:
        """Wait, in order of arrival, for a slot with `size` bytes. Raises PullFailed if it can never fit."""
        if size > self.capacity_bytes:
            raise PullFailed(f"{size} bytes are more than the {self.capacity_bytes} that pulls may hold")
        ticket = _Ticket(peer, size)
        self._waiting.append(ticket)
        try:
            while self._next() is not ticket or self._pulls == 0 or self._bytes < size:
                await self._changed.park()
            self._pulls -= 1
            self._bytes -= size
            self._held[peer] += size
        finally:
            self._waiting.remove(ticket)
            self._changed.unpark_all()

    def release(self, size: int, peer: object) -> None:
        """Give a slot back."""
        self._pulls += 1
        self._bytes += size
        self._held[peer] -= size
        if not self._held[peer]:
            del self._held[peer]
        self._changed.unpark_all()

    def _next(self) -> _Ticket | None:
        """Return the first pull that does not have to wait for other pulls of its own peer."""
        share = self.capacity_bytes // PARTS_OF_PULL_BYTES
        for one in self._waiting:
            held = self._held.get(one.peer, 0)
            if not held or held + one.size <= share:
                return one
        return None


@dataclass(slots=True)
class _Pull:
    """A transfer to us. One that we called off goes on without a buffer until the other side's last word on it."""

    size: int
    buffer: bytearray | None
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
    data: bytes
    served: _Served
    position: int = 0


class Bulk:
    """The bulk stream of one link, from both ends: what we pull from the peer and what we serve it."""

    def __init__(
        self,
        offers: Offers,
        is_member: Callable[[], bool],
        take_turn: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
        peer: object = None,
    ) -> None:
        """`take_turn` waits until another frame of `peer` may be handled; `peer` is the same on its next link."""
        self._peer = self if peer is None else peer
        self._offers = offers
        self._is_member = is_member
        self._take_turn = take_turn
        self._pulls: dict[int, _Pull] = {}
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
            pull.failure = pull.failure or reason
            pull.progress()
        self._pulls.clear()
        self._drop(lambda _: True)
        self._work.unpark_all()

    async def pull(self, digest: bytes, size: int, progress_seconds: float) -> bytes:
        """The blob of that digest and size. Raises PullFailed when it does not come or is not what was asked for.

        It may take long, as long as enough of it arrives every `progress_seconds`: MIN_PROGRESS_BYTES, and at least one
        of MAX_PROGRESSES parts of it.
        """
        if self._closed:
            raise PullFailed(self._closed)
        if len(self._pulls) >= MAX_OPEN_PULLS:
            raise PullFailed("too many pulls from this peer")
        if size == 0:  # no chunk would come, and no word that there is none
            return _check(bytearray(), digest)
        transfer = self._next_transfer = (self._next_transfer + 1) % 2**32
        buffer = bytearray(size)
        pull = self._pulls[transfer] = _Pull(size, buffer)
        step = max(MIN_PROGRESS_BYTES, size // MAX_PROGRESSES)
        self._send(encode_request(transfer, Request(digest, size)))
        try:
            while pull.received < size and not pull.failure:
                with trio.move_on_after(progress_seconds) as scope:
                    await pull.reach(min(size, pull.received + step))
                if scope.cancelled_caught:
                    raise PullFailed(
                        f"too little progress in {progress_seconds:g} s, at {pull.received} of {size} bytes"
                    )
        finally:
            self._forget(transfer, pull)
        if pull.failure:
            raise PullFailed(pull.failure)
        if size <= MAX_HASHED_HERE_BYTES:
            return _check(buffer, digest)
        return await trio.to_thread.run_sync(_check, buffer, digest)

    def _forget(self, transfer: int, pull: _Pull) -> None:
        if transfer in self._pulls:  # neither complete nor failed
            pull.buffer = None
            self._send(encode_cancel(transfer))

    def _send(self, frame: bytes) -> None:
        self._out.append(frame)
        self._work.unpark_all()

    # Receiving.

    async def _read(self, stream: Stream) -> None:
        while True:
            kind, transfer, length = decode_bulk_header(await stream.read_exactly(BULK_HEADER_BYTES))
            await self._take_turn()
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
        pull = self._pulls.get(transfer)
        if pull is None:
            raise BadFrame("a chunk of a transfer that was never asked for")
        end = pull.received + length
        if end > pull.size:
            raise BadFrame("more bytes than were asked for")
        self.bytes_in += length
        if pull.buffer is not None:
            await stream.readinto(memoryview(pull.buffer)[pull.received : end])
        else:
            if len(self._scratch) < length:
                self._scratch = memoryview(bytearray(length))
            await stream.readinto(self._scratch[:length])
        pull.received = end
        pull.progress()
        if end == pull.size:
            self._pulls.pop(transfer, None)

    def _end_pull(self, transfer: int, reason: str) -> None:
        pull = self._pulls.pop(transfer, None)
        if pull is None:
            raise BadFrame("the failure of a transfer that is not under way")
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
        """Stop a transfer, and say so. Of one that is through or has failed the other side has had the last word."""
        if self._drop(lambda one: one == transfer):
            self._reply(encode_failed(transfer, "called off"))

    def _drop(self, wanted: Callable[[int], bool]) -> bool:
        """Drop transfers that were asked for; returns whether there were any. Bytes that were not sent do not count."""
        dropped = [item for item in self._serving if wanted(item.transfer)]
        for item in dropped:
            item.served.amount -= len(item.data) - item.position
        waiting = len(self._requests)
        self._serving = deque(item for item in self._serving if not wanted(item.transfer))
        self._requests = deque(one for one in self._requests if not wanted(one[0]))
        return bool(dropped) or len(self._requests) < waiting

    def _reply(self, frame: bytes) -> None:
        if len(self._out) >= MAX_REPLIES:
            raise BadFrame("the peer does not read our answers")
        self._send(frame)

    def _admit_requests(self) -> None:
        while self._requests and len(self._serving) < MAX_SERVED:
            transfer, request = self._requests[0]
            if self._serving and sum(len(item.data) for item in self._serving) + request.size > MAX_SERVED_BYTES:
                return
            self._requests.popleft()
            found = self._offers.find(request, self._is_member())
            if isinstance(found, str):
                self._out.append(encode_failed(transfer, found))
            elif (served := self._offers.reserve(found, self._peer)) is None:
                self._out.append(encode_failed(transfer, "already served to this peer"))
            elif found.data:
                self._serving.append(_Serving(transfer, found.data, served))

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
        chunk = memoryview(item.data)[item.position : item.position + CHUNK_BYTES]
        item.position += len(chunk)
        if item.position < len(item.data):
            self._serving.append(item)
        self.bytes_out += len(chunk)
        with trio.fail_after(SERVING_SECONDS):
            await stream.write(encode_bulk_header(BulkKind.CHUNK, item.transfer, len(chunk)))
            await stream.write(chunk)


def _check(buffer: bytearray, digest: bytes) -> bytes:
    if digest_of(buffer) != digest:
        raise WrongBlob("the blob does not have the digest that was asked for")
    return bytes(buffer)
