"""An app that takes no time to train, so that a round's time is the protocol's own. Size: COTERIE_BENCH_PARAMETERS."""

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Arrays = list[NDArray[np.float32]]


class Synthetic:
    """A flat model of random updates."""

    def __init__(self, parameters: int) -> None:
        self._shape = (parameters,)
        self._update = np.random.default_rng(os.getpid()).normal(0, 0.1, parameters).astype(np.float32)

    def initial(self) -> Arrays:
        """Return zeros."""
        return [np.zeros(self._shape, dtype=np.float32)]

    def fit(self, weights: Arrays, round: int) -> tuple[Arrays, int, Mapping[str, float]]:
        """Add the same update each round."""
        return [weights[0] + self._update], 1000, {}

    def evaluate(self, weights: Arrays) -> tuple[float, int, Mapping[str, float]]:
        """Measure one element."""
        return float(weights[0][0] ** 2), 100, {}


app = Synthetic(int(os.environ.get("COTERIE_BENCH_PARAMETERS", "1000")))
