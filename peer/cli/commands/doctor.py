"""`peer doctor`: check all that a peer needs to run, and say what to do where something is wrong."""

import argparse

from ...errors import Exit
from ..arguments.shared_options import Subcommands, add_command, add_json, home_of, print_json


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    command = add_command(subcommands, "doctor", "check ports, clock, keys, disk and reachability", run)
    command.add_argument(
        "--bootstrap", action="append", default=[], metavar="ADDR", help="address to try to reach (repeatable)"
    )
    command.add_argument("--listen", metavar="ADDR", help="port or address to try to listen on")
    add_json(command)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    from .diagnosis import examine

    findings = examine(home_of(given, checked=False), given.bootstrap, given.listen)
    healthy = all(finding.ok for finding in findings)
    if given.json:
        rows = [{"check": one.check, "ok": one.ok, "found": one.found, "advice": one.advice} for one in findings]
        print_json({"healthy": healthy, "checks": rows})
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.ok else 'BAD '} {finding.check:<14} {finding.found}")
            if finding.advice:
                print(f"     {'':<14} -> {finding.advice}")
    return int(Exit.OK if healthy else Exit.CHECK_FAILED)
