"""What the demo compares with: training alone on each shard, and on all rows pooled (which the sites may not do)."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from coterie.peer.learning.arrays import unflatten
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.tables_app import TableApp

SHARES = (0.07, 0.12, 0.18, 0.25, 0.38)
"""Part of the 442 patients at each of the five sites."""

TARGET = "progression"


def write_shards(folder: Path, names: Sequence[str], seed: int = 2) -> list[Path]:
    """Write scikit-learn's diabetes data as one CSV file a site, unequal in size. Returns the paths."""
    data = load_diabetes(scaled=False)
    order = np.random.default_rng(seed).permutation(len(data.data))
    parts = np.split(order, (np.cumsum(SHARES)[:-1] * len(data.data)).astype(int))
    header = [*data.feature_names, TARGET]
    paths = []
    for name, part in zip(names, parts, strict=True):
        path = folder / f"{name}.csv"
        write_table(path, header, [[*data.data[row], data.target[row]] for row in part])
        paths.append(path)
    return paths


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _values(app: TableApp) -> NDArray[np.float64]:
    assert app.table.values is not None  # the target is a number
    return app.table.values


class Comparison:
    """The test rows of all sites together, and the models that are trained without the federation."""

    def __init__(self, paths: Sequence[Path], folder: Path, rounds: int) -> None:
        self._rounds = rounds
        self._apps = [TableApp.found(path, TARGET, "linear") for path in paths]
        self._inputs = np.concatenate([app.table.inputs[app.tested] for app in self._apps])
        self._values = np.concatenate([_values(app)[app.tested] for app in self._apps])
        self.rows = [(app.table.rows, int(app.tested.sum())) for app in self._apps]
        self._pooled = folder / "pooled.csv"
        header = [*self._apps[0].table.columns, TARGET]
        training = [
            [*inputs, value]
            for app in self._apps
            for inputs, value, tested in zip(app.table.inputs, _values(app), app.tested, strict=True)
            if not tested
        ]
        write_table(self._pooled, header, training)

    def alone(self) -> list[float]:
        """RMSE over all sites' test rows of a model trained on one site's rows only, for each site."""
        return [self._rmse(app, self._train(app)) for app in self._apps]

    def pooled(self) -> float:
        """RMSE over the same test rows of a model trained on all sites' rows together."""
        app = TableApp.found(self._pooled, TARGET, "linear", test_fraction=0)
        return self._rmse(app, self._train(app))

    def _train(self, app: TableApp) -> NDArray[np.float32]:
        learner = Learner(app)
        learner.prepare(learner.setup())
        weights = learner.initial()
        for number in range(1, self._rounds + 1):
            weights = learner.fit(weights, number).weights
        return weights

    def _rmse(self, app: TableApp, weights: NDArray[np.float32]) -> float:
        arrays = unflatten(weights, Learner(app).shapes)
        return float(np.sqrt(np.square(app.predict(arrays, self._inputs) - self._values).mean()))
