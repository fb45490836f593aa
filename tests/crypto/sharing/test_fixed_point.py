"""The fixed-point encoding: sums are exact, rounding is unbiased, and what has no encoding is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from coterie.crypto import vectors
from coterie.crypto.field import P, Vector
from coterie.crypto.sharing import fixed_point
from coterie.crypto.sharing.fixed_point import EncodingError, FixedPoint

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
updates = arrays.arrays(np.float32, st.integers(1, 40), elements=floats)
weights = st.floats(min_value=2.0**-30, max_value=1.0)


def total(encodings: list[Vector]) -> Vector:
    """Their sum in the field."""
    result = np.zeros_like(encodings[0])
    for words in encodings:
        vectors.add_into(result, words)
    return result


def integers(encoding: FixedPoint, words: Vector, length: int) -> NDArray[np.int64]:
    """The signed integers that a single encoding holds, read slot by slot."""
    slots = [(int(word) >> shift) & (2**31 - 1) for word in words for shift in (0, 31)]
    return np.array(slots[:length], dtype=np.int64) - encoding.limit


@given(st.lists(st.tuples(updates.map(lambda u: np.resize(u, 17)), weights), min_size=1, max_size=6))
def test_the_decoded_sum_is_the_exact_integer_sum(parts: list[tuple[NDArray[np.float32], float]]) -> None:
    encoding = FixedPoint(clip=4.0, summands=6)
    encoded = [encoding.encode(u, w, bytes([i]))[0] for i, (u, w) in enumerate(parts)]
    expected = sum(integers(encoding, words, 17) for words in encoded)
    assert np.array_equal(encoding.decode_sum(total(encoded), 17, len(parts)), expected)


@given(updates, weights, st.sampled_from([2.0**-10, 0.5, 1.0, 64.0]))
def test_a_value_comes_back_within_a_step_of_its_clipped_and_weighted_self(
    update: NDArray[np.float32], weight: float, clip: float
) -> None:
    encoding = FixedPoint(clip=clip, summands=8)
    words, clipped = encoding.encode(update, weight, b"seed")
    values = encoding.decode_sum(words, update.size, 1) * encoding.step
    wanted = np.clip(update.astype(np.float64), -encoding.bound, encoding.bound) * weight
    assert np.all(np.abs(values - wanted) < encoding.step)
    assert clipped == np.count_nonzero(np.abs(update.astype(np.float64)) > encoding.bound)


@pytest.mark.parametrize("summands", [1, 2, 3, 512, 513, 1000, 100_000, 2**23])
def test_the_fullest_sum_still_fits_its_slot(summands: int) -> None:
    encoding = FixedPoint(clip=1.0, summands=summands)
    assert summands * 2 * encoding.limit < 2**31
    largest, _ = encoding.encode(np.full(3, 1.0, dtype=np.float32), 1.0, b"")
    smallest, _ = encoding.encode(np.full(3, -1.0, dtype=np.float32), 1.0, b"")
    for words, sign in ((largest, 1), (smallest, -1)):
        summed = np.array([int(word) * summands % P for word in words], dtype=np.uint64)
        assert encoding.decode_sum(summed, 3, summands).tolist() == [sign * summands * encoding.limit] * 3


def test_more_bits_than_the_summands_allow_would_overflow_into_the_neighbour() -> None:
    careful = FixedPoint(clip=1.0, summands=600)
    assert careful.bits == 21
    careless = FixedPoint(clip=1.0, summands=512)
    object.__setattr__(careless, "summands", 600)  # the attack: 22 bits for 600 summands
    words, _ = careless.encode(np.array([1.0, 0.0], dtype=np.float32), 1.0, b"")
    summed = np.array([int(words[0]) * 600 % P], dtype=np.uint64)
    low, high = (int(summed[0]) >> shift & (2**31 - 1) for shift in (0, 31))
    assert low != 600 * 2 * careless.limit
    assert high == 600 * careless.limit + 1


def test_bits_are_22_up_to_512_summands() -> None:
    assert [FixedPoint(1.0, n).bits for n in (1, 512, 513, 1024, 1025)] == [22, 22, 21, 21, 20]
    assert FixedPoint(1.0, 4, bits=12).bits == 12


@pytest.mark.parametrize(
    ("clip", "summands", "bits", "reason"),
    [
        (0.0, 2, 22, "power of two"),
        (-1.0, 2, 22, "power of two"),
        (3.0, 2, 22, "power of two"),
        (math.inf, 2, 22, "power of two"),
        (math.nan, 2, 22, "power of two"),
        (2.0**41, 2, 22, "power of two"),
        (1.0, 0, 22, "summand"),
        (1.0, 2, 23, "bits"),
        (1.0, 2, 7, "bits"),
        (1.0, 2**23 + 1, 22, "summands leave 7 bits"),
    ],
)
def test_parameters_that_cannot_work_are_refused(clip: float, summands: int, bits: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        FixedPoint(clip, summands, bits)


def test_rounding_is_unbiased() -> None:
    encoding = FixedPoint(clip=1.0, summands=4)
    count = 200_000
    for fraction in (-1234.75, -0.5, 0.1, 100.9):
        value = np.float32(fraction * encoding.step)
        words, _ = encoding.encode(np.full(count, value), 1.0, b"rounding")
        found = encoding.decode_sum(words, count, 1)
        exact = float(value) / encoding.step
        assert set(found.tolist()) == {math.floor(exact), math.ceil(exact)}
        assert abs(found.mean() - exact) < 5 * 0.5 / math.sqrt(count)


def test_rounding_to_the_nearest_would_be_biased() -> None:
    encoding = FixedPoint(clip=1.0, summands=4)
    update = np.full(1000, 0.25 * encoding.step, dtype=np.float32)
    found = encoding.decode_sum(encoding.encode(update, 1.0, b"s")[0], 1000, 1)
    assert np.round(update / encoding.step).sum() == 0.0
    assert found.sum() > 150


def test_values_on_the_grid_are_not_rounded() -> None:
    encoding = FixedPoint(clip=2.0, summands=4)
    grid = np.array([-encoding.limit, -7, 0, 1, encoding.limit])
    words, clipped = encoding.encode((grid * encoding.step).astype(np.float32), 1.0, b"any")
    assert encoding.decode_sum(words, 5, 1).tolist() == grid.tolist()
    assert clipped == 0


def test_the_two_slots_of_a_word_are_rounded_independently() -> None:
    encoding = FixedPoint(clip=1.0, summands=4)
    update = np.full(20_000, 0.5 * encoding.step, dtype=np.float32)
    pairs = encoding.decode_sum(encoding.encode(update, 1.0, b"s")[0], update.size, 1).reshape(-1, 2)
    assert abs((pairs[:, 0] == pairs[:, 1]).mean() - 0.5) < 0.02


def test_encoding_is_the_same_for_the_same_seed_and_differs_for_another() -> None:
    encoding = FixedPoint(clip=1.0, summands=4)
    update = np.linspace(-0.3, 0.3, 1001, dtype=np.float32)
    first, again, other = (encoding.encode(update, 0.7, seed)[0] for seed in (b"a", b"a", b"b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("length", [0, 1, 2, 5, 16_383, 16_384, 16_385, 40_001])
def test_every_length_is_encoded_across_blocks(length: int) -> None:
    encoding = FixedPoint(clip=1.0, summands=2)
    integers = np.arange(length) % 1000
    words, _ = encoding.encode((integers * encoding.step).astype(np.float32), 1.0, b"s")
    assert words.size == FixedPoint.columns(length)
    assert np.array_equal(encoding.decode_sum(words, length, 1), integers)


@given(updates, st.data(), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_not_finite_is_refused_with_its_index(
    update: NDArray[np.float32], data: st.DataObject, bad: float
) -> None:
    index = data.draw(st.integers(0, update.size - 1))
    update[index] = bad
    with pytest.raises(EncodingError, match=f"value {index} of the update is"):
        FixedPoint(1.0, 2).encode(update, 1.0, b"")


def test_a_nan_that_was_let_through_would_corrupt_its_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding = FixedPoint(1.0, 2)
    update = np.array([math.nan, 0.25], dtype=np.float32)
    with pytest.raises(EncodingError, match="value 0"):
        encoding.encode(update, 1.0, b"")
    monkeypatch.setattr(fixed_point, "_refuse_non_finite", lambda update: None)  # the attack
    words, _ = encoding.encode(update, 1.0, b"")
    neighbour = int(words[0]) >> 31
    assert neighbour != 0.25 / encoding.step + encoding.limit


@pytest.mark.parametrize("weight", [0.0, -0.5, 1.0000001, 2.0, math.nan, math.inf])
def test_a_weight_outside_its_range_is_refused(weight: float) -> None:
    with pytest.raises(EncodingError, match="weight"):
        FixedPoint(1.0, 2).encode(np.zeros(2, dtype=np.float32), weight, b"")


@pytest.mark.parametrize("update", [np.zeros(2), np.zeros((1, 2), dtype=np.float32), np.zeros(2, dtype=np.int32)])
def test_an_update_of_another_type_is_refused(update: NDArray[np.float32]) -> None:
    with pytest.raises(EncodingError, match="float32"):
        FixedPoint(1.0, 2).encode(update, 1.0, b"")


@pytest.mark.parametrize("word", [P - 1, 2**63, 2**62, 2**31 - 1, (2**31 - 1) << 31])
def test_a_word_that_is_no_sum_of_encodings_is_refused(word: int) -> None:
    encoding = FixedPoint(1.0, 3, bits=10)
    words = np.array([encoding.limit | encoding.limit << 31, word], dtype=np.uint64)
    with pytest.raises(EncodingError, match=r"value [23] is not a sum of 1 encodings"):
        encoding.decode_sum(words, 4, 1)


def test_a_sum_of_more_than_was_agreed_is_refused() -> None:
    encoding = FixedPoint(1.0, 3)
    for summands in (0, 4):
        with pytest.raises(EncodingError, match="1 to 3 are agreed"):
            encoding.decode_sum(np.zeros(1, dtype=np.uint64), 2, summands)


def test_words_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        FixedPoint(1.0, 3).decode_sum(np.zeros(3, dtype=np.uint64), 4, 1)


wide_numbers = st.integers(-(2**82) + 1, 2**82 - 1) | st.floats(-(2.0**81), 2.0**81)


@given(st.lists(wide_numbers, min_size=1, max_size=20))
def test_wide_sums_are_exact(values: list[int | float]) -> None:
    summed = fixed_point.decode_wide(total([fixed_point.encode_wide(value) for value in values]), len(values))
    scaled = [fixed_point.decode_wide(fixed_point.encode_wide(value), 1) for value in values]
    assert summed == sum(scaled)
    for value, integer in zip(values, scaled, strict=True):
        if isinstance(value, int):
            assert integer == value << 40
        else:
            assert abs(integer - value * 2.0**40) <= max(0.5, abs(value) * 2.0**-12)


@pytest.mark.parametrize("value", [2**82, -(2**82), 2.0**82, 1e300, math.nan, math.inf, -math.inf])
def test_a_wide_number_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(EncodingError):
        fixed_point.encode_wide(value)


def test_private_numbers_that_are_refused_are_not_in_the_errors() -> None:
    """A loss says something about the data, a weight about how many examples there are."""
    for number in (2**82 + 123456789, 1.23456789e88):
        with pytest.raises(EncodingError) as refused:
            fixed_point.encode_wide(number)
        assert "23456789" not in str(refused.value)
    with pytest.raises(EncodingError) as refused:
        FixedPoint(1.0, 2).encode(np.zeros(2, dtype=np.float32), 1.23456789, b"")
    assert "23456789" not in str(refused.value)


@pytest.mark.parametrize("limbs", [[2**31, 0, 0, 0], [0, 0, 0, P - 1], [0, 0, 0, 2**31 - 1], [0, 0, 0, 0]])
def test_words_that_are_no_wide_sum_are_refused(limbs: list[int]) -> None:
    with pytest.raises(EncodingError, match="not a sum of 1"):
        fixed_point.decode_wide(np.array(limbs, dtype=np.uint64), 1)


@pytest.mark.parametrize("summands", [0, -1, 2**32 + 1])
def test_an_impossible_count_of_wide_summands_is_refused(summands: int) -> None:
    with pytest.raises(EncodingError, match="numbers"):
        fixed_point.decode_wide(fixed_point.encode_wide(1), summands)
