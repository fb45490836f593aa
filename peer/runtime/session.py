"""One run of a peer: it founds, remembers or finds its federation, takes part in it, and says goodbye.

The run ends when the user stops it, when the training is finished and all members have the result, when the peer has
left or was removed, or at a problem that only the user can solve.
"""

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, astuple
from functools import partial

import msgspec
import trio
from trio import TaskStatus  # type: ignore[attr-defined]

from ...crypto.identity.identity import Identity
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.phases import Phase
from ...protocol.node import Node
from ..control.client import Json
from ..control.server import ControlServer
from ..driving.compilation import compile_once
from ..driving.driver import Driver
from ..errors import Exit, PeerError
from ..federation.finding import Discovery
from ..home.facts import DEPARTED, OWN_ADDRESSES
from ..home.folder import Home
from ..home.page_address import page_place, read_token
from ..home.settings import Settings
from ..home.store import Store
from ..network.address_text import tcp_ports, with_ports
from ..network.transport.host import ListenError
from ..page.block_rows import LedgerRows
from ..page.history import History
from ..page.server import PageServer
from ..reporting.leaving import Stay
from ..reporting.reporters import Reporter, plain_facts
from ..system.app_workers import own_places
from ..system.malloc import keep_out_of_collections
from ..system.stop_signals import StopSignals, stop_signals
from ..tracking.feed import Tracking
from ..tracking.trackers import Run, targets
from .departure import GOODBYE_SECONDS, REFRESH_SECONDS, check_not_gone, withdraw
from .doubled_key import end_if_doubled, look_for_double
from .own_network import has_part, make_network
from .own_status import own_status
from .participant import Participant
from .run_end import RunEnd, first_cause
from .run_texts import NO_BEGINNING, end_text, finished_text, founded, left_text
from .way_in import WayIn


class Session:
    """A peer from start to stop. The caller holds the home's lock."""

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
        self.ending = RunEnd(identity.public, join_again=f"peer start {home.option}")
        self.asked = StopSignals()
        self._tasks = tuple(tasks)
        self._control = ControlServer(home.socket_path, lambda request: answer(self, request))
        self._page = self._make_page()
        """None if no page is asked for."""
        self.tracking = Tracking(targets(settings), home.folder, lambda: astuple(self.network.traffic()), self.tell)
        self._parts: Participant | None = None
        """What takes part in the federation; None until it is known."""
        self._started = time.monotonic()

    @property
    def settings(self) -> Settings:
        """The options of this peer."""
        return self.way_in.settings

    @property
    def genesis(self) -> Genesis | None:
        """The federation; None until it is known."""
        return self.way_in.genesis

    @property
    def node(self) -> Node | None:
        """The node; None until the federation is known."""
        return None if self._parts is None else self._parts.node

    @property
    def driver(self) -> Driver | None:
        """What drives the node; None until the federation is known."""
        return None if self._parts is None else self._parts.driver

    @property
    def _id(self) -> str:
        return self.identity.peer_id

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
                self.network = make_network(self.identity, self.way_in, lambda member: has_part(self.node, member))
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
            doubled = partial(end_if_doubled, self.home, self.network.doubles, is_copy=self.store.copied)
            for task in (self._live, partial(self._discover, discovery), doubled):
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
            await look_for_double(self.report)
        parts = self._make_parts()
        if parts.node.state.phase is not Phase.FINISHED:
            await self.way_in.tell_table_once()
        keep_out_of_collections()
        async with trio.open_nursery() as nursery:
            for task in (*parts.beside, self._refresh):
                nursery.start_soon(task)
            for other in self._tasks:
                nursery.start_soon(other, self)
            nursery.start_soon(self.tracking.run, Run(self.genesis.name, self.genesis.federation.hex(), self._id))
            nursery.start_soon(parts.driver.workers.warm_up)
            await parts.driver.run()

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
                own_loss=lambda number: None if self._parts is None else self._parts.trainer.own_loss(number),
            ),
            LedgerRows(self.home.folder),
        )

    def _make_parts(self) -> Participant:
        """Make what takes part in the federation, and tell what is special about this home."""
        memory = self.store.load()
        self.ending.has_invite = self.way_in.invite is not None
        self._parts = parts = Participant(
            self.way_in,
            memory,
            home=self.home,
            identity=self.identity,
            store=self.store,
            network=self.network,
            ending=self.ending,
            report=self.report,
            tell=self.tell,
        )
        state, me = parts.node.state, self.identity.public
        if state.phase is Phase.FINISHED:
            text = finished_text(state, self.settings, self.home)
            self.tell("finished", text, {"rounds": state.trained, "height": state.height})
        departed = self.store.fact(DEPARTED)
        if not self.ending.rejoins and check_not_gone(state, me, memory.blocks, self.home, departed):
            self.tell("leaving", left_text(state, me, self.home), {"round": state.round})
            self.ending.asked_to_leave = True
            self.ending.left.set()
            parts.driver.leave()
        parts.book.load()
        self.network.refresh()
        return parts

    # What users are told.

    def tell(self, kind: str, text: str, facts: Json) -> None:
        """Tell an event: to the user, to programs that watch the control socket, to the page and to the trackers."""
        self.report.event(kind, text, facts)
        plain = plain_facts(facts)
        self._control.tell({"event": kind, "text": text, **plain})
        if self._page is not None:
            self._page.tell(kind, text, plain)
        self.tracking.take(kind, text, plain)

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

    def _tell_no_beginning(self) -> None:
        self.tell("stopped", NO_BEGINNING, {"exit": int(self.ending.code), "on_stderr": False})

    def _tell_end(self) -> None:
        if self.ending.code is Exit.OK:
            self.way_in.keep()
        text = end_text(self.ending, self.node, self.home)
        # An error is told on standard error, by the command itself.
        self.tell("stopped", text, {"exit": int(self.ending.code), "on_stderr": self.ending.failure is not None})

    # What is asked of it.

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
        if self._parts is not None:
            status |= own_status(self._parts, self.network, self.settings.name)
        return status

    async def _refresh(self) -> None:
        while self.report.wants_status:
            self.report.refresh(self.status())
            await trio.sleep(REFRESH_SECONDS)

    def stay(self) -> Stay | None:
        """Return why this peer, which left, does not stop yet; None if nothing keeps it."""
        assert self._parts is not None
        return self._parts.situation.stay()

    def awaited(self) -> str:
        """Return what this peer, which has asked to leave, waits for."""
        assert self._parts is not None
        return self._parts.situation.awaited()
