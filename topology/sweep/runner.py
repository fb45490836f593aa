"""Runs many scenarios on all cores: `python -m coterie.topology.sweep --seeds 20000`.

Prints every violation with its seed; then, for the first five, the smallest scenario that still shows it and a
transcript. Ends with a line for docs/assurance.md. Exit code 1 if anything was found.
"""

import argparse
import hashlib
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Sequence

from .scenarios import Failure, run, scenario_of, shrink

CHUNK = 20
MAX_SHOWN = 5


def check(seed: int) -> tuple[int, Failure | str]:
    """Run one seed; returns it with the failure, or with the hash of everything that was sent."""
    return seed, run(scenario_of(seed))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sweep; returns the exit code."""
    parser = argparse.ArgumentParser(prog="sweep", description="run random scenarios under all invariants")
    parser.add_argument("--seeds", type=int, default=2_000, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    failures: list[Failure] = []
    tally: Counter[str] = Counter()
    digest = hashlib.sha256()
    seeds = range(given.first, given.first + given.seeds)
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        for done, (seed, found) in enumerate(pool.imap(check, seeds, CHUNK), 1):
            if isinstance(found, Failure):
                failures.append(found)
                tally[found.invariant] += 1
                print(f"seed {seed}: {found.invariant}: {found.what}", flush=True)
            else:
                digest.update(found.encode())
            if done % 1000 == 0:
                print(f"{done} seeds, {len(failures)} violations, {time.monotonic() - began:.0f} s", flush=True)
    for failure in failures[:MAX_SHOWN]:
        print(f"\nseed {failure.scenario.seed}, shrunk:\n{shrink(failure)}")
    if tally:
        print("\n" + ", ".join(f"{invariant}: {count}" for invariant, count in tally.most_common()))
    spent = time.monotonic() - began
    hashed = digest.hexdigest()[:16]
    print(f"{len(seeds)} seeds from {given.first}, {len(failures)} violations, {spent:.0f} s, digest {hashed}")
    return 1 if failures else 0
