"""The unit, the image and the five containers are of this peer: its options, files, exit codes; and they train."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from coterie.peer.cli.main import parser
from coterie.peer.home.store import Reader
from coterie.peer.reporting.status import replay
from coterie.protocol.ledger.state import LedgerState

ROOT = Path(__file__).parent.parent
UNIT = (ROOT / "deploy" / "coterie.service").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = (ROOT / "compose.yaml").read_text()
TABLES = ROOT / "deploy" / "sites"
SITES = ("aarhus", "bologna", "coimbra", "dresden", "eindhoven")
WAIT_SECONDS = 300
"""Longest wait: no measure of speed, only the end of a test that hangs."""


def setting(name: str) -> list[str]:
    """The values of a setting of the unit."""
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def commands() -> dict[str, str]:
    """What a shell runs in each service of compose.yaml."""
    services = re.split(r"^  (\w+):$", COMPOSE.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0], flags=re.M)
    found = {}
    for name, text in zip(services[1::2], services[2::2], strict=True):
        (lines,) = re.findall(r"^    command:\n      - >-\n((?:        .*\n)+)", text, re.MULTILINE)
        found[name] = " ".join(lines.split()).replace("$$", "$")
    return found


def health_check() -> list[str]:
    """The command of the image that tells its health."""
    (told,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return list(json.loads(told))


# systemd.


def test_the_unit_starts_again_after_the_exit_codes_that_the_runbook_says() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text()
    told = re.findall(r"^\| (\d+) \| (yes|no) \|", runbook, re.MULTILINE)
    assert len(told) > 10
    (prevented,) = setting("RestartPreventExitStatus")
    assert prevented.split() == [code for code, again in told if again == "no" and code != "0"]
    assert setting("Restart") == ["on-failure"]


def test_the_unit_runs_a_command_that_there_is_as_a_user_of_its_own() -> None:
    (command,) = setting("ExecStart")
    program, *words = shlex.split(command)
    given = parser().parse_args(words)
    assert Path(program).name == "peer"
    assert setting("User") == ["coterie"]
    (state,) = setting("StateDirectory")
    assert str(given.home).startswith(f"/var/lib/{state}/")


def test_the_unit_leaves_out_what_a_peer_cannot_do_with() -> None:
    assert setting("MemoryDenyWriteExecute") == setting("DynamicUser") == setting("ProcSubset") == []


# Docker.


def test_the_image_has_every_package_and_the_context_nothing_else() -> None:
    copied = {name for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.M) for name in line.split()}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert {one.split(".")[1] for one in packages if "." in one} <= copied
    assert [one for one in copied if not (ROOT / one).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {one.removeprefix("!") for one in ignored if one.startswith("!")} == copied
    assert "*" in ignored


def test_the_image_runs_a_supported_python_as_a_user_without_rights() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    bases = re.findall(r"^FROM python:([\d.]+)-slim", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert {f"Programming Language :: Python :: {one}" for one in bases} <= set(classifiers)
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE) == ["coterie"]
    assert re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE) == ["/home/coterie"]


def test_the_image_starts_a_peer() -> None:
    (entry,) = re.findall(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)
    (words,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert json.loads(entry) == ["peer"]
    given = parser().parse_args(json.loads(words))
    assert given.page == "8650"
    assert f"127.0.0.1:{given.page}/healthz" in health_check()[-1]


# Five containers.


def test_there_are_five_sites_and_one_that_invites() -> None:
    assert set(commands()) == {*SITES, "invite"}
    assert [name for name, one in commands().items() if not re.search(r"\bpeer (start|invite) ", one)] == []


def test_the_tables_are_those_of_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import baselines

    written = baselines.write_shards(tmp_path, SITES)
    assert [path.read_bytes() for path in written] == [(TABLES / path.name).read_bytes() for path in written]


class Containers:
    """The services of compose.yaml as processes: a folder for each volume, any free port for 4001 and the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, **options: str) -> subprocess.Popen[str]:
        """Run what the service runs, with other values of ``options``."""
        place = self.folder / name
        place.mkdir(mode=0o700)
        command = self.here(commands()[name])
        for option, value in options.items():
            word = f"--{option.replace('_', '-')}"
            command, count = re.subn(rf"{word} \S+", f"{word} {value}", command)
            assert count == 1
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.running[name] = subprocess.Popen(
            ["sh", "-c", command],
            cwd=place,
            env={**os.environ, "PATH": path, "COTERIE_HOME": str(place / "peer")},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self.running[name]

    def here(self, command: str) -> str:
        """The same command for folders and ports of this machine."""
        for there, here in (
            ("/tables/", f"{TABLES}/"),
            ("/founder/", f"{self.folder}/aarhus/"),
            ("/invite/invite", f"{self.folder}/invite/invite"),
            ("--listen 4001", "--listen 127.0.0.1:0"),
            ("--page 0.0.0.0:8650", "--page 127.0.0.1:0"),
            ("--page 8650", "--page 127.0.0.1:0"),
        ):
            command = command.replace(there, here)
        return command

    def end(self) -> None:
        """End all that still run."""
        for one in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Containers]:
    """The services of compose.yaml, none of which runs yet."""
    made = Containers(tmp_path)
    yield made
    made.end()


@pytest.mark.processes
@pytest.mark.timeout(2 * WAIT_SECONDS)
def test_the_five_sites_train_and_end(containers: Containers) -> None:
    founder = containers.start("aarhus", rounds="1", round_interval="0")
    assert founder.stdout is not None
    said = iter(founder.stdout.readline, "")
    (page,) = re.findall(r"the page of this peer: (http://\S+)", next(line for line in said if "the page of" in line))
    next(line for line in said if "the others join with" in line)
    program, *words = health_check()
    asked = [word.replace("http://127.0.0.1:8650/", page) for word in words]
    assert program == "python"
    assert asked != words
    assert subprocess.run([sys.executable, *asked], check=False).returncode == 0
    assert containers.start("invite").wait(WAIT_SECONDS) == 0
    for name in SITES[1:]:
        containers.start(name)
    for name in SITES:
        containers.running[name].communicate(timeout=WAIT_SECONDS)
    codes = [containers.running[name].returncode for name in SITES]
    assert codes == [0] * len(SITES)
    assert subprocess.run([sys.executable, *asked], check=False, stderr=subprocess.DEVNULL).returncode != 0
    states = [state_of(containers.folder / name / "peer") for name in SITES]
    assert {state.trained for state in states} == {1}
    assert len({state.head for state in states}) == 1


def state_of(home: Path) -> LedgerState:
    """Where the ledger of a home stands."""
    with Reader.open(home) as reader:
        state = replay(reader)
    assert state is not None
    return state
