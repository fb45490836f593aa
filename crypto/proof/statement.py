"""The statement itself, checked on a vector in the clear.

Nobody but the dealer has the vector, so this is for dealers' own errors, for simulations with ideal shares, and for
tests, which compare it with what the proof accepts.
"""

import numpy as np

from ..field import P, Vector
from ..sharing.fixed_point import SLOT_BITS, WIDE_FRACTION_BITS, WIDE_LIMBS, decode_wide
from .terms import COUNTS, MAX_MORE, NORM_SLACK, SLOT, TOP_LIMB, Declared, Terms


def falsehood(terms: Terms, vector: Vector) -> str | None:
    """What is false of a vector, uint64[terms.columns]; None if the statement holds.

    The text holds no number of the vector, which is private.
    """
    limbs = vector[terms.update_columns : -2].reshape(-1, WIDE_LIMBS)
    if (limbs >> np.uint64(31)).any() or (limbs[:, -1] >= 3 * TOP_LIMB).any():
        return "a limb of a sum is out of range"
    sums = [decode_wide(np.ascontiguousarray(row), 1, is_proved=True) for row in limbs]
    one = 2**WIDE_FRACTION_BITS
    if any(count % one for count in sums[:COUNTS]):
        return "a count is not whole"
    capped, examples = (count // one for count in sums[:COUNTS])
    if not 1 <= capped <= min(examples, terms.reference):
        return "the capped count is not between 1 and both the examples and their reference"
    if examples - capped >= MAX_MORE:
        return f"the examples are {MAX_MORE} or more above the capped count"
    for place, value in enumerate(sums):
        declared = terms.declared_of(place)
        if declared is not Declared.NOT_NEGATIVE and int(limbs[place, -1]) >= 2 * TOP_LIMB:
            return "a limb of a sum is out of range"
        if declared is Declared.NOT_NEGATIVE and value < 0:
            return f"sum {place} is negative, and it is to be proved that it is not"
        if declared is Declared.BIT and value not in (0, one):
            return f"sum {place} is neither 0 nor 1"
    factor = 1 if terms.is_exact else NORM_SLACK
    if norm_of(vector[: terms.update_columns]) > factor * terms.allowance(capped):
        return "the update is longer than its weight allows"
    return None


def norm_of(columns: Vector) -> float:
    """The Euclidean norm of the signed values in columns, uint64[S], each of them a + 2^31·b modulo P."""
    signed = np.where(columns > np.uint64(P // 2), columns - np.uint64(P), columns).view(np.int64)
    low = ((signed + SLOT // 2) & (SLOT - 1)) - SLOT // 2
    values = np.concatenate([low, (signed - low) >> SLOT_BITS]).astype(np.float64)
    return float(np.sqrt(np.dot(values, values)))
