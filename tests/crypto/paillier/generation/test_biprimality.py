"""What passes is a product of two primes; each of the two tests finds what the other one misses."""

from collections.abc import Iterator

import gmpy2
import pytest
from parties import machine, run, small_plan

from coterie.crypto.paillier.arithmetic import Draws
from coterie.crypto.paillier.generation import biprimality
from coterie.crypto.paillier.generation.biprimality import find_biprime
from coterie.crypto.paillier.generation.sieving import Candidate, Masks
from coterie.crypto.paillier.rounds.lockstep import Script

PARTIES = 4
DRAWS = Draws(b"seed", b"")


def blum_prime(bits: int, start: int = 0) -> int:
    """A prime that is 3 mod 4."""
    prime = int(gmpy2.next_prime((1 << (bits - 1)) + start))
    while prime % 4 != 3:
        prime = int(gmpy2.next_prime(prime))
    return prime


def split_up(factor: int) -> list[int]:
    """Shares that add up: those of all parties but the first are multiples of 4."""
    others = [4 * DRAWS.bits(100) for _ in range(PARTIES - 1)]
    return [factor - sum(others), *others]


def accepted(factors: list[tuple[int, int]]) -> int | None:
    """Which modulus all parties accept, when they try these."""
    shares = [(p * q, split_up(p), split_up(q)) for p, q in factors]

    plan = small_plan(0, PARTIES, 2, 192)

    def script(me: int) -> Script[tuple[int | None]]:
        mine = [Candidate(gmpy2.mpz(n), p[me], q[me]) for n, p, q in shares]
        masks = Masks(me, {i: b"%d %d" % (min(i, me), max(i, me)) for i in range(PARTIES) if i != me})
        found = yield from find_biprime(plan, me, b"%d" % me, mine, masks)
        return (None if found is None else int(found.modulus),)

    outcome = run([machine(plan.session, PARTIES, i, script(i)) for i in range(PARTIES)])
    (answer,) = set(outcome.results.values())
    assert len(outcome.results) == PARTIES
    verdict: int | None = answer[0]
    return verdict


P, Q = blum_prime(200), blum_prime(200, 1 << 100)


def powers_of_a_prime() -> tuple[int, int]:
    """p = s³ and q = 1 (mod s²): N passes the first test for every base (Boneh and Franklin, section 4.1)."""
    s = blum_prime(40)

    def candidates() -> Iterator[int]:
        q = 2 * s * s + 1
        while True:
            if q % 4 == 3 and gmpy2.is_prime(q):
                yield q
            q += 2 * s * s

    return s**3, next(candidates())


@pytest.fixture(autouse=True)
def fewer_bases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(biprimality, "BASES", 20)


def test_a_product_of_two_primes_is_found_among_others() -> None:
    composite = blum_prime(100) * blum_prime(100, 1 << 50) * blum_prime(90)
    assert composite % 4 == 3
    assert accepted([(composite, P), (P, Q), (P, composite)]) == P * Q


def test_products_with_a_composite_factor_are_refused() -> None:
    composites = [blum_prime(60, i << 30) * blum_prime(60) * blum_prime(70) for i in range(4)]
    assert accepted([(composite, P) for composite in composites]) is None
    assert accepted([(composites[0], composites[1])]) is None


def test_products_with_a_factor_that_trial_division_finds_are_refused() -> None:
    assert accepted([(131071 * blum_prime(60) * blum_prime(61), P)]) is None


def test_nothing_is_found_where_nothing_is() -> None:
    assert accepted([]) is None


def test_a_power_of_a_prime_passes_the_first_test_and_not_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    p, q = powers_of_a_prime()
    assert accepted([(p, q)]) is None

    def pretending(*arguments: object) -> Script[bool]:
        return True
        yield

    monkeypatch.setattr(biprimality, "_is_coprime", pretending)  # the gcd step left out
    assert accepted([(p, q)]) == p * q
