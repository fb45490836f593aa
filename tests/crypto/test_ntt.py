"""Transforms: FLINT as a second opinion, and the order of the points that everything else relies on."""

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto import cosets, ntt, prng
from coterie.crypto.field import P, Vector

edges = st.sampled_from([0, 1, 2**32 - 1, 2**32, 2**63, P - 2**32, P - 1])
elements = edges | st.integers(0, P - 1)
sizes = st.integers(0, 7).map(lambda bits: 1 << bits)
generators = st.sampled_from([1, 7, cosets.root_of_unity(2**20)]) | st.integers(1, P - 1)


def columns(values: list[list[int]]) -> Vector:
    """The transpose: each list becomes a column."""
    return np.array(values, dtype=np.uint64).T.copy()


@given(sizes, generators, st.data())
def test_a_transform_gives_the_values_that_flint_finds(size: int, generator: int, data: st.DataObject) -> None:
    points = cosets.coset(size, generator)
    polynomial = data.draw(st.lists(elements, min_size=1, max_size=size))
    values = ntt.evaluate(points, columns([polynomial]))
    expected = flint.nmod_poly(polynomial, P)
    assert values[:, 0].tolist() == [int(expected(flint.nmod(x, P))) for x in points.points]


@given(sizes, generators, st.integers(1, 40), elements)
def test_a_transform_is_undone_by_its_inverse(size: int, generator: int, count: int, edge: int) -> None:
    points = cosets.coset(size, generator)
    polynomials = prng.stream(b"seed", b"polynomials", size * count).reshape(size, count)
    polynomials[:: max(1, size // 3), :: max(1, count // 3)] = edge
    assert np.array_equal(ntt.interpolate(points, ntt.evaluate(points, polynomials)), polynomials)


@given(st.integers(1, 64), st.integers(0, 64), st.integers(1, 33))
def test_fewer_values_are_the_first_ones_and_columns_do_not_mix(terms: int, count: int, width: int) -> None:
    points = cosets.coset(64, 7)
    polynomials = prng.stream(b"seed", b"polynomials", terms * width).reshape(terms, width)
    alone = np.concatenate([ntt.evaluate(points, polynomials[:, [c]].copy()) for c in range(width)], axis=1)
    assert np.array_equal(ntt.evaluate(points, polynomials, count), alone[:count])


@given(sizes, generators)
def test_the_points_are_the_zeros_of_their_polynomial(size: int, generator: int) -> None:
    points = cosets.coset(size, generator).points
    assert len(set(points)) == size
    assert {pow(x, size, P) for x in points} == {pow(generator, size, P)}


@given(sizes, generators)
def test_a_point_does_not_depend_on_how_many_follow(size: int, generator: int) -> None:
    assert cosets.coset(2 * size, generator).points[:size] == cosets.coset(size, generator).points


@pytest.mark.parametrize("order", [1, 2, 2**16, 2**32])
def test_a_root_of_unity_has_the_order_that_it_says(order: int) -> None:
    root = cosets.root_of_unity(order)
    assert pow(root, order, P) == 1
    assert order == 1 or pow(root, order // 2, P) == P - 1


def test_no_root_of_unity_is_in_the_holders_coset() -> None:
    """7 generates the multiplicative group, so 7·w is not a 2^32-nd root of unity for any such root w."""
    assert all(pow(7, (P - 1) // factor, P) != 1 for factor in (2, 3, 5, 17, 257, 65537))
    assert P - 1 == 2**32 * 3 * 5 * 17 * 257 * 65537
    assert pow(7, 2**32, P) != 1


@given(st.lists(elements, max_size=9), st.lists(elements, min_size=1, max_size=9))
def test_the_vanishing_polynomial_is_the_product_of_its_factors(zeros: list[int], points: list[int]) -> None:
    product = flint.nmod_poly([1], P)
    for zero in zeros:
        product *= flint.nmod_poly([-zero % P, 1], P)
    assert ntt.vanishing(zeros, points) == [int(product(flint.nmod(x, P))) for x in points]


@pytest.mark.parametrize("size", [0, 3, 12, 2 * cosets.MAX_POINTS])
def test_sizes_without_a_transform_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        cosets.Coset(size, 7)


def test_the_coset_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="contain 0"):
        cosets.Coset(4, P)


def test_more_coefficients_or_values_than_points_are_refused() -> None:
    points = cosets.coset(4, 7)
    for rows, count in ((5, 4), (4, 5), (4, -1)):
        with pytest.raises(ValueError, match="at 4 points"):
            ntt.evaluate(points, np.zeros((rows, 1), dtype=np.uint64), count)
    with pytest.raises(ValueError, match="shape"):
        ntt.interpolate(points, np.zeros((5, 1), dtype=np.uint64))


def test_the_shared_tables_cannot_be_overwritten() -> None:
    with pytest.raises(ValueError, match="read-only"):
        cosets.coset(4, 7).roots[0] = 5
