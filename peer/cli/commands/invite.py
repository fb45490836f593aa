"""`peer invite`: a token that lets others join."""

import argparse
import sys

from ...errors import PeerError
from ..arguments.shared_options import Subcommands, add_command, add_json, home_of, print_json, refuse_departed
from ..arguments.values import whole


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    command = add_command(subcommands, "invite", "print a token that lets others join", run)
    command.add_argument("--expires", default="24h", metavar="TIME", help="such as 30m, 24h or 7d (24h)")
    command.add_argument("--uses", type=whole(1, 100_000), default=1, metavar="N", help="how many may join with it (1)")
    add_json(command)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    from ...control.client import NotRunning, ask
    from ...federation.invites import parse_duration_ms

    try:
        expires_ms = parse_duration_ms(given.expires)
    except ValueError as error:
        raise PeerError(f"--expires: {error}") from None
    request = {"do": "invite", "expires_ms": expires_ms, "uses": given.uses}
    home = home_of(given)
    try:
        answer = ask(home.socket_path, request)
    except NotRunning:
        if home.running_pid() is None:
            refuse_departed(home)
        raise
    if given.json:
        print_json({"invite": answer["invite"], "command": answer["command"], "note": answer.get("note", "")})
    else:
        print(answer["invite"], flush=True)
        # A script reads the token with `INVITE=$(peer invite)`: nothing else may be on its stdout.
        rest = sys.stdout if sys.stdout.isatty() else sys.stderr
        print(f"\nThe other side types:\n  {answer['command']}", file=rest)
        if answer.get("note"):
            print(answer["note"], file=rest)
    return 0
