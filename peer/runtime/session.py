"""One run of a peer: it founds, remembers or finds its federation, takes part in it, and says goodbye.

The run ends when the user stops it, when the training is finished and all members have the result, when the peer has
left or was removed, or at a problem that only the user can solve.
"""

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, astuple, replace
from functools import partial
from itertools import islice
from typing import Final

import msgspec
import trio
from trio import TaskStatus  # type: ignore[attr-defined]

from ...crypto.identity.identity import Identity
from ...protocol.events import Notice, NoticeKind
from ...protocol.jobs import Contribution, Train
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.state import LedgerError, Phase
from ...protocol.limits import SYNC_BATCH_BLOCKS
from ...protocol.messages.kinds import CertifiedBlock
from ...protocol.node import Newcomer, Node
from ...protocol.round.sharing import Sharing
from ..control.client import Json
from ..control.server import ControlServer
from ..driving.compilation import compile_once
from ..driving.driver import Driver
from ..driving.workers import Workers
from ..errors import Exit, PeerError
from ..federation.consent import NoConsent
from ..federation.finding import Discovery
from ..federation.joining import tell_trouble
from ..home.facts import ADDRESSES, DEPARTED, OWN_ADDRESSES
from ..home.folder import Home
from ..home.page_address import page_place, read_token
from ..home.settings import Settings
from ..home.sqlite import StoreError, damaged
from ..home.store import Reader, Store
from ..learning.metrics import measures, measures_text, of_which_model
from ..learning.row_owners import LastSum
from ..member_names import in_words, told_names, told_text
from ..network.address_text import dial_place, listen_place, short_place, tcp_ports, with_ports
from ..network.link import Timing
from ..network.link_events import Connected, Disconnected, Refused, Report
from ..network.network import Network
from ..network.transport.addresses import AddressError, BadRecord
from ..network.transport.host import ListenError
from ..page.block_rows import LedgerRows
from ..page.history import History
from ..page.server import PageServer
from ..reporting.leaving import Stay, awaited, names_told, still_needed
from ..reporting.quorum_watch import Held, Joining, Lack, Watch, abstention, joining, kept_out, named, pause, shortage
from ..reporting.reporters import Reporter, plain_facts
from ..reporting.status import faults_status, gone_names, late_status, ledger_status, members_status
from ..reporting.voids import VoidRounds, newest_voids
from ..reporting.waiting import Waiting, awaited_in_round
from ..system.app_workers import own_places
from ..system.malloc import keep_out_of_collections
from ..system.stop_signals import StopSignals, stop_signals
from ..tracking.feed import Tracking
from ..tracking.trackers import Run, targets
from ..training.late_training import LateTraining
from ..training.trainer import (
    Trainer,
)
from .departure import GOODBYE_SECONDS, REFRESH_SECONDS, check_not_gone, withdraw
from .run_end import RunEnd
from .run_texts import NO_BEGINNING, end_text, finished_text, founded, left_text
from .stranger_log import MINUTE_SECONDS, StrangerLog
from .way_in import WayIn

BOOK_SECONDS: Final = 1.0
DOUBLE_SECONDS: Final = 5.0
"""How long a copied home looks for another peer with its key before it takes part."""
ANSWERS_OF_A_DOUBLE: Final = 3
"""How many answers to our own address records it takes to believe that another peer has our key, if this home is not
known to be a copy.
"""
ADMISSION_SECONDS: Final = 10.0
"""How long a newcomer waits to be admitted before its user is told why. Most wait for a moment only."""
STUCK_SECONDS: Final = 5.0
"""How long a sum waits for members before users are told. It waits for moments while members start or thaw."""
_BY_STRANGERS: Final = frozenset({"bad-frame", "refused"})
"""Kinds of notices that a stranger can cause as often as it likes."""


class Session:
    """A peer from start to stop. The caller holds the home's lock."""

    _page: PageServer | None = None
    """None if no page is asked for."""
    _has_told_kept_out = False
    """Whether it was told that the current standstill keeps newcomers out."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        identity: Identity,
        store: Store,
        report: Reporter,
        answer: "Callable[[Session, Json], Awaitable[Json]]",
        tasks: "Iterable[Callable[[Session], Awaitable[None]]]" = (),
    ) -> None:
        """Prepare a run.

        Args:
            home: the home of this peer.
            settings: its options.
            identity: its key.
            store: its store, which is open.
            report: shows its user what happens.
            answer: answers a request of the control socket.
            tasks: what else runs while this peer takes part.
        """
        self.home = home
        self.identity = identity
        self.store = store
        self.report = report
        self.way_in = WayIn(home, settings, identity, store, report)
        self.node: Node | None = None
        self.driver: Driver | None = None
        self.ending = RunEnd(identity.public)
        self.asked = StopSignals()
        self._tasks = tuple(tasks)
        self._trainer: Trainer | None = None
        self._control = ControlServer(home.socket_path, lambda request: answer(self, request))
        self._page = self._make_page()
        self.tracking = Tracking(targets(settings), home.folder, lambda: astuple(self.network.traffic()), self.tell)
        self._started = time.monotonic()
        self._book: bytes | None = None
        self._strangers = StrangerLog()
        self._standstill = Watch(settings.dead_after)
        self._stuck = Held(STUCK_SECONDS)
        self._admission = {lack: Watch(ADMISSION_SECONDS) for lack in Lack}
        self._waiting = Waiting()
        self._lateness = LateTraining(app=settings.app_name)
        self._voids = VoidRounds()
        self._sharing: Sharing | None = None
        """The sharing of the newest round whose start was told. It holds why members sat the round out, in their words.
        It is kept here until the end of the round is told, since the node may have begun the next round by then.
        """
        self._left_out: str | None = None
        """Why the last round had no update of this peer."""
        self._pause = Watch(0, end="training goes on: enough members are here again")
        self._gone: dict[bytes, str] = {}
        """The names of those that were members."""
        self._last_sum: LastSum | None = None

    @property
    def settings(self) -> Settings:
        """The options of this peer."""
        return self.way_in.settings

    @property
    def genesis(self) -> Genesis | None:
        """The federation; None until it is known."""
        return self.way_in.genesis

    # From start to stop.

    async def run(self) -> Exit:
        """Run; return how it ended.

        Raises:
            PeerError: a problem that only the user can solve.
            Exception: a bug of ours.
        """
        self.way_in.open_invite()
        async with trio.open_nursery() as nursery:
            await nursery.start(self._heed_signals)
            await self._unless_stopped(self.way_in.remember)
            if self.ending.over.is_set():
                self._tell_no_beginning()
            else:
                self.network = self._make_network()
                discovery = Discovery(self.settings, self.identity, self.network, self.way_in.wanted)
                # What rounds need is compiled now, before any other peer could wait for this one.
                await self._unless_stopped(partial(compile_once, self.tell))
                if self.ending.over.is_set():
                    self._tell_end()
                else:
                    await self._take_part(discovery, nursery)
            nursery.cancel_scope.cancel()
        if self.ending.failure is not None:
            raise self.ending.failure
        return self.ending.code

    async def _unless_stopped(self, task: Callable[[], Awaitable[None]]) -> None:
        """Do a task that takes a while, up to its end or the end of the run."""
        async with trio.open_nursery() as race:

            async def stop() -> None:
                await self.ending.over.wait()
                race.cancel_scope.cancel()

            race.start_soon(stop)
            await task()
            race.cancel_scope.cancel()

    async def _take_part(self, discovery: Discovery, nursery: trio.Nursery) -> None:
        """Listen, and take part until the run is over."""
        try:
            addresses = await nursery.start(self.network.run)
        except* ListenError as group:
            text = f"--listen: {group.exceptions[0]}"
            if self.store.copied:
                text += ". This home is a copy: if the peer that it was copied from has the port, go on with that one"
            raise PeerError(text, Exit.PORT) from None
        async with self._control.serving(), self._serving_page(), trio.open_nursery() as living:
            self._tell_listening(addresses)
            for task in (self._live, partial(self._discover, discovery), self._end_if_doubled):
                living.start_soon(self._or_fail, task)
            await self.ending.over.wait()
            await withdraw(self.node, self.driver, self.ending)
            await self.tracking.settle()
            self._tell_end()
            living.cancel_scope.cancel()
        with trio.move_on_after(GOODBYE_SECONDS):
            await self.network.stop()

    @asynccontextmanager
    async def _serving_page(self) -> AsyncIterator[None]:
        """Serve the page, if one is asked for."""
        if self._page is None:
            yield
            return
        async with self._page.serving() as place:
            own_places([place.port], self.home.socket_path)
            self.tell("page", f"the page of this peer: {place.url}", {"url": place.url})
            yield

    async def _or_fail(self, task: Callable[[], Awaitable[None]]) -> None:
        """Do a task; if it fails, end the run in good order, so that the others get their goodbye first."""
        try:
            await task()
        except Exception as error:
            self.ending.fail(first_cause(error))

    async def _discover(self, discovery: Discovery) -> None:
        """Look for peers beyond the addresses that are known."""
        await discovery.run(lambda address: self.tell("dht", f"DHT node at {address}", {"address": str(address)}))

    async def _end_if_doubled(self) -> None:
        """End if another peer with the same key runs: the two would sign contradicting votes, and be evicted for them.

        Of a home and its copy, the copy ends, since it knows that it is one. If neither knows it, both end.
        """
        doubles = self.network.doubles
        await doubles.wait(1 if self.store.copied else ANSWERS_OF_A_DOUBLE)
        raise PeerError(
            f"{self.home.folder}: another peer with the key of this home is running, at"
            f" {', '.join(doubles.addresses) or 'an address that it does not tell'}. Their votes would contradict each"
            " other, and the member would be evicted, so this one ends. Go on with one home only, and delete the other",
            Exit.HOME,
        )

    async def _live(self) -> None:
        """Find the federation if need be, then be a member of it."""
        if self.genesis is None:
            with trio.move_on_after(self.settings.join_timeout or math.inf):
                await self.way_in.find(self.network)
        if self.genesis is None:
            text = f"no member could be reached within {self.settings.join_timeout:g} s; check the address"
            self.ending.end(Exit.UNREACHABLE, f"{text}, the port and the firewall (`peer doctor`)")
            return
        if self.store.copied:
            text = f"this home was moved or copied: looking for another peer with its key for {DOUBLE_SECONDS:g} s"
            self.report.event("looking-for-double", text, {"seconds": DOUBLE_SECONDS})
            await trio.sleep(DOUBLE_SECONDS)  # `_end_if_doubled` ends this peer meanwhile if there is one
        self._make_node(self.genesis)
        assert self.node is not None
        if self.node.state.phase is not Phase.FINISHED:
            await self.way_in.tell_table_once()
        keep_out_of_collections()
        assert self.driver is not None
        async with trio.open_nursery() as nursery:
            for task in (self._pump, self._keep_book, self._refresh, self._watch, self._sum_up_strangers):
                nursery.start_soon(task)
            for other in self._tasks:
                nursery.start_soon(other, self)
            nursery.start_soon(self.tracking.run, Run(self.genesis.name, self.genesis.federation.hex(), self._id))
            nursery.start_soon(self.driver.workers.warm_up)
            await self.driver.run()

    # Making the parts.

    def _make_page(self) -> PageServer | None:
        if not self.settings.page:
            return None
        file = self.settings.page_token_file
        return PageServer(
            page_place(self.settings.page),
            None if file is None else read_token(file),
            self.status,
            History(
                lambda: astuple(self.network.traffic()),
                own_loss=lambda number: None if self._trainer is None else self._trainer.own_loss(number),
            ),
            LedgerRows(self.home.folder),
        )

    def _make_network(self) -> Network:
        genesis = self.genesis
        try:
            return Network(
                self.identity,
                [listen_place(text) for text in self.settings.listen],
                allow=self._allow,
                name=self.settings.name,
                federation=b"" if genesis is None else genesis.federation,
                genesis=b"" if genesis is None else genesis.encode(),
                bootstrap=self.way_in.addresses(),
                announce=[dial_place(text, "--announce") for text in self.settings.announce],
                timing=Timing(beat_seconds=self.settings.heartbeat, dead_seconds=self.settings.dead_after),
            )
        except AddressError as error:
            raise PeerError(str(error)) from None
        except ListenError as error:
            raise PeerError(f"--listen: {error}", Exit.PORT) from None

    def _allow(self, member: bytes) -> bool | None:
        """Return whether a peer is a member or has a part in the current round; None as long as this peer is no member.

        A peer that is no member may not have the ledger that says who the members are.
        """
        if self.node is None or (state := self.node.state).member(self.identity.public) is None:
            return None
        # Newcomers about to be admitted count, too: their address may come before the block that admits them.
        known = member in state.audience or member in self.node.ctx.pool.candidates
        return known and member != self.identity.public

    def _make_node(self, genesis: Genesis) -> None:
        assert self.way_in.learner is not None
        memory = self.store.load()
        newcomer = Newcomer(self.settings.name, genesis.model, self.way_in.invite, self.ending.rejoins)
        try:
            self.node = Node(self.identity, genesis, memory, newcomer)
        except LedgerError as error:
            raise StoreError(damaged(self.store.path, f"its ledger: {error}")) from None
        self._gone = gone_names(self.node.state, memory.blocks)
        self._last_sum = LastSum(self.node.state, memory.blocks, self._read_blocks)
        self._voids = newest_voids(memory.blocks)
        self._lateness.deadline_seconds = genesis.share_deadline_ms / 1000
        self.ending.has_invite = self.way_in.invite is not None
        self.ending.join_again = f"peer start {self.home.option}"
        if self.node.state.phase is Phase.FINISHED:
            state = self.node.state
            text = finished_text(state, self.settings, self.home)
            self.tell("finished", text, {"rounds": state.trained, "height": state.height})
        # A home with totals in its ledger has trained before, and has told then what they show.
        is_first = self.node.state.height == 0 or self.node.state.totals is None
        trainer = Trainer(self.way_in.learner, 2.0**genesis.clip_exponent, tells_oddities=is_first)
        self._trainer = trainer
        consent = self.way_in.consent(genesis)

        def contribute(work: Train) -> Contribution:
            assert self.node is not None
            consent.check(self.node.state.committee)
            if work.round != self.node.state.round:
                raise ValueError(f"round {work.round} is over")  # while this waited for the training before it
            self._lateness.begin(work.round, time.monotonic())
            try:
                return trainer(work)
            finally:
                self._lateness.end(work.round, time.monotonic())
                self._keep_measured(trainer, work.round)

        self.driver = Driver(
            self.node,
            self.identity.public,
            self.store,
            self.network,
            Workers(contribute, trainer.prepare, self._read_blocks),
            self._on_notice,
        )
        me = self.identity.public
        departed = self.store.fact(DEPARTED)
        if not self.ending.rejoins and check_not_gone(self.node.state, me, memory.blocks, self.home, departed):
            state = self.node.state
            self.tell("leaving", left_text(state, me, self.home), {"round": state.round})
            self.ending.asked_to_leave = True
            self.ending.left.set()
            self.driver.leave()
        book = self.store.fact(ADDRESSES)
        with suppress(BadRecord, msgspec.DecodeError):
            self.network.learn(msgspec.msgpack.decode(book or b"\x90", type=list[bytes]))
        self.network.refresh()

    def _keep_measured(self, trainer: Trainer, round: int) -> None:
        """Keep the figures over this site's own rows for `peer metrics`. The round itself reports a full disk."""
        measured = trainer.measured(round)
        if measured is not None:
            with suppress(StoreError):
                self.store.keep_measured(round, measured)

    def _read_blocks(self, start: int) -> tuple[CertifiedBlock, ...]:
        with Reader.open(self.home.folder) as reader:
            blocks = islice(reader.blocks(start), SYNC_BATCH_BLOCKS)
            return tuple(CertifiedBlock(one.block, one.certificate) for one in blocks)

    # What runs beside the driver.

    async def _pump(self) -> None:
        """Have the driver hear what members say, and hear here of links that come and go."""
        assert self.driver is not None
        for member in self.network.connected():
            await self.driver.peer_up(member)
        await self.network.hand_over(self.driver, self._on_event)
        async for event in self.network.inbound:
            await self.network.pass_on(event)

    async def _on_event(self, event: Report) -> None:
        assert self.driver is not None
        match event:
            case Connected(member=member, greeting=greeting, is_stranger=is_stranger):
                if is_stranger:
                    self._strangers.linked(member)
                else:
                    facts = {"member": member, "name": greeting.name}
                    name = self._name(member) or greeting.name or "a peer"
                    self.tell("link-up", f"linked to {in_words(name)}", facts)
                self._look_for_shortage()
                await self.driver.peer_up(member)
            case Disconnected(member=member, reason=reason, is_stranger=is_stranger):
                if not is_stranger:
                    self.tell("link-down", f"link lost: {reason}", {"member": member, "who": self._name(member)})
                self._look_for_shortage()
                await self.driver.peer_down(member)
            case Refused(reason=reason, is_stranger=True):
                self._strangers.refused(reason)
            case _:
                tell_trouble(event, self.report.event)

    async def _sum_up_strangers(self) -> None:
        """Tell once a minute what strangers did."""
        while True:
            await trio.sleep(MINUTE_SECONDS)
            told = self._strangers.sum_up(self.network.turned_away())
            if told is not None:
                self.tell("strangers", *told)

    async def _keep_book(self) -> None:
        """Keep the address book in the store, so that after a restart one address that still works is enough."""
        while True:
            await trio.sleep(BOOK_SECONDS)
            await self._save_book()

    async def _save_book(self) -> None:
        book = msgspec.msgpack.encode(self.network.records())
        if book != self._book:
            await trio.to_thread.run_sync(self.store.keep, ADDRESSES, book)
            self._book = book

    async def _refresh(self) -> None:
        while self.report.wants_status:
            self.report.refresh(self.status())
            await trio.sleep(REFRESH_SECONDS)

    async def _watch(self) -> None:
        """Look regularly for troubles to tell, such as too few members that can be reached."""
        while True:
            self._look_for_shortage()
            await trio.sleep(REFRESH_SECONDS)

    def _look_for_shortage(self) -> None:
        """Look for troubles that have lasted, and tell each one once.

        This is called on every change of a link, too: a member that was there for a moment ends a trouble that was
        told before.
        """
        assert self.node is not None
        self._look_for_admission()
        self._look_for_pause()
        self._look_for_wait()
        self._look_for_lateness()
        held = self._stuck.look(self.node.is_stuck, trio.current_time())
        if held is not None:
            self._tell_notice(held)
        shortage = self._shortage()
        told = self._standstill.look(shortage, trio.current_time())
        if told is not None:
            self.tell("stalled" if shortage else "going-on", told, {"height": self.node.state.height})
        self._look_for_newcomers(shortage)

    def _look_for_newcomers(self, shortage: str | None) -> None:
        """Tell, once in a standstill, that a newcomer waits for its end."""
        assert self.node is not None
        self._has_told_kept_out &= shortage is not None
        if self._standstill.is_told and not self._has_told_kept_out and (text := self._kept_out()):
            self._has_told_kept_out = True
            self.tell("kept-out", text, {"height": self.node.state.height})

    def _look_for_admission(self) -> None:
        """Tell, once for each reason, why this newcomer is not admitted."""
        wait = self._joining()
        if wait is None:
            return
        for lack, watch in self._admission.items():
            text = wait.text if wait.lack is lack else None
            if watch.look(text, trio.current_time()) is not None and text is not None:
                self.tell("not-admitted", text, {"lacks": lack.name.lower()})

    def _look_for_pause(self) -> None:
        """Tell when training pauses for want of members. Before it has begun, the text of the founding says so."""
        assert self.node is not None
        state = self.node.state
        trouble = self._paused() if state.sums is not None else None
        told = self._pause.look(trouble, trio.current_time())
        if told is not None:
            self.tell("paused" if trouble else "unpaused", told, {"height": state.height})

    def _look_for_wait(self) -> None:
        """Tell, once a round, that it has waited long for members that are there."""
        assert self.node is not None
        wait = awaited_in_round(self.node)
        if self._waiting.look(wait, trio.current_time()) and wait is not None:
            self.tell("waiting", self._waits() or "", {"round": wait.round, "members": wait.members})

    def _look_for_lateness(self) -> None:
        """Tell each time that the training here took so long that the round went on without it."""
        for round, text in self._lateness.look(time.monotonic()):
            self._left_out = text
            self.tell("late", text, {"round": round})

    def _note_round(self, kind: str, facts: Json) -> None:
        """Keep what `peer status` tells of rounds without a result, and of rounds without this peer's update."""
        assert self.node is not None
        match kind:
            case "round":
                self._sharing = self.node.ctx.sharing
            case "sitting-out":
                self._left_out = f"sat out round {facts['round']}: {facts['reason']}"
            case "contributors" if self.identity.public in facts["members"]:
                self._left_out = None
            case "contributors":
                self._lateness.leave_out(facts["round"])
            case "void":
                self._voids.add(facts["round"], facts["reason"], facts["members"])
                sharing = self._sharing
                if sharing is not None and sharing.round == facts["round"]:
                    members = sharing.committee.members
                    self._voids.said |= {members[place]: reason for place, reason in sharing.sat_out.items()}
                if self.identity.public in facts["members"]:
                    self._lateness.leave_out(facts["round"])
            case _:
                pass

    def _waits(self) -> str | None:
        assert self.node is not None
        return self._waiting.text(self.node, trio.current_time(), self._gone)

    def _paused(self) -> str | None:
        assert self.node is not None
        state = self.node.state
        return pause(state, self.home) if state.member(self.identity.public) is not None else None

    def _shortage(self) -> str | None:
        assert self.node is not None
        sought = {row.member: [short_place(place) for place in row.addresses] for row in self.network.peers()}
        connected = self.network.connected()
        return shortage(self.node.state, self.identity.public, connected, self.home, self._gone, sought)

    def _joining(self) -> Joining | None:
        assert self.node is not None
        state, me = self.node.state, self.identity.public
        if state.member(me) is not None or self.ending.asked_to_leave or self.ending.left.is_set():
            return None
        return joining(state, me, self.network.connected(), self._gone)

    def _kept_out(self) -> str | None:
        assert self.node is not None
        node = self.node
        return kept_out(node.state, self.identity.public, self.network.connected(), node.ctx.pool.names, self._gone)

    def stay(self) -> Stay | None:
        """Return why this peer, which left, does not stop yet; None if nothing keeps it."""
        assert self.node is not None
        return still_needed(self.node.state, self.identity.public, self.network.connected(), self.home, self._gone)

    def awaited(self) -> str:
        """Return what this peer, which has asked to leave, waits for."""
        assert self.node is not None
        return awaited(self.node.state, self.identity.public, self.network.connected(), self._gone)

    def _leaving(self) -> str | None:
        if not self.ending.asked_to_leave:
            return None
        if not self.ending.left.is_set():
            return f"asked to leave; {self.awaited()}"
        stay = self.stay()
        return "left; stops now" if stay is None else stay.text

    async def _heed_signals(self, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with trio.open_signal_receiver(*stop_signals()) as signals:
            if self.asked.count:
                self.ending.end(Exit.OK, "stopped")
            task_status.started()
            async for _ in signals:
                self.asked.count += 1
                if self.ending.over.is_set():
                    raise KeyboardInterrupt
                self.ending.end(Exit.OK, "stopped")

    # What users are told.

    def tell(self, kind: str, text: str, facts: Json) -> None:
        """Tell an event: to the user, to programs that watch the control socket, to the page and to the trackers."""
        self.report.event(kind, text, facts)
        plain = plain_facts(facts)
        self._control.tell({"event": kind, "text": text, **plain})
        if self._page is not None:
            self._page.tell(kind, text, plain)
        self.tracking.take(kind, text, plain)

    def _name(self, member: bytes) -> str:
        known = None if self.node is None else self.node.state.member(member)
        return told_names(self.node.state)[member] if self.node is not None and known is not None else ""

    def _on_notice(self, notice: Notice) -> None:
        if notice.kind == NoticeKind.STUCK:
            self._stuck.hold(notice, trio.current_time())
        else:
            self._tell_notice(notice)

    def _tell_notice(self, notice: Notice) -> None:
        assert self.node is not None
        facts = dict(notice.facts)
        member = facts.get("member")
        if notice.kind in _BY_STRANGERS and isinstance(member, bytes) and self.network.is_stranger(member):
            self._strangers.refused(notice.text)
            return
        if isinstance(member, bytes) and "name" not in facts:
            facts["who"] = self._name(member)
        if notice.kind == NoticeKind.LEFT and isinstance(member, bytes):
            self._gone[member] = facts["name"]
        text = told_text(notice, self.node.state)
        if notice.kind in (NoticeKind.STUCK, NoticeKind.VOID):
            text = names_told(text, (*facts["members"], *filter(None, [facts.get("proposer")])), self._gone)
        if notice.kind == NoticeKind.STUCK:
            text = text.replace("peer refound --home HOME", f"peer refound {self.home.option}")
        if notice.kind == NoticeKind.RESUMING and self.node.state.phase is Phase.FINISHED:
            text = f"this home has the whole ledger of the training, up to height {self.node.state.height}"
        if notice.kind == NoticeKind.REFUSED and self.ending.lacks_invite(self.node.state):
            text = "refused: an invite is needed"
        if notice.kind == NoticeKind.CLIPPED and self._trainer is not None:
            facts["advice"] = self._trainer.clip_advice()
        if notice.kind in (NoticeKind.CONTRIBUTORS, NoticeKind.MODEL):
            assert self._last_sum is not None
            self._last_sum.on_notice(notice)
        if notice.kind == NoticeKind.MODEL:
            assert self._last_sum is not None
            shown = measures(self.node.state.genesis.model, facts.get("loss"), facts.get("metrics", {}))
            facts["measures"] = shown
            if shown:
                whose = self._last_sum.told(self.node.state, facts)
                facts["measured"] = whose.json()
                text += f"; {of_which_model(facts['kind'])} {measures_text(shown)}, {whose.text()}"
        self._note_round(notice.kind, facts)
        if notice.kind == NoticeKind.VOID:
            text += "".join(
                f"; {named(self.node.state, (member,), self._gone)} said: {self._voids.said[member]}"
                for member in facts["members"]
                if member in self._voids.said
            )
        self.tell(notice.kind, text, facts)
        self.ending.on_notice(replace(notice, text=text), self.node.state)
        if notice.kind == NoticeKind.COMMITTEE:
            self._check_consent()

    def _check_consent(self) -> None:
        """End the run if the operator has not accepted what holds for the present committee.

        The default threshold follows the number of members, so a federation that grows may need a new consent.
        """
        assert self.genesis is not None
        assert self.node is not None
        try:
            self.way_in.consent(self.genesis).check(self.node.state.committee)
        except NoConsent as error:
            self.ending.fail(error)

    def _tell_listening(self, addresses: list[str]) -> None:
        self.store.keep(OWN_ADDRESSES, msgspec.msgpack.encode(addresses))
        own_places(tcp_ports(addresses), self.home.socket_path)
        self.tell("listening", f"listening on {', '.join(addresses)}", {"addresses": addresses, "id": self._id})
        self.way_in.settings = self.settings.with_given({"listen": with_ports(self.settings.listen, addresses)})
        genesis = self.genesis
        if genesis is not None:
            self.way_in.keep()
        if genesis is None or genesis.founder != self.identity.public or self.store.height() > 0:
            return
        self.tell("founded", *founded(genesis, self.identity, addresses))

    @property
    def _id(self) -> str:
        return self.identity.peer_id

    def _tell_no_beginning(self) -> None:
        self.tell("stopped", NO_BEGINNING, {"exit": int(self.ending.code), "on_stderr": False})

    def _tell_end(self) -> None:
        if self.ending.code is Exit.OK:
            self.way_in.keep()
        text = end_text(self.ending, self.node, self.home)
        # An error is told on standard error, by the command itself.
        self.tell("stopped", text, {"exit": int(self.ending.code), "on_stderr": self.ending.failure is not None})

    def status(self) -> Json:
        """Return what `peer status` shows."""
        status: Json = {
            "running": True,
            "id": self._id,
            "name": self.settings.name,
            "home": str(self.home.folder),
            "uptime_seconds": round(time.monotonic() - self._started, 1),
            "addresses": self.network.addresses(),
            "page": None if self._page is None else self._page.url,
            "tracking": self.tracking.status(),
            "traffic": asdict(self.network.traffic()),
            "members": [],
            "search": None,
        }
        if self.genesis is None:
            status["search"] = {"addresses": list(self.way_in.addresses()), "trouble": self.way_in.trouble}
        if self.node is not None and self.driver is not None:
            me = self.identity.public
            wanted = self._joining()
            own_name = "" if wanted is None else self.settings.name
            status["members"] = members_status(self.node.state, me, self.network.peers(), self._gone, own_name)
            status["joining"] = None if wanted is None else wanted.text
            status |= ledger_status(self.node.state, self.node.view, self._last_sum)
            status["leaving"] = self._leaving()
            status["paused"] = self._paused()
            status["stalled"] = self._shortage()
            status["kept_out"] = self._kept_out()
            wait = self._waiting.of(self.node.state.round)
            status["waits"] = None if wait is None else self._waits()
            status["void"] = self._voids.facts(self.node.state)
            status["voids"] = self._voids.text(self.node.state, self._gone)
            status["left_out"] = self._left_out
            status["late"] = late_status(wait, self._waiting.seconds(trio.current_time()))
            is_finished = self.node.state.phase is Phase.FINISHED
            status["abstains"] = abstention(self.node.ctx.guard, self.node.ctx.height, is_finished=is_finished)
            status["fetching"] = list(self.driver.fetching.values())
            status["working"] = list(self.driver.workers.running.values())
            status["faults"] = faults_status(self.driver.faults)
        return status


def first_cause(error: BaseException) -> BaseException:
    """Return the exception inside of the groups that nurseries make; a PeerError if there is one."""
    while isinstance(error, BaseExceptionGroup):
        error = next((one for one in error.exceptions if isinstance(one, PeerError)), error.exceptions[0])
    return error
