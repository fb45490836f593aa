"""Five hospitals train one model, with no server.

Five real processes find each other over libp2p, each with its own part of a public data set (scikit-learn's diabetes
data, in unequal shards). In the course of the training

* one of them falsifies its sums, and is named;
* the aggregator of a round is killed with SIGKILL in the middle of that round, which the others finish without it;
  later it is started again from its home, and catches up.

At the end the model is compared with training alone and with training on the pooled data, the five homes are compared
with each other, and every ledger is verified. The exit status is 0 only if all of that is as promised.

Run it with `make demo`, or: python examples/demo.py [--keep DIR] [--rounds N]
"""

import argparse
import json
import queue
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from baselines import TARGET, Comparison, write_shards
from peers import PEER, Event, Peer
from rich.console import Console
from rich.live import Live
from rich.table import Table

NAMES = ("Aarhus", "Bologna", "Coimbra", "Dresden", "Eindhoven")
LIAR, LYING_ROUNDS = "Dresden", (3, 4, 5)
CHEAT = Path(__file__).with_name("cheating_peer.py")
KILL_ROUND, ROUNDS_WITHOUT = 6, 1
COMMON = ("--listen", "127.0.0.1:0", "--heartbeat", "0.5", "--dead-after", "5", "--stay")
FOUNDING = (
    "--federation",
    "diabetes",
    "--min-peers",
    "5",
    "--view-timeout",
    "1",
    "--share-deadline",
    "15",
    "--round-interval",
    "1",
)
KEEP_LIARS = "--no-evict"
"""A member that is proved to cheat would be removed; here it stays, so that all five can be compared at the end."""
LIMIT_SECONDS = 110


@dataclass
class Round:
    """How a round went, as the first peer that finished it told."""

    number: int
    kind: str = ""
    outcome: str = ""
    aggregator: str = ""
    contributors: int = 0
    view: int = 0
    loss_before: float | None = None
    tested_before: int = 0
    started: float = 0.0
    seconds: float = 0.0


@dataclass
class Story:
    """The run so far."""

    peers: list[Peer]
    rounds: dict[int, Round] = field(default_factory=dict)
    named: dict[str, set[str]] = field(default_factory=dict)
    """The sites that were named for a wrong sum, each with the sites that named it."""
    finished: set[str] = field(default_factory=set)
    killed: Peer | None = None
    killed_round: int = 0
    restarted: bool = False
    back: bool = False

    def who(self, peer_id: Any) -> str:
        """The site with this PeerId."""
        return next((peer.name for peer in self.peers if peer.id == peer_id), str(peer_id)[-8:])

    def site(self, name: str) -> Peer:
        """The peer with this name."""
        return next(peer for peer in self.peers if peer.name == name)


class Demo:
    """Runs the story and shows it."""

    def __init__(self, folder: Path, rounds: int, console: Console) -> None:
        self.folder, self.training_rounds, self.console = folder, rounds, console
        self.feed: queue.Queue[tuple[Peer, Event]] = queue.Queue()
        self.paths = write_shards(folder, NAMES)
        cheat = (sys.executable, str(CHEAT), ",".join(map(str, LYING_ROUNDS)))
        commands = {LIAR: cheat}
        self.story = Story([Peer(name, folder / name, self.feed, commands.get(name, (PEER,))) for name in NAMES])
        self.started = time.monotonic()
        self.live: Live | None = None
        self.seen: set[tuple[str, Any]] = set()

    def say(self, text: str, style: str = "") -> None:
        """Print a line of the story."""
        clock = f"{time.monotonic() - self.started:6.1f} s  "
        self.console.print(f"[dim]{clock}[/dim]{text}", style=style, highlight=False)

    def once(self, *key: Any) -> bool:
        """Whether this is told for the first time."""
        if key in self.seen:
            return False
        self.seen.add(key)
        return True

    # The story.

    def run(self) -> None:
        """Start all sites, follow the events, and interfere as planned, until all have the final model."""
        founder, *others = self.story.peers
        self.say(f"[bold]{founder.name}[/bold] founds the federation; the other four get its address and an invite")
        founder.start(
            *COMMON, *FOUNDING, KEEP_LIARS, "--rounds", str(self.training_rounds), "--name", founder.name,
            "--data", str(self.paths[0]), "--target", TARGET, "--model", "linear",
        )  # fmt: skip
        founded = self.wait(lambda peer, event: event["event"] == "founded")
        for peer, path in zip(others, self.paths[1:], strict=True):
            peer.start(
                *COMMON, "--name", peer.name, "--data", str(path),
                "--bootstrap", founder.address, "--invite", founded["invite"],
            )  # fmt: skip
        self.wait(lambda peer, event: self.is_over())

    def wait(self, condition: Callable[[Peer, Event], bool]) -> Event:
        """Follow the events until one meets the condition."""
        while True:
            left = LIMIT_SECONDS - (time.monotonic() - self.started)
            try:
                peer, event = self.feed.get(timeout=max(0.1, left))
            except queue.Empty:
                raise SystemExit(f"demo: not over after {LIMIT_SECONDS} s; the logs are in {self.folder}") from None
            self.follow(peer, event)
            if self.live is not None:
                self.live.update(self.panel(), refresh=True)
            if condition(peer, event):
                return event

    def is_over(self) -> bool:
        """Whether all sites have the final model, also the one that was killed."""
        return self.story.back and self.story.finished >= set(NAMES)

    def follow(self, peer: Peer, event: Event) -> None:
        """Take in one event, and interfere where the plan says so."""
        handler = getattr(self, "on_" + event["event"].replace("-", "_"), None)
        if handler is not None:
            handler(peer, event)

    def on_listening(self, peer: Peer, event: Event) -> None:
        """A process is up."""
        self.say(f"{peer.name} listens on {peer.address}")

    def on_joined(self, peer: Peer, event: Event) -> None:
        """The ledger admitted a member."""
        if self.once("joined", event["name"]):
            self.say(f"the ledger admits {event['name']} (height {event['height']})")

    def on_round(self, peer: Peer, event: Event) -> None:
        """A round begins."""
        number = event["round"]
        if number not in self.story.rounds:
            self.story.rounds[number] = Round(number, event["kind"], started=time.monotonic())
        killed = self.story.killed
        if killed is not None and not self.story.restarted and number > self.story.killed_round + ROUNDS_WITHOUT:
            self.story.restarted = True
            killed.start()
            self.say(f"[bold]{killed.name}[/bold] is started again from its home", "green")

    def on_dealt(self, peer: Peer, event: Event) -> None:
        """A peer has sent its shares: if it is the aggregator, and the round is the planned one, kill it now."""
        story = self.story
        if story.killed is None and event["round"] >= KILL_ROUND and peer.name != LIAR and peer.id == self.aggregator():
            peer.kill()
            story.killed, story.killed_round = peer, event["round"]
            text = f"kill -9 {peer.name}, the aggregator, in the middle of round {event['round']}"
            self.say(f"[bold]{text}[/bold]", "red")

    def aggregator(self) -> str | None:
        """The next proposer, as the last Model block's event told it."""
        last = max((n for n, r in self.story.rounds.items() if r.outcome), default=None)
        return None if last is None else self.next_aggregator

    next_aggregator: str | None = None

    def on_contributors(self, peer: Peer, event: Event) -> None:
        """It is decided whose updates are summed."""
        known = self.story.rounds.get(event["round"])
        if known is not None:
            known.contributors = len(event["members"])

    def on_model(self, peer: Peer, event: Event) -> None:
        """A round is agreed."""
        self.next_aggregator = event["next_aggregator"]
        number = event["round"]
        known = self.story.rounds.setdefault(number, Round(number, event["kind"], started=time.monotonic()))
        returned = peer is self.story.killed and self.story.restarted and number > self.story.killed_round
        if returned and not self.story.back:
            self.story.back = True
            self.say(f"[bold]{peer.name}[/bold] is back, and has caught up with the ledger to round {number}", "green")
        if known.outcome:
            return
        known.outcome, known.view, known.loss_before = "agreed", event["view"], event.get("loss")
        known.tested_before = event.get("evaluated", 0)
        known.aggregator = self.story.who(event["aggregator"])
        known.seconds = time.monotonic() - known.started
        loss = "" if known.loss_before is None else f", RMSE of the model before it {known.loss_before**0.5:.2f}"
        text = f"round {number} ({known.kind}): {known.contributors} contributors, aggregator {known.aggregator}"
        self.say(text + (f" in view {known.view}" if known.view else "") + loss)

    def on_void(self, peer: Peer, event: Event) -> None:
        """A round ended without a result."""
        known = self.story.rounds.setdefault(event["round"], Round(event["round"], started=time.monotonic()))
        if not known.outcome:
            known.outcome, known.seconds = "void", time.monotonic() - known.started
            self.say(f"round {event['round']} is void", "yellow")

    def on_fault(self, peer: Peer, event: Event) -> None:
        """A member was caught."""
        name = self.story.who(event.get("member"))
        if name == peer.name:  # apart from its sums the cheat is honest, and names itself, too
            return
        if event.get("wrong_sum"):
            self.story.named.setdefault(name, set()).add(peer.name)
        if self.once("fault", name, event["text"], peer.name):
            self.say(f"{peer.name} names [bold]{name}[/bold]: {event['text']}", "magenta")

    def on_finished(self, peer: Peer, event: Event) -> None:
        """A peer has the final model."""
        self.story.finished.add(peer.name)

    def on_exit(self, peer: Peer, event: Event) -> None:
        """A process ended."""
        planned = peer is self.story.killed and not self.story.restarted
        if not planned and not self.is_over():
            raise SystemExit(f"demo: {peer.name} ended: {event['text']}; its log is {self.folder / peer.name}.log")

    # What is seen.

    def panel(self) -> Table:
        """Where each site stands."""
        table = Table(title="five processes, no server", title_justify="left", title_style="dim")
        for column in ("site", "process", "address", "has the final model"):
            table.add_column(column)
        for peer in self.story.peers:
            process = f"pid {peer.process.pid}" if peer.running and peer.process else "killed"
            table.add_row(peer.name, process, peer.address, "yes" if peer.name in self.story.finished else "")
        return table

    def close(self) -> None:
        """Stop all processes."""
        for peer in self.story.peers:
            peer.stop()
        for peer in self.story.peers:
            if peer.process is not None:
                try:
                    peer.process.wait(15)
                except Exception:
                    peer.kill()


class Verdict:
    """The checks at the end."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.failed: list[str] = []

    def check(self, what: str, holds: bool, detail: str = "") -> None:
        """Show a check's outcome and remember a failure."""
        mark = "[green]yes[/green]" if holds else "[bold red]NO[/bold red]"
        self.console.print(f"  {mark}  {what}" + (f" ({detail})" if detail else ""), highlight=False)
        if not holds:
            self.failed.append(what)


def show_rounds(demo: Demo) -> float:
    """Print a row for each round; return the RMSE of the final model."""
    rounds = [demo.story.rounds[number] for number in sorted(demo.story.rounds) if demo.story.rounds[number].outcome]
    table = Table(title="rounds: the sites in each, and the RMSE of the model after it on all sites' test rows")
    for column in ("round", "kind", "aggregator", "view", "sites", "seconds", "RMSE", "test rows"):
        table.add_column(column, justify="left" if column in ("kind", "aggregator") else "right")
    final = float("nan")
    for this in rounds:
        later = next((r for r in rounds if r.number > this.number and r.loss_before is not None), None)
        measured = ("", "")
        if later is not None and later.loss_before is not None and this.kind == "train":
            measured = (f"{later.loss_before**0.5:.2f}", str(later.tested_before))
        if this.kind == "evaluate" and this.loss_before is not None:
            final = this.loss_before**0.5
        name = this.aggregator if this.outcome == "agreed" else "[yellow]void[/yellow]"
        cells = (str(this.number), this.kind, name, str(this.view), str(this.contributors or ""))
        table.add_row(*cells, f"{this.seconds:.2f}", *measured)
    demo.console.print(table)
    return final


def show_models(demo: Demo, federated: float) -> tuple[float, float]:
    """Print the comparison; return the RMSE of pooled training and the median of training alone."""
    comparison = Comparison(demo.paths, demo.folder, demo.training_rounds)
    alone, pooled = comparison.alone(), comparison.pooled()
    table = Table(title="root mean square error over the test rows of all sites")
    for column in ("trained on", "rows", "RMSE"):
        table.add_column(column, justify="left" if column == "trained on" else "right")
    for name, (rows, tested), rmse in zip(NAMES, comparison.rows, alone, strict=True):
        table.add_row(f"{name} alone", str(rows - tested), f"{rmse:.2f}")
    total = sum(rows - tested for rows, tested in comparison.rows)
    table.add_row("all rows pooled (not allowed)", str(total), f"{pooled:.2f}")
    table.add_row("[bold]the federation[/bold]", str(total), f"[bold]{federated:.2f}[/bold]")
    demo.console.print(table)
    return pooled, float(np.median(alone))


def show_traffic(demo: Demo, statuses: dict[str, dict[str, Any]], seconds: float) -> None:
    """Print bytes and time by site."""
    table = Table(title=f"{seconds:.1f} s in all")
    for column in ("site", "sent since its start", "received", "height", "head"):
        table.add_column(column, justify="right" if column != "site" else "left")
    for name, status in statuses.items():
        sent, received = (f"{status['traffic'][way] / 1e6:.2f} MB" for way in ("sent_bytes", "received_bytes"))
        table.add_row(name, sent, received, str(status["height"]), status["head"][:16])
    demo.console.print(table)


def weights_of(peer: Peer, folder: Path) -> bytes:
    """The bytes of the model in a peer's home, through `peer model export`."""
    target = folder / f"{peer.name}.npz"
    done = peer.ask("model", "export", "--out", str(target))
    if done.returncode != 0:
        return done.stderr.encode()
    with np.load(target) as arrays:
        return b"".join(arrays[name].tobytes() for name in sorted(arrays.files))


def flip_is_found(peer: Peer, folder: Path) -> tuple[bool, str]:
    """Flip one byte in a copy of an exported ledger; return whether verify fails, and what it says."""
    exported, damaged = folder / "ledger.bin", folder / "damaged.bin"
    peer.ask("ledger", "export", "--out", str(exported))
    data = bytearray(exported.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    done = peer.ask("ledger", "verify", "--file", str(damaged))
    return done.returncode != 0, (done.stderr or done.stdout).strip().splitlines()[-1]


def judge(demo: Demo) -> int:
    """Show the result and check every promise; return the exit status."""
    story, console = demo.story, demo.console
    seconds = time.monotonic() - demo.started
    statuses = {peer.name: json.loads(peer.ask("status", "--json").stdout) for peer in story.peers}
    demo.close()
    console.rule("the result")
    federated = show_rounds(demo)
    pooled, median = show_models(demo, federated)
    show_traffic(demo, statuses, seconds)
    verdict = Verdict(console)
    heads = {status["head"] for status in statuses.values()}
    verdict.check("all five homes hold the same head of the ledger", len(heads) == 1)
    weights = {weights_of(peer, demo.folder) for peer in story.peers}
    verdict.check("and byte-identical weights", len(weights) == 1)
    verified = [peer.ask("ledger", "verify") for peer in story.peers]
    last = verified[0].stdout.strip().splitlines()[-1:] or [""]
    verdict.check("`peer ledger verify` passes in each", all(one.returncode == 0 for one in verified), last[0])
    found, says = flip_is_found(story.peers[0], demo.folder)
    verdict.check("and fails on a copy with one flipped byte", found, says)
    killed = story.killed.name if story.killed else "nobody"
    # A round in which shares were lost with it may be void; then the next one counts.
    later = [one for number, one in sorted(story.rounds.items()) if number >= story.killed_round and one.outcome]
    without = next((one for one in later if one.outcome == "agreed"), None)
    survived = bool(story.killed) and without is not None and without.aggregator != killed and story.back
    verdict.check(f"the round went on without its killed aggregator, {killed}, which came back", survived)
    accusers = story.named.get(LIAR, set())
    by = f"by {', '.join(sorted(accusers))}"
    verdict.check(f"{LIAR}, which falsified its sums, was named", len(accusers) >= 3, by)
    verdict.check("and nobody else was", set(story.named) <= {LIAR})
    ratio = federated / pooled
    verdict.check("the model is within 2 % of training on pooled data", ratio <= 1.02, f"{100 * (ratio - 1):+.2f} %")
    verdict.check("and better than the median site alone", federated < median, f"{federated:.2f} against {median:.2f}")
    return 1 if verdict.failed else 0


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep homes, logs and data in this new folder")
    parser.add_argument("--rounds", type=int, default=15, help="training rounds (15)")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="coterie-demo-"))
    folder.mkdir(parents=True, exist_ok=options.keep is None)
    console = Console(soft_wrap=True)
    demo = Demo(folder.resolve(), options.rounds, console)
    status = 1
    try:
        if console.is_terminal:
            with Live(demo.panel(), console=console, auto_refresh=False, transient=True) as demo.live:
                demo.run()
        else:
            demo.run()
        demo.live = None
        status = judge(demo)
    finally:
        demo.close()
        if options.keep is None and status == 0:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f"homes, logs and data are in {folder}", highlight=False)
    return status


if __name__ == "__main__":
    sys.exit(main())
