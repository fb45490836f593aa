"""Learning inside the simulation: a softmax regression on real, small data, spread over the sites.

It shows how the model converges under churn and attack. Every site holds its own part of the data, trains the weights
that the ledger decided, and measures them on its own test rows.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...protocol.jobs import Contribution, Train
from ...protocol.ledger.genesis import Genesis

DATA_SETS: Final = ("digits", "iris", "wine", "breast-cancer")
TEST_SHARE: Final = 0.25
STEPS: Final = 20
RATE: Final = 0.5

Rows = NDArray[np.float64]


class DataError(ValueError):
    """Data that is missing or cannot be divided; the message says what would work."""


class Learning:
    """Trains on behalf of every site; see :class:`.training.Trainer`."""

    def __init__(self, data_set: str, sites: int, skew: float = 0.0, seed: int = 0) -> None:
        """Load a data set and divide it among the sites.

        Args:
            data_set: one of DATA_SETS.
            sites: number of parts.
            skew: from 0, for the same mixture of labels at each site, to 1, for as few labels at each as possible.
            seed: of the division.

        Raises:
            DataError: no such data set, scikit-learn is missing, or too few rows for so many sites.
        """
        features, labels = _load(data_set)
        spread = features.std(axis=0)
        features = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        self.classes = int(labels.max()) + 1
        self._rows = np.hstack([features, np.ones((len(features), 1))])
        self._labels = labels
        self.parameters = self._rows.shape[1] * self.classes
        if len(labels) < 8 * sites:
            raise DataError(f"{data_set} has {len(labels)} rows: enough for {len(labels) // 8} sites, not {sites}")
        self._parts = [_split(part, seed) for part in _divide(labels, sites, skew, seed)]

    def contribute(self, site: int, work: Train, genesis: Genesis, entropy: bytes) -> Contribution:
        """Train (in a training round) and measure the weights before it, on the site's own rows."""
        train, test = self._parts[site]
        weights = np.frombuffer(work.weights, dtype="<f4").astype(np.float64).reshape(-1, self.classes)
        loss, accuracy = self._measure(weights, test)
        sums = (float(len(test)), loss * len(test), accuracy * len(test))
        update = (self._trained(weights, train) - weights).astype(np.float32).ravel() if work.kind == "train" else None
        return Contribution(len(train), sums, entropy, update)

    def _trained(self, weights: Rows, rows: NDArray[np.int64]) -> Rows:
        features, wanted = self._rows[rows], np.eye(self.classes)[self._labels[rows]]
        for _ in range(STEPS):
            error = _softmax(features @ weights) - wanted
            weights = weights - RATE * (features.T @ error) / len(rows)
        return weights

    def _measure(self, weights: Rows, rows: NDArray[np.int64]) -> tuple[float, float]:
        guessed = _softmax(self._rows[rows] @ weights)
        right = guessed[np.arange(len(rows)), self._labels[rows]]
        return float(-np.log(right + 1e-12).mean()), float((guessed.argmax(axis=1) == self._labels[rows]).mean())


def _softmax(scores: Rows) -> Rows:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Rows = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _load(name: str) -> tuple[Rows, NDArray[np.int64]]:
    if name not in DATA_SETS:
        raise DataError(f"no data set {name!r}; there are {', '.join(DATA_SETS)}")
    try:
        from sklearn import datasets
    except ImportError:
        raise DataError("learning needs scikit-learn's data sets: pip install scikit-learn") from None
    loaded: Any = getattr(datasets, f"load_{name.replace('-', '_')}")()
    return np.asarray(loaded.data, dtype=np.float64), np.asarray(loaded.target, dtype=np.int64)


def _divide(labels: NDArray[np.int64], sites: int, skew: float, seed: int) -> list[NDArray[np.int64]]:
    """Return the rows of each site: a share ``skew`` of all rows in blocks sorted by label, the rest at random."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    sorted_count = round(skew * len(order))
    skewed = order[:sorted_count]
    skewed = skewed[np.argsort(labels[skewed], kind="stable")]
    blocks = np.array_split(skewed, sites)
    even = np.array_split(order[sorted_count:], sites)
    return [np.concatenate(pair) for pair in zip(blocks, even, strict=True)]


def _split(rows: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    mixed = np.random.default_rng(seed + 1).permutation(rows)
    tests = max(1, round(TEST_SHARE * len(mixed)))
    return mixed[tests:], mixed[:tests]
