"""Sharing numbers when nobody knows the order of the group that they are exponents of.

**Over the integers.** The exponent that decrypts cannot be reduced modulo the group's order, which is secret. A dealer
shares x by f(X) = Δ·x + a_1·X + ... + a_(t-1)·X^(t-1) over the integers, Δ = holders!. The coefficients are 128 bits
longer than the largest number that they have to hide: for t - 1 holders C and another x', the polynomial
f + Δ(x' - x)·Π_(i in C) (1 - X/i) has integer coefficients, gives C the same shares, and its coefficients differ from
those of f by less than 2^-128 of their range (Rabin, "A simplified approach to threshold and proactive RSA", Crypto
1998; Damgård and Koprowski, "Practical threshold RSA signatures without a trusted dealer", Eurocrypt 2001).

The dealer publishes v^a for each coefficient a (Feldman, "A practical scheme for non-interactive verifiable secret
sharing", FOCS 1987), so each holder checks its share by itself. v is a random square. A dealer that opens a commitment
in two ways therefore knows a multiple of the order of v, and with that the factors of N.

**Modulo an integer** whose prime factors all exceed the number of holders: Shamir's scheme, perfectly hiding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from typing import NoReturn

from .arithmetic import STATISTICAL_BITS, Draws, inverse, number, power
from .errors import BadDealing
from .keys import MAX_KEPT_TABLES, PublicKey
from .powers import FixedBase

_TABLE_STEP_BITS = 1024  # tables are made for multiples of this, so that one serves all


def verification_base(key: PublicKey) -> int:
    """The base v = u² mod N², u = (1 + N)·y^N, y a hash of N: a square that nobody chose, a ciphertext of 2."""
    y = Draws(key.key_id, b"verification").below(key.modulus)
    u = (1 + key.modulus) * power(y, key.modulus, key.square) % key.square
    return u * u % key.square


def verification_table(key: PublicKey, exponent_bits: int) -> FixedBase:
    """A table of powers of v, for exponents of at least that length; kept for the last keys and lengths."""
    return _table(key, -(-exponent_bits // _TABLE_STEP_BITS) * _TABLE_STEP_BITS)


@lru_cache(maxsize=2 * MAX_KEPT_TABLES)
def _table(key: PublicKey, exponent_bits: int) -> FixedBase:
    return FixedBase(verification_base(key), key.square, exponent_bits, window=4)


def signed_power(table: FixedBase, exponent: int) -> int:
    """The power of the table's base, for an exponent of either sign."""
    if exponent >= 0:
        return table.power(exponent)
    return inverse(table.power(-exponent), table.modulus)


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of a sharing over the integers. Raises ValueError for a threshold that is not between 2 and holders.

    holders: how many get a share; threshold: t, how many recover the secret; secret_bits: |x| < 2^secret_bits.
    """

    holders: int
    threshold: int
    secret_bits: int

    def __post_init__(self) -> None:
        if not 2 <= self.threshold <= self.holders:
            raise ValueError(f"a threshold of {self.threshold} among {self.holders} holders")

    @property
    def delta(self) -> int:
        """Δ = holders!, which clears the denominators of interpolation."""
        return factorial(self.holders)

    @property
    def coefficient_bits(self) -> int:
        """The length of the random coefficients: 128 bits more than the largest difference that they have to hide."""
        largest = (self.delta * (self.holders + 1)) << (self.secret_bits + 1)
        return largest.bit_length() + STATISTICAL_BITS

    @property
    def exponent_bits(self) -> int:
        """The length of exponents of v in the commitments of one dealer, and of its shares."""
        return self.share_bits(1)

    def share_bits(self, dealers: int) -> int:
        """The length of a share that is the sum of the shares of that many dealers: |share| < 2^this."""
        constant = self.delta << self.secret_bits
        others = sum(int(self.holders**k) << self.coefficient_bits for k in range(1, self.threshold))
        return int(dealers * (constant + others)).bit_length()


@dataclass(frozen=True, slots=True)
class Dealing:
    """Commitments v^a to the coefficients, public, and a share for each holder, secret."""

    commitments: tuple[int, ...]
    shares: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Dealing(<{len(self.shares)} secrets>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a dealing holds secrets and is not pickled")


def deal_integer(key: PublicKey, terms: Terms, secret: int, draws: Draws) -> Dealing:
    """Share a secret over the integers: holder j (from 0) gets f(j + 1), and f(0) = Δ·secret.

    Raises ValueError for a secret that is longer than the terms say.
    """
    if abs(secret).bit_length() > terms.secret_bits:
        raise ValueError("the secret is longer than was agreed")
    coefficients = [terms.delta * number(secret)]
    coefficients += [draws.bits(terms.coefficient_bits) for _ in range(terms.threshold - 1)]
    table = verification_table(key, terms.exponent_bits)
    commitments = tuple(signed_power(table, coefficient) for coefficient in coefficients)
    return Dealing(commitments, tuple(evaluate(coefficients, j + 1) for j in range(terms.holders)))


def check_integer(
    key: PublicKey, terms: Terms, dealer: int, holder: int, commitments: Sequence[int], share: int
) -> None:
    """Raise BadDealing unless the share is the value at holder + 1 of the polynomial that was committed to."""
    if len(commitments) != terms.threshold:
        raise BadDealing(dealer, f"{len(commitments)} commitments for a threshold of {terms.threshold}")
    if abs(share).bit_length() > terms.exponent_bits:
        raise BadDealing(dealer, "the share is longer than any honest one")
    committed = evaluate_commitments(key, commitments, holder + 1)
    if signed_power(verification_table(key, terms.exponent_bits), share) != committed:
        raise BadDealing(dealer, "the share is not what was committed to")


def evaluate_commitments(key: PublicKey, commitments: Sequence[int], x: int) -> int:
    """v^f(x), from the commitments to the coefficients of f, by Horner's rule."""
    value = number(1)
    for commitment in reversed(commitments):
        value = power(value, x, key.square) * commitment % key.square
    return value


def evaluate(coefficients: Sequence[int], x: int) -> int:
    """The value at x of the polynomial with these coefficients, the constant one first."""
    value = number(0)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def deal_modular(secret: int, degree: int, holders: int, modulus: int, draws: Draws) -> list[int]:
    """Shamir's shares of a secret mod modulus: the values at 1, ..., holders of a random polynomial of that degree."""
    coefficients = [secret, *draws.many_below(modulus, degree)]
    return [evaluate(coefficients, j + 1) % modulus for j in range(holders)]


def lagrange_at_zero(holders: int, modulus: int) -> list[int]:
    """The coefficients that take the values at 1, ..., holders to the value at 0, mod modulus."""
    coefficients = []
    for i in range(1, holders + 1):
        above = below = 1
        for j in range(1, holders + 1):
            if j != i:
                above *= -j
                below *= i - j
        coefficients.append(above * inverse(below, modulus) % modulus)
    return coefficients
