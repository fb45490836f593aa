"""Shamir's scheme: the known answer, FLINT as a second opinion, and what too few shares say (nothing)."""

import itertools
import pickle  # noqa: TID251 - to show that it does not work

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto import prng
from coterie.crypto.field import P, Vector
from coterie.crypto.sharing.shamir import InconsistentShares, Newton, Scheme

elements = st.sampled_from([0, 1, 2**32, P - 1]) | st.integers(0, P - 1)


def rows(*values: list[int]) -> Vector:
    return np.array(values, dtype=np.uint64)


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    holders = draw(st.integers(2, 9))
    threshold = draw(st.integers(2, holders))
    return Scheme(holders, threshold, draw(st.integers(1, threshold - 1)))


def shared(scheme: Scheme, columns: int, seed: bytes = b"s") -> tuple[Vector, Vector]:
    """Pseudorandom secrets and their shares."""
    secrets = prng.stream(seed, b"secrets", scheme.pack * columns).reshape(scheme.pack, columns)
    spare = scheme.threshold - scheme.pack
    randomness = prng.stream(seed, b"randomness", spare * columns).reshape(spare, columns)
    return secrets, scheme.share(secrets, randomness)


def test_the_worked_example_of_the_paper() -> None:
    """Secret 65, N = 4, K = 2, polynomial 65 + 15x: shares 80, 95, 110, 125."""
    scheme = Scheme(holders=4, threshold=2)
    shares = scheme.share(rows([65])[0], rows([15]))
    assert shares.tolist() == [[80], [95], [110], [125]]
    for pair in itertools.combinations(range(4), 2):
        assert scheme.reconstruct(pair, shares[list(pair)]).tolist() == [[65]]


@given(schemes(), st.data())
def test_any_threshold_many_shares_open_the_secrets(scheme: Scheme, data: st.DataObject) -> None:
    secrets, shares = shared(scheme, 3)
    count = data.draw(st.integers(scheme.threshold, scheme.holders))
    indices = data.draw(st.permutations(range(scheme.holders)))[:count]
    assert np.array_equal(scheme.reconstruct(indices, shares[indices]), secrets)


@given(schemes(), elements)
def test_shares_are_those_that_flint_finds(scheme: Scheme, seed: int) -> None:
    """S + Z·R: S interpolates the secrets, Z vanishes where they sit, R has random coefficients."""
    secrets, shares = shared(scheme, 1, seed.to_bytes(8, "little"))
    spare = scheme.threshold - scheme.pack
    randomness = prng.stream(seed.to_bytes(8, "little"), b"randomness", spare)
    vanishing, through = flint.nmod_poly([1], P), flint.nmod_poly([0], P)
    points = [flint.nmod(-i, P) for i in range(scheme.pack)]
    for point, secret in zip(points, secrets[:, 0].tolist(), strict=True):
        through += (flint.nmod(secret, P) - through(point)) / vanishing(point) * vanishing
        vanishing *= flint.nmod_poly([-point, flint.nmod(1, P)], P)
    polynomial = through + vanishing * flint.nmod_poly(randomness.tolist(), P)
    assert polynomial.degree() < scheme.threshold
    assert [int(polynomial(flint.nmod(j + 1, P))) for j in range(scheme.holders)] == shares[:, 0].tolist()


@given(schemes())
def test_too_few_shares_fit_every_secret_equally_well(scheme: Scheme) -> None:
    """The randomness enters the shares of any K - l holders through an invertible matrix: whatever the
    secrets are, exactly one choice of it explains what those holders see.
    """
    matrix = scheme.sharing_matrix()[:, scheme.pack :].tolist()
    for some in itertools.combinations(range(scheme.holders), scheme.threshold - scheme.pack):
        assert flint.nmod_mat([matrix[j] for j in some], P).det() != 0


def test_one_share_more_than_that_begins_to_tell() -> None:
    scheme = Scheme(holders=5, threshold=4, pack=2)
    matrix = scheme.sharing_matrix()[:, scheme.pack :].tolist()
    assert flint.nmod_mat([matrix[j] for j in range(3)], P).rank() < 3


@given(schemes(), schemes())
def test_the_sum_of_shares_is_a_share_of_the_sum(scheme: Scheme, other: Scheme) -> None:
    first, second = shared(scheme, 2, b"a"), shared(scheme, 2, b"b")
    secrets, shares = ((x.astype(object) + y.astype(object)) % P for x, y in zip(first, second, strict=True))
    opened = scheme.reconstruct(range(scheme.holders), shares.astype(np.uint64))
    assert np.array_equal(opened, secrets.astype(np.uint64))


@given(schemes(), st.data())
def test_newton_agrees_with_lagrange_in_whatever_order_shares_come(scheme: Scheme, data: st.DataObject) -> None:
    secrets, shares = shared(scheme, 4)
    newton = Newton(scheme, 4)
    for count, index in enumerate(data.draw(st.permutations(range(scheme.holders)))):
        assert newton.complete == (count >= scheme.threshold)
        assert newton.add(index, shares[index])
    assert np.array_equal(newton.secrets(), secrets)


@given(schemes().filter(lambda scheme: scheme.threshold < scheme.holders), st.data())
def test_a_late_share_that_is_wrong_is_noticed(scheme: Scheme, data: st.DataObject) -> None:
    secrets, shares = shared(scheme, 4)
    order = data.draw(st.permutations(range(scheme.holders)))
    newton = Newton(scheme, 4)
    for index in order[: scheme.threshold]:
        newton.add(index, shares[index])
    for index in order[scheme.threshold :]:
        wrong = shares[index].copy()
        wrong[data.draw(st.integers(0, 3))] ^= np.uint64(1)
        assert not newton.add(index, wrong)
    assert np.array_equal(newton.secrets(), secrets)


def test_newton_has_no_answer_before_the_last_share() -> None:
    scheme = Scheme(holders=3, threshold=2)
    newton = Newton(scheme, 1)
    newton.add(2, rows([7])[0])
    with pytest.raises(ValueError, match="1 shares where 2 are needed"):
        newton.secrets()


def test_newton_refuses_a_holder_twice_and_one_that_does_not_exist() -> None:
    newton = Newton(Scheme(holders=3, threshold=2), 1)
    newton.add(2, rows([7])[0])
    with pytest.raises(ValueError, match="twice"):
        newton.add(2, rows([8])[0])
    for index in (-1, 3):
        with pytest.raises(ValueError, match="no holder"):
            newton.add(index, rows([8])[0])
    with pytest.raises(ValueError, match="shape"):
        newton.add(1, rows([8, 9])[0])


def test_newton_shows_no_shares_and_is_not_pickled() -> None:
    newton = Newton(Scheme(holders=3, threshold=2), 1)
    newton.add(1, rows([123456789])[0])
    assert "123456789" not in repr(newton)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(newton)


@given(schemes().filter(lambda scheme: scheme.threshold < scheme.holders), st.data())
def test_shares_that_contradict_each_other_open_nothing(scheme: Scheme, data: st.DataObject) -> None:
    _, shares = shared(scheme, 3)
    shares[data.draw(st.integers(0, scheme.holders - 1)), data.draw(st.integers(0, 2))] ^= np.uint64(1)
    with pytest.raises(InconsistentShares):
        scheme.reconstruct(range(scheme.holders), shares)


@pytest.mark.parametrize(
    ("indices", "reason"),
    [([0], "are needed"), ([0, 0], "twice"), ([0, 4], "no holder"), ([-1, 0], "no holder")],
)
def test_holders_too_few_doubled_or_unknown_are_refused(indices: list[int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Scheme(4, 2).reconstruct(indices, np.zeros((len(indices), 1), dtype=np.uint64))


@pytest.mark.parametrize(("holders", "threshold", "pack"), [(3, 4, 1), (3, 1, 1), (3, 2, 0), (3, 2, 2), (0, 0, 0)])
def test_a_scheme_that_hides_or_opens_nothing_is_refused(holders: int, threshold: int, pack: int) -> None:
    with pytest.raises(ValueError, match="threshold"):
        Scheme(holders, threshold, pack)


def test_randomness_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Scheme(4, 3).share(rows([1, 2])[0], rows([1, 2]))


def test_without_randomness_every_share_would_be_the_secret() -> None:
    shares = Scheme(4, 3).share(rows([42])[0], rows([0], [0]))
    assert shares.tolist() == [[42]] * 4
