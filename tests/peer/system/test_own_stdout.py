"""Standard output is the peer's alone, whatever else prints from Python, from C or from a process of its own."""

import io
import json
import re
import subprocess
import sys

import pytest

from coterie.peer.reporting.reporters import JsonLines
from coterie.peer.system.own_stdout import own_stdout

NOISY = """
import ctypes, os, subprocess, sys
from coterie.peer.system.own_stdout import own_stdout
from coterie.peer.reporting.reporters import JsonLines
with own_stdout() as out:
    print("from Python")
    os.write(1, b"from C\\n")
    subprocess.run(["echo", "from a process"])
    JsonLines(out).event("joined", "from the peer", {})
print("afterwards")
"""


def test_what_an_app_prints_in_any_way_goes_to_stderr() -> None:
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, text=True, check=True)
    line, last = done.stdout.splitlines()
    assert json.loads(line)["text"] == "from the peer"
    assert last == "afterwards"
    assert set(done.stderr.splitlines()) >= {"from Python", "from C", "from a process"}


LOGGING = """
import logging
from coterie.peer.runtime.log_file import logging_to
with logging_to(None, None, False):
    logging.getLogger("coterie.training").warning("t.csv: a column is ignored")
"""


def test_a_line_of_the_log_begins_as_the_line_of_an_event() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d\d:\d\d:\d\d t.csv: a column is ignored \(coterie\.training\)\n", done.stderr)


def test_where_stdout_is_no_file_prints_are_told_apart_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with own_stdout() as mine:
        print("from Python")
        JsonLines(mine).event("joined", "from the peer", {})
    assert json.loads(out.getvalue())["text"] == "from the peer"
    assert err.getvalue() == "from Python\n"
