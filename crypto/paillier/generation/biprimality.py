"""Whether N is the product of two primes, without knowing them.

Boneh and Franklin, "Efficient generation of shared RSA keys" (J. ACM 2001), section 4: for p = q = 3 (mod 4) and g with
Jacobi symbol 1, all parties open powers of g whose quotient is g^(φ(N)/4), which is 1 or -1 mod N if p and q are prime.
If they are not, at most half of all g pass. The exceptions are N of one form, which have a factor in common with p + q
- 1; a second test rules them out. It opens r·(p + q - 1) for a random r and nothing more, and takes the gcd with N.

Each opening is committed to first (`openings`): a party that knew the others' powers could choose its own so that N
passes.
"""

from collections.abc import Sequence
from typing import Final

from ..arithmetic import Draws, digest, gcd, has_factor_up_to, jacobi, join, number, power, size_of
from ..integer_sharing import deal_modular, lagrange_at_zero
from ..rounds.scripts import Fault, Outgoing, Script
from .openings import openly
from .sieving import Candidate, Masks, Plan, columns, numbers_of, opened, summed

TRIAL_LIMIT: Final = 2**17
BASES: Final = 80  # a modulus with a composite factor passes with probability at most 2^-80


def find_biprime(
    plan: Plan, me: int, seed: bytes, found: Sequence[Candidate], masks: Masks
) -> Script[Candidate | None]:
    """The first candidate that is a product of two primes, or None.

    Two rounds for a batch. A candidate that passes them takes two more rounds, and three more if it passes these as
    well.
    """
    rest = [candidate for candidate in found if not has_factor_up_to(candidate.modulus, TRIAL_LIMIT)]
    passed = yield from _test(plan, me, seed, [(candidate, 0) for candidate in rest])
    for candidate, good in zip(rest, passed, strict=True):
        if not good:
            continue
        passed = yield from _test(plan, me, seed, [(candidate, base) for base in range(1, BASES)])
        if all(passed) and (yield from _is_coprime(plan, me, seed, candidate, masks)):
            return candidate
    return None


def _test(plan: Plan, me: int, seed: bytes, tests: Sequence[tuple[Candidate, int]]) -> Script[list[bool]]:
    """Two rounds: for each candidate and number of a base, whether the candidate passes with that base."""
    size = plan.bits // 8
    label = b"powers|" + b"|".join(b"%x %d" % (candidate.modulus, base) for candidate, base in tests)
    powers = join((_power(plan, me, candidate, base) for candidate, base in tests), size)
    inbox = yield from openly(plan.lockstep_session(), me, seed, label, powers)
    rows = []
    for party, data in enumerate(inbox.public):
        if len(data) != size * len(tests):
            raise Fault(party, f"{len(data)} bytes for {len(tests)} powers")
        rows.append([number(int.from_bytes(data[i : i + size], "big")) for i in range(0, len(data), size)])
    verdicts = []
    for k, (candidate, _) in enumerate(tests):
        n, product = candidate.modulus, number(1)
        for party in range(1, plan.parties):
            product = product * rows[party][k] % n
        verdicts.append(gcd(product, n) == 1 and rows[0][k] in (product, n - product))
    return verdicts


def _power(plan: Plan, me: int, candidate: Candidate, number_of_base: int) -> int:
    """g^((N + 1 - p_0 - q_0) / 4) by party 0, and g^((p_i + q_i) / 4) by the others."""
    n, exponent = candidate.modulus, candidate.p + candidate.q
    draws = Draws(digest(b"bases", plan.lockstep_session(), join([n], size_of(n))), b"base %d" % number_of_base)
    g = draws.below(n)
    while jacobi(g, n) != 1:
        g = draws.below(n)
    return power(g, (n + 1 - exponent if me == 0 else exponent) // 4, n)


def _is_coprime(plan: Plan, me: int, seed: bytes, candidate: Candidate, masks: Masks) -> Script[bool]:
    """Three rounds: whether N and p + q - 1 have no common factor."""
    n = candidate.modulus
    draws = Draws(seed, b"coprime|" + join([n], size_of(n)))
    summand = candidate.p + candidate.q - (1 if me == 0 else 0)
    shares = [deal_modular(x, plan.degree, plan.parties, n, draws) for x in (draws.below(n), summand % n)]
    inbox = yield Outgoing(private=columns(shares, n), fits=numbers_of(n, 2))
    r, total = summed(inbox, n, 2)
    own, zero = lagrange_at_zero(plan.parties, n)[me], masks.zeros(b"coprime|%x" % n, n, 1)[0]
    product = join([(own * r * total + zero) % n], size_of(n))
    inbox = yield from openly(plan.lockstep_session(), me, seed, b"coprime|%x" % n, product)
    return gcd(opened(inbox, n, 1)[0], n) == 1
