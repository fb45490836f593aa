"""`peer refound`: go on in a new federation where too many members of the old one are lost for good."""

import argparse

from ...errors import Exit
from ..arguments.shared_options import Subcommands, add_command, home_of
from ..arguments.values import DAY_SECONDS, count, members, path_name, seconds


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    command = add_command(subcommands, "refound", "found a new federation from this one's last model", run)
    command.epilog = (
        "When so many members are lost for good that nothing can be decided any more, the remaining ones go on in a\n"
        "new federation: one of them refounds, and the others join it with a new --home, and --continues with their\n"
        "old one. Its genesis names the head of the old ledger and carries over the totals of its setup round and the\n"
        "members that cheated; the old home keeps its files, but is given up: it does not start any more."
    )
    command.add_argument("--to", type=path_name, required=True, metavar="DIR", help="new folder for the new federation")
    command.add_argument("--min-peers", type=members, metavar="N", help="members that training waits for")
    command.add_argument("--rounds", type=count, metavar="N", help="further rounds to train")
    command.add_argument(
        "--share-deadline", type=seconds(0.01, DAY_SECONDS), metavar="S", help="longest wait for updates from now on"
    )
    disclose = "members whose numbers may be shown, where a sum may have been opened (the refusal names them)"
    command.add_argument("--disclose", nargs="+", action="extend", metavar="NAME", help=disclose)


def run(given: argparse.Namespace) -> "int | Exit":
    """Carry the command out."""
    from pathlib import Path

    from ...federation.refounding import refound
    from ...home.folder import Home

    old, new = home_of(given), Home(Path(given.to))
    text = refound(old, new, given.min_peers, given.rounds, given.disclose, given.share_deadline)
    print(text)
    return Exit.OK
