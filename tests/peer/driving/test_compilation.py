"""Compiling the kernels once a machine, and loading them before the first round, by the jobs of a round."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from coterie.peer.driving import compilation
from coterie.protocol.jobs import CheckVector
from coterie.protocol.ledger.contribution import Proved


@pytest.mark.parametrize("proved", [None, Proved(1)], ids=["without proofs", "with proofs"])
def test_every_job_of_a_round_is_run_once_and_agrees(proved: Proved | None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    run = CheckVector.run
    monkeypatch.setattr(CheckVector, "run", lambda self: found.append(run(self)))
    compilation._run_round(proved)
    assert [one.wrong for one in found] == [None]
    assert found[0].sums[0] == found[0].sums[1]


def test_a_failure_is_left_to_the_round_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(compilation, "_run_round", fail)
    compilation.warm_up()


PROGRAM = """
import json, trio
from coterie.peer.driving import compilation
trio.run(compilation.compile_once, lambda kind, text, facts: print(json.dumps([kind, text, facts]), flush=True))
"""


def start(folder: Path) -> "subprocess.Popen[str]":
    """Have a process prepare itself on a machine that keeps compiled kernels in ``folder``."""
    (folder / "tmp").mkdir(exist_ok=True)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder / "tmp")}
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)


def told(process: "subprocess.Popen[str]") -> list[Any]:
    output, _ = process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


def test_peers_that_start_at_once_on_a_new_machine_compile_once_and_say_how_far_they_are(tmp_path: Path) -> None:
    lines = [line for process in [start(tmp_path), start(tmp_path)] for line in told(process)]
    compiled = [facts["done"] for _, text, facts in lines if "once on this machine" in text]
    assert compiled == list(range(1, compilation.KERNELS + 1))
    waited = [text for _, text, _ in lines if "waiting for another peer" in text]
    assert len(lines) == len(compiled) + len(waited)
    assert told(start(tmp_path)) == [], "nothing is left to compile"


def test_where_no_folder_can_be_had_the_kernels_are_compiled_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Path:
        raise PermissionError

    loaded = []
    monkeypatch.setattr(compilation, "private_folder", fail)
    monkeypatch.setattr(compilation, "_compile", loaded.append)
    trio.run(compilation.compile_once, lambda *_: None)
    assert len(loaded) == 1
