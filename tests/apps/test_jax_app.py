"""Models of JAX as apps: as good as on the pooled rows, what is sent and what stays, and what is refused."""

import os
import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from averaging import federate
from sklearn.datasets import load_breast_cancer

from coterie.peer.learning.app import AppError
from coterie.peer.learning.learner import Learner

jax = pytest.importorskip("jax", reason="JAX is not installed")
optax = pytest.importorskip("optax", reason="Optax is not installed")
from coterie.apps.jax import JaxApp, Shuffled, accuracy  # noqa: E402

jnp = jax.numpy
DATA = load_breast_cancer()
ORDER = np.random.default_rng(0).permutation(len(DATA.data))
TEST, TRAIN = ORDER[:200], ORDER[200:]
RATE = partial(optax.sgd, 0.05, momentum=0.9)
MOMENTUM = 0.99
"""Of the running statistics, as Flax's BatchNorm has it."""


def network(seed: int = 0) -> Any:
    """BatchNorm of the inputs, 16 hidden units, two outputs; as Flax names them."""
    source = np.random.default_rng(seed)
    return {
        "params": {
            "scale": jnp.ones(30),
            "hidden": {"kernel": source.normal(size=(30, 16), scale=0.2).astype(np.float32), "bias": np.zeros(16)},
            "head": {"kernel": source.normal(size=(16, 2), scale=0.2).astype(np.float32), "bias": np.zeros(2)},
        },
        "batch_stats": {"mean": jnp.zeros(30), "var": jnp.ones(30)},
        "steps": jnp.zeros((), dtype=jnp.int32),
    }


def predict(variables: Any, inputs: Any) -> Any:
    params, statistics = variables["params"], variables["batch_stats"]
    standard = (inputs - statistics["mean"]) / jnp.sqrt(statistics["var"] + 1e-5) * params["scale"]
    hidden = jax.nn.relu(standard @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return hidden @ params["head"]["kernel"] + params["head"]["bias"]


def learn(variables: Any, inputs: Any, key: Any) -> Any:
    batch = {"mean": inputs.mean(axis=0), "var": inputs.var(axis=0)}
    old = variables["batch_stats"]
    moved = {name: MOMENTUM * old[name] + (1 - MOMENTUM) * batch[name] for name in batch}
    return predict(variables | {"batch_stats": batch}, inputs), {"batch_stats": moved}


def loss(outputs: Any, targets: Any) -> Any:
    return optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()


def batches(rows: np.ndarray, size: int = 16) -> Shuffled:
    return Shuffled(DATA.data[rows].astype(np.float32), DATA.target[rows], size)


def app(rows: np.ndarray = TRAIN, seed: int = 0, **options: Any) -> JaxApp:
    given = {"measure": accuracy, "final_metrics": ("accuracy",), "test": batches(TEST, 200), "learn": learn, **options}
    return JaxApp(network(seed), predict, batches(rows), loss, RATE, **given)


def test_a_network_with_batch_norm_is_within_one_percent_of_the_pooled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", random.Random(1).randbytes)  # the batches are drawn from it
    found = []
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(TRAIN)
        apps = [app(part, place) for place, part in enumerate(np.split(rows, [90, 210]))]
        weights, largest = federate(apps, 40)
        assert largest < 4, "though the running variances are as large as 300,000"
        pooled = app(rows, seed)
        alone, _ = federate([pooled], 40)
        each = [Learner(one).evaluate(weights).metrics[0] for one in apps]
        found.append((np.mean(each), Learner(pooled).evaluate(alone).metrics[0]))
    federated, together = np.mean(found, axis=0)
    assert federated >= together - 0.01
    assert together > 0.93


def test_statistics_and_whole_numbers_are_not_sent() -> None:
    one = app()
    names = ["head/bias", "head/kernel", "hidden/bias", "hidden/kernel", "scale"]
    assert [line.split()[0] for line in one.describe().split('"') if " float32" in line] == [
        f"params/{name}" for name in names
    ]
    assert [array.shape for array in one.initial()] == [(2,), (16, 2), (16,), (30, 16), (30,)]
    assert int(one.fitted(one.initial())["steps"]) == 0


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.99, 0.999])
def test_statistics_are_those_of_the_site_s_rows_whatever_their_momentum(
    momentum: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.MOMENTUM", momentum)
    one = app(TRAIN[:160])  # whole batches
    found = one.fitted(one.initial())["batch_stats"]
    np.testing.assert_allclose(found["mean"], DATA.data[TRAIN[:160]].mean(axis=0), rtol=1e-3)
    assert float(found["var"].max()) > 1e5


def test_an_evaluation_after_a_restart_is_that_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first = app()
    weights, _ = federate([first], 3)
    monkeypatch.setattr(os, "urandom", bytes)  # which rows come into one batch
    assert Learner(first).evaluate(weights).loss == Learner(app(seed=5)).evaluate(weights).loss


def test_leaves_that_are_not_shared_stay_at_their_site_and_are_kept(tmp_path: Path) -> None:
    parts = np.split(TRAIN, [200])
    apps = [app(part, seed, shared="params/hidden/*", kept=tmp_path / f"{seed}.npz") for seed, part in enumerate(parts)]
    weights, _ = federate(apps, 2)
    heads = [np.asarray(one.fitted(one.initial())["params"]["head"]["kernel"]) for one in apps]
    assert weights.size == 30 * 16 + 16
    assert not np.allclose(*heads)
    again = app(parts[0], seed=9, shared="params/hidden/*", kept=tmp_path / "0.npz")
    np.testing.assert_array_equal(again.fitted(again.initial())["params"]["head"]["kernel"], heads[0])
    with pytest.raises(AppError, match=r"0.npz: it holds the parameters {'params/head/bias': \(2,\), .* stay here are"):
        app(shared="params/h*", kept=tmp_path / "0.npz")


def test_a_list_of_plain_arrays_is_trained_by_a_function_of_predictions_alone() -> None:
    inputs = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    targets = inputs @ [1.0, -2.0, 0.5] + 3.0

    def line(variables: Any, rows: Any) -> Any:
        return rows @ variables[0] + variables[1]

    def square(outputs: Any, wanted: Any) -> Any:
        return jnp.square(outputs - wanted).mean()

    one = JaxApp([np.zeros(3), np.zeros(())], line, Shuffled(inputs, targets, 16), square, partial(optax.sgd, 0.1))
    weights, _ = federate([one], 20)
    np.testing.assert_allclose(weights, [1.0, -2.0, 0.5, 3.0], atol=1e-3)


def test_leaves_keep_their_types() -> None:
    half = JaxApp(
        {"w": jnp.ones((30, 2), dtype=jnp.bfloat16)},
        lambda variables, rows: rows @ variables["w"],
        batches(TRAIN),
        loss,
        partial(optax.sgd, 1e-5),
    )
    trained, _, _ = half.fit(half.initial(), 1)
    assert trained[0].dtype == np.float32
    assert half.fitted(trained)["w"].dtype == jnp.bfloat16


def test_batches_and_what_is_dropped_are_drawn_anew() -> None:
    one = app()
    first = one.initial()
    assert len({b"".join(array.tobytes() for array in one.fit(first, 1)[0]) for _ in range(3)}) == 3
    assert len({bytes(np.asarray(jax.random.key_data(one._key()))) for _ in range(3)}) == 3


def test_what_is_measured_is_the_mean_over_the_test_rows() -> None:
    one = app(metrics=("first",), measure=lambda outputs, targets: {"first": 2.0, **accuracy(outputs, targets)})
    value, rows, metrics = one.evaluate(one.initial())
    assert rows == len(TEST)
    assert metrics["first"] == 2.0
    assert 0 < metrics["accuracy"] < 1
    assert value > 0
    assert app(test=()).evaluate(one.initial())[1] == 0


def test_any_other_option_makes_another_description_and_other_rows_or_first_weights_do_not() -> None:
    assert app(TRAIN[:90], seed=4).describe() == app().describe()
    others = [app(epochs=2), app(shared="params/h*"), app(options={"scale": 3})]
    others.append(JaxApp(network(), predict, batches(TRAIN), loss, RATE, learn=lambda *given: learn(*given)))
    others.append(JaxApp(network(), predict, batches(TRAIN), loss, partial(optax.sgd, 0.1), learn=learn))
    others.append(JaxApp(network(), predict, batches(TRAIN), accuracy, RATE, learn=learn))
    assert len({one.describe() for one in (app(), *others)}) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"shared": ["params/scale", "tail*"]},
            r"shared: 'tail\*' matches no parameter; there are params/head/bias, par",
        ),
        ({"shared": []}, "nothing is, so there is nothing to train together"),
        ({"epochs": 0}, "epochs is 0: a whole number from 1 is needed"),
        ({"measure": None}, "accuracy: give `measure`, which measures that"),
        ({"learn": None}, "batch_stats/mean is a statistic: give `learn`, which computes it from a batch"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AppError, match=message):
        app(**options)


def test_a_loader_or_function_that_gives_something_else_is_told() -> None:
    wrong = JaxApp(network(), predict, [np.zeros(3)], loss, RATE, learn=learn)
    with pytest.raises(AppError, match="the loader gives a ndarray: pairs of inputs and targets are needed"):
        wrong.fit(wrong.initial(), 1)
    forgetful = app(learn=lambda variables, inputs, key: (predict(variables, inputs), {}))
    with pytest.raises(AppError, match=r"learn\(\) gave no new batch_stats/mean, only outputs"):
        forgetful.fitted(forgetful.initial())
    counting = app(learn=lambda variables, inputs, key: (0, {"batch_stats": {"mean": np.ones(30), "var": np.ones(30)}}))
    assert np.all(counting.fitted(counting.initial())["batch_stats"]["mean"] == 1)

    def sums(variables: Any, inputs: Any, key: Any) -> Any:
        return 0, {"batch_stats": {name: one + 1 for name, one in variables["batch_stats"].items()}}

    adding = app(learn=sums)
    with pytest.raises(AppError, match="batch_stats/mean is no running mean of finite numbers, as statistics have to"):
        adding.fitted(adding.initial())
    unmeasured = app(final_metrics=("recall",))
    with pytest.raises(AppError, match=r"measure\(\) gave no 'recall', only loss, accuracy"):
        unmeasured.evaluate(unmeasured.initial())
    with pytest.raises(AppError, match="two of the variables have one name"):
        JaxApp({"a": {"b": np.ones(2)}, "a/b": np.ones(2)}, predict, [], loss, RATE)


def test_fewer_rows_than_a_batch_make_one() -> None:
    inputs = np.arange(6).reshape(3, 2)
    (only,) = Shuffled(inputs, np.arange(3), 16)
    assert sorted(only[1].tolist()) == [0, 1, 2]
    assert np.array_equal(only[0], inputs[only[1]])


def test_a_module_of_flax_is_trained_with_its_own_batch_norm_and_dropout() -> None:
    nn = pytest.importorskip("flax.linen", reason="Flax is not installed")

    class Network(nn.Module):
        @nn.compact
        def __call__(self, inputs: Any, training: bool) -> Any:
            inputs = nn.BatchNorm(use_running_average=not training)(inputs)
            hidden = nn.Dropout(0.1, deterministic=not training)(nn.relu(nn.Dense(16)(inputs)))
            return nn.Dense(2)(hidden)

    module = Network()
    variables = module.init(jax.random.key(0), np.zeros((1, 30), dtype=np.float32), training=False)
    one = JaxApp(
        variables,
        lambda given, inputs: module.apply(given, inputs, training=False),
        batches(TRAIN),
        loss,
        RATE,
        learn=lambda given, inputs, key: module.apply(
            given, inputs, training=True, mutable=["batch_stats"], rngs={"dropout": key}
        ),
        test=batches(TEST, 200),
        measure=accuracy,
        final_metrics=["accuracy"],
    )
    weights, _ = federate([one], 10)
    assert Learner(one).evaluate(weights).metrics[0] > 0.9
