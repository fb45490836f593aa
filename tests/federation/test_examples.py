"""The examples that start real peers, as a reader runs them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_tables_with_categories_gaps_and_dates_are_trained_on_as_they_are(tmp_path: Path) -> None:
    words = (sys.executable, str(EXAMPLES / "mixed_tables.py"), "--keep", str(tmp_path / "kept"), "--rounds", "5")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ward = "'Cardiolgy' (8 rows) is none of the levels agreed on (Burns, Cardiology, Eye clinic, Surgery)"
    assert (
        f"Coimbra.csv.gz, line 9, column 'ward': {ward} and counts as any other (was 'Cardiology' meant?)"
        in done.stdout
    )
    assert re.search(r"Bologna.csv: .*\n.*\n.*\n.*dates, as days since 1970-01-01: admitted", done.stdout)
    assert "bmi: 14.4 to 41, mean 25.9067; 71 gaps stand as the mean of all members" in done.stdout
    assert "'days' predicted for 320 rows of new.csv" in done.stdout


def test_a_frozen_member_is_missed_by_all_and_is_back_when_it_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "heartbeats.png"
    words = (sys.executable, str(EXAMPLES / "heartbeats.py"), "--seconds", "3", "--out", str(out))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert out.read_bytes().startswith(b"\x89PNG")
    rows = {row[0]: row for line in done.stdout.splitlines() if len(row := re.split(r" {2,}", line.strip())) == 8}
    assert {"calm", "frozen", "slow", "flapping"} <= rows.keys()
    _, _, lost, after, back, *_ = rows["frozen"]
    assert int(lost) >= 4, "each of the four others gives the link up"
    assert float(after.split()[0]) > 1, "and not before beats have been missing for a while"
    assert float(back.split()[0]) >= 3, "as long as it is frozen nobody has a link to it"
    assert int(rows["flapping"][2]) >= 2, "both sides tell of it"


def test_the_page_is_photographed_in_the_middle_of_a_training(tmp_path: Path) -> None:
    pytest.importorskip("playwright", reason="Playwright is not installed")
    if not any(filter(None, (os.environ.get("COTERIE_CHROMIUM"), *map(shutil.which, ("chromium", "google-chrome"))))):
        pytest.skip("no Chromium is installed")
    words = (sys.executable, str(EXAMPLES / "page_pictures.py"), "--out", str(tmp_path))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pictures = [(tmp_path / f"page-{scheme}.png").read_bytes() for scheme in ("light", "dark")]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize(
    ("package", "needs", "differs"),
    [
        ("sklearn", "sklearn", "options.C: the federation's is 1.0, yours is 0.1"),
        ("torch", "torch", "optimiser.lr: the federation's is 0.05, yours is 0.5"),
        ("jax", "optax", "optimiser.learning_rate: the federation's is 0.05, yours is 0.5"),
    ],
)
def test_a_model_of_another_package_is_trained_from_what_new_app_writes(
    tmp_path: Path, package: str, needs: str, differs: str
) -> None:
    pytest.importorskip(needs, reason=f"{needs} is not installed")
    words = (sys.executable, str(EXAMPLES / "own_model.py"), "--package", package)
    words += ("--keep", str(tmp_path / "kept"), "--rounds", "3")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"the apps differ in {differs}" in done.stdout
    assert re.search(r"Aarhus: round 4 \(evaluate\): .* accuracy 0\.\d+", done.stdout)
