"""How often projections hide an update that is too long: the supremum in docs/proof.md, in ball arithmetic.

python benchmarks/proof_bound.py [--rows 256] [--theta 26.6667] [--nu 3] [--ratio 2036] [--bits 131.9]

Shows that the chance is at most 2^-bits, or says where it could not: the interval (0, nu] of the one variable t is cut
in halves until on each piece an upper bound, rounded outwards, is small enough (some 40 s).
"""

import argparse
import math
import time

from flint import arb, ctx

ctx.prec = 64
SLACK = 4e-6
"""Most by which the sum for a larger ratio of modulus to length exceeds that for the given one (docs/proof.md)."""


class Weights:
    """c_k, the Fourier coefficients of the wrapped Gaussian, and a bound on those that are left out."""

    def __init__(self, y: float, nu: float, ratio: float) -> None:
        self.ratio = arb(ratio)
        h = arb(y) / arb(nu) ** 2
        self.last = math.ceil(ratio * math.sqrt(y) / nu / math.pi * 7.5) + 2
        scale, rate = (arb.pi() / h).sqrt() / self.ratio, arb.pi() ** 2 / (h * self.ratio**2)
        self.values = [scale * (-rate * k * k).exp() * (1 if k == 0 else 2) for k in range(self.last + 1)]
        following = scale * (-rate * (self.last + 1) ** 2).exp() * 2
        self.rest = following / (1 - (-rate * (2 * self.last + 3)).exp())  # a geometric series is larger

    def bound(self, low: float, high: float, nu: float) -> arb:
        """Return an upper bound of the sum of c_k |cos(pi k t / ratio)|^(2 nu^2 / t^2) for all t from low to high."""
        middle = arb((low + high) / 2, (high - low) / 2 * (1 + 1e-12))
        exponent = 2 * arb(nu) ** 2 / arb(high) ** 2  # the smallest, for cosines are at most 1
        step = arb.pi() * middle / self.ratio
        total = self.rest
        for k, weight in enumerate(self.values):
            cosine = (step * k).cos().abs_upper()
            if cosine >= 1:
                total += weight
            elif cosine > 0:
                total += weight * (exponent * cosine.log()).exp()
        return total.upper()

    def bound_near_zero(self, high: float, nu: float) -> arb:
        """Return the same for all t from 0 to high: there |cos x| <= exp(-x^2 / 2) for each k, so t cancels out."""
        assert arb(self.last) * arb(high) / self.ratio < 0.5
        rate = (arb.pi() * arb(nu) / self.ratio) ** 2
        total = self.rest
        for k, weight in enumerate(self.values):
            total += weight * (-rate * k * k).exp()
        return total.upper()


def best_y(rows: int, theta: float, nu: float) -> float:
    """Return the y that gives the smallest bound, by the values at both ends of the range of t."""
    candidates = [step / 100 for step in range(100, 600)]
    ends = lambda y: max(1 / math.sqrt(1 + y), (1 + math.exp(-y)) / 2)  # noqa: E731
    return min(candidates, key=lambda y: theta * y + rows * math.log(ends(y)))


def check(rows: int, theta: float, nu: float, ratio: float, bits: float) -> bool:
    """Show that the chance is at most 2^-bits; prints the result, and returns whether it was shown."""
    y = best_y(rows, theta, nu)
    allowed = math.exp((-bits * math.log(2) - theta * y) / rows) - SLACK
    weights = Weights(y, nu, ratio)
    first = 0.49 * ratio / weights.last
    pieces, pending = 1, [(first, nu)]
    if not weights.bound_near_zero(first, nu) < allowed:
        print(f"near t = 0 the bound is above {allowed:.6f}")
        return False
    while pending:
        low, high = pending.pop()
        pieces += 1
        if weights.bound(low, high, nu) < allowed:
            continue
        if high - low < 1e-7 * nu:
            print(f"at t = {low:.6f} the bound is above {allowed:.6f}")
            return False
        pending += [(low, (low + high) / 2), ((low + high) / 2, high)]
    print(f"R = {rows}, theta = {theta:.4f}, nu = {nu:g}, ratio >= {ratio:g}: at most 2^-{bits}")
    print(f"y = {y}, {pieces} pieces")
    return True


def main() -> None:
    """Check the bound for the options; the exit code says whether it was shown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--theta", type=float, default=240 / 9)
    parser.add_argument("--nu", type=float, default=3.0)
    parser.add_argument("--ratio", type=float, default=2036.0, help="the modulus over N, at least")
    parser.add_argument("--bits", type=float, default=131.9)
    chosen = parser.parse_args()
    began = time.perf_counter()
    shown = check(chosen.rows, chosen.theta, chosen.nu, chosen.ratio, chosen.bits)
    print(f"{time.perf_counter() - began:.0f} s")
    raise SystemExit(not shown)


if __name__ == "__main__":
    main()
