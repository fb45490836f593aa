"""Packed sums are exact, and what could overflow is refused before or found after."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto.paillier.encryption import add, decrypt, encrypt
from coterie.crypto.paillier.errors import BadPacking, BadPlaintext
from coterie.crypto.paillier.keys import PrivateKey
from coterie.crypto.paillier.packing import MAX_VALUE_BITS, Packing
from coterie.crypto.sharing.fixed_point import FixedPoint

SEED = b"thirty-two secret random bytes.."


@given(
    st.integers(1, 5000),
    st.integers(2, MAX_VALUE_BITS),
    st.integers(0, 40),
    st.randoms(use_true_random=False),
)
def test_sums_of_packed_vectors_are_exact_at_the_limits(summands: int, bits: int, length: int, random: object) -> None:
    try:
        packing = Packing(512, summands, bits)
    except ValueError:
        return
    vectors = [
        np.array([random.choice([-1, 0, 1]) * packing.limit for _ in range(length)], dtype=np.int64)  # type: ignore[attr-defined]
        for _ in range(min(summands, 5))
    ]
    vectors += [np.full(length, packing.limit, dtype=np.int64)] * (summands - len(vectors))
    packed = [packing.pack(vector) for vector in vectors[:6]]
    totals = [sum(column) for column in zip(*packed[:5], strict=True)]
    totals = [total + (summands - len(packed[:5])) * last for total, last in zip(totals, packed[-1], strict=True)]
    assert all(total < 1 << 511 for total in totals)
    expected = sum(vectors[:5]) + (summands - len(packed[:5])) * vectors[-1]  # type: ignore[operator]
    assert np.array_equal(packing.unpack_sum(totals, length, summands), expected)


@pytest.mark.parametrize(("summands", "size"), [(1, 3), (2, 4), (256, 4), (257, 5), (65536, 5), (65537, 6)])
def test_a_slot_has_the_bytes_that_its_sums_need(summands: int, size: int) -> None:
    packing = Packing(2048, summands)
    assert packing.slot_bytes == size
    assert packing.slots == 2047 // (8 * size)
    assert 2 * packing.limit * summands < 2 ** (8 * size)


@pytest.mark.parametrize(
    ("bits", "summands", "value_bits"), [(2048, 0, 24), (2048, 1, 1), (2048, 1, 49), (2048, 1 << 40, 24), (16, 9, 24)]
)
def test_parameters_under_which_sums_could_overflow_are_refused(bits: int, summands: int, value_bits: int) -> None:
    with pytest.raises(ValueError, match=r"summand|bits|overflow"):
        Packing(bits, summands, value_bits)


@pytest.mark.parametrize("value", [2**23, -(2**23), 2**62, -(2**63)])
def test_a_value_beyond_the_limit_is_refused_by_place_and_not_shown(value: int) -> None:
    with pytest.raises(BadPlaintext, match=f"^value 3 is beyond ±{2**23 - 1}$"):
        Packing(2048, 9).pack(np.array([1, -1, 2**23 - 1, value], dtype=np.int64))


def test_arrays_of_another_kind_are_refused() -> None:
    for bad in (np.zeros(3, dtype=np.float32), np.zeros((2, 2), dtype=np.int64)):
        with pytest.raises(BadPlaintext, match="int64"):
            Packing(2048, 9).pack(bad)  # type: ignore[arg-type]


def test_a_sum_of_more_than_agreed_is_refused() -> None:
    packing = Packing(2048, 2)
    with pytest.raises(ValueError, match="a sum of 3"):
        packing.unpack_sum(packing.pack(np.zeros(1, dtype=np.int64)), 1, 3)
    with pytest.raises(ValueError, match="2 plaintexts for 1 values"):
        packing.unpack_sum([0, 0], 1, 2)


def test_a_slot_beyond_what_honest_summands_reach_is_found() -> None:
    packing = Packing(512, 3, 15)  # slots of 3 bytes
    honest = packing.pack(np.array([5, 7], dtype=np.int64))[0]
    cheat = honest + 100_000
    with pytest.raises(BadPacking, match="value 0 is not a sum of 2"):
        packing.unpack_sum([honest + cheat], 2, 2)


def test_slots_without_headroom_would_spill_into_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    tight = Packing(512, 1, 16)  # slots of 2 bytes, enough for one summand
    values = np.array([30_000, 7, 0], dtype=np.int64)
    total = 2 * tight.pack(values)[0]
    with pytest.raises(ValueError, match="a sum of 2 where 1"):
        tight.unpack_sum([total], 3, 2)
    object.__setattr__(tight, "summands", 2)  # the attack: room for one, taken for two
    assert tight.unpack_sum([total], 3, 2).tolist() == [60_000 - 2**16, 14 - 2**16 + 1, 1]
    roomy = Packing(512, 2, 16)
    assert roomy.slot_bytes == tight.slot_bytes + 1
    assert roomy.unpack_sum([2 * roomy.pack(values)[0]], 3, 2).tolist() == [60_000, 14, 0]


def test_plaintexts_with_anything_behind_the_last_value_are_refused() -> None:
    packing = Packing(512, 2)
    plaintext = packing.pack(np.array([1], dtype=np.int64))[0]
    with pytest.raises(BadPacking, match="behind the last value"):
        packing.unpack_sum([plaintext + (1 << 8 * packing.slot_bytes)], 1, 1)
    with pytest.raises(BadPacking, match="plaintext 0 reaches beyond"):
        packing.unpack_sum([plaintext + (1 << 8 * packing.slot_bytes * packing.slots)], 1, 1)


def test_updates_of_a_model_go_through_encryption_exactly(private: PrivateKey) -> None:
    generator = np.random.default_rng(1)
    updates = generator.normal(size=(3, 41)).astype(np.float32)
    encoding = FixedPoint(clip=4.0, summands=3)
    packing = Packing(private.public.bits, summands=3, value_bits=encoding.bits)
    encrypted, expected = [], np.zeros(41, dtype=np.int64)
    for i, update in enumerate(updates):
        words, _ = encoding.encode(update, 1.0, b"%d" % i)
        values = encoding.decode_sum(words, 41, 1)
        expected += values
        encrypted.append(encrypt(private.public, packing.pack(values), SEED))
    opened = packing.unpack_sum(decrypt(private, add(encrypted)), 41, 3)
    assert np.array_equal(opened, expected)
    assert np.allclose(opened * encoding.step, updates.sum(axis=0), atol=3 * encoding.step)
