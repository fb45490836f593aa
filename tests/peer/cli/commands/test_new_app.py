"""`peer new-app`: what it writes trains at once, and nothing that is there is written over."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from coterie.peer.cli.commands.app_skeletons import FOUNDING, KINDS
from coterie.peer.cli.main import main
from coterie.peer.learning.app import load_app
from coterie.peer.learning.learner import Learner


@pytest.fixture(params=sorted(KINDS))
def folder(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Path]:
    """What `peer new-app` writes for a package."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mymodel", raising=False)
    made = tmp_path / "made here"
    assert main(["new-app", request.param, str(made)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"cd '{made}' && {FOUNDING}"
    yield made
    sys.modules.pop("mymodel", None)


def site(folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Learner:
    monkeypatch.setenv("DATA", f"site-{number}.csv")
    return Learner(load_app("mymodel:app", str(folder)))


def test_what_it_writes_learns_from_the_tables_that_it_writes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (folder / "mymodel.py").read_text()
    for package in ("torch", "jax", "optax"):
        if f"import {package}\n" in text:
            pytest.importorskip(package, reason=f"{package} is not installed")
    learners = [site(folder, number, monkeypatch) for number in (1, 2, 3)]
    assert len({learner.descriptor for learner in learners}) == 1
    totals = np.sum([learner.setup() for learner in learners], axis=0).tolist()
    for learner in learners:
        learner.prepare(totals)
    weights = learners[0].initial()
    untrained = np.mean([learner.evaluate(weights).loss for learner in learners])
    for round in range(1, 6):
        weights = np.mean([learner.fit(weights, round).weights for learner in learners], axis=0, dtype=np.float32)
    told = [learner.evaluate(weights) for learner in learners]
    assert np.mean([one.loss for one in told]) < 0.7 * untrained
    assert np.mean([one.metrics[-1] for one in told]) > 0.8


def test_its_readme_says_what_to_type(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert FOUNDING in text
    for number in (2, 3):
        assert f"DATA=site-{number}.csv peer start --app mymodel:app --home home-{number} --invite" in text
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "mymodel.py",
        *(f"site-{one}.csv" for one in (1, 2, 3)),
    }


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mymodel.py").write_text("mine")
    assert main(["new-app", "sklearn", str(tmp_path)]) == 2
    assert "there is something in it already, such as mymodel.py; name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mymodel.py"]
    assert (tmp_path / "mymodel.py").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert main(["new-app", "sklearn", str(tmp_path)]) == 0
    assert (tmp_path / "mymodel.py").exists()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["new-app", "sklearn", str(tmp_path / "file")]) == 2
    assert "file: this is a file; name a new folder" in capsys.readouterr().err
    assert main(["new-app", "sklearn", str(tmp_path / "file" / "folder")]) == 2
    assert "folder: cannot be written (Not a directory)" in capsys.readouterr().err


def test_a_package_without_adapter_is_refused_with_those_that_have_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["new-app", "xgboost", "folder"])
    assert ended.value.code == 2
    assert "invalid choice: 'xgboost'" in capsys.readouterr().err
