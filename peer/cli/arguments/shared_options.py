"""What several commands share: options, the home that they are about, and JSON output."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .values import class_weights, gaps, levels, median, path_name, words

if TYPE_CHECKING:
    from ...home.folder import Home

Run = Callable[[argparse.Namespace], int]
Subcommands = Any
"""What `ArgumentParser.add_subparsers` returns; argparse does not name its type."""


def add_command(subcommands: Subcommands, name: str, help: str, run: Run) -> argparse.ArgumentParser:
    """Add a command with `--home`, carried out by ``run``."""
    added: argparse.ArgumentParser = subcommands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.add_argument(
        "--home", type=path_name, metavar="DIR", help="folder of this peer (default: $COTERIE_HOME, else ~/.coterie)"
    )
    added.set_defaults(run=run)
    return added


def add_json(command: Any, help: str = "print JSON") -> None:
    """Add `--json`."""
    command.add_argument("--json", action="store_true", default=False, help=help)


def add_inputs(group: Any) -> None:
    """Add the options that say which columns are inputs, and what they hold."""
    group.add_argument("--columns", type=words, metavar="A,B,…", help="inputs (default: all but the target)")
    group.add_argument("--ignore", type=words, metavar="A,B,…", help="columns that are no inputs, such as ids")
    group.add_argument(
        "--levels",
        type=levels,
        action="append",
        metavar="COLUMN[=A,B,…]",
        help="read a column as categories, with the levels of the table or these (a founder's choice; repeatable)",
    )
    group.add_argument(
        "--levels-from",
        type=path_name,
        action="append",
        metavar="FILE",
        help="add the levels of another site, as `peer data levels` writes them there (a founder's choice; repeatable)",
    )
    group.add_argument(
        "--gaps",
        type=gaps,
        nargs="?",
        const="",
        metavar="A,B,…",
        help="let gaps stand as the mean of all members, in these columns or in all (a founder's choice)",
    )
    group.add_argument(
        "--median",
        type=median,
        action="append",
        metavar="COLUMN=A,B,…",
        help="let gaps of a column of numbers stand as the median, which follows from how many rows of all members are"
        " below A, below B, … (a founder's choice; default: the mean; repeatable)",
    )


def add_class_weights(group: Any) -> None:
    """Add the option that says how much a row of a class counts."""
    group.add_argument(
        "--class-weights",
        type=class_weights,
        metavar="CLASS=W,…",
        help="how much a row of a class counts in training (1; a founder's choice)",
    )


def add_columns_from(command: argparse.ArgumentParser) -> None:
    """Add `--columns-from`, of commands that need the model in the home."""
    command.add_argument(
        "--columns-from",
        type=path_name,
        metavar="FILE.csv",
        help="a table of the federation, where it has so many columns that its ledger holds a hash of their names"
        " (default: the one that this peer trains on)",
    )


def home_of(given: argparse.Namespace, *, checked: bool = True) -> "Home":
    """Return the home that was named, or the default one.

    Raises:
        HomeError: another user can write into the home, or could have. Only if ``checked``.
    """
    from ...home.folder import Home, default_home

    home = Home(Path(given.home) if given.home else default_home())
    if checked:
        home.check()
    return home


def refuse_departed(home: "Home") -> None:
    """Refuse a command to a stopped peer that left its federation or was removed from it.

    Otherwise the user would be told to start the peer, and its start would be refused.

    Raises:
        PeerError: the error that its start would raise.
    """
    from ...errors import PeerError
    from ...home.facts import DEPARTED
    from ...home.store import Reader
    from ...reporting.status import replay
    from ...runtime.departure import check_not_gone

    me = home.public_key()
    if me is None:
        return
    try:
        with Reader.open(home.folder) as reader:
            state, departed = replay(reader), reader.fact(DEPARTED)
            blocks = list(reader.blocks())
    except PeerError:
        return  # the home is in no federation or cannot be read, and `peer start` explains that better
    if state is not None:
        check_not_gone(state, me, blocks, home, departed)


def print_json(value: object, out: TextIO | None = None) -> None:
    """Print a value for scripts, to ``out`` or to standard output."""
    print(json.dumps(value, indent=2), file=out)
