"""Reading a table from a CSV or Parquet file, with messages that lead to each cell that is wrong.

The first row names the columns. Fields may be quoted; the separator is a comma, a semicolon or a tab,
whichever the header uses; UTF-8, with or without a byte order mark; gzipped or not. Cells are parsed one row at a
time into packed arrays, so a large file takes eight bytes a number and not a Python object. Cells that are no numbers
are kept as texts until their column is known: see `columns`.
"""

import csv
import hashlib
import math
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .cells import is_decimal_comma, is_missing, is_number, normal_label, number_in, shortened
from .columns import Column, Texts, Unagreed
from .header import Header, check_named, read_header, separator_of
from .opening import check_is_file, is_parquet, opened
from .parquet import ParquetRows
from .schema import Schema, Wishes
from .troubles import TableError, Trouble, Troubles, columns_option

__all__ = ["Table", "TableError", "held_out", "inspect_table", "is_number", "normal_label", "read_inputs", "read_table"]

MAX_CLASSES: Final = 1000

_PLAIN: Final = Schema()
_NAMED: Final = "; if it is a class, name all with --classes"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table's numbers: `inputs` float64[rows, columns] as `schema` says, `columns` in alphabetical order.

    Either `values` float64[rows] holds a numeric target, or `labels` the distinct labels in the order of
    their appearance and `codes` intp[rows] the position of each row's label among them. `lines` int64[rows]
    are the lines of the file at which the rows end, or the rows' own numbers where `unit` is `row`.
    """

    name: str
    columns: tuple[str, ...]
    inputs: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64] | None = None
    labels: tuple[str, ...] = ()
    codes: npt.NDArray[np.intp] | None = None
    lines: npt.NDArray[np.int64] | None = None
    booleans: tuple[str, ...] = ()
    """Columns of words such as yes and no, which became 1 and 0."""
    unread: tuple[str, ...] = ()
    """Columns of the file that are neither inputs nor the target, in its order."""
    schema: Schema = field(default_factory=Schema)
    """What the inputs hold besides plain numbers."""
    unagreed: tuple[Unagreed, ...] = ()
    """Levels that are none of those that the schema knows."""
    unit: str = "line"

    @property
    def features(self) -> npt.NDArray[np.float64]:
        """What goes into a model, float64[rows, features]; NaN for a number that is a gap."""
        return self.schema.encode(self.columns, self.inputs)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.inputs)

    def line(self, row: int) -> int:
        """The line of the file at which a row ends; 0 where there is no file."""
        return 0 if self.lines is None else int(self.lines[row])

    def line_of(self, label: str) -> int:
        """The line of the first row with this label."""
        assert self.codes is not None
        return self.line(int((self.codes == self.labels.index(label)).argmax()))


def read_table(
    path: str | Path,
    target: str,
    *,
    labelled: bool = False,
    columns: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    classes: Sequence[str] = (),
    plan: Schema | Wishes = _PLAIN,
    agreed: Collection[str] = (),
) -> Table:
    """Read a file whose column `target` is to be predicted from the others, or from `columns` alone.

    Args:
        path: a CSV or Parquet file.
        target: the column to predict.
        labelled: whether the target is a class, which may be any text; otherwise it is a number.
        columns: the inputs; None for all columns but the target and `ignore`.
        ignore: columns that are no inputs.
        classes: the classes that were named; these may look like spellings of a gap.
        plan: a schema says what the inputs hold, by default all numbers. A founder's wishes say part of it, and the
            rest follows from the cells.
        agreed: the federation's columns, of which none can be left out; if given, cells of others are not looked at.

    Raises:
        TableError: tells all that is wrong.
    """
    table, troubles = inspect_table(
        path,
        target,
        labelled=labelled,
        columns=columns,
        ignore=ignore,
        classes=classes,
        plan=plan,
        agreed=agreed,
    )
    troubles.check()
    return table


def read_inputs(path: str | Path, columns: Sequence[str], schema: Schema = _PLAIN) -> Table:
    """Read only `columns` of a file, to predict from: it needs no target, and other columns may hold anything.

    Raises:
        TableError: tells all that is wrong.
    """
    table, troubles = inspect_table(path, None, columns=columns, are_needed=True, plan=schema)
    troubles.check()
    return table


def inspect_table(
    path: str | Path,
    target: str | None,
    *,
    labelled: bool = False,
    columns: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    classes: Sequence[str] = (),
    are_needed: bool = False,
    plan: Schema | Wishes = _PLAIN,
    agreed: Collection[str] = (),
) -> tuple[Table, Troubles]:
    """Read a file as `read_table` does, and return with the table all that is wrong with it.

    Cells that are wrong become 0, and rows of another width are left out. Without a target all columns are inputs.
    `are_needed`: none of them can be left out.

    Raises:
        TableError: so much is wrong that there is no table.
    """
    path = Path(path).expanduser()
    check_is_file(path)
    known = set(map(normal_label, classes)) if labelled else None
    reader = _Reader(path.name, target, _Choice(columns, ignore, known, are_needed, plan, agreed))
    if is_parquet(path):
        return reader.read_parquet(ParquetRows(path)), reader.troubles
    with opened(path) as file:
        return reader.read(file), reader.troubles


def held_out(rows: int, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows are kept for testing, bool[rows]: the nearest whole number to `fraction` of them.

    The choice depends only on the arguments, on any machine. At least one row is left to train on, and at least one
    to test on, unless `fraction` is 0 or there is a single row.

    Raises:
        ValueError: the fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the test fraction must be at least 0 and less than 1, not {fraction}")
    chosen = np.zeros(rows, dtype=np.bool_)
    if fraction > 0 and rows > 1:
        stream = hashlib.shake_256(b"coterie/1/held-out|%d" % seed).digest(8 * rows)
        order = np.argsort(np.frombuffer(stream, dtype="<u8"), kind="stable")
        chosen[order[: min(rows - 1, max(1, round(rows * fraction)))]] = True
    return chosen


@dataclass(frozen=True, slots=True)
class _Choice:
    """What to read of a file, and how; see `read_table`."""

    columns: Sequence[str] | None
    ignored: Sequence[str]
    classes: set[str] | None
    """Labels that are no gaps, whatever they look like; None if the target is a number."""
    are_needed: bool
    plan: Schema | Wishes
    agreed: Collection[str]


class _Reader:
    """Reads one file. It goes on after an error, so that all errors are told at once."""

    def __init__(self, name: str, target: str | None, choice: "_Choice") -> None:
        self._target = target
        self._choice = choice
        self._classes = choice.classes
        self.troubles = Troubles(name)
        self._numbers, self._values, self._codes, self._lines = array("d"), array("d"), array("q"), array("q")
        self._labels: dict[str, int] = {}
        self._texts: list[Texts] = []
        """The cells that are no numbers: of each input, and last of the target."""
        self._points: dict[int, tuple[int, str]] = {}
        """Inputs with a decimal point in a file that may have decimal commas: row and cell of the first in each."""
        self._may_have_commas = False
        self._rows: Any = None

    def read(self, file: Any) -> Table:
        first = file.readline()
        separator = separator_of(self.troubles.name, first)
        self._may_have_commas = separator != ","
        self._rows = csv.reader(_with_first(first, file), delimiter=separator, strict=True)
        header = None
        try:
            header = self._header(next(self._rows))
            self._texts = [Texts() for _ in (*header.inputs, self._target)]
            for row in self._rows:
                if row:  # an empty line, often the last, is no row
                    self._read_row(header, row)
        except csv.Error as error:
            if header is not None:
                self._settle(header)
            what = f"not CSV: {error}"
            self.troubles.add(Trouble(self._rows.line_num, None, what, "close the quotes and double those inside"))
            self.troubles.check()
        assert header is not None
        header.tell_nameless(self.troubles)
        return self._table(header)

    def read_parquet(self, rows: ParquetRows) -> Table:
        self.troubles.unit = "row"
        self._rows = rows
        header = self._header(rows.names)
        unfit = [name for name in (*header.inputs, self._target) if name in rows.unfit]
        for name in unfit:
            what = f"it holds values of the type {rows.unfit[name]}, and no numbers, texts or dates"
            self.troubles.add(Trouble(0, name, what, f"leave the column out: {columns_option([name], '--ignore')}"))
        if unfit:
            self.troubles.check()
        self._texts = [Texts() for _ in (*header.inputs, self._target)]
        for row in rows:
            self._read_row(header, row)
        header.tell_nameless(self.troubles)
        return self._table(header)

    def _header(self, names: list[str]) -> Header:
        choice, plan = self._choice, self._choice.plan
        is_joiners = isinstance(plan, Schema) and self._target is not None
        header = read_header(self.troubles, names, self._target, choice.columns, choice.ignored, is_joiners=is_joiners)
        if isinstance(plan, Wishes):
            check_named(self.troubles, [*plan.levels, *plan.gaps, *plan.medians, *plan.collected], header.inputs)
        return header

    def _read_row(self, header: Header, row: list[str]) -> None:
        if len(row) != header.width or not any(map(str.strip, row)):
            self.troubles.add(Trouble(self._rows.line_num, None, *header.misfit(row)))
            return
        header.see_nameless(row)
        cells = header.pick(row)
        try:
            numbers = list(map(number_in, cells))
        except ValueError:
            numbers = list(map(self._number, range(len(cells)), cells))
        if self._may_have_commas and len(self._points) < len(cells):
            self._see_points(cells, numbers)
        self._numbers.extend(numbers)
        if self._target is not None:
            cell = row[header.target_at]
            if self._classes is not None:
                self._codes.append(self._code(cell))
            else:
                self._values.append(self._number(-1, cell))
        self._lines.append(self._rows.line_num)

    def _number(self, place: int, cell: str) -> float:
        """The number in a cell; NaN for a text, which is kept."""
        texts = self._texts[place]
        if cell not in texts.codes:
            try:
                return number_in(cell)
            except ValueError:
                pass
        texts.note(len(self._lines), cell)
        return math.nan

    def _see_points(self, cells: Sequence[str], numbers: Sequence[float]) -> None:
        for place, cell in enumerate(cells):
            if "." in cell and place not in self._points and not math.isnan(numbers[place]):
                self._points[place] = len(self._lines), cell.strip()

    def _code(self, cell: str) -> int:
        label = normal_label(cell)
        line = self._rows.line_num
        assert self._classes is not None
        if is_missing(label) and label not in self._classes:
            shown = f" ({shortened(label)})" if label else ""
            advice = "fill it in, or remove the row" + (_NAMED if label else "")
            self.troubles.add(Trouble(line, self._target, f"the class is missing{shown}", advice))
            return 0
        code = self._labels.setdefault(label, len(self._labels))
        if code >= MAX_CLASSES:
            what = f"more than {MAX_CLASSES} different classes"
            self.troubles.add(Trouble(line, self._target, what, "for a numeric target use --model linear or mlp"))
            self.troubles.check()
        return code

    def _table(self, header: Header) -> Table:
        if not len(self._lines):
            if not self.troubles.count:
                self.troubles.add(Trouble(0, None, "there is no row below the header"))
            self.troubles.check()
        inputs, values, settled = self._settle(header)
        unread = tuple(name for name in header.names if name not in {*header.inputs, header.target})
        table = Table(
            self.troubles.name,
            header.inputs,
            inputs,
            lines=np.frombuffer(self._lines, dtype=np.int64),
            booleans=tuple(settled.booleans),
            unread=unread,
            schema=settled.schema(self._choice.plan),
            unagreed=tuple(settled.unagreed),
            unit=self.troubles.unit,
        )
        if self._classes is not None:
            codes = np.frombuffer(self._codes, dtype=np.int64).astype(np.intp)
            return replace(table, labels=tuple(self._labels), codes=codes)
        return table if self._target is None else replace(table, values=values)

    def _settle(self, header: Header) -> "tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], _Settled]":
        """Read the columns that hold more than numbers."""
        rows = len(self._lines)
        width = len(header.inputs)
        inputs = np.frombuffer(self._numbers, dtype=np.float64)[: rows * width].reshape(rows, width)
        values = np.frombuffer(self._values, dtype=np.float64)[:rows]
        lines = np.frombuffer(self._lines, dtype=np.int64)
        choice, plan = self._choice, self._choice.plan
        comma = self._first_comma()
        settled = _Settled()
        common = {"has_commas": comma is not None, "is_needed": choice.are_needed}
        for place, name in enumerate(header.inputs):
            texts = self._texts[place]
            if choice.agreed and name not in choice.agreed:
                # The table is refused for this column, by its name alone: what it holds is of no interest.
                inputs[:, place] = 0
                continue
            # The usual case: agreed to hold numbers, and every cell is one.
            if not texts.rows and isinstance(plan, Schema) and plan.levels_of(name) is None and name not in plan.dates:
                self._check_points(header, place, comma, lines)
                continue
            is_founders = isinstance(plan, Wishes)
            column = Column(name, inputs[:, place], texts, lines, self.troubles, is_founders=is_founders, **common)
            column.is_agreed = name in choice.agreed
            form: str | tuple[str, ...] | None
            if isinstance(plan, Wishes):
                form = column.infer(plan, choice.columns is not None)
                if name in plan.medians and form not in (None, "number"):
                    kind = "dates" if form == "date" else "a category"
                    advice = (
                        "leave it out of --median; a gap among dates stands as the mean, one in a category for itself"
                    )
                    self.troubles.add(Trouble(0, name, f"it holds {kind}, and only numbers have a median", advice))
            else:
                form = plan.levels_of(name) or ("date" if name in plan.dates else "number")
            gaps = plan.allows_gaps(name)
            settled.forms[name] = form
            if form == "number":
                self._check_points(header, place, comma, lines)
                if column.read_numbers(gaps=gaps):
                    settled.booleans.append(name)
            elif form == "date":
                column.read_dates(gaps=gaps)
            elif isinstance(form, tuple):
                settled.unagreed += column.read_levels(form)
        if self._target is not None and self._classes is None:
            column = Column(self._target, values, self._texts[-1], lines, self.troubles, is_target=True, **common)
            column.read_numbers(gaps=False)
        return inputs, values, settled

    def _first_comma(self) -> tuple[int, str] | None:
        """Row and text of a number that shows that the file writes decimal commas; None if no number shows it."""
        if not self._may_have_commas:
            return None
        for texts in self._texts:
            for code, text in enumerate(texts.each):
                if is_decimal_comma(text):
                    return texts.rows[texts.found.index(code)], text
        return None

    def _check_points(
        self, header: Header, place: int, comma: tuple[int, str] | None, lines: npt.NDArray[np.int64]
    ) -> None:
        """Refuse numbers with decimal points in a file of decimal commas: the points may stand between thousands."""
        if comma is None or place not in self._points:
            return
        row, cell = self._points[place]
        what = f"{shortened(cell)} has a point, and {shortened(comma[1])} in line {lines[comma[0]]} a decimal comma"
        advice = "write all numbers of the file in one way, with a decimal point and no thousands separators"
        self.troubles.add(Trouble(int(lines[row]), header.inputs[place], what, advice))


@dataclass(slots=True)
class _Settled:
    """What the columns turned out to be."""

    booleans: list[str] = field(default_factory=list)
    unagreed: list[Unagreed] = field(default_factory=list)
    forms: dict[str, str | tuple[str, ...] | None] = field(default_factory=dict)

    def schema(self, plan: Schema | Wishes) -> Schema:
        if isinstance(plan, Schema):
            return plan
        levels = tuple((name, form) for name, form in self.forms.items() if isinstance(form, tuple))
        dates = tuple(name for name, form in self.forms.items() if form == "date")
        gaps = sorted({*plan.gaps, *plan.medians} - dict(levels).keys())
        medians = tuple(
            sorted((name, edges) for name, edges in plan.medians.items() if self.forms.get(name) == "number")
        )
        return Schema(levels, dates, () if plan.gaps_anywhere else tuple(gaps), plan.gaps_anywhere, medians)


def _with_first(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
