"""Honest dealings: everybody accepts them, any K holders open them, and fewer learn nothing."""

import itertools
import pickle  # noqa: TID251 - to show that it does not work

import numpy as np
import pytest
from dealings import CONTEXT, OTHER_CONTEXT, SECRETS, SEED, SEEDED, TERMS
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto import field, prng, vectors
from coterie.crypto.field import P, Vector
from coterie.crypto.sharing import dealing, merkle, robust
from coterie.crypto.sharing.dealing import Dealing, Terms, check, deal, share_size
from coterie.crypto.sharing.shamir import Scheme


@st.composite
def all_terms(draw: st.DrawFn) -> Terms:
    holders = draw(st.integers(2, 9))
    threshold, dealer = draw(st.integers(2, holders)), draw(st.integers(0, holders - 1))
    others = [holder for holder in range(holders) if holder != dealer]
    seeded = draw(st.just(()) | st.permutations(others).map(lambda some: tuple(sorted(some[: threshold - 1]))))
    return Terms(holders, threshold, draw(st.integers(1, 5)), dealer, seeded)


@settings(max_examples=60)
@given(all_terms())
def test_every_holder_accepts_an_honest_dealing_and_any_threshold_many_open_it(terms: Terms) -> None:
    secrets = prng.stream(b"secrets", b"", terms.columns)
    dealt = deal(CONTEXT, terms, secrets, SEED)
    rows = np.stack([check(CONTEXT, terms, j, dealt.commitment, s) for j, s in enumerate(dealt.shares)])
    for some in itertools.islice(itertools.combinations(range(terms.holders), terms.threshold), 40):
        matrix = field.lagrange_matrix([j + 1 for j in some], [0])
        assert np.array_equal(vectors.matmul(matrix, rows[list(some)])[0], secrets)


@given(all_terms())
def test_sizes_are_exact_and_the_chosen_holders_get_seeds(terms: Terms) -> None:
    dealt = deal(CONTEXT, terms, prng.stream(b"secrets", b"", terms.columns), SEED)
    assert [len(share) for share in dealt.shares] == [share_size(terms, j) for j in range(terms.holders)]
    header = 1 + 32 + 32 * merkle.depth(terms.holders)
    for holder in range(terms.holders):
        payload = 32 if holder in terms.seeded else 8 * (terms.columns + 2)
        assert share_size(terms, holder) == header + payload


@pytest.mark.parametrize(("dealer", "seeded"), [(0, (1, 2)), (1, (2, 3)), (3, (0, 4)), (4, (0, 1))])
def test_without_a_choice_the_holders_after_the_dealer_get_seeds(dealer: int, seeded: tuple[int, ...]) -> None:
    assert Terms(5, 3, 7, dealer).seeded == seeded
    assert Terms(5, 3, 7, dealer) == Terms(5, 3, 7, dealer, seeded)


def test_terms_are_encoded_differently_for_each_choice_and_none_begins_another() -> None:
    every = [
        Terms(holders, threshold, 1, dealer, seeded)
        for holders in range(2, 6)
        for threshold in range(2, holders + 1)
        for dealer in range(holders)
        for seeded in itertools.combinations(sorted({*range(holders)} - {dealer}), threshold - 1)
    ]
    encoded = [terms.encoded() for terms in every]
    assert not any(a.startswith(b) for a, b in itertools.permutations(encoded, 2))


def test_sums_of_shares_open_to_the_sum_of_the_secrets() -> None:
    contexts = [bytes([i]) * 32 for i in range(TERMS.holders)]
    sums = np.zeros((TERMS.holders, TERMS.columns), dtype=np.uint64)
    expected = np.zeros(TERMS.columns, dtype=np.uint64)
    for dealer, context in enumerate(contexts):
        terms = Terms(TERMS.holders, TERMS.threshold, TERMS.columns, dealer)
        secrets = prng.stream(context, b"secrets", TERMS.columns)
        vectors.add_into(expected, secrets)
        dealt = deal(context, terms, secrets, SEED)
        for holder, share in enumerate(dealt.shares):
            vectors.add_into(sums[holder], check(context, terms, holder, dealt.commitment, share))
    scheme = Scheme(TERMS.holders, TERMS.threshold)
    opened = robust.decode(scheme, range(TERMS.holders), sums, TERMS.threshold + 1, SEED)
    assert opened is not None
    assert np.array_equal(opened.secret, expected)


def test_dealing_again_gives_the_same_bytes() -> None:
    first, again = deal(CONTEXT, TERMS, SECRETS, SEED), deal(CONTEXT, TERMS, SECRETS.copy(), SEED)
    assert (first.commitment, first.shares) == (again.commitment, again.shares)


def test_a_seed_used_twice_shares_no_randomness() -> None:
    others = [
        deal(OTHER_CONTEXT, TERMS, SECRETS, SEED),
        deal(CONTEXT, Terms(5, 3, 7, 2), SECRETS, SEED),
        deal(CONTEXT, Terms(5, 3, 7, 1, (0, 2)), SECRETS, SEED),
        deal(CONTEXT, TERMS, SECRETS ^ np.uint64(1), SEED),
        deal(CONTEXT, TERMS, SECRETS, SEED[::-1]),
    ]
    first = deal(CONTEXT, TERMS, SECRETS, SEED)
    start = TERMS.header_bytes
    for other in others:
        shared = {share[1:33] for share in first.shares} & {share[1:33] for share in other.shares}
        assert not shared  # nonces
        assert first.shares[SEEDED][start:] not in {share[start:] for share in other.shares}


# What fewer holders than the threshold can learn


@settings(max_examples=30)
@given(all_terms(), st.data())
def test_too_few_holders_see_the_same_whatever_the_secrets_are(terms: Terms, data: st.DataObject) -> None:
    """For any other secrets there are polynomials that give K - 1 colluders the same values and the world the
    same fingerprints: their whole view says nothing. Exact, for seeds that stand for random values.
    """
    secrets = prng.stream(b"secrets", b"", terms.columns)
    dealt = deal(CONTEXT, terms, secrets, SEED)
    colluders = data.draw(st.permutations(range(terms.holders)))[: terms.threshold - 1]
    values = [
        dealing._values(terms, share[:1], memoryview(share)[terms.header_bytes :]).tolist() for share in dealt.shares
    ]
    xs = range(1, terms.threshold + 1)
    dealt_polynomials = [field.interpolate(xs, [row[c] for row in values[: len(xs)]]) for c in range(len(values[0]))]
    other_secrets = prng.stream(b"other secrets", b"", terms.columns).tolist()
    challenge = dealing._challenge(CONTEXT, terms, dealt.commitment.root)
    rho = [prng.stream(challenge, b"fingerprint %d" % k, terms.columns).tolist() for k in (1, 2)]

    vanishing = field.from_roots([j + 1 for j in colluders])  # zero for every colluder, not at the secret
    scale = field.inverse(vanishing[0])
    shifts = [(s - p[0]) * scale % P for s, p in zip(other_secrets, dealt_polynomials, strict=False)]
    shifts += [-sum(r * shift for r, shift in zip(row, shifts, strict=True)) % P for row in rho]
    other_polynomials = [
        [(a + shift * v) % P for a, v in zip(polynomial, vanishing, strict=True)]
        for polynomial, shift in zip(dealt_polynomials, shifts, strict=True)
    ]

    assert [polynomial[0] for polynomial in other_polynomials[: terms.columns]] == other_secrets
    for j in colluders:
        assert [field.evaluate(polynomial, j + 1) for polynomial in other_polynomials] == values[j]
    published = field.from_bytes(dealt.commitment.fingerprints, 2 * terms.threshold).tolist()
    combined = [
        sum(r * p[i] for r, p in zip([*row, 1], [*other_polynomials[: terms.columns], blinding], strict=True)) % P
        for row, blinding in zip(rho, other_polynomials[terms.columns :], strict=True)
        for i in range(terms.threshold)
    ]
    assert combined == published


def test_without_blinding_the_fingerprints_would_confirm_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    def guess_is_confirmed(dealt: Dealing) -> bool:
        challenge = dealing._challenge(CONTEXT, TERMS, dealt.commitment.root)
        published = field.from_bytes(dealt.commitment.fingerprints, 2 * TERMS.threshold).tolist()
        return vectors.fingerprint(challenge, SECRETS) == (published[0], published[TERMS.threshold])

    class Unblinded(prng.Stream):
        def __init__(self, seed: bytes, label: bytes) -> None:
            super().__init__(seed, label)
            self.silent = label == b"blinding"

        def fill(self, out: Vector) -> None:
            super().fill(out)
            if self.silent:
                out[:] = 0

    assert not guess_is_confirmed(deal(CONTEXT, TERMS, SECRETS, SEED))
    monkeypatch.setattr(dealing, "Stream", Unblinded)  # the attack
    assert guess_is_confirmed(deal(CONTEXT, TERMS, SECRETS, SEED))


# What the caller must not do, and what must not show


@pytest.mark.parametrize(
    ("holders", "threshold", "columns", "dealer"),
    [(3, 1, 1, 0), (3, 4, 1, 0), (1, 1, 1, 0), (3, 2, 0, 0), (3, 2, 1, 3), (3, 2, 1, -1)],
)
def test_terms_that_cannot_be_dealt_under_are_refused(holders: int, threshold: int, columns: int, dealer: int) -> None:
    with pytest.raises(ValueError, match=r"threshold|nothing to deal|no holder"):
        Terms(holders, threshold, columns, dealer)


@pytest.mark.parametrize(
    ("seeded", "reason"),
    [
        ((2,), "2 holders get seeds, not 1"),
        ((0, 2, 3), "2 holders get seeds, not 3"),
        ((2, 2), "not distinct and ascending"),
        ((3, 2), "not distinct and ascending"),
        ((0, 1), "the dealer is among"),
        ((1, 4), "the dealer is among"),
        ((-1, 2), "no holder -1"),
        ((2, 5), "no holder 5"),
    ],
)
def test_a_choice_of_seeded_holders_that_is_none_is_refused(seeded: tuple[int, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Terms(5, 3, 7, 1, seeded)


@pytest.mark.parametrize(
    ("context", "secrets", "seed", "reason"),
    [
        (b"short", SECRETS, SEED, "context"),
        (CONTEXT, SECRETS, b"short", "seed"),
        (CONTEXT, SECRETS[:-1], SEED, "shape"),
        (CONTEXT, SECRETS.astype(np.int64), SEED, "uint64"),
        (CONTEXT, np.full(7, P, dtype=np.uint64), SEED, "prime"),
    ],
)
def test_arguments_of_the_wrong_form_are_refused(context: bytes, secrets: Vector, seed: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        deal(context, TERMS, secrets, seed)


@pytest.mark.parametrize("holder", [-1, 5])
def test_a_holder_that_does_not_exist_is_refused(holder: int) -> None:
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    with pytest.raises(ValueError, match="no holder"):
        check(CONTEXT, TERMS, holder, dealt.commitment, dealt.shares[0])
    with pytest.raises(ValueError, match="no holder"):
        share_size(TERMS, holder)


def test_a_dealing_shows_no_shares_and_is_not_pickled() -> None:
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    assert "shares=<5 secrets>" in repr(dealt)
    assert all(repr(share)[2:-1] not in repr(dealt) for share in dealt.shares)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(dealt)
