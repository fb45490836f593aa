"""Shares over the integers and modulo composites, and how a false one names its dealer."""

from fractions import Fraction
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto.paillier import integer_sharing
from coterie.crypto.paillier.arithmetic import Draws, integer_lagrange
from coterie.crypto.paillier.errors import BadDealing
from coterie.crypto.paillier.integer_sharing import Terms, check_integer, deal_integer, deal_modular, lagrange_at_zero
from coterie.crypto.paillier.keys import PrivateKey

TERMS = Terms(holders=5, threshold=3, secret_bits=300)


@given(st.integers(2, 10), st.data())
def test_integer_coefficients_are_the_factorial_times_lagranges(holders: int, data: st.DataObject) -> None:
    points = data.draw(st.lists(st.integers(1, holders), min_size=1, max_size=holders, unique=True))
    target = data.draw(st.integers(0, holders))
    expected = []
    for i in points:
        value = Fraction(1)
        for j in points:
            if j != i:
                value *= Fraction(target - j, i - j)
        expected.append(factorial(holders) * value)
    assert integer_lagrange(points, target, holders) == expected


def test_points_beyond_the_holders_have_no_integer_coefficients() -> None:
    with pytest.raises(ValueError, match="not all in"):
        integer_lagrange([1, 12], 0, 4)


@settings(max_examples=25)
@given(st.integers(-(2**299), 2**299), st.permutations(range(5)))
def test_any_threshold_of_integer_shares_gives_the_secret_back(
    private: PrivateKey, secret: int, order: list[int]
) -> None:
    dealing = deal_integer(private.public, TERMS, secret, Draws(b"seed", b""))
    chosen = order[:3]
    coefficients = integer_lagrange([j + 1 for j in chosen], 0, 5)
    total = sum(a * dealing.shares[j] for a, j in zip(coefficients, chosen, strict=True))
    assert total == TERMS.delta**2 * secret
    assert all(abs(share).bit_length() <= TERMS.share_bits(1) for share in dealing.shares)


def test_every_holder_accepts_an_honest_dealing_and_no_other_share(private: PrivateKey) -> None:
    key = private.public
    dealing = deal_integer(key, TERMS, -12345, Draws(b"seed", b""))
    for holder, share in enumerate(dealing.shares):
        check_integer(key, TERMS, 4, holder, dealing.commitments, share)
        for false in (share + 1, -share, dealing.shares[holder - 1]):
            with pytest.raises(BadDealing, match="dealer 4: .*committed"):
                check_integer(key, TERMS, 4, holder, dealing.commitments, false)


def test_dealings_of_another_degree_or_length_are_refused(private: PrivateKey) -> None:
    key = private.public
    dealing = deal_integer(key, TERMS, 12345, Draws(b"seed", b""))
    for commitments in (dealing.commitments[:2], (*dealing.commitments, 1)):
        with pytest.raises(BadDealing, match="commitments for a threshold of 3"):
            check_integer(key, TERMS, 1, 0, commitments, dealing.shares[0])
    with pytest.raises(BadDealing, match="longer than any honest"):
        check_integer(key, TERMS, 1, 0, dealing.commitments, dealing.shares[0] << 300)
    with pytest.raises(ValueError, match="longer than was agreed"):
        deal_integer(key, TERMS, 1 << 301, Draws(b"seed", b""))
    with pytest.raises(ValueError, match="threshold of 6"):
        Terms(5, 6, 10)


def test_a_dealing_is_not_shown(private: PrivateKey) -> None:
    dealing = deal_integer(private.public, TERMS, 12345, Draws(b"seed", b""))
    assert repr(dealing) == "Dealing(<5 secrets>)"


def test_shares_that_are_too_short_would_show_the_size_of_the_secret(
    private: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def largest_share(secret: int) -> int:
        return max(deal_integer(private.public, TERMS, secret, Draws(b"seed", b"")).shares).bit_length()

    assert largest_share(2**299) == largest_share(0)
    monkeypatch.setattr(Terms, "coefficient_bits", property(lambda self: 128))  # the attack: coefficients too short
    assert largest_share(2**299) > largest_share(0) + 100


@pytest.mark.parametrize("modulus", [13 * 17 * 19, 2**127 - 1, (2**61 - 1) * (2**89 - 1)])
@pytest.mark.parametrize("degree", [0, 2, 4])
def test_modular_shares_give_the_secret_back_and_products_too(modulus: int, degree: int) -> None:
    draws = Draws(b"seed", b"")
    first, second = (deal_modular(secret, degree // 2, 5, modulus, draws) for secret in (1000, 3000))
    coefficients = lagrange_at_zero(5, modulus)
    assert sum(a * x for a, x in zip(coefficients, first, strict=True)) % modulus == 1000
    product = sum(a * x * y for a, x, y in zip(coefficients, first, second, strict=True))
    assert product % modulus == 3_000_000 % modulus


def test_the_verification_base_is_a_square_that_holds_two(private: PrivateKey) -> None:
    v = integer_sharing.verification_base(private.public)
    assert private.decrypt([v]) == [2]
    assert pow(int(v) % int(private._p), (int(private._p) - 1) // 2, int(private._p)) == 1
