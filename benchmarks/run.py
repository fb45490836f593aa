"""`make bench`: all measurements, section by section, printed beside our aims.

make bench                          all sections but the last five, some six minutes
make bench ARGS="paillier masks"    these sections
make bench ARGS=--help              the sections and what each takes
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PEER = str(Path(sys.executable).with_name("peer"))


def help_seconds(runs: int = 7) -> float:
    """Return the median seconds of `peer --help`."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([PEER, "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


# The modules of the sections are imported when they run: none needs the packages of another.


def _start() -> None:
    import rounds

    print(f"peer --help: {help_seconds():.2f} s (aim 0.3 s)\n")
    rounds.report_cold_start()


def _rounds() -> None:
    import rounds

    rounds.report(8, [100_000, 1_000_000], 6)


def _kernels() -> None:
    import kernels

    kernels.report()


def _boxes() -> None:
    import boxes

    boxes.report()


def _proofs() -> None:
    import proofs

    proofs.report()


def _packages() -> None:
    import sharing_packages

    sharing_packages.report()


def _paillier() -> None:
    import paillier

    paillier.report()


def _masks() -> None:
    import masks

    masks.report()


def _holders() -> None:
    import holders

    holders.report()


def _simulator() -> None:
    import simulator

    simulator.report_speed(simulator.AIM_PEERS, simulator.AIM_ROUNDS)


def _flood() -> None:
    import flood

    flood.report()


def _joint() -> None:
    import paillier

    paillier.report_joint([3, 5], 5)


def _joint_ten() -> None:
    import paillier

    paillier.report_joint([10], 1)


def _learning() -> None:
    import learning

    learning.report()


def _strangers() -> None:
    import strangers

    strangers.report(list(strangers.ATTACKS), 10.0)


@dataclass(frozen=True)
class Section:
    """One part of the report."""

    about: str
    run: Callable[[], None]
    by_default: bool = True


SECTIONS = {
    "start": Section("the command line and a cold start (10 s)", _start),
    "rounds": Section("whole rounds of 8 processes (1 to 2 min)", _rounds),
    "kernels": Section("arithmetic, dealing and decoding, part by part (5 s)", _kernels),
    "boxes": Section("boxes that can be judged, step by step (1 s)", _boxes),
    "proofs": Section("dealings that prove themselves: time, bytes, what a liar can do (10 s)", _proofs),
    "packages": Section("sharing and reconstruction against MPyC and galois (10 s)", _packages),
    "paillier": Section("encryption against phe, threshold opening, two cores (1 to 2 min)", _paillier),
    "masks": Section("masked sums: time, bytes, memory (10 s)", _masks),
    "holders": Section("committees of 8 to 1024 by matrix and transform; bits against time (1 min)", _holders),
    "simulator": Section("20 rounds of 100 simulated peers, on one core (1 min)", _simulator),
    "learning": Section("tables pooled, alone and federated, even and skewed (10 min)", _learning, by_default=False),
    "strangers": Section("four peers while 32 strangers attack one of them (4 min)", _strangers, by_default=False),
    "flood": Section("a hostile member at full rate against three honest ones (4 min)", _flood, by_default=False),
    "joint": Section("joint keys of 2048 bits for 3 and 5 parties, 5 of each (1 to 4 min)", _joint, by_default=False),
    "joint10": Section("one joint key of 2048 bits for 10 parties (10 s to 3 min)", _joint_ten, by_default=False),
}


def main() -> None:
    """Print the chosen sections."""
    listed = "".join(f"\n  {name:10} {section.about}" for name, section in SECTIONS.items())
    parser = argparse.ArgumentParser(
        description="Print what things cost, beside what we aim at.",
        epilog=f"sections:{listed}\n\nThe last five do not run unless they are named.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="default: all but the last five")
    chosen = parser.parse_args().sections or [name for name, section in SECTIONS.items() if section.by_default]
    for name in chosen:
        if name not in SECTIONS:
            parser.error(f"no section {name!r}: there are {', '.join(SECTIONS)}")
    for name in chosen:
        print(f"\n== {name}: {SECTIONS[name].about}\n", flush=True)
        SECTIONS[name].run()


if __name__ == "__main__":
    main()
