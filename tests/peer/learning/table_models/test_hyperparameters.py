"""What a founder chooses of the training stands in the genesis, and all members train by it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from coterie.peer.learning.table_models.models import MAX_STEPS, Hyperparameters, Network, Training
from coterie.peer.learning.table_models.survey import summary
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.table_models.task import Task, TaskMismatch

CHOSEN = Hyperparameters(learning_rate=0.05, steps=7, batch=16)


def write(path: Path, seed: int) -> Path:
    rows = np.random.default_rng(seed).normal(size=(40, 3))
    path.write_text("a,b,y\n" + "".join(f"{a:.6f},{b:.6f},{a - b + 0.1 * noise:.6f}\n" for a, b, noise in rows))
    return path


def founded(folder: Path, chosen: Hyperparameters | None = CHOSEN) -> TableApp:
    return TableApp.found(write(folder / "0.csv", 0), "y", "linear", training=chosen)


def test_a_member_trains_with_what_the_founder_chose(tmp_path: Path) -> None:
    founder = founded(tmp_path)
    assert json.loads(founder.describe())["training"] == {"batch": 16, "learning_rate": 0.05, "steps": 7}
    member = TableApp.adopt(founder.describe(), write(tmp_path / "1.csv", 1))
    for app in (founder, member):
        assert (app.training.rate, app.training.steps, app.training.batch_rows) == (0.05, 7, 16)
    assert member.describe() == founder.describe()


def test_all_members_move_a_model_equally_far_by_the_same_gradient(tmp_path: Path) -> None:
    # The correction for sites that differ relies on that.
    founder = founded(tmp_path)
    member = TableApp.adopt(founder.describe(), write(tmp_path / "1.csv", 1))
    totals = np.sum([founder.setup(), member.setup()], axis=0)
    reaches = []
    for app in (founder, member):
        app.prepare(list(totals))
        app.fit(app.initial(), 1)
        assert app._drift._last is not None
        reaches.append(app._drift._last.reach)
    assert reaches[0] == reaches[1] > 0


def test_what_is_not_chosen_is_the_default_and_says_nothing(tmp_path: Path) -> None:
    plain, some = founded(tmp_path, None), founded(tmp_path, Hyperparameters(steps=7))
    assert "training" not in json.loads(plain.describe())
    assert json.loads(some.describe())["training"] == {"steps": 7}
    usual = Training.for_network(Network(2))
    assert plain.training == usual
    assert (some.training.steps, some.training.rate, some.training.batch_rows) == (7, usual.rate, usual.batch_rows)


def test_a_member_is_told_what_was_chosen(tmp_path: Path) -> None:
    member = TableApp.adopt(founded(tmp_path).describe(), write(tmp_path / "1.csv", 1))
    told = "1.csv: all members train with what the founder chose: learning rate 0.05, steps 7, batch 16"
    assert told in summary(member).splitlines()
    assert "the founder chose" not in summary(founded(tmp_path, None))


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"learning_rate": 0.0}, "--learning-rate: from 1e-09 to 10, not 0"),
        ({"learning_rate": 11.0}, "--learning-rate: from 1e-09 to 10, not 11"),
        ({"learning_rate": math.nan}, "--learning-rate: from 1e-09 to 10, not nan"),
        ({"steps": 0}, "--steps: from 1 to 100,000, not 0"),
        ({"steps": MAX_STEPS + 1}, "--steps: from 1 to 100,000, not 100001"),
        ({"batch": 0}, "--batch: from 1 to 1,000,000, not 0"),
    ],
)
def test_numbers_with_which_nobody_could_train_are_refused(chosen: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Hyperparameters(**chosen)  # type: ignore[arg-type]  # a description may hold anything


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ('{"steps":1000000}', "--steps: from 1 to 100,000, not 1e\\+06"),
        ('{"learning_rate":NaN}', "--learning-rate: from 1e-09 to 10, not nan"),
        ('{"steps":7.0}', "cannot be used"),
        ('{"steps":true}', "cannot be used"),
        ('{"steps":null}', "cannot be used"),
        ('{"learning_rate":1}', "cannot be used"),
        ('{"momentum":0.5}', "cannot be used"),
        ("[7]", "cannot be used"),
        ("{}", "not in canonical form"),
        ('{"steps":7,"batch":16,"learning_rate":0.05}', "not in canonical form"),
        ('{"steps":1e1}', "cannot be used"),
    ],
)
def test_a_description_that_chooses_what_there_cannot_be_is_refused(tmp_path: Path, training: str, told: str) -> None:
    description = founded(tmp_path).describe()
    wanted = '{"batch":16,"learning_rate":0.05,"steps":7}'
    assert wanted in description
    with pytest.raises(TaskMismatch, match=told):
        TableApp.adopt(description.replace(wanted, training), write(tmp_path / "1.csv", 1))


def test_a_task_is_the_same_in_and_out_of_its_description() -> None:
    task = Task("linear", "y", ("a", "b"), training=CHOSEN)
    assert Task.adopt(task.describe(), ("a", "b"), "t.csv") == task
