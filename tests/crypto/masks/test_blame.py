"""Fingerprints of masked vectors find every false sum and every false claim, and blame nobody else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto import prng
from coterie.crypto.field import P, Vector
from coterie.crypto.masks.blame import Fingerprint, RunningFingerprint, Verdict, adds_up, challenge, judge
from coterie.crypto.vectors import add_into, fingerprint

LENGTH = 9000


def scene(members: int) -> tuple[bytes, Vector, dict[int, Fingerprint], dict[int, Vector]]:
    """An honest round: challenge, sum, claims, contributions."""
    vectors = {member: prng.stream(b"seed", b"%d" % member, LENGTH) for member in range(members)}
    total = np.zeros(LENGTH, dtype=np.uint64)
    for vector in vectors.values():
        add_into(total, vector)
    seed = challenge(b"federation, round 7, contributors", bytes(32))
    return seed, total, {member: fingerprint(seed, vector) for member, vector in vectors.items()}, vectors


@given(st.integers(1, 6))
def test_an_honest_sum_adds_up_and_nobody_is_blamed(members: int) -> None:
    seed, total, claims, vectors = scene(members)
    assert adds_up(fingerprint(seed, total), claims)
    assert judge(seed, total, claims, vectors) == Verdict((), sum_is_false=False)


@given(st.integers(0, LENGTH - 1), st.integers(1, P - 1))
def test_a_sum_that_is_wrong_in_one_element_is_found(place: int, change: int) -> None:
    seed, total, claims, vectors = scene(3)
    total[place] = (int(total[place]) + change) % P
    assert not adds_up(fingerprint(seed, total), claims)
    assert judge(seed, total, claims, vectors) == Verdict((), sum_is_false=True)


@given(st.integers(0, 2), st.integers(0, 1), st.integers(1, P - 1))
def test_a_false_claim_is_found_and_its_member_named(member: int, half: int, change: int) -> None:
    seed, total, claims, vectors = scene(3)
    claim = list(claims[member])
    claim[half] = (claim[half] + change) % P
    claims[member] = (claim[0], claim[1])
    assert not adds_up(fingerprint(seed, total), claims)
    assert judge(seed, total, claims, vectors) == Verdict((member,), sum_is_false=False)


def test_any_vector_adds_up_if_its_aggregator_contributes_and_only_judging_finds_it() -> None:
    """It claims what the others' claims leave. Why a sum's hash is decided before the keys' sum opens."""
    seed, _, claims, vectors = scene(3)
    total = prng.stream(b"seed", b"anything at all", LENGTH)
    proposed = fingerprint(seed, total)
    claims[0] = tuple((proposed[k] - claims[1][k] - claims[2][k]) % P for k in (0, 1))
    assert adds_up(proposed, claims)
    assert judge(seed, total, claims, vectors) == Verdict((0,), sum_is_false=True)


@given(st.integers(0, 1), st.integers(-2, 2).filter(bool))
def test_a_true_claim_that_is_not_canonical_is_no_lie(half: int, turns: int) -> None:
    seed, total, claims, vectors = scene(2)
    claim = list(claims[1])
    claim[half] += turns * P
    claims[1] = (claim[0], claim[1])
    assert adds_up(fingerprint(seed, total), claims)
    assert judge(seed, total, claims, vectors) == Verdict((), sum_is_false=False)


@pytest.mark.parametrize("length", [LENGTH - 1, LENGTH + 50])
def test_a_contribution_of_another_length_than_the_sum_is_refused(length: int) -> None:
    """With zeros behind it, it would have the fingerprint of what it is not."""
    seed, total, claims, vectors = scene(2)
    vectors[1] = np.resize(np.append(vectors[1], np.zeros(50, dtype=np.uint64)), length)
    with pytest.raises(ValueError, match="shape"):
        judge(seed, total, claims, vectors)


def test_two_claims_that_cancel_are_both_found() -> None:
    seed, total, claims, vectors = scene(3)
    claims[0], claims[1] = claims[1], claims[0]
    assert adds_up(fingerprint(seed, total), claims)
    assert judge(seed, total, claims, vectors) == Verdict((0, 1), sum_is_false=False)


def test_on_a_weakened_build_with_a_challenge_known_beforehand_a_false_sum_passes() -> None:
    """Why the challenge depends on the sum: who knows it can change the sum along its kernel."""
    seed, total, claims, vectors = scene(3)
    first, second = (prng.stream(seed, label, 3) for label in (b"fingerprint 1", b"fingerprint 2"))
    a, b, c = ([int(row[i]) for row in (first, second)] for i in range(3))
    # (x, y, z) = a × ... the cross product of the two rows is orthogonal to both.
    kernel = (b[0] * c[1] - c[0] * b[1], c[0] * a[1] - a[0] * c[1], a[0] * b[1] - b[0] * a[1])
    for place, change in enumerate(kernel):
        total[place] = (int(total[place]) + change) % P
    assert adds_up(fingerprint(seed, total), claims)
    proper = challenge(b"federation, round 7, contributors", bytes([1]) * 32)  # the changed sum has another digest
    honest = {member: fingerprint(proper, vector) for member, vector in vectors.items()}
    assert not adds_up(fingerprint(proper, total), honest)


@given(st.lists(st.integers(0, 9000), max_size=5))
def test_a_vector_in_pieces_has_the_same_fingerprint(sizes: list[int]) -> None:
    vector = prng.stream(b"seed", b"vector", sum(sizes))
    running = RunningFingerprint(b"challenge")
    start = 0
    for size in sizes:
        running.add(vector[start : start + size])
        start += size
    assert running.value == fingerprint(b"challenge", vector)


def test_context_and_sum_both_decide_the_challenge() -> None:
    seeds = {challenge(context, digest) for context in (b"a", b"b") for digest in (bytes(32), bytes([1]) * 32)}
    assert len(seeds) == 4


def test_claims_and_contributions_of_different_members_are_refused() -> None:
    seed, total, claims, vectors = scene(2)
    del vectors[1]
    with pytest.raises(ValueError, match="different members"):
        judge(seed, total, claims, vectors)
