"""`peer metrics`: the figures of each round, over all members' test rows and over this site's own."""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..arguments.shared_options import Subcommands, add_command, add_json, home_of, print_json
from ..arguments.values import path_name, whole

if TYPE_CHECKING:
    from ...reporting.rounds_text import History

_PICTURES: Final = (".png", ".svg", ".pdf")


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    command = add_command(
        subcommands, "metrics", "show the figures of each round, for the federation and for this site", run
    )
    command.epilog = (
        "The figures of a round are those of the model with which it begins, over the test rows of all members;\n"
        "own ones are of the same model over the test rows of this site, and known for the rounds in which this\n"
        "peer took part. docs/metrics.md says what each column and key means."
    )
    how = command.add_mutually_exclusive_group()
    how.add_argument("--csv", action="store_true", help="print CSV, a line a round")
    add_json(how)
    how.add_argument("--plot", type=path_name, metavar="FILE", help="draw it as .png, .svg or .pdf (needs matplotlib)")
    command.add_argument("--from", dest="start", type=whole(0), default=0, metavar="ROUND", help="first round (0)")
    command.add_argument("--file", type=path_name, metavar="FILE", help="an exported ledger instead of this home's")


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    picture = None if given.plot is None else _picture(given)
    history = _history(given)
    if picture is not None:
        _draw(history, picture)
    elif given.json:
        print_json(history.json())
    elif given.csv:
        history.write_csv(sys.stdout)
    else:
        for line in history.lines():
            print(line)
    return 0


def _history(given: argparse.Namespace) -> "History":
    from ...errors import Exit, PeerError, no_federation
    from ...home.store import Reader
    from ...reporting.ledger_export import of_file
    from ...reporting.round_table import Rounds, rounds_of
    from ...reporting.rounds_text import History
    from ...reporting.status import replay

    if given.file is not None:
        ledger = of_file(Path(given.file))
        return History(ledger.genesis, rounds_of(ledger), given.start)
    with Reader.open(home_of(given).folder) as reader:
        rounds = Rounds(reader.measured())
        state = replay(reader, rounds.on_block)
        if state is None:
            raise PeerError(no_federation(reader.path.parent), Exit.FEDERATION)
    return History(state.genesis, rounds.rows, given.start)


def _picture(given: argparse.Namespace) -> Path:
    """Return the file to draw into. It is checked before the rounds are read.

    Raises:
        PeerError: the file must not be replaced, its name is not one of a picture, or matplotlib is missing.
    """
    from ...errors import PeerError
    from ..arguments.output_file import check_apart, out_path

    text = given.plot
    if Path(text).suffix.lower() not in _PICTURES:
        raise PeerError(f"--plot {text}: the name has to end in .png, .svg or .pdf, which says what to draw")
    path = out_path(text, option="--plot")
    check_apart(path, home_of(given) if given.file is None else None, {"--file": given.file}, "--plot")
    if importlib.util.find_spec("matplotlib") is None:
        raise PeerError("--plot needs matplotlib: pip install 'coterie[pictures]'; --csv needs nothing")
    return path


def _draw(history: "History", path: Path) -> None:
    from ...reporting.rounds_picture import draw
    from ..arguments.output_file import report_to, written

    picture = draw(history, path.suffix.lower()[1:])
    with written(path, "--plot") as file:
        file.write(picture)
    print(f"{path}: {history.told()}", file=report_to(path))
