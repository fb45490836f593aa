"""Products in R against FLINT's, and the public element."""

import flint
import numpy as np
import pytest

from coterie.crypto import cosets, ntt, prng
from coterie.crypto.field import P, Vector
from coterie.crypto.masks.parameters import DIMENSION
from coterie.crypto.masks.ring import Products, field_elements, values_of

MODULUS = flint.nmod_poly([1, *[0] * (DIMENSION - 1), 1], P)


def public_block(seed: bytes, block: int) -> Vector:
    """The coefficients of the public element's block, from its values."""
    values = np.empty(DIMENSION, dtype=np.uint64)
    stream = prng.Stream(seed, b"ring element")
    stream.seek(block)
    stream.fill(values)
    coset = cosets.coset(DIMENSION, cosets.root_of_unity(2 * DIMENSION))
    return ntt.interpolate(coset, values[:, None].copy())[:, 0]


def polynomial(element: Vector) -> flint.nmod_poly:
    return flint.nmod_poly(element.tolist(), P)


@pytest.mark.parametrize("block", [0, 1, 8])
def test_products_are_those_that_flint_finds(block: int) -> None:
    element = prng.stream(b"seed", b"element", DIMENSION)
    products = Products(bytes(32), element).at(0, (block + 1) * DIMENSION)
    expected = polynomial(public_block(bytes(32), block)) * polynomial(element) % MODULUS
    assert products[-DIMENSION:].tolist() == [int(c) for c in expected.coeffs()]


def test_the_points_of_the_ring_are_the_zeros_of_its_modulus() -> None:
    coset = cosets.coset(DIMENSION, cosets.root_of_unity(2 * DIMENSION))
    assert {pow(x, DIMENSION, P) for x in coset.points} == {P - 1}
    assert len(set(coset.points)) == DIMENSION


def test_values_of_a_constant_are_that_constant() -> None:
    element = np.zeros(DIMENSION, dtype=np.uint64)
    element[0] = P - 5
    assert set(values_of(element).tolist()) == {P - 5}


def test_how_products_are_cut_changes_nothing() -> None:
    element = prng.stream(b"seed", b"element", DIMENSION)
    products = Products(bytes(32), element)
    whole = products.at(0, 3 * DIMENSION + 7)
    pieces = [products.at(2, DIMENSION + 7), products.at(0, 2 * DIMENSION)]
    assert np.array_equal(np.concatenate(pieces[::-1]), whole), "in whatever order they are made"


def test_small_integers_become_field_elements() -> None:
    assert field_elements(np.array([0, 3, -3], dtype=np.int32)).tolist() == [0, 3, P - 3]


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_public_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Products(bytes(length), np.zeros(DIMENSION, dtype=np.uint64))


def test_products_show_nothing() -> None:
    assert repr(Products(bytes(32), np.full(DIMENSION, 7, dtype=np.uint64))) == "Products(<secret>)"
