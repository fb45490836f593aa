"""Large integers: gmpy2 behind types, numbers drawn from a seed, and their encoding as bytes.

gmpy2 brings GMP, whose modular power is some ten times faster than Python's. Its numbers mix with `int` in every
operation, so the types say `int` everywhere. `number` makes one.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import factorial
from typing import Final, NoReturn, cast

import gmpy2
import numpy as np

from ..prng import Stream
from .errors import BadEncoding

STATISTICAL_BITS: Final = 128  # what hides a number is this many bits longer than the number


def number(x: int) -> int:
    """The same number as GMP keeps it. Results computed from it are GMP numbers, too, which is fast."""
    return cast(int, gmpy2.mpz(x))


def power(base: int, exponent: int, modulus: int) -> int:
    """base^exponent mod modulus; a negative exponent inverts. Raises ZeroDivisionError where there is no inverse."""
    return cast(int, gmpy2.powmod(base, exponent, modulus))


def powers(bases: Sequence[int], exponent: int, modulus: int) -> list[int]:
    """base^exponent mod modulus for each base. Lets other threads run meanwhile."""
    return cast(list[int], gmpy2.powmod_base_list(list(bases), exponent, modulus))


def inverse(a: int, modulus: int) -> int:
    """The b with a·b = 1 (mod modulus). Raises ZeroDivisionError where there is none."""
    return cast(int, gmpy2.invert(a, modulus))


def gcd(a: int, b: int) -> int:
    """The greatest common divisor."""
    return cast(int, gmpy2.gcd(a, b))


def jacobi(a: int, n: int) -> int:
    """The Jacobi symbol (a/n) of an odd n: -1, 0 or 1."""
    return cast(int, gmpy2.jacobi(a, n))


def is_prime(n: int) -> bool:
    """Whether n is prime: 40 Miller-Rabin rounds on random bases, so a composite passes with probability 2^-80."""
    return cast(bool, gmpy2.is_prime(n, 40))


def is_power(n: int) -> bool:
    """Whether n = a^b for integers a and b > 1."""
    return cast(bool, gmpy2.is_power(n))


@lru_cache(maxsize=8)
def primorial(limit: int) -> int:
    """The product of all primes up to the limit; the last few are remembered."""
    return cast(int, gmpy2.primorial(limit))


def primes(low: int, high: int) -> list[int]:
    """The primes in [low, high), by Eratosthenes' sieve."""
    sieve = np.ones(high, dtype=bool)
    sieve[:2] = False
    for i in range(2, int(high**0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = False
    return [int(prime) for prime in np.flatnonzero(sieve) if prime >= low]


def has_factor_up_to(n: int, limit: int) -> bool:
    """Whether a prime up to the limit divides n."""
    return gcd(primorial(limit) % n, n) != 1


def crt(a: int, p: int, b: int, q: int, p_inverse: int) -> int:
    """The x in [0, pq) with x = a (mod p) and x = b (mod q); p_inverse is 1/p mod q."""
    return a + p * ((b - a) * p_inverse % q)


def integer_lagrange(points: Sequence[int], target: int, holders: int) -> list[int]:
    """Δ = holders! times the Lagrange coefficients from these points to the target: integers, by sign and size.

    Points and target are distinct numbers in [0, holders]; then the denominators divide Δ (Shoup, "Practical threshold
    signatures", Eurocrypt 2000). A coefficient may be negative. Raises ValueError for other numbers.
    """
    coefficients = []
    for i in points:
        above, below = factorial(holders), 1
        for j in points:
            if j != i:
                above *= target - j
                below *= i - j
        quotient, rest = divmod(above, below)
        if rest:
            raise ValueError(f"points {points} and target {target} are not all in [0, {holders}]")
        coefficients.append(quotient)
    return coefficients


class Draws:
    """Numbers drawn from a seed and a label; each call goes on from where the last one ended."""

    __slots__ = ("_stream",)

    def __init__(self, seed: bytes, label: bytes) -> None:
        self._stream = Stream(seed, b"paillier|" + label)

    def __repr__(self) -> str:
        return "Draws(<secret>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("draws hold a key and are not pickled")

    def data(self, count: int) -> bytes:
        """The next bytes."""
        words = np.empty(-(-count // 8), dtype=np.uint64)
        self._stream.fill_words(words)
        return words.astype("<u8", copy=False).tobytes()[:count]

    def bits(self, count: int) -> int:
        """A number uniform in [0, 2^count)."""
        return number(int.from_bytes(self.data(-(-count // 8)), "little")) >> (-count % 8)

    def below(self, bound: int) -> int:
        """A number in [0, bound), within 2^-128 of uniform."""
        return self.bits(bound.bit_length() + STATISTICAL_BITS) % bound

    def many_below(self, bound: int, count: int) -> list[int]:
        """That many numbers as by `below`."""
        size = -(-(bound.bit_length() + STATISTICAL_BITS) // 8)
        data = self.data(count * size)
        return [number(int.from_bytes(data[i : i + size], "little")) % bound for i in range(0, len(data), size)]


def size_of(bound: int) -> int:
    """How many bytes a number below the bound takes."""
    return -(-(bound - 1).bit_length() // 8)


def join(values: Iterable[int], size: int) -> bytes:
    """Each value as `size` bytes, the largest first. Raises OverflowError for a value that is longer or negative."""
    return b"".join(int(value).to_bytes(size, "big") for value in values)


def split(data: bytes | memoryview, size: int, bound: int) -> list[int]:
    """The inverse of `join`. Raises BadEncoding for a length that is no multiple of size, or a value out of range."""
    if len(data) % size:
        raise BadEncoding(f"{len(data)} bytes are no list of numbers of {size} bytes")
    values = [number(int.from_bytes(data[i : i + size], "big")) for i in range(0, len(data), size)]
    for i, value in enumerate(values):
        if value >= bound:
            raise BadEncoding(f"number {i} is out of range")
    return values


def digest(domain: bytes, *parts: bytes) -> bytes:
    """The SHA-256 of the parts, each after its length, for one purpose, which the domain names: 32 bytes."""
    hasher = hashlib.sha256(b"coterie/1/paillier|%b" % domain)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.digest()
