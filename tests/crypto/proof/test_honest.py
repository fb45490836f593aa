"""Honest dealings: proved whatever their shape, opened by any K holders, and telling no more than the sum would."""

import hashlib
import itertools
import json
import pickle  # noqa: TID251 - to show that it does not work
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import CONTEXT, EXAMPLES, SEED, SMALL, TERMS, columns_of, vector_of, verdict, verdicts

from coterie.crypto import vectors
from coterie.crypto.field import P, from_bytes, interpolate, lagrange_matrix
from coterie.crypto.proof import checks, transcript
from coterie.crypto.proof.checks import BadDealing, check_public, check_share
from coterie.crypto.proof.commitment import Commitment, parts_of, share_size
from coterie.crypto.proof.extension import multiply
from coterie.crypto.proof.functionals import Functionals, gadget, lagrange_weights
from coterie.crypto.proof.prover import Proved, Unprovable, prove
from coterie.crypto.proof.terms import MAX_HOLDERS, Terms
from coterie.crypto.proof.transcript import Transcript
from coterie.crypto.sharing.dealing import BadShare

VECTORS = Path(__file__).parents[2] / "vectors" / "proof"


@st.composite
def cases(draw: st.DrawFn) -> tuple[Terms, int, int, float]:
    """Terms of any shape, a capped count and examples that fit, and how long the update is."""
    holders = draw(st.integers(3, 9))
    reference = draw(st.sampled_from([1, 7, 512, 65_536]))
    terms = Terms(
        holders=holders,
        threshold=draw(st.integers(2, holders)),
        dealer=draw(st.integers(0, holders - 1)),
        update_columns=draw(st.sampled_from([0, 1, 2, 255, 256, 257, 300])),
        wide_sums=draw(st.integers(2, 6)),
        reference=reference,
    )
    capped = draw(st.integers(1, reference))
    return terms, capped, draw(st.integers(capped, 10**6)), draw(st.floats(0, 0.99))


@settings(max_examples=25)
@given(cases())
def test_every_holder_accepts_an_honest_dealing_and_any_threshold_many_open_it(
    case: tuple[Terms, int, int, float],
) -> None:
    terms, capped, examples, norm = case
    vector = vector_of(terms, capped=capped, examples=examples, norm=norm * capped / EXAMPLES)
    proved = prove(CONTEXT, terms, vector, capped, examples, SEED)
    check_public(CONTEXT, terms, proved.commitment)
    assert [len(share) for share in proved.shares] == [share_size(terms, one) for one in range(terms.holders)]
    rows = np.stack([check_share(CONTEXT, terms, j, proved.commitment, one) for j, one in enumerate(proved.shares)])
    for some in itertools.islice(itertools.combinations(range(terms.holders), terms.threshold), 10):
        matrix = lagrange_matrix([j + 1 for j in some], [0])
        assert np.array_equal(vectors.matmul(matrix, rows[list(some)])[0], vector)


@pytest.mark.parametrize("norm", [0.0, 0.5, 0.99, 1.0])
def test_an_update_within_its_bound_is_proved(norm: float) -> None:
    proved = prove(CONTEXT, TERMS, vector_of(TERMS, norm=norm), EXAMPLES, EXAMPLES, SEED)
    assert verdicts(TERMS, proved) == {"accepted"}


def test_dealing_again_gives_the_same_bytes_and_another_seed_other_ones() -> None:
    first, again = (prove(CONTEXT, TERMS, vector_of(TERMS), EXAMPLES, EXAMPLES, SEED) for _ in range(2))
    assert (first.commitment, first.shares) == (again.commitment, again.shares)
    other = prove(CONTEXT, TERMS, vector_of(TERMS), EXAMPLES, EXAMPLES, SEED[::-1])
    assert other.commitment.id != first.commitment.id


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"holders": MAX_HOLDERS + 1}, "sound for up to"),
        ({"update_columns": 2**24 + 1}, "can be proved"),
        ({"wide_sums": 1}, "first two wide sums"),
        ({"reference": 0}, "full weight"),
        ({"reference": 2**16 + 1}, "full weight"),
        ({"threshold": 8}, "threshold"),
        ({"seeded": (2, 3)}, "dealer"),
    ],
)
def test_terms_under_which_nothing_can_be_proved_are_refused(changed: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(TERMS, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(("capped", "examples"), [(0, 5), (513, 600), (300, 299)])
def test_counts_of_which_the_statement_does_not_hold_are_refused_by_the_dealer_itself(
    capped: int, examples: int
) -> None:
    with pytest.raises(Unprovable, match="capped count"):
        prove(CONTEXT, TERMS, vector_of(TERMS), capped, examples, SEED)


def test_arguments_of_another_form_are_refused() -> None:
    vector = vector_of(TERMS)
    with pytest.raises(ValueError, match="32 bytes|bytes"):
        prove(CONTEXT[1:], TERMS, vector, EXAMPLES, EXAMPLES, SEED)
    with pytest.raises(ValueError, match="bytes"):
        prove(CONTEXT, TERMS, vector, EXAMPLES, EXAMPLES, SEED[1:])
    with pytest.raises(ValueError, match="shape"):
        prove(CONTEXT, TERMS, vector[1:], EXAMPLES, EXAMPLES, SEED)
    vector[0] = np.uint64(P)
    with pytest.raises(ValueError, match="prime"):
        prove(CONTEXT, TERMS, vector, EXAMPLES, EXAMPLES, SEED)
    with pytest.raises(ValueError, match="context"):
        check_public(b"", TERMS, Commitment((b"", b"", b""), b""))


@given(st.tuples(*[st.binary(max_size=40)] * 3), st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_make_a_check_raise_anything_else(
    trees: tuple[bytes, bytes, bytes], data: bytes, share: bytes
) -> None:
    with pytest.raises(BadDealing):
        check_public(CONTEXT, SMALL, Commitment(trees, data))
    with pytest.raises(BadShare):
        check_share(CONTEXT, SMALL, 0, Commitment(trees, data), share)


# What K - 1 holders and the public learn


def test_what_is_published_follows_from_too_few_shares_and_values_that_are_random_or_known() -> None:
    """Each published polynomial is fixed by K - 1 holders' values and its value at 0. Of these, V at 0 is public; the
    columns at r are uniform, for each has two random rows, with weights that are independent over F_p; and the
    quotient at r follows from them. So a simulator that has the K - 1 shares makes the same message.
    """
    proved = prove(CONTEXT, TERMS, vector_of(TERMS), EXAMPLES, EXAMPLES, SEED)
    roots = list(proved.commitment.roots)
    functionals = Functionals(Transcript(CONTEXT, TERMS), TERMS, roots)
    published = from_bytes(proved.commitment.polynomials, len(proved.commitment.polynomials) // 8).reshape(-1, 3)
    for coalition in ([3, 4], [0, 6], [3, 1]):
        stages = [checks._values(TERMS, one, parts_of(TERMS, one, proved.shares[one])) for one in coalition]
        values = [functionals.of_share(one) for one in stages]
        xs = [0, *(one + 1 for one in coalition)]
        for place, polynomial in enumerate(published[:-2]):
            found = interpolate(xs, [int(polynomial[0]), *(own[place] for own in values)])
            assert found == [int(one) for one in polynomial]
    at_zero = [int(one) for one in published[:-2, 0]]
    elements = list(zip(at_zero[0::2], at_zero[1::2], strict=True))
    assert elements[0] == tuple(-part % P for part in functionals.constant)
    alpha = Transcript(CONTEXT, TERMS).alpha(roots[1])
    assert multiply(functionals.vanishing(), elements[-1]) == gadget(TERMS, alpha, elements[1:-1])
    first, second = (tuple(int(part) for part in functionals._at_point[:, row]) for row in (64, 65))
    assert (first[0] * second[1] - first[1] * second[0]) % P != 0


def test_a_proved_dealing_shows_no_share_and_is_not_pickled() -> None:
    proved = prove(CONTEXT, SMALL, vector_of(SMALL, columns_of([1] * 10)), EXAMPLES, EXAMPLES, SEED)
    assert not any(repr(share)[2:-1] in repr(proved) for share in proved.shares)
    with pytest.raises(TypeError, match="secrets"):
        pickle.dumps(proved)


# Challenges


def test_a_challenge_is_never_in_the_smaller_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """There r could be the place of a row, and a challenge could be guessed with a chance of 2^-64."""
    drawn = iter([(5, 0), (6, 0), (7, 8)])
    monkeypatch.setattr(transcript, "stream", lambda *_: np.array(next(drawn), dtype=np.uint64))
    assert Transcript(CONTEXT, TERMS).point(bytes(32)) == (7, 8)


def test_all_challenges_differ_and_follow_from_context_terms_and_root() -> None:
    made = [Transcript(CONTEXT, TERMS), Transcript(CONTEXT[::-1], TERMS), Transcript(CONTEXT, replace(TERMS, dealer=0))]
    roots = (bytes(32), b"r" * 32)
    found = [
        challenge
        for one in made
        for root in roots
        for challenge in (one.alpha(root), one.mu(root), one.point(root), one.fingerprint_seed(root))
    ]
    assert len(set(found)) == len(found) == 24


# Known answers


KNOWN = json.loads((VECTORS / "answer.json").read_text())
KNOWN_TERMS = Terms(**{**KNOWN["terms"], "seeded": tuple(KNOWN["terms"]["seeded"])})
KNOWN_CONTEXT = bytes.fromhex(KNOWN["context"])


def known() -> Proved:
    vector = np.array(KNOWN["vector"], dtype=np.uint64)
    seed = bytes.fromhex(KNOWN["seed"])
    return prove(KNOWN_CONTEXT, KNOWN_TERMS, vector, KNOWN["capped"], KNOWN["examples"], seed)


def test_a_known_dealing_is_made_again_byte_for_byte() -> None:
    proved = known()
    assert [tree.hex() for tree in proved.commitment.trees] == KNOWN["trees"]
    assert proved.commitment.polynomials.hex() == KNOWN["polynomials"]
    assert proved.commitment.id.hex() == KNOWN["id"]
    assert [hashlib.sha256(share).hexdigest() for share in proved.shares] == KNOWN["shares_sha256"]


def test_a_known_dealing_with_a_byte_changed_is_refused() -> None:
    proved = known()
    trees, polynomials, share = proved.commitment.trees, proved.commitment.polynomials, proved.shares[0]

    def is_refused(trees: tuple[bytes, ...], polynomials: bytes, share: bytes) -> bool:
        commitment = Commitment((trees[0], trees[1], trees[2]), polynomials)
        return verdict(KNOWN_TERMS, Proved(commitment, (share,)), 0, KNOWN_CONTEXT) != "accepted"

    def flipped(data: bytes, place: int) -> bytes:
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    assert not is_refused(trees, polynomials, share)
    for place in range(0, len(polynomials), len(polynomials) // 10):
        assert is_refused(trees, flipped(polynomials, place), share)
    for place in range(0, len(share), len(share) // 10):
        assert is_refused(trees, polynomials, flipped(share, place))
    for stage in range(3):
        assert is_refused((*trees[:stage], flipped(trees[stage], 7), *trees[stage + 1 :]), polynomials, share)


@pytest.mark.soak
@settings(max_examples=5_000)
@given(cases())
def test_honest_dealings_of_any_shape_are_accepted(case: tuple[Terms, int, int, float]) -> None:
    terms, capped, examples, norm = case
    vector = vector_of(terms, capped=capped, examples=examples, norm=norm * capped / EXAMPLES)
    assert verdicts(terms, prove(CONTEXT, terms, vector, capped, examples, SEED)) == {"accepted"}


@pytest.mark.parametrize("points", [range(1, 67), range(67, 524), range(3, 4)], ids=len)
def test_weights_of_lagrange_take_a_polynomials_values_to_its_value_in_the_extension(points: range) -> None:
    at = (1234567890123456789, 987654321)
    weights = lagrange_weights(points, at)
    power: tuple[int, int] = (1, 0)
    for degree in range(min(len(points), 5)):
        sums = [sum(int(w) * pow(x, degree, P) for w, x in zip(row, points, strict=True)) % P for row in weights]
        assert tuple(sums) == power
        power = multiply(power, at)
