"""Reading a table of numbers from a CSV file, with messages that lead to each cell that is wrong.

The first row names the columns. Fields may be quoted; the separator is a comma, a semicolon or a tab,
whichever the header uses; UTF-8, with or without a byte order mark; gzipped or not. Cells are parsed one row at a
time into packed arrays, so a large file takes eight bytes a number and not a Python object.
"""

import csv
import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .cells import BOOLEANS, flaw_of, is_missing, is_number, normal_label, number_in, shortened
from .header import Header, read_header, separator_of
from .opening import opened
from .troubles import LEAVE_OUT, TableError, Trouble, Troubles

__all__ = ["Table", "TableError", "held_out", "inspect_table", "is_number", "normal_label", "read_inputs", "read_table"]

MAX_CLASSES: Final = 1000

_NAMED: Final = "; if it is a class, name all with --classes"
_OUT: Final = f"leave the column out: {LEAVE_OUT}"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table's numbers: `inputs` float64[rows, columns], `columns` in alphabetical order.

    Either `values` float64[rows] holds a numeric target, or `labels` the distinct labels in the order of
    their appearance and `codes` intp[rows] the position of each row's label among them. `lines` int64[rows]
    are the lines of the file at which the rows end.
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
    classes: Sequence[str] = (),
) -> Table:
    """Read a CSV file whose column `target` is to be predicted from the others, or from `columns` alone.

    `labelled`: the target is a class, any text; otherwise it is a number like all the rest. `classes`: those that are
    named, which may look like spellings of a missing one. Raises TableError, which tells all that is wrong.
    """
    table, troubles = inspect_table(path, target, labelled=labelled, columns=columns, classes=classes)
    troubles.check()
    return table


def read_inputs(path: str | Path, columns: Sequence[str]) -> Table:
    """Read `columns` alone of a CSV file, to predict from: there need be no target, and the others may hold anything.

    Raises TableError, which tells all that is wrong.
    """
    table, troubles = inspect_table(path, None, columns=columns, are_needed=True)
    troubles.check()
    return table


def inspect_table(
    path: str | Path,
    target: str | None,
    *,
    labelled: bool = False,
    columns: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    are_needed: bool = False,
) -> tuple[Table, Troubles]:
    """Read a file as `read_table` does, and return with the table what is wrong with it.

    Cells that are wrong stand as 0, and rows of another width are left out. Without a target all columns are inputs.
    `are_needed`: none of them can be left out.
    Raises TableError where so much is wrong that there is no table.
    """
    path = Path(path).expanduser()
    with opened(path) as file:
        known = set(map(normal_label, classes)) if labelled else None
        reader = _Reader(path.name, target, columns, known, are_needed)
        return reader.read(file), reader.troubles


def held_out(rows: int, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows are kept for testing, bool[rows]: the nearest whole number to `fraction` of them.

    The choice depends on nothing but the arguments, on any machine. One row at least is left to train on, and
    one to test on unless `fraction` is 0 or there is a single row. Raises ValueError for a fraction outside
    of [0, 1).
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the test fraction must be at least 0 and less than 1, not {fraction}")
    chosen = np.zeros(rows, dtype=np.bool_)
    if fraction > 0 and rows > 1:
        stream = hashlib.shake_256(b"coterie/1/held-out|%d" % seed).digest(8 * rows)
        order = np.argsort(np.frombuffer(stream, dtype="<u8"), kind="stable")
        chosen[order[: min(rows - 1, max(1, round(rows * fraction)))]] = True
    return chosen


class _Reader:
    """Reads one file, and goes on after what is wrong to tell that too."""

    def __init__(
        self,
        name: str,
        target: str | None,
        columns: Sequence[str] | None,
        classes: set[str] | None,
        are_needed: bool,
    ) -> None:
        self._target = target
        self._are_needed = are_needed
        self._classes = classes
        """Labels that are no gaps whatever they look like; None: the target is a number."""
        self._wanted = columns
        self.troubles = Troubles(name)
        self._numbers, self._values, self._codes, self._lines = array("d"), array("d"), array("q"), array("q")
        self._labels: dict[str, int] = {}
        self._words: dict[str, tuple[int, str]] = {}
        """Columns that hold words such as yes and no, with the line and the spelling of the first."""
        self._rows: Any = None

    def read(self, file: Any) -> Table:
        first = file.readline()
        separator = separator_of(self.troubles.name, first)
        self._rows = csv.reader(_with_first(first, file), delimiter=separator, strict=True)
        try:
            header = read_header(self.troubles, next(self._rows), self._target, self._wanted)
            for row in self._rows:
                if row:  # an empty line, often the last, is no row
                    self._read_row(header, row)
        except csv.Error as error:
            what = f"not CSV: {error}"
            self.troubles.add(Trouble(self._rows.line_num, None, what, "close the quotes and double those inside"))
            self.troubles.check()
        header.tell_nameless(self.troubles)
        table = self._table(header)
        self._check_words(table)
        return table

    def _read_row(self, header: Header, row: list[str]) -> None:
        if len(row) != header.width or not any(map(str.strip, row)):
            self.troubles.add(Trouble(self._rows.line_num, None, *header.misfit(row)))
            return
        header.see_nameless(row)
        try:
            numbers = list(map(number_in, header.pick(row)))
        except ValueError:
            numbers = [self._number(name, row[at]) for name, at in zip(header.inputs, header.places, strict=True)]
        self._numbers.extend(numbers)
        self._lines.append(self._rows.line_num)
        if self._target is None:
            return
        cell = row[header.target_at]
        if self._classes is not None:
            self._codes.append(self._code(cell))
        else:
            self._values.append(self._number(self._target, cell))

    def _number(self, column: str, cell: str) -> float:
        """The number in a cell; 0 for one with a flaw, which is noted."""
        try:
            return number_in(cell)
        except ValueError:
            word = BOOLEANS.get(cell.strip().lower())
            if word is not None and column != self._target:
                self._words.setdefault(column, (self._rows.line_num, cell.strip()))
                return word
            flaw = flaw_of(cell, is_target=column == self._target, is_needed=self._are_needed)
            self.troubles.add(Trouble(self._rows.line_num, column, flaw.what, flaw.advice))
            return 0.0

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
        inputs = np.frombuffer(self._numbers, dtype=np.float64).reshape(len(self._lines), len(header.inputs))
        if not len(inputs):
            if not self.troubles.count:
                self.troubles.add(Trouble(0, None, "there is no row below the header"))
            self.troubles.check()
        lines = np.frombuffer(self._lines, dtype=np.int64)
        booleans = tuple(sorted(self._words))
        unread = tuple(name for name in header.names if name not in {*header.inputs, header.target})
        if self._classes is not None:
            codes = np.frombuffer(self._codes, dtype=np.int64).astype(np.intp)
            labels = tuple(self._labels)
            return Table(self.troubles.name, header.inputs, inputs, None, labels, codes, lines, booleans, unread)
        values = None if self._target is None else np.frombuffer(self._values, dtype=np.float64)
        return Table(self.troubles.name, header.inputs, inputs, values, lines=lines, booleans=booleans, unread=unread)

    def _check_words(self, table: Table) -> None:
        """Yes and no are 1 and 0 where a column holds nothing else; among other numbers they are a mistake."""
        for column, (line, word) in self._words.items():
            values = table.inputs[:, table.columns.index(column)]
            others = np.flatnonzero((values != 0) & (values != 1))
            if len(others):
                row = int(others[0])
                what = f"{shortened(word)} among numbers, such as {values[row]:g} in line {table.line(row)}"
                advice = "write one or the other" + ("" if self._are_needed else f", or {_OUT}")
                self.troubles.add(Trouble(line, column, what, advice))


def _with_first(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
