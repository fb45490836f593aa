"""`peer predict`: predict for each row of a table with the agreed model."""

import argparse
import csv
import sys
from codecs import getwriter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import Exit, PeerError
from ..arguments.shared_options import Subcommands, add_columns_from, add_command, home_of
from ..arguments.values import path_name

if TYPE_CHECKING:
    from ...learning.exports.exported import Predictions, TableModel
    from ...learning.tables.table import Table


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    command = add_command(subcommands, "predict", "predict for each row of a table with the agreed model", run)
    command.epilog = (
        "The predictions are CSV, a line for each row in the order of the table: a column named as the target, and of\n"
        "classes a column `probability_LABEL` for each. Notes go to stderr."
    )
    command.add_argument(
        "--data", required=True, type=path_name, metavar="FILE.csv", help="table to predict from; needs no target"
    )
    command.add_argument("--out", default="-", metavar="FILE.csv", help="file to write (default: -, the output)")
    command.add_argument(
        "--model", type=path_name, metavar="FILE", help="a model of `peer model export` instead of that in the home"
    )
    command.add_argument(
        "--best", action="store_true", help="with the model in the home that has the smallest agreed loss"
    )
    add_columns_from(command)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    from ...learning.table_models.survey import unagreed_lines
    from ...learning.tables.table import TableError, read_inputs
    from ..arguments.output_file import check_apart, out_path, report_to, written

    path = None if given.out == "-" else out_path(given.out)
    if path is not None:
        read = {"--data": given.data, "--model": given.model, "--columns-from": given.columns_from}
        check_apart(path, None if given.model else home_of(given), read)
    model = _model(given)
    try:
        table = read_inputs(given.data, model.needed, model.task.schema)
        predictions = _predict(model, table)
    except TableError as error:
        raise PeerError(str(error), Exit.DATA) from None
    unused = [name for name in table.unread if name != model.task.target]
    if unused:
        shown = ", ".join(map(repr, unused[:10])) + (f" and {len(unused) - 10} more" if len(unused) > 10 else "")
        _note(f"{table.name}: not used by the model, and so ignored: {shown}")
    for line in unagreed_lines(table, model.task.schema):
        _note(f"{line}; correct it, if it is a typing error")
    if path is None:
        _write(sys.stdout, model, predictions)
        return 0
    with written(path) as file:
        _write(getwriter("utf-8")(file), model, predictions)
    told = f"{path}: {model.task.target!r} predicted for {table.rows} rows of {table.name}"
    print(told, file=report_to(path))
    return 0


def _model(given: argparse.Namespace) -> "TableModel":
    from ...learning.exports.exported import ExportError, no_table_model, read_model

    if given.model is not None:
        if given.home is not None or given.columns_from is not None:
            raise PeerError(
                "--model: the exported model says which columns it needs; leave --home and --columns-from out"
            )
        if given.best:
            raise PeerError(
                "--best: works with --home, not with --model; to put the best model into a file:"
                " peer model export --best --out FILE"
            )
        try:
            return read_model(Path(given.model))
        except ExportError as error:
            raise PeerError(str(error), Exit.DATA) from None
    from ...reporting.agreed_models import loss_text, read_agreed

    agreed = read_agreed(home_of(given), best=given.best)
    model = agreed.table_model(given.columns_from and Path(given.columns_from))
    if model is None:
        raise PeerError(f"{agreed.home.folder}: {no_table_model('the weights in this home')}", Exit.DATA)
    trained, rounds = agreed.state.trained, agreed.state.options.rounds
    if trained < rounds and not agreed.state.has_stopped:
        newest = "" if given.best else f": this is the model after {trained} of {rounds} rounds"
        _note(f"the training is not finished{newest}")
    if given.best:
        told = loss_text(agreed.state, agreed.score)
        _note(f"this is the best model so far, that of round {agreed.score.round}: {told}")
    return model


def _predict(model: "TableModel", table: "Table") -> "Predictions":
    from ...learning.tables.table import TableError

    try:
        return model.predict(table.inputs)
    except ValueError as error:
        raise TableError(f"{table.name}, {error}; correct them, or remove the row") from None


def _write(file: Any, model: "TableModel", predictions: "Predictions") -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([model.task.target, *(f"probability_{label}" for label in model.task.classes)])
    writer.writerows(_lines(model, predictions))


def _lines(model: "TableModel", predictions: "Predictions") -> Iterator[tuple[object, ...]]:
    """Yield the cells of each row. Numbers are printed so that reading them gives the same bits."""
    if predictions.values is not None:
        yield from ((value,) for value in predictions.values.tolist())
        return
    assert predictions.codes is not None
    assert predictions.probabilities is not None
    for code, probabilities in zip(predictions.codes.tolist(), predictions.probabilities.tolist(), strict=True):
        yield (model.task.classes[code], *probabilities)


def _note(text: str) -> None:
    from ...reporting.status import printable

    print(printable(f"peer: note: {text}"), file=sys.stderr)
