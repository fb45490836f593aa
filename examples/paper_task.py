"""The task of the paper: a small neural network for linear regression, on rows that are split over the clients.

The rows are drawn with a seed: four inputs, and a target that is linear in them but for a little noise. The network has
one layer of five tanh units. A bad client follows the protocol, and its update has the right form: it trains on
reversed targets, or it sends the reverse of its honest update a hundred times too large.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.ledger.genesis import Genesis

Floats = NDArray[np.float64]

INPUTS, UNITS, ROWS, TESTS, NOISE, SEED = 4, 5, 960, 400, 0.1, 14
PARAMETERS = INPUTS * UNITS + 2 * UNITS + 1
STEPS, RATE, BOOST = 10, 0.1, 100
ATTACKS = ("reversed targets", "update boosted 100 times")


def layers(weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The weights and the constants of the units, then those of the output."""
    first, constants, second, constant = np.split(weights, np.cumsum([INPUTS * UNITS, UNITS, UNITS]))
    return first.reshape(INPUTS, UNITS), constants, second, constant


def outputs(weights: Floats, rows: Floats) -> Floats:
    """What the network says of each row."""
    first, constants, second, constant = layers(weights)
    said: Floats = np.tanh(rows @ first + constants) @ second + constant
    return said


def gradient(weights: Floats, rows: Floats, targets: Floats) -> Floats:
    """The gradient of half the mean square error."""
    first, constants, second, constant = layers(weights)
    units = np.tanh(rows @ first + constants)
    wrong = (units @ second + constant - targets) / len(rows)
    behind = np.outer(wrong, second) * (1 - units**2)
    return np.concatenate([(rows.T @ behind).ravel(), behind.sum(axis=0), units.T @ wrong, [wrong.sum()]])


@dataclass
class Task:
    """Trains on behalf of every client; also the trainer of the simulated sites.

    Args:
        clients: the number of parts.
        bad: how many of the clients are bad: the last ones.
        attack: one of ATTACKS.
    """

    clients: int
    bad: int = 0
    attack: str = ATTACKS[0]
    seen: dict[int, float] = field(default_factory=dict)
    """The RMSE of the weights that each simulated round began with."""

    def __post_init__(self) -> None:
        rng = np.random.default_rng(SEED)
        rows, slopes = rng.normal(0, 1, (ROWS + TESTS, INPUTS)), rng.normal(0, 1, INPUTS)
        targets = rows @ slopes + rng.normal(0, NOISE, len(rows))
        self.start = rng.normal(0, 0.5, PARAMETERS).astype("<f4")
        self.tests, self.wanted = rows[ROWS:], targets[ROWS:]
        parts = rows[:ROWS], targets[:ROWS]
        self.parts = list(zip(*(np.array_split(one, self.clients) for one in parts), strict=True))

    def rmse(self, weights: Floats) -> float:
        """The root mean square error on rows that no client has. It is infinite for weights that are no numbers."""
        with np.errstate(all="ignore"):
            found = float(np.sqrt(np.square(outputs(weights.astype(float), self.tests) - self.wanted).mean()))
        return found if np.isfinite(found) else float("inf")

    def update(self, client: int, weights: Floats) -> Floats:
        """What a client's training adds to the weights."""
        rows, targets = self.parts[client]
        is_bad = client >= self.clients - self.bad
        if is_bad and self.attack == ATTACKS[0]:
            targets = -targets
        trained = start = weights.astype(np.float64)
        for _ in range(STEPS):
            trained = trained - RATE * gradient(trained, rows, targets)
        return (start - trained) * BOOST if is_bad and self.attack == ATTACKS[1] else trained - start

    def contribute(self, site: int, work: Train, genesis: Genesis, entropy: bytes) -> Contribution:
        """Return a site's contribution to a simulated round."""
        weights, (rows, targets) = np.frombuffer(work.weights, "<f4").astype(np.float64), self.parts[site]
        self.seen[work.round] = self.rmse(weights)
        with np.errstate(all="ignore"):
            loss = float(np.square(outputs(weights, rows) - targets).sum())
            update = self.update(site, weights).astype(np.float32)
        return Contribution(len(rows), (float(len(rows)), loss), entropy, update if work.kind == "train" else None)
