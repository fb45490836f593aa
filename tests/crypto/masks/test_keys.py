"""Keys: drawn from a seed, used once, summed as vectors and as packed plaintexts alike."""

import pickle  # noqa: TID251 - to show that it does not work
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto.field import P, Vector
from coterie.crypto.masks.contents import Contents
from coterie.crypto.masks.keys import Key, plaintext_count, unpack_sum
from coterie.crypto.masks.parameters import BOUND, DIMENSION, MaskParameters
from coterie.crypto.sharing.shamir import Scheme
from coterie.crypto.vectors import add_into

moduli = st.integers(16, 3100).map(lambda bits: 2**bits - 1)


def seed_of(number: int) -> bytes:
    return bytes([number]) * 32


def key_of(seed: bytes, context: bytes = b"context") -> Key:
    return Key(seed, context, bytes(32), MaskParameters(2, 1.0), Contents())


def sum_of(keys: list[Key]) -> Vector:
    total = np.zeros(DIMENSION, dtype=np.uint64)
    for key in keys:
        add_into(total, key.vector)
    return total


@settings(max_examples=25)
@given(moduli, st.integers(1, 40), st.data())
def test_sums_of_packed_keys_unpack_to_the_sum_of_keys(modulus: int, summands: int, data: st.DataObject) -> None:
    added = data.draw(st.integers(1, min(summands, 5)))
    keys = [key_of(seed_of(i)) for i in range(added)]
    packed = [key.plaintexts(modulus, summands) for key in keys]
    sums = [sum(column) for column in zip(*packed, strict=True)]
    assert len(sums) == plaintext_count(modulus, summands)
    assert max(map(max, packed)) < modulus
    assert np.array_equal(unpack_sum(sums, modulus, summands, added), sum_of(keys))


@given(st.integers(1, 1000), moduli)
def test_even_the_largest_keys_do_not_overflow(summands: int, modulus: int) -> None:
    base = 2 * summands * BOUND + 1
    if modulus < base:
        return
    digits = -(-DIMENSION // plaintext_count(modulus, summands))
    largest = sum(2 * BOUND * base**i for i in range(digits))
    assert summands * largest < modulus


def test_a_key_takes_about_twenty_ciphertexts_of_2048_bits() -> None:
    assert plaintext_count(2**2048 - 1, 4) == 20
    assert plaintext_count(2**2048 - 1, 10) == 23


def test_keys_can_be_shared_out_and_their_sum_opened() -> None:
    keys = [key_of(seed_of(i)) for i in range(3)]
    scheme = Scheme(4, 3)
    shares = np.zeros((4, DIMENSION), dtype=np.uint64)
    for i, key in enumerate(keys):
        randomness = np.full((2, DIMENSION), 1000 + i, dtype=np.uint64)
        for total, row in zip(shares, scheme.share(key.vector, randomness), strict=True):
            add_into(total, row)
    assert np.array_equal(scheme.reconstruct([3, 0, 1], shares[[3, 0, 1]])[0], sum_of(keys))


def test_coefficients_of_a_key_are_small() -> None:
    centred = [k if k < P // 2 else k - P for k in key_of(seed_of(1)).vector.tolist()]
    assert max(map(abs, centred)) <= BOUND
    assert len(centred) == DIMENSION


def test_every_seed_and_context_gives_another_key() -> None:
    keys = [key_of(seed_of(1), b"a"), key_of(seed_of(1), b"b"), key_of(seed_of(2), b"a")]
    assert len({key.vector.tobytes() for key in keys}) == 3
    assert np.array_equal(key_of(seed_of(1), b"a").vector, keys[0].vector)


WORDS = np.arange(5, dtype=np.uint64)
AGREED = {
    "context": b"c",
    "public_seed": bytes(32),
    "parameters": MaskParameters(10, 1.0),
    "contents": Contents.of(WORDS),
}


@pytest.mark.parametrize(
    "changed",
    [
        {"context": b"d"},
        {"public_seed": bytes(31) + b"\1"},
        {"parameters": MaskParameters(9, 1.0, MaskParameters(10, 1.0).bits)},
        {"parameters": MaskParameters(10, 2.0)},
        {"parameters": MaskParameters(10, 1.0, 21)},
        {"contents": Contents.of(WORDS + np.uint64(1))},
        {"contents": Contents.of(WORDS[:4])},
        {"contents": Contents.of(np.append(WORDS, np.uint64(0)))},
    ],
    ids=str,
)
def test_whatever_masks_depend_on_makes_another_key(changed: dict[str, Any]) -> None:
    one, other = Key(seed_of(1), **AGREED), Key(seed_of(1), **AGREED | changed)
    assert not np.array_equal(one.vector, other.vector)
    assert not np.array_equal(one.errors(0, 100), other.errors(0, 100))
    assert np.array_equal(one.vector, Key(seed_of(1), **AGREED).vector)


@settings(max_examples=20)
@given(st.integers(0, 3), st.integers(0, 2 * DIMENSION))
def test_errors_are_found_at_any_block(block: int, count: int) -> None:
    key = key_of(seed_of(1))
    whole = key.errors(0, 6 * DIMENSION)
    start = block * DIMENSION
    assert np.array_equal(key.errors(block, count), whole[start : start + count])


def test_errors_of_two_blocks_are_different() -> None:
    errors = key_of(seed_of(1)).errors(0, 2 * DIMENSION)
    assert not np.array_equal(errors[:DIMENSION], errors[DIMENSION:])


def test_a_key_shows_nothing_and_is_not_pickled() -> None:
    key = key_of(seed_of(1))
    assert repr(key) == "Key(<secret>)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
