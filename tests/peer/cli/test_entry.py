"""A signal that comes while the program is still being imported ends it without a traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

STRUCK = """
import os, signal, sys

class Strike:
    def find_spec(self, name, *_):
        if name == sys.argv[-1]:
            os.kill(os.getpid(), int(sys.argv[-2]))

sys.meta_path.insert(0, Strike())
from coterie.peer.cli.entry import main
name, number = sys.argv[-1], sys.argv[-2]
sys.exit(main())
"""
"""Sends itself a signal as soon as a module is imported."""


def struck(command: str, number: int, module: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-c", STRUCK, command, str(number), module]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["coterie.peer.cli.main", "argparse", "coterie.peer.cli.commands.simulate"])
@pytest.mark.parametrize(
    ("command", "number", "code", "told"),
    [
        ("status", signal.SIGINT, 130, "peer: interrupted\n"),
        ("status", signal.SIGTERM, -signal.SIGTERM, ""),
        ("start", signal.SIGINT, 0, "peer: stopped before it had begun\n"),
        ("start", signal.SIGTERM, 0, "peer: stopped before it had begun\n"),
    ],
)
def test_a_signal_amid_the_imports_is_no_error(module: str, command: str, number: int, code: int, told: str) -> None:
    done = struck(command, number, module)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", told)


def test_nothing_that_takes_time_is_imported_before_the_signals_are_taken() -> None:
    # What Python itself, and how the package was installed, import before is none of the entry's.
    code = "import sys; before = {*sys.modules}; import coterie.peer.cli.entry; print(*sys.modules.keys() - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert {name for name in imported if name.startswith("coterie")} == {
        "coterie",
        "coterie.peer",
        "coterie.peer.cli",
        "coterie.peer.cli.entry",
        "coterie.peer.system",
        "coterie.peer.system.early_end",
    }
    assert imported.isdisjoint({"typing", "argparse", "contextlib", "pathlib"})


def test_the_command_is_entered_there() -> None:
    root = Path(__file__).parents[3]
    assert 'peer = "coterie.peer.cli.entry:main"' in (root / "pyproject.toml").read_text()
    assert "from .cli.entry import main" in (root / "peer" / "__main__.py").read_text()
