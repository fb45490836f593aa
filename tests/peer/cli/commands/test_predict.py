"""Predictions: from a home, from an exported file, and from that file by code that knows no Coterie."""

import csv
import importlib.abc
import io
import json
import re
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table_homes import fill, table_genesis, table_home

from coterie.peer.errors import Exit
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings
from coterie.peer.learning.app import AppError
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.tables.schema import Wishes

GUIDE = (Path(__file__).parents[4] / "docs" / "export.md").read_text()
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear"},
    "logistic of 2": {"kind": "logistic", "classes": ("sick", "healthy")},
    "logistic of 3": {"kind": "logistic", "classes": ("b", "c", "a")},
    "mlp": {"kind": "mlp", "hidden": (5, 3)},
    "mlp of 2": {"kind": "mlp", "hidden": (4,), "classes": ("1", "0")},
    "mlp of 3": {"kind": "mlp", "hidden": (4, 2), "classes": ("b", "c", "a")},
}
"""Not in alphabetical order: what a federation calls its classes is no order that others may rely on."""
COLUMNS = ("age", "bmi", "site", "zinc")
Run = Callable[..., tuple[int, str, str]]


def write(path: Path, columns: Any, rows: Any) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def app_of(folder: Path, kind: Any, classes: tuple[str, ...] = (), **options: Any) -> TableApp:
    """A founder's app over a table in which `site` is the same in all rows."""
    random = np.random.default_rng(7)
    numbers = np.round(random.normal((50, 25, 4, 0.01), (10, 3, 0, 0.002), (40, 4)), 4)
    targets = [classes[row % len(classes)] if classes else f"{1000 + 30 * row}" for row in range(40)]
    rows = [[*row, target] for row, target in zip(numbers.tolist(), targets, strict=True)]
    path = write(folder / "table.csv", (*COLUMNS, "y"), rows)
    return TableApp.found(path, "y", kind, classes=classes, **options)


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return table_home(tmp_path / "home", app_of(tmp_path, **KINDS[request.param]))


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    return table_home(tmp_path / "home", app_of(tmp_path, "linear"))


@pytest.fixture
def peer(peer: Run, tmp_path: Path) -> Run:
    """`peer`, beside a table of new rows."""
    new_rows(tmp_path / "new.csv")
    return peer


def new_rows(path: Path) -> np.ndarray:
    """Write a table to predict from: without a target, its columns in another order, with names, no constant."""
    rows = np.round(np.random.default_rng(3).normal((50, 25, 0.01), (20, 5, 0.004), (30, 3)), 3)
    named = [[f"patient {number}", zinc, bmi, age] for number, (age, bmi, zinc) in enumerate(rows.tolist())]
    write(path, ("name", "zinc", "bmi", "age"), named)
    return np.column_stack([rows[:, :2], np.full(30, 99.0), rows[:, 2]])  # what is in `site` must not matter


def read(text: str) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def predicted(text: str) -> np.ndarray:
    """The numbers of a regression, or the probabilities."""
    header, rows = read(text)
    return np.array([[float(cell) for cell in row[len(header) > 1 :]] for row in rows])


def told_by_the_document(name: str) -> Callable[..., Any]:
    """A function that docs/export.md shows."""
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        if f"def {name}(" in code:  # each block stands for itself: a reader installs what one of them needs
            exec(compile(code, "docs/export.md", "exec"), names)
    function: Callable[..., Any] = names[name]
    return function


def by_hand(path: Path, rows: np.ndarray) -> np.ndarray:
    """The prediction from an exported file, written from docs/export.md alone."""
    with np.load(path) as file:
        assert int(file["format"]) == 1
        values = (rows - file["mean"]) / file["scale"]
        layers = sorted((n for n in file.files if n.startswith("array_")), key=lambda n: int(n[6:]))
        for place in range(0, len(layers), 2):
            values = values @ file[layers[place]].astype(float) + file[layers[place + 1]].astype(float)
            if place < len(layers) - 2:
                values = {"tanh": np.tanh}[str(file["activation"])](values)
        match str(file["link"]):
            case "identity":
                return np.asarray(values * file["target_scale"] + file["target_mean"])
            case "logistic":
                second = (1 + np.tanh(values / 2)) / 2
                return np.concatenate((1 - second, second), 1)
        powers = np.exp(values - values.max(1)[:, None])
        return np.asarray(powers / powers.sum(1)[:, None])


# The same prediction from everywhere


def test_a_home_and_its_exported_files_predict_the_same_bytes(home: Path, peer: Run) -> None:
    assert peer("model", "export", "--out", "m.npz")[0] == Exit.OK
    assert peer("model", "export", "--out", "m.json")[0] == Exit.OK
    code, from_home, err = peer("predict", "--data", "new.csv")
    assert code == Exit.OK, err
    for file in ("m.npz", "m.json"):
        assert peer("predict", "--data", "new.csv", "--model", file)[:2] == (Exit.OK, from_home)
    assert peer("predict", "--data", "new.csv", "--out", "p.csv")[0] == Exit.OK
    assert Path("p.csv").read_bytes().decode() == from_home


def test_numpy_predicts_the_same_bits_from_the_documented_file(home: Path, peer: Run) -> None:
    peer("model", "export", "--out", "m.npz")
    rows, known = new_rows(Path("new.csv")), predicted(peer("predict", "--data", "new.csv")[1])
    np.testing.assert_array_equal(by_hand(Path("m.npz"), rows), known)
    shown = told_by_the_document("predict")
    np.testing.assert_array_equal(np.reshape(shown("m.npz", rows), known.shape), known)


def test_scikit_learn_predicts_the_same_with_the_weights_put_in(home: Path, peer: Run) -> None:
    peer("model", "export", "--out", "m.npz")
    rows, out = new_rows(Path("new.csv")), peer("predict", "--data", "new.csv")[1]
    estimator = told_by_the_document("estimator")("m.npz")
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_allclose(estimator.predict_proba(rows), predicted(out), rtol=1e-6, atol=1e-12)
        assert estimator.predict(rows).tolist() == [row[0] for row in read(out)[1]]
    else:
        np.testing.assert_allclose(estimator.predict(rows), predicted(out)[:, 0], rtol=1e-6)


def exported(peer: Run, file: str) -> tuple[np.ndarray, str]:
    """Export the model, and return rows to predict from in the order of its columns, and what is predicted of them."""
    code, out, err = peer("model", "export", "--out", file)
    assert code == Exit.OK, err
    assert f"{file}: " in out
    return new_rows(Path("new.csv")), peer("predict", "--data", "new.csv")[1]


def labels_of(text: str) -> list[str]:
    return [row[0] for row in read(text)[1]]


def test_onnx_runtime_predicts_the_same_from_an_onnx_file(home: Path, peer: Run) -> None:
    pytest.importorskip("onnx", reason="pip install onnx onnxruntime")
    pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")
    rows, out = exported(peer, "m.onnx")
    rows[:, 2] = np.nan  # the column `site`, which was the same in all rows
    told = told_by_the_document("run_onnx")("m.onnx", dict(zip(COLUMNS, rows.T, strict=True)))
    np.testing.assert_allclose(np.reshape(told[-1], predicted(out).shape), predicted(out), rtol=1e-12, atol=1e-15)
    assert len(told) == 1 or told[0].tolist() == labels_of(out)


def test_the_onnx_checker_finds_nothing_and_the_properties_tell_the_task(tmp_path: Path, peer: Run) -> None:
    onnx = pytest.importorskip("onnx", reason="pip install onnx")
    table_home(tmp_path / "home", app_of(tmp_path, **KINDS["mlp of 3"]))
    exported(peer, "m.onnx")
    model = onnx.load("m.onnx")
    onnx.checker.check_model(model, full_check=True)
    told = {one.key: json.loads(one.value) for one in model.metadata_props}
    assert (told["columns"], told["dropped"], told["classes"]) == (list(COLUMNS), ["site"], ["b", "c", "a"])
    assert (told["format"], told["coterie"]["trained"], told["coterie"]["standardised"]) == (1, 1, True)


def test_a_column_with_a_large_offset_keeps_its_spread_in_onnx(tmp_path: Path, peer: Run) -> None:
    pytest.importorskip("onnx", reason="pip install onnx onnxruntime")
    pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")
    times = [1_700_000_000 + row for row in range(40)]
    path = write(tmp_path / "table.csv", ("time", "y"), [(time, time % 7) for time in times])
    table_home(tmp_path / "home", TableApp.found(path, "y", "linear"))
    Path("new.csv").write_text(path.read_text())
    peer("model", "export", "--out", "m.onnx")
    (values,) = told_by_the_document("run_onnx")("m.onnx", {"time": times})
    np.testing.assert_allclose(values, predicted(peer("predict", "--data", "new.csv")[1])[:, 0], rtol=1e-12)
    assert len(set(values)) == 40


def test_scikit_learn_predicts_the_same_from_a_skops_file(home: Path, peer: Run) -> None:
    skops = pytest.importorskip("skops.io", reason="pip install skops")
    rows, out = exported(peer, "m.skops")
    assert skops.get_untrusted_types(file="m.skops") == []
    model = skops.load("m.skops")
    assert model.feature_names_in_.tolist() == list(COLUMNS)
    assert json.loads(model.coterie_)["trained"] == 1
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        told = model.predict(rows)
    if not hasattr(model, "predict_proba"):
        np.testing.assert_allclose(told, predicted(out)[:, 0], rtol=1e-12)
        return
    assert told.tolist() == labels_of(out)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_allclose(model.predict_proba(rows), predicted(out), rtol=1e-12, atol=1e-15)


def test_a_data_frame_is_predicted_by_its_names_with_scikit_learn(tmp_path: Path, peer: Run) -> None:
    skops = pytest.importorskip("skops.io", reason="pip install skops")
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    table_home(tmp_path / "home", app_of(tmp_path, **KINDS["mlp of 3"]))
    rows, out = exported(peer, "m.skops")
    frame = pandas.DataFrame(rows, columns=list(COLUMNS))[list(reversed(COLUMNS))]
    assert told_by_the_document("run_sklearn")("m.skops", frame).tolist() == labels_of(out)
    with pytest.raises(ValueError, match="feature names"):
        skops.load("m.skops").predict(frame)


def test_pytorch_predicts_the_same_from_a_torch_file(home: Path, peer: Run) -> None:
    torch = pytest.importorskip("torch", reason="pip install torch")
    rows, out = exported(peer, "m.pt")
    model, table = told_by_the_document("torch_model")("m.pt"), torch.from_numpy(rows)
    with torch.no_grad():
        single = model(table).numpy()
        double = model.double()(table).numpy()
    known = predicted(out)
    # Values around 1600, of which float32 holds seven digits; they are sums of terms of that size.
    np.testing.assert_allclose(np.reshape(single, known.shape), known, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(np.reshape(double, known.shape), known, rtol=1e-12, atol=1e-15)


def test_a_torch_file_tells_the_task(tmp_path: Path, peer: Run) -> None:
    torch = pytest.importorskip("torch", reason="pip install torch")
    table_home(tmp_path / "home", app_of(tmp_path, **KINDS["mlp of 3"]))
    exported(peer, "m.pt")
    saved = torch.load("m.pt", weights_only=True)
    assert (saved["columns"], saved["classes"], saved["sizes"]) == (list(COLUMNS), ["b", "c", "a"], [4, 4, 2, 3])
    assert (saved["format"], json.loads(saved["coterie"])["trained"]) == (1, 1)


NEEDED = {"onnx": "onnx", "sklearn": "skops", "torch": "torch"}
"""The package by the format that needs it, which is also the name of the extra."""


@pytest.mark.parametrize(("kind", "package"), NEEDED.items())
def test_a_format_whose_package_is_missing_names_the_extra_and_writes_nothing(
    linear: Path, peer: Run, monkeypatch: pytest.MonkeyPatch, kind: str, package: str
) -> None:
    class Hidden(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *rest: Any) -> None:
            if name.partition(".")[0] == package:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    for loaded in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])
    code, out, err = peer("model", "export", "--out", "m", "--format", kind)
    assert (code, out) == (Exit.USAGE, "")
    assert f"--format {kind} needs the package {package}, which is not installed" in err
    assert f"pip install 'coterie[{kind}]'" in err
    assert list(Path().glob("m*")) == []


@pytest.mark.parametrize(("kind", "package"), NEEDED.items())
def test_the_extra_that_a_format_names_installs_its_package(kind: str, package: str) -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    assert any(one.startswith(package) for one in project["optional-dependencies"][kind])


@pytest.mark.parametrize("kind", NEEDED)
def test_the_weights_of_an_app_are_refused_in_the_formats_of_tables(old_home: Home, peer: Run, kind: str) -> None:
    code, _, err = peer("model", "export", "--out", "m", "--format", kind, "--home", str(old_home.folder))
    assert code == Exit.DATA
    assert f"--format {kind}: the weights in {old_home.folder} are of the members' own app" in err
    assert list(Path().glob("m*")) == []


def test_an_app_predicts_the_same_from_the_weights_of_the_home(tmp_path: Path, peer: Run) -> None:
    app = app_of(tmp_path, "mlp", hidden=(5, 3))
    table_home(tmp_path / "home", app)
    app.prepare(app.setup())
    peer("model", "export", "--out", "m.npz")
    with np.load("m.npz") as file:
        expected = app.predict([file[f"array_{i}"] for i in range(6)], new_rows(tmp_path / "new.csv"))
    # The ledger keeps 40 bits after the point of each total.
    np.testing.assert_allclose(predicted(peer("predict", "--data", "new.csv")[1])[:, 0], expected, rtol=1e-7)


def test_long_tables_are_predicted_in_blocks(linear: Path, peer: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = predicted(peer("predict", "--data", "new.csv")[1])
    monkeypatch.setattr("coterie.peer.learning.exports.exported.BLOCK_ROWS", 7)
    np.testing.assert_allclose(predicted(peer("predict", "--data", "new.csv")[1]), whole, rtol=1e-12)


# Categories, dates and gaps


MIXED = "seen,ward,bmi,site\n"


@pytest.fixture(params=["mean", "median"])
def gap(request: pytest.FixtureRequest) -> str:
    """What a gap in a column of numbers stands as."""
    return str(request.param)


@pytest.fixture
def mixed(tmp_path: Path, gap: str) -> Path:
    """A home whose table holds more than numbers; its `site` is the same in all rows."""
    random = np.random.default_rng(11)
    rows = [
        f"2024-{month:02}-17,{'ABC'[month % 3]},{'' if month % 4 == 0 else round(random.normal(25, 3), 2)},X,{month}\n"
        for month in [*range(1, 13)] * 5
    ]
    path = tmp_path / "table.csv"
    path.write_text(MIXED.replace("\n", ",y\n") + "".join(rows))
    wishes = Wishes(gaps=("bmi",)) if gap == "mean" else Wishes(medians={"bmi": (15.0, 22.0, 24.0, 40.0)})
    app = TableApp.found(path, "y", "mlp", hidden=(4,), wishes=wishes)
    (tmp_path / "mixed.csv").write_text(
        "ward,bmi,seen\nA,22.5,2024-05-01\nB,,2023-12-31\n,31,2024-02-29\nWard C,,2025-01-01\n"
    )
    return table_home(tmp_path / "home", app)


def test_categories_dates_and_gaps_are_predicted_from_alike_by_a_home_and_its_files(mixed: Path, peer: Run) -> None:
    code, from_home, err = peer("predict", "--data", "mixed.csv")
    assert code == Exit.OK, err
    assert len(set(predicted(from_home)[:, 0])) == 4
    told = "line 5, column 'ward': 'Ward C' (1 row) is none of the levels agreed on (A, B, C) and counts as any other"
    assert f"peer: note: mixed.csv, {told}; correct it, if it is a typing error" in err
    for file in ("m.npz", "m.json"):
        assert peer("model", "export", "--out", file)[0] == Exit.OK
        assert peer("predict", "--data", "mixed.csv", "--model", file)[:2] == (Exit.OK, from_home)


def test_numpy_makes_the_same_numbers_of_categories_dates_and_gaps_by_the_document(mixed: Path, peer: Run) -> None:
    peer("model", "export", "--out", "m.npz")
    known = predicted(peer("predict", "--data", "mixed.csv")[1])
    rows = [dict(row, site="X") for row in csv.DictReader(io.StringIO(Path("mixed.csv").read_text()))]
    features = told_by_the_document("features")("m.npz", rows)
    np.testing.assert_array_equal(told_by_the_document("predict")("m.npz", features)[:, None], known)


def of_document(peer: Run, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Export to a file; return what the document makes of new rows, and what `peer predict` says of these."""
    for path in ("m.npz", file):
        assert peer("model", "export", "--out", path)[0] == Exit.OK
    rows = [dict(row, site="X") for row in csv.DictReader(io.StringIO(Path("mixed.csv").read_text()))]
    known = predicted(peer("predict", "--data", "mixed.csv")[1])[:, 0]
    return told_by_the_document("features")("m.npz", rows), known


def test_onnx_runtime_predicts_the_same_from_categories_dates_and_gaps(mixed: Path, peer: Run) -> None:
    onnx = pytest.importorskip("onnx", reason="pip install onnx onnxruntime")
    pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")
    features, known = of_document(peer, "m.onnx")
    entries = {entry.key: json.loads(entry.value) for entry in onnx.load("m.onnx").metadata_props}
    assert json.loads(entries["schema"])["levels"]["ward"] == ["A", "B", "C"]
    table = dict(zip(entries["columns"], features.T, strict=True))
    np.testing.assert_allclose(told_by_the_document("run_onnx")("m.onnx", table)[-1], known, rtol=1e-12)


def test_scikit_learn_predicts_the_same_from_categories_dates_and_gaps(mixed: Path, peer: Run) -> None:
    skops = pytest.importorskip("skops.io", reason="pip install skops")
    features, known = of_document(peer, "m.skops")
    model = skops.load("m.skops")
    with np.load("m.npz") as file:
        assert model.feature_names_in_.tolist() == file["columns"].tolist()
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_allclose(model.predict(features), known, rtol=1e-12)


def test_an_export_of_more_than_numbers_says_what_each_of_its_columns_is(mixed: Path, gap: str, peer: Run) -> None:
    peer("model", "export", "--out", "m.npz")
    medians = {} if gap == "mean" else {"medians": {"bmi": [15.0, 22.0, 24.0, 40.0]}}
    with np.load("m.npz") as file:
        assert int(file["format"]) == (2 if gap == "mean" else 3)
        assert ("fill" in file.files) == (gap == "median")
        assert json.loads(str(file["schema"])) == medians | {
            "columns": ["bmi", "seen", "site", "ward"],
            "dates": ["seen"],
            "gaps": ["bmi"],
            "levels": {"site": ["X"], "ward": ["A", "B", "C"]},
        }
        marks = [f"{name}=({what})" for name in ("site", "ward") for what in ("other", "missing")]
        names = ["bmi", "bmi=(missing)", "seen", "site=X", *marks[:2], "ward=A", "ward=B", "ward=C", *marks[2:]]
        assert file["columns"].tolist() == names
        assert file["dropped"].tolist() == ["site=X", *marks]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seen,ward\n2024-01-01,A\n", "mixed.csv: there is no column 'bmi'; there are 'seen', 'ward'"),
        (
            "seen,ward,bmi\n,A,1\n",
            "mixed.csv, line 2, column 'seen': the value is missing; fill it in, or remove the row",
        ),
        ("seen,ward,bmi\n01/02/2024,A,1\n", "'01/02/2024' does not show which part is the day and which the month"),
        ("seen,ward,bmi\n2024-01-01,A,fat\n", "mixed.csv, line 2, column 'bmi': 'fat' is not a number"),
    ],
)
def test_what_cannot_be_predicted_from_is_refused_with_its_place(mixed: Path, peer: Run, text: str, told: str) -> None:
    Path("mixed.csv").write_text(text)
    code, out, err = peer("predict", "--data", "mixed.csv")
    assert (code, out) == (Exit.DATA, "")
    assert told in err


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("{", "no model to predict with"),
        ("[]", "no model to predict with"),
        ('{"columns": ["bmi"], "unknown": []}', "unknown keys in the description of the columns"),
        ('{"columns": ["bmi"], "gaps": ["bmi"]}', "its columns are not those that follow from its schema"),
    ],
)
def test_a_file_with_a_schema_that_is_not_its_own_is_refused(mixed: Path, peer: Run, schema: str, told: str) -> None:
    peer("model", "export", "--out", "m.npz")
    spoiled(Path("m.npz"), schema=schema)
    code, _, err = peer("predict", "--data", "mixed.csv", "--model", "m.npz")
    assert code == Exit.DATA
    assert told in err


# What is written


@pytest.mark.parametrize("kind", ["logistic of 3", "mlp of 2"])
def test_classes_are_written_with_their_probabilities(tmp_path: Path, peer: Run, kind: str) -> None:
    table_home(tmp_path / "home", app_of(tmp_path, **KINDS[kind]))
    header, rows = read(peer("predict", "--data", "new.csv")[1])
    labels = KINDS[kind]["classes"]
    assert header == ["y", *(f"probability_{label}" for label in labels)]
    assert len(rows) == 30
    for label, *cells in rows:
        probabilities = [float(cell) for cell in cells]
        assert sum(probabilities) == pytest.approx(1)
        assert label == labels[int(np.argmax(probabilities))]


def test_an_export_holds_everything_that_the_document_names(home: Path, peer: Run) -> None:
    peer("model", "export", "--out", "m.npz")
    peer("model", "export", "--out", "m", "--format", "json")
    section = GUIDE.partition("## What is in it\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE))
    entries = {name for row in named for name in re.findall(r"`(\w+)`", row)}
    with np.load("m.npz") as file:
        assert {name for name in file.files if not re.fullmatch(r"array_\d+", name)} == entries - {"array_0", "array_1"}
        assert file["columns"].tolist() == list(COLUMNS)
        assert file["dropped"].tolist() == ["site"]
        facts = json.loads(str(file["coterie"]))
        assert np.isinf(file["scale"]).tolist() == [False, False, True, False]
    fields = json.loads(Path("m.json").read_text())
    assert set(fields) == (entries - {"array_0", "array_1"}) | {"arrays"}
    assert fields["scale"][2] is None
    assert fields["coterie"] == facts
    assert (facts["trained"], facts["round"], facts["standardised"]) == (1, 1, True)


def test_the_means_are_those_of_the_training_rows(tmp_path: Path, peer: Run) -> None:
    app = app_of(tmp_path, "linear")
    table_home(tmp_path / "home", app)
    peer("model", "export", "--out", "m.npz")
    trained = app.table.inputs[~app.tested]
    with np.load("m.npz") as file:
        assert int(file["rows"]) == len(trained)
        np.testing.assert_allclose(file["mean"], trained.mean(axis=0))
        np.testing.assert_allclose(file["scale"][[0, 1, 3]], trained.std(axis=0)[[0, 1, 3]])
        assert app.table.values is not None
        np.testing.assert_allclose(file["target_mean"], app.table.values[~app.tested].mean())
        np.testing.assert_allclose(file["target_scale"], app.table.values[~app.tested].std())


def test_an_export_tells_how_to_predict_with_it(linear: Path, peer: Run) -> None:
    out = peer("model", "export", "--out", "my model.npz")[1]
    assert "predicts 'y' from 4 columns, 1 of them ignored" in out
    assert "peer predict --model 'my model.npz' --data FILE.csv" in out


@pytest.mark.parametrize(("asked", "code"), [("1", Exit.OK), ("0", Exit.USAGE), ("2", Exit.USAGE)])
def test_only_the_round_that_the_home_keeps_can_be_exported(linear: Path, peer: Run, asked: str, code: Exit) -> None:
    ended, _, err = peer("model", "export", "--out", "m.npz", "--round", asked)
    assert ended == code
    assert Path("m.npz").exists() == (code == Exit.OK)
    assert code == Exit.OK or "keeps only the newest model, that of round 1" in err


# What is read


def test_columns_that_the_model_does_not_use_are_named_once_and_may_hold_anything(linear: Path, peer: Run) -> None:
    Path("new.csv").write_text(",zinc,site,age,y,bmi,name\n0,0.01,?,50,unknown,25,Ann\n")
    code, out, err = peer("predict", "--data", "new.csv")
    assert (code, len(read(out)[1])) == (Exit.OK, 1)
    assert err == (
        "peer: note: the training is not finished: this is the model after 1 of 2 rounds\n"
        "peer: note: new.csv: not used by the model, and so ignored: '', 'site', 'name'\n"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("age,bmi\n1,2\n", "new.csv: there is no column 'zinc'; there are 'age', 'bmi'"),
        ("age,bmi,zinc\n1,2,3\n1,,3\n", "new.csv, line 3, column 'bmi': the value is missing; fill it in, or remove"),
        ("age,bmi,zinc\n1,old,3\n", "new.csv, line 2, column 'bmi': 'old' is not a number; turn categories into"),
        (
            "age,bmi,zinc\n1,yes,3\n1,0,3\n1,maybe,3\n",
            "new.csv, line 4, column 'bmi': 'maybe' is neither yes nor no, as the others in this column are; write yes",
        ),
        (
            "age,bmi,zinc\n1,maybe,3\n",
            "correct a typing error; the column may hold numbers, and yes or no (or true or false) for 1 and 0\n",
        ),
        ("age,bmi,zinc\n1,inf,3\n", "new.csv, line 2, column 'bmi': 'inf' is not a finite number"),
        ('age,bmi,zinc\n1,"2,5",3\n', "'2,5' is not a number; write it with a decimal point"),
        ("age,bmi,zinc\n1,2\n", "new.csv, line 2: 2 fields, but the header names 3 columns"),
        ("age,bmi,zinc,age\n1,2,3,4\n", "new.csv: the first line names 'age' more than once; give each"),
        ("age,bmi,zinc\n", "new.csv: there is no row below the header"),
        ("", "new.csv: the file is empty"),
        ("age,bmi,zinc\n1,2,3\n1,1e308,-1e308\n", "new.csv, row 2 below the header: its numbers are too large"),
    ],
)
def test_a_table_that_cannot_be_predicted_from_is_refused_with_the_place(
    linear: Path, peer: Run, text: str, told: str
) -> None:
    Path("new.csv").write_text(text)
    code, out, err = peer("predict", "--data", "new.csv", "--out", "p.csv")
    assert (code, out) == (Exit.DATA, "")
    assert told in err
    assert "--columns" not in err, "that is an option of peer start"
    assert not Path("p.csv").exists()


def test_a_table_that_is_not_there_is_refused(linear: Path, peer: Run) -> None:
    code, _, err = peer("predict", "--data", "none.csv")
    assert code == Exit.DATA
    assert "none.csv: cannot be read: No such file" in err


@pytest.mark.parametrize("option", ["--data", "--model"])
def test_what_is_read_is_not_overwritten(linear: Path, peer: Run, option: str) -> None:
    peer("model", "export", "--out", "m.npz")
    read_from = {"--data": "new.csv", "--model": "m.npz"}
    before = Path(read_from[option]).read_bytes()
    words = ("--data", "new.csv", "--model", "m.npz", "--out", f"./{read_from[option]}")
    code, _, err = peer("predict", *words)
    assert code == Exit.USAGE
    assert f"this is the file of {option}" in err
    assert Path(read_from[option]).read_bytes() == before


def test_a_model_whose_columns_are_all_constant_predicts_the_same_for_all(tmp_path: Path, peer: Run) -> None:
    path = write(tmp_path / "table.csv", ("a", "b", "y"), [(1, 2, row) for row in range(10)])
    table_home(tmp_path / "home", TableApp.found(path, "y", "linear"))
    Path("new.csv").write_text("a,b\n1,2\n5,6\n")
    _, rows = read(peer("predict", "--data", "new.csv")[1])
    assert len(rows) == 2
    assert rows[0] == rows[1]


# Which model


def test_predicting_changes_nothing_in_a_home_and_works_while_its_peer_runs(linear: Path, peer: Run) -> None:
    before = {path.name: path.read_bytes() for path in linear.iterdir()}
    assert peer("predict", "--data", "new.csv")[0] == Exit.OK
    assert {name: data for name, data in before.items() if (linear / name).read_bytes() != data} == {}
    with Home(linear).locked():
        assert peer("predict", "--data", "new.csv")[0] == Exit.OK


@pytest.mark.parametrize("option", ["--home", "--columns-from"])
def test_a_home_and_an_exported_model_exclude_each_other(linear: Path, peer: Run, option: str) -> None:
    code, _, err = peer("predict", "--data", "new.csv", "--model", "m.npz", option, "x")
    assert code == Exit.USAGE
    assert "leave --home and --columns-from out" in err


def test_a_federation_with_an_own_app_is_told_what_to_do_instead(old_home: Home, peer: Run) -> None:
    home = ("--home", str(old_home.folder))
    code, _, err = peer("predict", "--data", "new.csv", *home)
    assert code == Exit.DATA
    assert "own app (--app)" in err
    assert "peer model export --out model.npz" in err
    for file in ("m.npz", "m.json"):
        assert peer("model", "export", "--out", file, *home)[0] == Exit.OK
        code, _, err = peer("predict", "--data", "new.csv", "--model", file)
        assert code == Exit.DATA
        assert "own app (--app)" in err
    assert json.loads(Path("m.json").read_text())["arrays"] == [np.load("m.npz")["array_0"].tolist()]


@pytest.mark.parametrize("words", [("predict", "--data", "new.csv"), ("model", "export", "--out", "m.npz")])
def test_before_the_setup_round_there_is_nothing_to_predict_with(
    tmp_path: Path, peer: Run, words: tuple[str, ...]
) -> None:
    app = app_of(tmp_path, "linear")
    (tmp_path / "home").mkdir(mode=0o700)
    fill(tmp_path / "home", table_genesis(app), [], Learner(app).initial().tobytes(), Settings())
    code, _, err = peer(*words)
    assert code == Exit.STORE
    assert "nothing is trained yet" in err
    assert f"peer status --home {tmp_path / 'home'}" in err


def wide_home(folder: Path, **kept: Any) -> None:
    """A home whose ledger holds a hash of the names of its columns."""
    columns = [f"column with a rather long name {number}" for number in range(200)]
    numbers = np.random.default_rng(1).normal(size=(8, 201)).tolist()
    app = TableApp.found(write(folder / "wide.csv", (*columns, "y"), numbers), "y", "linear")
    assert "sha256" in app.describe()
    table_home(folder / "home", app, **kept)


def test_the_names_of_very_many_columns_come_from_the_peers_own_table(tmp_path: Path, peer: Run) -> None:
    wide_home(tmp_path, data=str(tmp_path / "wide.csv"))
    code, out, err = peer("predict", "--data", "wide.csv")
    assert code == Exit.OK, err
    assert peer("model", "export", "--out", "m.npz")[0] == Exit.OK
    assert peer("predict", "--data", "wide.csv", "--model", "m.npz")[1] == out


@pytest.mark.parametrize("kept", [{}, {"data": "gone.csv"}])
def test_where_its_own_table_is_gone_a_peer_asks_for_another_of_the_federation(
    tmp_path: Path, peer: Run, kept: dict[str, str]
) -> None:
    wide_home(tmp_path, **kept)
    code, _, err = peer("predict", "--data", "wide.csv")
    assert code == Exit.DATA
    assert "--columns-from FILE.csv" in err
    assert peer("predict", "--data", "wide.csv", "--columns-from", "wide.csv")[0] == Exit.OK
    code, _, err = peer("predict", "--data", "wide.csv", "--columns-from", "new.csv")
    assert code == Exit.DATA
    assert "new.csv" in err


# Files that hold no model


def spoiled(path: Path, **changes: Any) -> None:
    """An export with other entries; None takes one out."""
    with np.load(path) as file:
        entries = {name: file[name] for name in file.files}
    entries |= {name: np.array(value) for name, value in changes.items()}
    np.savez(path, **{name: value for name, value in entries.items() if changes.get(name, "") is not None})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": 4}, "it has format 4, and this Coterie reads 3; upgrade it"),
        ({"fill": np.zeros(2)}, "it does not say what gaps stand as"),
        ({"format": None}, "it does not say which format it has"),
        ({"mean": None}, "it has no 'mean'"),
        ({"mean": [1.0]}, "not one mean and one scale for each column"),
        ({"scale": [1.0, 1.0, 1.0, 0.0]}, "a scale is not above 0"),
        ({"target_scale": np.nan}, "the mean of the target is not finite, or its scale is not a number above 0"),
        ({"array_0": np.zeros((3, 1), np.float32)}, "the shapes of the weights"),
        ({"array_0": np.full((4, 1), np.nan, np.float32)}, "a weight or mean is not finite"),
        ({"array_0": np.full((4, 1), 1e300)}, "a weight or mean is not finite"),
        ({"kind": "forest"}, "there is no model 'forest'"),
        ({"link": "logistic"}, "link logistic does not belong to this model"),
        ({"columns": [1, 2, 3, 4]}, "is not a text"),
        ({"rows": np.inf}, "cannot convert"),
    ],
)
def test_a_file_that_is_no_whole_export_is_refused_with_the_reason(
    linear: Path, peer: Run, changes: dict[str, Any], told: str
) -> None:
    peer("model", "export", "--out", "m.npz")
    spoiled(Path("m.npz"), **changes)
    code, _, err = peer("predict", "--data", "new.csv", "--model", "m.npz")
    assert code == Exit.DATA
    assert err.startswith("peer: error: m.npz: ")
    assert told in err


def test_a_zip_that_is_no_npz_is_refused(linear: Path, peer: Run) -> None:
    with zipfile.ZipFile("m.skops", "w") as archive:
        archive.writestr("schema.json", "{}")
    code, _, err = peer("predict", "--data", "new.csv", "--model", "m.skops")
    assert code == Exit.DATA
    assert "m.skops: no model to predict with: it is neither .npz nor JSON" in err


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"PK\3\4", b"a,b\n1,2\n", b"\x93NUMPY", b"[" * 100_000])
def test_a_file_of_another_kind_is_refused(linear: Path, peer: Run, content: bytes) -> None:
    Path("m.npz").write_bytes(content)
    code, _, err = peer("predict", "--data", "new.csv", "--model", "m.npz")
    assert code == Exit.DATA
    assert "m.npz: no model to predict with" in err
    assert err.count("\n") == 1


def test_any_flipped_byte_of_an_export_is_refused_or_harmless(linear: Path, peer: Run) -> None:
    peer("model", "export", "--out", "m.npz")
    whole, known = Path("m.npz").read_bytes(), peer("predict", "--data", "new.csv", "--model", "m.npz")[1]
    for place in range(0, len(whole), 37):
        Path("m.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        code, out, err = peer("predict", "--data", "new.csv", "--model", "m.npz")
        assert (code, err.count("\n")) == (Exit.DATA, 1) or out == known, place


def test_an_export_with_a_pickle_inside_is_not_loaded(linear: Path, peer: Run) -> None:
    peer("model", "export", "--out", "m.npz")
    held = io.BytesIO()
    np.save(held, np.array([AppError("x")], dtype=object), allow_pickle=True)
    with zipfile.ZipFile("m.npz", "a") as archive:
        archive.writestr("more.npy", held.getvalue())
    assert peer("predict", "--data", "new.csv", "--model", "m.npz")[0] == Exit.DATA
