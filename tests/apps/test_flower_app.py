"""Projects of Flower as apps: their training, the arrays that are sent and that stay, and refusals."""

import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from averaging import federate

from coterie.peer.learning.app import AppError, is_flower
from coterie.peer.learning.learner import Learner

pytest.importorskip("flwr", reason="Flower is not installed: docs/apps.md has the line for it")
from coterie.apps.flower import FlowerApp
from coterie.apps.flower_plan import read_project

PROJECTS = Path(__file__).parent / "flower"
EXAMPLE = Path(__file__).parents[2] / "examples" / "flower_project"


@pytest.fixture(autouse=True)
def _modules_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test imports the modules of its own copy of a project."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [one for one in sys.modules if one.split(".")[0] in ("quick_messages", "quick_legacy", "tumours")]:
        del sys.modules[name]


def project(folder: Path, kind: str, **changes: str) -> Path:
    """A copy of a project with other values in its pyproject.toml."""
    shutil.copytree(PROJECTS / kind, folder)
    text = (folder / "pyproject.toml").read_text()
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_a_project_of_scikit_learn_learns_with_messages() -> None:
    apps = [FlowerApp(EXAMPLE, f"partition-id={site} num-partitions=3") for site in range(3)]
    assert {app.describe() for app in apps} == {apps[0].describe()}
    assert is_flower(apps[0].describe())
    before = [Learner(app).evaluate(Learner(apps[0]).initial()) for app in apps]
    weights, _ = federate(apps, 5)
    after = [Learner(app).evaluate(weights) for app in apps]
    assert np.mean([one.loss for one in after]) < 0.3 * np.mean([one.loss for one in before])
    assert apps[0].final_metrics == ("accuracy",)
    assert np.mean([one.metrics[0] for one in after]) > 0.93


def test_a_state_is_averaged_by_names_and_statistics_stay(tmp_path: Path) -> None:
    folder = project(tmp_path / "app", "messages")
    apps = [FlowerApp(folder, f"goal={goal}") for goal in (1, 2)]
    weights, largest = federate(apps, 2)
    # Halfway to the goals' mean by 10 and 20 examples, twice: 5/3 * (1/2 + 1/4).
    np.testing.assert_allclose(weights, np.full(6, 1.25), rtol=1e-6)
    assert largest <= 1
    measured = [app.evaluate([weights.reshape(3, 2)]) for app in apps]
    assert [one[2]["mean"] for one in measured] == [1000.0, 2000.0], "each site's own"
    assert measured[0][:2] == (pytest.approx(0.25**2), 5)
    assert [array.shape for array in apps[0].initial()] == [(3, 2)]


def test_the_metrics_of_a_training_are_numbers_and_the_context_counts_rounds(tmp_path: Path) -> None:
    app = FlowerApp(project(tmp_path / "app", "messages"), "goal=1")
    for round in (1, 2, 3):
        _, examples, metrics = app.fit(app.initial(), round)
    assert examples == 10
    assert metrics == {"train_loss": 0.5, "rounds": 3.0}
    assert dict(app._context.state["seen"]) == {"rounds": 3, "last": 3}


def test_the_context_and_what_stays_outlast_a_restart(tmp_path: Path) -> None:
    folder, home = project(tmp_path / "app", "messages"), tmp_path / "home" / "app"
    home.parent.mkdir()
    first = FlowerApp(folder, "goal=3")
    first.keep_in(home)
    assert not home.exists(), "nothing is kept yet"
    first.fit(first.initial(), 1)
    second = FlowerApp(folder, "goal=3")
    second.keep_in(home)
    assert second.evaluate(second.initial())[2]["mean"] == 3000.0
    assert second.fit(second.initial(), 2)[2]["rounds"] == 2.0
    assert sorted(path.name for path in home.iterdir()) == ["arrays.npz", "state.bin"]


@pytest.mark.parametrize(("named", "first"), [("false", [0.25, 0.75]), ("true", [0.5, 0.0])])
def test_a_numpy_client_begins_where_its_server_or_its_client_says(
    tmp_path: Path, named: str, first: list[float]
) -> None:
    change = {"names-first-weights = false": f"names-first-weights = {named}"}
    app = FlowerApp(project(tmp_path / "app", "legacy", **change), "partition-id=0")
    assert [float(array.ravel()[0]) for array in app.initial()] == first
    weights, _ = federate([app], 8)
    np.testing.assert_allclose(weights, [2.0, 1.0], atol=0.1)
    assert app.fit(app.initial(), 7)[1:] == (40, {"round": 7.0})


def test_other_configurations_make_other_descriptions(tmp_path: Path) -> None:
    copies = [
        project(tmp_path / "1", "messages"),
        project(tmp_path / "2", "messages", **{"num-server-rounds = 3": "num-server-rounds = 4"}),
        project(tmp_path / "3", "messages", **{'version = "0.2.0"': 'version = "0.3.0"'}),
        project(tmp_path / "4", "messages", **{'strategy = "FedAvg"': 'strategy = "FedProx"'}),
    ]
    assert len({FlowerApp(one, "goal=1").describe() for one in copies}) == 4
    assert FlowerApp(copies[0], "goal=2").describe() == FlowerApp(copies[0], "goal=1").describe()


def test_fedprox_tells_its_clients_the_proximal_term(tmp_path: Path) -> None:
    folder = project(tmp_path / "app", "messages", **{'strategy = "FedAvg"': 'strategy = "FedProx"'})
    assert '"train":{"lr":0.5,"proximal-mu":0.0,"server-round":1}' in FlowerApp(folder, "goal=1").describe()


@pytest.mark.parametrize("strategy", ["FedAdam", "FedMedian", "Krum", "FedAvgM", "Halving"])
def test_another_strategy_is_refused_by_name(tmp_path: Path, strategy: str) -> None:
    folder = project(tmp_path / "app", "messages", **{'strategy = "FedAvg"': f'strategy = "{strategy}"'})
    server = (folder / "quick_messages" / "server_app.py").read_text()
    if strategy != "Halving":
        server = server.replace("(fraction_train=0.5)", "()")
    (folder / "quick_messages" / "server_app.py").write_text(server)
    with pytest.raises(AppError, match=f"the strategy {strategy} would be lost: .* take FedAvg or FedProx"):
        FlowerApp(folder, "goal=1")


def test_another_strategy_of_the_older_api_is_refused_by_name(tmp_path: Path) -> None:
    folder = project(
        tmp_path / "app",
        "legacy",
        **{
            'strategy = "FedAvg"': 'strategy = "FedYogi"',
            "names-first-weights = false": "names-first-weights = true",
        },
    )
    with pytest.raises(AppError, match="the strategy FedYogi would be lost"):
        FlowerApp(folder, "partition-id=1")


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    path = folder / "quick_messages" / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("server_app.py", "    strategy.start(", "    dict(", "ended without starting a strategy"),
        (
            "server_app.py",
            "    strategy.start(",
            "    grid.get_node_ids()\n    dict(",
            r"calls grid.get_node_ids\(\) it",
        ),
        (
            "client_app.py",
            '"eval_loss": ',
            '"eval_error": ',
            "gives eval_error, eval_acc, mean: one of them is to",
        ),
        ("client_app.py", '        "num-examples": 5,\n', "", "needs one MetricRecord with 'num-examples', and has"),
    ],
)
def test_a_project_that_cannot_be_trained_is_refused_with_the_reason(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    folder = changed(project(tmp_path / "app", "messages"), file, old, new)
    with pytest.raises(AppError, match=message):
        FlowerApp(folder, "goal=1")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"metrics": metrics', '"more": record, "metrics": metrics', "reply holds 2 ArrayRecords: one is needed"),
        ("for name, one in arrays.items()})", "for name, one in list(arrays.items())[1:]})", "was given the arrays {"),
    ],
)
def test_a_reply_that_is_no_update_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    app = FlowerApp(changed(project(tmp_path / "app", "messages"), "client_app.py", old, new), "goal=1")
    with pytest.raises(AppError, match=message):
        app.fit(app.initial(), 1)


def test_a_project_without_evaluation_has_no_metrics(tmp_path: Path) -> None:
    folder = changed(project(tmp_path / "app", "messages"), "client_app.py", "@app.evaluate()\n", "")
    app = FlowerApp(folder, "goal=1")
    assert app.evaluate(app.initial()) == (0.0, 0, {})
    assert app.final_metrics == ()


def test_what_a_client_asks_of_its_node_and_does_not_find_is_named(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="asks for 'goal' of its node; give each site its own: --node-config 'goal=…'"):
        FlowerApp(project(tmp_path / "app", "messages"))


@pytest.mark.parametrize("text", ["goal=", "goal=1 twice", "goal=1 goal=2", "goal=north"])
def test_a_configuration_of_the_node_that_is_no_list_of_pairs_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AppError, match=f"--node-config '{text}': "):
        FlowerApp(project(tmp_path / "app", "messages"), text)


def test_a_folder_without_a_project_is_named(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="the pyproject.toml of a Flower project is needed: .*No such file"):
        read_project(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    with pytest.raises(AppError, match="pyproject.toml: it lacks 'tool', which a Flower project has"):
        read_project(tmp_path)


def test_what_needs_a_server_is_told(tmp_path: Path, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING, logger="coterie.app"):
        FlowerApp(project(tmp_path / "app", "messages"), "goal=1")
    assert "fraction_train=0.5, evaluate_fn: without a server nothing of this is done" in caplog.text
