"""Dealings of liars, each refused for its own reason; and what passes where a check is left out."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from proving import (
    CONTEXT,
    EXAMPLES,
    OTHER_CONTEXT,
    SMALL,
    TERMS,
    columns_of,
    dealt_by,
    vector_of,
    verdict,
    verdicts,
)

from coterie.crypto.field import P, Vector, evaluate, from_bytes, interpolate
from coterie.crypto.proof import checks
from coterie.crypto.proof.checks import check_share
from coterie.crypto.proof.commitment import parts_of
from coterie.crypto.proof.functionals import Functionals
from coterie.crypto.proof.prover import Proved, Prover, Unprovable, prove
from coterie.crypto.proof.terms import Terms
from coterie.crypto.proof.transcript import Transcript
from coterie.crypto.sharing.dealing import BadShare
from coterie.topology.adversaries.provers import (
    OtherProjections,
    Stubborn,
    larger_allowance,
    lowered_squares,
    lying,
    negative_slack,
    one_share_off,
    oversize_digits,
    second_bit,
    squeezed,
)

EQUATIONS = "public: the equations do not hold of the vector that was dealt"
GADGET = "public: a digit, a bit or a sum of squares is not what it should be"
PUBLISHED = "provable: the share does not lie on the published polynomials"
LONG = vector_of(TERMS, norm=4)
GOOD = vector_of(TERMS)
FIRST = TERMS.update_columns


def with_element(place: int, value: int, vector: Vector = GOOD) -> Vector:
    changed = vector.copy()
    changed[place] = value % P
    return changed


NO_HALVES = lying(halves=lambda _self, halves: [0] * len(halves), witness=oversize_digits)


@pytest.mark.parametrize(
    ("liar", "vector", "refused"),
    [
        (lying(halves=squeezed), LONG, EQUATIONS),
        (Stubborn, LONG, EQUATIONS),
        (lying(witness=negative_slack), LONG, GADGET),
        (lying(witness=lowered_squares), LONG, GADGET),
        (lying(witness=larger_allowance), LONG, EQUATIONS),
        (Stubborn, with_element(17, 0x0123456789ABCDEF), EQUATIONS),
        (NO_HALVES, with_element(3, int(GOOD[3]) + 2**29), GADGET),
        (OtherProjections, LONG, EQUATIONS),
    ],
    ids=[
        "projections scaled down",
        "no slack",
        "negative slack in one digit",
        "the squares of a row lowered",
        "the allowance of a larger count",
        "a random element",
        "a slot of 2^29 in an oversize digit",
        "projections under another root",
    ],
)
def test_an_update_that_is_too_long_is_refused_by_anybody(liar: type[Prover], vector: Vector, refused: str) -> None:
    assert verdicts(TERMS, dealt_by(liar, TERMS, vector)) == {refused}


@pytest.mark.parametrize("norm", [1.01, 3, 1000])
def test_short_updates_are_proved_exactly(norm: float) -> None:
    """Up to 256 columns the values themselves are squared: one in a hundred too much is seen."""
    allowed = SMALL.allowance(EXAMPLES)
    fits = columns_of([allowed, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert verdicts(SMALL, prove(CONTEXT, SMALL, vector_of(SMALL, fits), EXAMPLES, EXAMPLES, bytes(32))) == {"accepted"}
    too_long = columns_of([0, 0, round(norm * allowed), 0, 0, 0, 0, 0, 0, 0])
    with pytest.raises(Unprovable, match="longer than its weight allows"):
        prove(CONTEXT, SMALL, vector_of(SMALL, too_long), EXAMPLES, EXAMPLES, bytes(32))
    assert verdicts(SMALL, dealt_by(Stubborn, SMALL, vector_of(SMALL, too_long))) == {EQUATIONS}


def test_opposite_values_do_not_cancel_out() -> None:
    generator = random.Random(1)
    half = [generator.randrange(2**28) for _ in range(TERMS.update_columns // 2)]
    opposite = np.array(half + [-one % P for one in half], dtype=np.uint64)
    vector = vector_of(TERMS, opposite)
    assert verdicts(TERMS, dealt_by(Stubborn, TERMS, vector)) == {EQUATIONS}


# Limbs and counts


LIMB = FIRST + 8


@pytest.mark.parametrize(
    ("liar", "vector", "refused"),
    [
        (Stubborn, with_element(LIMB, 2**31 + 5), EQUATIONS),
        (lying(witness=second_bit), with_element(LIMB, 2**31 + 5), GADGET),
        (Stubborn, with_element(LIMB + 3, 2**30), EQUATIONS),
    ],
    ids=["a limb of 32 bits", "with 2 for a bit", "a last limb of 31 bits"],
)
def test_a_limb_out_of_range_is_refused_by_anybody(liar: type[Prover], vector: Vector, refused: str) -> None:
    assert verdicts(TERMS, dealt_by(liar, TERMS, vector)) == {refused}


@pytest.mark.parametrize(
    ("claims", "capped", "examples"),
    [((0, 300), 300, 300), ((600, 600), 600, 600), ((0, 5), 0, 5), ((300, 200), 300, 200), ((300.5, 301), 300, 301)],
    ids=["no weight in the totals", "above the reference", "no examples", "fewer examples than weight", "half a one"],
)
def test_a_false_count_is_refused_by_anybody(claims: tuple[float, float], capped: int, examples: int) -> None:
    vector = vector_of(TERMS, capped=claims[0], examples=claims[1])
    assert verdicts(TERMS, dealt_by(Stubborn, TERMS, vector, capped, examples)) == {EQUATIONS}


# Polynomials and shares


def test_a_quotient_with_one_false_value_is_refused_by_anybody() -> None:
    def off(_self: Prover, _cells: Vector, values: Vector) -> Vector:
        values[4] = (int(values[4]) + 1) % P
        return values

    assert verdicts(TERMS, dealt_by(lying(quotient=off), TERMS, GOOD)) == {GADGET}


VICTIM = 6
Payloads = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(("stage", "place"), [(0, 3), (1, 3), (2, 3)], ids=["vector", "witness", "quotient"])
def test_a_holder_sees_that_its_share_is_off(stage: int, place: int) -> None:
    proved = dealt_by(one_share_off(stage, place, VICTIM), TERMS, GOOD)
    assert [verdict(TERMS, proved, holder) for holder in range(7)] == ["accepted"] * 6 + [PUBLISHED]


def test_only_the_fingerprint_sees_a_false_share_of_the_beacon() -> None:
    proved = dealt_by(one_share_off(0, -1, VICTIM), TERMS, GOOD)
    assert verdict(TERMS, proved, VICTIM) == "provable: the share does not lie on the committed polynomials"
    assert verdict(TERMS, proved, 0) == "accepted"


def payload_of(kind: bytes | None = None, payload: bytes | None = None, stage: int = 0, holder: int = VICTIM) -> Any:
    def other(_self: Prover, at: int, _values: dict[int, Vector], payloads: Payloads) -> Payloads:
        if at == stage:
            was = payloads[holder]
            payloads[holder] = (was[0] if kind is None else kind), (was[1] if payload is None else payload)
        return payloads

    return lying(payloads=other)


SEEDED = TERMS.seeded[0]
WHOLE = 8 * TERMS.columns


@pytest.mark.parametrize(
    ("liar", "holder", "refused"),
    [
        (payload_of(b"\0"), VICTIM, "provable: a share of the wrong kind"),
        (payload_of(b"\1", holder=SEEDED), SEEDED, "provable: a share of the wrong kind"),
        (payload_of(b"\0", stage=1, holder=SEEDED), SEEDED, "provable: a share of the wrong kind"),
        (payload_of(payload=b"\xff" * WHOLE), VICTIM, "provable: "),
        (payload_of(b"\0", bytes(32)), VICTIM, "unprovable: a share of"),
        (payload_of(b"\1", bytes(WHOLE), holder=SEEDED), SEEDED, "unprovable: a share of"),
        (payload_of(b"\1", bytes(8), 1, SEEDED), SEEDED, "unprovable: a share of"),
    ],
    ids=["kind", "seeded kind", "seeded kind later", "not below p", "seed", "values for seed", "values later"],
)
def test_a_share_of_another_form_is_refused_by_its_holder(liar: type[Prover], holder: int, refused: str) -> None:
    """One of another length is evidence with the box that it came in (`sealing`), not by itself."""
    proved = dealt_by(liar, TERMS, GOOD)
    assert verdict(TERMS, proved, holder).startswith(refused)
    assert verdict(TERMS, proved, 0) == "accepted"


def test_a_share_that_was_not_committed_to_is_no_evidence() -> None:
    proved = prove(CONTEXT, TERMS, GOOD, EXAMPLES, EXAMPLES, bytes(32))
    share = bytearray(proved.shares[VICTIM])
    share[-1] ^= 1
    with pytest.raises(BadShare, match="not the one that was committed to") as caught:
        check_share(CONTEXT, TERMS, VICTIM, proved.commitment, bytes(share))
    assert not caught.value.provable


def values_of(terms: Terms, proved: Proved, holder: int) -> tuple[Vector, Vector, Vector]:
    return checks._values(terms, holder, parts_of(terms, holder, proved.shares[holder]))


class Forged:
    """A dealing of an update that is too long, with V forged through what it has to be and some holders' values."""

    def __init__(self) -> None:
        self.proved = dealt_by(Stubborn, TERMS, LONG)
        roots = list(self.proved.commitment.roots)
        self.functionals = Functionals(Transcript(CONTEXT, TERMS), TERMS, roots)
        self.wanted = [-part % P for part in self.functionals.constant]

    def through(self, holders: list[int]) -> Proved:
        values = {one: self.functionals.of_share(values_of(TERMS, self.proved, one)) for one in holders}
        coefficients = from_bytes(self.proved.commitment.polynomials, None or self._count()).reshape(-1, 3).copy()
        for part in range(2):
            ys = [self.wanted[part], *(values[one][part] for one in holders)]
            found = interpolate([0, *(one + 1 for one in holders)], ys)
            coefficients[part] = (found + [0] * 3)[:3]
        commitment = replace(self.proved.commitment, polynomials=coefficients.astype("<u8").tobytes())
        return Proved(commitment, self.proved.shares)

    def _count(self) -> int:
        return len(self.proved.commitment.polynomials) // 8


FORGED = Forged()


@pytest.mark.parametrize("honest", [[1, 3, 6], [0, 4, 5]])
def test_a_forged_polynomial_fools_one_holder_less_than_the_threshold(honest: list[int]) -> None:
    """Dealt to K honest holders only: whichever K - 1 of them V goes through, the last one sees it."""
    for left_out in honest:
        proved = FORGED.through([one for one in honest if one != left_out])
        for one in honest:
            assert verdict(TERMS, proved, one) == (PUBLISHED if one == left_out else "accepted")


def test_another_polynomial_for_each_holder_is_another_commitment() -> None:
    first, second = FORGED.through([0]), FORGED.through([1])
    assert (verdict(TERMS, first, 0), verdict(TERMS, second, 1)) == ("accepted", "accepted")
    assert first.commitment.id != second.commitment.id  # and acks name it


@pytest.mark.parametrize("more", [-8, 8, 8 * 7])
def test_polynomials_of_another_degree_are_refused(more: int) -> None:
    commitment = FORGED.proved.commitment
    longer = (commitment.polynomials + bytes(max(0, more)))[: len(commitment.polynomials) + more]
    proved = Proved(replace(commitment, polynomials=longer), FORGED.proved.shares)
    assert verdict(TERMS, proved, 0).startswith("public: the published polynomials")


def test_a_coefficient_that_is_not_below_p_is_refused() -> None:
    commitment = prove(CONTEXT, TERMS, GOOD, EXAMPLES, EXAMPLES, bytes(32)).commitment
    raw = np.frombuffer(commitment.polynomials, dtype="<u8").copy()
    raw[1] = P
    proved = Proved(replace(commitment, polynomials=raw.tobytes()), ())
    assert verdict(TERMS, proved, 0).startswith("public: the published polynomials")


# What a proof is bound to


def test_a_proof_of_another_round_or_for_other_terms_is_refused() -> None:
    proved = prove(CONTEXT, TERMS, GOOD, EXAMPLES, EXAMPLES, bytes(32))
    assert verdict(TERMS, proved, 1) == "accepted"
    assert verdict(TERMS, proved, 1, OTHER_CONTEXT).startswith("public")
    for terms in (
        replace(TERMS, reference=1024),
        replace(TERMS, dealer=1),
        replace(TERMS, holders=8),
        replace(TERMS, seeded=(4, 5)),
    ):
        assert verdict(terms, proved, 1).startswith("public")


def test_the_same_roots_with_other_polynomials_are_two_commitments() -> None:
    proved = prove(CONTEXT, TERMS, GOOD, EXAMPLES, EXAMPLES, bytes(32)).commitment
    raw = bytearray(proved.polynomials)
    raw[0] ^= 1
    assert replace(proved, polynomials=bytes(raw)).id != proved.id


# Builds without a check


def test_without_the_equations_any_norm_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    proved = dealt_by(Stubborn, TERMS, LONG)
    monkeypatch.setattr(checks, "add", lambda *_: checks.ZERO)
    assert verdicts(TERMS, proved) == {"accepted"}


def test_without_the_quotient_any_digit_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    proved = dealt_by(lying(witness=negative_slack), TERMS, LONG)
    monkeypatch.setattr(checks, "gadget", lambda *_: 0)
    monkeypatch.setattr(checks, "multiply", lambda *_: 0)
    assert verdicts(TERMS, proved) == {"accepted"}


def test_without_its_own_values_a_holder_accepts_a_forged_polynomial(monkeypatch: pytest.MonkeyPatch) -> None:
    proved = FORGED.through([1, 3])
    assert verdict(TERMS, proved, 6) == PUBLISHED
    polynomials = from_bytes(proved.commitment.polynomials, len(proved.commitment.polynomials) // 8).reshape(-1, 3)
    claimed = [evaluate([int(one) for one in row], 7) for row in polynomials[:-2]]
    monkeypatch.setattr(Functionals, "of_share", lambda *_: claimed)
    assert verdict(TERMS, proved, 6) == "accepted"


def test_without_the_fingerprint_a_false_share_of_the_beacon_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    proved = dealt_by(one_share_off(0, -1, VICTIM), TERMS, GOOD)
    polynomials = from_bytes(proved.commitment.polynomials, len(proved.commitment.polynomials) // 8).reshape(-1, 3)
    claimed = [evaluate([int(one) for one in row], VICTIM + 1) for row in polynomials[-2:]]
    monkeypatch.setattr(checks, "fingerprints", lambda *_: np.array([claimed], dtype=np.uint64))
    assert verdict(TERMS, proved, VICTIM) == "accepted"
