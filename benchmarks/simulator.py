"""The simulator's speed, its charges for work, and the growth of rounds with the number of peers.

Run `python benchmarks/simulator.py`; it uses one core. Times are the CPU time of this process: other processes on the
machine disturb the clock, but hardly the CPU time. Everything but the times is a function of the options: the messages
and bytes are the same on every machine.
"""

import argparse
import cProfile
import json
import math
import pstats
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from coterie.protocol.events import Received
from coterie.protocol.messages.envelope import Verified, seal, verify
from coterie.protocol.messages.kinds import Precommit
from coterie.topology.engine.costs import Costs
from coterie.topology.engine.founded_ledger import identity_of
from coterie.topology.engine.simulation import Observer
from coterie.topology.engine.site import Site
from coterie.topology.options import Options, build
from coterie.topology.reporting.result import result_of

AIM_SECONDS = 60.0
AIM_PEERS, AIM_ROUNDS = 100, 20
GROWTH = (13, 25, 50, 100, 200)
GROWTH_ROUNDS = 3
KIND_SIZES = (25, 50, 100, 200)
CASES = (("shamir", 7, 10_000), ("shamir", 7, 1_000_000), ("shamir", 25, 100_000), ("plain", 7, 1_000_000))


@dataclass(frozen=True)
class Run:
    """The figures of one simulation."""

    peers: int
    rounds: int
    cpu_seconds: float
    events: int
    decided: int
    seconds_a_round: float | None
    """Virtual seconds of a decided round, the median; None if there is none."""
    messages_a_peer: int
    """Messages that a peer sends in a decided round, the median."""
    bytes_a_peer: int
    """Bytes of the same."""


def measure(options: Options) -> Run:
    """Run one simulation."""
    began = time.process_time()
    simulation, recorder = build(None, options)
    finished = simulation.run(options.limit_ms)
    spent = time.process_time() - began
    result = result_of(options, simulation, recorder, finished)
    decided = [row for row in result.rounds if row.outcome == "decided"]
    return Run(
        len(result.sites),
        options.rounds,
        spent,
        result.events,
        result.decided,
        result.seconds(0.5),
        round(statistics.median([row.messages_a_peer for row in decided] or [0])),
        round(statistics.median([row.bytes_a_peer for row in decided] or [0])),
    )


def growing(peers: int, rounds: int) -> Options:
    """Return the options of the runs for the growth: every peer is linked to every other one."""
    return Options(topology="complete", peers=peers, rounds=rounds, ideal_crypto=True)


def report_speed(peers: int, rounds: int) -> Run:
    """Measure and print the run that has an aim."""
    run = measure(Options(peers=peers, rounds=rounds, ideal_crypto=True))
    print(f"{peers} peers, {rounds} rounds on a small world, ideal shares: {run.cpu_seconds:.1f} CPU seconds", end="")
    if (peers, rounds) == (AIM_PEERS, AIM_ROUNDS):
        print(f" (aim {AIM_SECONDS:.0f}; ratio {run.cpu_seconds / AIM_SECONDS:.2f})", end="")
    print(f", {run.decided} decided, {run.events:,} events, {run.events / run.cpu_seconds:,.0f} events a second")
    return run


def report_growth(sizes: Sequence[int], rounds: int) -> list[Run]:
    """Measure and print messages, bytes and time against the number of peers."""
    columns = f"{'peers':>6}{'messages':>10}{'':>8}{'MB':>9}{'':>8}{'round (s)':>11}"
    print(f"\n{columns}{'CPU s a round':>15}{'events a second':>17}")
    runs: list[Run] = []
    for peers in sizes:
        run = measure(growing(peers, rounds))
        steep = ["", ""]
        if runs:  # the exponent between this size and the one before
            before = runs[-1]
            steep = [
                f"n^{slope(before.peers, peers, was, now):.2f}"
                for was, now in ((before.messages_a_peer, run.messages_a_peer), (before.bytes_a_peer, run.bytes_a_peer))
            ]
        print(
            f"{peers:>6}{run.messages_a_peer:>10}{steep[0]:>8}{run.bytes_a_peer / 1e6:>9.2f}{steep[1]:>8}"
            f"{run.seconds_a_round or 0:>11.2f}{run.cpu_seconds / rounds:>15.2f}{run.events / run.cpu_seconds:>17,.0f}",
            flush=True,
        )
        runs.append(run)
    print("messages and MB are those that one peer sends in one round; n^x: how they grow from the size above")
    return runs


class Kinds(Observer):
    """Counts messages and their signed bytes by kind; all other bytes that peers send are blobs."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        kind = type(message.message).__name__
        self.messages[kind] += 1
        self.sizes[kind] += len(message.raw)


def report_kinds(sizes: Sequence[int], rounds: int) -> None:
    """Print which kinds of messages carry the bytes."""
    print(f"\n{'of a peer in a round':24}" + "".join(f"{peers:>10} peers " for peers in sizes))
    columns = []
    for peers in sizes:
        options = growing(peers, rounds)
        simulation, _ = build(None, options)
        kinds = Kinds()
        simulation.watch(kinds)
        simulation.run(options.limit_ms)
        blobs = sum(site.sent_bytes for site in simulation.sites) - sum(kinds.sizes.values())
        column = {kind: size / peers / rounds for kind, size in kinds.sizes.items()}
        columns.append(column | {"shares, sums (beside)": blobs / peers / rounds})
    for kind in sorted(columns[-1], key=lambda one: -columns[-1][one])[:8]:
        print(f"{kind:24}" + "".join(f"{column.get(kind, 0) / 1e3:>13.1f} kB" for column in columns))


def slope(n: int, m: int, at_n: float, at_m: float) -> float:
    """Return x where a figure grows like n^x."""
    return math.log(at_m / at_n) / math.log(m / n) if at_n and at_m else 0.0


def report_profile(peers: int, rounds: int, lines: int = 14) -> None:
    """Print the functions that take the time, each without those it calls.

    Profiling makes everything slower, and calls more than other work.
    """
    profile = cProfile.Profile()
    profile.runcall(measure, Options(peers=peers, rounds=rounds, ideal_crypto=True))
    stats: Any = pstats.Stats(profile)
    total = stats.total_tt
    parts: dict[str, float] = defaultdict(float)
    rows = []
    for (file, _, name), (_, calls, own, _, _) in stats.stats.items():
        package = next(
            (one for one in ("protocol", "topology", "crypto") if f"/{one}/" in file), "Python and libraries"
        )
        parts[package] += own
        rows.append((own, calls, f"{Path(file).name}:{name}" if "/" in file else name))
    print(f"\nwhere the time goes, {peers} peers, {rounds} rounds, under a profiler:")
    print(
        "  "
        + ", ".join(f"{name} {100 * own / total:.0f} %" for name, own in sorted(parts.items(), key=lambda x: -x[1]))
    )
    for own, calls, name in sorted(rows, reverse=True)[:lines]:
        print(f"  {100 * own / total:5.1f} %  {calls:>10,} calls  {name}")


# The simulator's charges for work against the measured time.


def report_calibration(cases: Sequence[tuple[str, int, int]]) -> None:
    """Run federations with real shares, time every job, and compare with `coterie.topology.engine.costs`."""
    print(f"\nverifying a vote and handling it: {message_us():.0f} us, charged {Costs().message_us:.0f} us")
    print(f"\n{'job':24}{'peers':>6}{'parameters':>12}{'measured':>12}{'charged':>12}{'ratio':>8}")
    for scheme, peers, parameters in cases:
        for label, (measured, charged) in sorted(jobs(scheme, peers, parameters).items()):
            print(
                f"{label:24}{peers:>6}{parameters:>12,}{measured:>9.2f} ms{charged:>9.2f} ms{charged / measured:>8.2f}",
                flush=True,
            )


def jobs(scheme: str, peers: int, parameters: int) -> dict[str, tuple[float, float]]:
    """Return the median CPU milliseconds of each kind of job, and what is charged for it."""
    options = Options(topology="complete", peers=peers, rounds=5, parameters=parameters, scheme=scheme)
    simulation, _ = build(None, options)
    took: dict[str, list[float]] = defaultdict(list)
    charged: dict[str, list[float]] = defaultdict(list)
    compute, costs = simulation._compute, simulation.setup.costs

    def timed(site: Any, work: Any) -> Any:
        began = time.process_time()
        answer = compute(site, work)
        took[work.label].append(1e3 * (time.process_time() - began))
        charged[work.label].append(costs.work_ms(work, simulation._columns))
        return answer

    simulation._compute = timed  # type: ignore[method-assign]
    simulation.run(600_000)
    return {
        label: (statistics.median(times), statistics.median(charged[label]))
        for label, times in took.items()
        if label != "training"
    }


def message_us() -> float:
    """Return the microseconds that one received vote costs: verifying its envelope, and the node's step."""
    simulation, _ = build(None, Options(topology="complete", peers=13, rounds=2, ideal_crypto=True))
    spent, count = 0.0, 0
    make = simulation.setup.node

    def timed(*arguments: Any) -> Any:
        node = make(*arguments)
        step = node.step

        def stepped(event: Any, now_ms: int) -> Any:
            nonlocal spent, count
            began = time.process_time()
            result = step(event, now_ms)
            if isinstance(event, Received):
                spent += time.process_time() - began
                count += 1
            return result

        node.step = stepped
        return node

    simulation.setup = replace(simulation.setup, node=timed)
    simulation.run(600_000)
    federation = simulation.federation
    votes = [seal(identity_of(0), federation, 5, view, Precommit(bytes(32))) for view in range(2_000)]
    began = time.process_time()
    for vote in votes:
        verify(vote, federation)
    return 1e6 * (spent / count + (time.process_time() - began) / len(votes))


# Pictures.


def draw_growth(runs: Sequence[Run], path: Path) -> None:
    """Draw the messages and bytes of a peer in a round against n, with both axes logarithmic."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    sizes = [run.peers for run in runs]
    for axis, values, unit, colour, marker, powers in (
        (axes[0], [run.messages_a_peer for run in runs], "messages", "#0072B2", "o", (1, 2)),
        (axes[1], [run.bytes_a_peer / 1e6 for run in runs], "megabytes", "#D55E00", "s", (1, 2)),
    ):
        axis.plot(sizes, values, color=colour, marker=marker, label="measured", zorder=3)
        for power, dashes in zip(powers, ("dotted", "dashed"), strict=True):
            line = [values[0] * (n / sizes[0]) ** power for n in sizes]
            name = "n" if power == 1 else f"n{'²' if power == 2 else power}"
            axis.plot(sizes, line, color="grey", linestyle=dashes, linewidth=1, label=f"like {name}")
        axis.set(xscale="log", yscale="log", xlabel="peers (n)", ylabel=f"{unit} sent by a peer in a round")
        axis.set_xticks(sizes, [str(n) for n in sizes], minor=False)
        axis.xaxis.minorticks_off()
        axis.yaxis.set_major_formatter("{x:g}")
        axis.grid(alpha=0.3, which="both")
        axis.legend(frameon=False)
    axes[0].set_title("Messages")
    axes[1].set_title("Bytes, 10,000 parameters")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peers", type=int, default=AIM_PEERS, help="of the run that is timed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=AIM_ROUNDS, help="of the same (default: %(default)s)")
    parser.add_argument("--growth", default=",".join(map(str, GROWTH)), help="sizes (default: %(default)s)")
    parser.add_argument("--only", choices=("speed", "growth", "profile", "calibration"), help="one part")
    parser.add_argument("--pictures", metavar="DIR", help="draw the growth into a folder")
    parser.add_argument("--json", metavar="FILE", help="write what was measured")
    given = parser.parse_args()
    parts = (given.only,) if given.only else ("speed", "growth", "profile", "calibration")
    found: list[Run] = []
    if "speed" in parts:
        found.append(report_speed(given.peers, given.rounds))
    if "growth" in parts:
        runs = report_growth([int(n) for n in given.growth.split(",")], GROWTH_ROUNDS)
        found += runs
        report_kinds([size for size in KIND_SIZES if size <= max(run.peers for run in runs)], 2)
        if given.pictures:
            Path(given.pictures).mkdir(parents=True, exist_ok=True)
            draw_growth(runs, Path(given.pictures) / "simulator-growth.png")
    if "profile" in parts:
        report_profile(given.peers, min(3, given.rounds))
    if "calibration" in parts:
        report_calibration(CASES)
    if given.json:
        Path(given.json).write_text(json.dumps([asdict(run) for run in found], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
