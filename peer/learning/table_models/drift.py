"""What a member remembers of its last round, so that its next one does not drift away from the common optimum.

Where members have different rows, each one's steps lead to its own optimum, and the mean of the results is not the
optimum of all (client drift). SCAFFOLD (Karimireddy et al., arXiv 1910.06378) adds to the gradient of each step the
difference c - c_i: everybody's mean gradient less the member's own. There a server sends c. Here nothing more is sent:
gradient descent with momentum is linear in its gradients, so it moves the weights by

    -reach * (mean gradient + correction),    reach = rate * sum of the weights of the steps,

with the same reach at all members, and the corrections of the members cancel in the mean. So c follows from the change
of the agreed weights, which each member has anyway, and c_i from its own last round.

The corrections cancel only while the members stay the same. The part of a member that is gone would stay in them for
ever, so the correction is damped: a part of it is forgotten each round.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Drift", "Matrix"]

Matrix = npt.NDArray[np.float64]

_DAMPING: Final = 0.9
"""Factor of each new correction."""


@dataclass(frozen=True, slots=True)
class _Round:
    """One round of this member: the weights at its start, the member's own mean gradient, and the reach."""

    number: int
    start: list[Matrix]
    gradient: list[Matrix]
    reach: float


@dataclass(slots=True)
class Drift:
    """The last round of a member, and its current correction."""

    _last: _Round | None = None
    _correction: list[Matrix] | None = None

    def correction(self, start: list[Matrix], round: int) -> list[Matrix] | None:
        """What to add to each gradient of the round that begins at the agreed weights ``start``; None if unknown.

        After a round without a result the weights are the same, and so is the correction.
        """
        last = self._last
        if last is None or round <= last.number or all(map(np.array_equal, start, last.start)):
            return self._correction
        # If this member was away for some rounds, the weights moved in all of these: take the mean of a round.
        reach = last.reach * (round - last.number)
        self._correction = [
            _DAMPING * ((before - now) / reach - own)
            for before, now, own in zip(last.start, start, last.gradient, strict=True)
        ]
        return self._correction

    def remember(self, number: int, start: list[Matrix], gradient: list[Matrix], reach: float) -> None:
        """Keep a round. ``gradient`` is this member's own mean gradient, without the correction."""
        self._last = _Round(number, start, gradient, reach)
