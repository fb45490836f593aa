"""The encoding of updates of bounded norm: sums are exact, each encoding can be proved, and the norm is bounded."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from coterie.crypto import vectors
from coterie.crypto.field import P, Vector
from coterie.crypto.proof.statement import norm_of
from coterie.crypto.proof.terms import Terms
from coterie.crypto.sharing.fixed_point import NORM_BITS, BoundedNorm, EncodingError

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
updates = arrays.arrays(np.float32, st.integers(1, 40), elements=floats)
references = st.sampled_from([1, 7, 512, 1024, 65_536])


def total(encodings: list[Vector]) -> Vector:
    result = np.zeros_like(encodings[0])
    for words in encodings:
        vectors.add_into(result, words)
    return result


@given(updates, references, st.data(), st.floats(2.0**-20, 2.0**20))
def test_an_encoding_is_never_longer_than_its_weight_allows(
    update: NDArray[np.float32], reference: int, data: st.DataObject, norm: float
) -> None:
    capped = data.draw(st.integers(1, reference))
    words, length = BoundedNorm(norm, reference).encode(update, capped, b"seed")
    stated = Terms(4, 2, 0, update_columns=words.size, wide_sums=2, reference=reference)
    assert norm_of(words) <= stated.allowance(capped)
    assert length == pytest.approx(float(np.linalg.norm(update.astype(np.float64))) / norm)


@given(st.lists(st.tuples(updates.map(lambda one: np.resize(one, 17)), st.integers(1, 512)), min_size=1, max_size=6))
def test_the_decoded_sum_is_the_sum_of_the_single_ones(parts: list[tuple[NDArray[np.float32], int]]) -> None:
    encoding = BoundedNorm(4.0, 512)
    encoded = [encoding.encode(update, capped, bytes([i]))[0] for i, (update, capped) in enumerate(parts)]
    wanted = sum(encoding.decode_sum(words, 17, 1) for words in encoded)
    assert np.array_equal(encoding.decode_sum(total(encoded), 17, len(parts)), wanted)


def test_values_come_back_to_within_one_unit_and_without_bias() -> None:
    update = np.random.default_rng(1).standard_normal(1001).astype(np.float32)
    encoding = BoundedNorm(64.0, 512)
    errors = []
    for seed in range(50):
        units = encoding.decode_sum(encoding.encode(update, 256, bytes([seed]))[0], 1001, 1)
        errors.append(units - update.astype(np.float64) * 256 / 512 / encoding.step)
    assert np.abs(errors).max() < 1
    assert abs(np.mean(errors)) < 4 / math.sqrt(12 * 1001 * 50)


def test_an_update_that_is_too_long_keeps_its_direction() -> None:
    update = np.random.default_rng(2).standard_normal(1000).astype(np.float32)
    words, length = BoundedNorm(1.0, 512).encode(update, 512, b"seed")
    units = BoundedNorm(1.0, 512).decode_sum(words, 1000, 1).astype(np.float64)
    assert length == pytest.approx(float(np.linalg.norm(update)), rel=1e-6)
    assert np.linalg.norm(units) == pytest.approx(2.0**NORM_BITS, rel=1e-3)
    assert np.dot(units, update) / np.linalg.norm(units) / np.linalg.norm(update) > 0.9999


def test_as_many_as_may_be_members_add_up_without_an_overflow_even_if_all_are_as_long_as_a_lie() -> None:
    longest = 3 * (2**NORM_BITS + 2**13)
    word = np.array([(longest - 2**31 * longest) % P], dtype=np.uint64)
    summed = total([word] * 40)
    assert BoundedNorm(1.0, 1).decode_sum(summed, 2, 40).tolist() == [40 * longest, -40 * longest]


@pytest.mark.parametrize("word", [2**61, P - 1 - 2**61, 2**63])
def test_what_is_no_sum_of_encodings_is_refused(word: int) -> None:
    with pytest.raises(EncodingError, match=r"value \d is not a sum of 3 encodings"):
        BoundedNorm(1.0, 512).decode_sum(np.array([word], dtype=np.uint64), 2, 3)


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"norm": 0.0}, "norm"), ({"norm": math.nan}, "norm"), ({"norm": 2.0**41}, "norm"), ({"reference": 0}, "weight")],
)
def test_parameters_out_of_range_are_refused(changed: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        BoundedNorm(**{"norm": 1.0, "reference": 512} | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("update", "capped", "told"),
    [
        (np.zeros(3), 5, "float32"),
        (np.zeros((3, 2), np.float32), 5, "one-dimensional"),
        (np.zeros(3, np.float32), 0, "a weight of 0"),
        (np.zeros(3, np.float32), 513, "a weight of 513"),
        (np.array([0, np.nan], np.float32), 5, "value 1 of the update is nan"),
        (np.array([np.inf, 0], np.float32), 5, "value 0 of the update is inf"),
    ],
)
def test_what_has_no_encoding_is_refused(update: NDArray[np.float32], capped: int, told: str) -> None:
    with pytest.raises(EncodingError, match=told):
        BoundedNorm(1.0, 512).encode(update, capped, b"seed")
