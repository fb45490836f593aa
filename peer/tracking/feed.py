"""Writing the figures of each round to TensorBoard and MLflow as well.

The ledger and the figures in the home are the queue: each tracker reads from there what its place has not yet. It works
in a thread, one piece at a time, and rests between two pieces. After a failure it gives up all that it knows, waits,
and begins anew with reading back what is there. So a place that is gone for a while costs no memory, a figure whose
writing was not confirmed is not written twice, and a place that was emptied is filled again.
"""

import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import trio

from ...protocol.ledger.genesis import read_genesis
from ...protocol.ledger.state import LedgerState, apply, genesis_state
from ..home.facts import GENESIS
from ..home.store import Reader
from ..page.history import History
from ..reporting.round_table import Rounds, own_row
from ..reporting.status import Json
from .trackers import Point, Run, Target, Writer, plain_reason

__all__ = ["Tracker", "Tracking", "figure_name"]

MAX_BLOCKS: Final = 256
"""Blocks of the ledger in one piece of work."""
REST: Final = 3
"""How many times as long a tracker rests as it works, while it fills in: it shares the processor with the peer."""
FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 600.0
LAST_SECONDS: Final = 3.0
"""How long the end of the peer waits for figures that are not written yet."""

_NEWS: Final = frozenset({"model", "void", "late"})
"""Notices after which there may be new figures. If a training ends late, its own figures come after its round."""
_TIMES: Final = ("seconds", "sent_bytes", "received_bytes")
_PLAIN: Final = re.compile(r"[^A-Za-z0-9_.\- ]")

Tell = Callable[[str, str, Json], None]
InThread = Callable[[Callable[[], bool]], Awaitable[bool]]


async def _in_thread(work: Callable[[], bool]) -> bool:
    """Work in a thread, which the end of the peer does not wait for."""
    # The type stubs that come with libp2p describe an older trio.
    run: Any = trio.to_thread.run_sync
    result: bool = await run(work, abandon_on_cancel=True)
    return result


def figure_name(group: str, name: str) -> str:
    """Return a name that both packages take, whatever an app calls its metrics."""
    escape = re.compile(r".") if not name.strip(". ") else _PLAIN
    return f"{group}/{escape.sub(lambda found: f'_{ord(found[0]):x}_', name)}"


class Tracking:
    """All trackers of a peer; none unless the options ask for one."""

    def __init__(
        self, wanted: Sequence[Target], folder: Path, traffic: Callable[[], tuple[int, int]], tell: Tell
    ) -> None:
        """``folder``: the home. ``traffic``: bytes sent and received so far. ``tell``: receives notices for users."""
        self._history = History(traffic)
        self._trackers = [Tracker(one, folder, self._history.rounds, tell) for one in wanted]
        self._is_running = False

    @property
    def is_busy(self) -> bool:
        """Whether a thread works that cannot be interrupted."""
        return any(one.is_busy for one in self._trackers)

    def take(self, kind: str, text: str, plain: Json) -> None:
        """Take a notice of the peer, with plain facts: the trackers have to know when a round ends."""
        if not self._trackers:
            return
        self._history.take(kind, text, plain)
        if kind in _NEWS:
            for one in self._trackers:
                one.wake()

    def status(self) -> list[Json]:
        """Return what `peer status` shows."""
        return [{"place": one.shown, "trouble": one.trouble} for one in self._trackers]

    async def run(self, run: Run) -> None:
        """Write for as long as the peer is in its federation."""
        self._is_running = True
        try:
            async with trio.open_nursery() as nursery:
                for one in self._trackers:
                    nursery.start_soon(one.run, run)
        finally:
            self._is_running = False

    async def settle(self) -> None:
        """Give the trackers a moment for the last figures, before the peer ends."""
        if not self._is_running:
            return
        with trio.move_on_after(LAST_SECONDS):
            for one in self._trackers:
                await one.settled()
        for one in self._trackers:
            one.tell_rest()


class Tracker:
    """Keeps one place up to date with the ledger and the figures in a home."""

    def __init__(
        self, target: Target, folder: Path, timed: "deque[Json]", tell: Tell, in_thread: InThread = _in_thread
    ) -> None:
        """``timed``: seconds and bytes of the newest rounds, as the page has them."""
        self.shown = target.shown
        self.trouble: str | None = None
        """Why the last attempt failed."""
        self.is_busy = False
        self._target = target
        self._folder = folder
        self._timed = timed
        self._tell = tell
        self._in_thread = in_thread
        self._filling: _Filling | None = None
        self._woken = trio.Event()
        self._level = trio.Event()
        """Set while nothing more is to be written, or the place cannot be written to."""

    def wake(self) -> None:
        """Say that there may be new figures."""
        if self.trouble is None and self._level.is_set():
            self._level = trio.Event()
        self._woken.set()

    async def run(self, run: Run) -> None:
        """Write until cancelled, whatever the place does."""
        pause = FIRST_PAUSE_SECONDS
        self._tell("tracking", f"the figures of each round are also written to {self.shown}", {"place": self.shown})
        while True:
            self._woken = trio.Event()
            began = trio.current_time()
            try:
                has_more = await self._in_thread(lambda: self._work(run))
            except (Exception, SystemExit) as error:
                self._fail(error)
                await trio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                continue
            if has_more:
                await trio.sleep(REST * (trio.current_time() - began))
                continue
            pause = FIRST_PAUSE_SECONDS
            self._succeed()
            await self._woken.wait()

    async def settled(self) -> None:
        """Wait until all that is known is written. Does not wait for a place that cannot be written to."""
        await self._level.wait()

    def tell_rest(self) -> None:
        """Say at the end of the peer that something was not written."""
        if self.trouble is not None or not self._level.is_set():
            text = f"{self.shown}: not all figures are written yet; the next start of this peer fills them in"
            self._tell("tracking-behind", text, {"place": self.shown})

    def _work(self, run: Run) -> bool:
        """Do one piece of the work; return whether there is more. Runs in a thread."""
        self.is_busy = True
        try:
            if self._filling is None:
                writer = self._target.open(run)
                self._filling = _Filling(self._folder, writer, self._target.has_own, self._timed)
            return self._filling.step()
        except BaseException:
            self._filling = None
            raise
        finally:
            self.is_busy = False

    def _fail(self, error: BaseException) -> None:
        """Tell the first failure of several in a row."""
        is_first, self.trouble = self.trouble is None, plain_reason(error, self._target.secrets)
        self._level.set()
        if is_first:
            text = f"{self.shown}: cannot be written to ({self.trouble}); the peer goes on, and fills in later"
            self._tell("tracking-failed", text, {"place": self.shown, "reason": self.trouble})

    def _succeed(self) -> None:
        was_failing, self.trouble = self.trouble is not None, None
        if was_failing:
            text = f"{self.shown}: can be written to again, and has all figures now"
            self._tell("tracking-again", text, {"place": self.shown})
        if not self._woken.is_set():
            self._level.set()
        elif self._level.is_set():
            self._level = trio.Event()


class _Filling:
    """Goes through the ledger once, and writes what the place has not yet. It ends with the first failure."""

    def __init__(self, folder: Path, writer: Writer, has_own: bool, timed: Sequence[Json]) -> None:
        self._folder = folder
        self._writer = writer
        self._written = writer.written()
        self._has_own = has_own
        self._timed = timed
        self._rounds = Rounds()
        self._state: LedgerState | None = None
        self._next_own = 0
        """The first round whose own figures may not be written yet. Own figures come in the order of the rounds."""
        self._newest_timed = 0
        """The place of the newest of the timed rounds that are written. The time of a round comes after its block."""

    def step(self) -> bool:
        """Write the figures of the next blocks; return whether there are more blocks."""
        with Reader.open(self._folder) as reader:
            has_more = self._fold(reader)
            points = [*self._agreed(), *self._own(reader), *self._times()]
        new = [point for point in points if point[:2] not in self._written]
        if new:
            self._writer.write(new)
        self._written.difference_update(point[:2] for point in points)  # each comes only once
        self._rounds.rows.clear()
        return has_more

    def _fold(self, reader: Reader) -> bool:
        """Take the next blocks; return whether there may be more."""
        if self._state is None:
            genesis = reader.fact(GENESIS)
            assert genesis is not None
            self._state = genesis_state(read_genesis(genesis))
        blocks = list(islice(reader.blocks(self._state.height + 1), MAX_BLOCKS))
        for one in blocks:
            before, self._state = self._state, apply(self._state, one.block)
            self._rounds.on_block(before, one.block, self._state)
        return len(blocks) == MAX_BLOCKS

    def _agreed(self) -> Iterator[Point]:
        for row in self._rounds.rows:
            yield from _points(row["round"], {**_of_round(row), **_measured("agreed", row)})

    def _own(self, reader: Reader) -> Iterator[Point]:
        assert self._state is not None
        if not self._has_own:
            return
        for round, measured in reader.measured(self._next_own).items():
            if round >= self._state.round:
                return
            yield from _points(round, _measured("own", own_row(self._state.genesis.model, measured)))
            self._next_own = round + 1

    def _times(self) -> Iterator[Point]:
        assert self._state is not None
        for row in list(self._timed):
            if row["round"] >= self._state.round:
                return
            if row["place"] > self._newest_timed:
                yield from _points(row["round"], {f"round/{name}": row[name] for name in _TIMES})
                self._newest_timed = row["place"]


def _of_round(row: Json) -> dict[str, float | None]:
    """Return what is known of a round beside the figures of its model."""
    return {
        "round/members": row["members"],
        "round/updates": None if row["contributors"] is None else len(row["contributors"]),
        "round/without_result": row["result"] == "void",
        "round/examples": row["examples"],
    }


def _measured(group: str, row: Json) -> dict[str, float | None]:
    """Return the figures of a model: loss, number of test rows, and those that follow, as `peer metrics` has them."""
    figures = {figure_name(group, name): value for name, value in row["figures"].items() if name != "loss"}
    return {f"{group}/loss": row["loss"], f"rows/{group}": row["rows"], **figures}


def _points(round: int, figures: Mapping[str, float | None]) -> Iterator[Point]:
    for name, value in figures.items():
        if value is not None:
            yield Point(name, round, float(value))
