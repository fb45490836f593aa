"""What is declared of sums is proved of each dealing: that they are not negative, or bits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import CONTEXT, EXAMPLES, SEED, SMALL, TERMS, dealt_by, vector_of, verdicts

from coterie.crypto.field import Vector
from coterie.crypto.proof.prover import Unprovable, prove
from coterie.crypto.proof.statement import falsehood, norm_of
from coterie.crypto.proof.terms import Declared, Terms
from coterie.crypto.sharing.fixed_point import encode_wide
from coterie.topology.adversaries.provers import Stubborn

EQUATIONS = "public: the equations do not hold of the vector that was dealt"
GADGET = "public: a digit, a bit or a sum of squares is not what it should be"
PLAIN = replace(SMALL, wide_sums=5)
STATED = replace(PLAIN, declared=(Declared.NOT_NEGATIVE, Declared.NOTHING, Declared.BIT))


def with_sums(*sums: float, terms: Terms = STATED) -> Vector:
    """A vector whose sums after the counts are these."""
    vector = vector_of(terms)
    first = terms.update_columns + 8
    vector[first : first + 4 * len(sums)] = np.concatenate([encode_wide(one) for one in sums])
    return vector


@settings(max_examples=20)
@given(
    st.floats(0, 2.0**80, exclude_max=True), st.floats(-(2.0**80), 2.0**80, exclude_max=True), st.sampled_from([0, 1])
)
def test_sums_that_are_as_declared_are_proved(size: float, free: float, bit: int) -> None:
    proved = prove(CONTEXT, STATED, with_sums(size, free, bit), EXAMPLES, EXAMPLES, SEED)
    assert verdicts(STATED, proved) == {"accepted"}


@pytest.mark.parametrize(
    ("sums", "refused"),
    [
        ((-1.0, 0.0, 1.0), EQUATIONS),
        ((-(2.0**-40), 0.0, 1.0), EQUATIONS),
        ((5.0, 0.0, 2.0), GADGET),
        ((5.0, 0.0, -1.0), EQUATIONS),
        ((5.0, 0.0, 0.5), EQUATIONS),
    ],
)
def test_sums_that_are_not_as_declared_are_refused_by_their_dealer_and_by_anybody(
    sums: tuple[float, ...], refused: str
) -> None:
    vector = with_sums(*sums)
    with pytest.raises(Unprovable, match=r"sum \d is"):
        prove(CONTEXT, STATED, vector, EXAMPLES, EXAMPLES, SEED)
    assert verdicts(STATED, dealt_by(Stubborn, STATED, vector)) == {refused}
    # Where nothing is declared, the same sums pass.
    assert verdicts(PLAIN, dealt_by(Stubborn, PLAIN, vector)) == {"accepted"}


def test_what_is_declared_is_part_of_the_terms() -> None:
    proved = prove(CONTEXT, STATED, with_sums(1.0, 0.0, 1.0), EXAMPLES, EXAMPLES, SEED)
    other = replace(STATED, declared=(Declared.NOTHING, Declared.NOT_NEGATIVE, Declared.BIT))
    assert "accepted" not in verdicts(other, proved)
    assert len({one.encoded() for one in (PLAIN, STATED, other)}) == 3


@pytest.mark.parametrize("declared", [(Declared.BIT,) * 4, (Declared.BIT, Declared.NOTHING)])
def test_what_is_declared_has_one_form(declared: tuple[Declared, ...]) -> None:
    with pytest.raises(ValueError, match="something is declared"):
        replace(PLAIN, declared=declared)


# The statement in the clear.


@pytest.mark.parametrize(("more", "is_true"), [(2**30 - 1, True), (2**30, False), (2**40, False)])
def test_examples_are_proved_up_to_a_billion_above_the_weight_and_their_dealer_refuses_more(
    more: int, is_true: bool
) -> None:
    vector = vector_of(PLAIN, examples=EXAMPLES + more)
    assert (falsehood(PLAIN, vector) is None) == is_true
    if is_true:
        proved = prove(CONTEXT, PLAIN, vector, EXAMPLES, EXAMPLES + more, SEED)
        assert verdicts(PLAIN, proved) == {"accepted"}
    else:
        with pytest.raises(Unprovable, match="or more above the capped count"):
            prove(CONTEXT, PLAIN, vector, EXAMPLES, EXAMPLES + more, SEED)


@pytest.mark.parametrize("norm", [0.5, 0.99, 2.9, 3.2, 100])
def test_the_norm_in_the_clear_is_bounded_as_by_the_proof(norm: float) -> None:
    vector = vector_of(TERMS, norm=norm)
    assert norm_of(vector[: TERMS.update_columns]) == pytest.approx(norm * TERMS.unit * EXAMPLES, rel=0.01)
    assert (falsehood(TERMS, vector) is None) == (norm < 3)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (0, 2**62, "longer"),
        (PLAIN.update_columns, 2**31, "limb"),
        (PLAIN.update_columns + 11, 2**30, "limb"),
        (PLAIN.update_columns, 1, "not whole"),
        (PLAIN.update_columns + 1, 0, "capped count"),
    ],
)
def test_each_part_of_the_statement_is_looked_at_in_the_clear(place: int, value: int, told: str) -> None:
    vector = vector_of(PLAIN)
    assert falsehood(PLAIN, vector) is None
    vector[place] = value
    assert told in str(falsehood(PLAIN, vector))
