"""False dealings: each is refused, and with proof where the dealer itself committed to the falsehood."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from dealings import (
    CONTEXT,
    EXPLICIT,
    OTHER_CONTEXT,
    SECRETS,
    SEED,
    SEEDED,
    TERMS,
    falsified,
    recommitted,
    refused,
    verdicts,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto import field, prng, vectors
from coterie.crypto.field import P, Vector
from coterie.crypto.sharing import dealing, merkle, robust
from coterie.crypto.sharing.dealing import Commitment, Terms, check, deal
from coterie.crypto.sharing.shamir import Scheme

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
        for terms in (
            Terms(5, 3, 7, 2),
            Terms(5, 2, 7, 1),
            Terms(5, 3, 6, 1),
            Terms(6, 3, 7, 1),
            Terms(5, 3, 7, 1, (0, 2)),
        ):
            refused(share, holder, dealt.commitment, terms=terms)


def test_a_replayed_share_would_frame_its_dealer_if_leaves_did_not_name_the_context(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest_leaf = merkle.leaf
    monkeypatch.setattr(merkle, "leaf", lambda context, *parts: honest_leaf(*parts))  # the attack
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    assert refused(dealt.shares[EXPLICIT], EXPLICIT, dealt.commitment, context=OTHER_CONTEXT).provable


def test_a_dealer_cannot_say_other_seeded_holders_afterwards() -> None:
    """The challenge hashes the choice: of the holders of one kind under both, none accepts."""
    dealt = deal(CONTEXT, TERMS, SECRETS, SEED)
    said = Terms(5, 3, 7, 1, (2, 4))
    for holder in range(5):
        reason = refused(dealt.shares[holder], holder, dealt.commitment, terms=said).reason
        assert reason == (
            "a share of the wrong kind for this holder"
            if holder in (3, 4)
            else "the share does not lie on the committed polynomials"
        )


def test_a_commitment_copied_from_another_dealer_is_refused() -> None:
    copied, own = (deal(CONTEXT, TERMS, secrets, SEED) for secrets in (SECRETS, SECRETS[::-1].copy()))
    for holder in range(TERMS.holders):
        assert not refused(own.shares[holder], holder, copied.commitment).provable


# Dealers that deal falsely


@settings(max_examples=40)
@given(st.integers(0, 2), st.integers(0, 8), st.integers(1, P - 1))
def test_a_single_false_value_is_refused_by_its_holder_who_can_prove_it(row: int, column: int, by: int) -> None:
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
    assert robust.decode(Scheme(5, 3), range(5), rows, 5, SEED) is None


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


def test_a_refusal_shows_nothing_of_the_share() -> None:
    dealt = recommitted({EXPLICIT: (b"\x01", bytes(64) + b"\xfe" * 8)})
    refusal = refused(dealt.shares[EXPLICIT], EXPLICIT, dealt.commitment)
    assert str(0xFEFEFEFEFEFEFEFE) not in str(refusal)
    assert "fe" * 8 not in str(refusal)
