"""What was read from a table, in words: for `peer data check`, and for the start of a peer."""

import difflib
import shlex
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Final

import numpy as np
import numpy.typing as npt

from ..tables.cells import normal_label
from ..tables.columns import Unagreed, are_all_different_whole
from ..tables.dates import written_day
from ..tables.schema import Schema
from ..tables.table import Table
from ..tables.troubles import Troubles, columns_option, on_one_line
from .tables_app import TableApp

__all__ = ["column_lines", "likely_classes", "question", "summary", "unagreed_lines"]

_MOST_CLASSES: Final = 10
_ROWS_A_CLASS: Final = 4
_SHOWN: Final = 8
_MANY_ROWS: Final = 10
_OPTION_LETTERS: Final = 600
"""Longer options are not written out: no user would type them."""
_MANY_DIFFERENT: Final = 100
"""So many whole numbers are seldom all different, unless they are ids."""


def likely_classes(table: Table) -> tuple[str, ...]:
    """The values of a numeric target that are probably classes: two of any kind, or a few frequent whole numbers."""
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
    layers = f" ({','.join(map(str, task.hidden))})" if task.hidden else ""
    inputs = f"{len(task.columns)} input{'s' if len(task.columns) != 1 else ''} ({_shown(task.columns)})"
    first = (
        f"{table.name}: {table.rows} rows, {app.examples} to train on and {table.rows - app.examples} to test;"
        f" {inputs}; {_target(table, task.target, task.classes)}; model {task.kind}{layers}"
    )
    return "\n".join([first, *_agreed_forms(app), *_oddities(app)])


def _agreed_forms(app: TableApp) -> list[str]:
    """What all members' columns hold besides plain numbers, as it stands in the genesis."""
    name, schema, found = app.table.name, app.task.schema, []
    for column, levels in schema.levels:
        found.append(
            f"{name}: column {column!r} is a category of {_counted(len(levels), 'level')} ({_shown(levels)}), which all"
            " members read in the genesis; any other counts as one more, and so does a gap"
        )
    if schema.dates:
        found.append(f"{name}: dates, as days since 1970-01-01: {_shown(schema.dates)}")
    if schema.gaps_anywhere or schema.gaps:
        means = [column for column in schema.gaps if schema.edges_of(column) is None]
        others = "all other columns of numbers" if schema.medians else "all columns of numbers"
        where = others if schema.gaps_anywhere else _shown(means)
        if where:
            found.append(f"{name}: a gap stands as the mean of all members, and is marked for the model, in {where}")
    for column, edges in schema.medians:
        bins = ", ".join(f"{edge:g}" for edge in edges)
        found.append(
            f"{name}: a gap stands as the median of all members, and is marked for the model, in column {column!r}; all"
            f" members learn how many of all rows are below each of {bins}"
        )
    if app.task.class_weights:
        weighed = zip(app.task.classes, app.task.class_weights, strict=True)
        counts = ", ".join(f"{label} {weight:g}" for label, weight in weighed)
        found.append(f"{name}: in training a row of each class counts as much as this: {counts}")
    chosen = {what: value for what, value in asdict(app.task.training).items() if value is not None}
    if chosen:
        told = ", ".join(f"{what.replace('_', ' ')} {value:g}" for what, value in chosen.items())
        found.append(f"{name}: all members train with what the founder chose: {told}")
    return found


def unagreed_lines(table: Table, schema: Schema) -> list[str]:
    """A line for each level of a table that is none of those agreed on: where it stands, and what it counts as."""
    return [_unagreed_line(table, one, schema.levels_of(one.column) or ()) for one in table.unagreed]


def _unagreed_line(table: Table, one: Unagreed, known: tuple[str, ...]) -> str:
    folded = {level.casefold(): level for level in known}
    near = difflib.get_close_matches(one.level.casefold(), folded, n=1, cutoff=0.8)
    meant = f" (was {folded[near[0]]!r} meant?)" if near else ""
    where = f"{table.name}, {table.unit} {one.line}, column {one.column!r}"
    return (
        f"{where}: {one.level!r} ({_counted(one.rows, 'row')}) is none of the levels agreed on ({_shown(known)}) and"
        f" counts as any other{meant}"
    )


def _unagreed(app: TableApp) -> list[str]:
    """The same lines, with what to do. In a founder's own table these are levels of too few rows."""
    found = unagreed_lines(app.table, app.task.schema)
    if not found:
        return []
    it, name = ("it", "") if len(found) == 1 else ("them", f"{app.table.name}: ")
    todo = f"{name}correct {it}, or found the federation with {_levels_options(app)}"
    more = f"{app.table.name}: … and {_counted(len(found) - _SHOWN, 'more level')} that are none of those agreed on"
    if len(found) == 1:
        return [f"{found[0]}; {todo}"]
    return [*found[:_SHOWN], *([more] if len(found) > _SHOWN else []), todo]


def _levels_options(app: TableApp) -> str:
    """The options with which all levels of the table would be agreed on: one for each column."""
    named: dict[str, list[str]] = {}
    for one in app.table.unagreed:
        named.setdefault(one.column, list(app.task.schema.levels_of(one.column) or ())).append(one.level)
    words = (f"{column}={','.join(levels)}" for column, levels in named.items())
    text = " ".join(f"--levels {shlex.quote(word)}" for word in words)
    is_short = len(text) <= _OPTION_LETTERS
    return on_one_line(text) if is_short else "--levels COLUMN=A,B,… for each of these columns, with all its levels"


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
    for column in _likely_ids(app.table):
        others = columns_option([other for other in app.task.columns if other != column])
        what = f"column {column!r} holds another whole number in each row: an id?"
        found.append(f"{name}: {what} To leave it out: {others}")
    found += _unagreed(app)
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


def _likely_ids(table: Table) -> list[str]:
    """The columns of many whole numbers that are all different, without those that number the rows."""
    others = {*_row_numbers(table), *table.schema.dates}
    return [
        column
        for column, values in zip(table.columns, table.inputs.T, strict=True)
        if table.rows >= _MANY_DIFFERENT and column not in others and are_all_different_whole(values)
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


def column_lines(
    table: Table, troubles: Troubles, target: str | None, agreed: Collection[str] = (), classes: Sequence[str] = ()
) -> list[str]:
    """What each column becomes.

    ``agreed``: the federation's columns, where they are known. ``classes``: those that were named, in the order of the
    task, of which the second is the positive one.
    """
    lines = []
    for column, values in zip(table.columns, table.inputs.T, strict=True):
        wrong = troubles.in_column(column)
        if agreed and column not in agreed:
            kind = "none of the federation's columns"
        elif column in troubles.whole:
            kind = "refused"
        elif wrong:
            kind = f"refused for {wrong:,} of {table.rows:,} cells"
        elif (levels := table.schema.levels_of(column)) is not None:
            kind = _category(levels, values)
        else:
            kind = _number(table, column, values)
        lines.append(f"{on_one_line(column)}: {kind}")
    if target is None:
        return lines
    wrong = troubles.in_column(target)
    if wrong:
        return [*lines, f"target {target!r}: refused for {wrong:,} of {table.rows:,} cells"]
    return [*lines, _target(table, target, _in_order(table, classes))]


def _in_order(table: Table, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes in the order of the task: as they were named, then the others in alphabetical order."""
    named = tuple(map(normal_label, classes))
    return (*named, *sorted(set(table.labels) - set(named)))


def _category(levels: tuple[str, ...], values: npt.NDArray[np.float64]) -> str:
    """What becomes of a category."""
    others, gaps = int((values == len(levels)).sum()), int(np.isnan(values).sum())
    rest = f"; {_counted(others, 'row')} of other levels {_verb('count', others)} as one" if others else ""
    rest += f"; {_counted(gaps, 'gap')} {_verb('count', gaps)} as one" if gaps else ""
    return f"a category of {_counted(len(levels), 'level')} ({_shown(levels)}), a column of 0 and 1 for each{rest}"


def _number(table: Table, column: str, values: npt.NDArray[np.float64]) -> str:
    """What becomes of numbers and dates."""
    known = values[~np.isnan(values)]
    gaps = len(values) - len(known)
    are = "is" if gaps == 1 else "are"
    what = "mean" if table.schema.edges_of(column) is None else "median"
    mean = f"{_verb('stand', gaps)} as the {what} of all members, and {are} marked"
    marked = f"; {_counted(gaps, 'gap')} {mean}" if gaps else ""
    if not len(known):
        return f"nothing but gaps{marked}"
    if column in table.schema.dates:
        first, last = written_day(known.min()), written_day(known.max())
        return f"dates from {first} to {last}, as days since 1970-01-01{marked}"
    if (values == values[0]).all():
        return f"{values[0]:g} in all rows: ignored unless other members have other values"
    kind = "yes or no, as 1 and 0; " if column in table.booleans else ""
    return f"{kind}{known.min():g} to {known.max():g}, mean {known.mean():.6g}{marked}"


def _target(table: Table, target: str, classes: Sequence[str]) -> str:
    if table.values is None:
        more = ", …" if len(classes) > _SHOWN else ""
        shown = ", ".join(map(on_one_line, classes[:_SHOWN]))
        return f"target {target!r}, {_among(len(classes))} ({shown}{more})"
    return f"target {target!r}, a number from {table.values.min():g} to {table.values.max():g}"


def _values(classes: tuple[str, ...]) -> str:
    return f"the values {', '.join(classes[:-1])} and {classes[-1]}"


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(on_one_line, names[:_SHOWN])) + more


def _among(classes: int) -> str:
    return f"one of {classes:,} classes" if classes != 1 else "1 class only"


def _verb(verb: str, number: int) -> str:
    """A verb in the form for so many things."""
    return f"{verb}s" if number == 1 else verb


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
