"""The field in plain integers: against its laws, and against FLINT."""

import subprocess
import sys

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto import field
from coterie.crypto.field import P

EDGES = [0, 1, 2, 2**32 - 1, 2**32, 2**63, P - 2**32, P - 1]
elements = st.sampled_from(EDGES) | st.integers(0, P - 1)
polynomials = st.lists(elements, min_size=1, max_size=12)


def test_the_modulus_is_the_goldilocks_prime() -> None:
    assert P == 0xFFFFFFFF00000001
    assert bool(flint.fmpz(P).is_prime())


@given(elements.filter(bool))
def test_an_element_times_its_inverse_is_one(a: int) -> None:
    assert a * field.inverse(a) % P == 1


@pytest.mark.parametrize("a", [0, P, -P])
def test_zero_has_no_inverse(a: int) -> None:
    with pytest.raises(ValueError, match="not invertible"):
        field.inverse(a)


@given(st.lists(elements.filter(bool), max_size=8))
def test_many_inverses_are_those_found_one_by_one(values: list[int]) -> None:
    assert field.inverses(values) == [field.inverse(a) for a in values]


@pytest.mark.parametrize("a", [0, P])
def test_many_inverses_are_refused_when_one_does_not_exist(a: int) -> None:
    with pytest.raises(ValueError, match="not invertible"):
        field.inverses([3, a, 5])


@given(polynomials, elements)
def test_evaluation_agrees_with_flint(coefficients: list[int], x: int) -> None:
    assert field.evaluate(coefficients, x) == int(flint.nmod_poly(coefficients, P)(flint.nmod(x, P)))


@given(st.lists(elements, max_size=8))
def test_the_product_of_linear_factors_agrees_with_flint(roots: list[int]) -> None:
    product = flint.nmod_poly([1], P)
    for root in roots:
        product *= flint.nmod_poly([-root % P, 1], P)
    assert field.from_roots(roots) == [int(c) for c in product.coeffs()]


@given(polynomials, st.data())
def test_interpolation_finds_the_polynomial_again(coefficients: list[int], data: st.DataObject) -> None:
    size = len(coefficients)
    xs = data.draw(st.lists(elements, min_size=size, max_size=size, unique=True))
    assert field.interpolate(xs, [field.evaluate(coefficients, x) for x in xs]) == coefficients


def test_interpolation_refuses_a_point_given_twice() -> None:
    with pytest.raises(ValueError, match="occurs twice"):
        field.interpolate([1, 2, 1], [5, 6, 5])


def test_interpolation_refuses_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="2 points but 1 values"):
        field.interpolate([1, 2], [5])


@given(polynomials, st.data())
def test_the_lagrange_matrix_takes_values_to_values(coefficients: list[int], data: st.DataObject) -> None:
    size = len(coefficients)
    xs = data.draw(st.lists(elements, min_size=size, max_size=size, unique=True))
    targets = data.draw(st.lists(elements | st.sampled_from(xs), max_size=5))
    matrix = field.lagrange_matrix(xs, targets)
    ys = [field.evaluate(coefficients, x) for x in xs]
    assert matrix.shape == (len(targets), size)
    assert field.is_canonical(matrix)
    for target, row in zip(targets, matrix.tolist(), strict=True):
        assert sum(a * y for a, y in zip(row, ys, strict=True)) % P == field.evaluate(coefficients, target)


@pytest.mark.parametrize("xs", [[], [3, 3], [1, P + 1]])
def test_the_lagrange_matrix_refuses_missing_and_doubled_points(xs: list[int]) -> None:
    with pytest.raises(ValueError, match=r"at least one|occurs twice"):
        field.lagrange_matrix(xs, [0])


@given(st.lists(elements, max_size=20))
def test_bytes_come_back_as_the_same_vector(values: list[int]) -> None:
    x = np.array(values, dtype=np.uint64)
    data = field.to_bytes(x)
    assert data == b"".join(value.to_bytes(8, "little") for value in values)
    assert np.array_equal(field.from_bytes(data, len(values)), x)


@pytest.mark.parametrize("value", [P, P + 1, 2**64 - 1])
def test_an_element_that_is_not_canonical_is_refused(value: int) -> None:
    data = bytes(8) + value.to_bytes(8, "little")
    with pytest.raises(ValueError, match="prime"):
        field.from_bytes(data, 2)


@pytest.mark.parametrize("size", [0, 8, 15, 17, 24])
def test_bytes_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="2 field elements take 16"):
        field.from_bytes(bytes(size), 2)


def test_a_vector_from_bytes_is_a_copy_of_its_own() -> None:
    data = bytearray(16)
    x = field.from_bytes(memoryview(data), 2)
    data[0] = 1
    assert x.tolist() == [0, 0]
    x[0] = 7


def test_nothing_loads_numba_before_the_first_vector_is_worked_on() -> None:
    code = (
        "import sys\n"
        "from coterie.crypto import cosets, erasures, field, ntt, prng, vectors\n"
        "from coterie.crypto.sharing import dealing, fixed_point, merkle, robust, shamir\n"
        "from coterie.crypto.masks import blame, keys, mask, parameters, ring, sampling\n"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
