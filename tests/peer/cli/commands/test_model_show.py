"""`peer model show`: all figures of a model, over everybody's rows and over one's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from chains import Chain
from members import make_genesis
from sklearn import metrics as reference
from table_homes import fill
from table_sites import Sites

from coterie.peer.errors import Exit
from coterie.peer.home.settings import Settings
from coterie.peer.learning.figures import EDGES, THREE_EDGES
from coterie.peer.learning.learner import Learner
from coterie.protocol.messages.encoding import digest_of

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def two(tmp_path: Path) -> Sites:
    return Sites(tmp_path, "two")


def shown(peer: Run, *words: str) -> dict[str, Any]:
    code, out, err = peer("model", "show", "--json", *words)
    assert (code, err) == (Exit.OK, "")
    told: dict[str, Any] = json.loads(out)
    return told


def test_the_members_figures_are_those_of_all_test_rows_in_one_place(two: Sites, peer: Run) -> None:
    told = shown(peer)["members"]
    parts = [two.tested(site) for site in range(3)]
    probabilities, codes = (np.concatenate(both) for both in zip(*parts, strict=True))
    assert (told["rows"], told["members"], told["away"]) == (len(codes), 3, [])
    binned = np.digitize(probabilities[:, 1], EDGES)
    predicted = probabilities.argmax(axis=1)
    expected = {
        "loss": reference.log_loss(codes, probabilities),
        "accuracy": reference.accuracy_score(codes, predicted),
        "auc": reference.roc_auc_score(codes, binned),
        "sensitivity": reference.recall_score(codes, predicted),
        "specificity": reference.recall_score(codes, predicted, pos_label=0),
        "f1": reference.f1_score(codes, predicted),
        "brier": reference.brier_score_loss(codes, probabilities[:, 1]),
    }
    assert {name: told["numbers"][name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert told["confusion"] == reference.confusion_matrix(codes, predicted).tolist()
    exact = reference.roc_auc_score(codes, probabilities[:, 1])
    assert abs(told["numbers"]["auc"] - exact) <= told["numbers"]["auc_error"]


def test_ours_are_those_of_the_same_model_on_our_test_rows(two: Sites, peer: Run) -> None:
    told = shown(peer)["own"]
    probabilities, codes = two.tested(0)
    assert (told["table"], told["rows"]) == ("site0.csv", 20)
    binned = np.digitize(probabilities[:, 1], EDGES)
    assert told["numbers"]["auc"] == pytest.approx(reference.roc_auc_score(codes, binned))
    assert told["confusion"] == reference.confusion_matrix(codes, probabilities.argmax(axis=1)).tolist()


def test_the_loss_that_the_page_shows_as_ours_is_that_of_the_rounds_model(two: Sites, peer: Run) -> None:
    assert list(two.own_losses) == [1, 2, 3, 4]
    assert two.own_losses[4] == pytest.approx(shown(peer)["own"]["numbers"]["loss"])
    assert two.trainers[0].own_loss(3) is None  # only of the newest round


def test_alone_is_a_model_that_saw_no_other_rows(tmp_path: Path, peer: Run) -> None:
    sites = Sites(tmp_path, "linear")
    told = shown(peer)
    app = sites.apps[0]
    assert app.table.values is not None
    seen = ~app.tested
    design = np.column_stack([app.table.inputs, np.ones(app.table.rows)])
    solution = np.linalg.lstsq(design[seen], app.table.values[seen])[0]
    errors = design[app.tested] @ solution - app.table.values[app.tested]
    assert told["alone"]["rows"] == 20
    # Three rounds come near to the solution of least squares, and no nearer.
    assert told["alone"]["numbers"]["rmse"] == pytest.approx(float(np.sqrt(np.square(errors).mean())), rel=0.1)
    assert told["alone"]["numbers"] != told["own"]["numbers"]


def test_a_regression_has_the_errors_of_all_rows_in_one_place(tmp_path: Path, peer: Run) -> None:
    sites = Sites(tmp_path, "linear")
    numbers = shown(peer)["members"]["numbers"]
    predicted, values = (np.concatenate(both) for both in zip(*map(sites.tested, range(3)), strict=True))
    trained = np.concatenate([app.table.values[~app.tested] for app in sites.apps if app.table.values is not None])
    assert numbers == pytest.approx(
        {
            "rmse": reference.root_mean_squared_error(values, predicted),
            "mae": reference.mean_absolute_error(values, predicted),
            "r2": 1 - reference.mean_squared_error(values, predicted) / trained.var(),
        }
    )


def test_many_classes_have_a_matrix_and_rates_of_each(tmp_path: Path, peer: Run) -> None:
    sites = Sites(tmp_path, "three")
    told = shown(peer)["members"]
    probabilities, codes = (np.concatenate(both) for both in zip(*map(sites.tested, range(3)), strict=True))
    predicted = probabilities.argmax(axis=1)
    assert told["confusion"] == reference.confusion_matrix(codes, predicted).tolist()
    assert told["numbers"]["macro_f1"] == pytest.approx(reference.f1_score(codes, predicted, average="macro"))
    assert told["by_class"].keys() == {"high", "low", "mid"}
    binned = np.digitize(probabilities, THREE_EDGES)
    areas = [reference.roc_auc_score(codes == one, binned[:, one]) for one in range(3)]
    assert [rates["auc"] for rates in told["by_class"].values()] == pytest.approx(areas)
    assert told["numbers"]["auc"] == pytest.approx(np.mean(areas))


@pytest.mark.parametrize("kind", ["two", "three", "four", "linear"])
def test_people_read_the_same_beside_each_other(tmp_path: Path, peer: Run, kind: str) -> None:
    Sites(tmp_path, kind)
    code, out, err = peer("model", "show")
    assert (code, err) == (Exit.OK, "")
    told = shown(peer)
    lines = out.splitlines()
    assert lines[0].startswith("the model of round 3, after 3 of 3 rounds of training")
    assert lines[2].split() == ["members", "ours", "alone"]
    assert lines[3].split() == ["test", "rows", "84", "20", "20"]
    name, label = ("r2", "R2") if kind == "linear" else ("accuracy", "accuracy")
    (line,) = [one for one in lines if one.startswith(f"{label} ")]
    # What is trained alone is trained anew by each call, on batches in another order.
    assert line.split()[1:3] == [f"{told[whose]['numbers'][name]:.4g}" for whose in ("members", "own")]
    assert "members: over about 84 test rows of 3 members, out of the secure sums" in lines
    assert "ours:    this model over the 20 test rows of site0.csv; told to nobody else" in lines
    assert ("Sensitivity and the like are of 'yes', the second class." in lines) == (kind == "two")
    assert ("members, rows by true class (down) and predicted class (across)" in lines) == (kind != "linear")
    assert ("ours, each class against the others" in lines) == (kind in ("three", "four"))
    assert ("No AUC: of 4 classes it takes more sums than a federation adds up." in lines) == (kind == "four")
    assert ("AUC is the mean of each class against the others." in lines) == (kind == "three")
    assert ("members, of the rows with a predicted probability of 'yes' between" in lines) == (kind == "two")
    assert not any(one.startswith(("ours, of the rows", "alone, of the rows")) for one in lines)


def test_the_status_tells_the_rates_under_the_loss(two: Sites, peer: Run) -> None:
    code, out, _ = peer("status")
    assert code == Exit.OK
    lines = out.splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.startswith("model ")]
    assert "AUC 0." in lines[place]
    assert lines[place].endswith("of the final model, over all members' test rows (about 84)")
    assert lines[place + 1].split(":")[0].strip() == "of 'yes'"
    assert "sensitivity 0." in lines[place + 1]
    status = json.loads(peer("status", "--json")[1])
    assert status["figures"]["numbers"] == pytest.approx(shown(peer)["members"]["numbers"])
    assert status["measured"] == {"rows": 84, "members": 3, "away": []}


def test_a_model_that_nobody_has_measured_has_ones_own_figures_all_the_same(tmp_path: Path, peer: Run) -> None:
    Sites(tmp_path, "two", is_evaluated=False)
    told = shown(peer)
    assert told["members"] is None
    assert told["own"]["rows"] == 20
    out = peer("model", "show")[1]
    assert "members: not measured yet; the next round measures this model, where members keep rows for testing" in out
    names = "accuracy, AUC, sensitivity, specificity, PPV, NPV, F1"
    assert f"{names}: added up over all members' rows once, of the model after the last round" in out
    assert told["to_come"][:2] == ["accuracy", "auc"]
    assert "ours, of the rows with a predicted probability of 'yes' between" in out


def test_until_a_model_is_measured_the_one_before_is_shown(tmp_path: Path, peer: Run) -> None:
    (tmp_path / "early").mkdir()
    two = Sites(tmp_path / "early", "two", is_evaluated=False)
    told = shown(peer, "--home", str(two.home))
    assert (told["members"], told["round"], told["before"]["round"]) == (None, 3, 2)
    two._decide("evaluate")
    (tmp_path / "ended").mkdir(mode=0o700)
    kept = Settings(data=str(tmp_path / "early" / "site0.csv"), target="y")
    fill(tmp_path / "ended", two.genesis, two.chain.blocks, two.weights.tobytes(), kept)
    ended = shown(peer, "--home", str(tmp_path / "ended"))
    assert ended["before"] is None
    assert ended["members"]["rows"] == told["before"]["rows"]
    assert {"loss"} <= told["before"]["numbers"].keys() <= ended["members"]["numbers"].keys(), "a round adds up less"
    assert ended["members"]["numbers"]["loss"] != told["before"]["numbers"]["loss"]
    out = peer("model", "show", "--home", str(two.home))[1]
    assert out.splitlines()[2].split() == ["before", "ours", "alone"]
    assert "before:  the last model that was measured, that of round 2, over about 84 test rows of 3 members" in out


def test_before_any_model_is_measured_there_is_none_to_show(tmp_path: Path, peer: Run) -> None:
    two = Sites(tmp_path, "two")
    first = unmeasured(two, tmp_path / "first")
    told = shown(peer, "--home", str(first))
    assert (told["members"], told["before"]) == (None, None)


def unmeasured(sites: Sites, folder: Path) -> Path:
    """Make a home of these sites in which only the sums of the setup are decided."""
    learner = Learner(sites.apps[0])
    folder.mkdir(mode=0o700)
    kept = Settings(data=str(sites.home.parent / "site0.csv"), target="y")
    fill(folder, sites.genesis, sites.chain.blocks[:3], learner.initial().astype("<f4").tobytes(), kept)
    return folder


def test_in_an_older_federation_ones_own_figures_are_complete(tmp_path: Path, peer: Run) -> None:
    Sites(tmp_path, "two", metrics=("accuracy",), final_metrics=())
    told = shown(peer)
    assert told["members"]["numbers"].keys() == {"loss", "accuracy"}
    assert "auc" in told["own"]["numbers"]
    code, out, _ = peer("model", "show")
    assert code == Exit.OK
    assert "AUC" in out


def test_an_app_has_what_it_reports(tmp_path: Path, peer: Run) -> None:
    first, second = (np.full(6, number, dtype="<f4").tobytes() for number in (0, 1))
    genesis = make_genesis(min_peers=3, rounds=1, metrics=("dice", "a name that is longer than others"))
    genesis = msgspec.structs.replace(genesis, weights_hash=digest_of(first))
    chain = Chain(3, genesis)
    for loss in (0.5, 0.25):
        chain.append(chain.contributors())
        chain.append(chain.model(30, 30, 12, 12 * loss, 12 * 0.75, 24, weights=digest_of(second)))
    (tmp_path / "home").mkdir(mode=0o700)
    fill(tmp_path / "home", genesis, chain.blocks, second, Settings(app="mine:App"))
    code, out, err = peer("model", "show")
    assert code == Exit.OK
    assert [line.split() for line in out.splitlines()[2:6]] == [
        ["members"],
        ["test", "rows", "12"],
        ["loss", "0.25"],
        ["dice", "0.75"],
    ]
    assert "a name that is longer than others" in out
    assert err == "peer: note: no figures on your own rows: they are of tables, and this peer trains an app\n"


def test_a_table_that_is_gone_leaves_the_members_figures(two: Sites, peer: Run, tmp_path: Path) -> None:
    before = shown(peer)["members"]
    (tmp_path / "site0.csv").unlink()
    told = shown(peer)
    assert (told["members"], told["own"], told["alone"]) == (before, None, None)
    assert "site0.csv: cannot be read" in told["trouble"]
    code, out, err = peer("model", "show")
    assert (code, out.splitlines()[2].split()) == (Exit.OK, ["members"])
    assert err.startswith("peer: note: no figures on your own rows: ")
    assert "site0.csv: cannot be read" in err


def test_without_test_rows_of_ones_own_it_says_so(tmp_path: Path, peer: Run) -> None:
    Sites(tmp_path, "two", test_fraction=0.0)
    code, out, err = peer("model", "show")
    assert code == Exit.OK
    assert "site0.csv: no row is kept for testing (--test-fraction)" in err
    assert "ours" not in out.splitlines()[2]


def test_a_home_without_a_federation_has_no_figures(tmp_path: Path, peer: Run) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    code, _, err = peer("model", "show")
    assert code != Exit.OK
    assert "peer start" in err
