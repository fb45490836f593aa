"""What the documents tell readers to type, typed at real peers: `test_listings.py` says which listing is where."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from listings import NAMES, ROOT, listing, listings, missing

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]

WAIT_SECONDS = 300.0
"""Longest wait: no measure of speed, only the end of a test that hangs."""


class Terminal:
    """A shell in a folder; at most one command in it keeps running, and all that it printed can be read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.printed: list[str] = []
        self.running: subprocess.Popen[str] | None = None
        self._changed = threading.Condition()
        self._has_ended = False
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "COTERIE_HOME": str(folder / "home")}

    def run(self, command: str) -> list[str]:
        """Run a command to its end; return what it printed."""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout.splitlines()

    def start(self, command: str) -> None:
        """Start a command that keeps running."""
        assert self.running is None or self.running.poll() is not None
        self.printed, self._has_ended = [], False
        # The shell becomes the command, so that it can be interrupted.
        self.running = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.running,), daemon=True)
        self._reader.start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self.printed.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def shows(self, told: list[str]) -> None:
        """Wait until all these lines were printed, in this order."""
        self._wait(lambda: not missing(["…", *told], self.printed), told)

    def find(self, pattern: str) -> str:
        """Wait for a line with this in it; return the first group."""
        found = re.compile(pattern)
        self._wait(lambda: any(map(found.search, self.printed)), [pattern])
        return str(next(match for line in self.printed if (match := found.search(line)))[1])

    def _wait(self, is_there: Callable[[], bool], told: list[str]) -> None:
        give_up = time.monotonic() + WAIT_SECONDS
        with self._changed:
            while not is_there():
                assert not self._has_ended, self.story(told)
                assert self._changed.wait(give_up - time.monotonic()), self.story(told)

    def story(self, told: list[str]) -> str:
        """What was waited for and what came, for the message of a failed test."""
        return "\n".join(["not shown:", *missing(["…", *told], self.printed), "printed:", *self.printed])

    def ends(self) -> int:
        """Wait for the end of what runs; return its exit code."""
        assert self.running is not None
        code = self.running.wait(WAIT_SECONDS)
        self._reader.join(WAIT_SECONDS)
        return code

    def interrupt(self) -> int:
        """Ctrl-C; return the exit code."""
        assert self.running is not None
        self.running.send_signal(signal.SIGINT)
        return self.ends()


class Terminals:
    """Terminals by their names, which all end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: dict[str, Terminal] = {}

    def named(self, name: str, folder: Path | None = None) -> Terminal:
        """The terminal of this name, in a folder of its own unless another one is given."""
        if name not in self._opened:
            self._opened[name] = Terminal(folder or self.folder / name)
        return self._opened[name]

    def close(self) -> None:
        """End what still runs."""
        for one in self._opened.values():
            if one.running is not None and one.running.poll() is None:
                one.running.kill()
                one.running.wait()


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    made = Terminals(tmp_path)
    yield made
    made.close()


# The tutorial.

NOT_TYPED = ("make setup", ". .venv/bin/activate")
"""What made the environment in which the tests run."""


def test_the_tutorial_prints_what_it_shows(terminals: Terminals, tmp_path: Path) -> None:
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    for one in listings("docs/tutorial.md"):
        assert one.language == "console"
        terminal = terminals.named(one.title, tmp_path)
        for command, told in one.typed:
            if command.startswith("peer start"):
                terminal.start(command)
                terminal.shows(told)
            elif command.startswith("peer status"):
                terminals.named("Terminal 1").find(r"round [2-9] \((train)\) begins")
                assert_alike(told, terminal.run(command))
            elif not command:
                terminal.shows(told)
                codes = [terminals.named(f"Terminal {number}").ends() for number in (1, 2, 3)]
                assert codes == [0, 0, 0]
            elif command not in NOT_TYPED:
                assert missing(told, terminal.run(command)) == [], command


def assert_alike(told: list[str], printed: list[str]) -> None:
    """Both are the status of a round that runs: the same facts and members, whatever the peers do at the moment."""
    facts, seen = ({line.split()[0] for line in lines if line} for lines in (told, printed))
    assert facts - seen <= {"aggregator"}, printed
    assert set(NAMES) <= seen


# The federations of the README and the guide.


def table(path: Path, seed: int, number: bool) -> None:
    """A table with the columns `a`, `b` and `outcome`, a number or a class."""
    source = random.Random(seed)
    lines = ["a,b,outcome"]
    for _ in range(120):
        a, b = source.gauss(0, 1), source.gauss(3, 2)
        value = 2 * a - b + 1 + source.gauss(0, 0.1)
        lines.append(f"{a:.4f},{b:.4f},{f'{value:.4f}' if number else ('alive', 'died')[value > -2]}")
    path.write_text("\n".join(lines) + "\n")


def sites(terminals: Terminals, number: bool) -> list[Terminal]:
    """Three sites, each with a folder that holds the tables that the documents name."""
    made = [terminals.named(name) for name in NAMES]
    for seed, site in enumerate(made):
        for name in ("ours.csv", "theirs.csv", "FILE.csv", "new.csv"):
            table(site.folder / name, seed, number)
    return made


def typed(document: str, first: str, invite: str = "", **stands: str) -> list[str]:
    """The commands of a listing, with what the reader puts in the place of the words in capitals and of …"""
    commands = []
    for line in listing(document, first).commands:
        command = re.sub(r"\s+# .*", "", line)
        for word, text in stands.items():
            command = re.sub(rf"\b{word}\b(?!\.csv)", lambda _, text=text: text, command)
        commands.append(command.replace("coterie1-…", invite).replace("--invite …", f"--invite {invite}"))
    return commands


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


INVITE = r"peer start --invite (coterie1-[\w-]+) --data FILE.csv"


def test_the_first_lines_of_the_readme_train_a_model_of_classes(terminals: Terminals) -> None:
    founder, *others = sites(terminals, number=False)
    found, _ = typed("README.md", "peer start --data ours.csv")
    founder.start(found)
    _, join = typed("README.md", "peer start --data ours.csv", invite=founder.find(INVITE))
    for other in others:
        other.start(join)
    for site in (*others, founder):
        assert "loss" in site.find(r"round [2-9] \(train\): agreed; before it (.*)")
    assert [site.interrupt() for site in (founder, *others)] == [0, 0, 0]


def test_the_lines_on_rare_classes_and_rounds_by_time_found_federations(terminals: Terminals) -> None:
    founder, another, _ = sites(terminals, number=False)
    start = "peer start --data ours.csv --target outcome --model logistic"
    (weighed,) = typed("docs/learning.md", f"{start} --class-weights")
    (timed,) = typed("docs/learning.md", f"{start} --round-time")
    for site, found in ((founder, weighed), (another, timed)):
        site.start(found)
        site.find(INVITE)
        assert site.interrupt() == 0


def test_what_the_guide_says_of_a_number_is_carried_out_as_it_stands(terminals: Terminals) -> None:
    pytest.importorskip("matplotlib")
    founder, second, third = sites(terminals, number=True)
    (found,) = typed("docs/guide.md", "peer start --data ours.csv")
    founder.start(found)
    invite = founder.find(INVITE)
    for document in ("docs/guide.md", "docs/tables.md"):
        for command in typed(document, "peer data check", invite=invite):
            assert any("ours.csv: 120 rows" in line for line in second.run(command))
    (join,) = typed("docs/guide.md", "peer start --invite", invite=invite)
    for other in (second, third):
        other.start(join)
    assert [site.ends() for site in (founder, second, third)] == [0, 0, 0]

    for command in typed("docs/guide.md", "peer predict"):
        founder.run(command)
    assert len((founder.folder / "predictions.csv").read_text().splitlines()) == 121
    for command in typed("docs/guide.md", "peer model export"):
        founder.run(command)
    for command in typed("docs/metrics.md", "peer metrics"):
        founder.run(command)
    assert (founder.folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert len((founder.folder / "rounds.csv").read_text().splitlines()) == 23
    (show,) = typed("docs/tables.md", "peer model show")
    assert any("alone" in line for line in founder.run(show))

    port = free_port()
    (serve,) = (one.replace("8650", port) for one in typed("docs/page.md", "peer start --page 127.0.0.1"))
    assert served(founder, serve, port) == 200
    make_token, serve = (one.replace("8650", port) for one in typed("docs/page.md", "(umask 077"))
    if shutil.which("openssl") is None:
        (founder.folder / "page-token").write_text("0123456789" * 5)
        (founder.folder / "page-token").chmod(0o600)
    else:
        founder.run(make_token)
    assert served(founder, serve, port) == 200

    refound, _ = typed("docs/guide.md", "peer refound", OLD="home", NEW="new")
    founder.run(refound)
    founder.start("peer start --home new")
    _, join = typed("docs/guide.md", "peer refound", OLD="home", NEW="new", invite=founder.find(INVITE))
    for other in (second, third):
        other.start(join)
        other.find("(found) the federation")
    for site in (founder, second, third):
        site.find("(3) members: ")


def served(site: Terminal, command: str, port: str) -> int:
    """Start a peer with a page, ask whether it is well, and stop it; return the status of the answer."""
    site.start(command)
    site.find(r"(the page of this peer)")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=WAIT_SECONDS) as answer:
        status = answer.status
    assert site.interrupt() == 0
    return int(status)


def test_what_needs_no_federation_is_carried_out_as_it_stands(terminals: Terminals) -> None:
    pytest.importorskip("matplotlib")
    alone = terminals.named("alone")
    (write,) = typed("docs/apps.md", "peer new-app sklearn", DIR="app")
    alone.run(write)
    assert (alone.folder / "app" / "README.md").exists()
    (simulate,) = typed("docs/guide.md", "peer simulate")
    assert any("30 decided" in line or "of 30" in line for line in alone.run(simulate))
    assert (alone.folder / "pictures" / "simulation.json").exists()
