"""`peer leave` leaves the federation for good; `peer stop` only ends the process."""

import argparse
import signal
import sys
from typing import Any, Final

from ..arguments.shared_options import Subcommands, add_command, add_json, home_of, print_json, refuse_departed

_FIRST_SECONDS: Final = 1.0
_TURN_SECONDS: Final = 6.0
_TURNS: Final = 5
"""How long the command waits for the leave: one short turn, then the longer ones. After that the request just stands.

The first turn is short so that the user is soon told what the leave waits for.
"""

_STANDS: Final = (
    "the request stands: this peer leaves when enough members agree, and stops then (`peer status` says what it waits"
    " for). If it is stopped before that, type `peer leave` again after its next start"
)


def register(subcommands: Subcommands) -> None:
    """Add both commands."""
    leave = add_command(subcommands, "leave", "leave the federation for good and stop", run_leave)
    add_json(leave)
    stop = add_command(subcommands, "stop", "stop the running peer; `peer start` goes on later", run_stop)
    add_json(stop)


def run_leave(given: argparse.Namespace) -> int:
    """Ask the running peer to leave, and say what the leave waits for.

    The request stands also after this command was interrupted or has given up waiting.
    """
    from ...control.client import NotRunning, ask

    home = home_of(given)
    path = home.socket_path
    told = ""
    try:
        for number in range(_TURNS):
            answer = ask(path, {"do": "leave", "wait_seconds": _TURN_SECONDS if number else _FIRST_SECONDS})
            if answer["left"]:
                break
            if answer["text"] != told and not given.json:
                told = answer["text"]
                print(told, flush=True)
    except NotRunning as error:
        if told or home.running_pid() is not None or not home.folder.is_dir():
            raise
        refuse_departed(home)
        # A member that is away cannot leave: the others have to hear it from the peer itself.
        again = f"and then type, beside it, `peer leave {home.option}`: only a running peer can ask the others"
        raise NotRunning(f"{error}, {again}") from None
    except KeyboardInterrupt:
        print(f"\n{_STANDS}", file=sys.stderr)
        return 128 + signal.SIGINT
    if given.json:
        _print(answer)
    else:
        print(answer["text"] if answer["left"] else _STANDS)
    return 0


def run_stop(given: argparse.Namespace) -> int:
    """Ask the running peer to stop."""
    from ...control.client import NotRunning, ask

    home = home_of(given)
    try:
        answer = ask(home.socket_path, {"do": "stop"})
    except NotRunning:
        if home.running_pid() is not None or not home.folder.is_dir():
            raise
        text = f"{home.folder}: no peer runs in this home, so there is nothing to stop"
        raise NotRunning(f"{text}; what starts it is: peer start {home.option}") from None
    if given.json:
        _print(answer)
    else:
        print(answer["text"])
    return 0


def _print(answer: dict[str, Any]) -> None:
    print_json({name: value for name, value in answer.items() if name != "ok"})
