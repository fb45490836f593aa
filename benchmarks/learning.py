"""How well the models for tables learn: pooled with scikit-learn, alone at each site, and federated, side by side.

    python benchmarks/learning.py [--splits 3] [--rounds 30] [--norm] [--round-time] [TABLE ...]

Five sites of 7 to 38 % of the rows, with the defaults of `peer start`. "skewed": each label, or each fifth of a numeric
target, is spread over the sites by a Dirichlet distribution with 0.3, so that most sites see little of most. Aims: the
federation is within 1 % (accuracy) or 2 % (RMSE) of pooled. Figures are means over all splits, on the test rows of all
sites together, a fifth of each one's. With ``--norm`` the updates are bounded and encoded as `peer start --norm auto`
does it, beside a federation whose updates are not. With ``--round-time`` rounds go by time beside that, and the sites
take as many times the usual steps as `SPEEDS` says.
"""

import argparse
import csv
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from coterie.crypto.sharing.fixed_point import BoundedNorm
from coterie.crypto.vectors import add_into
from coterie.peer.federation.founding import default_examples_cap
from coterie.peer.learning.arrays import unflatten
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.table_models.task import Kind
from coterie.protocol.jobs import SHORT
from coterie.protocol.ledger.contribution import coarse
from coterie.protocol.ledger.norms import FIRST_QUARTERS, next_quarters, norm_of
from coterie.protocol.limits import MAX_PROVED_REFERENCE

SHARES = (0.07, 0.12, 0.18, 0.25, 0.38)
SPEEDS = (0.25, 4.0, 0.5, 2.0, 1.0)
"""Of the sites with ``--round-time``; none goes with the number of rows."""
CONCENTRATION = 0.3
FEWEST_ROWS = 8
AIM_ACCURACY, AIM_RMSE = 1.0, 2.0
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """A table: inputs, a class or number for each row, and the models that are tried on it."""

    inputs: Rows
    target: NDArray[Any]
    is_labelled: bool
    kinds: tuple[Kind, ...]


def xor(rows: int = 2000) -> tuple[Rows, NDArray[Any]]:
    """Return pairs of numbers, labelled by whether their signs differ, which no linear model can tell."""
    inputs = np.random.default_rng(0).normal(size=(rows, 2))
    return inputs, ((inputs[:, 0] > 0) ^ (inputs[:, 1] > 0)).astype(int)


def houses(rows: int = 4000) -> tuple[Rows, NDArray[Any]]:
    """Return prices like California's: two expensive coasts, income that counts more there, and noise of 30,000."""
    random = np.random.default_rng(0)
    income, age = random.lognormal(1.2, 0.45, rows), random.uniform(1, 52, rows)
    rooms, crowd = random.normal(5.4, 1.2, rows).clip(1.5), random.lognormal(1, 0.25, rows)
    latitude, longitude = random.uniform(32.5, 42, rows), -random.uniform(114.5, 124.3, rows)
    people = random.lognormal(7, 0.7, rows)
    north = np.exp(-((latitude - 37.7) ** 2 + (longitude + 122.4) ** 2) / 2)
    south = np.exp(-((latitude - 34.0) ** 2 + (longitude + 118.3) ** 2) / 2)
    coast = north + 0.8 * south
    price = 60_000 + 45_000 * income**0.9 * (1 + 0.6 * coast) + 120_000 * coast - 20_000 * np.log(crowd) * income**0.3
    price += 12_000 * np.sin(age / 8) + 9_000 * np.maximum(rooms - 5, 0) ** 1.2 - 8_000 * np.log(people / 1000)
    price += random.normal(0, 30_000, rows)
    return np.column_stack([income, age, rooms, crowd, latitude, longitude, people]), price


def tables() -> dict[str, Data]:
    """Return all tables by name."""
    cancer, wine = datasets.load_breast_cancer(), datasets.load_wine()
    digits, diabetes = datasets.load_digits(), datasets.load_diabetes(scaled=False)
    return {
        "breast cancer": Data(cancer.data, cancer.target, True, ("logistic", "mlp")),
        "wine": Data(wine.data, wine.target, True, ("logistic", "mlp")),
        "digits": Data(digits.data, digits.target, True, ("logistic", "mlp")),
        "diabetes": Data(diabetes.data, diabetes.target, False, ("linear",)),
        "XOR": Data(*xor(), True, ("mlp",)),
        "houses": Data(*houses(), False, ("mlp",)),
    }


def even(data: Data, random: np.random.Generator) -> list[NDArray[np.intp]]:
    """Return the rows of each site, drawn at random without regard to the target."""
    count = len(data.target)
    return np.split(random.permutation(count), (np.cumsum(SHARES)[:-1] * count).astype(int))


def skewed(data: Data, random: np.random.Generator) -> list[NDArray[np.intp]]:
    """Return the rows of each site, with its own mixture of the labels or of the fifths of a numeric target."""
    fifths = np.quantile(data.target, [0.2, 0.4, 0.6, 0.8])
    labels = data.target if data.is_labelled else np.digitize(data.target, fifths)
    while True:
        parts: list[list[NDArray[np.intp]]] = [[] for _ in SHARES]
        for label in np.unique(labels):
            rows = random.permutation(np.flatnonzero(labels == label))
            cuts = (np.cumsum(random.dirichlet([CONCENTRATION] * len(parts)))[:-1] * len(rows)).astype(int)
            for part, some in zip(parts, np.split(rows, cuts), strict=True):
                part.append(some)
        sites = [np.concatenate(part) for part in parts]
        if min(map(len, sites)) >= FEWEST_ROWS:
            return sites


SPLITS = {"even": even, "skewed": skewed}


def sites_of(data: Data, kind: Kind, parts: list[NDArray[np.intp]], folder: Path) -> list[TableApp]:
    """Return the apps of all sites, the founder's first, over CSV files like those of users."""
    header = [*(f"x{column:03}" for column in range(data.inputs.shape[1])), "target"]
    paths = []
    for site, part in enumerate(parts):
        paths.append(folder / f"{site}.csv")
        with paths[-1].open("w", newline="") as file:
            csv.writer(file).writerows([header, *([*data.inputs[row], data.target[row]] for row in part)])
    classes = [str(label) for label in np.unique(data.target)] if data.is_labelled else []
    founder = TableApp.found(paths[0], "target", kind, classes=classes)
    return [founder, *(TableApp.adopt(founder.describe(), path) for path in paths[1:])]


class Bounded:
    """The mean of updates as rounds make it whose dealings prove a bound that adapts."""

    def __init__(self, founders_examples: int) -> None:
        self._reference = min(default_examples_cap(founders_examples), MAX_PROVED_REFERENCE)
        self._quarters = FIRST_QUARTERS

    def mean(self, updates: list[NDArray[np.float32]], examples: list[int], number: int) -> NDArray[np.float32]:
        """Return the mean of the encoded updates, and let the bound follow them."""
        codec = BoundedNorm(norm_of(self._quarters), self._reference)
        capped = [coarse(min(count, self._reference)) for count in examples]
        total, short = np.zeros((updates[0].size + 1) // 2, dtype=np.uint64), 0
        for site, (update, weight) in enumerate(zip(updates, capped, strict=True)):
            words, length = codec.encode(update, weight, b"%d %d" % (number, site))
            add_into(total, words)
            short += length <= SHORT
        units = codec.decode_sum(total, updates[0].size, len(updates))
        self._quarters = next_quarters(self._quarters, short, len(updates), (len(updates) - 1) // 3)
        mean: NDArray[np.float32] = (units * (codec.step * self._reference / sum(capped))).astype(np.float32)
        return mean


def federate_by_time(apps: list[TableApp], rounds: int) -> NDArray[np.float32]:
    """Return the agreed weights at the end, where each site takes as many steps as its speed allows."""
    learners = [Learner(app) for app in apps]
    totals = np.sum([learner.setup() for learner in learners], axis=0).tolist()
    for learner, app in zip(learners, apps, strict=True):
        learner.prepare(totals)
        app.clock = itertools.count().__next__  # a second for each step
    weights = learners[0].initial()
    for number in range(1, rounds + 1):
        times = [max(1.0, speed * app.training.steps) for speed, app in zip(SPEEDS, apps, strict=True)]
        fits = [learner.fit(weights, number, time) for learner, time in zip(learners, times, strict=True)]
        examples = [fit.examples for fit in fits]
        weights = np.average([fit.weights for fit in fits], axis=0, weights=examples).astype(np.float32)
    return weights


def federate(apps: list[TableApp], rounds: int, is_bounded: bool = False) -> Iterator[NDArray[np.float32]]:
    """Yield the agreed weights after each round, as the protocol makes them: the mean of the updates by examples."""
    learners = [Learner(app) for app in apps]
    totals = np.sum([learner.setup() for learner in learners], axis=0).tolist()
    for learner in learners:
        learner.prepare(totals)
    weights = learners[0].initial()
    bounded = Bounded(apps[0].examples) if is_bounded else None
    for number in range(1, rounds + 1):
        fits = [learner.fit(weights, number) for learner in learners]
        examples = [fit.examples for fit in fits]
        if bounded is not None:
            weights = weights + bounded.mean([fit.weights - weights for fit in fits], examples, number)
            yield weights
            continue
        weights = np.average([fit.weights for fit in fits], axis=0, weights=examples).astype(np.float32)
        yield weights


def score(app: TableApp, predicted: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Return the accuracy in percent, or the RMSE in the target's unit."""
    if app.task.classes:
        return 100 * float((predicted == wanted).mean())
    return float(np.sqrt(np.square(predicted - wanted).mean()))


def targets_of(app: TableApp) -> NDArray[Any]:
    """Return the numeric targets of all rows, or the places of their labels among all classes."""
    if app.table.values is not None:
        return app.table.values
    assert app.table.codes is not None
    return np.array([app.task.classes.index(label) for label in app.table.labels])[app.table.codes]


def pooled(apps: list[TableApp], seed: int) -> float:
    """Return the score of scikit-learn with all rows in one place, for the model that is most like the federation's."""
    task = apps[0].task
    trained = np.concatenate([app.table.inputs[~app.tested] for app in apps])
    tested = np.concatenate([app.table.inputs[app.tested] for app in apps])
    wanted = np.concatenate([targets_of(app)[~app.tested] for app in apps])
    mean, spread = trained.mean(axis=0), trained.std(axis=0)
    spread[spread == 0] = 1
    shift, scale = (0.0, 1.0) if task.classes else (wanted.mean(), wanted.std())
    model: Any
    if task.kind == "mlp":
        mlp = MLPClassifier if task.classes else MLPRegressor
        model = mlp(hidden_layer_sizes=task.hidden, max_iter=1000, random_state=seed)
    else:
        model = LinearRegression() if task.kind == "linear" else LogisticRegression(max_iter=5000)
    model.fit((trained - mean) / spread, wanted if task.classes else (wanted - shift) / scale)
    predicted = model.predict((tested - mean) / spread)
    return _score_of(apps, predicted if task.classes else predicted * scale + shift)


def measured(apps: list[TableApp], model: TableApp, weights: NDArray[np.float32]) -> float:
    """Return the score of weights that belong to `model`, on the test rows of all sites."""
    inputs = np.concatenate([app.table.inputs[app.tested] for app in apps])
    return _score_of(apps, model.predict(unflatten(weights, Learner(model).shapes), inputs))


def _score_of(apps: list[TableApp], predicted: NDArray[Any]) -> float:
    return score(apps[0], predicted, np.concatenate([targets_of(app)[app.tested] for app in apps]))


@dataclass(frozen=True)
class Comparison:
    """Means over all splits of a table."""

    pooled: float
    alone: float
    """The score of the median site."""
    federated: float
    halfway: float
    """The score of the federation after a third of the rounds."""
    bounded: float = 0.0
    """The score of the federation whose updates are bounded, if that was asked for."""
    timed: float = 0.0
    """The score of the federation whose rounds go by time, if that was asked for."""

    def gap(self, is_labelled: bool) -> float:
        """Return how much worse than pooled the federation is, in percent; below 0 where it is better."""
        if is_labelled:
            return self.pooled - self.federated
        return 100 * (self.federated / self.pooled - 1)


def compare(
    data: Data, kind: Kind, split: str, splits: int, rounds: int, norm: bool = False, by_time: bool = False
) -> Comparison:
    """Train in all three ways, and return the mean scores."""
    rows = []
    for seed in range(splits):
        with tempfile.TemporaryDirectory() as folder:
            apps = sites_of(data, kind, SPLITS[split](data, np.random.default_rng(seed)), Path(folder))
        course = list(federate(apps, rounds))
        alone = []
        for app in apps:
            single = TableApp(app.task, app.table)
            *_, weights = federate([single], rounds)
            alone.append(measured(apps, single, weights))
        third, bounded, timed = course[max(0, rounds // 3 - 1)], 0.0, 0.0
        if norm:
            again = [TableApp(app.task, app.table) for app in apps]
            *_, weights = federate(again, rounds, is_bounded=True)
            bounded = measured(apps, again[0], weights)
        if by_time:
            again = [TableApp(app.task, app.table) for app in apps]
            timed = measured(apps, again[0], federate_by_time(again, rounds))
        federated = measured(apps, apps[0], course[-1]), measured(apps, apps[0], third)
        rows.append((pooled(apps, seed), np.median(alone), *federated, bounded, timed))
    return Comparison(*np.mean(rows, axis=0).tolist())


def report(
    names: list[str] | None = None, splits: int = 3, rounds: int = 30, norm: bool = False, by_time: bool = False
) -> None:
    """Print a line for each table, model and split."""
    print(f"accuracy in percent, or RMSE; means of {splits} splits")
    print(f"aims: within {AIM_ACCURACY:g} % (accuracy) or {AIM_RMSE:g} % (RMSE) of pooled\n")
    heads = ("pooled", "alone", f"round {max(1, rounds // 3)}", f"round {rounds}")
    heads = (*heads, *(("bounded",) if norm else ()), *(("by time",) if by_time else ()))
    print(f"{'table':<14}{'model':<10}{'split':<8}{''.join(f'{head:>10}' for head in heads)}   gap")
    for name, data in tables().items():
        if names and name not in names:
            continue
        for kind in data.kinds:
            for split in SPLITS:
                found = compare(data, kind, split, splits, rounds, norm, by_time)
                gap = found.gap(data.is_labelled)
                missed = "  MISSED" if gap > (AIM_ACCURACY if data.is_labelled else AIM_RMSE) else ""
                numbers = (
                    found.pooled,
                    found.alone,
                    found.halfway,
                    found.federated,
                    *((found.bounded,) if norm else ()),
                    *((found.timed,) if by_time else ()),
                )
                figures = "".join(f"{number:>10.{2 if number < 1000 else 0}f}" for number in numbers)
                print(f"{name:<14}{kind:<10}{split:<8}{figures}{gap:>+6.1f} %{missed}", flush=True)


def main() -> None:
    """Print the chosen tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"default: all of {', '.join(tables())}")
    parser.add_argument("--splits", type=int, default=3, help="divisions of each table (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--norm", action="store_true", help="also with updates of bounded norm")
    parser.add_argument("--round-time", action="store_true", help="also with rounds by time, at sites of unequal speed")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.tables if name not in tables()]
    if unknown:
        parser.error(f"no table {unknown[0]!r}: there are {', '.join(tables())}")
    report(chosen.tables, chosen.splits, chosen.rounds, chosen.norm, chosen.round_time)


if __name__ == "__main__":
    main()
