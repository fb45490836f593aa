"""Tables as apps: agreeing on a task, standardising together, and models as good as on the pooled data."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from averaging import federate
from sklearn.datasets import load_diabetes, load_iris

from coterie.peer.learning.app import AppError
from coterie.peer.learning.arrays import unflatten
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.survey import likely_classes
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.table_models.task import Standard, Task, TaskMismatch, standard_from
from coterie.peer.learning.tables.table import TableError, read_table

SHARES = (0.07, 0.12, 0.18, 0.25, 0.38)


def write(path: Path, columns: Sequence[str], rows: Any) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def shards_of(data: Any, folder: Path, seed: int) -> list[Path]:
    """Unequal shards of a shuffled data set of scikit-learn, one CSV file each."""
    order = np.random.default_rng(seed).permutation(len(data.data))
    parts = np.split(order, (np.cumsum(SHARES)[:-1] * len(data.data)).astype(int))
    header = [*data.feature_names, "target"]
    return [
        write(folder / f"{i}.csv", header, [[*data.data[row], data.target[row]] for row in part])
        for i, part in enumerate(parts)
    ]


def measured(apps: Sequence[TableApp], weights: np.ndarray) -> tuple[float, float]:
    """Loss, and accuracy if there is one, over the test rows of all apps."""
    learners = [Learner(app) for app in apps]
    evaluations = [learner.evaluate(weights) for learner in learners]
    rows = [evaluation.examples for evaluation in evaluations]
    named = [
        dict(zip((*learner.metrics, *learner.final_metrics), evaluation.metrics, strict=True))
        for learner, evaluation in zip(learners, evaluations, strict=True)
    ]
    accuracies = [means.get("accuracy", 0.0) for means in named]
    return float(np.average([e.loss for e in evaluations], weights=rows)), float(np.average(accuracies, weights=rows))


def joined(paths: Sequence[Path], founder: TableApp) -> list[TableApp]:
    return [founder, *(TableApp.adopt(founder.describe(), path) for path in paths)]


def rmse_on_tests(apps: Sequence[TableApp], model: TableApp, weights: np.ndarray) -> float:
    """Of a model with its own standardisation, over the test rows of all apps."""
    inputs = np.concatenate([app.table.inputs[app.tested] for app in apps])
    values = np.concatenate([app.table.values[app.tested] for app in apps if app.table.values is not None])
    arrays = unflatten(weights, Learner(model).shapes)
    return float(np.sqrt(np.square(model.predict(arrays, inputs) - values).mean()))


# Models as good as on the pooled data


@pytest.mark.parametrize("seed", range(5))
def test_a_linear_model_over_five_unequal_shards_is_within_2_percent_of_one_on_the_pooled_rows(
    tmp_path: Path, seed: int
) -> None:
    paths = shards_of(load_diabetes(scaled=False), tmp_path, seed)
    apps = joined(paths[1:], TableApp.found(paths[0], "target", "linear"))
    weights, largest = federate(apps, 15)
    federated = rmse_on_tests(apps, apps[0], weights)
    assert federated == pytest.approx(measured(apps, weights)[0] ** 0.5, rel=1e-6)
    assert largest < 4

    rows = [
        [*inputs, value]
        for app in apps
        for inputs, value, tested in zip(app.table.inputs, app.table.values, app.tested, strict=True)
        if not tested
    ]
    path = write(tmp_path / "pooled.csv", [*apps[0].task.columns, "target"], rows)
    pooled = TableApp.found(path, "target", "linear", test_fraction=0)
    assert federated < 1.02 * rmse_on_tests(apps, pooled, federate([pooled], 15)[0])

    design = np.column_stack([np.array(rows)[:, :-1], np.ones(len(rows))])
    solution = np.linalg.lstsq(design, np.array(rows)[:, -1])[0]
    tests = np.concatenate([app.table.inputs[app.tested] for app in apps])
    values = np.concatenate([app.table.values[app.tested] for app in apps if app.table.values is not None])
    exact = np.sqrt(np.square(np.column_stack([tests, np.ones(len(tests))]) @ solution - values).mean())
    assert federated < 1.02 * exact

    alone = []
    for path in paths:
        app = TableApp.found(path, "target", "linear")
        alone.append(rmse_on_tests(apps, app, federate([app], 15)[0]))
    assert federated < np.median(alone)


def test_a_perceptron_over_five_shards_learns_what_no_linear_model_can(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    inputs = random.normal(50, 20, size=(1500, 3))
    z = (inputs - 50) / 20
    values = 1000 * (np.sin(2 * z[:, 0]) + z[:, 1] * z[:, 2])
    paths = []
    for i, part in enumerate(np.split(np.arange(1500), [100, 250, 500, 900])):
        rows = np.column_stack([inputs, values])[part]
        paths.append(write(tmp_path / f"{i}.csv", ["a", "b", "c", "target"], rows))
    losses = {}
    for kind in ("linear", "mlp"):
        apps = joined(paths[1:], TableApp.found(paths[0], "target", kind))
        weights, largest = federate(apps, 15)
        losses[kind] = measured(apps, weights)[0]
        assert largest < 4
    assert losses["mlp"] < 0.25 * values.var()
    assert losses["linear"] > 0.8 * values.var()


@pytest.mark.parametrize("kind", ["logistic", "mlp"])
def test_classes_are_learned_over_five_shards_of_which_some_lack_one(tmp_path: Path, kind: Any) -> None:
    data = load_iris()
    data.feature_names = ["sl", "sw", "pl", "pw"]
    data.target = data.target_names[data.target]
    paths = shards_of(data, tmp_path, 4)
    lines = paths[0].read_text().splitlines(keepends=True)
    paths[0].write_text("".join(line for line in lines if "versicolor" not in line))
    apps = joined(paths[1:], TableApp.found(paths[0], "target", kind, classes=data.target_names.tolist()))
    weights, largest = federate(apps, 15)
    loss, accuracy = measured(apps, weights)
    confusion = [f"{true} as {told}" for true in range(3) for told in range(3)]
    bins = [
        f"{which}{one} at {bin}"
        for one in range(3)
        for bin in ("0.05-0.3", "0.3-0.7", "0.7-1")
        for which in ("", "not ")
    ]
    assert (apps[0].metrics, apps[0].final_metrics) == (("brier",), ("accuracy", *confusion, *bins))
    assert accuracy > 0.9
    assert loss < 0.35
    assert largest < 4


def test_two_classes_are_predicted_by_their_names(tmp_path: Path) -> None:
    rows = [[x, "high" if x > 20 else "low"] for x in range(40)]
    app = TableApp.found(write(tmp_path / "a.csv", ["x", "target"], rows), "target", "logistic")
    weights, _ = federate([app], 15)
    codes = app.predict(unflatten(weights, Learner(app).shapes), np.array([[0.0], [40.0]]))
    assert [app.task.classes[code] for code in codes] == ["low", "high"]


# Standardisation


def small(tmp_path: Path, name: str, rows: Any, **options: Any) -> TableApp:
    path = write(tmp_path / name, ["a", "b", "y"], rows)
    return TableApp.found(path, "y", "linear", **options)


def test_the_standardisation_is_that_of_all_training_rows_together(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    tables = [random.normal([5, -300, 7], [2, 40, 1], size=(rows, 3)) for rows in (10, 30)]
    apps = [small(tmp_path, f"{i}.csv", table) for i, table in enumerate(tables)]
    totals = np.sum([app.setup() for app in apps], axis=0).tolist()
    for app in apps:
        app.prepare(totals)
    rows = np.concatenate([table[~app.tested] for app, table in zip(apps, tables, strict=True)])
    for app in apps:
        assert isinstance(app.standard, Standard)
        assert app.standard.rows == len(rows) == 32
        assert app.standard.mean == pytest.approx(rows[:, :2].mean(axis=0))
        assert app.standard.scale == pytest.approx(rows[:, :2].std(axis=0))
        assert app.standard.target_mean == pytest.approx(rows[:, 2].mean())
        assert app.standard.target_scale == pytest.approx(rows[:, 2].std())


def test_nobody_can_tell_from_a_seed_which_rows_were_trained_on_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an update follows from data and model, and a guess of a row can be tested against it."""
    app = small(tmp_path, "one.csv", np.random.default_rng(0).normal(size=(500, 3)))
    app.prepare(app.setup())

    def update() -> bytes:
        return b"".join(array.tobytes() for array in app.fit(app.initial(), 1)[0])

    assert update() != update()
    ours = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed=0: ours(seed))
    assert update() == update(), "as with the seed that every member had"


def test_test_rows_are_in_no_setup_sum_and_in_no_fit(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    one = small(tmp_path, "one.csv", rows)
    rows[one.tested] += 100
    other = small(tmp_path, "other.csv", rows)
    assert one.setup() == other.setup()
    # The order of the batch's rows is drawn anew each time, so sums differ in their last bits.
    assert np.allclose(federate([one], 2)[0], federate([other], 2)[0], atol=1e-6)


def test_a_column_that_is_the_same_everywhere_is_ignored(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[:, 0] = 0.1
    app = small(tmp_path, "a.csv", rows)
    weights, _ = federate([app], 3)
    assert app.constant_columns == ("a",)
    assert weights[0] == 0
    assert np.isfinite(weights).all()


def test_a_column_that_is_constant_at_one_peer_only_is_used(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    one, other = small(tmp_path, "a.csv", rows), small(tmp_path, "b.csv", rows * [0, 1, 1])
    weights, _ = federate([one, other], 2)
    assert one.constant_columns == ()
    assert weights[0] != 0


def test_a_far_away_column_with_little_spread_is_still_standardised(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 3))
    rows[:, 0] = 1.7e9 + 1e5 * rows[:, 0]
    app = small(tmp_path, "a.csv", rows)
    app.prepare(app.setup())
    assert app.standard is not None
    assert app.standard.scale[0] == pytest.approx(rows[~app.tested, 0].std(), rel=1e-3)


@pytest.mark.parametrize("offset", [1.7e9, 1.7e12, 1.7e18, -0.001])
def test_a_column_of_little_spread_is_used_wherever_it_lies(tmp_path: Path, offset: float) -> None:
    random = np.random.default_rng(0)
    spread = 1e-6 if abs(offset) < 1 else max(20.0, offset * 1e-9)
    steps = random.normal(size=(200, 1))
    rows = np.column_stack([offset + spread * steps, random.normal(size=200), 5 * steps])
    apps = [small(tmp_path, f"{i}.csv", part) for i, part in enumerate(np.split(rows, 2))]
    weights, _ = federate(apps, 8)
    assert apps[0].constant_columns == ()
    assert measured(apps, weights)[0] ** 0.5 < 0.5


def test_rounding_noise_is_no_spread(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[:, 0] = 1234567.1
    rows[::2, 0] = np.nextafter(1234567.1, 0)
    app = small(tmp_path, "a.csv", rows)
    app.prepare(app.setup())
    assert app.constant_columns == ("a",)


def test_a_spread_too_small_for_the_sums_is_refused_and_not_dropped(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[:, 0] = 1 + 1e-11 * rows[:, 0]
    with pytest.raises(TableError, match="column 'a': it varies by .* too little to sum; subtract one number from it"):
        small(tmp_path, "a.csv", rows)


def test_in_a_table_too_wide_for_exact_sums_a_little_spread_is_refused_and_not_dropped(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 1102)).round(3)
    rows[:, 3] = 1.7e9 + 20 * np.arange(20)
    path = write(tmp_path / "wide.csv", [*(f"c{i}" for i in range(1101)), "y"], rows)
    with pytest.raises(TableError, match="column 'c3': it varies by 115.326 around 1700000190 only, .* subtract one"):
        TableApp.found(path, "y", "linear")


def test_a_target_that_is_constant_does_no_harm(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[:, 2] = 42
    app = small(tmp_path, "a.csv", rows)
    assert measured([app], federate([app], 3)[0])[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("totals", [[], [0.0] * 7, [float("nan")] * 7, [5.0] * 8])
def test_sums_that_no_data_have_are_refused(totals: list[float]) -> None:
    with pytest.raises(ValueError, match="setup sums"):
        standard_from(Task("linear", "y", ("a", "b")), totals)


def test_totals_that_a_table_refuses_show_no_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    learner = Learner(small(tmp_path, "a.csv", [[1, 2, 3], [4, 5, 6]]))
    with pytest.raises(AppError, match="setup sums"):
        learner.prepare([])
    assert caplog.text == ""


def test_fit_before_prepare_says_what_is_missing(tmp_path: Path) -> None:
    app = small(tmp_path, "a.csv", [[1, 2, 3], [4, 5, 6]])
    with pytest.raises(RuntimeError, match=r"prepare\(\) comes first"):
        app.fit(app.initial(), 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1e19, "line 3, column 'b': -2e\\+19 is too large to sum; correct it, or"),
        (1e300, "line 3, column 'b': -2e\\+300 is too large to sum"),
        (1e-12, "column 'b': it has no value above 2e-12, too small to sum"),
    ],
)
def test_a_column_out_of_the_range_of_the_secure_sum_is_refused(tmp_path: Path, value: float, message: str) -> None:
    with pytest.raises(TableError, match=message):
        small(tmp_path, "a.csv", [[1, value, 3], [1, -2 * value, 3]])


def test_a_peer_without_test_rows_evaluates_no_examples(tmp_path: Path) -> None:
    app = small(tmp_path, "a.csv", [[1, 2, 3], [4, 5, 6]], test_fraction=0)
    app.prepare(app.setup())
    assert app.evaluate(app.initial())[1] == 0


# The task


def test_the_description_is_one_text_whatever_the_order_of_the_columns(tmp_path: Path) -> None:
    one = TableApp.found(write(tmp_path / "1.csv", ["a", "b", "y"], [[1, 2, 3]] * 3), "y", "mlp", hidden=[8, 4])
    other = TableApp.found(write(tmp_path / "2.csv", ["y", "b", "a"], [[3, 2, 1]] * 3), "y", "mlp", hidden=[8, 4])
    assert one.describe() == other.describe()
    assert one.describe() == ('{"classes":[],"columns":["a","b"],"hidden":[8,4],"kind":"mlp","target":"y"}')
    assert all(np.array_equal(a, b) for a, b in zip(one.initial(), other.initial(), strict=True))


def test_a_joiner_adopts_the_task_and_matches_columns_by_name(tmp_path: Path) -> None:
    founder = TableApp.found(write(tmp_path / "1.csv", ["a", "b", "y"], [[1, 2, 3]] * 3), "y", "mlp")
    joiner = TableApp.adopt(founder.describe(), write(tmp_path / "2.csv", ["y", "b", "a"], [[3, 2, 1]] * 3))
    assert joiner.task == founder.task
    assert joiner.describe() == founder.describe()
    assert joiner.table.inputs.tolist() == founder.table.inputs.tolist()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["a", "y"], "trains on 2 columns, 2.csv has 1 .* has 'b' that 2.csv lacks"),
        (["a", "b", "c", "y"], "trains on 2 columns, 2.csv has 3 .* 2.csv has 'c' that the federation lacks"),
        (["a", "c", "y"], "the federation has 'b' that 2.csv lacks; 2.csv has 'c' that the federation lacks"),
    ],
)
def test_a_joiner_with_other_columns_is_refused_with_both_sides(
    tmp_path: Path, header: list[str], message: str
) -> None:
    founder = TableApp.found(write(tmp_path / "1.csv", ["a", "b", "y"], [[1, 2, 3]] * 3), "y", "linear")
    path = write(tmp_path / "2.csv", header, [[1] * len(header)] * 3)
    with pytest.raises(TaskMismatch, match=message):
        TableApp.adopt(founder.describe(), path)
    if header == ["a", "b", "c", "y"]:
        assert TableApp.adopt(founder.describe(), path, columns=["a", "b"]).task == founder.task


OTHERS = "the inputs from 2.csv are not the columns that the federation trains on; "
SAME = "; all members train on the same columns, by the same names"


@pytest.mark.parametrize(
    ("header", "columns", "told"),
    [
        ("acy", None, f"the federation has 'b' that 2.csv lacks; 2.csv has 'c' that the federation lacks{SAME}"),
        ("Aby", None, f"2.csv has 'A' that the federation lacks; perhaps write 'a' for 'A' in its first line{SAME}"),
        ("abcy", ["a"], "which the federation has; take all that the federation has: --columns a,b"),
    ],
)
def test_a_joiner_with_wrong_columns_is_not_told_at_first_that_they_are_right(
    tmp_path: Path, header: str, columns: list[str] | None, told: str
) -> None:
    founder = TableApp.found(write(tmp_path / "1.csv", ["a", "b", "y"], [[1, 2, 3]] * 3), "y", "linear")
    path = write(tmp_path / "2.csv", header, [[1] * len(header)] * 3)
    with pytest.raises(TaskMismatch) as refused:
        TableApp.adopt(founder.describe(), path, columns=columns)
    assert str(refused.value).startswith(OTHERS)
    assert str(refused.value).endswith(told)


def test_a_column_that_only_the_options_leave_out_is_not_told_to_be_lacking(tmp_path: Path) -> None:
    founder = TableApp.found(write(tmp_path / "1.csv", ["a", "b", "y"], [[1, 2, 3]] * 3), "y", "linear")
    path = write(tmp_path / "2.csv", "abcy", [[1] * 4] * 3)
    with pytest.raises(TaskMismatch, match="; --columns or --ignore leaves out 'b', which the federation has;"):
        TableApp.adopt(founder.describe(), path, ignore=["b", "c"])


def test_of_very_many_wrong_columns_the_number_is_told_only_where_it_differs(tmp_path: Path) -> None:
    names, row = [f"gene{i}" for i in range(3999)], [*range(3999), 1]
    founder = TableApp.found(write(tmp_path / "1.csv", [*names, "y"], [row] * 3), "y", "linear")
    names[7] = "geneX"
    with pytest.raises(TaskMismatch, match="^the inputs from 2.csv are not the columns that the federation trains on;"):
        TableApp.adopt(founder.describe(), write(tmp_path / "2.csv", [*names, "y"], [row] * 3))


def test_a_joiner_without_the_target_is_told_its_columns(tmp_path: Path) -> None:
    founder = TableApp.found(write(tmp_path / "1.csv", ["a", "y"], [[1, 2]] * 3), "y", "linear")
    with pytest.raises(TableError, match="^2.csv: the federation predicts 'y', and there is no column 'y'; there are"):
        TableApp.adopt(founder.describe(), write(tmp_path / "2.csv", ["a", "b"], [[1, 2]]))
    with pytest.raises(TableError, match="^1.csv: there is no column 'z'; there are 'a', 'y'"):
        TableApp.found(tmp_path / "1.csv", "z", "linear")
    with pytest.raises(TableError, match="no column 'y'; there are 'a', 'b'"):
        TableApp.adopt(founder.describe(), write(tmp_path / "2.csv", ["a", "b"], [[1, 2]]))


def test_a_joiner_that_expects_another_target_or_model_is_refused_with_both(tmp_path: Path) -> None:
    path = write(tmp_path / "1.csv", ["a", "y"], [[1, 2]] * 3)
    description = TableApp.found(path, "y", "linear").describe()
    with pytest.raises(TaskMismatch, match="target is 'y', and not 'a'"):
        TableApp.adopt(description, path, target="a")
    with pytest.raises(TaskMismatch, match="model is 'linear', and not 'mlp'"):
        TableApp.adopt(description, path, kind="mlp")
    assert TableApp.adopt(description, path, target="y", kind="linear").describe() == description


def test_a_joiner_s_classes_must_be_among_the_federation_s(tmp_path: Path) -> None:
    founder = TableApp.found(write(tmp_path / "1.csv", ["a", "y"], [[1, "x"], [2, "z"], [3, "x"]]), "y", "logistic")
    fewer = TableApp.adopt(founder.describe(), write(tmp_path / "2.csv", ["a", "y"], [[1, "z"], [2, "z"]]))
    assert fewer.task.classes == ("x", "z")
    with pytest.raises(TaskMismatch, match=r"holds the class 'w' \(line 2\); the federation knows 'x', 'z'"):
        TableApp.adopt(founder.describe(), write(tmp_path / "3.csv", ["a", "y"], [[1, "w"], [2, "z"]]))


def test_a_founder_states_classes_that_its_own_rows_lack(tmp_path: Path) -> None:
    path = write(tmp_path / "1.csv", ["a", "y"], [[1, 1.0], [2, 1]])
    assert TableApp.found(path, "y", "logistic", classes=["0", "1.0"]).task.classes == ("0", "1")
    with pytest.raises(TableError, match="one class only, 1; state all .* with --classes"):
        TableApp.found(path, "y", "logistic")
    with pytest.raises(TableError, match=r"holds the class '1' \(line 2\); --classes names '0', '2'"):
        TableApp.found(path, "y", "logistic", classes=["0", "2"])


def test_a_task_with_more_names_than_fit_is_described_by_their_hash(tmp_path: Path) -> None:
    names = [f"a rather long name of column {i}" for i in range(300)]
    row = [*range(300), 1]
    founder = TableApp.found(write(tmp_path / "1.csv", [*names, "y"], [row] * 3), "y", "linear")
    joiner = TableApp.adopt(founder.describe(), write(tmp_path / "2.csv", ["y", *names], [row] * 3))
    assert len(founder.describe().encode()) <= 4096
    assert joiner.describe() == founder.describe()
    with pytest.raises(TaskMismatch, match="trains on 300 columns, 3.csv has 299.* at least 1 that 3.csv lacks"):
        TableApp.adopt(founder.describe(), write(tmp_path / "3.csv", [*names[1:], "y"], [row[1:]] * 3))


def test_of_very_many_columns_the_ones_that_differ_are_named(tmp_path: Path) -> None:
    names, row = [f"gene{i}" for i in range(3999)], [*range(3999), 1]
    founder = TableApp.found(write(tmp_path / "1.csv", [*names, "y"], [row] * 3), "y", "linear")
    assert len(founder.describe().encode()) <= 4096
    names[7], names[300] = "geneX", "geneY"
    told = "2.csv has 'geneX', 'geneY' that the federation lacks; the federation has at least 2 that 2.csv lacks"
    with pytest.raises(TaskMismatch, match=told):
        TableApp.adopt(founder.describe(), write(tmp_path / "2.csv", [*names, "y"], [row] * 3))


def test_a_joiner_with_too_many_columns_is_told_the_shortest_way_to_leave_them_out(tmp_path: Path) -> None:
    founder = TableApp.found(write(tmp_path / "1.csv", ["a", "b", "y"], [[1, 2, 3]] * 3), "y", "linear")
    with pytest.raises(TaskMismatch, match="2.csv has 'c' that the federation lacks: --ignore c$"):
        TableApp.adopt(founder.describe(), write(tmp_path / "2.csv", ["c", "a", "b", "y"], [[9, 1, 2, 3]] * 3))
    wide = ["los", "patient_id", "a", "b", "y"]
    with pytest.raises(TaskMismatch, match="has 'los', 'patient_id' that the federation lacks: --columns a,b$"):
        TableApp.adopt(founder.describe(), write(tmp_path / "2.csv", wide, [[9, 8, 1, 2, 3]] * 3))


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0, 1] * 10, ("0", "1")),
        ([1.5, 2.5] * 10, ("1.5", "2.5")),
        ([0, 1, 2] * 10, ("0", "1", "2")),
        ([0.5, 1.5, 2] * 10, ()),
        (list(range(11)) * 10, ()),
        ([1, 2, 3, 4, 5], ()),
        ([7] * 10, ()),
    ],
)
def test_a_target_of_a_few_values_looks_like_classes(tmp_path: Path, values: list[float], classes: Any) -> None:
    rows = [[row, value] for row, value in enumerate(values)]
    assert likely_classes(read_table(write(tmp_path / "1.csv", ["a", "y"], rows), "y")) == classes


def test_a_typing_error_is_told_by_its_line_and_the_federation_s_mean(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(50, 10, size=(60, 3)).round(1)
    one, other = small(tmp_path, "1.csv", rows), small(tmp_path, "2.csv", np.concatenate([rows, [[1e9, 50, 50]]]))
    totals = np.sum([one.setup(), other.setup()], axis=0).tolist()
    for app in (one, other):
        app.prepare(totals)
    assert one.outliers == ()
    (told,) = other.outliers
    assert told.startswith("line 62, column 'a': 1000000000 is ")
    assert "standard deviations from the federation's mean" in told


def test_a_task_too_long_to_describe_is_refused(tmp_path: Path) -> None:
    classes = [f"class number {i}" for i in range(400)]
    path = write(tmp_path / "1.csv", ["a", "y"], enumerate(classes))
    with pytest.raises(ValueError, match="over 4096; use fewer classes"):
        TableApp.found(path, "y", "logistic", classes=classes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: "cats", "its members' own app"),
        (lambda d: "[" * 4000, "its members' own app"),
        (lambda d: json.dumps({"kind": "app"}), "its members' own app"),
        (lambda d: d.replace('"linear"', '"cubic"'), "there is no model 'cubic'"),
        (lambda d: d.replace('"hidden":[]', '"hidden":[3]'), "no hidden layers"),
        (lambda d: d.replace('"hidden":[]', '"hidden":["3"]'), "cannot be used"),
        (lambda d: d.replace('"classes":[]', '"classes":{}'), "cannot be used"),
        (lambda d: d.replace('"target":"y"', '"target":7'), "cannot be used"),
        (lambda d: d.replace(",", ", "), "not in canonical form"),
        (lambda d: d.replace('["a","b"]', "17"), "trains on 17 columns"),
    ],
)
def test_a_description_that_is_none_of_a_table_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    path = write(tmp_path / "1.csv", ["a", "b", "y"], [[1, 2, 3]] * 3)
    description = TableApp.found(path, "y", "linear").describe()
    with pytest.raises(TaskMismatch, match=message):
        TableApp.adopt(change(description), path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cubic", "y", ("a",)), "there is no model 'cubic'; there are linear, mlp, logistic"),
        (("linear", "y", ("a",), (4,)), "'linear' has no hidden layers"),
        (("mlp", "y", ("a",)), "'mlp' needs hidden layers"),
        (("mlp", "y", ("a",), (4, 4, 4)), "at most 2"),
        (("linear", "y", ("a",), (), ("x", "z")), "knows no classes"),
        (("logistic", "y", ("a",)), "at least two classes"),
        (("logistic", "y", ("a",), (), ("x", "x")), "two or more different ones"),
    ],
)
def test_a_task_whose_parts_do_not_go_together_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task(*arguments)
