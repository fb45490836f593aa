"""What was read from a table, for people: before they begin, and when they do."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from .table import Table
from .tables_app import TableApp
from .troubles import Troubles, columns_option

__all__ = ["column_lines", "likely_classes", "question", "summary"]

_MOST_CLASSES: Final = 10
_ROWS_A_CLASS: Final = 4
_SHOWN: Final = 8
_MANY_ROWS: Final = 10


def likely_classes(table: Table) -> tuple[str, ...]:
    """The values of a numeric target that are probably classes: two of any kind, or a few whole numbers, often."""
    if table.values is None:
        return ()
    found = np.unique(table.values)
    if not 2 <= len(found) <= _MOST_CLASSES or table.rows < _ROWS_A_CLASS * len(found):
        return ()
    is_whole = bool((found == np.rint(found)).all())
    return tuple(f"{value:g}" for value in found) if is_whole or len(found) == 2 else ()


def summary(app: TableApp) -> str:
    """The table in a line, and a line for each thing in it that may be a mistake."""
    table, task = app.table, app.task
    names = ", ".join(task.columns[:_SHOWN])
    more = f" and {len(task.columns) - _SHOWN} more" if len(task.columns) > _SHOWN else ""
    layers = f" ({','.join(map(str, task.hidden))})" if task.hidden else ""
    inputs = f"{len(task.columns)} input{'s' if len(task.columns) != 1 else ''} ({names}{more})"
    first = (
        f"{table.name}: {table.rows} rows, {app.examples} to train on and {table.rows - app.examples} to test;"
        f" {inputs}; {_target(table, task.target, task.classes)}; model {task.kind}{layers}"
    )
    return "\n".join([first, *_oddities(app)])


def _oddities(app: TableApp) -> list[str]:
    """What in a table may be a mistake, though it can be used."""
    name, found = app.table.name, []
    classes = likely_classes(app.table)
    if classes:
        how = "--model logistic" if app.task.kind == "linear" else f"--classes {','.join(classes)}"
        found.append(
            f"{name}: the target {app.task.target!r} holds {_values(classes)} only; a founder that wants to predict a"
            f" class gives {how}"
        )
    for column in _row_numbers(app.table):
        others = columns_option([other for other in app.task.columns if other != column])
        found.append(f"{name}: column {column!r} numbers the rows; to leave it out: {others}")
    found += [f"{name}, {outlier}: a typing error?" for outlier in app.own_outliers()]
    return found


def _row_numbers(table: Table) -> list[str]:
    """The columns that count the rows from 0 or 1 on."""
    counts = np.arange(table.rows)
    return [
        column
        for column, values in zip(table.columns, table.inputs.T, strict=True)
        if table.rows >= _MANY_ROWS and values[0] in (0, 1) and bool((values - values[0] == counts).all())
    ]


def question(app: TableApp) -> str | None:
    """What to ask a founder that chose no model, where the target looks like classes."""
    classes = likely_classes(app.table)
    if not classes:
        return None
    return (
        f"{app.table.name}: column {app.task.target!r} holds {_values(classes)} only; to predict a class, give --model"
        " logistic; to predict it as a number all the same, give --model linear"
    )


def column_lines(table: Table, troubles: Troubles, target: str | None) -> list[str]:
    """What each column becomes."""
    lines = []
    for column, values in zip(table.columns, table.inputs.T, strict=True):
        wrong = troubles.in_column(column)
        if wrong:
            kind = f"refused for {wrong:,} of {table.rows:,} cells"
        elif (values == values[0]).all():
            kind = f"{values[0]:g} in all rows: ignored unless other members have other values"
        else:
            kind = "yes or no, as 1 and 0; " if column in table.booleans else ""
            kind += f"{values.min():g} to {values.max():g}, mean {values.mean():.6g}"
        lines.append(f"{column}: {kind}")
    if target is None:
        return lines
    wrong = troubles.in_column(target)
    if wrong:
        return [*lines, f"target {target!r}: refused for {wrong:,} of {table.rows:,} cells"]
    return [*lines, _target(table, target, table.labels)]


def _target(table: Table, target: str, classes: Sequence[str]) -> str:
    if table.values is None:
        more = ", …" if len(classes) > _SHOWN else ""
        return f"target {target!r}, one of {len(classes)} classes ({', '.join(classes[:_SHOWN])}{more})"
    return f"target {target!r}, a number from {table.values.min():g} to {table.values.max():g}"


def _values(classes: tuple[str, ...]) -> str:
    return f"the values {', '.join(classes[:-1])} and {classes[-1]}"
