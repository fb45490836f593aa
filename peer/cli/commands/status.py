"""`peer status`: the state of a peer and its federation, whether the peer runs or not."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from ..arguments.shared_options import Subcommands, add_command, add_json, home_of, print_json

SECONDS: Final = 1
"""Time between two reports of `--watch`."""


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    command = add_command(subcommands, "status", "show members, heartbeats, round, phase and height", run)
    command.add_argument("--watch", action="store_true", help="show it again every second, until Ctrl-C")
    add_json(command)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    if not given.watch:
        _show(_status(given), given.json)
    elif sys.stdout.isatty() and not given.json:
        _watch_in_terminal(given)
    else:
        _watch_in_lines(given)
    return 0


def _watch_in_lines(given: argparse.Namespace) -> None:
    """Print the status again and again for a program or a file; JSON takes one line each time.

    Ends when the reader of the output is gone.
    """
    from ...system.standard_streams import has_reader

    while True:
        status = _status(given)
        if given.json:
            print(json.dumps(status))
        else:
            _show(status, False)
        sys.stdout.flush()
        if not has_reader(sys.stdout):
            return
        time.sleep(SECONDS)


def _watch_in_terminal(given: argparse.Namespace) -> None:
    """Show the status in place, without scrolling; when the watch ends, print the last one."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from ...reporting.status import timestamp

    console, text = Console(highlight=False), ""
    # `screen=True` is the alternate screen: afterwards the terminal shows again what it showed before.
    try:
        with Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        ) as live:
            while True:
                text = _text(_status(given))
                head = f"{timestamp()}, again every {SECONDS} s; Ctrl-C ends"
                shown = _fitted([head, *text.splitlines()], console.height)
                live.update(Text("\n".join(shown), no_wrap=True, overflow="ellipsis"), refresh=True)
                time.sleep(SECONDS)
    finally:
        if text:
            print(text)


def _fitted(rows: Sequence[str], height: int) -> Sequence[str]:
    """Return as many rows as there is room for; the last one says how many more there are."""
    if len(rows) <= height:
        return rows
    room = max(height - 1, 0)
    return [*rows[:room], f"… {len(rows) - room} more lines: make the terminal higher"]


def _status(given: argparse.Namespace) -> dict[str, Any]:
    from ...control.client import NotRunning, ask

    home = home_of(given)
    try:
        status: dict[str, Any] = ask(home.socket_path, {"do": "status"})["status"]
        return status
    except NotRunning:
        if home.running_pid() is not None:
            raise
    from ...home.store import Reader
    from ...reporting.status import stored_status

    with Reader.open(home.folder) as reader:
        return stored_status(reader, home.public_key())


def _show(status: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(status)
    else:
        print(_text(status))


def _text(status: dict[str, Any]) -> str:
    from ...reporting.status import lines

    return "\n".join(lines(status))
