"""The bound on the Euclidean norm of an update, where dealings prove it, and how it follows the updates.

The bound is c = 2^(q/4) for a whole number q of quarters, so that all members compute the same. Where it adapts, each
member also contributes one bit: whether its update was at most half as long as the bound. The sum of the bits is
public, and the bound of the next round follows from it (after Andrew et al., "Differentially private learning with
adaptive clipping", arXiv:1905.03871). So the bound settles at about twice the length of the updates, and no member
learns more than how many of them are shorter than that.
"""

from typing import Final

LEAST_QUARTERS: Final = -80
MOST_QUARTERS: Final = 80

FIRST_QUARTERS: Final = 4
"""The bound that adapts begins with 2: it grows fourfold a round while nearly all updates are too long."""

_MANTISSAS: Final = (1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429)
"""2^0, 2^(1/4), 2^(1/2) and 2^(3/4), written out: a power that a machine computes may differ in its last bit."""

_LONGER: Final = 8
"""Quarters by which the bound grows where nearly all updates are too long for it: it is far too small, as at first."""

_LONG: Final = 2
"""The same where most of them are."""


def norm_of(quarters: int) -> float:
    """Return the bound for a number of quarters: 2^(quarters / 4)."""
    return _MANTISSAS[quarters % 4] * 2.0 ** (quarters // 4)


def nearest_quarters(norm: float) -> int:
    """Return the least number of quarters whose bound is at least ``norm``, which is above 0."""
    quarters = LEAST_QUARTERS
    while quarters < MOST_QUARTERS and norm_of(quarters) < norm:
        quarters += 1
    return quarters


def next_quarters(quarters: int, short: int, contributors: int, faults: int) -> int:
    """Return the bound's quarters for the next round.

    Whatever ``faults`` liars contribute: where all honest updates are short the bound falls, and where all are long it
    grows. Liars alone can make it neither grow nor fall for ever.

    Args:
        quarters: those of this round.
        short: contributors whose updates were at most half as long as the bound.
        contributors: all contributors.
        faults: f, the number of liars that are reckoned with.
    """
    if short >= contributors - faults:
        quarters -= 1
    elif short <= faults:
        quarters += _LONGER
    elif 2 * short < contributors:
        quarters += _LONG
    return min(max(quarters, LEAST_QUARTERS), MOST_QUARTERS)
