"""When do the others miss a member that is silent, slow or comes and goes, and what does it cost them?

Five real processes train over libp2p. Each sends the others a heartbeat every half second, and gives up a link on which
nothing at all came for two seconds. After a calm while, one of them is frozen (SIGSTOP), and thawed after a while. Then
it is slow: stopped for most of each second, so that its beats come late, but never so late that it is given up. Then
its link to one other member, and to no other, breaks every second (flaky_peer.py). For each of these the table says
when the others lost the link, when they had it back, and how long their rounds took. All processes are asked all the
time how old the last beat of each of the others is: a picture shows all of them at once.

Times are real ones: on a busy machine everything takes longer. Run: python examples/heartbeats.py [--out FILE.png]
"""

import contextlib
import queue
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from baselines import TARGET, write_shards
from peers import PEER, Event, Peer
from telling import arguments, picture, table

from coterie.peer.control.client import NotRunning, ask
from coterie.peer.home.folder import SOCKET_FILE
from coterie.topology.reporting.pictures import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE

NAMES = ("Aarhus", "Bologna", "Coimbra", "Dresden", "Eindhoven")
TROUBLED, OTHER_END = "Eindhoven", "Aarhus"
BEAT, DEAD_AFTER, STOPPED, RUNNING = 0.5, 2.0, 0.8, 0.2
COMMON = ("--listen", "127.0.0.1:0", "--heartbeat", str(BEAT), "--dead-after", str(DEAD_AFTER))
FOUNDING = ("--min-peers", "5", "--round-interval", "0.3", "--view-timeout", "1", "--share-deadline", "15")
LIMIT_SECONDS, ASK_SECONDS = 45.0, 0.2


@dataclass
class Phase:
    """A while in which one thing is wrong, and what the others told meanwhile."""

    name: str
    began: float
    ended: float = 0.0
    lost: list[float] = field(default_factory=list)
    """When others lost their link to the troubled member, in seconds since the phase began."""
    back: list[float] = field(default_factory=list)
    """When they had it again."""
    models: list[float] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        """What the table says of it."""
        spans = [b - a for a, b in zip([0.0, *self.models], self.models, strict=False)]
        rounds = (f"{statistics.median(spans):.1f}", f"{max(spans):.1f}") if spans else ("none", "none")
        return (
            f"{self.ended - self.began:.1f}",
            str(len(self.lost)),
            _span(self.lost),
            _span(self.back),
            str(len(spans)),
            *rounds,
        )


def _span(times: list[float]) -> str:
    return f"{min(times):.1f} to {max(times):.1f}" if times else "never"


class Story:
    """The five, what they tell, and how old their beats were."""

    def __init__(self, folder: Path) -> None:
        self.feed: queue.Queue[tuple[Peer, Event]] = queue.Queue()
        self.switch = folder / "flap"
        flaky = (sys.executable, str(Path(__file__).with_name("flaky_peer.py")), str(self.switch), OTHER_END)
        commands = {TROUBLED: flaky}
        self.peers = [Peer(name, folder / name, self.feed, commands.get(name, (PEER,))) for name in NAMES]
        self.paths = write_shards(folder, NAMES)
        self.troubled = self.peers[-1]
        self.began = time.time()
        self.phases: list[Phase] = []
        self.ages: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self.is_over = False
        self.linked = set(NAMES[:-1])
        """The sites with a link to the troubled member. It begins with all, since the first links are not told."""

    def start(self) -> None:
        """Found, let the others join, and wait for the first models."""
        founder, *others = self.peers
        data = ("--data", str(self.paths[0]), "--target", TARGET)
        founder.start(*COMMON, *FOUNDING, "--name", founder.name, *data)
        invite = self.wait(lambda peer, event: event["event"] == "founded")["invite"]
        for peer, path in zip(others, self.paths[1:], strict=True):
            peer.start(*COMMON, "--name", peer.name, "--data", str(path), "--invite", invite)
        self.wait(lambda peer, event: event["event"] == "model" and event["round"] >= 2)

    def wait(self, holds: Callable[[Peer, Event], bool]) -> Event:
        """Follow the events until one for which `holds` is true; returns that one."""
        give_up = time.time() + LIMIT_SECONDS
        while time.time() < give_up:
            event = self.follow(give_up - time.time(), holds)
            if event is not None:
                return event
        raise SystemExit(f"nothing of what was waited for in {LIMIT_SECONDS:g} s")

    def follow(self, seconds: float, holds: Callable[[Peer, Event], bool] = lambda peer, event: False) -> Event | None:
        """Take in what happens for some time, or until an event for which `holds` is true; returns that one."""
        until = time.time() + seconds
        while (left := until - time.time()) > 0:
            try:
                peer, event = self.feed.get(timeout=left)
            except queue.Empty:
                return None
            if event["event"] == "exit":
                raise SystemExit(f"{peer.name} ended: {event['text']}; its log is {peer.home}.log")
            self.note(peer, event)
            if holds(peer, event):
                return event
        return None

    def note(self, peer: Peer, event: Event) -> None:
        """Write down when links to the troubled member come and go, and the founder's models."""
        kind, phase = event["event"], self.phases[-1] if self.phases else None
        if event.get("member") == self.troubled.id and kind in ("link-up", "link-down"):
            (self.linked.add if kind == "link-up" else self.linked.discard)(peer.name)
            if phase is not None:
                (phase.back if kind == "link-up" else phase.lost).append(event["time"] - phase.began)
        if kind == "model" and peer is self.peers[0] and phase is not None:
            phase.models.append(event["time"] - phase.began)

    def watch(self, peer: Peer) -> None:
        """Ask a process again and again how old the others' beats are. Runs in a thread of its own."""
        while not self.is_over:
            with contextlib.suppress(NotRunning):
                for row in ask(peer.home / SOCKET_FILE, {"do": "status"})["status"]["members"]:
                    if not row["me"] and row["member"]:
                        age = row["beat_age_seconds"] if row["connected"] else float("nan")
                        self.ages.setdefault((peer.name, row["name"]), []).append((time.time() - self.began, age))
            time.sleep(ASK_SECONDS)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Something is wrong as long as this lasts; afterwards all links have to be there again."""
        self.phases.append(Phase(name, time.time()))
        yield
        while len(self.linked) < len(self.peers) - 1:
            self.wait(lambda peer, event: event["event"] == "link-up")
        self.phases[-1].ended = time.time()

    def signal(self, number: signal.Signals) -> None:
        """Stop or continue the troubled process."""
        assert self.troubled.process is not None
        self.troubled.process.send_signal(number)

    def run(self, seconds: float) -> None:
        """One phase after the other."""
        for peer in self.peers:
            threading.Thread(target=self.watch, args=(peer,), daemon=True).start()
        with self.phase("calm"):
            self.follow(seconds)
        with self.phase("frozen"):
            self.signal(signal.SIGSTOP)
            self.follow(seconds)
            self.signal(signal.SIGCONT)
        with self.phase("slow"):
            until = time.time() + seconds
            while time.time() < until:
                self.signal(signal.SIGSTOP)
                self.follow(STOPPED)
                self.signal(signal.SIGCONT)
                self.follow(RUNNING)
        with self.phase("flapping"):
            self.switch.touch()
            self.follow(seconds)
            self.switch.unlink()
            self.follow(1.0)

    def close(self) -> None:
        """End all processes."""
        self.is_over = True
        for peer in self.peers:
            peer.kill()
        for peer in self.peers:
            if peer.process is not None:
                peer.process.wait()


def main() -> None:
    """Play it, and tell what came of it."""
    given = arguments(__doc__, seconds=(7, "that each thing is wrong"))
    if given.seconds <= DEAD_AFTER:
        raise SystemExit(f"--seconds {given.seconds}: a link is given up after {DEAD_AFTER:g}, so take more")
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        try:
            story.start()
            story.run(given.seconds)
        finally:
            story.close()
    seen = ("seconds", "links lost", "after (s)", "back after (s)", "rounds", "median (s)", "longest (s)")
    columns = (f"{TROUBLED} is", *seen)
    table("what the other four saw of it", columns, [(one.name, *one.row()) for one in story.phases])
    draw(given.out, story)


def draw(out: Path | None, story: Story) -> None:
    """The ages of all beats against time; those of the troubled one in colour, by the process that waits for them."""
    with picture(out, height=4.8, width=10.5) as axes:
        for axis in axes:
            for (heard_by, sender), ages in sorted(story.ages.items()):
                others = (BLUE, ORANGE, GREEN, PURPLE)
                is_troubled = sender == TROUBLED
                colour = others[NAMES.index(heard_by)] if is_troubled else GREY
                label = f"{TROUBLED}'s, at {heard_by}" if is_troubled else None
                axis.plot(
                    *zip(*ages, strict=True),
                    color=colour,
                    label=label,
                    lw=1.8 if is_troubled else 0.7,
                    zorder=2 + is_troubled,
                )
            axis.plot([], [], color=GREY, lw=0.7, label="all others', everywhere")
            axis.axhline(DEAD_AFTER, color=BLACK, linestyle=":", label="a link is given up")
            for phase in story.phases:
                began, ended = phase.began - story.began, phase.ended - story.began
                axis.axvline(began, color=BLACK, lw=0.8)
                axis.text(
                    (began + ended) / 2,
                    1.01,
                    phase.name,
                    ha="center",
                    va="bottom",
                    transform=axis.get_xaxis_transform(),
                )
            axis.set(xlabel="time (s)", ylabel="age of the last heartbeat (s)", ylim=(0, None))
            axis.set_title("All instances' heartbeats: no line where there is no link", pad=20)
            axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))


if __name__ == "__main__":
    main()
