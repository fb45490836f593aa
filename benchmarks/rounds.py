"""Whole rounds of real processes over real TCP, without training: seconds, CPU seconds, bytes and memory.

``python benchmarks/rounds.py [--peers 8] [--parameters 100000 1000000] [--rounds 6]`` prints, for each size and scheme,
the median seconds from one agreed model to the next, the CPU seconds of all processes together a round, the bytes that
all of them send a round, and the largest resident memory of one of them; and ``shamir`` over ``plain`` as ratios, and
``proved`` (``shamir`` with dealings that prove themselves) over ``shamir``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEER = str(Path(sys.executable).with_name("peer"))
TICKS = os.sysconf("SC_CLK_TCK")
OPTIONS = {
    "plain": ("--scheme", "plain"),
    "shamir": ("--scheme", "shamir"),
    "proved": ("--scheme", "shamir", "--norm", "auto"),
}
TARGETS = {(100_000, "shamir"): (1.0, 2.0), (1_000_000, "shamir"): (4.0, 8.0)}
"""Our aims for a round of 8 peers on 2 cores: seconds and CPU seconds."""


@dataclass(frozen=True)
class Figures:
    """The figures of a run; seconds, CPU seconds and bytes for each round."""

    seconds: float
    cpu_seconds: float
    sent_bytes: float
    peak_rss_bytes: int
    first_round_seconds: float
    joined_seconds: float


@dataclass
class _Process:
    """A peer that is measured."""

    home: Path
    process: "subprocess.Popen[str]"
    events: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self) -> None:
        """Read its events until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "model":
                event["cpu_seconds"] = self.cpu_seconds()
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()
        with self.changed:
            self.events.append({"event": "exit"})
            self.changed.notify_all()

    def wait(self, kind: str, round_number: int | None = None) -> dict[str, Any]:
        """Wait for an event of a kind, and of a round if one is given; returns it."""

        def found() -> dict[str, Any] | None:
            for event in self.events:
                if event["event"] == "exit":
                    raise SystemExit(f"{self.home.name} ended; see {self.home}.stderr")
                if event["event"] == kind and round_number in (None, event.get("round")):
                    return event
            return None

        with self.changed:
            while (event := found()) is None:
                if not self.changed.wait(300):
                    raise SystemExit(f"{self.home.name}: no {kind} {round_number or ''}")
            return event

    def cpu_seconds(self) -> float:
        """Return its user and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_rss_bytes(self) -> int:
        """Return the high-water mark of its resident memory."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0

    def sent_bytes(self) -> int:
        """Return how many bytes it has sent so far."""
        done = subprocess.run(
            [PEER, "status", "--json", "--home", str(self.home)], capture_output=True, text=True, check=True
        )
        return int(json.loads(done.stdout)["traffic"]["sent_bytes"])


def measure(folder: Path, peers: int, parameters: int, scheme: str, rounds: int) -> Figures:
    """Run a federation for some rounds and measure all but the first, which pays for warming up."""
    environment = os.environ | {"COTERIE_BENCH_PARAMETERS": str(parameters)}
    running: list[_Process] = []

    def start(number: int, *options: str) -> _Process:
        home = folder / f"{scheme}-{parameters}-{number}"
        command = [PEER, "start", "--json", "--home", str(home), "--listen", "127.0.0.1:0", "--app", "synthetic:app"]
        with home.with_name(home.name + ".stderr").open("wb") as errors:
            process = subprocess.Popen(
                [*command, "--name", f"peer {number}", "--stay", *options],
                stdout=subprocess.PIPE, stderr=errors, text=True, cwd=HERE, env=environment,
            )  # fmt: skip
        one = _Process(home, process)
        running.append(one)
        threading.Thread(target=one.follow, daemon=True).start()
        return one

    began = time.time()
    try:
        founder = start(
            0, "--admit", "open", "--min-peers", str(peers), "--rounds", str(rounds), *OPTIONS[scheme],
            "--share-deadline", "120", "--view-timeout", "10",
        )  # fmt: skip
        address = founder.wait("listening")["addresses"][0]
        for number in range(1, peers):
            start(number, "--bootstrap", address, *(("--allow-plain",) if scheme == "plain" else ()))
        joined = founder.wait("round", 1)["time"] - began
        first = founder.wait("model", 1)["time"]
        cpu = sum(one.wait("model", rounds)["cpu_seconds"] - one.wait("model", 1)["cpu_seconds"] for one in running)
        # This includes joining, which takes some kilobytes.
        sent = sum(one.sent_bytes() for one in running)
        times = [founder.wait("model", number)["time"] for number in range(1, rounds + 1)]
        return Figures(
            seconds=statistics.median(late - early for early, late in pairwise(times)),
            cpu_seconds=cpu / (rounds - 1),
            sent_bytes=sent / rounds,
            peak_rss_bytes=max(one.peak_rss_bytes() for one in running),
            first_round_seconds=first - began,
            joined_seconds=joined,
        )
    finally:
        for one in running:
            one.process.terminate()
        for one in running:
            one.process.wait(30)


def report(peers: int, sizes: list[int], rounds: int) -> None:
    """Measure and print a table."""
    print(f"{peers} processes on {os.cpu_count()} cores, real TCP, medians of {rounds - 1} rounds, no training")
    print(f"{'parameters':>11} {'scheme':<7} {'s/round':>8} {'CPU s':>7} {'MB sent':>8} {'peak MB':>8}  aim")
    for parameters in sizes:
        by_scheme = {}
        for scheme in ("plain", "shamir", "proved"):
            with tempfile.TemporaryDirectory(prefix="coterie-bench-") as folder:
                one = by_scheme[scheme] = measure(Path(folder), peers, parameters, scheme, rounds)
            aim = TARGETS.get((parameters, scheme)) if peers == 8 else None
            print(
                f"{parameters:>11} {scheme:<7} {one.seconds:>8.2f} {one.cpu_seconds:>7.2f} {one.sent_bytes / 1e6:>8.1f}"
                f" {one.peak_rss_bytes / 1e6:>8.0f}" + (f"  {aim[0]:g} s, {aim[1]:g} CPU s" if aim else ""),
                flush=True,
            )
        for one, other in (("shamir", "plain"), ("proved", "shamir")):
            above, below = by_scheme[one], by_scheme[other]
            print(
                f"{parameters:>11} {one} / {other}: {above.seconds / below.seconds:.2f} of the seconds,"
                f" {above.cpu_seconds / below.cpu_seconds:.2f} of the CPU seconds,"
                f" {above.sent_bytes / below.sent_bytes:.2f} of the bytes"
            )


def report_cold_start(peers: int = 5) -> None:
    """Print how long cold processes take to their first agreed round."""
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as folder:
        one = measure(Path(folder), peers, 1000, "shamir", 2)
    print(
        f"{peers} cold processes: all admitted after {one.joined_seconds:.1f} s,"
        f" first agreed round after {one.first_round_seconds:.1f} s (aim 15 s)"
    )


def main() -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, default=8)
    parser.add_argument("--parameters", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    report(given.peers, given.parameters, given.rounds)


if __name__ == "__main__":
    main()
