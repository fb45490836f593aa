"""The stories in `examples/` that the simulator plays, each in a small size, as a reader runs them."""

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


def test_update_attack_finds_the_row_behind_an_update_and_more_in_no_sum(tmp_path: Path) -> None:
    rows = told(tmp_path, "update_attack", "--rows", "1")
    inside = {row[0]: row[1:4] for row in rows if len(row) == 7 and row[1].isdigit()}
    assert inside["an update (plain)"] == ["1", "1", "1 (100%)"]
    assert [row[:2] for row in inside.values()] == [["1", "1"], ["1", "2"], ["1", "6"]]
