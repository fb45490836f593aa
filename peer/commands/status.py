"""`peer status`: where a peer stands, running or not."""

import argparse
import json
import sys
import time
from typing import Any

from .common import Subcommands, add_command, add_json, home_of, print_json


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    command = add_command(subcommands, "status", "show members, heartbeats, round, phase and height", run)
    command.add_argument("--watch", action="store_true", help="show it again every second, until Ctrl-C")
    add_json(command)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    if not given.watch:
        _show(_status(given), given.json)
        return 0
    while True:
        status = _status(given)
        if sys.stdout.isatty() and not given.json:
            print("\x1b[H\x1b[2J", end="")
        if given.json:
            print(json.dumps(status))  # a line each, for scripts that read as it comes
        else:
            _show(status, False)
        sys.stdout.flush()
        time.sleep(1)


def _status(given: argparse.Namespace) -> dict[str, Any]:
    from ..control import NotRunning, ask

    home = home_of(given)
    try:
        status: dict[str, Any] = ask(home.socket_path, {"do": "status"})["status"]
        return status
    except NotRunning:
        if home.running_pid() is not None:
            raise
    from ..status import stored_status
    from ..store import Reader

    with Reader.open(home.folder) as reader:
        return stored_status(reader, home.public_key())


def _show(status: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(status)
        return
    from ..status import lines

    for line in lines(status):
        print(line)
