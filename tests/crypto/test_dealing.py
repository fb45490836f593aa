"""Verifiable dealing: honest dealings open, and every way of dealing falsely is refused by name."""

import itertools
import pickle  # noqa: TID251 - to show that it does not work
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto import dealing, field, merkle, prng, robust, vectors
from coterie.crypto.dealing import BadShare, Commitment, Dealing, Terms, check, deal, share_size
from coterie.crypto.field import P, Vector

CONTEXT = b"federation, round, dealer, model"
OTHER_CONTEXT = b"federation, ROUND, dealer, model"
SEED = b"thirty-two secret random bytes.."
TERMS = Terms(holders=5, threshold=3, columns=7, dealer=1)
SECRETS = prng.stream(b"secrets", b"", 7)
SEEDED, EXPLICIT = 2, 4  # a holder of each kind under TERMS


@st.composite
def all_terms(draw: st.DrawFn) -> Terms:
    holders = draw(st.integers(2, 9))
    return Terms(
        holders, draw(st.integers(2, holders)), draw(st.integers(1, 5)), draw(st.integers(0, holders - 1))
    )


def refused(
    share: bytes,
    holder: int,
    commitment: Commitment,
    context: bytes = CONTEXT,
    terms: Terms = TERMS,
) -> BadShare:
    """The refusal of that share, which must come."""
    with pytest.raises(BadShare) as caught:
        check(context, terms, holder, commitment, share)
    return caught.value


def verdicts(dealt: Dealing, terms: Terms = TERMS) -> list[bool]:
    """For each holder, whether it accepts, or has no proof of why it does not."""

    def accepts(holder: int, share: bytes) -> bool:
        try:
            check(CONTEXT, terms, holder, dealt.commitment, share)
        except BadShare:
            return not refused(share, holder, dealt.commitment, terms=terms).provable
        return True

    return [accepts(holder, share) for holder, share in enumerate(dealt.shares)]


def falsified(
    monkeypatch: pytest.MonkeyPatch, change: Vector, terms: Terms = TERMS, secrets: Vector = SECRETS
) -> Dealing:
    """A dealing whose explicit shares have `change` added, committed to as they are."""

    def product(A: Vector, X: Vector) -> Vector:
        computed = vectors.matmul(A, X)
        return ((computed.astype(object) + change) % P).astype(np.uint64)

    with monkeypatch.context() as patch:
        patch.setattr(dealing, "matmul", product)
        return deal(CONTEXT, terms, secrets, SEED)


# Honest dealings


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
def test_sizes_are_exact_and_the_holders_after_the_dealer_get_seeds(terms: Terms) -> None:
    dealt = deal(CONTEXT, terms, prng.stream(b"secrets", b"", terms.columns), SEED)
    assert [len(share) for share in dealt.shares] == [share_size(terms, j) for j in range(terms.holders)]
    header = 1 + 32 + 32 * merkle.depth(terms.holders)
    followers = {(terms.dealer + i) % terms.holders for i in range(1, terms.threshold)}
    for holder in range(terms.holders):
        payload = 32 if holder in followers else 8 * (terms.columns + 2)
        assert share_size(terms, holder) == header + payload


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
    opened = robust.decode(range(TERMS.holders), sums, TERMS.threshold, TERMS.threshold + 1, SEED)
    assert opened is not None
    assert np.array_equal(opened.secret, expected)


def test_dealing_again_gives_the_same_bytes() -> None:
    first, again = deal(CONTEXT, TERMS, SECRETS, SEED), deal(CONTEXT, TERMS, SECRETS.copy(), SEED)
    assert (first.commitment, first.shares) == (again.commitment, again.shares)


def test_a_seed_used_twice_shares_no_randomness() -> None:
    others = [
        deal(OTHER_CONTEXT, TERMS, SECRETS, SEED),
        deal(CONTEXT, Terms(5, 3, 7, 2), SECRETS, SEED),
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
    same fingerprints: their whole view says nothing. Exact, for seeds that stand for random values."""
    secrets = prng.stream(b"secrets", b"", terms.columns)
    dealt = deal(CONTEXT, terms, secrets, SEED)
    colluders = data.draw(st.permutations(range(terms.holders)))[: terms.threshold - 1]
    values = [
        dealing._values(terms, share[:1], memoryview(share)[terms.header_bytes :]).tolist()
        for share in dealt.shares
    ]
    xs = range(1, terms.threshold + 1)
    dealt_polynomials = [
        field.interpolate(xs, [row[c] for row in values[: len(xs)]]) for c in range(len(values[0]))
    ]
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
        sum(r * p[i] for r, p in zip([*row, 1], [*other_polynomials[: terms.columns], blinding], strict=True))
        % P
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


# Shares changed on their way


@given(st.sampled_from(range(5)), st.data())
def test_a_bit_flipped_anywhere_is_refused_and_proves_nothing_against_the_dealer(
    holder: int, data: st.DataObject
) -> None:
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    share = bytearray(dealt.shares[holder])
    share[data.draw(st.integers(0, len(share) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert not refused(bytes(share), holder, dealt.commitment).provable


@pytest.mark.parametrize("holder", [SEEDED, EXPLICIT])
def test_a_share_cut_short_or_with_bytes_added_is_refused(holder: int) -> None:
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    share = dealt.shares[holder]
    for changed in (
        b"",
        share[:1],
        share[:40],
        share[: TERMS.header_bytes],
        share[:-1],
        share + b"\0",
        share * 9,
    ):
        assert not refused(changed, holder, dealt.commitment).provable


@given(st.binary(max_size=300), st.sampled_from(range(5)))
def test_no_bytes_crash_the_check(share: bytes, holder: int) -> None:
    assert not refused(share, holder, deal(CONTEXT, TERMS, SECRETS, SEED).commitment).provable


def test_a_share_meant_for_another_holder_is_refused() -> None:
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    for mine, other in itertools.permutations(range(TERMS.holders), 2):
        assert not refused(dealt.shares[other], mine, dealt.commitment).provable


def test_a_share_of_another_round_dealer_or_shape_is_refused() -> None:
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    for holder, share in enumerate(dealt.shares):
        assert not refused(share, holder, dealt.commitment, context=OTHER_CONTEXT).provable
        for terms in (Terms(5, 3, 7, 2), Terms(5, 2, 7, 1), Terms(5, 3, 6, 1), Terms(6, 3, 7, 1)):
            refused(share, holder, dealt.commitment, terms=terms)


def test_a_replayed_share_would_frame_its_dealer_if_leaves_did_not_name_the_context(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest_leaf = merkle.leaf
    monkeypatch.setattr(merkle, "leaf", lambda context, *parts: honest_leaf(*parts))  # the attack
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    assert refused(dealt.shares[EXPLICIT], EXPLICIT, dealt.commitment, context=OTHER_CONTEXT).provable


def test_a_commitment_copied_from_another_dealer_is_refused() -> None:
    copied, own = (deal(CONTEXT, TERMS, secrets, SEED) for secrets in (SECRETS, SECRETS[::-1].copy()))
    for holder in range(TERMS.holders):
        assert not refused(own.shares[holder], holder, copied.commitment).provable


# Dealers that deal falsely


@settings(max_examples=40)
@given(st.integers(0, 2), st.integers(0, 8), st.integers(1, P - 1))
def test_a_single_false_value_is_refused_by_its_holder_who_can_prove_it(
    row: int, column: int, by: int
) -> None:
    change = np.zeros((3, 9), dtype=object)  # holders 0, 1 and 4 have explicit shares under TERMS
    change[row, column] = by
    with pytest.MonkeyPatch.context() as monkeypatch:
        dealt = falsified(monkeypatch, change)
    victim = (0, 1, 4)[row]
    assert verdicts(dealt) == [holder != victim for holder in range(5)]


def test_a_sharing_of_too_high_degree_is_accepted_by_at_most_the_threshold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terms = Terms(holders=9, threshold=3, columns=7, dealer=0)
    vanishing = field.from_roots([0, 2, 3])  # at the secret and for the seeded holders: degree K
    change = np.array([[field.evaluate(vanishing, j + 1)] * 9 for j in (0, *range(3, 9))], dtype=object)
    dealt = falsified(monkeypatch, change, terms)
    assert verdicts(dealt, terms) == [holder in (1, 2) for holder in range(9)]


def test_a_challenge_that_the_dealer_foresees_lets_a_false_sharing_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    foreseen = b"a challenge without the root"
    first, second = (prng.stream(foreseen, b"fingerprint %d" % k, 7).tolist() for k in (1, 2))
    (a, b, c), (d, e, g) = first[:3], second[:3]
    change = np.zeros((3, 9), dtype=object)
    change[2, :3] = [b * g - c * e, c * d - a * g, a * e - b * d]  # orthogonal to both vectors
    assert verdicts(falsified(monkeypatch, change)) == [True, True, True, True, False]
    monkeypatch.setattr(dealing, "_challenge", lambda context, terms, root: foreseen)  # the attack
    dealt = falsified(monkeypatch, change)
    assert verdicts(dealt) == [True] * 5
    rows = np.stack([check(CONTEXT, TERMS, j, dealt.commitment, dealt.shares[j]) for j in range(5)])
    assert robust.decode(range(5), rows, 3, 5, SEED) is None


def test_one_fingerprint_alone_misses_a_change_orthogonal_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    foreseen = b"a challenge without the root"
    monkeypatch.setattr(dealing, "_challenge", lambda context, terms, root: foreseen)
    a, b = prng.stream(foreseen, b"fingerprint 1", 7).tolist()[:2]
    change = np.zeros((3, 9), dtype=object)
    change[2, :2] = [b, -a]
    dealt = falsified(monkeypatch, change)
    assert verdicts(dealt) == [True, True, True, True, False]
    both = dealing._row_fingerprints
    monkeypatch.setattr(dealing, "_row_fingerprints", lambda *arguments: [both(*arguments)[0][:1]])
    assert verdicts(dealt) == [True] * 5  # the attack


def recommitted(payloads: dict[int, tuple[bytes, bytes]], fingerprints: bytes | None = None) -> Dealing:
    """An honest dealing with some (kind, payload) replaced before the dealer commits."""
    honest = deal(CONTEXT, TERMS, SECRETS, SEED)
    start = TERMS.header_bytes
    parts = [payloads.get(j, (share[:1], share[start:])) for j, share in enumerate(honest.shares)]
    nonces = [share[1:33] for share in honest.shares]
    tree = merkle.Tree(
        [merkle.leaf(CONTEXT, nonce, *part) for nonce, part in zip(nonces, parts, strict=True)]
    )
    shares = tuple(kind + nonces[j] + tree.path(j) + payload for j, (kind, payload) in enumerate(parts))
    return Dealing(Commitment(tree.root, fingerprints or honest.commitment.fingerprints), shares)


@pytest.mark.parametrize(
    ("holder", "kind", "payload", "reason"),
    [
        (SEEDED, b"\x01", bytes(72), "wrong kind"),
        (SEEDED, b"\x02", bytes(32), "wrong kind"),
        (SEEDED, b"\x00", bytes(31), "31 bytes instead of 32"),
        (SEEDED, b"\x00", bytes(72), "72 bytes instead of 32"),
        (SEEDED, b"\x00", bytes(32), "does not lie on"),
        (EXPLICIT, b"\x00", bytes(32), "wrong kind"),
        (EXPLICIT, b"\x01", bytes(64), "64 bytes instead of 72"),
        (EXPLICIT, b"\x01", b"", "0 bytes instead of 72"),
        (EXPLICIT, b"\x01", bytes(64) + b"\xff" * 8, "prime"),
        (EXPLICIT, b"\x01", bytes(72), "does not lie on"),
    ],
)
def test_a_committed_share_that_is_malformed_is_refused_with_proof(
    holder: int, kind: bytes, payload: bytes, reason: str
) -> None:
    dealt = recommitted({holder: (kind, payload)})
    refusal = refused(dealt.shares[holder], holder, dealt.commitment)
    assert refusal.provable
    assert reason in refusal.reason


def test_a_value_beyond_the_prime_would_pass_the_fingerprints_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A residue below 2^32 - 1 has a second spelling, and additions expect the first."""

    def product(A: Vector, basis: Vector) -> Vector:
        row = A[2].astype(object)  # of holder 4; choose the first secret so that its value is 5
        basis[0, 0] = (5 - int((row[1:] * basis[1:, 0]).sum())) * field.inverse(row[0]) % P
        computed = vectors.matmul(A, basis)
        assert computed[2, 0] == 5
        computed[2, 0] = 5 + P
        return computed

    with monkeypatch.context() as patch:
        patch.setattr(dealing, "matmul", product)
        dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    refusal = refused(dealt.shares[EXPLICIT], EXPLICIT, dealt.commitment)
    assert refusal.provable
    assert "prime" in refusal.reason
    monkeypatch.setattr(dealing, "from_bytes", lambda data, count: np.frombuffer(data, np.uint64).copy())
    values = check(CONTEXT, TERMS, EXPLICIT, dealt.commitment, dealt.shares[EXPLICIT])  # the attack
    total = np.array([P - 1] * 7, dtype=np.uint64)
    vectors.add_into(total, values)
    assert total[0] != 4


@pytest.mark.parametrize(
    "change",
    [
        lambda fingerprints: fingerprints + bytes(8),
        lambda fingerprints: fingerprints + bytes(48),
        lambda fingerprints: fingerprints[:-8],
        lambda fingerprints: fingerprints[:-1],
        lambda fingerprints: fingerprints[:24],
        lambda fingerprints: b"",
        lambda fingerprints: b"\xff" * 8 + fingerprints[8:],
    ],
    ids=["long", "doubled", "short", "ragged", "one polynomial", "empty", "not canonical"],
)
def test_fingerprints_of_the_wrong_form_are_refused_with_proof(change: Callable[[bytes], bytes]) -> None:
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    commitment = Commitment(dealt.commitment.root, change(dealt.commitment.fingerprints))
    for holder, share in enumerate(dealt.shares):
        refusal = refused(share, holder, commitment)
        assert refusal.provable
        assert "fingerprints" in refusal.reason


@given(st.integers(0, 47), st.integers(0, 7))
def test_a_bit_flipped_in_the_fingerprints_is_refused_by_every_holder(position: int, bit: int) -> None:
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    fingerprints = bytearray(dealt.commitment.fingerprints)
    fingerprints[position] ^= 1 << bit
    commitment = Commitment(dealt.commitment.root, bytes(fingerprints))
    for holder, share in enumerate(dealt.shares):
        assert refused(share, holder, commitment).provable


@pytest.mark.parametrize("root", [b"", bytes(31), bytes(32), bytes(33), bytes(64)])
def test_a_root_that_no_path_leads_to_is_refused(root: bytes) -> None:
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    for holder, share in enumerate(dealt.shares):
        assert not refused(share, holder, Commitment(root, dealt.commitment.fingerprints)).provable


def test_an_oversize_share_is_refused_unread_even_if_committed_to() -> None:
    dealt = recommitted({SEEDED: (b"\x00", bytes(73))})
    assert not refused(dealt.shares[SEEDED], SEEDED, dealt.commitment).provable


# What the caller must not do, and what must not show


@pytest.mark.parametrize(
    ("holders", "threshold", "columns", "dealer"),
    [(3, 1, 1, 0), (3, 4, 1, 0), (1, 1, 1, 0), (3, 2, 0, 0), (3, 2, 1, 3), (3, 2, 1, -1)],
)
def test_terms_that_cannot_be_dealt_under_are_refused(
    holders: int, threshold: int, columns: int, dealer: int
) -> None:
    with pytest.raises(ValueError, match=r"threshold|nothing to deal|no holder"):
        Terms(holders, threshold, columns, dealer)


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
def test_arguments_of_the_wrong_form_are_refused(
    context: bytes, secrets: Vector, seed: bytes, reason: str
) -> None:
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


def test_a_refusal_shows_nothing_of_the_share() -> None:
    dealt = recommitted({EXPLICIT: (b"\x01", bytes(64) + b"\xfe" * 8)})
    refusal = refused(dealt.shares[EXPLICIT], EXPLICIT, dealt.commitment)
    assert str(0xFEFEFEFEFEFEFEFE) not in str(refusal)
    assert "fe" * 8 not in str(refusal)
