"""`peer ledger show|verify|export`: what the members agreed on, block by block."""

import argparse
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments.shared_options import Subcommands, add_command, add_json, home_of, print_json
from ..arguments.values import path_name, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...reporting.ledger_export import Ledger


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    parser = subcommands.add_parser(
        "ledger", help="show, verify or export the ledger", description="The ledger of this peer's federation."
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    show = add_command(actions, "show", "show the blocks", run_show)
    show.add_argument("--from", dest="start", type=whole(0), default=0, metavar="HEIGHT", help="first block (0)")
    verify = add_command(actions, "verify", "check every block and certificate from genesis", run_verify)
    export = add_command(actions, "export", "write the ledger to a file that anybody can verify", run_export)
    export.add_argument("--out", required=True, metavar="FILE", help="file to write")
    for command in (show, verify):
        command.add_argument("--file", type=path_name, metavar="FILE", help="an exported ledger instead of this home's")
    for command in (show, verify, export):
        add_json(command)


@contextmanager
def _opened(given: argparse.Namespace) -> "Iterator[Ledger]":
    from ...home.store import Reader
    from ...reporting.ledger_export import of_file, of_store

    if getattr(given, "file", None):
        yield of_file(Path(given.file))
        return
    with Reader.open(home_of(given).folder) as reader:
        yield of_store(reader)


def run_show(given: argparse.Namespace) -> int:
    """Show the blocks."""
    from ....protocol.ledger.state import LedgerError
    from ...reporting.ledger_export import Invalid
    from ...reporting.ledger_rows import line, rows

    shown = []
    with _opened(given) as ledger:
        try:
            for row in rows(ledger):
                if row["height"] < given.start:
                    continue
                if given.json:
                    shown.append(row)
                else:
                    print(line(row))
        except LedgerError as error:
            raise Invalid(f"{ledger.name}: {error}") from None
    if given.json:
        print_json(shown)
    return 0


def run_verify(given: argparse.Namespace) -> int:
    """Check every block and certificate, and print the head of the ledger or the first error."""
    from ...reporting.ledger_export import Invalid, verify

    with _opened(given) as ledger:
        try:
            state = verify(ledger)
        except Invalid as error:
            if given.json:
                print_json({"valid": False, "error": str(error)})
                return int(error.code)
            raise
    facts: dict[str, Any] = {
        "valid": True,
        "federation": state.federation.hex(),
        "height": state.height,
        "head": state.head.hex(),
        "trained": state.trained,
        "weights": state.weights_hash.hex(),
        "members": len(state.members),
    }
    if given.json:
        print_json(facts)
    else:
        print(
            f"valid: {state.height + 1} blocks of the federation {facts['federation'][:16]}…, head"
            f" {facts['head'][:16]}…, {state.trained} rounds trained, {len(state.members)} members"
        )
    return 0


def run_export(given: argparse.Namespace) -> int:
    """Write the ledger to a file."""
    from ...reporting.ledger_export import write
    from ..arguments.output_file import check_apart, is_stream, out_path, report_to, written

    path = out_path(given.out)
    check_apart(path, home_of(given), {})
    with _opened(given) as ledger, written(path) as file:
        count = write(ledger, file)
    if given.json:
        print_json({"file": str(path), "blocks": count + 1}, report_to(path))
    else:
        check = "" if is_stream(path) else f"; check it with: peer ledger verify --file {shlex.quote(str(path))}"
        print(f"{path}: {count + 1} blocks{check}", file=report_to(path))
    return 0
