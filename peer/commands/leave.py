"""`peer leave` and `peer stop`: out of the federation for good, or just out of the process."""

import argparse

from .common import Subcommands, add_command, add_json, home_of, print_json


def register(subcommands: Subcommands) -> None:
    """Add both commands."""
    leave = add_command(subcommands, "leave", "leave the federation for good and stop", run_leave)
    add_json(leave)
    stop = add_command(subcommands, "stop", "stop the running peer; `peer start` goes on later", run_stop)
    add_json(stop)


def run_leave(given: argparse.Namespace) -> int:
    """Leave."""
    return _ask(given, "leave")


def run_stop(given: argparse.Namespace) -> int:
    """Stop."""
    return _ask(given, "stop")


def _ask(given: argparse.Namespace, what: str) -> int:
    from ..control import ask

    answer = ask(home_of(given).socket_path, {"do": what})
    if given.json:
        print_json({name: value for name, value in answer.items() if name != "ok"})
    else:
        print(answer["text"])
    return 0
