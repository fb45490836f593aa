"""Three sites train a model of scikit-learn, PyTorch or JAX, from the app that `peer new-app` writes.

The app reads a site's table and hands its rows to an adapter (docs/apps.md); the tables are made up. A fourth site,
whose module has another option, is refused and told which one. The exit status is 0 only if all three finish with one
model, and its export, which the app loads, predicts two clear cases rightly.

Run: python examples/own_model.py [--package sklearn|torch|jax] [--keep DIR] [--rounds N]
"""

import argparse
import os
import queue
import subprocess
import sys
import tempfile
from pathlib import Path

from peers import PEER, Event, Peer

SITES = ("Aarhus", "Bologna", "Coimbra")
OTHER = {"sklearn": ("C=1.0", "C=0.1"), "torch": ("lr=0.05", "lr=0.5"), "jax": ("rate=0.05", "rate=0.5")}
"""What all sites have in their module, and what the site that is refused has instead."""

LOAD = "import mymodel; model = mymodel.app().load('model.npz'); rows = [[80, 5.0, 150], [25, 1.0, 110]]; "
PREDICT = {
    "sklearn": LOAD + "print(*model.predict(rows))",
    "torch": LOAD + "import torch; print(*(('no', 'yes')[n] for n in model(torch.tensor(rows)).argmax(dim=1)))",
    "jax": LOAD + "import numpy as np; "
    "print(*(('no', 'yes')[n] for n in mymodel.predict(model, np.array(rows)).argmax(axis=1)))",
}


def run(*words: str, folder: Path | None = None) -> str:
    """Run a command, show it, and return what it printed. Raises SystemExit where it fails."""
    print("\n$", *(Path(word).name if "/" in word else word for word in words))
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr, end="")
    if done.returncode:
        raise SystemExit(f"exit status {done.returncode}")
    return done.stdout


def train(folder: Path, package: str, rounds: int) -> Peer:
    """Found, refuse, join, and follow the training to its end. Returns the founder."""
    feed: queue.Queue[tuple[Peer, Event]] = queue.Queue()
    founder, *others = (Peer(name, folder / name, feed) for name in SITES)
    os.chdir(folder)  # where `--app` looks for modules
    common = ("--listen", "127.0.0.1:0", "--linger", "20")
    start(founder, 1, *common, "--app", "mymodel:app", "--rounds", str(rounds))
    invite = wait(feed, "founded", founder)["invite"]
    text = (folder / "mymodel.py").read_text()
    (folder / "othermodel.py").write_text(text.replace(*OTHER[package]))
    stranger = Peer("Dresden", folder / "Dresden", feed)
    start(stranger, 2, *common, "--app", "othermodel:app", "--invite", invite)
    wait(feed, "exit", stranger)
    print("Dresden:", (folder / "Dresden.log").read_text().strip().splitlines()[-1])
    for number, peer in enumerate(others, start=2):
        start(peer, number, *common, "--app", "mymodel:app", "--invite", invite)
    running = {peer.name for peer in (founder, *others)}
    while running:
        peer, event = feed.get(timeout=300)
        if event["event"] == "model" and peer is founder:
            print(f"{peer.name}: {event['text']}")
        if event["event"] == "exit":
            running.discard(peer.name)
            if peer.exit_code:
                raise SystemExit(f"{peer.name} ended with exit status {peer.exit_code}; see {folder}")
    return founder


def start(peer: Peer, table: int, *options: str) -> None:
    """Start a site with its own table."""
    os.environ["DATA"] = f"site-{table}.csv"
    peer.start("--name", peer.name, *options)


def wait(feed: "queue.Queue[tuple[Peer, Event]]", wanted: str, peer: Peer) -> Event:
    """Wait for an event of a site. Raises SystemExit where the site ends instead."""
    while True:
        of, event = feed.get(timeout=300)
        if of is peer and event["event"] == wanted:
            return event
        if event["event"] == "exit":
            raise SystemExit(f"{of.name} ended with exit status {of.exit_code}; see {of.home.parent}")


def main() -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", choices=sorted(OTHER), default="sklearn", help="what the model is of (sklearn)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new folder and leave it there")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="rounds to train (10)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.keep or Path(scratch)).resolve()
        run(PEER, "new-app", given.package, str(folder))
        founder = train(folder, given.package, given.rounds)
        run(PEER, "model", "export", "--home", str(founder.home), "--out", str(folder / "model.npz"))
        return 0 if run(sys.executable, "-c", PREDICT[given.package], folder=folder).split() == ["yes", "no"] else 1


if __name__ == "__main__":
    sys.exit(main())
