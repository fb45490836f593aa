"""What was read from a table, for people: before they begin, and when they do."""

from typing import Final

import numpy as np

from .table import Table
from .tables_app import TableApp

__all__ = ["column_lines", "likely_classes", "question", "summary"]

_MOST_CLASSES: Final = 10
_ROWS_A_CLASS: Final = 4
_SHOWN: Final = 8


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
    first = (
        f"{table.name}: {table.rows} rows, {app.examples} to train on and {table.rows - app.examples} to test;"
        f" {len(task.columns)} inputs ({names}{more}); {_target(app)}; model {task.kind}{layers}"
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
    found += [f"{name}, {outlier}: a typing error?" for outlier in app.own_outliers()]
    return found


def question(app: TableApp) -> str | None:
    """What to ask a founder that chose no model, where the target looks like classes."""
    classes = likely_classes(app.table)
    if not classes:
        return None
    return (
        f"{app.table.name}: column {app.task.target!r} holds {_values(classes)} only; to predict a class, give --model"
        " logistic; to predict it as a number all the same, give --model linear"
    )


def column_lines(app: TableApp) -> list[str]:
    """What each column becomes."""
    lines = []
    for column, values in zip(app.task.columns, app.table.inputs.T, strict=True):
        kind = "yes or no, as 1 and 0" if column in app.table.booleans else "a number"
        if (values == values[0]).all():
            kind += f", {values[0]:g} in all rows: it is ignored unless other members have other values"
        else:
            kind += f", {values.min():g} to {values.max():g}, mean {values.mean():.6g}"
        lines.append(f"{column}: {kind}")
    return [*lines, _target(app)]


def _target(app: TableApp) -> str:
    task, values = app.task, app.table.values
    if values is None:
        more = ", …" if len(task.classes) > _SHOWN else ""
        return f"target {task.target!r}, one of {len(task.classes)} classes ({', '.join(task.classes[:_SHOWN])}{more})"
    return f"target {task.target!r}, a number from {values.min():g} to {values.max():g}"


def _values(classes: tuple[str, ...]) -> str:
    return f"the values {', '.join(classes[:-1])} and {classes[-1]}"
