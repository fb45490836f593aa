"""Reading a table of numbers from a CSV file, with messages that lead to the cell that is wrong.

The first row names the columns. Fields may be quoted; the separator is a comma, a semicolon or a tab,
whichever the header uses; UTF-8, with or without a byte order mark. Cells are parsed one row at a time into
packed arrays, so a large file takes eight bytes a number and not a Python object.
"""

import csv
import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Table", "TableError", "held_out", "is_number", "normal_label", "read_inputs", "read_table"]

MAX_COLUMNS: Final = 4000
MAX_CLASSES: Final = 1000
MAX_NAME_LETTERS: Final = 200

_MISSING: Final = {"", "na", "n/a", "nan", "null", "none", "?", "-"}


class TableError(ValueError):
    """A table that cannot be used: says which file, line and column, and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table's numbers: `inputs` float64[rows, columns], `columns` in alphabetical order.

    Either `values` float64[rows] holds a numeric target, or `labels` the distinct labels in the order of
    their appearance and `codes` intp[rows] the position of each row's label among them.
    """

    name: str
    columns: tuple[str, ...]
    inputs: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64] | None = None
    labels: tuple[str, ...] = ()
    codes: npt.NDArray[np.intp] | None = None
    unread: tuple[str, ...] = ()
    """Columns of the file that are neither inputs nor the target, in its order."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.inputs)


def read_table(path: str | Path, target: str, *, labelled: bool = False, columns: Sequence[str] | None = None) -> Table:
    """Read a CSV file whose column `target` is to be predicted from the others, or from `columns` alone.

    `labelled`: the target is a class, any text; otherwise it is a number like all the rest. Raises
    TableError.
    """
    return _read_file(Path(path), target, labelled, columns)


def read_inputs(path: str | Path, columns: Sequence[str]) -> Table:
    """Read `columns` alone of a CSV file, to predict from: there need be no target, and the others may hold anything.

    Raises TableError.
    """
    return _read_file(Path(path), None, False, columns)


def _read_file(path: Path, target: str | None, labelled: bool, columns: Sequence[str] | None) -> Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _Reader(path.name, target, labelled, columns).read(file)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{path}, line {_first_foreign_line(path)}: not UTF-8 text; save it as CSV UTF-8") from error


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
    """Reads one file; keeps what the messages need."""

    def __init__(self, name: str, target: str | None, labelled: bool, columns: Sequence[str] | None) -> None:
        self._name = name
        self._target = target
        self._labelled = labelled
        self._wanted = columns
        self._labels: dict[str, int] = {}
        self._rows: Any = None

    def read(self, file: Any) -> Table:
        try:
            return self._read(file)
        except csv.Error as error:
            raise TableError(f"{self._line()}: not CSV: {error}") from error

    def _read(self, file: Any) -> Table:
        first = file.readline()
        if not first.strip():
            raise TableError(f"{self._name}: the file is empty or its first line is; it must name the columns")
        rows = csv.reader(_with_first(first, file), delimiter=_separator(first), strict=True)
        self._rows = rows
        header = [name.strip() for name in next(rows)]
        if self._target is None:
            self._check_needed(header)
        else:
            self._check_header(header)
        columns = self._columns(header)
        picked = [header.index(name) for name in columns]
        target_at = [] if self._target is None else [header.index(self._target)]
        unread = tuple(name for at, name in enumerate(header) if at not in {*picked, *target_at})
        # itemgetter gives a bare value, not a tuple, for a single column.
        pick = itemgetter(*picked) if len(picked) > 1 else lambda row: (row[picked[0]],)

        numbers, values, codes = array("d"), array("d"), array("q")
        for row in rows:
            if not row:
                continue  # an empty line, often the last
            if len(row) != len(header):
                raise TableError(f"{self._line()}: {len(row)} fields, but the header names {len(header)} columns")
            try:
                numbers.extend(map(_number, pick(row)))
                if not self._labelled:
                    values.extend(_number(row[at]) for at in target_at)
            except ValueError:
                self._complain(header, row, [*picked, *target_at])
            if self._labelled:
                codes.append(self._code(row[target_at[0]]))
        inputs = np.frombuffer(numbers, dtype=np.float64).reshape(-1, len(columns))
        if not len(inputs):
            raise TableError(f"{self._name}: there is no row below the header")
        if self._labelled:
            coded = np.frombuffer(codes, dtype=np.int64).astype(np.intp)
            return Table(self._name, columns, inputs, labels=tuple(self._labels), codes=coded, unread=unread)
        known = None if self._target is None else np.frombuffer(values, dtype=np.float64)
        return Table(self._name, columns, inputs, values=known, unread=unread)

    def _check_needed(self, header: list[str]) -> None:
        """Of a file to predict from only the columns that are read have to be in order."""
        needed = self._wanted or ()
        lacking = [name for name in needed if name not in header]
        if lacking:
            raise TableError(
                f"{self._name}, line 1: there is no column {_listed(lacking)}, which the model needs; there are "
                f"{_listed(header)}. Add what is missing, or correct the name"
            )
        twice = [name for name in needed if header.count(name) > 1]
        if twice:
            raise TableError(f"{self._name}, line 1: names {_listed(twice)} more than once; keep one of each")

    def _check_header(self, header: list[str]) -> None:
        for i, name in enumerate(header, 1):
            if not name:
                raise TableError(f"{self._name}: column {i} has no name in the first line")
            if len(name) > MAX_NAME_LETTERS:
                raise TableError(f"{self._name}: the name of column {i} is longer than {MAX_NAME_LETTERS} letters")
        twice = sorted(name for name, count in Counter(header).items() if count > 1)
        if twice:
            raise TableError(f"{self._name}: the first line names {_listed(twice)} more than once")
        if len(header) > MAX_COLUMNS:
            raise TableError(f"{self._name}: {len(header)} columns; at most {MAX_COLUMNS} are possible")
        if all(is_number(name) for name in header):
            raise TableError(f"{self._name}: the first line holds numbers; it must name the columns")
        if self._target not in header:
            raise TableError(f"{self._name}: there is no column {self._target!r}; there are {_listed(header)}")

    def _columns(self, header: list[str]) -> tuple[str, ...]:
        """The input columns in alphabetical order, which is the same for all peers."""
        if self._wanted is None:
            wanted = [name for name in header if name != self._target]
        else:
            wanted = list(dict.fromkeys(self._wanted))
            unknown = [name for name in wanted if name not in header]
            if unknown:
                raise TableError(f"{self._name}: there is no column {_listed(unknown)}; there are {_listed(header)}")
            if self._target in wanted:
                raise TableError(f"{self._name}: {self._target!r} cannot be an input and the target")
        if not wanted:
            raise TableError(f"{self._name}: there is no column besides the target {self._target!r}")
        return tuple(sorted(wanted))

    def _line(self) -> str:
        return f"{self._name}, line {self._rows.line_num}"

    def _complain(self, header: list[str], row: list[str], picked: list[int]) -> None:
        """Raise TableError for the first bad number of a row, by its place in the file."""
        for at in sorted(picked):
            cell = row[at].strip()
            if self._labelled and header[at] == self._target:
                continue
            try:
                _number(cell)
            except ValueError:
                raise TableError(f"{self._line()}, column {header[at]!r}: {self._advice(cell, header[at])}") from None

    def _advice(self, cell: str, column: str) -> str:
        if cell.lower() in _MISSING and self._target in (None, column):
            return "the value is missing; fill it in, or remove the row"
        if cell.lower() in _MISSING:
            return (
                "the value is missing; fill it in, remove the row, or leave the column out: "
                "--columns A,B,… names the inputs to use"
            )
        if cell.lower().lstrip("+-") in {"inf", "infinity"}:
            return f"{cell!r} is not a finite number"
        if is_number(cell.replace(".", "").replace(",", ".", 1)):
            return f"{cell!r} is not a number; write it with a decimal point and no thousands separators"
        if self._target is None:
            return f"{cell!r:.80} is not a number; correct it, or remove the row"
        if column == self._target:
            return f"{cell!r:.80} is not a number; to predict a class, use --model logistic, or --classes"
        return (
            f"{cell!r:.80} is not a number; turn categories into numbers (one column of 0 and 1 for each), "
            "or leave the column out: --columns A,B,… names the inputs to use"
        )

    def _code(self, cell: str) -> int:
        label = normal_label(cell)
        if label.lower() in _MISSING - {"none", "-"}:
            raise TableError(f"{self._line()}, column {self._target!r}: the class is missing")
        code = self._labels.setdefault(label, len(self._labels))
        if code >= MAX_CLASSES:
            raise TableError(
                f"{self._line()}, column {self._target!r}: more than {MAX_CLASSES} different classes; "
                "for a numeric target use --model linear or mlp"
            )
        return code


def _first_foreign_line(path: Path) -> int:
    """The number of the first line that is not UTF-8."""
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):  # noqa: B007
            try:
                line.decode()
            except UnicodeDecodeError:
                break
    return number


def _number(cell: str) -> float:
    """The number in a cell. Raises ValueError for whatever is not a finite number, digits with _ among it."""
    number = float(cell)
    if not math.isfinite(number) or "_" in cell:
        raise ValueError(cell)
    return number


def is_number(cell: str) -> bool:
    """Whether a cell holds a finite number."""
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def normal_label(cell: str) -> str:
    """One spelling of a class: `1` for 1, 1.0 and 1e0."""
    text = cell.strip()
    if is_number(text) and float(text).is_integer() and abs(float(text)) < 2**53:
        return str(int(float(text)))
    return text


def _separator(header: str) -> str:
    """The separator that the header line uses outside of quotes."""
    bare = "".join(header.split('"')[::2])
    return max(",;\t", key=bare.count)


def _with_first(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _listed(names: Sequence[str]) -> str:
    """Names for people: all, or the first thirty."""
    shown = ", ".join(repr(name) for name in names[:30])
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"
