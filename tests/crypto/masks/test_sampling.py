"""Discrete Gaussian samples: the table against interval arithmetic, the kernel against plain inversion."""

import pickle  # noqa: TID251 - to show that it does not work
from bisect import bisect_right
from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto.masks import kernels, sampling
from coterie.crypto.masks.parameters import BOUND, SIGMA
from coterie.crypto.masks.sampling import Gaussian, thresholds


def test_the_table_is_what_interval_arithmetic_finds() -> None:
    """FLINT's balls are proved to hold the true value; at 500 bits, flooring them is unambiguous."""
    with flint.ctx.workprec(500):
        weights = [(flint.arb(-k * k) / (2 * SIGMA * SIGMA)).exp() * (2 if k else 1) for k in range(BOUND + 1)]
        norm = sum(weights, flint.arb(0))
        reached = flint.arb(0)
        for weight, threshold in zip(weights, thresholds(), strict=False):
            reached += weight
            assert (reached / norm * flint.arb(2) ** 128).floor().unique_fmpz() == threshold
    assert len(thresholds()) == BOUND


def test_the_tail_that_is_cut_off_is_as_small_as_the_text_says() -> None:
    with flint.ctx.workprec(500):
        tail = sum(((flint.arb(-k * k) / (2 * SIGMA * SIGMA)).exp() for k in range(BOUND + 1, 4 * BOUND)), flint.arb(0))
        assert bool(2 * tail / (SIGMA * (2 * flint.arb.pi()).sqrt()) < flint.arb(2) ** -141)


def test_rounding_the_table_moves_the_distribution_by_less_than_the_text_says() -> None:
    assert Fraction(BOUND + 1, 2**128) < Fraction(1, 2**120)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40))
def test_the_kernel_inverts_the_distribution(halves: list[int]) -> None:
    out = np.empty(len(halves), dtype=np.int32)
    heads = [threshold >> 97 for threshold in thresholds()]
    ties = kernels.sample(np.array(halves, dtype=np.uint32), sampling._heads(), out)
    assert ties == sum(half >> 1 in heads for half in halves)
    for half, sample in zip(halves, out.tolist(), strict=True):
        if half >> 1 not in heads:
            assert sample == bisect_right(thresholds(), (half >> 1) << 97) * (-1 if half & 1 else 1)


class Scripted:
    """A stream of words that the test has chosen."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def fill_words(self, out: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
        out[:], self.words = self.words[: out.size], self.words[out.size :]


@given(st.integers(0, BOUND - 1), st.integers(-3, 3), st.booleans())
def test_ties_are_settled_by_all_128_bits(index: int, offset: int, negative: bool) -> None:
    """Uniform numbers on and next to each threshold, even those whose upper 31 bits are all ones."""
    uniform = min(thresholds()[index] + offset, 2**128 - 1)
    gaussian = Gaussian(bytes(32), b"")
    rest = uniform & (2**97 - 1)
    half = uniform >> 97 << 1 | negative
    gaussian._stream = Scripted(half)  # type: ignore[assignment]
    gaussian._rest = Scripted(rest & (2**64 - 1), rest >> 64)  # type: ignore[assignment]
    magnitude = bisect_right(thresholds(), uniform)
    assert gaussian.draw(1).tolist() == [-magnitude if negative else magnitude]


def test_a_hundred_thousand_samples_have_the_frequencies_of_the_distribution() -> None:
    samples = Gaussian(b"seed", b"frequencies").draw(100_000)
    cumulative = [0, *thresholds(), 2**128]
    for k in range(4 * SIGMA):
        expected = 100_000 * (cumulative[k + 1] - cumulative[k]) / 2**128
        for sign in (1, -1) if k else (1,):
            here = expected if k == 0 else expected / 2
            assert abs(int((samples == sign * k).sum()) - here) < 5 * here**0.5, (k, sign)
    assert abs(float(samples.std()) - SIGMA) < 0.1


@given(st.integers(1, 5000), st.integers(0, 5000).map(lambda n: 2 * n))
def test_how_the_sequence_is_cut_changes_nothing(count: int, cut: int) -> None:
    whole = Gaussian(b"seed", b"label").draw(count)
    pieces = Gaussian(b"seed", b"label")
    cut = min(cut, count // 2 * 2)
    assert np.array_equal(np.concatenate([pieces.draw(cut), pieces.draw(count - cut)]), whole)


def test_a_sampler_shows_nothing_and_is_not_pickled() -> None:
    gaussian = Gaussian(b"seed", b"label")
    assert repr(gaussian) == "Gaussian(<secret>)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(gaussian)
