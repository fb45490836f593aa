"""Sharing on cosets: three ways of reconstruction, one result; known answers; a second opinion in plain integers.

The files in tests/vectors/sharing were made by the few lines of plain Python that `lagrange_at` is part of, not by
this library.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto import prng
from coterie.crypto.field import P, Vector
from coterie.crypto.sharing import shamir
from coterie.crypto.sharing.shamir import InconsistentShares, Newton, Placement, Scheme, Way

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "sharing"
ANSWERS = sorted(VECTORS.glob("answer-*.json"))
FAULTS = sorted(VECTORS.glob("fault-*.json"))


@st.composite
def schemes(draw: st.DrawFn, largest: int = 40) -> Scheme:
    """Schemes on cosets, of any size."""
    threshold = draw(st.integers(2, largest))
    packs = [1 << bits for bits in range(6) if 1 << bits < threshold]
    return Scheme(draw(st.integers(threshold, largest)), threshold, draw(st.sampled_from(packs)), Placement.COSETS)


def shared(scheme: Scheme, columns: int) -> tuple[Vector, Vector, Vector]:
    """Pseudorandom secrets and randomness, and the shares of them."""
    secrets = prng.stream(b"seed", b"secrets", scheme.pack * columns).reshape(scheme.pack, columns)
    spare = scheme.threshold - scheme.pack
    randomness = prng.stream(b"seed", b"randomness", spare * columns).reshape(spare, columns)
    return secrets, randomness, scheme.share(secrets, randomness)


def lagrange_at(target: int, xs: list[int], ys: list[int]) -> int:
    """The textbook formula in integers, with nothing of this library but the prime."""
    total = 0
    for i, x in enumerate(xs):
        above = below = 1
        for j, other in enumerate(xs):
            if j != i:
                above = above * (target - other) % P
                below = below * (x - other) % P
        total += ys[i] * above * pow(below, -1, P)
    return total % P


def scheme_of(case: dict[str, Any]) -> Scheme:
    return Scheme(case["holders"], case["threshold"], case["pack"], Placement(case["placement"]))


def rows_of(values: list[list[int]]) -> Vector:
    return np.array(values, dtype=np.uint64)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_known_answers_are_shared_and_opened(path: Path) -> None:
    case = json.loads(path.read_text())
    scheme = scheme_of(case)
    shares = scheme.share(rows_of(case["secrets"]), rows_of(case["randomness"]))
    assert shares.tolist() == case["shares"]
    assert scheme.reconstruct(range(scheme.holders), shares).tolist() == case["secrets"]


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_a_file_with_one_fault_raises_the_error_that_it_names(path: Path, way: Way) -> None:
    case = json.loads(path.read_text())
    error = {"InconsistentShares": InconsistentShares, "ValueError": ValueError}[case["error"]]
    with pytest.raises(error, match=case["reason"]) as raised:
        scheme_of(case).reconstruct(case["indices"], rows_of(case["rows"]), way)
    assert type(raised.value) is error


def test_there_are_vectors_of_both_kinds() -> None:
    assert len(ANSWERS) >= 3
    assert len(FAULTS) >= 5


@given(schemes(), st.integers(1, 40), st.data())
def test_all_ways_open_the_same_secrets_whoever_is_missing(scheme: Scheme, columns: int, data: st.DataObject) -> None:
    secrets, _, shares = shared(scheme, columns)
    count = data.draw(st.integers(scheme.threshold, scheme.holders))
    indices = data.draw(st.permutations(range(scheme.holders)))[:count]
    for way in (None, *Way):
        assert np.array_equal(scheme.reconstruct(indices, shares[indices], way), secrets), way


@given(schemes(), st.integers(1, 70))
def test_transform_and_matrix_make_the_same_shares(scheme: Scheme, columns: int) -> None:
    secrets, randomness, shares = shared(scheme, columns)
    for way in (Way.LAGRANGE, Way.NTT):
        assert np.array_equal(scheme.share(secrets, randomness, way), shares), way


@given(schemes(largest=12), st.data())
def test_plain_integers_open_the_same_secrets(scheme: Scheme, data: st.DataObject) -> None:
    secrets, _, shares = shared(scheme, 1)
    some = data.draw(st.permutations(range(scheme.holders)))[: scheme.threshold]
    xs, ys = [scheme.points[j] for j in some], [int(shares[j, 0]) for j in some]
    assert [lagrange_at(z, xs, ys) for z in scheme.secret_points] == secrets[:, 0].tolist()


@given(schemes(largest=8))
def test_too_few_shares_on_cosets_fit_every_secret_equally_well(scheme: Scheme) -> None:
    """As on the line: the randomness reaches any K - l holders through an invertible matrix."""
    matrix = scheme.sharing_matrix()[:, scheme.pack :].tolist()
    for some in itertools.combinations(range(scheme.holders), scheme.threshold - scheme.pack):
        assert flint.nmod_mat([matrix[j] for j in some], P).det() != 0


@given(schemes().filter(lambda scheme: scheme.threshold < scheme.holders), st.data())
def test_one_wrong_word_is_noticed_by_every_way(scheme: Scheme, data: st.DataObject) -> None:
    _, _, shares = shared(scheme, 18)
    shares[data.draw(st.integers(0, scheme.holders - 1)), data.draw(st.integers(0, 17))] ^= np.uint64(1)
    for way in Way:
        with pytest.raises(InconsistentShares):
            scheme.reconstruct(range(scheme.holders), shares, way)


@given(schemes(), st.data())
def test_on_cosets_newton_takes_shares_in_any_order(scheme: Scheme, data: st.DataObject) -> None:
    secrets, _, shares = shared(scheme, 3)
    newton = Newton(scheme, 3)
    for index in data.draw(st.permutations(range(scheme.holders))):
        assert newton.add(index, shares[index])
    assert np.array_equal(newton.secrets(), secrets)


@pytest.mark.parametrize(("holders", "threshold", "pack"), [(200, 67, 1), (257, 180, 64), (256, 129, 32)])
def test_large_committees_open_what_they_shared(holders: int, threshold: int, pack: int) -> None:
    scheme = Scheme.for_committee(holders, threshold, pack)
    assert scheme.placement is Placement.COSETS
    secrets, _, shares = shared(scheme, 20)
    last = range(holders - threshold, holders)
    for way in Way:
        assert np.array_equal(scheme.reconstruct(last, shares[last.start :].copy(), way), secrets)


def test_the_size_of_the_committee_decides_the_placement() -> None:
    assert Scheme.for_committee(shamir.COSET_HOLDERS - 1, 12).placement is Placement.LINE
    assert Scheme.for_committee(shamir.COSET_HOLDERS, 12).placement is Placement.COSETS
    assert Scheme.for_committee(shamir.COSET_HOLDERS, 12, 3).placement is Placement.LINE
    assert Scheme.for_committee(20, 5).placement is Placement.LINE  # 20^4 is a small factor
    assert Scheme.for_committee(20, 7).placement is Placement.COSETS


@pytest.mark.parametrize(
    ("holders", "threshold", "columns", "sharing", "opening"),
    [
        (16, 4, 10_000, Way.LAGRANGE, Way.LAGRANGE),
        (32, 24, 1_000_000, Way.NTT, Way.LAGRANGE),
        (128, 64, 10_000, Way.NTT, Way.NTT),
        (64, 58, 1_000_000, Way.NTT, Way.LAGRANGE),
        (128, 115, 1_000_000, Way.NTT, Way.NTT),  # opened in blocks
        (32, 8, 1_000_000, Way.LAGRANGE, Way.LAGRANGE),
        (32, 8, 10, Way.NTT, Way.NTT),  # a matrix for ten columns is not worth making
        (1024, 256, 1_000_000, Way.NTT, Way.NTT),
    ],
)
def test_sizes_decide_the_way(holders: int, threshold: int, columns: int, sharing: Way, opening: Way) -> None:
    scheme = Scheme(holders, threshold, 1, Placement.COSETS)
    assert scheme.sharing_way(columns) is sharing
    assert scheme.opening_way(holders, columns) is opening


def test_as_many_shares_as_are_needed_are_opened_by_matrix() -> None:
    """One row of the matrix, and nothing to compare: no transform is as fast."""
    assert Scheme(1024, 512, 1, Placement.COSETS).opening_way(512, 100_000) is Way.LAGRANGE


def test_sharing_knows_no_way_of_newtons_and_no_transform_on_the_line() -> None:
    secrets, randomness = np.zeros((1, 3), dtype=np.uint64), np.zeros((4, 3), dtype=np.uint64)
    with pytest.raises(ValueError, match="Newton"):
        Scheme(9, 5).share(secrets, randomness, Way.NEWTON)
    with pytest.raises(ValueError, match="no transform"):
        Scheme(9, 5).share(secrets, randomness, Way.NTT)


def test_the_ways_on_the_line_agree_too_and_have_no_transform() -> None:
    scheme = Scheme(9, 5, 3)
    secrets, _, shares = shared(scheme, 4)
    for way in (None, Way.LAGRANGE, Way.NEWTON):
        assert np.array_equal(scheme.reconstruct(range(9), shares, way), secrets)
    with pytest.raises(ValueError, match="no transform"):
        scheme.reconstruct(range(9), shares, Way.NTT)


def test_holders_and_secrets_never_meet() -> None:
    scheme = Scheme(1000, 600, 512, Placement.COSETS)
    assert not {0, *scheme.secret_points} & set(scheme.points)
    assert len(set(scheme.points)) == 1000


@pytest.mark.parametrize("pack", [3, 6, 7])
def test_on_cosets_only_powers_of_two_are_packed(pack: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Scheme(20, 10, pack, Placement.COSETS)


def test_a_committee_larger_than_any_transform_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 65536"):
        Scheme(2**16 + 1, 10, 1, Placement.COSETS)
