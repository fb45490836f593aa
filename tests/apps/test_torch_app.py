"""Modules of PyTorch as apps: as good as on the pooled rows, what is sent and what stays, and what is refused."""

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

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from coterie.apps.torch import TorchApp, accuracy  # noqa: E402

nn = torch.nn
DATA = load_breast_cancer()
ORDER = np.random.default_rng(0).permutation(len(DATA.data))
TEST, TRAIN = ORDER[:200], ORDER[200:]
RATE = partial(torch.optim.SGD, lr=0.02, momentum=0.9)
LOSS = nn.functional.cross_entropy


def network(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return nn.Sequential(nn.BatchNorm1d(30), nn.Linear(30, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))


def batches(rows: np.ndarray, *, drop_last: bool = True) -> Any:
    inputs = torch.tensor(DATA.data[rows], dtype=torch.float32)
    pairs = torch.utils.data.TensorDataset(inputs, torch.tensor(DATA.target[rows]))
    return torch.utils.data.DataLoader(pairs, batch_size=16, shuffle=True, drop_last=drop_last)


def app(rows: np.ndarray = TRAIN, seed: int = 0, **options: Any) -> TorchApp:
    given = {"measure": accuracy, "final_metrics": ("accuracy",), "test": batches(TEST, drop_last=False), **options}
    return TorchApp(network(seed), batches(rows), LOSS, RATE, **given)


def test_a_network_with_batch_norm_is_within_one_percent_of_the_pooled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", random.Random(1).randbytes)  # the batches are drawn from it
    found = []
    for seed in range(4):
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


def test_no_buffer_is_sent_and_statistics_are_those_of_the_site_s_rows() -> None:
    one = app()
    assert [array.shape for array in one.initial()] == [(30,), (30,), (16, 30), (16,), (16,), (16,), (2, 16), (2,)]
    model = one.fitted(one.initial())
    # The loader leaves the last rows out, which are too few for a batch, others each time.
    np.testing.assert_allclose(model[0].running_mean, DATA.data[TRAIN].mean(axis=0), rtol=0.05)
    assert float(model[0].running_var.max()) > 1e4


def test_an_evaluation_after_a_restart_is_that_without_one() -> None:
    rows = TRAIN[:160]  # whole batches
    first = app(rows)
    weights, _ = federate([first], 3)
    second = app(rows, seed=5)
    losses = []
    for one in (first, second):
        torch.manual_seed(1)  # which rows come into one batch
        losses.append(Learner(one).evaluate(weights).loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_layers_that_are_not_shared_stay_at_their_site_and_are_kept(tmp_path: Path) -> None:
    parts = np.split(TRAIN, [200])
    apps = [app(part, seed, shared=["1.*", "2.*"], kept=tmp_path / f"{seed}.npz") for seed, part in enumerate(parts)]
    weights, _ = federate(apps, 2)
    heads = [one._model[4].weight.detach().numpy().copy() for one in apps]
    assert weights.size == 30 * 16 + 16 + 16 + 16
    assert not np.allclose(*heads)
    again = app(parts[0], seed=9, shared=["1.*", "2.*"], kept=tmp_path / "0.npz")
    np.testing.assert_array_equal(again._model[4].weight.detach().numpy(), heads[0])
    assert not (tmp_path / "0.npz.new").exists()


def test_a_file_of_other_layers_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "kept.npz", head=np.zeros(3))
    with pytest.raises(AppError, match=r"kept.npz: it holds the parameters {'head': \(3,\)}, and those that stay here"):
        app(shared="1.*", kept=tmp_path / "kept.npz")
    (tmp_path / "kept.npz").write_text("nothing")
    with pytest.raises(AppError, match=r"kept.npz: the parameters that stay here cannot be read"):
        app(shared="1.*", kept=tmp_path / "kept.npz")


def test_batches_are_drawn_anew_whatever_the_seed() -> None:
    one = app()
    updates = set()
    for _ in range(3):
        torch.manual_seed(0)
        updates.add(b"".join(array.tobytes() for array in one.fit(one.initial(), 1)[0]))
        one._put(app().initial())
    assert len(updates) == 3


def test_what_is_measured_is_the_mean_over_the_test_rows() -> None:
    one = app(metrics=("first",), measure=lambda outputs, targets: {"first": 2.0, **accuracy(outputs, targets)})
    loss, rows, metrics = one.evaluate(one.initial())
    assert rows == len(TEST)
    assert metrics["first"] == 2.0
    assert 0 < metrics["accuracy"] < 1
    assert loss > 0
    assert app(test=()).evaluate(one.initial())[1] == 0


def test_any_other_option_makes_another_description_and_other_rows_or_first_weights_do_not() -> None:
    assert app(TRAIN[:90], seed=4).describe() == app().describe()
    others = [app(epochs=2), app(shared="1.*"), app(options={"scale": 3})]
    others.append(TorchApp(network(), batches(TRAIN), LOSS, partial(torch.optim.SGD, lr=0.1)))
    others.append(TorchApp(network(), batches(TRAIN), nn.functional.multi_margin_loss, RATE))
    others.append(TorchApp(nn.Sequential(nn.Linear(30, 2)), batches(TRAIN), LOSS, RATE))
    assert len({one.describe() for one in (app(), *others)}) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"shared": ["1.*", "head.*"]},
            r"shared: 'head.\*' matches no parameter; there are 0.weight, 0.bias, 1.weight",
        ),
        ({"shared": []}, "nothing is, so there is nothing to train together"),
        ({"epochs": 0}, "epochs is 0: a whole number from 1 is needed"),
        ({"measure": None}, "accuracy: give `measure`, which measures that"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AppError, match=message):
        app(**options)


def test_a_loader_or_measure_that_gives_something_else_is_told() -> None:
    with pytest.raises(AppError, match="a torch.nn.Module is needed, not a str"):
        TorchApp("model", batches(TRAIN), LOSS, RATE)
    wrong = TorchApp(nn.Linear(30, 2), [torch.zeros(3)], LOSS, RATE)
    with pytest.raises(AppError, match="the loader gives a Tensor: pairs of inputs and targets are needed"):
        wrong.fit(wrong.initial(), 1)
    unmeasured = app(final_metrics=("recall",))
    with pytest.raises(AppError, match=r"measure\(\) gave no 'recall', only loss, accuracy"):
        unmeasured.evaluate(unmeasured.initial())
