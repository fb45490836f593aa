"""Members that train on small tables by their real code, in a ledger that is written by hand."""

import csv
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from chains import Chain
from members import identity
from table_homes import fill, table_genesis

from coterie.peer.home.settings import Settings
from coterie.peer.learning.arrays import unflatten
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.metrics import Measured
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.training.trainer import Trainer
from coterie.protocol.jobs import Train
from coterie.protocol.ledger.blocks import Membership
from coterie.protocol.ledger.contribution import WIDE_UNIT, coarse_sums
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.messages.encoding import digest_of

SITES = (100, 140, 180)
"""Rows of each site: a fifth of them are so few that they are counted exactly."""


def table(path: Path, kind: str, seed: int, rows: int) -> Path:
    """Write a table of two numbers and a target that they say something of, but not all."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(rows, 2))
    noisy = inputs @ [1.5, -1.0] + random.normal(size=rows)
    targets: Any = np.round(10 * noisy + 300, 3)
    if kind != "linear":
        names = {"two": ("no", "yes"), "three": ("high", "low", "mid"), "four": ("I", "II", "III", "IV")}[kind]
        edges = {"two": [0.3], "three": [-0.7, 0.7], "four": [-1.0, 0.0, 1.0]}[kind]
        targets = [names[place] for place in np.digitize(noisy, edges)]
    with path.open("w", newline="") as file:
        lines = ([*map(float, row), target] for row, target in zip(inputs.tolist(), targets, strict=True))
        csv.writer(file).writerows([("a", "b", "y"), *lines])
    return path


class Sites:
    """Three members that train, evaluate and add up by their real code, in a ledger that is written by hand."""

    def __init__(
        self, folder: Path, kind: str, *, is_evaluated: bool = True, test_fraction: float = 0.2, **changes: Any
    ) -> None:
        """``is_evaluated``: whether the last model is measured; ``test_fraction``: of the home's own table."""
        paths = [table(folder / f"site{number}.csv", kind, number, rows) for number, rows in enumerate(SITES)]
        founder = TableApp.found(paths[0], "y", "linear" if kind == "linear" else "logistic")
        self.apps = [founder, *(TableApp.adopt(founder.describe(), path) for path in paths[1:])]
        self.genesis: Genesis = msgspec.structs.replace(table_genesis(founder, rounds=3), **changes)
        for app in self.apps:
            app.reported = self.genesis.metrics
        learners = [Learner(app) for app in self.apps]
        for learner in learners:
            learner.final_metrics = self.genesis.final_metrics
        self.trainers = [Trainer(learner) for learner in learners]
        self.own_losses: dict[int, float] = {}
        """Of the site whose home it is, by round, over its own test rows."""
        self.measured: dict[int, Measured] = {}
        """The same with all that its rows say."""
        chain = self.chain = Chain(1, self.genesis)
        chain.append(Membership(tuple(chain.join(identity(number), founder.describe()) for number in (1, 2))))
        self.weights = Learner(founder).initial().astype("<f4")
        self._decide("setup")
        for _ in range(3):
            self._decide("train")
        if is_evaluated:
            self._decide("evaluate")
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        kept = Settings(data=str(paths[0]), target="y", test_fraction=test_fraction)
        fill(self.home, self.genesis, chain.blocks, self.weights.tobytes(), kept)

    def _decide(self, kind: Any) -> None:
        """Add up what all members contribute to a round of this kind."""
        state = self.chain.state
        assert state.kind == kind
        totals = None if state.totals is None else tuple(one / WIDE_UNIT for one in state.totals)
        work = Train(state.round, kind, self.weights.tobytes(), totals)
        given = [trainer(work) for trainer in self.trainers]
        own = self.trainers[0].own_loss(state.round)
        if own is not None:
            self.own_losses[state.round] = own
        if (measured := self.trainers[0].measured(state.round)) is not None:
            self.measured[state.round] = measured
        sums = np.sum([one.sums if kind == "setup" else coarse_sums(one.sums) for one in given], axis=0)
        examples = sum(one.examples for one in given)
        if kind == "train":
            updates = [one.update for one in given if one.update is not None]
            mean = np.average(updates, axis=0, weights=[one.examples for one in given])
            self.weights = (self.weights + mean).astype("<f4")
        digest = digest_of(self.weights.tobytes())
        self.chain.append(self.chain.contributors())
        self.chain.append(self.chain.model(examples, examples, *sums, weights=digest))

    def tested(self, site: int) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities of the second class, or the predictions, of a site's test rows; and what is true."""
        app = self.apps[site]
        weights = unflatten(self.weights, self.genesis.shapes)
        inputs = app.table.inputs[app.tested]
        if app.table.values is not None:
            return np.asarray(app.predict(weights, inputs)), app.table.values[app.tested]
        outputs = app._outputs(weights, app._known().inputs(inputs))
        return app.task.network.probabilities(outputs), app._codes[app.tested]  # type: ignore[index]
