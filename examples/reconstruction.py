"""How is a sum opened fastest: with Lagrange, with Newton while the shares trickle in, or with a transform?

Three ways give the same secrets. Lagrange multiplies all shares by one matrix. Newton takes each share as it comes, so
that little is left to do when the last one is here. The transform (NTT) needs n log n steps instead of n times K. Which
of them is fastest depends on the number of holders: half of them are needed here, and all but a quarter of the spare
ones answer. Every opening is compared with what was shared.

Then precision: how far off is the mean of ten members' updates when they are rounded to so many digits, and what does
it cost? The paper that this project began with stopped at three digits because more was too slow.

Times are CPU times on one core, medians of five. Run: python examples/reconstruction.py [--out FILE.png]
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from telling import arguments, logarithmic, picture, table

from coterie.crypto import prng
from coterie.crypto.field import P, Vector
from coterie.crypto.sharing.shamir import Newton, Placement, Scheme, Way
from coterie.crypto.vectors import add_into
from coterie.topology.reporting.pictures import BLUE, GREEN, ORANGE, RED

MEMBERS, DIGITS, COLOURS = 10, range(1, 10), (BLUE, ORANGE, RED, GREEN)
WAYS = ("Lagrange", "Newton in all", "Newton after the last", "NTT")


def uniform(label: bytes, rows: int, columns: int) -> Vector:
    """Pseudorandom field elements."""
    return prng.stream(bytes(32), label, rows * columns).reshape(rows, columns)


def milliseconds(work: Callable[[], object]) -> float:
    """Median CPU time of a job, after one run to warm up."""
    times = []
    for _ in range(6):
        start = time.thread_time()
        work()
        times.append(1000 * (time.thread_time() - start))
    return statistics.median(times[1:])


def openings(holders: int, columns: int) -> tuple[float, ...]:
    """Milliseconds of each of the `WAYS` to open so many sums."""
    scheme = Scheme(holders, holders // 2, placement=Placement.COSETS)
    secrets = uniform(b"secrets", 1, columns)
    shares = scheme.share(secrets, uniform(b"randomness", scheme.threshold - 1, columns))
    indices = range(holders - (holders - scheme.threshold) // 4)
    rows = shares[: len(indices)]
    for way in Way:
        if not np.array_equal(scheme.reconstruct(indices, rows, way), secrets):
            raise SystemExit(f"{holders} holders: {way.value} opens something else than was shared")
    last = []
    for _ in range(6):
        newton = Newton(scheme, columns)
        for index in indices[:-1]:
            newton.add(index, rows[index])
        start = time.thread_time()
        newton.add(indices[-1], rows[-1])
        newton.secrets()
        last.append(1000 * (time.thread_time() - start))
    lagrange, whole, transform = (
        milliseconds(partial(scheme.reconstruct, indices, rows, way)) for way in (Way.LAGRANGE, Way.NEWTON, Way.NTT)
    )
    return lagrange, whole, statistics.median(last[1:]), transform


@dataclass(frozen=True)
class Precision:
    """Updates rounded to so many digits: values that share a field element, time to share and open, error."""

    digits: int
    packed: int
    milliseconds: float
    error: float


def precision(digits: int, parameters: int) -> Precision:
    """Share, sum and open the updates of all members, each value an integer of so many decimal digits."""
    unit, scheme = 10**digits, Scheme(MEMBERS, MEMBERS // 2 + 1)
    slot = (2 * MEMBERS * unit).bit_length()  # bits that hold a sum of values in [-unit, unit], moved up by unit
    packed = (P.bit_length() - 1) // slot
    updates = np.random.default_rng(1).uniform(-1, 1, (MEMBERS, parameters // packed, packed))
    shifts = np.arange(packed, dtype=np.uint64) * np.uint64(slot)
    columns = updates.shape[1]
    words = ((np.rint(updates * unit) + unit).astype(np.uint64) << shifts).sum(axis=2, dtype=np.uint64)
    randomness = uniform(b"randomness", scheme.threshold - 1, columns)
    total = np.zeros((MEMBERS, columns), dtype=np.uint64)
    for word in words:
        for mine, share in zip(total, scheme.share(word, randomness), strict=True):
            add_into(mine, share)
    first = total[: scheme.threshold]
    opened = scheme.reconstruct(range(scheme.threshold), first)[0]
    sums = ((opened[:, None] >> shifts) & np.uint64(2**slot - 1)).astype(np.float64) - MEMBERS * unit
    error = float(np.sqrt(np.square(sums / unit / MEMBERS - updates.mean(axis=0)).mean()))
    taken = milliseconds(lambda: scheme.share(words[0], randomness))
    taken += milliseconds(lambda: scheme.reconstruct(range(scheme.threshold), first))
    return Precision(digits, packed, taken, error)


def main() -> None:
    """Measure both, print both."""
    given = arguments(
        __doc__,
        holders=((8, 16, 32, 64, 128, 256), "of each committee"),
        sums=(10_000, "sums that are opened at once"),
        parameters=(200_000, "values of an update, for the precision"),
    )
    if min(given.holders) < 4:
        raise SystemExit(f"--holders {min(given.holders)}: half of them open a sum, so at least 4 are needed")
    sizes = sorted(set(given.holders))
    times = [openings(holders, given.sums) for holders in sizes]
    rows = [(holders, holders // 2, *(f"{one:.2f}" for one in row)) for holders, row in zip(sizes, times, strict=True)]
    table(f"milliseconds to open {given.sums:,} sums", ("holders", "needed", *WAYS), rows)
    found = [precision(digits, given.parameters) for digits in DIGITS]
    cells = [(one.digits, one.packed, f"{one.milliseconds:.2f}", f"{one.error:.1e}") for one in found]
    columns = ("digits", "values an element", "ms to share and open", "error of the mean (RMS)")
    table(f"{given.parameters:,} values in [-1, 1] of {MEMBERS} members and holders", columns, cells)
    draw(given.out, sizes, times, found)


def draw(out: Path | None, sizes: list[int], times: list[tuple[float, ...]], found: list[Precision]) -> None:
    """Time against holders; error and time against digits."""
    with picture(out, 3) as axes:
        if not axes:
            return
        ways, errors, costs = axes
        for place, (way, marker) in enumerate(zip(WAYS, "osD^", strict=True)):
            ways.plot(sizes, [row[place] for row in times], color=COLOURS[place], marker=marker, label=way)
        logarithmic(ways, sizes)
        ways.set(xlabel="holders", ylabel="time to open (ms)", title="Opening sums: three ways")
        ways.legend(frameon=False)
        errors.plot(DIGITS, [one.error for one in found], color=BLUE, marker="o")
        errors.set(yscale="log", xlabel="decimal digits", ylabel="error of the mean (RMS)", title="What digits bring")
        costs.plot(DIGITS, [one.milliseconds for one in found], color=ORANGE, marker="s")
        costs.set(
            xlabel="decimal digits", ylabel="time to share and open (ms)", title="What digits cost", ylim=(0, None)
        )


if __name__ == "__main__":
    main()
