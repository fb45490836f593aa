"""Figures for TensorBoard and MLflow: what is written, that nothing is written twice, and what a failure costs."""

import hashlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from chains import Chain
from members import identity
from table_homes import fill
from table_sites import Sites

from coterie.crypto.identity.keyfile import seal_seed
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings
from coterie.peer.home.store import Store
from coterie.peer.learning.metrics import Measured
from coterie.peer.reporting.ledger_export import Ledger
from coterie.peer.reporting.round_table import rounds_of
from coterie.peer.reporting.status import Json
from coterie.peer.runtime import session
from coterie.peer.tracking import feed
from coterie.peer.tracking.feed import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Tracker, Tracking, figure_name
from coterie.peer.tracking.trackers import Point, Run, Target
from coterie.protocol.records import BlockDecided

RUN = Run("test", "ab" * 32, "12D3KooWNLezXLT6yirsboxZ8ruw8Q6K5BmSARFiToFVs3mmQ85x")
B = identity(1).public


@dataclass
class Place:
    """Somewhere to write to: it holds what was written, fails when told to, and counts every write of a figure."""

    held: dict[tuple[str, int], float] = field(default_factory=dict)
    writes: list[Point] = field(default_factory=list)
    opened: int = 0
    failures: deque[Exception] = field(default_factory=deque)
    """Raised by the next attempts to open it."""
    lost_answers: deque[Exception] = field(default_factory=deque)
    """Raised by the next writes, which have written all the same."""

    def open(self, run: Run) -> "Place":
        assert run == RUN
        self.opened += 1
        if self.failures:
            raise self.failures.popleft()
        return self

    def written(self) -> set[tuple[str, int]]:
        return set(self.held)

    def write(self, points: Sequence[Point]) -> None:
        for point in points:
            self.writes.append(point)
            self.held[point[:2]] = point.value
        if self.lost_answers:
            raise self.lost_answers.popleft()

    def target(self, *, has_own: bool = True, secrets: tuple[str, ...] = ()) -> Target:
        return Target("a place", has_own, self.open, secrets)

    def rounds(self) -> set[int]:
        return {round for _, round in self.held}


class Site:
    """A home whose ledger grows, and a tracker that looks at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "home"
        self.folder.mkdir(mode=0o700)
        self.chain = Chain(4)
        fill(self.folder, self.chain.genesis, self.chain.blocks, bytes(24), Settings())
        self.told: list[tuple[str, str]] = []
        self.at: list[float] = []
        """When an attempt began."""
        self.timed: deque[Json] = deque()

    def round(self, own: float | None = None) -> int:
        """Decide a round with a result; ``own``: this site's loss in it."""
        number = self.chain.state.round
        self._decide(self.chain.contributors(), self.chain.model)
        if own is not None:
            self.measure(number, own)
        return number

    def void(self) -> int:
        number = self.chain.state.round
        self._decide(self.chain.void(B))
        return number

    def measure(self, round: int, loss: float) -> None:
        with Store.open(self.folder) as store:
            store.keep_measured(round, Measured(7, loss, {}))

    def _decide(self, *bodies: Any) -> None:
        for body in bodies:
            self.chain.append(body() if callable(body) else body)
        with Store.open(self.folder) as store:
            have = store.height()
            new = enumerate(self.chain.blocks[have:], have + 1)
            store.persist([BlockDecided(height, one.block, one.certificate) for height, one in new])

    def tell(self, kind: str, text: str, facts: Json) -> None:
        self.told.append((kind, text))

    async def _here(self, work: Callable[[], bool]) -> bool:
        self.at.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        return work()

    def tracker(self, target: Target) -> Tracker:
        return Tracker(target, self.folder, self.timed, self.tell, self._here)

    def track(self, target: Target, *steps: Callable[[], object], wait: float = 0) -> Tracker:
        """Run a tracker until it has nothing to do; wake it after each step, and after all of them wait."""

        async def main() -> Tracker:
            tracker = self.tracker(target)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tracker.run, RUN)
                await trio.testing.wait_all_tasks_blocked()
                for step in steps:
                    step()
                    tracker.wake()
                    await trio.testing.wait_all_tasks_blocked()
                await trio.sleep(wait)
                nursery.cancel_scope.cancel()
            return tracker

        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def once(place: Place) -> bool:
    """Whether no figure was written twice."""
    return len(place.writes) == len({point[:2] for point in place.writes}) == len(place.held)


# What is written.


def test_the_figures_are_those_of_peer_metrics(site: Site) -> None:
    site.round(own=1.5)
    site.void()
    site.measure(2, 1.25)
    site.round()
    place = Place()
    site.track(place.target())
    rows = rounds_of(Ledger("test", site.chain.genesis, tuple(site.chain.blocks)))
    expected: dict[tuple[str, int], float] = {("own/loss", 1): 1.5, ("own/loss", 2): 1.25}
    expected |= {("rows/own", 1): 7, ("rows/own", 2): 7}
    for row in rows:
        number, has_result = row["round"], row["result"] == "model"
        expected |= {("round/members", number): 4, ("round/without_result", number): not has_result}
        if has_result:
            expected |= {("round/updates", number): 4, ("round/examples", number): row["examples"]}
            expected |= {("agreed/loss", number): row["loss"], ("rows/agreed", number): row["rows"]}
    assert place.held == expected
    assert site.told == [("tracking", "the figures of each round are also written to a place")]


def test_each_round_is_written_when_it_is_agreed(site: Site) -> None:
    place, seen = Place(), []
    site.track(place.target(), site.round, lambda: seen.append(place.rounds()), site.void, site.round)
    assert seen == [{1}]
    assert place.rounds() == {1, 2, 3}
    assert once(place)


def test_own_figures_are_written_only_where_they_are_wanted(site: Site) -> None:
    site.round(own=1.5)
    place = Place()
    site.track(place.target(has_own=False))
    assert place.held
    assert [name for name, _ in place.held if "own" in name] == []
    site.track(place.target())
    assert place.held["own/loss", 1] == 1.5
    assert once(place)


def test_own_figures_that_come_after_their_round_are_written(site: Site) -> None:
    place = Place()
    site.track(place.target(), site.round, lambda: site.measure(1, 2.5), lambda: site.round(own=2.0))
    assert {key: value for key, value in place.held.items() if key[0] == "own/loss"} == {
        ("own/loss", 1): 2.5,
        ("own/loss", 2): 2.0,
    }
    assert once(place)


def test_own_figures_wait_for_the_end_of_their_round(site: Site) -> None:
    place = Place()
    site.track(place.target(), lambda: site.measure(1, 2.5))
    assert place.held == {}
    site.track(place.target(), site.round)
    assert place.held["own/loss", 1] == 2.5


def test_seconds_and_bytes_are_written_of_rounds_that_this_run_saw(site: Site) -> None:
    site.round()
    site.round()
    timed: Json = {"place": 1, "round": 2, "seconds": 1.25, "sent_bytes": 100, "received_bytes": 50}
    site.timed.append(timed)
    place = Place()
    later = timed | {"place": 2, "round": 3, "seconds": 2.5}
    site.track(place.target(), site.round, lambda: site.timed.append(later), site.round)
    times = {round: value for (name, round), value in place.held.items() if name == "round/seconds"}
    assert times == {2: 1.25, 3: 2.5}
    assert {name for name, round in place.held if round == 2} >= {"round/sent_bytes", "round/received_bytes"}
    assert once(place)


def test_a_long_ledger_is_filled_in_by_pieces_with_rests(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_BLOCKS", 4)
    for _ in range(5):
        site.round(own=1.0)
    place = Place()
    tracker = site.track(place.target())
    assert place.rounds() == {1, 2, 3, 4, 5}
    assert len(site.at) == 1 + (1 + 2 * 5) // 4
    assert once(place)
    assert tracker.trouble is None


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("rmse", "agreed/rmse"),
        ("macro_f1", "agreed/macro_f1"),
        ("=1+1", "agreed/_3d_1_2b_1"),
        ("../x", "agreed/.._2f_x"),
        ("..", "agreed/_2e__2e_"),
        ("fläche", "agreed/fl_e4_che"),
    ],
)
def test_a_metric_of_an_app_gets_a_name_that_both_packages_take(name: str, written: str) -> None:
    assert figure_name("agreed", name) == written


# Nothing twice.


def test_a_second_start_writes_nothing_twice(site: Site) -> None:
    place = Place()
    site.round(own=1.5)
    site.track(place.target())
    site.track(place.target(), lambda: site.round(own=1.25))
    site.track(place.target())
    assert place.rounds() == {1, 2}
    assert once(place)


def test_what_was_written_without_an_answer_is_not_written_twice(site: Site) -> None:
    place = Place(lost_answers=deque([TimeoutError()]))
    site.round(own=1.5)
    site.track(place.target(), wait=FIRST_PAUSE_SECONDS + 1)
    assert place.opened == 2
    assert once(place)
    assert site.kinds() == ["tracking", "tracking-failed", "tracking-again"]


def test_half_a_round_is_completed(site: Site) -> None:
    site.round(own=1.5)
    place = Place(held={("agreed/loss", 1): 1.0})
    site.track(place.target())
    assert ("agreed/loss", 1) not in {point[:2] for point in place.writes}
    assert {"round/members", "own/loss", "rows/agreed"} <= {point.name for point in place.writes}


def test_a_home_that_was_put_back_writes_nothing_twice(site: Site) -> None:
    place = Place()
    ahead = {("round/members", 2): 4.0, ("agreed/loss", 2): 1.0}
    place.held |= ahead
    site.track(place.target(), site.round, site.round)
    assert ahead.keys() & {point[:2] for point in place.writes} == set()
    assert place.rounds() == {1, 2}


def test_a_place_that_was_emptied_is_filled_again_after_its_failure(site: Site) -> None:
    place = Place()

    def empty() -> None:
        place.held.clear()
        place.lost_answers.append(FileNotFoundError(2, "No such file or directory"))
        site.round()

    site.round()
    site.track(place.target(), empty, wait=FIRST_PAUSE_SECONDS + 1)
    assert place.rounds() == {1, 2}


# Failures.


def test_a_failure_is_told_once_and_tried_again_after_longer_and_longer_pauses(site: Site) -> None:
    failing = 10
    place = Place(failures=deque(OSError(28, "No space left on device") for _ in range(failing)))
    site.round()
    tracker = site.track(place.target(), *[site.round] * 3, wait=10_000)
    assert site.kinds() == ["tracking", "tracking-failed", "tracking-again"]
    assert site.told[1][1] == (
        "a place: cannot be written to (No space left on device); the peer goes on, and fills in later"
    )
    assert site.told[2][1] == "a place: can be written to again, and has all figures now"
    pauses = [round(after - before, 6) for before, after in zip(site.at, site.at[1:], strict=False)]
    expected = [min(FIRST_PAUSE_SECONDS * 2**number, LONGEST_PAUSE_SECONDS) for number in range(failing)]
    assert pauses == expected
    assert expected[-1] == LONGEST_PAUSE_SECONDS
    assert (place.rounds(), tracker.trouble) == ({1, 2, 3, 4}, None)
    assert once(place)


def test_the_next_failure_after_a_success_is_told_again(site: Site) -> None:
    place = Place(failures=deque([OSError(111, "Connection refused")]))

    async def main() -> None:
        tracker = site.tracker(place.target())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tracker.run, RUN)
            await trio.sleep(FIRST_PAUSE_SECONDS + 1)
            site.round()
            place.lost_answers.append(OSError(111, "Connection refused"))
            tracker.wake()
            await trio.sleep(FIRST_PAUSE_SECONDS - 1)
            assert tracker.trouble == "Connection refused"
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert site.kinds() == ["tracking", "tracking-failed", "tracking-again", "tracking-failed"]


def test_a_place_that_fails_for_long_costs_no_memory(site: Site) -> None:
    place = Place(failures=deque(OSError(28, "full") for _ in range(100)))
    tracker = site.track(place.target(), *[site.round] * 5, wait=100)
    assert tracker._filling is None


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("odd"), RuntimeError()])
def test_whatever_a_package_raises_does_not_end_the_peer(site: Site, error: Any) -> None:
    place = Place(failures=deque([error]))
    site.round()
    site.track(place.target(), wait=FIRST_PAUSE_SECONDS + 1)
    assert place.rounds() == {1}


def test_no_secret_of_the_uri_is_told(site: Site) -> None:
    text = "request to http://eve:s3cret%21@host failed: s3cret!"
    place = Place(failures=deque([ValueError(text)]))
    target = place.target(secrets=("eve:s3cret%21", "s3cret%21", "s3cret!", "eve"))
    tracker = site.track(target)
    shown = f"{site.told} {tracker.trouble}"
    assert tracker.trouble == "request to http://…@host failed: …"
    assert "s3cret" not in shown
    assert "eve" not in shown


# The end of the peer.


def settle(site: Site, target: Target, in_thread: Callable[[Callable[[], bool]], Awaitable[bool]]) -> float:
    """End a peer at once after a round; return how long that took."""

    async def main() -> float:
        every = Tracking([target], site.folder, lambda: (0, 0), site.tell)
        every._trackers[0]._in_thread = in_thread
        async with trio.open_nursery() as nursery:
            nursery.start_soon(every.run, RUN)
            await trio.testing.wait_all_tasks_blocked()
            site.round()
            every.take("model", "", {"round": 1})
            began = trio.current_time()
            await every.settle()
            nursery.cancel_scope.cancel()
        return trio.current_time() - began

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_end_of_the_peer_waits_for_the_last_figures(site: Site) -> None:
    place = Place()

    async def slowly(work: Callable[[], bool]) -> bool:
        await trio.sleep(1)
        return work()

    settle(site, place.target(), slowly)
    assert place.rounds() == {1}
    assert site.kinds() == ["tracking"]


def test_a_place_that_hangs_holds_the_end_up_for_a_moment_only(site: Site) -> None:
    async def never(work: Callable[[], bool]) -> bool:
        await trio.sleep_forever()
        raise AssertionError

    assert settle(site, Place().target(), never) == feed.LAST_SECONDS
    assert site.told[-1] == (
        "tracking-behind",
        "a place: not all figures are written yet; the next start of this peer fills them in",
    )


def test_a_place_that_fails_does_not_hold_the_end_up(site: Site) -> None:
    async def fail(work: Callable[[], bool]) -> bool:
        raise OSError(111, "Connection refused")

    assert settle(site, Place().target(), fail) == 0
    assert site.kinds() == ["tracking", "tracking-failed", "tracking-behind"]


def test_without_trackers_nothing_is_done(tmp_path: Path) -> None:
    def refuse(*_: object) -> Any:
        raise AssertionError

    async def main() -> None:
        every = Tracking([], tmp_path, refuse, refuse)
        every.take("round", "", {"round": 1})
        every.take("model", "", {"round": 1})
        await every.run(RUN)
        await every.settle()
        assert (every.status(), every.is_busy) == ([], False)

    trio.run(main)


def test_a_start_fills_in_what_the_home_has(
    tmp_path: Path, peer: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sites, place = Sites(tmp_path, "linear"), Place()
    with Store.open(sites.home) as store:
        for round, measured in sites.measured.items():
            store.keep_measured(round, measured)
    key = Home(sites.home).key_path
    key.write_bytes(seal_seed(hashlib.sha256(b"test peer 0").digest()))
    key.chmod(0o600)
    opened = Target("a place", True, lambda run: place)
    monkeypatch.setattr(session, "targets", lambda settings: [opened])
    monkeypatch.setattr(feed, "LAST_SECONDS", 600)
    code, out, _ = peer("start", "--linger", "0", "--listen", "127.0.0.1:0")
    assert code == 0
    assert "the figures of each round are also written to a place" in out
    rows = json.loads(peer("metrics", "--json")[1])["rounds"]
    assert {round: value for (name, round), value in place.held.items() if name == "agreed/rmse"} == {
        row["round"]: row["figures"]["rmse"] for row in rows if row["figures"]
    }
    assert {round: value for (name, round), value in place.held.items() if name == "own/loss"} == sites.own_losses
    assert once(place)


def test_a_real_thread_writes_and_takes_seconds_and_bytes_from_the_notices(site: Site) -> None:
    place, bytes_so_far = Place(), [(0, 0), (100, 50)]

    async def main() -> None:
        every = Tracking([place.target()], site.folder, lambda: bytes_so_far.pop(0), site.tell)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(every.run, RUN)
            every.take("round", "", {"round": 1})
            site.round()
            every.take("model", "", {"round": 1})
            (tracker,) = every._trackers
            await tracker._level.wait()
            assert every.status() == [{"place": "a place", "trouble": None}]
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert place.held["round/sent_bytes", 1] == 100
    assert place.held["round/received_bytes", 1] == 50
    assert ("round/seconds", 1) in place.held
