"""How hard the masks' ring-LWE problem is: the estimate in docs/crypto-masks.md, recomputed.

    python benchmarks/mask_security.py

The best estimators need Sage and are not on the package index. This script computes the attack that decides here, the
primal attack, in plain Python: BKZ with blocks of size β finds the key when the projection of (s, e) onto the last
block is shorter than what BKZ leaves there (Alkim, Ducas, Pöppelmann, Schwabe, "Post-quantum key exchange: a New Hope",
2016, section 6). The cost is that of one call of the shortest-vector oracle, 2^(0.292 β), or 2^(0.265 β) on a quantum
computer: less than any attack really takes. To show that the script can be trusted, it first computes two published
figures: ML-KEM-512's 118 bits, and rows of the homomorphic encryption standard (2018), whose cost model adds 16.4 +
log2(8 d) to 0.292 β for how often the oracle is called.
"""

import math
from dataclasses import dataclass

from coterie.crypto.field import P
from coterie.crypto.masks.parameters import DIMENSION, SIGMA

LARGEST_MODEL = 10**9  # parameters: the more of them, the wider the reduction needs the errors
SMOOTHING_BITS = 128  # the reduction from hint-RLWE loses 2^-127


@dataclass(frozen=True)
class Problem:
    """LWE in dimension n modulo 2^log_q, with keys and errors of these standard deviations."""

    n: int
    log_q: float
    key: float
    error: float
    samples: int

    def attack(self) -> tuple[int, int]:
        """Return the least block size that succeeds, and the dimension of the lattice in which it does."""
        low, high = 50, 4 * self.n
        while low < high:
            middle = (low + high) // 2
            if self._dimension(middle):
                high = middle
            else:
                low = middle + 1
        return low, self._dimension(low)

    def _dimension(self, block: int) -> int:
        """Return the least dimension d in which blocks of that size succeed; 0 if there is none."""
        log_delta = math.log2((math.pi * block) ** (1 / block) * block / (2 * math.pi * math.e)) / (2 * (block - 1))
        # Keys are stretched to the errors' size, which stretches the volume.
        stretch = self.n * math.log2(self.error / self.key)
        step = max(1, self.n // 512)
        for samples in range(max(1, block - self.n), self.samples + 1, step):
            d = samples + self.n + 1
            volume = (samples * self.log_q + stretch) / d
            if math.log2(self.error) + math.log2(block) / 2 <= (2 * block - d - 1) * log_delta + volume:
                return d
        return 0


def report(name: str, problem: Problem, published: str = "") -> None:
    """Print a line of the table."""
    block, d = problem.attack()
    classical, quantum = 0.292 * block, 0.265 * block
    standard = classical + 16.4 + math.log2(8 * d)
    print(f"{name:46}{block:7}{d:8}{classical:11.0f}{quantum:10.0f}{standard:12.0f}   {published}")


def smoothing(coefficients: int, bits: int) -> float:
    """Return √2 times the smoothing parameter of Z^coefficients for ε = 2^-bits, as a standard deviation."""
    return math.sqrt(math.log(2 * coefficients * (1 + 2.0**bits))) / math.pi


def main() -> None:
    """Print the estimate."""
    ternary = math.sqrt(2 / 3)
    print(f"{'':46}{'β':>7}{'d':>8}{'core-SVP':>11}{'quantum':>10}{'HE standard':>12}   published")
    report("ML-KEM-512", Problem(512, math.log2(3329), 1.5**0.5, 1.5**0.5, 512 + 512), "core-SVP 118")
    for log_q, bits in ((109, 128), (75, 192), (58, 256)):
        problem = Problem(4096, log_q, ternary, 3.2, 2 * 4096)
        report(f"HE standard, n = 4096, q = 2^{log_q}, ternary", problem, f"HE standard {bits}")
    print()
    samples, log_q = 3 * DIMENSION, math.log2(P)
    report(f"masks as drawn, σ = {SIGMA}", Problem(DIMENSION, log_q, SIGMA, SIGMA, samples))
    # 1 / σ'^2 = 2 (1 / σ^2 + 1 / σ^2): one other honest member's key hides this one in the sum.
    reduced = SIGMA / 2
    report(f"masks once the sum is open, σ = {reduced:g}", Problem(DIMENSION, log_q, reduced, reduced, samples))
    narrow = Problem(2048, log_q, reduced, reduced, samples)
    report("the same in dimension 2048: too small", narrow)

    blocks = -(-LARGEST_MODEL // 2 // DIMENSION)
    needed = smoothing(DIMENSION * (blocks + 1), SMOOTHING_BITS)
    verdict = "it is" if reduced >= needed else "IT IS NOT"
    print(f"\nThe reduction with ε = 2^-{SMOOTHING_BITS} needs σ = {reduced:g} to be at least {needed:.2f}: {verdict}.")


if __name__ == "__main__":
    main()
