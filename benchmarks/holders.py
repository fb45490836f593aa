"""The cost of sharing among 8 to 1024 holders by matrix, Newton's differences and transform; and the cost of bits.

    python benchmarks/holders.py [--pictures docs/pictures] [--largest 1024] [--runs 1]

One thread, CPU time, medians; with --runs also medians of several runs, for a machine that does other things. Each
figure is for the work per column; work that is done once for a committee (matrices, weights) is printed beside it. A
"ratio" is the matrix's time over the transform's, per column. "loses" says how much longer than the faster of the two
the way takes that `Scheme` chooses by itself for a million parameters. All shares that are present are compared with
each other; to open from exactly as many as are needed, a matrix takes a single row.

With --pictures it draws what it measured (needs matplotlib).
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coterie.crypto import prng, vectors
from coterie.crypto.field import P, Vector, lagrange_matrix
from coterie.crypto.sharing import robust
from coterie.crypto.sharing.shamir import Placement, Scheme, Way

SEED = bytes(32)
THRESHOLDS = (1 / 4, 1 / 2, 3 / 4)  # of the holders
COLUMNS = 500_000  # of a million parameters, for which the automatic choice is judged
SLOTS_MEMBERS = 10  # whose sums the precision is for


def seconds(work: Callable[[], Any], repeat: int = 5) -> float:
    """Return the median CPU seconds of the work, after one run to warm up."""
    work()
    times = []
    for _ in range(repeat):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return statistics.median(times)


def uniform(rows: int, columns: int) -> Vector:
    """Return pseudorandom field elements."""
    return prng.stream(SEED, b"%d rows" % rows, rows * columns).reshape(rows, columns)


@dataclass(frozen=True)
class Cost:
    """Nanoseconds per share and column, and milliseconds once."""

    each: float
    once: float


@dataclass(frozen=True)
class Measured:
    """One committee. Of the shares beyond the threshold a quarter is missing; the others serve as a check."""

    holders: int
    threshold: int
    pack: int
    share: dict[str, Cost]
    reconstruct: dict[str, Cost]
    lost: tuple[float, float]  # by the automatic choice: its time over that of the faster way, less one


def measure(holders: int, threshold: int, pack: int = 1) -> Measured:
    """Measure all ways for a committee, on cosets, with ``pack`` secrets in each column."""
    scheme = Scheme(holders, threshold, pack, Placement.COSETS)
    columns = max(800, 60_000 // holders)
    secrets, randomness = uniform(pack, columns), uniform(threshold - pack, columns)
    stacked = np.concatenate([secrets, randomness])
    shares, sharing = _share_costs(scheme, secrets, randomness, stacked)

    missing = (holders - threshold) // 4
    indices = [j for j in range(holders) if j % 4 != 1 or j // 4 >= missing]
    rows = np.ascontiguousarray(shares[indices])
    points = [scheme.points[j] for j in indices]
    targets = [*scheme.secret_points, *points[threshold:]]
    start = time.thread_time()
    matrix = lagrange_matrix(points[:threshold], targets)
    once = time.thread_time() - start
    first = rows[:threshold]
    per_share = 1e9 / (columns * len(indices))
    opening = {"matrix": Cost(seconds(lambda: vectors.matmul(matrix, first)) * per_share, once * 1e3)}
    # For packed secrets Newton's differences take a term each for every share: minutes, in large committees.
    others = {"Newton": Way.NEWTON, "NTT": Way.NTT} if pack == 1 else {"NTT": Way.NTT}
    for name, way in others.items():
        # The time for a single column is nearly all for work done once. Newton does much once, so it gets more columns.
        copies = max(4, 4096 // holders) if way is Way.NEWTON else 1
        wide, narrow = np.tile(rows, (1, copies)), rows[:, :1].copy()
        repeat = 5 if holders <= 128 or way is Way.NTT else 1
        once = seconds(lambda way=way, narrow=narrow: scheme.reconstruct(indices, narrow, way), repeat)
        total = seconds(lambda way=way, wide=wide: scheme.reconstruct(indices, wide, way), repeat)
        opening[name] = Cost((total - once) * per_share / copies, once * 1e3)
    assert np.array_equal(scheme.reconstruct(indices, rows, Way.NTT), secrets)
    assert np.array_equal(vectors.matmul(matrix, first)[:pack], secrets)
    lost = (
        _lost(sharing, scheme.sharing_way(COLUMNS), holders),
        _lost(opening, scheme.opening_way(len(indices), COLUMNS), len(indices)),
    )
    return Measured(holders, threshold, pack, sharing, opening, lost)


def _lost(costs: dict[str, Cost], chosen: Way, shares: int) -> float:
    times = {name: cost.each * shares * COLUMNS / 1e6 + cost.once for name, cost in costs.items()}
    return times["NTT" if chosen is Way.NTT else "matrix"] / min(times["matrix"], times["NTT"]) - 1


def _share_costs(
    scheme: Scheme, secrets: Vector, randomness: Vector, stacked: Vector
) -> tuple[Vector, dict[str, Cost]]:
    """Return the shares, and their cost by matrix and by transform."""
    size, columns = scheme.holders, secrets.shape[1]
    per_share = 1e9 / (columns * size)
    start = time.thread_time()
    matrix = scheme.sharing_matrix()
    once = time.thread_time() - start
    by_matrix = Cost(seconds(lambda: vectors.matmul(matrix, stacked)) * per_share, once * 1e3)
    shares = scheme.share(secrets, randomness, Way.NTT)
    transform = seconds(lambda: scheme.share(secrets, randomness, Way.NTT))
    assert np.array_equal(shares[:, :2], vectors.matmul(matrix, stacked[:, :2].copy()))
    return shares, {"matrix": by_matrix, "NTT": Cost(transform * per_share, 0.0)}


def _median_of(runs: Sequence[Measured]) -> Measured:
    """Return the medians of several measurements of one committee."""

    def costs(found: Sequence[dict[str, Cost]]) -> dict[str, Cost]:
        return {
            name: Cost(
                statistics.median(each[name].each for each in found),
                statistics.median(each[name].once for each in found),
            )
            for name in found[0]
        }

    lost = (statistics.median(run.lost[0] for run in runs), statistics.median(run.lost[1] for run in runs))
    share, reconstruct = costs([run.share for run in runs]), costs([run.reconstruct for run in runs])
    return Measured(runs[0].holders, runs[0].threshold, runs[0].pack, share, reconstruct, lost)


def report_ways(largest: int, runs: int = 1) -> list[Measured]:
    """Measure and print committees of powers of two, and of sizes between them; returns those with nothing packed."""
    sizes = [m for m in (8, 12, 16, 24, 32, 64, 128, 256, 512, 768, 1024) if m <= largest]
    committees = [(m, max(2, round(part * m)), 1) for m in sizes for part in THRESHOLDS]
    committees += [(m, 3 * m // 4, m // 4) for m in (64, 256, 1024) if m <= largest]
    found = [_median_of(each) for each in zip(*([measure(*c) for c in committees] for _ in range(runs)), strict=True)]
    print("ns per share and column; in brackets milliseconds once\n")
    print(f"{'holders':>8}{'needed':>8}{'packed':>8}  |{'share: matrix':>20}{'NTT':>8}{'ratio':>8}{'loses':>7}", end="")
    print(f"  |{'open: matrix':>18}{'Newton':>18}{'NTT':>14}{'ratio':>8}{'loses':>7}")
    for measured in found:
        _print_ways(measured)
    unpacked = [measured for measured in found if measured.pack == 1]
    _print_gain(unpacked[-len(THRESHOLDS) :])
    return unpacked


def _print_gain(measured: Sequence[Measured]) -> None:
    """Print the transform against the matrix for the largest committee, with one secret in each column."""
    print(f"\n{measured[0].holders} holders: the matrix form takes so many times as long as the transform (aim 10)")
    for m in measured:
        sharing, opening = (costs["matrix"].each / costs["NTT"].each for costs in (m.share, m.reconstruct))
        print(f"  {m.threshold:4} needed: share {sharing:5.1f}, open {opening:5.1f}")


def _print_ways(measured: Measured) -> None:
    s, r = measured.share, measured.reconstruct
    ratio = r["matrix"].each / r["NTT"].each
    cells = {name: f"{cost.each:.1f} [{cost.once:.1f}]" for name, cost in r.items()}
    print(
        f"{measured.holders:8}{measured.threshold:8}{measured.pack:8}"
        f"  |{s['matrix'].each:10.1f} [{s['matrix'].once:7.1f}]"
        f"{s['NTT'].each:8.1f}{s['matrix'].each / s['NTT'].each:8.1f}{measured.lost[0]:7.0%}"
        f"  |{cells['matrix']:>18}{cells.get('Newton', '-'):>18}{cells['NTT']:>14}{ratio:8.1f}{measured.lost[1]:7.0%}"
    )


def report_small(parameters: int = 1_000_000, holders: int = 10, threshold: int = 6) -> None:
    """Measure and print the committee of the aims: a million parameters, ten holders, of which two lie."""
    columns = parameters // 2
    secrets = prng.stream(SEED, b"secrets", columns)
    scheme = Scheme(holders, threshold)

    def share() -> Vector:
        randomness = prng.stream(SEED, b"randomness", (threshold - 1) * columns).reshape(threshold - 1, columns)
        return scheme.share(secrets, randomness)

    shares = share()
    print(f"\n{parameters:,} parameters, {holders} holders, {threshold} needed")
    print(f"share, with drawing the randomness  {seconds(share) * 1e3:8.1f} ms   aim 60 ms")
    first = shares[:threshold]
    plain = seconds(lambda: scheme.reconstruct(range(threshold), first))
    print(f"reconstruct from {threshold} shares          {plain * 1e3:8.1f} ms")
    liars = (holders - threshold) // 2
    for liar in range(liars):
        shares[liar, liar] ^= np.uint64(1)

    def decode() -> Any:
        return robust.decode(scheme, range(holders), shares, holders - liars, SEED)

    assert decode().liars == tuple(range(liars))
    print(f"reconstruct from {holders}, {liars} of them lying {seconds(decode) * 1e3:8.1f} ms   aim 30 ms")


@dataclass(frozen=True)
class Precision:
    """The cost of values of that many bits, and the error of the mean of the members' updates."""

    bits: int
    slots: int  # values that share a field element
    milliseconds: float
    error: float  # root mean square, of the mean of updates in [-1, 1], in units of 1


def report_precision(parameters: int = 1_000_000) -> list[Precision]:
    """Print the bits kept against time, for 10 members and as many holders, all 10 updates summed and 6 shares needed.

    Sums of n values of b bits take b + log2 n bits; as many as fit share a field element. `fixed_point` puts two into
    each; for the other numbers the times are those of the same kernels with fewer or more elements.
    """
    headroom = (SLOTS_MEMBERS - 1).bit_length()
    prices: dict[int, float] = {}
    found = []
    updates = np.random.default_rng(1).uniform(-1, 1, (SLOTS_MEMBERS, 20_000))
    print(f"\n{SLOTS_MEMBERS} members: bits of a value, values an element, share and reconstruct, error of the mean")
    for bits in range(6, 41, 2):
        slots = (P.bit_length() - 1) // (bits + headroom)
        if slots not in prices:
            prices[slots] = _price(parameters // slots)
        units = 2.0 ** (bits - 1)
        random = np.random.default_rng(2).uniform(size=updates.shape)
        rounded = np.floor(updates * units + random) / units
        error = float(np.sqrt(np.mean((rounded.mean(axis=0) - updates.mean(axis=0)) ** 2)))
        found.append(Precision(bits, slots, prices[slots] * 1e3, error))
        print(f"{bits:8}{slots:8}{prices[slots] * 1e3:12.1f} ms{error:14.1e}")
    return found


def _price(columns: int) -> float:
    scheme = Scheme(10, 6)
    secrets, randomness = uniform(1, columns), uniform(5, columns)
    shares = scheme.share(secrets, randomness)
    first = shares[:6].copy()
    sharing = seconds(lambda: scheme.share(secrets, randomness), 9)
    return sharing + seconds(lambda: scheme.reconstruct(range(6), first), 9)


def report(largest: int = 1024) -> None:
    """Print everything, in about a minute."""
    report_ways(largest)
    report_small()
    report_precision()


def main() -> None:
    """Print all figures, and draw them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=Path, help="folder for holders.png and precision.png")
    parser.add_argument("--largest", type=int, default=1024, help="committee (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=1, help="of the committees, for medians (default: %(default)s)")
    chosen = parser.parse_args()
    ways = report_ways(chosen.largest, chosen.runs)
    report_small()
    precision = report_precision()
    if chosen.pictures:
        import holders_pictures

        holders_pictures.draw_ways(ways, chosen.pictures / "holders.png")
        holders_pictures.draw_precision(precision, chosen.pictures / "precision.png")


if __name__ == "__main__":
    main()
