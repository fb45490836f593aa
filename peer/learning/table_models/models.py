"""Feed-forward networks in numpy, with their training: linear regression, perceptrons, logistic and softmax.

One shape covers them all: layers of weights and biases, tanh between them, and a head that is either one
number (trained on the mean squared error) or classes (trained on the log loss). Without hidden layers this is
the neural network for linear regression, or logistic regression. Inputs and a numeric target have to be
standardised.

Weights are always a list `[W_1, b_1, W_2, b_2, ...]`, with W_l of shape (inputs, outputs) and b_l of shape (outputs,).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from .drift import Drift, Matrix

__all__ = ["Hyperparameters", "Network", "Training", "train"]

Arrays = list[npt.NDArray[np.float32]]
Targets = npt.NDArray[np.float64] | npt.NDArray[np.intp]

MAX_LAYERS: Final = 2
MAX_UNITS: Final = 4096

SLOWEST_RATE: Final = 1e-9
FASTEST_RATE: Final = 10
MAX_STEPS: Final = 100_000
MAX_BATCH_ROWS: Final = 1_000_000
"""Bounds of what a founder chooses: nothing that it says keeps a member at work for ever."""

_MOMENTUM: Final = 0.9
_CAREFUL: Final = 0.3
"""Factor of the rate in a round in which a member does not know yet how its gradient differs from everybody's."""


@dataclass(frozen=True, slots=True)
class Network:
    """The architecture: `inputs` numbers in, `hidden` layers of tanh units, a head of one value or of `classes`.

    Raises ValueError for sizes that make no network.
    """

    inputs: int
    hidden: tuple[int, ...] = ()
    classes: int = 0
    """0 for one value, otherwise at least 2. Two classes share one output, the log odds of the second."""

    def __post_init__(self) -> None:
        if self.inputs < 1:
            raise ValueError("a network needs at least one input column")
        if len(self.hidden) > MAX_LAYERS or not all(1 <= units <= MAX_UNITS for units in self.hidden):
            raise ValueError(f"hidden layers: at most {MAX_LAYERS} of 1 to {MAX_UNITS} units, not {list(self.hidden)}")
        if self.classes == 1 or self.classes < 0:
            raise ValueError("classes: at least two are needed")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, the inputs first."""
        outputs = 1 if self.classes <= 2 else self.classes
        return (self.inputs, *self.hidden, outputs)

    def initial(self, seed: bytes) -> Arrays:
        """The weights to begin with, the same bits everywhere: they come from SHAKE-256 of `seed`.

        Hidden layers are uniform as in Glorot and Bengio (2010); the last one is zero, so a network without
        hidden layers begins at zero and any other with the same answer for all inputs.
        """
        arrays: Arrays = []
        for layer, (rows, columns) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            weights = np.zeros((rows, columns), dtype=np.float32)
            if layer < len(self.hidden):
                stream = hashlib.shake_256(b"coterie/1/initial|%d|" % layer + seed).digest(4 * rows * columns)
                whole = np.frombuffer(stream, dtype="<u4") >> 8
                uniform = whole.astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
                weights = uniform.reshape(rows, columns) * np.float32(np.sqrt(6 / (rows + columns)))
            arrays += [weights, np.zeros(columns, dtype=np.float32)]
        return arrays

    def outputs(self, weights: list[Matrix], inputs: Matrix) -> Matrix:
        """The head's raw values, shape (rows, outputs): standardised predictions, log odds, or logits."""
        return self._activations(weights, inputs)[-1]

    def losses(self, outputs: Matrix, targets: Targets) -> Matrix:
        """The loss of each row: squared error, or log loss in nats. Shape (rows,)."""
        if self.classes == 0:
            return np.square(outputs[:, 0] - targets)
        if self.classes == 2:
            return np.logaddexp(0, outputs[:, 0]) - outputs[:, 0] * targets
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        chosen = shifted[np.arange(len(targets)), targets.astype(np.intp)]
        total: Matrix = np.log(np.exp(shifted).sum(axis=1)) - chosen
        return total

    def labels(self, outputs: Matrix) -> npt.NDArray[np.intp]:
        """The likeliest class of each row, shape (rows,)."""
        if self.classes == 2:
            return (outputs[:, 0] > 0).astype(np.intp)
        labels: npt.NDArray[np.intp] = outputs.argmax(axis=1)
        return labels

    def probabilities(self, outputs: Matrix) -> Matrix:
        """The probability of each class, shape (rows, classes)."""
        if self.classes == 2:
            second = 0.5 * (1 + np.tanh(0.5 * outputs))  # 1 / (1 + exp(-x)), without its overflow
            return np.concatenate([1 - second, second], axis=1)
        odds: Matrix = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        return odds

    def gradient(
        self, weights: list[Matrix], inputs: Matrix, targets: Targets, class_weights: Matrix | None = None
    ) -> list[Matrix]:
        """The gradient of the mean loss over the rows, by back-propagation, in the shapes of `weights`.

        `class_weights`: factor of the loss of each class's rows, shape (classes,).
        """
        layers = self._activations(weights, inputs)
        slope = self._slope(layers[-1], targets) / len(inputs)
        if class_weights is not None:
            slope *= class_weights[targets.astype(np.intp), None]
        gradient: list[Matrix] = []
        for layer in range(len(self.sizes) - 2, -1, -1):
            gradient[:0] = [layers[layer].T @ slope, slope.sum(axis=0)]
            if layer:
                slope = (slope @ weights[2 * layer].T) * (1 - np.square(layers[layer]))
        return gradient

    def _activations(self, weights: list[Matrix], inputs: Matrix) -> list[Matrix]:
        """What leaves each layer, the inputs first."""
        layers = [inputs]
        last = len(self.sizes) - 2
        for layer in range(last + 1):
            raw = layers[-1] @ weights[2 * layer] + weights[2 * layer + 1]
            layers.append(raw if layer == last else np.tanh(raw))
        return layers

    def _slope(self, outputs: Matrix, targets: Targets) -> Matrix:
        """The derivative of each row's loss by the head's raw values, shape (rows, outputs)."""
        if self.classes == 0:
            return 2 * (outputs - targets[:, None])
        if self.classes == 2:
            odds: Matrix = 0.5 * (1 + np.tanh(0.5 * outputs)) - targets[:, None]
            return odds
        slope: Matrix = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        slope /= slope.sum(axis=1, keepdims=True)
        slope[np.arange(len(targets)), targets.astype(np.intp)] -= 1
        return slope


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a founder may choose of the training, for all members; None: the default, which suits the network.

    Raises ValueError for numbers with which nobody could train.
    """

    learning_rate: float | None = None
    steps: int | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("learning-rate", self.learning_rate, SLOWEST_RATE, FASTEST_RATE),
            ("steps", self.steps, 1, MAX_STEPS),
            ("batch", self.batch, 1, MAX_BATCH_ROWS),
        ):
            if value is not None and not least <= value <= most:  # written so that NaN is refused, too
                raise ValueError(f"--{name}: from {least:g} to {most:,}, not {value:g}")


@dataclass(frozen=True, slots=True)
class Training:
    """How one round of local training goes: gradient descent with momentum (Polyak 1964).

    All peers take the same number of steps, whatever the size of their tables: otherwise the large ones would
    weigh more in the average than their examples say (Wang et al., arXiv 2007.07481).
    """

    rate: float = 0.01
    steps: int = 50
    batch_rows: int = 64
    """Smallest batch. A large table takes larger ones, so that a round sees every row about once."""
    slowing: float = 0.3
    """In round r the rate is divided by sqrt(1 + slowing (r - 1)), so that averages settle."""
    ridge: float = 0.4
    """Pulls weights (not biases) to zero, so that separable classes do not send them to infinity: the penalty on half
    their squares, beside the sum of the losses of all members' rows (1 / C in scikit-learn)."""
    max_gradient: float = 4.0
    """Longest gradient that is taken as it is; a longer one is shortened. One absurd row must not undo a round."""
    max_change: float = 3.9
    """Largest change of a weight in a round, just below the default of --clip. If one is larger, the changes of all
    weights are scaled down alike, so that their direction stays."""
    class_weights: tuple[float, ...] = ()
    """Factor of the loss of each class's rows; none: all count alike. The sum is divided by the number of rows and not
    by the sum of their factors: otherwise a member with few rows of a heavy class would pull them harder than one with
    many."""

    @classmethod
    def for_network(cls, network: Network, chosen: Hyperparameters | None = None) -> "Training":
        """Return how to train a network: with what was chosen, and the defaults for the rest."""
        plan, wanted = cls._defaults(network), chosen or Hyperparameters()
        return replace(
            plan,
            rate=plan.rate if wanted.learning_rate is None else wanted.learning_rate,
            steps=plan.steps if wanted.steps is None else wanted.steps,
            batch_rows=plan.batch_rows if wanted.batch is None else wanted.batch,
        )

    @classmethod
    def _defaults(cls, network: Network) -> "Training":
        """Defaults that suit the network: more and longer steps with hidden layers, shorter ones for wide tables.

        Without hidden layers the loss is at most as curved as where all columns move together, and descent with this
        momentum is stable up to a rate of almost 4 / curvature. With hidden layers the bound comes from experience.
        """
        if network.hidden:
            rate = min(0.1, 6 / max(network.sizes[:-1]))
            return cls(rate=rate, steps=200, slowing=1.0, ridge=1.0)
        curvature = (2.0 if network.classes == 0 else 0.25 if network.classes == 2 else 0.5) * (network.inputs + 1)
        return cls(rate=min(0.1 if network.classes else 0.02, 2 / curvature))


def train(
    network: Network,
    start: Arrays,
    inputs: Matrix,
    targets: Targets,
    training: Training,
    round: int,
    random: np.random.Generator,
    drift: Drift | None = None,
    rows_of_all: int = 0,
    is_over: Callable[[], bool] = lambda: False,
) -> Arrays:
    """Weights after one round of mini-batch gradient descent from `start`, which stays as it is.

    Args:
        network: the architecture.
        start: the weights to begin with.
        inputs: standardised, shape (rows, columns); without rows the weights stay.
        targets: standardised numbers or codes of classes, shape (rows,).
        training: how to train.
        round: its number, by which the rate is slowed.
        random: chooses the batches. A peer seeds it from the operating system, a run to be repeated by a number.
        drift: what this member remembers of its rounds; None if it trains alone, or otherwise than the others.
        rows_of_all: training rows of all members; 0 for `inputs` alone.
        is_over: asked after each step; True ends the round there. Members that take different numbers of steps have no
            `drift`, which relies on equal ones.
    """
    first = [array.astype(np.float64) for array in start]
    rows = len(inputs)
    if not rows:
        return [array.astype(np.float32) for array in first]
    rate = training.rate / np.sqrt(1 + training.slowing * max(0, round - 1))
    correction = None if drift is None else drift.correction(first, round)
    if drift is not None and correction is None:
        rate *= _CAREFUL
    descent = _Descent(training, rate, training.ridge / (rows_of_all or rows), first, correction)
    factors = np.array(training.class_weights) if training.class_weights else None
    for chosen in _batches(rows, training, random):
        descent.step(network.gradient(descent.weights, inputs[chosen], targets[chosen], factors))
        if is_over():
            break
    if drift is not None:
        drift.remember(round, first, descent.mean_gradient(), descent.reach)
    return [array.astype(np.float32) for array in descent.within(training.max_change)]


def _batches(rows: int, training: Training, random: np.random.Generator) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the row numbers of each step: equal batches without replacement, shuffled anew when used up."""
    size = min(rows, max(training.batch_rows, -(-rows // training.steps)))
    order, begin = random.permutation(rows), 0
    for _ in range(training.steps):
        if begin + size > rows:
            order, begin = random.permutation(rows), 0
        yield order[begin : begin + size]
        begin += size


class _Descent:
    """Gradient descent with momentum from `start`, on the loss with a penalty on the weights."""

    def __init__(
        self, training: Training, rate: float, decay: float, start: list[Matrix], correction: list[Matrix] | None
    ) -> None:
        self.weights = [array.copy() for array in start]
        self.reach = 0.0
        """How far the weights move by a gradient that is the same in all steps."""
        self._start, self._correction = start, correction
        self._steps_left, self._longest, self._rate, self._decay = training.steps, training.max_gradient, rate, decay
        self._velocity = [np.zeros_like(array) for array in start]
        self._pull = [np.zeros_like(array) for array in start]

    def step(self, gradient: list[Matrix]) -> None:
        """Move the weights by the gradient of a batch."""
        for array, slope in zip(self.weights, gradient, strict=True):
            if array.ndim == 2:
                slope += self._decay * array
        norm = np.sqrt(sum(float(np.square(slope).sum()) for slope in gradient))
        if norm > self._longest:
            gradient = [slope * (self._longest / norm) for slope in gradient]
        # With momentum a gradient moves the weights in its own step and, less and less, in all that are left.
        share = self._rate * (1 - _MOMENTUM**self._steps_left) / (1 - _MOMENTUM)
        self._steps_left -= 1
        self.reach += share
        for pull, slope in zip(self._pull, gradient, strict=True):
            pull += share * slope
        corrected = gradient if self._correction is None else map(np.add, gradient, self._correction)
        for array, velocity, slope in zip(self.weights, self._velocity, corrected, strict=True):
            velocity *= _MOMENTUM
            velocity += slope
            array -= self._rate * velocity

    def mean_gradient(self) -> list[Matrix]:
        """The mean of all gradients, each weighted by how far it moved the weights; without the correction."""
        return [pull / self.reach for pull in self._pull]

    def within(self, limit: float) -> list[Matrix]:
        """The weights; if one has changed by more than the limit, all are moved back towards the start alike."""
        changes = [array - first for array, first in zip(self.weights, self._start, strict=True)]
        largest = max(float(np.abs(change).max()) for change in changes)
        if largest <= limit:
            return self.weights
        return [first + change * (limit / largest) for first, change in zip(self._start, changes, strict=True)]
