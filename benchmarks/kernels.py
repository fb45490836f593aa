"""The cost of the cryptography by itself: one thread, no network, no disk.

Run `python benchmarks/kernels.py`; `--help` lists the sizes that can be changed. Times are the CPU time of the thread,
the median of some runs: other processes on the machine disturb the clock, but hardly the CPU time. "ns an element" is
per field element of one row (two parameters); MB/s counts the bytes of all rows that are read or made.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from coterie.crypto import field, prng, vectors
from coterie.crypto.sharing import dealing, fixed_point, robust
from coterie.crypto.sharing.shamir import Newton, Scheme

CONTEXT = bytes(32)
SEED = bytes(32)


class Table:
    """Measures and prints a line at a time."""

    def __init__(self, columns: int, repeat: int) -> None:
        self.columns = columns
        self.repeat = repeat
        print(f"\n{'':44}{'median':>12}{'ns an element':>16}{'MB/s':>10}")

    def line(self, name: str, rows: int, work: Callable[[], Any]) -> Any:
        """Run the work once to warm up and then `repeat` times; rows: vectors that it reads or makes."""
        result = work()
        seconds = []
        for _ in range(self.repeat):
            start = time.thread_time()
            work()
            seconds.append(time.thread_time() - start)
        median = statistics.median(seconds)
        each = median * 1e9 / self.columns
        rate = 8e-6 * rows * self.columns / median
        print(f"{name:44}{median * 1e3:9.2f} ms{each:16.2f}{rate:10.0f}")
        return result


def measure_vectors(table: Table) -> None:
    """Measure the parts that everything else is made of."""
    x, y = (prng.stream(SEED, label, table.columns) for label in (b"x", b"y"))
    table.line("stream: expand a seed", 1, lambda: prng.stream(SEED, b"", table.columns))
    table.line("add_into", 2, lambda: vectors.add_into(x, y))
    table.line("dot", 2, lambda: vectors.dot(x, y))
    table.line("fingerprint: two challenges, made and applied", 1, lambda: vectors.fingerprint(SEED, x))
    table.line("from_bytes: copy and check", 1, lambda: field.from_bytes(x.data.cast("B"), table.columns))


def measure_codec(table: Table, holders: int) -> None:
    """Measure the way from float32 to the field and back."""
    encoding = fixed_point.FixedPoint(clip=8.0, summands=holders)
    update = np.random.default_rng(1).normal(size=2 * table.columns).astype(np.float32)
    words, _ = table.line("encode: two parameters an element", 1, lambda: encoding.encode(update, 0.7, SEED))
    table.line("decode_sum", 1, lambda: encoding.decode_sum(words, update.size, 1))


def measure_shamir(table: Table, holders: int, threshold: int) -> None:
    """Measure plain Shamir sharing, and two ways of reconstruction."""
    scheme = Scheme(holders, threshold)
    secrets = prng.stream(SEED, b"secrets", table.columns)
    flat = prng.stream(SEED, b"randomness", table.columns * (threshold - 1))
    randomness = flat.reshape(threshold - 1, table.columns)
    shares = table.line("share", holders, lambda: scheme.share(secrets, randomness))
    first = shares[:threshold]
    table.line("reconstruct: Lagrange matrix", threshold, lambda: scheme.reconstruct(range(threshold), first))

    def newton() -> Newton:
        state = Newton(scheme, table.columns)
        for holder, row in enumerate(first):
            state.add(holder, row)
        return state

    complete = table.line("reconstruct: Newton, all shares", threshold, newton)
    assert np.array_equal(complete.secrets()[0], secrets)


def measure_rounds(table: Table, holders: int, threshold: int) -> None:
    """Measure the work of a member in a round: deal once, check every other dealing, decode the sums."""
    terms = dealing.Terms(holders, threshold, table.columns, dealer=0)
    secrets = prng.stream(SEED, b"secrets", table.columns)
    dealt = table.line("deal", holders, lambda: dealing.deal(CONTEXT, terms, secrets, SEED))

    def check(holder: int) -> Callable[[], Any]:
        return lambda: dealing.check(CONTEXT, terms, holder, dealt.commitment, dealt.shares[holder])

    table.line("check: a seed", 1, check(1))
    table.line("check: values", 1, check(0))
    rows = np.stack([check(holder)() for holder in range(holders)])
    agree = threshold + (holders - 1) // 3

    def decode() -> Any:
        return robust.decode(Scheme(holders, threshold), range(holders), rows, agree, SEED)

    assert np.array_equal(table.line("decode: all honest", holders, decode).secret, secrets)
    liars = min((holders - threshold) // 2, holders - agree)
    for liar in range(liars):
        rows[liar, liar] ^= np.uint64(1)
    found = table.line(f"decode: {liars} liars", holders, decode)
    assert found.liars == tuple(range(liars))
    sent = sum(len(share) for share in dealt.shares) - len(dealt.shares[terms.dealer])
    plain = 8 * table.columns * (holders - 1)
    print(f"\nA dealing sends {sent / 1e6:.2f} MB; without seeds it would be {plain / 1e6:.2f} MB.")


def report(parameters: int = 1_000_000, holders: int = 8, threshold: int = 4, repeat: int = 9) -> None:
    """Measure and print the table."""
    columns = fixed_point.FixedPoint.columns(parameters)
    print(f"{parameters} parameters, {holders} holders, of whom {threshold} open a sum")
    table = Table(columns, repeat)
    measure_vectors(table)
    measure_codec(table, holders)
    measure_shamir(table, holders, threshold)
    measure_rounds(table, holders, threshold)


def main() -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--parameters", type=int, default=1_000_000, help="of the model (default: %(default)s)")
    parser.add_argument("--holders", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--threshold", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=9, help="runs of each line (default: %(default)s)")
    chosen = parser.parse_args()
    report(chosen.parameters, chosen.holders, chosen.threshold, chosen.repeat)


if __name__ == "__main__":
    main()
