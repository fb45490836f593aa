"""Three hospitals train on tables as they are: categories, gaps, dates, ids, each written in another way.

They want to predict how many days a patient stays. The tables are made up: a ward decides most, then the age, and
whether the BMI was measured at all. What differs between the sites is what differs between real ones:

* Bologna's spreadsheet writes semicolons, decimal commas and dates such as 31.01.2024;
* Coimbra has a ward that nobody else has, which Aarhus names beforehand, and has misspelt another one in some rows:
  these count as any other ward, and Coimbra is told their line;
* all have a patient's id, which is no input, and gaps in the BMI, each in another spelling.

Aarhus founds the federation; its table says what each column is. The others check their tables with its invite before
they join. The exit status is 0 only if all three finish with one model that is far better than the mean.

Run: python examples/mixed_tables.py [--keep DIR] [--rounds N]
"""

import argparse
import csv
import gzip
import queue
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from peers import PEER, Event, Peer

HEADER = ("patient_id", "ward", "sex", "age", "bmi", "admitted", "days")
STAY = {"Surgery": 9.0, "Cardiology": 6.0, "Eye clinic": 1.5, "Burns": 20.0}
WARDS = {
    "Aarhus": ("Surgery", "Cardiology", "Eye clinic"),
    "Bologna": ("Surgery", "Cardiology"),
    "Coimbra": ("Surgery", "Cardiology", "Eye clinic", "Burns"),
}
LEVELS = "ward=Burns,Cardiology,Eye clinic,Surgery"
GAPS = {"Aarhus": "NA", "Bologna": "", "Coimbra": "."}
ROWS = {"Aarhus": 400, "Bologna": 250, "Coimbra": 320}
TARGET = "days"


def patients(site: str, seed: int) -> list[dict[str, str]]:
    """The rows of a site, with decimal points and ISO dates."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(ROWS[site]):
        ward = str(random.choice(WARDS[site]))
        age, is_measured = int(random.integers(18, 95)), random.random() < 0.7
        days = 4 + STAY[ward] + 0.08 * (age - 50) - 1.5 * is_measured + random.normal(0, 0.5)
        if site == "Coimbra" and number % 40 == 7:
            ward = "Cardiolgy"
        rows.append(
            {
                "patient_id": str(100_000 + 37 * number),
                "ward": ward,
                "sex": str(random.choice(("f", "m"))),
                "age": str(age),
                "bmi": f"{random.normal(26, 4):.1f}" if is_measured else GAPS[site],
                "admitted": (date(2024, 1, 1) + timedelta(days=int(random.integers(0, 366)))).isoformat(),
                "days": f"{days:.2f}",
            }
        )
    return rows


def write_tables(folder: Path) -> dict[str, Path]:
    """Write the table of each site in its own way. Returns the paths."""
    paths = {name: folder / f"{name}.csv" for name in ("Aarhus", "Bologna")} | {"Coimbra": folder / "Coimbra.csv.gz"}
    tables = {name: patients(name, seed) for seed, name in enumerate(paths)}
    for row in tables["Bologna"]:
        row["admitted"] = date.fromisoformat(row["admitted"]).strftime("%d.%m.%Y")
        row |= {name: row[name].replace(".", ",") for name in ("bmi", "days")}
    with paths["Aarhus"].open("w", newline="") as file:
        write(file, tables["Aarhus"], ",")
    with paths["Bologna"].open("w", newline="") as file:
        write(file, tables["Bologna"], ";")
    with gzip.open(paths["Coimbra"], "wt", newline="") as file:
        write(file, tables["Coimbra"], ",")
    return paths


def write(file: object, rows: Sequence[dict[str, str]], separator: str) -> None:
    """Write CSV."""
    writer = csv.DictWriter(file, HEADER, delimiter=separator)  # type: ignore[type-var]
    writer.writeheader()
    writer.writerows(rows)


def run(*words: str) -> str:
    """Run a `peer` command, show it, and return what it printed."""
    print("\n$ peer", *("coterie1-…" if word.startswith("coterie1-") else Path(word).name for word in words))
    done = subprocess.run((PEER, *words), capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr, end="")
    if done.returncode:
        raise SystemExit(f"exit status {done.returncode}")
    return done.stdout


def train(folder: Path, paths: dict[str, Path], rounds: int) -> Peer:
    """Found, check, join, and follow the training to its end. Returns the founder."""
    feed: queue.Queue[tuple[Peer, Event]] = queue.Queue()
    founder, *others = (Peer(name, folder / name, feed) for name in paths)
    common = ("--listen", "127.0.0.1:0", "--linger", "20", "--ignore", "patient_id")
    founding = ("--data", str(paths[founder.name]), "--target", TARGET, "--gaps", "bmi", "--levels", LEVELS)
    run("data", "check", *founding[1:], "--ignore", "patient_id")
    founder.start(*common, *founding, "--name", founder.name, "--rounds", str(rounds))
    invite = follow(feed, "founded")["invite"]
    for peer in others:
        run("data", "check", str(paths[peer.name]), "--ignore", "patient_id", "--invite", invite)
        peer.start(*common, "--name", peer.name, "--data", str(paths[peer.name]), "--invite", invite)
    running = {peer.name for peer in (founder, *others)}
    while running:
        running.discard(follow(feed, "exit", founder)["peer"])
    return founder


def follow(feed: "queue.Queue[tuple[Peer, Event]]", wanted: str, shown: Peer | None = None) -> Event:
    """Wait for an event of any site; show the models that `shown` tells of. Raises SystemExit where a site fails."""
    while True:
        peer, event = feed.get(timeout=300)
        if event["event"] == "model" and peer is shown:
            print(f"{peer.name}: {event['text']}")
        if event["event"] == "exit" and peer.exit_code:
            raise SystemExit(f"{peer.name} ended with exit status {peer.exit_code}; see {peer.home.parent}")
        if event["event"] == wanted:
            return event | {"peer": peer.name}


def compare(folder: Path, founder: Peer) -> bool:
    """Predict for patients that no site has trained on, and say whether that is far better than the mean."""
    rows = patients("Coimbra", 99)
    new, out = folder / "new.csv", folder / "predictions.csv"
    with new.open("w", newline="") as file:
        write(file, rows, ",")
    run("predict", "--home", str(founder.home), "--data", str(new), "--out", str(out))
    with out.open(newline="") as file:
        predicted = np.array([float(row[TARGET]) for row in csv.DictReader(file)])
    stayed = np.array([float(row[TARGET]) for row in rows])
    error, spread = float(np.sqrt(np.mean((predicted - stayed) ** 2))), float(stayed.std())
    print(f"\nRMSE {error:.2f} days over {len(rows)} new patients of Coimbra; the mean alone is {spread:.2f} days off")
    return error < 0.4 * spread


def main() -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new folder and leave it there")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="rounds to train (15)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        founder = train(folder, write_tables(folder), given.rounds)
        return 0 if compare(folder, founder) else 1


if __name__ == "__main__":
    sys.exit(main())
