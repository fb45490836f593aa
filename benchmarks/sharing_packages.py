"""Sharing and reconstruction against MPyC and galois, on the same values: one thread, CPU time.

    python benchmarks/sharing_packages.py

A million parameters of 22 bits for 10 holders, of which 6 are needed. Both packages work modulo 2^31 - 1, where the
compiled products of galois are exact and the time of MPyC hardly depends on the prime; and with one value to a field
element, as neither packs. They do a sample of the values, since all of them would take minutes. Their figures are
scaled up, and the factor is printed. Each package draws its own randomness.
"""

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coterie.crypto import prng
from coterie.crypto.sharing import fixed_point
from coterie.crypto.sharing.shamir import Scheme

HOLDERS, THRESHOLD = 10, 6
PRIME = 2**31 - 1
Values = NDArray[np.int64]


def seconds(work: Callable[[], Any], repeat: int = 9) -> tuple[float, Any]:
    """Return the median CPU seconds, after one run to warm up, and the last result."""
    work()
    times = []
    for _ in range(repeat):
        start = time.thread_time()
        result = work()
        times.append(time.thread_time() - start)
    return sorted(times)[repeat // 2], result


def ours(values: Values) -> tuple[float, float]:
    """Measure ours: two values to an element, and the time includes drawing the randomness."""
    columns = fixed_point.FixedPoint.columns(values.size)
    pairs = values.astype(np.uint64).reshape(-1, 2)
    secrets = pairs[:, 0] | pairs[:, 1] << np.uint64(fixed_point.SLOT_BITS)
    scheme = Scheme(HOLDERS, THRESHOLD)

    def share() -> Any:
        randomness = prng.stream(bytes(32), b"randomness", (THRESHOLD - 1) * columns)
        return scheme.share(secrets, randomness.reshape(THRESHOLD - 1, columns))

    sharing, shares = seconds(share)
    first = shares[:THRESHOLD].copy()
    opening, opened = seconds(lambda: scheme.reconstruct(range(THRESHOLD), first))
    assert np.array_equal(opened[0], secrets)
    return sharing, opening


def mpyc(values: Values) -> tuple[float, float]:
    """Measure MPyC by its vectorised functions, which are its fastest."""
    finfields, thresha = importlib.import_module("mpyc.finfields"), importlib.import_module("mpyc.thresha")
    field = finfields.GF(PRIME)
    secrets = field.array(values.astype(object))
    sharing, shares = seconds(lambda: thresha.np_random_split(field, secrets, THRESHOLD - 1, HOLDERS), 3)
    points = [(j + 1, shares[j]) for j in range(THRESHOLD)]
    opening, opened = seconds(lambda: thresha.np_recombine(field, points), 3)
    assert np.array_equal(np.array(opened.value, dtype=np.int64), values)
    return sharing, opening


def galois(values: Values) -> tuple[float, float]:
    """Measure galois by products of matrices over its compiled prime field."""
    package = importlib.import_module("galois")
    field = package.GF(PRIME)
    powers = field(np.array([[pow(x, i, PRIME) for i in range(THRESHOLD)] for x in range(1, HOLDERS + 1)]))
    secrets = field(values)

    def share() -> Any:
        return powers @ np.vstack([secrets[None], field.Random((THRESHOLD - 1, values.size))])

    sharing, shares = seconds(share, 3)
    recombine = np.linalg.inv(powers[:THRESHOLD])[:1]
    opening, opened = seconds(lambda: recombine @ shares[:THRESHOLD], 3)
    assert np.array_equal(np.array(opened[0]), values)
    return sharing, opening


def report(parameters: int = 1_000_000, sample: int = 50_000) -> None:
    """Measure and print the comparison."""
    values = np.random.default_rng(1).integers(0, 2**22 - 1, parameters)
    sharing, opening = ours(values)
    print(
        f"{parameters:,} parameters, {HOLDERS} holders, {THRESHOLD} needed; one thread, CPU time, medians. Packages do"
    )
    print(f"{sample:,} of the same values, times {parameters / sample:g}; aim: 100 times ours or more.\n")
    print(f"{'':12}{'share':>12}{'ratio':>8}{'reconstruct':>16}{'ratio':>8}")
    print(f"{'coterie':12}{sharing * 1e3:9.1f} ms{'':8}{opening * 1e3:13.1f} ms")
    for name, run in (("MPyC", mpyc), ("galois", galois)):
        try:
            measured = run(values[:sample])
        except ImportError:
            print(f"{name:12} is not installed: pip install coterie[bench]")
            continue
        share, reconstruct = (t * parameters / sample for t in measured)
        print(f"{name:12}{share:10.2f} s{share / sharing:9.0f}{reconstruct:14.2f} s{reconstruct / opening:9.0f}")


def main() -> None:
    """Read the options and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--parameters", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--sample", type=int, default=50_000, help="for the packages (default: %(default)s)")
    chosen = parser.parse_args()
    report(chosen.parameters, chosen.sample)


if __name__ == "__main__":
    main()
