"""Paillier keys: an odd modulus N of 2048 or 3072 bits, and for a single owner its two prime factors.

g = N + 1 throughout, so that a plaintext costs a multiplication and not a power. Encryption hides it with a power of
h^N, h = -x² mod N: Damgård, Jurik and Nielsen, "A generalization of Paillier's public-key system with applications to
electronic voting" (2010), section 4.2. Here x is a hash of N, so that nobody has chosen h, and h need not be sent.

A modulus from elsewhere is checked before it is used. The checks find all that can be found without its factors: a
small factor of N would show the plaintext modulo that factor (CVE-2023-33241). They cannot show that N has exactly two
prime factors, nor that both are 3 mod 4 (both may be 1 mod 4). For that a member trusts the joint generation (`joint`).
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NoReturn

from .arithmetic import (
    Draws,
    crt,
    digest,
    gcd,
    has_factor_up_to,
    inverse,
    is_power,
    is_prime,
    join,
    number,
    power,
    powers,
)
from .errors import BadEncoding, BadModulus
from .powers import FixedBase

KEY_BITS: tuple[int, ...] = (2048, 3072)
"""The sizes that are accepted: about 112 and 128 bits of security (NIST SP 800-57, part 1, table 2)."""

DEFAULT_BITS: Final = 2048
KEY_ID_BYTES: Final = 32
SEED_BYTES: Final = 32
MAX_KEPT_TABLES: Final = 3  # the key in force, the one that comes after it, and one more: else they displace each other
SMALL_FACTOR: Final = 2**20  # no prime below divides an accepted modulus

_VERSION: Final = b"\x01"
_CLOSE_BITS: Final = 100  # |p - q| has at most this many bits fewer than p: else N falls to Fermat's method


def check_bits(bits: int) -> None:
    """Raise BadModulus for a size of N that is not accepted."""
    if bits not in KEY_BITS:
        raise BadModulus(f"a modulus has {' or '.join(map(str, KEY_BITS))} bits, not {bits}")


def check_modulus(modulus: int) -> None:
    """Raise BadModulus, saying why, for a number that must not be used as N."""
    if modulus < 0:
        raise BadModulus("the modulus is negative")
    check_bits(modulus.bit_length())
    if modulus % 2 == 0:
        raise BadModulus("the modulus is even")
    if is_power(modulus):
        raise BadModulus("the modulus is a square or another power")
    if has_factor_up_to(modulus, SMALL_FACTOR):
        raise BadModulus(f"the modulus has a prime factor below {SMALL_FACTOR}")
    if is_prime(modulus):
        raise BadModulus("the modulus is prime")
    if modulus % 4 != 1:
        raise BadModulus("the modulus is not 1 mod 4, so its factors are not both 3 mod 4")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The modulus N. Raises BadModulus (see `check_modulus`)."""

    modulus: int
    square: int = field(init=False, repr=False, compare=False)  # N²: ciphertexts are below it
    key_id: bytes = field(init=False, compare=False)  # 32 bytes

    def __post_init__(self) -> None:
        check_modulus(self.modulus)
        object.__setattr__(self, "modulus", number(self.modulus))
        object.__setattr__(self, "square", self.modulus * self.modulus)
        object.__setattr__(self, "key_id", digest(b"key", self.to_bytes()))

    @property
    def bits(self) -> int:
        """The size of N."""
        return self.modulus.bit_length()

    @property
    def ciphertext_bytes(self) -> int:
        """How many bytes a ciphertext takes."""
        return self.bits // 4

    def to_bytes(self) -> bytes:
        """A version byte, then N, the largest byte first."""
        return _VERSION + join([self.modulus], self.bits // 8)

    @classmethod
    def from_bytes(cls, data: bytes) -> "PublicKey":
        """The key that `to_bytes` wrote. Raises BadEncoding, or BadModulus for a number that is no modulus."""
        if data[:1] != _VERSION:
            raise BadEncoding("not a Paillier key of a known version")
        if len(data) - 1 not in {bits // 8 for bits in KEY_BITS}:
            raise BadEncoding(f"a key of {len(data)} bytes")
        return cls(int.from_bytes(data[1:], "big"))

    def generator(self) -> int:
        """The base h = -x² mod N, x a hash of N, so nobody chose h."""
        x = Draws(self.key_id, b"generator").below(self.modulus)
        return self.modulus - x * x % self.modulus

    def blinding(self) -> FixedBase:
        """The table of (h^N)^a mod N², for a of half the bits of N: 17 MB at 2048 bits, kept for the last keys."""
        return _blinding(self)


@lru_cache(maxsize=MAX_KEPT_TABLES)
def _blinding(key: PublicKey) -> FixedBase:
    return FixedBase(power(key.generator(), key.modulus, key.square), key.square, key.bits // 2, window=8)


class PrivateKey:
    """The factors p and q of a modulus, for one owner. They are never printed or pickled."""

    __slots__ = ("_p", "_p_inverse", "_p_log", "_p_square_inverse", "_q", "_q_log", "public")

    public: Final[PublicKey]

    def __init__(self, p: int, q: int) -> None:
        """Raises BadModulus for factors that are not distinct primes 3 mod 4 of the same size."""
        p, q = number(min(p, q)), number(max(p, q))
        if p == q or not (p % 4 == q % 4 == 3) or p.bit_length() != q.bit_length():
            raise BadModulus("the factors are not distinct, of one size and 3 mod 4")
        if not (is_prime(p) and is_prime(q)):
            raise BadModulus("a factor is not prime")
        self.public = PublicKey(p * q)
        self._p, self._q = p, q
        self._p_inverse = inverse(p, q)
        self._p_square_inverse = inverse(p * p, q * q)
        # (1 + N)^(p-1) = 1 + (p-1)·N (mod p²), so log_p of a power c^(p-1) is m times this, for a plaintext m.
        self._p_log = inverse((p - 1) * q % p, p)
        self._q_log = inverse((q - 1) * p % q, q)

    def __repr__(self) -> str:
        return f"<PrivateKey of {self.public.bits} bits (secret)>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")

    def totient(self) -> int:
        """φ(N) = (p - 1)(q - 1): as secret as the key."""
        return (self._p - 1) * (self._q - 1)

    def decrypt(self, values: list[int]) -> list[int]:
        """The plaintexts of valid ciphertexts, by the Chinese remainder theorem. Lets other threads run meanwhile.

        Paillier, "Public-key cryptosystems based on composite degree residuosity classes" (Eurocrypt 1999), section 7.
        """
        p, q = self._p, self._q
        p_square, q_square = p * p, q * q
        mod_p = powers([c % p_square for c in values], p - 1, p_square)
        mod_q = powers([c % q_square for c in values], q - 1, q_square)
        return [
            crt((a - 1) // p * self._p_log % p, p, (b - 1) // q * self._q_log % q, q, self._p_inverse)
            for a, b in zip(mod_p, mod_q, strict=True)
        ]

    def residue(self, draws: Draws) -> int:
        """An N-th power mod N², uniform among all of them, which hides a plaintext; it needs no table.

        x^p mod p² depends only on x mod p, and is uniform among the N-th powers there because q is prime to p - 1.
        """
        p, q = self._p, self._q
        a, b = 1 + draws.below(p - 1), 1 + draws.below(q - 1)
        return crt(power(a, p, p * p), p * p, power(b, q, q * q), q * q, self._p_square_inverse)


def generate(seed: bytes, bits: int = DEFAULT_BITS) -> PrivateKey:
    """A key for one owner, from 32 secret random bytes. Deterministic.

    p and q are 3 mod 4 with their two top bits set, so that N has exactly `bits` bits, and p - 1 and q - 1 share no
    factor but 2. Raises BadModulus for a size that is not accepted, ValueError for a seed of another length.
    """
    check_bits(bits)
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    draws = Draws(seed, b"generate %d" % bits)
    while True:
        p, q = _prime(draws, bits // 2), _prime(draws, bits // 2)
        if abs(p - q).bit_length() >= bits // 2 - _CLOSE_BITS and gcd(p - 1, q - 1) == 2:
            return PrivateKey(p, q)


def _prime(draws: Draws, bits: int) -> int:
    while True:
        candidate = draws.bits(bits) | (3 << (bits - 2)) | 3
        if not has_factor_up_to(candidate, 2000) and is_prime(candidate):
            return candidate
