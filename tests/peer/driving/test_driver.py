"""The driver acts in the order of a step's fields, never sends what is not durable, and never stops for one
peer.
"""

import threading
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import trio
import trio.testing

from coterie.crypto.identity.identity import Identity
from coterie.peer.driving.blob_offers import GRACE_SECONDS, OFFER_SECONDS
from coterie.peer.driving.driver import (
    MAX_CHECKED_HERE_BYTES,
    MAX_FAULTS_A_PEER,
    MAX_FAULTY_PEERS,
    MAX_NOTICES_AT_ONCE,
    Driver,
)
from coterie.peer.driving.event_queue import Arrival, EventQueue
from coterie.peer.driving.workers import MAX_JOBS, Workers
from coterie.peer.home.sqlite import StoreError
from coterie.peer.network.heartbeat import decode_beat, encode_beat
from coterie.protocol.events import (
    Event,
    Fetch,
    FetchFailed,
    HeadSeen,
    Leave,
    Notice,
    PeerDown,
    PeerUp,
    Received,
    Send,
    SetTimer,
    Started,
    Step,
    TimerFired,
    Withdraw,
    WorkDone,
)
from coterie.protocol.jobs import Contribution, ReadBlocks, Train
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerState, Member, genesis_state
from coterie.protocol.limits import INLINE_BLOB_BYTES
from coterie.protocol.messages.encoding import digest_of, encode
from coterie.protocol.messages.envelope import Verified, _Body, _Envelope, seal, verify
from coterie.protocol.messages.kinds import KINDS, Blocks, CertifiedBlock, GetBlocks, JoinRequest, Message, SumShare
from coterie.protocol.records import Record, Released, RoundClosed

ME = Identity.from_seed(b"m" * 32)
PEER = Identity.from_seed(b"p" * 32)
OTHER = Identity.from_seed(b"o" * 32)
GENESIS = Genesis(
    name="test",
    founder=ME.public,
    founder_name="me",
    created_ms=0,
    model="m",
    shapes=((1,),),
    weights_hash=bytes(32),
)
STATE = replace(
    genesis_state(GENESIS),
    members=tuple(Member(key, "x") for key in sorted((ME.public, PEER.public, OTHER.public))),
)
LARGE = b"x" * (INLINE_BLOB_BYTES + 1)
RECORD = Released(1, b"U")


def envelope(message: Message, sender: Identity = PEER, federation: bytes = STATE.federation) -> bytes:
    return seal(sender, federation, 1, 0, message)


def verified(message: Message) -> Verified:
    one = verify(envelope(message), STATE.federation)
    assert isinstance(one, Verified)
    return one


@dataclass
class FakeNode:
    """Answers each event with the step that ``script`` makes of it."""

    script: Callable[[Event], Step | None]
    state: LedgerState = STATE
    events: list[Event] = field(default_factory=list)
    seen: trio.Event = field(default_factory=trio.Event)

    @property
    def audience(self) -> tuple[bytes, ...]:
        return tuple(key for key in self.state.keys if key != ME.public)

    def step(self, event: Event, now_ms: int) -> Step:
        self.events.append(event)
        self.seen.set()
        return self.script(event) or Step()


@dataclass
class World:
    """Journal and links in one, so that the order of what happens is one list."""

    log: list[Any] = field(default_factory=list)
    beat_status: bytes = b""
    gate: threading.Event | None = None
    failure: Exception | None = None
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    changed: trio.Event = field(default_factory=trio.Event)
    linked: bool = True
    charged: dict[bytes, float] = field(default_factory=dict)
    cuts: list[tuple[bytes, str]] = field(default_factory=list)
    commits: int = 0

    def _note(self, *what: Any) -> None:
        self.log.append(what)

    def persist(self, records: Sequence[Record]) -> None:
        self.commits += 1
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        self._note("persist", *records)

    def tidy(self) -> None:
        self._note("tidy")

    def send(self, to: bytes, frame: bytes, blob: bytes | None = None) -> bool:
        self._note("send", to, frame, blob)
        self.changed.set()
        self.changed = trio.Event()
        return self.linked

    def offer(self, digest: bytes, data: bytes, *, public: bool = False) -> None:
        self._note("offer", digest, public)

    def withdraw(self, digest: bytes) -> None:
        self._note("withdraw", digest)

    def refresh(self) -> None:
        self._note("refresh")

    def charge(self, member: bytes, seconds: float) -> None:
        self.charged[member] = self.charged.get(member, 0.0) + seconds

    def block_decided(self) -> None:
        self._note("decided")

    def cut_off(self, member: bytes, reason: str) -> None:
        self.cuts.append((member, reason))

    async def pull(self, source: bytes, digest: bytes, size: int) -> bytes:
        await trio.lowlevel.checkpoint()
        if digest not in self.blobs:
            raise RuntimeError("not offered")
        return self.blobs[digest]

    def of(self, kind: str) -> list[Any]:
        return [entry[1:] for entry in self.log if entry[0] == kind]


class Rig:
    """A driver with everything around it faked."""

    def __init__(self, script: Callable[[Event], Step | None], **world: Any) -> None:
        self.node = FakeNode(script)
        self.world = World(**world)
        self.notices: list[Notice] = []
        workers = Workers(self.train, lambda totals: None, lambda start: (CertifiedBlock(b"%d" % start, ()),))
        self.driver = Driver(self.node, ME.public, self.world, self.world, workers, self.notices.append)

    def train(self, train: Train) -> Contribution:
        return Contribution(train.round, (), b"e" * 32)

    @asynccontextmanager
    async def running(self):  # type: ignore[no-untyped-def]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.driver.run)
            await self.until(lambda: bool(self.node.events))
            yield self
            nursery.cancel_scope.cancel()

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(30):
            while not condition():
                await trio.lowlevel.checkpoint()


def run(main: Callable[[], Awaitable[None]], autojump: bool = False) -> None:
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0) if autojump else None)


def on(kind: type, step: Step) -> Callable[[Event], Step | None]:
    return lambda event: step if isinstance(event, kind) else None


def test_the_node_hears_that_it_was_started_first() -> None:
    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.node.events) == 2)
            assert rig.node.events == [Started(), PeerUp(PEER.public)]

    run(main)


def test_nothing_leaves_before_its_records_are_durable() -> None:
    async def main() -> None:
        gate = threading.Event()
        step = Step((RECORD,), (Send(PEER.public, b"release"),))
        async with Rig(on(PeerUp, step), gate=gate).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: PeerUp(PEER.public) in rig.node.events)
            await trio.testing.wait_all_tasks_blocked()
            assert rig.world.log == []
            gate.set()
            await rig.until(lambda: len(rig.world.log) == 2)
            assert [entry[0] for entry in rig.world.log] == ["persist", "send"]

    run(main)


def test_events_are_decided_while_the_disk_works_and_share_its_next_commit() -> None:
    async def main() -> None:
        gate = threading.Event()

        def script(event: Event) -> Step | None:
            if isinstance(event, HeadSeen):
                return Step((Released(event.height, b"U"),), (Send(PEER.public, b"%d" % event.height),))
            return None

        async with Rig(script, gate=gate).running() as rig:
            for height in range(5):
                await rig.driver.heartbeat(PEER.public, encode_beat(height, 0, "sharing"))
                await rig.until(lambda: len(rig.node.events) == height + 2 and rig.world.commits == 1)  # noqa: B023
            gate.set()
            await rig.until(lambda: len(rig.world.of("send")) == 5)
            assert rig.world.of("persist") == [
                (Released(0, b"U"),),
                tuple(Released(height, b"U") for height in range(1, 5)),
            ]
            assert [frame for _, frame, _ in rig.world.of("send")] == [b"0", b"1", b"2", b"3", b"4"]

    run(main)


def test_steps_without_records_never_overtake_earlier_ones() -> None:
    async def main() -> None:
        gate = threading.Event()

        def script(event: Event) -> Step | None:
            match event:
                case PeerUp():
                    return Step((RECORD,), (Send(PEER.public, b"first"),))
                case PeerDown():
                    return Step((), (Send(PEER.public, b"second"),))
            return None

        async with Rig(script, gate=gate).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.driver.peer_down(PEER.public)
            await rig.until(lambda: len(rig.node.events) == 3)
            assert rig.world.of("send") == []
            gate.set()
            await rig.until(lambda: len(rig.world.of("send")) == 2)
            assert [frame for _, frame, _ in rig.world.of("send")] == [b"first", b"second"]

    run(main)


def failure_of(rig: Rig) -> BaseException:
    async def main() -> None:
        async with rig.running():
            await rig.driver.peer_up(PEER.public)
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        run(main)
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def test_a_failing_disk_stops_the_peer_before_anything_is_sent() -> None:
    rig = Rig(on(PeerUp, Step((RECORD,), (Send(PEER.public, b"x"),))), failure=StoreError("the disk is full"))
    assert isinstance(failure_of(rig), StoreError)
    assert rig.world.of("send") == []


def test_an_exception_out_of_a_step_stops_the_peer() -> None:
    def script(event: Event) -> Step | None:
        if isinstance(event, PeerUp):
            raise LookupError("our bug")
        return None

    assert isinstance(failure_of(Rig(script)), LookupError)


def test_a_message_to_everyone_goes_to_each_other_member() -> None:
    async def main() -> None:
        async with Rig(on(PeerUp, Step(send=(Send(None, b"vote"),)))).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.world.of("send")) == 2)
            assert {to for to, _, _ in rig.world.of("send")} == {PEER.public, OTHER.public}

    run(main)


def test_small_blobs_travel_along_and_large_ones_are_offered_first() -> None:
    async def main() -> None:
        step = Step(send=(Send(PEER.public, b"small", b"blob"), Send(PEER.public, b"large", LARGE)))
        async with Rig(on(PeerUp, step)).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.world.log) == 3)
            assert rig.world.log == [
                ("send", PEER.public, b"small", b"blob"),
                ("offer", digest_of(LARGE), False),
                ("send", PEER.public, b"large", None),
            ]

    run(main)


def test_a_large_blob_for_a_newcomer_is_offered_to_everybody() -> None:
    async def main() -> None:
        async with Rig(on(PeerUp, Step(send=(Send(b"n" * 32, b"weights", LARGE),)))).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: bool(rig.world.of("offer")))
            assert rig.world.of("offer") == [(digest_of(LARGE), True)]

    run(main)


@pytest.mark.parametrize(
    ("phase", "seconds"), [(Phase.SUMMING, GRACE_SECONDS), (STATE.phase, OFFER_SECONDS)], ids=["step", "bound"]
)
def test_an_offer_ends_with_its_step_of_the_round_or_after_a_bound(phase: Phase, seconds: float) -> None:
    async def main() -> None:
        def script(event: Event) -> Step | None:
            match event:
                case PeerUp():
                    return Step(send=(Send(PEER.public, b"e", LARGE),))
                case PeerDown():
                    return Step((RoundClosed(1),))
            return None

        async with Rig(script).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: bool(rig.world.of("offer")))
            rig.node.state = replace(STATE, phase=phase)
            await rig.driver.peer_down(PEER.public)
            await rig.until(lambda: bool(rig.world.of("tidy")))
            start = trio.current_time()
            while not rig.world.of("withdraw"):
                await trio.sleep(0.1)
            assert seconds <= trio.current_time() - start <= seconds + 2 * GRACE_SECONDS

    run(main, autojump=True)


def test_a_blob_that_is_sent_again_is_offered_once() -> None:
    async def main() -> None:
        async with Rig(on(PeerUp, Step(send=(Send(PEER.public, b"e", LARGE),)))).running() as rig:
            for _ in range(3):
                await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.world.of("send")) == 3)
            assert len(rig.world.of("offer")) == 1

    run(main)


def test_a_good_envelope_reaches_the_node_with_its_blob() -> None:
    async def main() -> None:
        blob = b"sum"
        share = SumShare(1, bytes(32), digest_of(blob))
        async with Rig(lambda event: None).running() as rig:
            await rig.driver.frame(PEER.public, envelope(share), blob)
            await rig.until(lambda: len(rig.node.events) == 2)
            assert rig.node.events[1] == Received(verified(share), blob)

    run(main)


@pytest.mark.parametrize(
    ("frame", "blob"),
    [
        (b"", None),
        (b"\xff" * 100, None),
        (envelope(GetBlocks(1), federation=b"f" * 32), None),
        (envelope(GetBlocks(1), sender=OTHER), None),
        (envelope(GetBlocks(1)), b"a blob that nothing binds"),
        (envelope(SumShare(1, bytes(32), bytes(32))), b"another blob"),
        (envelope(GetBlocks(1))[:-1] + bytes([envelope(GetBlocks(1))[-1] ^ 1]), None),
    ],
)
def test_a_bad_frame_is_a_fault_of_its_link_and_never_reaches_the_node(frame: bytes, blob: bytes | None) -> None:
    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            await rig.driver.frame(PEER.public, frame, blob)
            await trio.testing.wait_all_tasks_blocked()
            assert rig.node.events == [Started()]
            assert sum(rig.driver.faults[PEER.public].values()) == 1
            assert [member for member, _ in rig.world.cuts] == [PEER.public]
            assert [notice.facts for notice in rig.notices] == [{"member": PEER.public}]

    run(main)


def test_a_flood_of_bad_frames_is_told_a_few_times_only() -> None:
    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            for _ in range(1000):
                await rig.driver.frame(PEER.public, b"garbage", None)
            assert len(rig.notices) == 4
            assert sum(rig.driver.faults[PEER.public].values()) == 1000

    run(main)


def test_faults_of_every_kind_by_ever_new_peers_do_not_fill_the_memory() -> None:
    def wrong(kind: int) -> bytes:
        body = encode(_Body(GENESIS.federation, kind, 1, 0, PEER.public, b""))
        return encode(_Envelope(body, bytes(64)))

    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            for kind in range(len(KINDS), 256):
                await rig.driver.frame(PEER.public, wrong(kind), None)
            assert len(rig.driver.faults[PEER.public]) == MAX_FAULTS_A_PEER + 1
            assert rig.driver.faults[PEER.public].total() == 256 - len(KINDS)
            for number in range(2 * MAX_FAULTY_PEERS):
                await rig.driver.frame(number.to_bytes(32, "big"), b"garbage", None)
            assert len(rig.driver.faults) == MAX_FAULTY_PEERS

    run(main)


def test_a_driver_takes_a_request_back_while_it_runs() -> None:
    async def main() -> None:
        rig = Rig(lambda event: None)
        assert not rig.driver.is_running
        async with rig.running():
            assert rig.driver.is_running
            rig.driver.withdraw()
            await rig.until(lambda: Withdraw() in rig.node.events)
        assert not rig.driver.is_running

    run(main)


def test_what_a_frame_costs_is_charged_to_the_peer_whose_link_it_came_over() -> None:
    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            await rig.driver.frame(PEER.public, envelope(JoinRequest("new", "m", b"", b""), sender=OTHER), None)
            assert rig.world.charged.keys() == {PEER.public}
            checked = rig.world.charged[PEER.public]
            await rig.driver.frame(PEER.public, b"garbage", None)
            assert rig.world.charged[PEER.public] > checked > 0

    run(main)


def test_what_moves_the_ledger_on_is_free_and_earns_every_member_more() -> None:
    async def main() -> None:
        rig = Rig(lambda event: None)

        def script(event: Event) -> Step | None:
            if isinstance(event, HeadSeen):
                rig.node.state = replace(STATE, head=b"h" * 32)
            return None

        rig.node.script = script
        async with rig.running():
            await rig.driver.heartbeat(PEER.public, encode_beat(7, 0, "sharing"))
            assert rig.world.charged.get(PEER.public, 0.0) == 0.0
            assert rig.world.of("decided") == [()]

    run(main)


FLOOD = 500


def turns_before_the_other() -> int:
    """How many of one link's frames the node deals with before the first one of another link."""

    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(flood, rig)
                await rig.until(lambda: len(rig.node.events) > 1)
                await rig.driver.frame(OTHER.public, envelope(GetBlocks(1), sender=OTHER), None)
            await rig.until(lambda: len(rig.node.events) == FLOOD + 2)
            senders = [event.message.sender for event in rig.node.events if isinstance(event, Received)]
            found.append(senders.index(OTHER.public))

    async def flood(rig: Rig) -> None:
        for _ in range(FLOOD):
            await rig.driver.frame(PEER.public, costly, None)

    found: list[int] = []
    costly = envelope(GetBlocks(1))
    run(main)
    return found[0]


def test_links_take_turns_however_much_one_of_them_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert turns_before_the_other() < 10

    async def without_a_turn(self: EventQueue, event: Event, cause: bytes) -> None:
        self._foreign.append(Arrival(event, cause))
        self._arrived.unpark()

    monkeypatch.setattr(EventQueue, "put_foreign", without_a_turn)
    assert turns_before_the_other() > FLOOD / 2


def test_a_large_frame_is_checked_in_a_thread_and_does_not_lose_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def seen(data: bytes, federation: bytes) -> Any:
        threads.append("here" if threading.current_thread() is threading.main_thread() else "a thread")
        return verify(data, federation)

    async def main() -> None:
        large = Blocks((CertifiedBlock(bytes(2 * MAX_CHECKED_HERE_BYTES), ()),))
        async with Rig(lambda event: None).running() as rig:
            await rig.driver.frame(PEER.public, envelope(large), None)
            await rig.driver.frame(PEER.public, envelope(GetBlocks(1)), None)
            assert [event.message.message for event in rig.node.events[1:]] == [large, GetBlocks(1)]

    monkeypatch.setattr("coterie.peer.driving.driver.verify", seen)
    run(main)
    assert threads == ["a thread", "here"]


@pytest.mark.parametrize(("facts", "cuts"), [({"certain": True}, 1), ({}, 0)], ids=["certain", "not certain"])
def test_a_fault_that_no_honest_peer_can_have_cuts_it_off(facts: dict[str, Any], cuts: int) -> None:
    async def main() -> None:
        fault = Notice("fault", "sent a wrong ledger", {"member": PEER.public, **facts})
        async with Rig(on(PeerUp, Step(notify=(fault,)))).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: bool(rig.notices))
            await trio.testing.wait_all_tasks_blocked()
            assert rig.world.cuts == [(PEER.public, "sent a wrong ledger")] * cuts

    run(main)


def notices_of_a_flood() -> int:
    async def main() -> None:
        def script(event: Event) -> Step | None:
            match event:
                case HeadSeen(height=height):
                    return Step(notify=(Notice("fault", f"wrong in way {height}", {"member": PEER.public}),))
            return None

        async with Rig(script).running() as rig:
            for height in range(10 * MAX_NOTICES_AT_ONCE):
                await rig.driver.heartbeat(PEER.public, encode_beat(height, 0, "sharing"))
            await trio.testing.wait_all_tasks_blocked()
            told.append(len(rig.notices))

    told: list[int] = []
    run(main, autojump=True)
    return told[0]


def test_faults_at_any_rate_do_not_fill_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notices_of_a_flood() == MAX_NOTICES_AT_ONCE
    monkeypatch.setattr("coterie.peer.driving.driver.LOUD", frozenset())
    assert notices_of_a_flood() == 10 * MAX_NOTICES_AT_ONCE


def test_nobody_waits_for_a_member_that_sends_more_than_its_share() -> None:
    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            await rig.driver.pace(PEER.public, True)
            await rig.driver.pace(PEER.public, False)
            assert rig.node.events[1:] == [PeerDown(PEER.public), PeerUp(PEER.public)]
            assert [notice.kind for notice in rig.notices] == ["overrun"]

    run(main)


def test_timers_go_off_in_the_order_of_their_time() -> None:
    async def main() -> None:
        step = Step(timers=(SetTimer(3000, "c"), SetTimer(1000, "a"), SetTimer(2000, ("b", 1))))
        async with Rig(on(PeerUp, step)).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await trio.sleep(10)
            keys: list[Hashable] = [event.key for event in rig.node.events if isinstance(event, TimerFired)]
            assert keys == ["a", ("b", 1), "c"]

    run(main, autojump=True)


@dataclass(frozen=True)
class Job:
    """Work that reports how many of its kind run at once."""

    active: list[int]
    most: list[int]
    lock: Any
    label: str = "job"

    def run(self) -> str:
        with self.lock:
            self.active[0] += 1
            self.most[0] = max(self.most[0], self.active[0])
        with self.lock:
            self.active[0] -= 1
        return "done"


@dataclass(frozen=True)
class Failing:
    """Work that fails."""

    error: BaseException
    label: str = "failing"

    def run(self) -> None:
        raise self.error


def test_work_comes_back_as_an_event_and_never_more_than_two_at_a_time() -> None:
    async def main() -> None:
        job = Job([0], [0], threading.Lock())
        async with Rig(on(PeerUp, Step(work=(job,) * 20))).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.node.events) == 22)
            assert rig.node.events[2:] == [WorkDone(job, "done")] * 20
            assert job.most[0] <= MAX_JOBS

    run(main)


@pytest.mark.parametrize(
    ("error", "told"),
    [(ValueError("NaN in the update"), "ValueError: NaN in the update"), (SystemExit(3), "SystemExit: 3")],
)
def test_failing_work_comes_back_with_its_reason(error: BaseException, told: str) -> None:
    async def main() -> None:
        async with Rig(on(PeerUp, Step(work=(Failing(error),)))).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.node.events) == 3)
            assert rig.node.events[2] == WorkDone(Failing(error), error=told)

    run(main)


def test_training_goes_to_the_application() -> None:
    async def main() -> None:
        train = Train(7, "train", b"", None)
        async with Rig(on(PeerUp, Step(work=(train,)))).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.node.events) == 3)
            assert rig.node.events[2] == WorkDone(train, Contribution(7, (), b"e" * 32))

    run(main)


def test_blocks_are_read_from_the_store() -> None:
    async def main() -> None:
        read = ReadBlocks(PEER.public, 3)
        async with Rig(on(PeerUp, Step(work=(read,)))).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.node.events) == 3)
            assert rig.node.events[2] == WorkDone(read, (CertifiedBlock(b"3", ()),))

    run(main)


def test_a_request_to_join_may_be_passed_on() -> None:
    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            await rig.driver.frame(PEER.public, envelope(JoinRequest("new", "m", b"", b""), sender=OTHER), None)
            await rig.until(lambda: len(rig.node.events) == 2)
            assert rig.driver.faults == {}

    run(main)


def test_a_fetched_blob_comes_back_with_its_message_and_a_missing_one_as_a_failure() -> None:
    async def main() -> None:
        message = verified(GetBlocks(1))
        have, lack = Fetch(PEER.public, b"h" * 32, 3, message), Fetch(PEER.public, b"l" * 32, 3, message)
        rig = Rig(on(PeerUp, Step(fetch=(have, lack))), blobs={b"h" * 32: b"abc"})
        async with rig.running():
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.node.events) == 4)
            assert Received(message, b"abc") in rig.node.events
            assert FetchFailed(lack, "not offered") in rig.node.events

    run(main)


def test_heartbeats_tell_the_ledgers_height_and_only_news_reaches_the_node() -> None:
    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            status = decode_beat(rig.world.beat_status)
            assert status is not None
            assert (status.height, status.round, status.phase) == (0, STATE.round, str(STATE.phase))
            for height in (4, 4, 5):
                await rig.driver.heartbeat(PEER.public, encode_beat(height, 0, "sharing"))
            await rig.driver.heartbeat(PEER.public, b"nonsense")
            await rig.until(lambda: len(rig.node.events) == 3)
            assert rig.node.events[1:] == [HeadSeen(PEER.public, 4), HeadSeen(PEER.public, 5)]
            assert rig.driver.faults[PEER.public].total() == 1

    run(main)


def test_a_change_of_the_members_refreshes_the_links() -> None:
    async def main() -> None:
        rig = Rig(lambda event: None)

        def script(event: Event) -> Step | None:
            if isinstance(event, PeerUp):
                rig.node.state = replace(STATE, members=STATE.members[:2])
                return Step(send=(Send(PEER.public, b"x"),))
            return None

        rig.node.script = script
        async with rig.running():
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: rig.world.of("refresh") == [()])

    run(main)


def test_the_user_can_leave() -> None:
    async def main() -> None:
        async with Rig(lambda event: None).running() as rig:
            rig.driver.leave()
            await rig.until(lambda: rig.node.events[-1] == Leave())

    run(main)


def test_a_closed_round_is_tidied_up_after_its_sends() -> None:
    async def main() -> None:
        step = Step((RoundClosed(1),), (Send(PEER.public, b"x"),))
        async with Rig(on(PeerUp, step)).running() as rig:
            await rig.driver.peer_up(PEER.public)
            await rig.until(lambda: len(rig.world.log) == 3)
            assert [entry[0] for entry in rig.world.log] == ["persist", "send", "tidy"]

    run(main)
