"""The command `peer`: its subcommands, exit codes and error messages.

Nothing that is slow to import is imported here: each command imports what it needs when it runs.
"""

import argparse
import io
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from ..errors import Exit, PeerError
from ..system.full_disk import full_disk, is_full
from ..system.standard_streams import steady_streams
from .commands import (
    data,
    doctor,
    identity,
    invite,
    leave,
    ledger,
    metrics,
    model,
    new_app,
    predict,
    propose,
    refound,
    simulate,
    start,
    status,
)

_COMMANDS: Final = (
    start,
    data,
    status,
    metrics,
    ledger,
    model,
    predict,
    new_app,
    identity,
    invite,
    leave,
    propose,
    doctor,
    refound,
    simulate,
)
INTERRUPTED: Final = 128 + 2
TERMINATED: Final = 128 + 15
CRASHED: Final = 128 + 11
"""The exit codes that shells give a program that SIGINT, SIGTERM or SIGSEGV ended."""

_DESCRIPTION: Final = "Train one model together with others, with no server and without showing anybody your data."


class _Parser(argparse.ArgumentParser):
    """A parser whose errors have the form of all errors of this command: one line, `peer: error: …`."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown options in the subcommand that got them, so that the error names the `--help` of that one."""
        given, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return given, unknown

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"peer: error: {message} (`{self.prog} --help` lists the options)\n")


class _Version(argparse.Action):
    """Print the version, which is looked up only here."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from ... import __version__

        print(f"peer {__version__}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    codes = "\n".join(f"  {code.value:>2}  {code.meaning}" for code in Exit)
    codes += f"\n {INTERRUPTED}  ended at once: Ctrl-C, or a second Ctrl-C or SIGTERM while a peer stops"
    codes += f"\n {TERMINATED}  ended at once: SIGTERM, before a peer could take it or of another command"
    codes += f"\n {CRASHED}  a crash in native code (134 for some); the next `peer start` names the report in the home"
    top = _Parser(
        prog="peer",
        description=_DESCRIPTION,
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    subcommands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.register(subcommands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    # Only the user of the peer may read the files that it writes.
    os.umask(0o077)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Printing a name that the terminal cannot show, such as a file name that is not UTF-8, must not fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    with steady_streams():
        try:
            return _run(arguments)
        except PeerError as error:
            print(f"peer: error: {error}", file=sys.stderr)
            if error.option:
                words = sys.argv[1:] if arguments is None else arguments
                print(f"  so type: {shlex.join(['peer', *words])} {error.option}", file=sys.stderr)
            return int(error.code)
        except KeyboardInterrupt:
            print("peer: interrupted", file=sys.stderr)
            return INTERRUPTED
        except OSError as error:
            if not is_full(error):
                raise
            print(f"peer: error: {full_disk(error)}", file=sys.stderr)
            return int(Exit.STORE)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        given = parser().parse_args(arguments)
        return int(given.run(given))
    finally:
        sys.stdout.flush()
