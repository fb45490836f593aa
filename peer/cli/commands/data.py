"""`peer data check`: what `peer start` would refuse in a table, and what each column becomes."""

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from ...errors import Exit, PeerError, no_federation
from ..arguments.shared_options import (
    Subcommands,
    add_class_weights,
    add_command,
    add_inputs,
    add_json,
    home_of,
    print_json,
)
from ..arguments.values import fraction, path_name, whole, words

if TYPE_CHECKING:
    from ....protocol.ledger.genesis import Genesis
    from ...home.settings import Settings


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    parser = subcommands.add_parser("data", help="check a table before it is used", description="A peer's own table.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = add_command(actions, "check", "list all that `peer start` would refuse, and what each column becomes", run)
    check.epilog = (
        "With --invite or --home, the table is also compared with what that federation trains: the one of the members\n"
        "that the invite names, which is not used up by it, or the one of a home."
    )
    check.add_argument("file", type=path_name, metavar="FILE.csv", help="the table, as for `peer start --data`")
    check.add_argument(
        "--invite", nargs="+", metavar="TOKEN", help="token from a member's `peer invite`; pieces are joined"
    )
    check.add_argument("--target", metavar="COLUMN", help="column to predict (without it, all are read as inputs)")
    check.add_argument("--model", choices=("linear", "mlp", "logistic"), help="as for `peer start`")
    add_inputs(check)
    check.add_argument("--classes", type=words, default=(), metavar="A,B,…", help="all class labels that there can be")
    add_class_weights(check)
    check.add_argument("--test-fraction", type=fraction, default=0.2, metavar="F", help="rows kept for testing (0.2)")
    check.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the choice of test rows (0)")
    add_json(check)
    _register_levels(actions)


def _register_levels(actions: Subcommands) -> None:
    levels = add_command(actions, "levels", "write the names of a table's levels, for the founder to add", run_levels)
    levels.epilog = (
        "Nothing is sent. The file holds names of levels and no numbers of rows. Look at it before you hand it to the\n"
        "founder, which gives it to `peer start --levels-from`. Then everybody that reaches a member's port can\n"
        "read these names."
    )
    levels.add_argument("file", type=path_name, metavar="FILE.csv", help="the table, as for `peer start --data`")
    levels.add_argument("--columns", type=words, required=True, metavar="A,B,…", help="the columns to share levels of")
    least = "rows that have to hold a level, or it is left out (5)"
    levels.add_argument("--at-least", type=whole(1), default=5, metavar="N", help=least)
    levels.add_argument("--out", metavar="FILE", help="file to write (default: only show it)")


def run_levels(given: argparse.Namespace) -> int:
    """Write or show the names of levels."""
    from ...learning.tables.sharing_levels import shared_levels
    from ...reporting.status import printable
    from ...training.trainer import DataProblem
    from ..arguments.output_file import check_apart, out_path, report_to, written

    path = None if given.out is None else out_path(given.out)
    if path is not None:
        check_apart(path, home_of(given), {"the table": given.file})
    try:
        text, notes = shared_levels(given.file, given.columns, given.at_least)
    except ValueError as error:
        raise DataProblem(str(error)) from None
    if path is None:
        print(text, end="")
    else:
        with written(path) as file:
            file.write(text.encode())
    print(printable("\n".join(notes)), file=sys.stderr if path is None else report_to(path))
    return int(Exit.OK)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    from ...home.settings import check_settings
    from ...learning.table_models.survey import column_lines
    from ...learning.tables.table import inspect_table
    from ...learning.tables.troubles import TableError

    settings, genesis = _settings(given), _genesis(given)
    check_settings(settings)
    expected = _expected(settings, genesis)
    target, agreed = expected["target"], expected["agreed"]
    try:
        table, troubles = inspect_table(
            given.file, columns=settings.columns or None, ignore=settings.ignore, **expected
        )
    except TableError as error:
        return _tell(given, refused=str(error).splitlines())
    columns = column_lines(table, troubles, target, agreed, expected["classes"])
    if troubles.count:
        return _tell(given, columns, [troubles.headline, *troubles.lines()])
    if target is None:
        told = f"{table.name}: {table.rows:,} rows; to check the column to predict as well, add --target COLUMN"
        return _tell(given, columns, found=[told])
    return _try(given, settings, genesis, columns)


def _try(given: argparse.Namespace, settings: "Settings", genesis: "Genesis | None", columns: list[str]) -> int:
    """Prepare the table as `peer start` would, and report what came of it."""
    from ...training.trainer import founder_learner, member_learner, told_table

    try:
        learner = founder_learner(settings) if genesis is None else member_learner(settings, genesis)
    except PeerError as error:
        return _tell(given, columns, str(error).splitlines(), code=error.code)
    return _tell(given, columns, found=(told_table(learner) or "").splitlines())


def _tell(
    given: argparse.Namespace,
    columns: list[str] | None = None,
    refused: list[str] | None = None,
    found: list[str] | None = None,
    code: Exit = Exit.DATA,
) -> int:
    """Print the report. Return the exit code: ``code`` if something would be refused."""
    from ...reporting.status import printable

    columns, refused, found = columns or [], refused or [], found or []
    if given.json:
        print_json({"usable": not refused, "refused": refused, "found": found, "columns": columns})
    else:
        print(printable("\n".join([*found, *refused, *(f"  {line}" for line in columns)])))
    return int(code if refused else Exit.OK)


def _settings(given: argparse.Namespace) -> "Settings":
    from ...home.settings import Settings

    return Settings(
        data=given.file,
        target=given.target,
        model=given.model,
        columns=given.columns or (),
        ignore=given.ignore or (),
        levels=tuple(given.levels or ()),
        gaps=given.gaps,
        median=tuple(given.median or ()),
        levels_from=tuple(given.levels_from or ()),
        classes=given.classes,
        class_weights=given.class_weights or (),
        test_fraction=given.test_fraction,
        seed=given.seed,
    )


def _genesis(given: argparse.Namespace) -> "Genesis | None":
    """Return the federation to compare with: that of the invite or of the home; None if neither was given."""
    from ....protocol.ledger.genesis import GenesisError, read_genesis
    from ...home.facts import GENESIS
    from ...home.store import Reader
    from ...reporting.status import unreadable_genesis

    if given.invite is not None:
        if given.home is not None:
            raise PeerError("--invite and --home: one or the other; each names a federation")
        return _invited(given.invite)
    if given.home is None:
        return None
    home = home_of(given)
    with Reader.open(home.folder) as reader:
        path, data = reader.path, reader.fact(GENESIS)
    if data is None:
        raise PeerError(no_federation(home.folder), Exit.FEDERATION)
    try:
        return read_genesis(data)
    except GenesisError as error:
        raise unreadable_genesis(path, error) from None


def _invited(words: list[str]) -> "Genesis":
    from ...federation.invites import open_invite
    from ...federation.preview import genesis_of

    return genesis_of(open_invite("".join("".join(words).split()), time.time_ns() // 1_000_000))


def _expected(settings: "Settings", genesis: "Genesis | None") -> dict[str, Any]:
    """Return what `inspect_table` needs to know: the target, the classes, and what the inputs hold.

    A federation's description says all of it; without a federation the options do.
    """
    from ...learning.table_models.task import TaskMismatch, agreed_columns, read_description, schema_of
    from ...training.trainer import wishes_of

    if genesis is None:
        return {
            "target": settings.target,
            "classes": settings.classes,
            "labelled": settings.model == "logistic" or bool(settings.classes),
            "plan": wishes_of(settings),
            "agreed": (),
        }
    named = settings.levels or settings.levels_from or settings.median or settings.class_weights
    if named or settings.gaps is not None:
        raise PeerError(
            "--levels, --levels-from, --gaps, --median, --class-weights: the founder has chosen these; leave them out"
            " to compare with its federation"
        )
    try:
        fields = read_description(genesis.model)
        return {
            "target": fields["target"],
            "classes": tuple(fields["classes"]),
            "labelled": bool(fields["classes"]),
            "plan": schema_of(fields),
            "agreed": agreed_columns(fields),
        }
    except TaskMismatch as error:
        raise PeerError(str(error), Exit.MODEL) from None
