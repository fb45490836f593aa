"""`make bench`: kernels, whole rounds, cold start and the command line, printed side by side with what we aim at."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import kernels
import rounds

PEER = str(Path(sys.executable).with_name("peer"))


def help_seconds(runs: int = 7) -> float:
    """Median seconds of `peer --help`."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([PEER, "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Print all figures."""
    print(f"peer --help: {help_seconds():.2f} s (aim 0.3 s)\n")
    rounds.report_cold_start()
    print()
    rounds.report(8, [100_000, 1_000_000], 6)
    print()
    kernels.main()


if __name__ == "__main__":
    main()
