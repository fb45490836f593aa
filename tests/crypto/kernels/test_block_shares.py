"""Opening in blocks, at 128 to 1024 points: FLINT, the transform by levels and the matrix find the same."""

import flint
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto import erasures, prng
from coterie.crypto.field import P, Vector
from coterie.crypto.kernels.words import LANES, Lanes, row_operation
from coterie.crypto.sharing.shamir import InconsistentShares, Placement, Scheme, Way

SIZES = [128, 256, 512, 1024]
EDGES = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63, P - 2**32, P - 2**31, P - 1]


def edged(seed: bytes, rows: int, columns: int) -> Vector:
    """Pseudorandom elements, half of them at the edges of the field."""
    elements = prng.stream(seed, b"elements", rows * columns)
    which = prng.stream(seed, b"which", rows * columns)
    at_edges = np.array(EDGES, dtype=np.uint64)[which % np.uint64(len(EDGES))]
    return np.where(which & np.uint64(1 << 40), at_edges, elements).reshape(rows, columns)


def values_of(coefficients: list[int], scheme: Scheme) -> list[int]:
    """What the polynomial is at the holders' points, by FLINT."""
    polynomial = flint.nmod_poly(coefficients, P)
    return [int(polynomial(flint.nmod(x, P))) for x in scheme.points]


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    """Committees whose coset has 128 to 1024 points, also with points where nobody sits."""
    size = draw(st.sampled_from(SIZES))
    holders = draw(st.integers(size // 2 + 1, size) | st.just(size))
    threshold = draw(st.integers(2, holders))
    packs = [1 << bits for bits in range(10) if 1 << bits < threshold]
    return Scheme(holders, threshold, draw(st.sampled_from(packs)), Placement.COSETS)


def shared(scheme: Scheme, columns: int) -> tuple[Vector, Vector]:
    secrets = edged(b"secrets", scheme.pack, columns)
    return secrets, scheme.share(secrets, edged(b"randomness", scheme.threshold - scheme.pack, columns), Way.NTT)


def by_levels(scheme: Scheme, indices: list[int], rows: Vector) -> Vector:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erasures, "in_blocks", lambda size: False)
        return scheme.reconstruct(indices, rows, Way.NTT)


@settings(max_examples=40)
@given(schemes(), st.sampled_from([1, 31, 32, 33, 70]), st.data())
def test_blocks_and_levels_open_what_was_shared_whoever_is_missing(
    scheme: Scheme, columns: int, data: st.DataObject
) -> None:
    secrets, shares = shared(scheme, columns)
    count = data.draw(st.integers(scheme.threshold, scheme.holders))
    indices = np.random.default_rng(data.draw(st.integers(0, 9))).permutation(scheme.holders)[:count].tolist()
    rows = shares[indices]
    assert np.array_equal(scheme.reconstruct(indices, rows, Way.NTT), secrets)
    assert np.array_equal(by_levels(scheme, indices, rows), secrets)


@settings(max_examples=60)
@given(schemes().filter(lambda scheme: scheme.threshold < scheme.holders), st.data())
def test_one_wrong_bit_in_any_share_is_found(scheme: Scheme, data: st.DataObject) -> None:
    _, shares = shared(scheme, 37)
    missing = data.draw(st.integers(0, scheme.holders - scheme.threshold - 1))
    indices = list(range(missing, scheme.holders))
    rows = shares[missing:]
    rows[data.draw(st.integers(0, len(indices) - 1)), data.draw(st.integers(0, 36))] ^= np.uint64(1)
    with pytest.raises(InconsistentShares):
        scheme.reconstruct(indices, rows, Way.NTT)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pack", [1, 8, 32])
def test_values_that_flint_finds_open_to_values_that_flint_finds(size: int, pack: int) -> None:
    scheme = Scheme(size, size // 2 + 3, pack, Placement.COSETS)
    coefficients = edged(b"coefficients", scheme.threshold, 3)
    rows = np.array([values_of(column, scheme) for column in coefficients.T.tolist()], dtype=np.uint64).T.copy()
    expected = [
        [int(flint.nmod_poly(column, P)(flint.nmod(z, P))) for column in coefficients.T.tolist()]
        for z in scheme.secret_points
    ]
    present = [j for j in range(size) if j % 7 != 3]
    assert scheme.reconstruct(present, rows[present], Way.NTT).tolist() == expected


@pytest.mark.parametrize("size", SIZES)
def test_shares_at_the_edges_of_the_field_open_as_by_matrix(size: int) -> None:
    """With all shares needed, any rows are a sharing."""
    scheme = Scheme(size, size, 1, Placement.COSETS)
    rows = edged(b"shares", size, 40)
    rows[:, :9] = np.array(EDGES, dtype=np.uint64)
    opened = scheme.reconstruct(range(size), rows, Way.NTT)
    assert opened[0, :9].tolist() == EDGES
    assert np.array_equal(opened, scheme.reconstruct(range(size), rows, Way.LAGRANGE))


@pytest.mark.parametrize("size", [128, 256])
def test_every_coefficient_beyond_the_threshold_is_looked_at(size: int) -> None:
    """The shares of X^e are of one sharing if and only if e < K."""
    scheme = Scheme(size, size // 2 + 5, 1, Placement.COSETS)
    found = []
    for exponent in range(size):
        rows = np.array([[pow(x, exponent, P)] for x in scheme.points], dtype=np.uint64)
        try:
            found.append(scheme.reconstruct(range(size), rows, Way.NTT).tolist() == [[1]])
        except InconsistentShares:
            found.append(False)
    assert found == [exponent < scheme.threshold for exponent in range(size)]


@pytest.mark.parametrize("size", [64, 128, 1024, 2048])
def test_sizes_next_to_those_of_blocks_open_too(size: int) -> None:
    assert erasures.in_blocks(size) is (128 <= size <= 1024)
    scheme = Scheme(size, size // 4, 1, Placement.COSETS)
    secrets, shares = shared(scheme, 5)
    assert np.array_equal(scheme.reconstruct(range(size), shares, Way.NTT), secrets)


def test_a_shift_is_a_product_with_a_power_of_two() -> None:
    values = np.resize(np.array(EDGES, dtype=np.uint64), 2 * LANES)
    exponents = range(96)

    def every(lanes: Lanes, first: object, second: object, _factor: object) -> None:
        x = lanes.load(second)
        for exponent in exponents:
            place = lanes.builder.add(first, first.type(exponent * values.nbytes))  # type: ignore[attr-defined]
            lanes.store(lanes.shifted(x, exponent), place)

    operation = row_operation(every)

    @numba.njit
    def run(found: Vector, x: Vector) -> None:
        operation(np.int64(found.ctypes.data), np.int64(x.ctypes.data), np.uint64(0), np.int64(8 * x.size))

    found = np.empty((len(exponents), values.size), dtype=np.uint64)
    run(found, values)
    assert found.tolist() == [[(int(x) << exponent) % P for x in values] for exponent in exponents]
