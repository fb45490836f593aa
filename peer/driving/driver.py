"""Drives one node on a real network, a real disk and a real clock.

Three tasks, and queues between them::

    network --> receive --> inbox --> decide --> steps --> act --> network, alarms, jobs, notices
                 verify               node.step            persist, then the rest in order

``receive`` runs in the tasks of the links. Each of them waits until its frame is dealt with, so the frames of one peer
keep their order, and links take turns. What a frame costs is measured and charged to its peer. Only ``decide`` touches
the node, one event after the other. ``act`` carries out the steps in the same order. All records of the steps that have
gathered meanwhile become durable in one transaction, and only then does anything of these steps leave the process.
While the disk works, ``decide`` goes on with the next events, and heartbeats go on in the network's own tasks.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Final, Protocol

import trio

from ...protocol.events import (
    Event,
    Fetch,
    FetchFailed,
    HeadSeen,
    Leave,
    Notice,
    NoticeKind,
    PeerDown,
    PeerUp,
    ProposeOptions,
    Received,
    Send,
    Started,
    Step,
    TimerFired,
    VoteOnOptions,
    Withdraw,
    Work,
)
from ...protocol.jobs import ReadBlocks
from ...protocol.ledger.state import LedgerState
from ...protocol.limits import INLINE_BLOB_BYTES
from ...protocol.messages.encoding import digest_of
from ...protocol.messages.envelope import Rejected, Verified, blob_digest, may_be_passed_on, verify
from ...protocol.messages.kinds import Deal, OptionsChange
from ...protocol.records import Record, RoundClosed
from ..network.heartbeat import decode_beat, encode_beat
from ..network.limits.meter import cpu_seconds
from ..network.limits.rate_limit import TokenBucket
from .blob_offers import BlobOffers, Shelf
from .event_queue import EventQueue
from .timers import Clock, Timers
from .workers import Workers

MAX_PENDING_STEPS: Final = 64
"""How many steps may wait for the disk; with more, events wait, too."""

MAX_CHECKED_HERE_BYTES: Final = 32 * 1024
"""Larger frames are hashed, decoded and verified in a thread. For others, handing them over costs more than it saves.
"""

LOUD: Final = frozenset({"fault", "fetch", "proposal", "refused", "fork", "overrun", "proposed", "voted"})
"""Kinds of notices that a member can cause, as often as it likes, by what it sends."""

SECONDS_PER_NOTICE: Final = 10.0
MAX_NOTICES_AT_ONCE: Final = 32
"""How many of these notices about one member are told at once; after that, one in SECONDS_PER_NOTICE."""

MAX_FAULTY_PEERS: Final = 1024
MAX_FAULTS_A_PEER: Final = 32
"""Different faults that are counted apart; a peer can commit more kinds than can be kept."""

log = logging.getLogger("coterie.driver")


class NodeLike(Protocol):
    """The node that is driven: :class:`...protocol.node.Node`, or a stand-in for it."""

    @property
    def state(self) -> LedgerState:
        """The state of the ledger after its newest decided block."""

    @property
    def audience(self) -> tuple[bytes, ...]:
        """The peers that get a message to EVERYONE."""

    def step(self, event: Event, now_ms: int) -> Step:
        """Take an event; return what is to be done now."""


class Journal(Protocol):
    """The store, which makes records durable: :class:`..home.store.Store`."""

    def persist(self, records: Sequence[Record]) -> None:
        """Make records durable; return once they are."""

    def tidy(self) -> None:
        """Erase what a closed round left behind."""


class Links(Shelf, Protocol):
    """The network, which sends and fetches: :class:`..network.network.Network`."""

    beat_status: bytes

    def send(self, to: bytes, frame: bytes, blob: bytes | None = None) -> bool:
        """Queue an envelope; return False if that is not possible now."""

    async def pull(self, source: bytes, digest: bytes, size: int) -> bytes:
        """Fetch a blob. Raises an exception if it does not come."""

    def refresh(self) -> None:
        """Open and close links after a change of the members."""

    def charge(self, member: bytes, seconds: float) -> None:
        """Charge a peer for the computing time that its messages cost."""

    def block_decided(self) -> None:
        """Allow every member some more computing time, since a block takes it some messages."""

    def cut_off(self, member: bytes, reason: str) -> None:
        """Have no link to a peer for a while, since it did what no honest peer does."""


class Driver:
    """Drives one running member. ``notice`` gets what the operator should know, such as faults of peers."""

    def __init__(
        self,
        node: NodeLike,
        me: bytes,
        journal: Journal,
        links: Links,
        workers: Workers,
        notice: Callable[[Notice], None],
        clock: Clock | None = None,
    ) -> None:
        self.node = node
        self.faults: dict[bytes, Counter[str]] = {}
        """Bad frames by the peer whose link they came over."""
        self.workers = workers
        self.fetching: dict[object, int] = {}
        """Sizes in bytes of the blobs that are being fetched, or wait to be fetched."""
        self._me = me
        self._federation = node.state.federation
        self._journal = journal
        self._links = links
        self._notice = notice
        self._clock = clock or Clock()
        self._inbox = EventQueue()
        self._timers = Timers()
        self._offers = BlobOffers(links)
        self._steps: deque[tuple[Step, bytes | None]] = deque()
        self._stepped = trio.lowlevel.ParkingLot()
        self._acted = trio.lowlevel.ParkingLot()
        self._disk = trio.CapacityLimiter(1)
        self._checkers = trio.CapacityLimiter(1)
        self._nursery: trio.Nursery | None = None
        self._failure: BaseException | None = None
        self._members = node.state.keys
        self._stage = (node.state.round, node.state.phase)
        self._heads: dict[bytes, int] = {}
        self._told: dict[bytes, TokenBucket] = {}

    # What the outside calls.

    async def run(self) -> None:
        """Drive the node until cancelled.

        Raises:
            StoreError: the disk failed; nothing that depends on the lost records was sent.
            Exception: an exception of a step or of a task here, which is a bug of ours.
        """
        self._tell_beat()
        self._inbox.put(Started())
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for task in (self._decide, self._act, self._offers.run):
                    nursery.start_soon(self._guard, task)
                nursery.start_soon(self._guard, self._timers.run, self._on_alarm)
        finally:
            self._nursery = None
        if self._failure is not None:
            raise self._failure

    def leave(self) -> None:
        """Ask the others to let this member go for good."""
        self._inbox.put(Leave())

    def withdraw(self) -> None:
        """Take back the request to be admitted of this peer, which is no member yet."""
        self._inbox.put(Withdraw())

    def propose_options(self, change: OptionsChange) -> None:
        """Propose other options of the training to the members."""
        self._inbox.put(ProposeOptions(change))

    def vote_on_options(self, proposal: bytes, accepts: bool) -> None:
        """Vote on the open proposal with this id."""
        self._inbox.put(VoteOnOptions(proposal, accepts))

    @property
    def is_running(self) -> bool:
        """Whether the driver runs, so that it carries out what it is asked for."""
        return self._nursery is not None

    async def peer_up(self, member: bytes) -> None:
        """A link is up."""
        await self._inbox.put_foreign(PeerUp(member), member)

    async def peer_down(self, member: bytes) -> None:
        """A link is lost."""
        self._heads.pop(member, None)
        await self._inbox.put_foreign(PeerDown(member), member)

    async def pace(self, member: bytes, is_overrun: bool) -> None:
        """A member began, or ceased, to send more than it may.

        Between the two it counts as down for the node, so that nobody waits for it.
        """
        if is_overrun:
            text = "sends more than this peer has time for; nobody waits for it meanwhile"
            self._tell(Notice(NoticeKind.OVERRUN, text, {"member": member}))
        event = PeerDown(member) if is_overrun else PeerUp(member)
        await self._inbox.put_foreign(event, member)

    async def heartbeat(self, member: bytes, status: bytes) -> None:
        """A heartbeat came, which says how far the ledger of a peer has come."""
        beat = decode_beat(status)
        if beat is None:
            if status:
                self._fault(member, "a malformed heartbeat")
        elif self._heads.get(member) != beat.height:
            self._heads[member] = beat.height
            await self._inbox.put_foreign(HeadSeen(member, beat.height), member)

    async def frame(self, member: bytes, envelope: bytes, blob: bytes | None) -> None:
        """An envelope came over the link of ``member``. Returns when the node has dealt with it.

        A member sends its own envelopes, and of others' only those that :func:`...may_be_passed_on`. No honest member
        sends anything else, whatever others send to it, so a peer that does is cut off.
        """
        if len(envelope) + len(blob or b"") > MAX_CHECKED_HERE_BYTES:
            checked, seconds = await trio.to_thread.run_sync(
                _timed_check, time.thread_time, member, envelope, blob, self._federation, limiter=self._checkers
            )
        else:
            checked, seconds = _timed_check(cpu_seconds, member, envelope, blob, self._federation)
        self._links.charge(member, seconds)
        if isinstance(checked, str):
            self._fault(member, checked)
        else:
            await self._inbox.put_foreign(Received(checked, blob), member)

    # Deciding.

    async def _decide(self) -> None:
        head = self.node.state.head
        while True:
            arrival = await self._inbox.get()
            while len(self._steps) >= MAX_PENDING_STEPS:
                await self._acted.park()
            started = cpu_seconds()
            step = self.node.step(arrival.event, self._clock.now_ms())
            earlier, head = head, self.node.state.head
            if head != earlier:
                # A step that decides a block is not charged: no peer can cause such steps as often as it likes, and
                # this peer needs many of them to catch up if it was away.
                self._links.block_decided()
            elif arrival.cause is not None:
                self._links.charge(arrival.cause, cpu_seconds() - started)
            if step != _NOTHING:
                self._steps.append((step, arrival.cause))
                self._stepped.unpark()
            arrival.done.set()

    # Acting.

    async def _act(self) -> None:
        while True:
            if self._steps:
                await trio.lowlevel.checkpoint()
            while not self._steps:
                await self._stepped.park()
            caused = list(self._steps)
            steps = [step for step, _ in caused]
            self._steps.clear()
            self._acted.unpark_all()
            records = [record for step in steps for record in step.persist]
            large = {id(send.blob): send.blob for step in steps for send in step.send if _is_large(send.blob)}
            digests: dict[int, bytes] = {}
            if records or large:
                digests = await trio.to_thread.run_sync(self._commit, records, large, limiter=self._disk)
            for number, (step, cause) in enumerate(caused):
                if number:
                    # Other tasks get a turn between two steps.
                    await trio.lowlevel.checkpoint()
                if cause is None:
                    self._carry_out(step, digests)
                else:
                    started = cpu_seconds()
                    self._carry_out(step, digests)
                    self._links.charge(cause, cpu_seconds() - started)
            self._tell_beat()
            if any(isinstance(record, RoundClosed) for record in records):
                self._start(self._tidy)

    def _commit(self, records: list[Record], large: dict[int, bytes | None]) -> dict[int, bytes]:
        """In a thread: make the records durable, then hash the blobs that are to be offered."""
        if records:
            self._journal.persist(records)
        return {key: self._offers.known(blob) or digest_of(blob) for key, blob in large.items() if blob is not None}

    def _carry_out(self, step: Step, digests: dict[int, bytes]) -> None:
        for send in step.send:
            self._send(send, digests)
        for fetch in step.fetch:
            self._start(self._fetch, fetch)
        for timer in step.timers:
            self._timers.set(timer.after_ms, timer.key)
        for work in step.work:
            self._start(self._work, work)
        for notice in step.notify:
            self._tell(notice)
            if notice.kind == NoticeKind.FAULT and notice.facts.get("certain"):
                self._links.cut_off(notice.facts["member"], notice.text)

    def _send(self, send: Send, digests: dict[int, bytes]) -> None:
        receivers = self.node.audience if send.to is None else (send.to,)
        inline = send.blob
        if send.blob is not None and _is_large(send.blob):
            inline = None
            self._offers.put(digests[id(send.blob)], send.blob, any(to not in self._members for to in receivers))
        for to in receivers:
            if to != self._me and not self._links.send(to, send.envelope, inline):
                log.debug("not sent to %s: no link, or its queue is full", to.hex()[:16])

    async def _fetch(self, fetch: Fetch) -> None:
        ticket = object()
        self.fetching[ticket] = fetch.size_bytes
        try:
            blob = await self._links.pull(fetch.source, fetch.digest, fetch.size_bytes)
        except Exception as error:
            self._inbox.put(FetchFailed(fetch, str(error)), fetch.source)
        else:
            self._inbox.put(Received(fetch.message, blob), fetch.source)
        finally:
            del self.fetching[ticket]

    async def _work(self, work: Work) -> None:
        done = await self.workers.run(work)
        self._inbox.put(done, work.to if isinstance(work, ReadBlocks) else None)

    async def _tidy(self) -> None:
        await trio.to_thread.run_sync(self._journal.tidy, limiter=self._disk)

    def _on_alarm(self, key: Hashable) -> None:
        self._inbox.put(TimerFired(key))

    def _tell_beat(self) -> None:
        """Tell the new state in heartbeats; end offers after a step of the round, and adapt links to new members."""
        state = self.node.state
        self._links.beat_status = encode_beat(state.height, state.round, state.phase)
        if (state.round, state.phase) != self._stage:
            self._stage = (state.round, state.phase)
            self._offers.shorten()
        if state.keys != self._members:
            self._members = state.keys
            self._links.refresh()

    # Telling.

    def _tell(self, notice: Notice) -> None:
        """Pass a notice on. The rate is limited for notices that one member can cause as often as it likes."""
        member = notice.facts.get("member")
        if notice.kind in LOUD and isinstance(member, bytes):
            if len(self._told) >= MAX_FAULTY_PEERS and member not in self._told:
                del self._told[next(iter(self._told))]
            bucket = self._told.setdefault(member, TokenBucket(1 / SECONDS_PER_NOTICE, MAX_NOTICES_AT_ONCE))
            if not bucket.take(trio.current_time()):
                return
        self._notice(notice)

    # Failing.

    def _fault(self, member: bytes, what: str) -> None:
        """Count a fault of a peer and cut the peer off; report the first, the tenth, the hundredth and so on."""
        if member not in self.faults and len(self.faults) >= MAX_FAULTY_PEERS:
            del self.faults[next(iter(self.faults))]
        counts = self.faults.setdefault(member, Counter())
        if what not in counts and len(counts) >= MAX_FAULTS_A_PEER:
            what = "other bad frames"
        counts[what] += 1
        if str(counts[what]).strip("0") == "1":
            self._notice(Notice(NoticeKind.BAD_FRAME, f"sent {what} ({counts[what]}×)", {"member": member}))
        self._links.cut_off(member, what)

    def _start(self, task: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(self._guard, task, *arguments)

    async def _guard(self, task: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Run a task. If it raises an exception, stop everything; the first exception is kept."""
        assert self._nursery is not None
        try:
            await task(*arguments)
        except Exception as error:
            self._failure = self._failure or error
            self._nursery.cancel_scope.cancel()


_NOTHING: Final = Step()


def _is_large(blob: bytes | None) -> bool:
    return blob is not None and len(blob) > INLINE_BLOB_BYTES


def _timed_check(
    clock: Callable[[], float], member: bytes, envelope: bytes, blob: bytes | None, federation: bytes
) -> tuple[Verified | str, float]:
    """Check what came over a member's link; return it or what is wrong with it, and the CPU seconds that it took."""
    started = clock()
    return _check(member, envelope, blob, federation), clock() - started


def _check(member: bytes, envelope: bytes, blob: bytes | None, federation: bytes) -> Verified | str:
    verified = verify(envelope, federation)
    if isinstance(verified, Rejected):
        return f"a bad envelope: {verified.reason}"
    if verified.sender != member and not may_be_passed_on(verified.message):
        return "an envelope that another member signed"
    if blob is not None and not _binds(verified, blob):
        return "a blob whose hash is not in its message"
    return verified


def _binds(verified: Verified, blob: bytes) -> bool:
    digest = digest_of(blob)
    if isinstance(verified.message, Deal):
        # Only the node knows which of the boxes is ours; another one would not open.
        return digest in verified.message.box_hashes
    return digest == blob_digest(verified, None)
