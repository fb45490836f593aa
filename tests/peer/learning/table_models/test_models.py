"""The networks' arithmetic, and that training them finds what is there to be found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.peer.learning.table_models.models import Network, Training, train

NETWORKS = [
    Network(3),
    Network(3, (5,)),
    Network(3, (5, 4)),
    Network(3, classes=2),
    Network(3, classes=4),
    Network(3, (5,), classes=3),
]
ids = repr


def some_data(network: Network, rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    inputs = random.normal(size=(rows, network.inputs))
    if network.classes:
        return inputs, random.integers(0, network.classes, rows)
    return inputs, random.normal(size=rows)


@pytest.mark.parametrize("network", NETWORKS, ids=ids)
def test_the_gradient_is_the_slope_of_the_mean_loss(network: Network) -> None:
    inputs, targets = some_data(network)
    random = np.random.default_rng(6)
    weights = [random.normal(size=array.shape) for array in network.initial(b"")]

    def loss() -> float:
        return float(network.losses(network.outputs(weights, inputs), targets).mean())

    for array, gradient in zip(weights, network.gradient(weights, inputs, targets), strict=True):
        for place in np.ndindex(array.shape):
            middle, step = array[place], 1e-5
            array[place] = middle + step
            above = loss()
            array[place] = middle - step
            below = loss()
            array[place] = middle
            assert gradient[place] == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("network", NETWORKS, ids=ids)
def test_the_initial_weights_follow_from_the_seed_alone(network: Network) -> None:
    first, again, other = network.initial(b"one"), network.initial(b"one"), network.initial(b"two")
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(array.dtype == np.float32 for array in first)
    if network.hidden:
        assert not np.array_equal(first[0], other[0])


def test_the_initial_weights_are_these_bits_on_every_machine() -> None:
    assert Network(2, (2,)).initial(b"pinned")[0].tobytes().hex() == "d2669cbf60e2703f8560883f24668fbf"


def test_log_losses_stay_finite_for_extreme_outputs() -> None:
    two, three = Network(1, classes=2), Network(1, classes=3)
    assert two.losses(np.array([[1e4], [-1e4]]), np.array([0, 0])).tolist() == [1e4, 0]
    assert three.losses(np.array([[1e4, 0, -1e4]]), np.array([2])).tolist() == [2e4]


def test_two_classes_cost_the_same_as_logistic_or_as_softmax() -> None:
    odds, targets = np.array([[0.3], [-2.0]]), np.array([1, 0])
    softmax = Network(1, classes=3)
    logits = np.column_stack([np.zeros(2), odds[:, 0], np.full(2, -1e9)])
    assert Network(1, classes=2).losses(odds, targets) == pytest.approx(softmax.losses(logits, targets))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "at least one input"),
        ((3, (4, 4, 4)), "at most 2 of 1 to 4096 units"),
        ((3, (0,)), "at most 2 of 1 to 4096 units"),
        ((3, (), 1), "at least two"),
    ],
)
def test_sizes_that_make_no_network_are_refused(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network(*arguments)


def seeded(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


def trained(network: Network, inputs: np.ndarray, targets: np.ndarray, rounds: int) -> np.ndarray:
    """The outputs on `inputs` after some rounds with the defaults."""
    weights = network.initial(b"")
    for round in range(1, rounds + 1):
        weights = train(network, weights, inputs, targets, Training.for_network(network), round, seeded(round))
    return network.outputs([array.astype(np.float64) for array in weights], inputs)


def test_a_linear_network_finds_the_least_squares_solution() -> None:
    random = np.random.default_rng(1)
    inputs = random.normal(size=(300, 4))
    targets = inputs @ np.array([0.5, -0.3, 0.1, 0.6]) + 0.1 + 0.2 * random.normal(size=300)
    design = np.column_stack([inputs, np.ones(300)])
    best = design @ np.linalg.lstsq(design, targets)[0]
    assert np.abs(trained(Network(4), inputs, targets, 15) - best[:, None]).max() < 0.03


@pytest.mark.parametrize("hidden", [(16,), (32, 16)])
def test_a_perceptron_finds_what_no_linear_model_can(hidden: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    inputs = random.normal(size=(1500, 4))
    targets = np.sin(2 * inputs[:, 0]) + inputs[:, 1] * inputs[:, 2]
    targets /= targets.std()
    assert np.square(trained(Network(4, hidden), inputs, targets, 15)[:, 0] - targets).mean() < 0.2


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_and_softmax_separate_what_is_separable(classes: int) -> None:
    random = np.random.default_rng(1)
    targets = random.integers(0, classes, 300)
    centres = 3 * np.array([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]])
    inputs = centres[targets] + random.normal(size=(300, 2))
    network = Network(2, classes=classes)
    assert (network.labels(trained(network, inputs, targets, 10)) == targets).mean() > 0.95


@pytest.mark.parametrize("network", NETWORKS, ids=ids)
def test_training_follows_from_its_batches_and_leaves_its_arguments_as_they_are(network: Network) -> None:
    inputs, targets = some_data(network)
    start = network.initial(b"")
    before = [array.copy() for array in start]
    results = [train(network, start, inputs, targets, Training(), 3, seeded(9)) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(start, before, strict=True))
    assert all(array.dtype == np.float32 for array in results[0])


def test_training_without_rows_changes_nothing() -> None:
    start = Network(3).initial(b"")
    after = train(Network(3), start, np.zeros((0, 3)), np.zeros(0), Training(), 1, seeded(0))
    assert all(np.array_equal(a, b) for a, b in zip(start, after, strict=True))


@given(network=st.sampled_from(NETWORKS), outlier=st.floats(-1e6, 1e6), row=st.integers(0, 39))
def test_a_round_changes_no_weight_by_4_or_more_whatever_one_row_holds(
    network: Network, outlier: float, row: int
) -> None:
    inputs, targets = some_data(network)
    inputs[row] = outlier
    start = network.initial(b"")
    after = train(network, start, inputs, targets, Training.for_network(network), 1, seeded(0))
    assert max(float(np.abs(b - a).max()) for a, b in zip(start, after, strict=True)) < 4
