"""The cost of a box that can be judged: one thread, medians of 300 dealings.

python benchmarks/boxes.py
"""

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

from coterie.crypto.identity.identity import Identity
from coterie.crypto.identity.sealing import DealingKey, Ephemeral, dealing_key

DEALINGS = 300
SEED, CONTEXT = b"s" * 32, b"c" * 32
SHARE, LARGE_SHARE = bytes(100), bytes(1_000_000)
HOLDER = Identity.from_seed(b"h" * 32)
T = TypeVar("T")


def _microseconds(work: Callable[[int], T]) -> tuple[list[T], float]:
    """Return the result of the work for each dealing, and the median time that it took."""
    results, times = [], []
    for dealing in range(DEALINGS):
        began = time.perf_counter()
        results.append(work(dealing))
        times.append(time.perf_counter() - began)
    return results, statistics.median(times) * 1e6


def _checked(key: bytes) -> DealingKey:
    found = dealing_key(key, CONTEXT)
    assert found is not None
    return found


def report() -> None:
    """Print the time of each step. Each dealing has a key of its own, so no cache helps."""
    dealers, making = _microseconds(lambda one: Ephemeral(SEED, CONTEXT, one.to_bytes(32, "big")))
    boxes, sealing = _microseconds(lambda one: dealers[one].seal(HOLDER.public, SHARE))
    keys, checking = _microseconds(lambda one: _checked(dealers[one].key))
    _, opening = _microseconds(lambda one: keys[one].open(HOLDER, boxes[one]))
    openings, revealing = _microseconds(lambda one: keys[one].reveal(HOLDER))
    _, judging = _microseconds(lambda one: keys[one].judge(HOLDER.public, openings[one]))
    _, large = _microseconds(lambda one: dealers[one].seal(HOLDER.public, LARGE_SHARE))
    print("boxes that can be judged, one thread, microseconds")
    for name, took in (
        ("a dealer's key with its proof", making),
        ("seal, for each holder", sealing),
        ("seal, a megabyte more", large - sealing),
        ("check a dealer's key", checking),
        ("open", opening),
        ("reveal", revealing),
        ("judge", judging),
    ):
        print(f"  {name:<30} {took:>6.0f}")


if __name__ == "__main__":
    report()
