"""What fits beside the errors: exactly as much as the inequality says, and nothing else is taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto.field import P
from coterie.crypto.masks import kernels
from coterie.crypto.masks.parameters import BOUND, MAX_BITS, MaskParameters, largest_bits
from coterie.crypto.sharing.fixed_point import MIN_BITS, EncodingError

usable = st.integers(1, 12_000).filter(lambda summands: largest_bits(summands) >= MIN_BITS)


def span(summands: int, bits: int) -> int:
    """One more than the largest sum of that many masked elements, with nothing of the library in it."""
    return (summands * (2**bits - 2) + 1) ** 2 * (2 * summands * BOUND + 1)


@given(usable)
def test_the_bits_that_fit_are_as_many_as_possible(summands: int) -> None:
    bits = largest_bits(summands)
    assert span(summands, bits) <= P
    assert bits == MAX_BITS or span(summands, bits + 1) > P


@given(usable, st.data())
def test_bits_are_taken_up_to_what_fits_and_refused_above(summands: int, data: st.DataObject) -> None:
    fitting = largest_bits(summands)
    assert MaskParameters(summands, 1.0).bits == fitting
    bits = data.draw(st.integers(MIN_BITS, MAX_BITS))
    if bits <= fitting:
        parameters = MaskParameters(summands, 0.5, bits)
        assert parameters.bits == parameters.encoding.bits == bits
        assert parameters.scale * parameters.radix**2 == span(summands, bits)
    else:
        with pytest.raises(EncodingError, match=f"leave {fitting} bits"):
            MaskParameters(summands, 0.5, bits)


@given(usable, st.sampled_from([-1, 1]), st.sampled_from([0, 1, 2]))
def test_the_largest_sums_with_the_largest_errors_stay_in_their_places(summands: int, sign: int, slots: int) -> None:
    """One member's word, times all members: as if all were alike, at both ends of every range."""
    parameters = MaskParameters(summands, 1.0)
    slot = 2 * parameters.encoding.limit
    low, high = (slot if slots != 1 else 0), (slot if slots != 0 else 0)
    one, word = np.zeros(1, dtype=np.uint64), np.array([low | high << 31], dtype=np.uint64)
    errors = np.array([sign * BOUND], dtype=np.int32)
    kernels.hide(word, errors, BOUND, parameters.scale, parameters.radix, one)
    total = np.array([int(one[0]) * summands], dtype=object)
    assert total[0] < P
    out = np.zeros(1, dtype=np.uint64)
    noise = 2 * BOUND * summands
    assert kernels.uncover(total.astype(np.uint64), parameters.scale, parameters.radix, 0, noise, out) == -1
    assert int(out[0]) == low * summands | high * summands << 31


@pytest.mark.parametrize("summands", [0, -1])
def test_an_empty_sum_is_refused(summands: int) -> None:
    with pytest.raises(EncodingError, match="at least one summand"):
        MaskParameters(summands, 1.0)


@pytest.mark.parametrize(("clip", "bits"), [(0.3, 0), (1.0, 7), (1.0, 23), (1.0, -5)])
def test_what_the_encoding_refuses_is_refused_here(clip: float, bits: int) -> None:
    with pytest.raises(ValueError, match=r"power of two|bits"):
        MaskParameters(4, clip, bits)
