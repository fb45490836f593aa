"""The stories in `examples/` that the simulator plays, each in a small size, as a reader runs them."""

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a story."""
    command = (sys.executable, str(EXAMPLES / f"{name}.py"), *words)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def told(folder: Path, name: str, *words: str) -> list[list[str]]:
    """What a story printed: the cells of each line. It has to succeed, and to draw its picture."""
    out = folder / f"{name}.png"
    done = run(name, *words, "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    assert out.read_bytes().startswith(b"\x89PNG")
    return [re.split(r" {2,}", line.strip()) for line in done.stdout.splitlines()]


def test_reconstruction_opens_in_all_ways_and_errs_by_the_digits(tmp_path: Path) -> None:
    rows = told(tmp_path, "reconstruction", "--holders", "8", "16", "--sums", "300", "--parameters", "4000")
    assert [row[:2] for row in rows if len(row) == 6 and row[0].isdigit()] == [["8", "4"], ["16", "8"]]
    errors = [float(row[3]) for row in rows if len(row) == 4 and row[0].isdigit()]
    assert len(errors) == 9
    assert all(later < earlier / 5 for earlier, later in pairwise(errors))


def test_many_clients_says_the_same_of_real_and_of_ideal_shares(tmp_path: Path) -> None:
    rows = told(tmp_path, "many_clients", "--sizes", "4", "8", "--measured", "4")
    real, ideal, larger = (row for row in rows if len(row) == 6 and row[0].isdigit())
    assert (real[:2], ideal[:2], larger[:2]) == (["4", "real"], ["4", "ideal"], ["8", "ideal"])
    assert [float(cell) for cell in ideal[2:4]] == pytest.approx([float(cell) for cell in real[2:4]], rel=0.1)
    assert int(larger[2]) > int(ideal[2])


def test_no_server_finishes_whatever_goes_wrong_and_the_baseline_does_not(tmp_path: Path) -> None:
    rows = told(tmp_path, "no_server", "--rounds", "8")
    courses = {row[0]: row for row in rows if len(row) == 5 and " of 8" in row[1]}
    assert len(courses) == 7
    killed = courses.pop("a server, killed")
    assert int(killed[1].split()[0]) < 8
    assert killed[4] == "never"
    assert all(row[1] == "8 of 8" for row in courses.values())
    assert float(courses["no server, split 4 and 4"][3]) > 9, "neither half decides while it is split"


def test_audit_finds_every_forgery_and_tells_who_contributed(tmp_path: Path) -> None:
    rows = told(tmp_path, "audit", "--rounds", "10")
    forgeries = [row[1] for row in rows[rows.index(["forgeries"]) :] if len(row) == 2][2:]
    assert len(forgeries) == 7
    assert all("certificate: " in found or found.startswith("valid, but ") for found in forgeries)
    marks = {row[0]: row[-1].split() for row in rows if len(row) == 5}
    assert "c" in marks["Dresden"]
    assert marks["Dresden"][-1] == "-", "evicted for its false sum"
    assert marks["Aarhus"] == ["c"] * 10
    assert "m" in marks["Coimbra"]
    assert marks["Coimbra"][-1] == "c"


def test_update_attack_finds_the_row_behind_an_update_and_more_in_no_sum(tmp_path: Path) -> None:
    rows = told(tmp_path, "update_attack", "--rows", "1")
    inside = {row[0]: row[1:4] for row in rows if len(row) == 7 and row[1].isdigit()}
    assert inside["an update (plain)"] == ["1", "1", "1 (100%)"]
    assert [row[:2] for row in inside.values()] == [["1", "1"], ["1", "2"], ["1", "6"]]


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `paper.py --small` wrote."""
    folder = tmp_path_factory.mktemp("paper")
    done = run("paper", "--small", "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def lines_of(paper: Path, number: str, place: int) -> dict[str, list[float]]:
    """The values of each line in a panel of a figure of the paper."""
    told = json.loads((paper / "paper.json").read_text())
    return {name: line["y"] for name, line in told["figures"][number]["panels"][place]["lines"].items()}


def test_paper_draws_each_figure(paper: Path) -> None:
    drawn = sorted(path.stem for path in paper.glob("*.png"))
    assert drawn == [f"paper-{number:02}" for number in range(6, 16)]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paper.glob("*.png"))


def test_paper_finds_the_rmse_of_plain_under_every_protection(paper: Path) -> None:
    for place in (0, 1):
        encrypted, shared = lines_of(paper, "06", place), lines_of(paper, "09", place)
        plain = encrypted["paper: plain"]
        assert plain[-1] < plain[0] / 4
        assert all(values == pytest.approx(plain, rel=0.001) for values in encrypted.values())
        (shamir,) = (values for name, values in shared.items() if name.startswith("Coterie: shamir"))
        assert shamir == pytest.approx(plain, rel=0.01)


def test_paper_finds_that_reversed_targets_hurt_everywhere_alike(paper: Path) -> None:
    found = list(lines_of(paper, "12", 0).values())
    assert all(values == pytest.approx(found[0], rel=0.001) for values in found)
    assert found[0][1] > 4 * found[0][0]


def test_paper_bounds_boosted_updates_in_coterie_and_nowhere_else(paper: Path) -> None:
    reached = {name: values[-1] for name, values in lines_of(paper, "12", 1).items()}
    bounded = {name for name, value in reached.items() if value < 100}
    assert bounded == {"library: masked", "Coterie: plain", "Coterie: shamir"}


def test_paper_names_up_to_f_that_manipulate_and_decides_nothing_beyond(paper: Path) -> None:
    theirs, ours = lines_of(paper, "10", 1).values()
    named = json.loads((paper / "paper.json").read_text())["named"]["so many members of 8"]
    assert named["1"] == "named: 7; void rounds: 0"
    assert named["3"] == "named: nobody; void rounds: 4"
    assert ours[1] == pytest.approx(ours[0], rel=0.05)
    assert theirs[1] > 1.1 * theirs[0]


def test_paper_sends_most_for_a_ciphertext_a_parameter(paper: Path) -> None:
    at_1000 = {name: values[-1] for name, values in lines_of(paper, "14", 0).items()}
    assert max(at_1000, key=at_1000.__getitem__) == "paper: Paillier"
    assert at_1000["library: Paillier, packed"] < 3 * at_1000["paper: plain"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("audit", "--rounds", "0"), "argument --rounds: '0' is no whole number from 1 on"),
        (("audit", "--out", "audit.jpg"), "--out audit.jpg: a picture's name ends in .png"),
        (("audit", "--out", "nowhere/audit.png"), "--out nowhere/audit.png: there is no folder nowhere"),
        (("paper", "--out", "nowhere"), "--out nowhere: there is no such folder"),
        (("many_clients", "--sizes", "2"), "--sizes 2: a federation trains with 3 to 1024 members"),
        (("reconstruction", "--holders", "2"), "--holders 2: half of them open a sum, so at least 4 are needed"),
        (("update_attack", "--rows", "64"), "--rows 64: at most 32"),
    ],
)
def test_bad_sizes_are_refused_before_the_work_begins(words: tuple[str, ...], text: str) -> None:
    done = run(*words)
    assert done.returncode != 0
    assert done.stdout == ""
    assert text in done.stderr
