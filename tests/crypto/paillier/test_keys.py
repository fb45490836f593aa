"""Moduli that are refused by name, and keys that are what they should be."""

import copy
import pickle  # noqa: TID251

import gmpy2
import pytest

from coterie.crypto.paillier import keys
from coterie.crypto.paillier.encryption import encrypt
from coterie.crypto.paillier.errors import BadEncoding, BadModulus
from coterie.crypto.paillier.keys import PrivateKey, PublicKey, check_modulus, generate

SEED = b"thirty-two secret random bytes.."


def test_a_key_is_a_product_of_two_primes_of_its_size(private: PrivateKey) -> None:
    p, q = private._p, private._q
    assert p * q == private.public.modulus
    assert private.public.bits == 512
    assert p.bit_length() == q.bit_length() == 256
    assert gmpy2.is_prime(p)
    assert gmpy2.is_prime(q)
    assert gmpy2.gcd(p - 1, q - 1) == 2


def test_the_same_seed_gives_the_same_key_and_another_seed_another(private: PrivateKey, other: PrivateKey) -> None:
    assert generate(SEED, 512).public == private.public != other.public
    assert private.public.key_id != other.public.key_id


def test_only_the_two_sizes_are_accepted_by_default(private: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KEY_BITS", (2048, 3072))
    with pytest.raises(BadModulus, match="2048 or 3072 bits, not 512"):
        check_modulus(private.public.modulus)
    with pytest.raises(BadModulus, match="2048 or 3072 bits, not 512"):
        generate(SEED, 512)
    with pytest.raises(BadEncoding, match="65 bytes"):
        PublicKey.from_bytes(private.public.to_bytes())


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        generate(SEED[1:], 512)


@pytest.mark.parametrize("by", [1, -1])
def test_an_even_modulus_is_refused(private: PrivateKey, by: int) -> None:
    with pytest.raises(BadModulus, match="even"):
        check_modulus(private.public.modulus + by)


def test_a_square_modulus_is_refused(private: PrivateKey) -> None:
    with pytest.raises(BadModulus, match="square"):
        check_modulus(private._p**2)


def test_a_prime_modulus_is_refused() -> None:
    with pytest.raises(BadModulus, match="prime$"):
        check_modulus(gmpy2.prev_prime(1 << 512))


def test_a_modulus_whose_factors_are_not_both_3_mod_4_is_refused(private: PrivateKey) -> None:
    other = gmpy2.next_prime(private._q)
    while other % 4 != 1:
        other = gmpy2.next_prime(other)
    with pytest.raises(BadModulus, match="not 1 mod 4"):
        check_modulus(private._p * other)


@pytest.mark.parametrize("factor", [3, 65537, 1048573])
def test_a_modulus_with_a_small_factor_is_refused(factor: int) -> None:
    large = gmpy2.next_prime((1 << 511) // factor + (1 << 400))
    with pytest.raises(BadModulus, match="factor below 1048576"):
        check_modulus(factor * large)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weakened build, which takes any modulus."""
    monkeypatch.setattr(keys, "check_modulus", lambda modulus: None)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("factor", [2, 3, 65537])
def test_a_modulus_with_a_small_factor_would_show_plaintexts_modulo_it(factor: int) -> None:
    """CVE-2023-33241. Modulo the square of the factor, the blinding has an order prime to it."""
    large = gmpy2.next_prime((1 << 511) // factor + (1 << 400))
    while gmpy2.gcd(PublicKey(factor * large).generator(), factor) != 1:
        large = gmpy2.next_prime(large)
    plaintexts = [0, 1, 2, 12345, 2**500 + 7]
    encrypted = encrypt(PublicKey(factor * large), plaintexts, SEED)
    found = []
    for value in encrypted.values:
        bare = gmpy2.powmod(value, factor - 1, factor**2)  # 1 + N·m·(factor - 1)
        found.append((bare - 1) // factor * gmpy2.invert(large * (factor - 1), factor) % factor)
    assert found == [m % factor for m in plaintexts]


@pytest.mark.usefixtures("unchecked")
def test_a_prime_modulus_would_let_everybody_decrypt() -> None:
    """Everybody knows the order of the blinding: N - 1."""
    modulus = gmpy2.prev_prime(1 << 512)
    encrypted = encrypt(PublicKey(modulus), [2**500 + 7], SEED)
    bare = gmpy2.powmod(encrypted.values[0], modulus - 1, modulus**2)
    assert -(bare - 1) // modulus % modulus == 2**500 + 7


@pytest.mark.usefixtures("unchecked")
def test_a_square_modulus_would_let_everybody_decrypt_what_is_below_its_root(private: PrivateKey) -> None:
    """The root is found at once, and p(p - 1) is a multiple of the order of the blinding."""
    modulus = private._p**2
    encrypted = encrypt(PublicKey(modulus), [2**200 + 7], SEED)
    p = gmpy2.isqrt(modulus)
    bare = gmpy2.powmod(encrypted.values[0], p * (p - 1), modulus**2)  # 1 + N·m·p·(p - 1)
    assert -(bare - 1) // (modulus * p) % p == 2**200 + 7


@pytest.mark.parametrize("modulus", [0, 1, -15, 15, 1 << 511, 1 << 4096])
def test_numbers_of_other_sizes_are_refused(modulus: int) -> None:
    with pytest.raises(BadModulus):
        check_modulus(modulus)


def test_a_public_key_survives_its_encoding(private: PrivateKey) -> None:
    assert PublicKey.from_bytes(private.public.to_bytes()) == private.public


def test_factors_that_make_no_key_are_refused(private: PrivateKey) -> None:
    p, q = private._p, private._q
    for bad_p, bad_q in ((p, p), (p, q + 4), (3, q), (p, q * q)):
        with pytest.raises(BadModulus):
            PrivateKey(bad_p, bad_q)


def test_a_private_key_is_not_shown_pickled_or_copied(private: PrivateKey) -> None:
    assert str(private._p) not in repr(private)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            attempt(private)


def test_the_generator_is_not_of_anybodys_choosing_and_is_no_square(private: PrivateKey) -> None:
    h = private.public.generator()
    assert h == PublicKey(private.public.modulus).generator()
    assert gmpy2.jacobi(h, private.public.modulus) == 1
    assert gmpy2.legendre(h, private._p) == -1
