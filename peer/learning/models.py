"""Feed-forward networks in numpy, with their training: linear regression, perceptrons, logistic and softmax.

One shape covers them all: layers of weights and biases, tanh between them, and a head that is either one
number (trained on the mean squared error) or classes (trained on the log loss). Without hidden layers this is
the neural network for linear regression, or logistic regression. Inputs and a numeric target are expected
standardised.

Every array that stands for weights is a list `[W_1, b_1, W_2, b_2, ...]`, W_l of shape (inputs, outputs).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Network", "Training", "train"]

Arrays = list[npt.NDArray[np.float32]]
Matrix = npt.NDArray[np.float64]
Targets = npt.NDArray[np.float64] | npt.NDArray[np.intp]

MAX_LAYERS: Final = 2
MAX_UNITS: Final = 4096


@dataclass(frozen=True, slots=True)
class Network:
    """The architecture: `inputs` numbers in, `hidden` layers of tanh units, a head of one value or of
    `classes`.

    Raises ValueError for sizes that make no network.
    """

    inputs: int
    hidden: tuple[int, ...] = ()
    classes: int = 0
    """0: one value; otherwise at least 2. Two classes share one output, the log odds of the second."""

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

    def gradient(self, weights: list[Matrix], inputs: Matrix, targets: Targets) -> list[Matrix]:
        """The gradient of the mean loss over the rows, by back-propagation, in the shapes of `weights`."""
        layers = self._activations(weights, inputs)
        slope = self._slope(layers[-1], targets) / len(inputs)
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
class Training:
    """How one round of local training goes. The defaults keep every weight's change in a round below 4.

    All peers take the same number of steps, whatever the size of their tables: otherwise the large ones would
    weigh more in the average than their examples say (Wang et al., arXiv 2007.07481).
    """

    method: Literal["momentum", "adam"] = "momentum"
    rate: float = 0.01
    steps: int = 50
    batch_rows: int = 64
    """Smallest batch. A large table takes larger ones, so that a round sees every row about once."""
    slowing: float = 0.3
    """In round r the rate is divided by sqrt(1 + slowing (r - 1)), so that averages settle."""
    decay: float = 1e-4
    """Pulls weights (not biases) to zero, so that separable classes do not send them to infinity."""
    max_gradient: float = 4.0
    """Longest gradient taken as it is: one absurd row must not undo a round."""

    @classmethod
    def for_network(cls, network: Network) -> "Training":
        """Defaults that suit the network: momentum without hidden layers; Adam and more decay with them."""
        if network.hidden:
            return cls(method="adam", rate=0.005, decay=0.01)
        return cls(rate=0.01 if network.classes == 0 else 0.05)


def train(
    network: Network,
    start: Arrays,
    inputs: Matrix,
    targets: Targets,
    training: Training,
    round: int,
    random: np.random.Generator,
) -> Arrays:
    """Weights after one round of mini-batch gradient descent from `start`, which stays as it is.

    `inputs` has shape (rows, columns), `targets` (rows,); without rows the weights stay. `random` chooses the batches:
    seeded by the operating system in a peer, and by a number where a run is to be repeated.
    """
    weights = [array.astype(np.float64) for array in start]
    rows = len(inputs)
    if rows:
        optimiser = _Optimiser(training, round, weights)
        for chosen in _batches(rows, training, random):
            optimiser.step(weights, network.gradient(weights, inputs[chosen], targets[chosen]))
    return [array.astype(np.float32) for array in weights]


def _batches(rows: int, training: Training, random: np.random.Generator) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the row numbers of each step: equal batches without replacement, shuffled anew when used up."""
    size = min(rows, max(training.batch_rows, -(-rows // training.steps)))
    order, begin = random.permutation(rows), 0
    for _ in range(training.steps):
        if begin + size > rows:
            order, begin = random.permutation(rows), 0
        yield order[begin : begin + size]
        begin += size


class _Optimiser:
    """Gradient descent with momentum (Polyak 1964), or Adam (Kingma and Ba, arXiv 1412.6980, Algorithm 1)."""

    def __init__(self, training: Training, round: int, weights: list[Matrix]) -> None:
        self._training = training
        self._rate = training.rate / np.sqrt(1 + training.slowing * max(0, round - 1))
        self._first = [np.zeros_like(array) for array in weights]
        self._second = [np.zeros_like(array) for array in weights]
        self._steps = 0

    def step(self, weights: list[Matrix], gradient: list[Matrix]) -> None:
        """Move `weights` in place."""
        for array, slope in zip(weights, gradient, strict=True):
            if array.ndim == 2:
                slope += self._training.decay * array
        norm = np.sqrt(sum(float(np.square(slope).sum()) for slope in gradient))
        if norm > self._training.max_gradient:
            gradient = [slope * (self._training.max_gradient / norm) for slope in gradient]
        self._steps += 1
        for array, slope, first, second in zip(weights, gradient, self._first, self._second, strict=True):
            if self._training.method == "momentum":
                first *= 0.9
                first += slope
                array -= self._rate * first
            else:
                first += 0.1 * (slope - first)
                second += 0.001 * (np.square(slope) - second)
                mean = first / (1 - 0.9**self._steps)
                spread = second / (1 - 0.999**self._steps)
                array -= self._rate * mean / (np.sqrt(spread) + 1e-8)
