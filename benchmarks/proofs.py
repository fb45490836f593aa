"""The cost of dealings that prove themselves: one thread, CPU time, medians.

    python benchmarks/proofs.py [--parameters 100000 1000000] [--holders 10]

Prints, beside our aims, the dealer's and a holder's milliseconds with and without the proof, and the bytes that it adds
to a share and to the message; then how far one liar can move a weight.
"""

import argparse
import hashlib
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from coterie.crypto.field import P, Vector
from coterie.crypto.proof.checks import check_public, check_share
from coterie.crypto.proof.prover import prove
from coterie.crypto.proof.terms import SLOT, Terms
from coterie.crypto.sharing import dealing
from coterie.crypto.sharing.fixed_point import encode_wide

AIMS = {100_000: (60, 20), 1_000_000: (500, 130)}
"""Milliseconds of a dealer, and of a holder for each dealer, by parameters; for 10 holders."""

EXAMPLES, REFERENCE = 300, 512
SEED = bytes(32)
T = TypeVar("T")


def measured(work: Callable[[], T], repeat: int = 5) -> tuple[T, float]:
    """Return the result of the work, and the median of its CPU milliseconds."""
    times = []
    for _ in range(repeat + 1):  # the first one warms up
        began = time.thread_time()
        result = work()
        times.append(time.thread_time() - began)
    return result, statistics.median(times[1:]) * 1e3


def vector_of(terms: Terms) -> Vector:
    """Return a vector with an update nearly as long as its weight allows, counts, sums and random elements."""
    values = np.random.default_rng(1).standard_normal(2 * terms.update_columns)
    length = 0.97 * terms.unit * EXAMPLES
    whole = np.trunc(values * (length / np.sqrt((values * values).sum()))).astype(np.int64)
    pairs = zip(whole[0::2].tolist(), whole[1::2].tolist(), strict=True)
    columns = np.array([(a + SLOT * b) % P for a, b in pairs], dtype=np.uint64)
    wide = [encode_wide(one) for one in (EXAMPLES, EXAMPLES, *[0.25] * (terms.wide_sums - 2))]
    return np.concatenate([columns, *wide, np.zeros(2, dtype=np.uint64)])


def costs(parameters: int, holders: int) -> None:
    """Print the cost of one dealing."""
    faults = (holders - 1) // 3
    terms = Terms(holders, max(2, holders - 2 * faults), 0, (parameters + 1) // 2, 6, REFERENCE)
    vector, context = vector_of(terms), hashlib.sha256(b"benchmark").digest()
    last = holders - 1
    plain, deal_ms = measured(lambda: dealing.deal(context, terms.sharing, vector, SEED))
    _, check_ms = measured(lambda: dealing.check(context, terms.sharing, last, plain.commitment, plain.shares[last]))
    proved, prove_ms = measured(lambda: prove(context, terms, vector, EXAMPLES, EXAMPLES, SEED))

    def as_holder() -> None:
        check_public.__globals__["_functionals"].cache_clear()  # another dealing each time
        check_public(context, terms, proved.commitment)
        check_share(context, terms, last, proved.commitment, proved.shares[last])

    _, holder_ms = measured(as_holder)
    dealer_aim, holder_aim = AIMS.get(parameters, (0, 0))
    share = len(proved.shares[last]) - len(plain.shares[last])
    message = len(proved.commitment.polynomials) - len(plain.commitment.fingerprints)
    print(f"{parameters} parameters, {holders} holders, K = {terms.threshold}")
    print(f"  dealer        {prove_ms:>6.1f} ms (aim {dealer_aim}); without a proof {deal_ms:.1f}")
    print(f"  holder        {holder_ms:>6.1f} ms (aim {holder_aim}); without a proof {check_ms:.1f}")
    print(f"  bytes added   {share} a share (aim 48000), {message} in the message")


def influence(holders: int) -> None:
    """Print how far one liar can move a single weight, beside what an honest member may."""
    faults = (holders - 1) // 3
    terms = Terms(holders, max(2, holders - 2 * faults), 0, 50_000, 6, REFERENCE)
    honest = terms.unit * REFERENCE
    print(
        f"{holders:>3} members of full weight: an honest update moves one weight by at most {1 / holders:.3f} of the"
        f" clip, a proved lie by {3 * terms.allowance(REFERENCE) / honest / holders:.3f}, a lie without proofs by 1"
    )


def report(parameters: tuple[int, ...] = (100_000, 1_000_000), holders: int = 10) -> None:
    """Print everything."""
    for size in parameters:
        costs(size, holders)
    for members in (4, 10, 30):
        influence(members)


def main() -> None:
    """Read the options and print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--holders", type=int, default=10)
    chosen = parser.parse_args()
    report(tuple(chosen.parameters), chosen.holders)


if __name__ == "__main__":
    main()
