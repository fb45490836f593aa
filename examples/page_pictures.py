"""Takes pictures of the page of a federation in the middle of its training, in light and in dark.

Five real processes train on scikit-learn's breast cancer data, in unequal shards. One of them, Dresden, is killed on
the way. The page of the first is opened in a headless Chromium and photographed once some rounds without it are over.

Run it with `make pictures`, or: python examples/page_pictures.py [--out docs/pictures]

It needs scikit-learn and Playwright (`pip install 'coterie[demo,browser]'`), and a Chromium: that of
`playwright install chromium`, one on the path, or the one that COTERIE_CHROMIUM names.
"""

import argparse
import os
import queue
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from baselines import write_table
from peers import PEER, Event, Peer
from sklearn.datasets import load_breast_cancer

NAMES = ("Aarhus", "Bologna", "Coimbra", "Dresden", "Eindhoven")
SHARES = (0.14, 0.16, 0.2, 0.22, 0.28)
KILLED, KILL_ROUND, PICTURE_ROUND, ROUNDS = "Dresden", 12, 16, 60
COMMON = ("--listen", "127.0.0.1:0", "--heartbeat", "0.5", "--dead-after", "3")
FOUNDING = (
    *("--federation", "breast cancer", "--min-peers", "5", "--rounds", str(ROUNDS), "--round-interval", "1"),
    *("--evict-after", "0", "--view-timeout", "1", "--share-deadline", "15", "--learning-rate", "0.03"),
)
WIDTH, HEIGHT, MARGIN = 1280, 2000, 20
LIMIT_SECONDS = 300


def write_tables(folder: Path) -> list[Path]:
    """Write a CSV file for each site."""
    data = load_breast_cancer()
    order = np.random.default_rng(2).permutation(len(data.data))
    ends = (np.cumsum(SHARES) * len(order)).round().astype(int)
    header = [*map(str, data.feature_names), "diagnosis"]
    paths = []
    for name, part in zip(NAMES, np.split(order, ends[:-1]), strict=True):
        paths.append(folder / f"{name}.csv")
        write_table(paths[-1], header, [[*data.data[row], data.target_names[data.target[row]]] for row in part])
    return paths


class Federation:
    """Five processes, and what they tell."""

    def __init__(self, folder: Path) -> None:
        self.feed: queue.Queue[tuple[Peer, Event]] = queue.Queue()
        self.paths = write_tables(folder)
        self.peers = [Peer(name, folder / name, self.feed, (PEER,)) for name in NAMES]

    def wait(self, peer: Peer, kind: str, least_round: int = 0) -> Event:
        """Wait until a peer tells an event of this kind, of this round or a later one."""
        while True:
            try:
                teller, event = self.feed.get(timeout=LIMIT_SECONDS)
            except queue.Empty:
                sys.exit(f"no {kind!r} of {peer.name} in {LIMIT_SECONDS} s")
            if event["event"] == "exit" and teller.name != KILLED:
                sys.exit(f"{teller.name} ended: {event['text']}")
            if teller is peer and event["event"] == kind and event.get("round", 0) >= least_round:
                return event

    def run(self) -> str:
        """Start all sites, kill one; return the address of the page once there is something to see."""
        founder, *others = self.peers
        founder.start(
            *COMMON, *FOUNDING, "--name", founder.name, "--data", str(self.paths[0]), "--target", "diagnosis",
            "--model", "logistic", "--page", "127.0.0.1:0",
        )  # fmt: skip
        page = self.wait(founder, "page")["url"]
        invite = self.wait(founder, "founded")["invite"]
        for peer, path in zip(others, self.paths[1:], strict=True):
            peer.start(
                *COMMON, "--name", peer.name, "--data", str(path), "--bootstrap", founder.address, "--invite", invite,
            )  # fmt: skip
        self.wait(founder, "model", KILL_ROUND)
        next(peer for peer in self.peers if peer.name == KILLED).kill()
        self.wait(founder, "model", PICTURE_ROUND)
        return str(page)

    def close(self) -> None:
        """End all processes."""
        for peer in self.peers:
            peer.kill()


def take_pictures(url: str, out: Path) -> list[Path]:
    """Photograph a page in both colour schemes."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("COTERIE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    paths = []
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(url)
            page.wait_for_selector("#model-chart svg")
            page.wait_for_selector("#blocks li")
            paths.append(out / f"page-{scheme}.png")
            last = page.locator("#faults").bounding_box()
            assert last is not None
            height = last["y"] + last["height"] + MARGIN
            page.screenshot(path=paths[-1], clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        browser.close()
    return paths


def main() -> int:
    """Run the federation and photograph it."""
    parser = argparse.ArgumentParser(description="take pictures of a page in the middle of a training")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), metavar="DIR", help="where (%(default)s)")
    given = parser.parse_args()
    if not given.out.is_dir():
        parser.error(f"--out {given.out}: no such folder")
    try:
        import playwright  # noqa: F401
    except ImportError:
        parser.error("a browser is needed: pip install 'coterie[browser]', then playwright install chromium")
    with tempfile.TemporaryDirectory() as folder:
        federation = Federation(Path(folder))
        try:
            for path in take_pictures(federation.run(), given.out):
                print(path)
        finally:
            federation.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
