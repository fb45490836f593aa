"""Robust decoding: liars are named, the right answer is given or none at all."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto import prng, vectors
from coterie.crypto.field import P, Vector, evaluate, interpolate
from coterie.crypto.sharing import robust
from coterie.crypto.sharing.robust import decode, locate
from coterie.crypto.sharing.shamir import Placement, Scheme, Way

elements = st.sampled_from([0, 1, 2**32, P - 1]) | st.integers(0, P - 1)
nonzero = st.integers(1, P - 1)
SEED = b"drawn after the shares were fixed"


@st.composite
def codewords(draw: st.DrawFn) -> tuple[list[int], list[int], list[int]]:
    """Coefficients, points and values of a polynomial."""
    threshold = draw(st.integers(1, 6))
    count = draw(st.integers(threshold, 14))
    coefficients = draw(st.lists(elements, min_size=threshold, max_size=threshold))
    xs = draw(st.lists(st.integers(1, 40), min_size=count, max_size=count, unique=True))
    return coefficients, xs, [evaluate(coefficients, x) for x in xs]


def disturbed(draw: st.DataObject, ys: list[int], count: int) -> tuple[list[int], tuple[int, ...]]:
    """The values with `count` of them changed, and which."""
    wrong = draw.draw(st.sets(st.integers(0, len(ys) - 1), min_size=count, max_size=count))
    return [(y + draw.draw(nonzero)) % P if i in wrong else y for i, y in enumerate(ys)], tuple(sorted(wrong))


@given(codewords(), st.data())
def test_up_to_the_bound_every_liar_is_named(
    codeword: tuple[list[int], list[int], list[int]], data: st.DataObject
) -> None:
    coefficients, xs, ys = codeword
    errors = data.draw(st.integers(0, (len(xs) - len(coefficients)) // 2))
    received, wrong = disturbed(data, ys, errors)
    found = locate(xs, received, len(coefficients), len(xs) - errors)
    assert found == robust.Located(tuple(coefficients), wrong)
    assert found.value == coefficients[0]


@given(codewords(), st.data())
def test_too_few_agreeing_points_give_no_answer(
    codeword: tuple[list[int], list[int], list[int]], data: st.DataObject
) -> None:
    coefficients, xs, ys = codeword
    errors = data.draw(st.integers(0, (len(xs) - len(coefficients)) // 2))
    received, _ = disturbed(data, ys, errors)
    assert locate(xs, received, len(coefficients), len(xs) - errors + 1) is None


def closest(xs: list[int], ys: list[int], threshold: int) -> list[int]:
    """By trying every `threshold` points: how many points lie on the best polynomials, largest first."""
    polynomials = {
        tuple(interpolate([xs[i] for i in some], [ys[i] for i in some]))
        for some in itertools.combinations(range(len(xs)), threshold)
    }
    counts = (sum(evaluate(p, x) == y for x, y in zip(xs, ys, strict=True)) for p in polynomials)
    return sorted(counts, reverse=True)


@settings(max_examples=60)
@given(st.integers(1, 3), st.integers(0, 4), st.data())
def test_an_answer_is_never_a_guess(threshold: int, spare: int, data: st.DataObject) -> None:
    """Over few small values, where near misses abound: an answer is closest, and nothing else is as close."""
    xs = list(range(1, threshold + spare + 1))
    ys = data.draw(st.lists(st.integers(0, 2), min_size=len(xs), max_size=len(xs)))
    agree = data.draw(st.integers(threshold, len(xs)))
    found = locate(xs, ys, threshold, agree)
    best, *others = closest(xs, ys, threshold)
    if found is None:
        assert best < agree or 2 * best < len(xs) + threshold
    else:
        assert best == len(xs) - len(found.liars) >= agree
        assert not others or others[0] < best


def test_liars_in_league_win_only_where_the_bound_is_lowered() -> None:
    """Seven holders, K = 3, f = 2: two liars choose values on one polynomial with two honest ones."""
    xs, honest = list(range(1, 8)), [5, 6, 7]
    ys = [evaluate(honest, x) for x in xs]
    false = interpolate([1, 2, 6], [ys[0], ys[1], 999])
    ys[5], ys[6] = evaluate(false, 6), evaluate(false, 7)
    right = locate(xs, ys, 3, 5)
    assert right is not None
    assert (right.value, right.liars) == (5, (5, 6))
    few = [0, 1, 5, 6]  # what an aggregator would get that waits for K + 1 answers only
    weak = locate([xs[i] for i in few], [ys[i] for i in few], 3, 4)
    assert weak is not None
    assert weak.value == false[0] != 5
    assert locate([xs[i] for i in few], [ys[i] for i in few], 3, 5) is None


def test_a_value_that_is_not_canonical_counts_as_a_lie() -> None:
    ys = [7, 7 + P, 7, 7, -1]
    found = locate([1, 2, 3, 4, 5], ys, 1, 3)
    assert found is not None
    assert (found.value, found.liars) == (7, (1, 4))


@pytest.mark.parametrize("xs", [[0, 1, 2], [1, 2, 2], [1, 2, P + 1], [1, 2, P]])
def test_a_point_at_the_secret_or_taken_twice_is_refused(xs: list[int]) -> None:
    with pytest.raises(ValueError, match="none of them is 0"):
        locate(xs, [1, 1, 1], 1, 2)


@pytest.mark.parametrize(("threshold", "agree"), [(3, 2), (0, 2), (0, 0)])
def test_an_agreement_that_says_nothing_is_refused(threshold: int, agree: int) -> None:
    with pytest.raises(ValueError, match="say nothing"):
        locate([1, 2, 3], [1, 1, 1], threshold, agree)


def test_points_and_values_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="3 points but 2 values"):
        locate([1, 2, 3], [1, 1], 1, 2)


def sharing(holders: int, threshold: int, columns: int) -> tuple[Vector, Vector]:
    scheme = Scheme(holders, threshold)
    secrets = prng.stream(b"s", b"secrets", columns)
    randomness = prng.stream(b"s", b"randomness", (threshold - 1) * columns).reshape(-1, columns)
    return secrets, scheme.share(secrets, randomness)


@settings(max_examples=40)
@given(st.integers(2, 10), st.data())
def test_a_batch_opens_exactly_and_names_whoever_lied_in_a_single_element(holders: int, data: st.DataObject) -> None:
    f = (holders - 1) // 3
    threshold = max(2, holders - 2 * f)
    secrets, rows = sharing(holders, threshold, 9)
    answered = data.draw(st.permutations(range(holders)))[: data.draw(st.integers(threshold + f, holders))]
    errors = min(f, len(answered) - threshold - f)
    liars = data.draw(st.sets(st.sampled_from(answered), min_size=errors, max_size=errors))
    for liar in liars:
        column = data.draw(st.integers(0, 8))
        rows[liar, column] = (int(rows[liar, column]) + data.draw(nonzero)) % P
    found = decode(Scheme(holders, threshold), answered, rows[answered], threshold + f, SEED)
    assert found is not None
    assert found.liars == tuple(sorted(liars))
    assert np.array_equal(found.secret, secrets)


@pytest.mark.parametrize("liars", [2, 3, 4, 7])
def test_a_batch_with_more_liars_than_the_bound_is_not_opened(liars: int) -> None:
    _, rows = sharing(7, 3, 5)
    rows[:liars] = prng.stream(b"lies", b"", liars * 5).reshape(liars, 5)
    assert decode(Scheme(7, 3), range(7), rows, 6, SEED) is None


def test_different_liars_in_different_columns_are_all_found_at_once() -> None:
    secrets, rows = sharing(10, 4, 6)
    for column, liar in enumerate((9, 0, 4)):
        rows[liar, column] ^= np.uint64(1)
    found = decode(Scheme(10, 4), range(10), rows, 7, SEED)
    assert found is not None
    assert found.liars == (0, 4, 9)
    assert np.array_equal(found.secret, secrets)


def test_a_liar_who_knows_the_challenge_beforehand_goes_unnoticed() -> None:
    """Which is why the seed is drawn after the shares are fixed."""
    secrets, rows = sharing(4, 2, 5)
    first, second = (prng.stream(SEED, label, 5).tolist() for label in (b"fingerprint 1", b"fingerprint 2"))
    # A change orthogonal to both challenges: the cross product of their first three entries.
    (a, b, c), (d, e, g) = first[:3], second[:3]
    change = np.array([b * g - c * e, c * d - a * g, a * e - b * d, 0, 0], dtype=object) % P
    rows[0] = (rows[0].astype(object) + change) % P
    attacked = decode(Scheme(4, 2), range(4), rows, 3, SEED)
    assert attacked is not None
    assert attacked.liars == ()
    assert not np.array_equal(attacked.secret, secrets)
    found = decode(Scheme(4, 2), range(4), rows, 3, b"a seed that was not known")
    assert found is not None
    assert found.liars == (0,)
    assert np.array_equal(found.secret, secrets)


def test_a_product_that_went_wrong_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    _, rows = sharing(4, 2, 5)
    monkeypatch.setattr(robust, "matmul", lambda A, X: vectors.matmul(A, X) ^ np.uint64(1))
    with pytest.raises(ArithmeticError):
        decode(Scheme(4, 2), range(4), rows, 3, SEED)


def test_holders_doubled_negative_or_not_as_many_as_rows_are_refused() -> None:
    _, rows = sharing(4, 2, 5)
    for indices in ([0, 1, 2, 2], [-1, 0, 1, 2], [0, 1, 2, 4], [0, 1, 2]):
        with pytest.raises(ValueError, match=r"holder|shape"):
            decode(Scheme(4, 2), indices, rows, 3, SEED)


def test_an_opened_batch_does_not_print_its_values() -> None:
    _, rows = sharing(4, 2, 5)
    assert repr(decode(Scheme(4, 2), range(4), rows, 3, SEED)) == "Decoded(secrets=<5 elements>, liars=())"


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    """On the line and on cosets, packed and not."""
    placement = draw(st.sampled_from(Placement))
    threshold = draw(st.integers(2, 12))
    packs = range(1, threshold) if placement is Placement.LINE else [1 << b for b in range(4) if 1 << b < threshold]
    return Scheme(draw(st.integers(threshold, 24)), threshold, draw(st.sampled_from(list(packs))), placement)


@settings(max_examples=60)
@given(schemes(), st.data())
def test_wherever_holders_and_secrets_sit_liars_are_named_and_the_secrets_opened(
    scheme: Scheme, data: st.DataObject
) -> None:
    columns = 9
    secrets = prng.stream(b"s", b"secrets", scheme.pack * columns).reshape(scheme.pack, columns)
    spare = scheme.threshold - scheme.pack
    rows = scheme.share(secrets, prng.stream(b"s", b"randomness", spare * columns).reshape(spare, columns))
    count = data.draw(st.integers(scheme.threshold, scheme.holders))
    answered = data.draw(st.permutations(range(scheme.holders)))[:count]
    errors = data.draw(st.integers(0, (count - scheme.threshold) // 2))
    liars = data.draw(st.sets(st.sampled_from(answered), min_size=errors, max_size=errors))
    for liar in liars:
        column = data.draw(st.integers(0, columns - 1))
        rows[liar, column] = (int(rows[liar, column]) + data.draw(nonzero)) % P
    found = decode(scheme, answered, rows[answered], count - errors, SEED)
    assert found is not None
    assert found.liars == tuple(sorted(liars))
    assert np.array_equal(found.secrets, secrets)


@pytest.mark.parametrize(("threshold", "pack"), [(40, 1), (40, 32)])
def test_a_large_committee_opens_although_some_lie_by_either_way(threshold: int, pack: int) -> None:
    scheme = Scheme.for_committee(64, threshold, pack)
    assert scheme.opening_way(threshold, 2000) is (Way.NTT if pack > 1 else Way.LAGRANGE)
    secrets = prng.stream(b"s", b"secrets", pack * 2000).reshape(pack, 2000)
    randomness = prng.stream(b"s", b"randomness", (threshold - pack) * 2000).reshape(-1, 2000)
    rows = scheme.share(secrets, randomness)
    liars = (0, 7, 33, 63)
    for liar in liars:
        rows[liar, 31 * liar] ^= np.uint64(1)
    found = decode(scheme, range(64), rows, 60, SEED)
    assert found is not None
    assert found.liars == liars
    assert np.array_equal(found.secrets, secrets)


def test_more_liars_than_the_bound_are_not_opened_on_cosets_either() -> None:
    scheme = Scheme.for_committee(16, 8)
    assert scheme.placement is Placement.COSETS
    rows = prng.stream(b"lies", b"", 16 * 3).reshape(16, 3)
    assert decode(scheme, range(16), rows, 12, SEED) is None


def test_only_an_unpacked_batch_has_the_one_secret_of_a_column() -> None:
    scheme = Scheme(6, 4, 2)
    rows = scheme.share(prng.stream(b"s", b"", 10).reshape(2, 5), prng.stream(b"r", b"", 10).reshape(2, 5))
    found = decode(scheme, range(6), rows, 5, SEED)
    assert found is not None
    with pytest.raises(ValueError, match="2 secrets in each column"):
        _ = found.secret
