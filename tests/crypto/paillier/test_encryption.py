"""What is encrypted, added and decrypted is the sum; what is no ciphertext is refused by name."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import phe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto.paillier import encryption, keys
from coterie.crypto.paillier.encryption import Encrypted, add, decrypt, encrypt, encrypt_as_owner
from coterie.crypto.paillier.errors import BadCiphertext, BadEncoding, BadPlaintext, WrongKey
from coterie.crypto.paillier.keys import PrivateKey
from coterie.crypto.paillier.powers import FixedBase, product_of_powers

SEED = b"thirty-two secret random bytes.."
PLAINTEXT = st.integers(0, 2**511)


def of_phe(private: PrivateKey) -> phe.PaillierPrivateKey:
    """The same key for phe."""
    return phe.PaillierPrivateKey(phe.PaillierPublicKey(int(private.public.modulus)), int(private._p), int(private._q))


@given(st.lists(PLAINTEXT, max_size=5), st.binary(min_size=32, max_size=32))
def test_decryption_inverts_encryption(private: PrivateKey, plaintexts: list[int], seed: bytes) -> None:
    assert decrypt(private, encrypt(private.public, plaintexts, seed)) == plaintexts
    assert decrypt(private, encrypt_as_owner(private, plaintexts, seed)) == plaintexts


@given(st.lists(st.tuples(PLAINTEXT, PLAINTEXT, PLAINTEXT), min_size=1, max_size=4))
def test_the_product_of_ciphertexts_holds_the_sum_mod_n(private: PrivateKey, rows: list[tuple[int, int, int]]) -> None:
    summands = [encrypt(private.public, column, SEED) for column in zip(*rows, strict=True)]
    assert decrypt(private, add(summands)) == [sum(row) % private.public.modulus for row in rows]


def test_the_largest_plaintext_is_n_minus_one(private: PrivateKey) -> None:
    n = private.public.modulus
    assert decrypt(private, encrypt(private.public, [0, n - 1], SEED)) == [0, n - 1]
    for bad in (n, -1):
        with pytest.raises(BadPlaintext, match="plaintext 1 "):
            encrypt(private.public, [5, bad], SEED)


def test_a_seed_used_twice_does_not_show_the_difference_of_plaintexts(private: PrivateKey) -> None:
    n, square = private.public.modulus, private.public.square
    first, second = (encrypt(private.public, [m], SEED).values[0] for m in (3, 10))
    assert second * pow(int(first), -1, int(square)) % square != 1 + 7 * n


def test_equal_plaintexts_of_a_vector_look_different(private: PrivateKey) -> None:
    assert len(set(encrypt(private.public, [7] * 9, SEED).values)) == 9


def test_phe_opens_what_we_encrypt(private: PrivateKey) -> None:
    theirs = phe.PaillierPrivateKey(
        phe.PaillierPublicKey(int(private.public.modulus)), int(private._p), int(private._q)
    )
    plaintexts = [0, 1, 12345678901234567890, int(private.public.modulus) - 1]
    ours = encrypt(private.public, plaintexts, SEED)
    assert [theirs.raw_decrypt(int(value)) for value in ours.values] == plaintexts


def test_we_open_what_phe_encrypts_and_sums_of_both(private: PrivateKey) -> None:
    theirs = phe.PaillierPublicKey(int(private.public.modulus))
    values = [theirs.raw_encrypt(m) for m in (5, 2**400)]
    received = Encrypted.received(private.public, values)
    assert decrypt(private, received) == [5, 2**400]
    total = add([received, encrypt(private.public, [6, 7], SEED)])
    assert decrypt(private, total) == [11, 2**400 + 7]


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_progress_counts_up_to_the_whole(private: PrivateKey, chunks: int) -> None:
    length = chunks * encryption.CHUNK + (chunks > 0)
    seen: list[tuple[int, int]] = []
    encrypted = encrypt(private.public, [1] * length, SEED, progress=lambda *at: seen.append(at))
    decrypt(private, encrypted, progress=lambda *at: seen.append(at))
    steps = [encryption.CHUNK * (i + 1) for i in range(chunks)] + [length] * (chunks > 0)
    assert seen == [(at, length) for at in steps] * 2


def test_threads_and_processes_give_the_same_ciphertexts(private: PrivateKey) -> None:
    plaintexts = list(range(150))
    alone = encrypt(private.public, plaintexts, SEED)
    with ThreadPoolExecutor(2) as threads:
        assert encrypt(private.public, plaintexts, SEED, spread=threads.map) == alone
        assert decrypt(private, add([alone, alone], spread=threads.map), spread=threads.map) == [
            2 * m for m in plaintexts
        ]
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as processes:
        assert encrypt(private.public, plaintexts, SEED, spread=processes.map) == alone


def test_a_chunk_on_its_way_shows_nothing(private: PrivateKey) -> None:
    shown: list[str] = []

    def spread(function: object, jobs: object) -> list[list[int]]:
        shown.extend(repr(job) for job in jobs)  # type: ignore[attr-defined]
        return []

    encrypt(private.public, [424242], SEED, spread=spread)
    assert shown
    assert not any("424242" in text for text in shown)


# What is refused


@pytest.mark.parametrize("position", [0, 2])
def test_numbers_that_are_no_ciphertexts_are_refused_by_place(private: PrivateKey, position: int) -> None:
    key = private.public
    good = list(encrypt(key, [1, 2, 3], SEED).values)
    for bad in (0, key.square, key.square + 5, -1, key.modulus, private._p, 7 * private._q**2):
        values = [*good[:position], bad, *good[position + 1 :]]
        with pytest.raises(BadCiphertext, match=f"ciphertext {position} "):
            Encrypted.received(key, values)


def test_ciphertexts_survive_their_encoding(private: PrivateKey) -> None:
    for plaintexts in ([], [1], [1, 2, 3]):
        encrypted = encrypt(private.public, plaintexts, SEED)
        data = encrypted.to_bytes()
        assert len(data) == 37 + 128 * len(plaintexts)
        assert Encrypted.from_bytes(private.public, data) == encrypted


def test_ciphertexts_of_another_key_are_refused(private: PrivateKey, other: PrivateKey) -> None:
    ours, theirs = (encrypt(key.public, [1], SEED) for key in (private, other))
    with pytest.raises(WrongKey):
        Encrypted.from_bytes(other.public, ours.to_bytes())
    with pytest.raises(WrongKey):
        add([ours, theirs])
    with pytest.raises(WrongKey):
        decrypt(other, ours)


def test_vectors_of_different_lengths_are_not_added(private: PrivateKey) -> None:
    with pytest.raises(ValueError, match="different lengths"):
        add([encrypt(private.public, [1] * length, SEED) for length in (1, 2)])
    with pytest.raises(ValueError, match="nothing to add"):
        add([])


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_decoder(private: PrivateKey, data: bytes) -> None:
    for given_bytes in (data, b"\x01" + private.public.key_id + data):
        with pytest.raises((BadEncoding, WrongKey, BadCiphertext)):
            Encrypted.from_bytes(private.public, given_bytes)


def test_a_ciphertext_of_zero_would_erase_the_sum_if_it_were_let_in(private: PrivateKey) -> None:
    honest = encrypt(private.public, [5], SEED)
    unchecked = Encrypted(private.public, (0,))  # the attack: `received` skipped
    assert add([honest, unchecked]).values == (0,)
    with pytest.raises(BadCiphertext):
        Encrypted.received(private.public, unchecked.values)


def test_a_ciphertext_above_the_square_would_be_the_same_contribution_under_another_digest(
    private: PrivateKey,
) -> None:
    key = private.public
    room = (1 << 8 * key.ciphertext_bytes) - key.square
    honest = next(c for c in (encrypt(key, [5], bytes([i] * 32)) for i in range(99)) if c.values[0] < room)
    shifted = Encrypted(key, (honest.values[0] + key.square,))  # the attack: `received` skipped
    assert len(shifted.to_bytes()) == len(honest.to_bytes())
    assert shifted.digest != honest.digest  # two names of one sum: what was decided is not what is opened
    assert decrypt(private, shifted) == decrypt(private, honest) == [5]
    with pytest.raises(BadCiphertext, match="not between 0 and N²"):
        Encrypted.from_bytes(key, shifted.to_bytes())


# Powers


@settings(max_examples=30)
@given(st.integers(2, 2**64), st.integers(0, 2**70 - 1), st.sampled_from([3, 4, 8]))
def test_a_table_gives_the_same_powers(base: int, exponent: int, window: int) -> None:
    modulus = 2**89 - 1
    assert FixedBase(base, modulus, 70, window).power(exponent) == pow(base, exponent, modulus)


@pytest.mark.parametrize("exponent", [-1, 2**70])
def test_a_table_refuses_exponents_that_it_is_not_for(exponent: int) -> None:
    with pytest.raises(ValueError, match="the table is for 70"):
        FixedBase(3, 2**89 - 1, 70, 4).power(exponent)


@given(st.lists(st.tuples(st.integers(0, 2**64), st.integers(0, 2**70)), max_size=5))
def test_a_product_of_powers_is_one(pairs: list[tuple[int, int]]) -> None:
    modulus = 2**89 - 1
    expected = 1
    for base, exponent in pairs:
        expected = expected * pow(base, exponent, modulus) % modulus
    assert product_of_powers([b for b, _ in pairs], [e for _, e in pairs], modulus) == expected


@pytest.mark.soak
@pytest.mark.parametrize("bits", [2048, 3072])
def test_full_size_keys_work_with_phe_in_both_directions(bits: int) -> None:
    private = keys.generate(SEED, bits)
    theirs = phe.PaillierPrivateKey(
        phe.PaillierPublicKey(int(private.public.modulus)), int(private._p), int(private._q)
    )
    ours = encrypt(private.public, [1, 2**1000], SEED)
    assert [theirs.raw_decrypt(int(value)) for value in ours.values] == [1, 2**1000]
    received = Encrypted.received(private.public, [theirs.public_key.raw_encrypt(77)])
    assert decrypt(private, received) == [77]
