"""The cost of masked sums: one thread, no network, CPU time, medians.

    python benchmarks/masks.py [--parameters 1000000] [--members 10]

Aims: mask and unmask a million parameters within 30 ms each, at no more than 1.05 bytes sent per byte of float32. Then
come the time of the parts, the memory when a large vector streams through, and the bits that are kept.
"""

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from coterie.crypto import field, vectors
from coterie.crypto.masks import mask as masks
from coterie.crypto.masks.blame import RunningFingerprint
from coterie.crypto.masks.contents import Contents
from coterie.crypto.masks.keys import Key, plaintext_count
from coterie.crypto.masks.parameters import DIMENSION, MaskParameters, largest_bits
from coterie.crypto.masks.ring import Products

SEED = bytes(32)
LARGE = 100_000_000


class Table:
    """Measures and prints a line at a time."""

    def __init__(self, elements: int, repeat: int) -> None:
        self.elements = elements
        self.repeat = repeat

    def line(self, name: str, work: Callable[[], Any], aim: str = "") -> Any:
        """Run the work once to warm up and then `repeat` times."""
        result = work()
        seconds = []
        for _ in range(self.repeat):
            start = time.thread_time()
            work()
            seconds.append(time.thread_time() - start)
        median = statistics.median(seconds)
        print(f"{name:48}{median * 1e3:9.2f} ms{median * 1e9 / self.elements:9.2f} ns an element   {aim}")
        return result


def measure(parameters: int, members: int, repeat: int) -> None:
    """Measure masking, summing and unmasking, then the parts."""
    agreed = MaskParameters(members, 1.0)
    update = np.random.default_rng(1).normal(0, 0.1, parameters).astype(np.float32)
    words, _ = agreed.encoding.encode(update, 1.0, SEED)
    table = Table(words.size, repeat)
    print(f"{parameters:,} parameters, {members} members: {agreed.bits} bits a value\n")
    table.line("encode", lambda: agreed.encoding.encode(update, 1.0, SEED))
    key, masked = table.line("mask", lambda: masks.mask(agreed, SEED, words, SEED, b"round"), "aim 30 ms")
    total = np.zeros_like(masked)
    table.line("add one contribution", lambda: vectors.add_into(total, masked))
    opened = table.line("unmask", lambda: masks.unmask(agreed, SEED, masked, key.vector, 1), "aim 30 ms")
    assert np.array_equal(opened, words)
    table.line("decode", lambda: agreed.encoding.decode_sum(opened, parameters, 1))
    table.line("fingerprint, two challenges", lambda: vectors.fingerprint(SEED, masked))
    print()
    contents = table.line("of which: hash the words, twice", lambda: Contents.of(words))
    table.line("of which: draw a key", lambda: Key(SEED, b"", SEED, agreed, contents))
    table.line("of which: errors", lambda: key.errors(0, words.size))
    table.line("of which: public element and products", lambda: Products(SEED, key.vector).at(0, words.size))

    sent = len(field.to_bytes(masked))
    print(f"\nsent: {sent:,} bytes, {sent / update.nbytes:.4f} of float32 (aim 1.05)")
    shares = 8 * DIMENSION
    print(f"and for the key: {shares:,} bytes a share, or {plaintext_count(2**2047, members)} plaintexts of 2048 bits")


def measure_streaming() -> None:
    """Measure memory and time when a hundred million parameters stream through."""
    agreed = MaskParameters(10, 1.0)
    update = np.random.default_rng(1).normal(0, 0.1, 2 * masks.PIECE).astype(np.float32)
    pieces = -(-LARGE // update.size)
    words, _ = agreed.encoding.encode(update, 1.0, SEED)
    contents = Contents()
    for _ in range(pieces):
        contents.add(words)
    key = Key(SEED, b"", SEED, agreed, contents)
    masker, running = masks.Masker(key), RunningFingerprint(SEED)
    unmasker = masks.Unmasker(agreed, SEED, key.vector, 1)
    tracemalloc.start()
    start = time.thread_time()
    for _ in range(pieces):
        words, _ = agreed.encoding.encode(update, 1.0, SEED)
        masked = masker.mask(words)
        running.add(masked)
        assert np.array_equal(unmasker.unmask(masked), words)
    seconds = time.thread_time() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()  # otherwise the next measurement takes many times as long
    print(
        f"\nstreaming {LARGE:,} parameters through encode, mask, fingerprint and unmask: {seconds:.1f} s,"
        f" peak memory {peak / 1e6:.1f} MB"
    )


def show_bits() -> None:
    """Print how many bits of a value are kept, by the number of members."""
    print("\nmembers      " + "".join(f"{n:6}" for n in (2, 10, 16, 25, 50, 100, 250, 500, 1000)))
    print("bits kept    " + "".join(f"{largest_bits(n):6}" for n in (2, 10, 16, 25, 50, 100, 250, 500, 1000)))


def report(parameters: int = 1_000_000, members: int = 10, repeat: int = 9) -> None:
    """Print everything."""
    measure(parameters, members, repeat)
    measure_streaming()
    show_bits()


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--parameters", type=int, default=1_000_000, help="of the model (default: %(default)s)")
    parser.add_argument("--members", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=9, help="runs of each line (default: %(default)s)")
    chosen = parser.parse_args()
    report(chosen.parameters, chosen.members, chosen.repeat)


if __name__ == "__main__":
    main()
