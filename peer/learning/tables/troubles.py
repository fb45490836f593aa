"""All that is wrong with a table, reported at once: correcting a file one message at a time takes all day."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["LEAVE_OUT", "TableError", "Trouble", "Troubles", "columns_option", "listed", "on_one_line"]

MAX_SHOWN: Final = 20
LEAVE_OUT: Final = "--columns A,B,… names the inputs to use"
"""Stands in an advice in place of the option that leaves out the columns that are wrong."""
_OPTION_LETTERS: Final = 300


class TableError(ValueError):
    """A table that cannot be used: says which file, line and column, and what to do."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: where, what, and what to do. Line 0, column None: no line or column in particular."""

    line: int
    column: str | None
    what: str
    advice: str = ""

    def where(self, unit: str) -> str:
        """Line and column in words. ``unit``: what is counted, `line` or `row`."""
        places = (f"{unit} {self.line}" if self.line else "", f"column {self.column!r}" if self.column else "")
        return ", ".join(filter(None, places))


@dataclass(slots=True)
class Troubles:
    """What is wrong with one file, in the order in which it is found; a few of each kind are kept, all are counted."""

    name: str
    inputs: Sequence[str] = ()
    """The input columns, as far as they are known."""
    unit: str = "line"
    """What is counted to say where something is."""
    count: int = 0
    whole: set[str] = field(default_factory=set)
    """Columns that are wrong as a whole."""
    _kept: list[Trouble] = field(default_factory=list)
    _of_kind: Counter[tuple[str | None, str]] = field(default_factory=Counter)

    def add(self, trouble: Trouble) -> None:
        """Note a trouble."""
        kind = (trouble.column, trouble.advice)
        self.count += 1
        self._of_kind[kind] += 1
        if trouble.column and not trouble.line:
            self.whole.add(trouble.column)
        if self._of_kind[kind] <= MAX_SHOWN:
            self._kept.append(trouble)

    def check(self) -> None:
        """Raise a TableError that tells all troubles, if there are any."""
        if self.count == 1:
            (one,) = self._kept
            where = ", ".join(filter(None, (self.name, one.where(self.unit))))
            raise TableError(f"{where}: {'; '.join(filter(None, (one.what, self._exact(one.advice))))}")
        if self.count:
            raise TableError("\n".join([self.headline, *self.lines()]))

    @property
    def headline(self) -> str:
        """A line that says how many there are."""
        return f"{self.name}: {self.count:,} {'thing' if self.count == 1 else 'things'} to mend"

    def lines(self) -> list[str]:
        """A line for each trouble, the first twenty, and the rest counted; then what to do about each kind."""
        shown: list[str] = []
        told = 0
        advice: dict[str, None] = {}
        for trouble in sorted(self._listed(), key=lambda one: one.line)[:MAX_SHOWN]:
            alike = self._of_kind[trouble.column, trouble.advice]
            more = f" (and {alike - 1:,} more like it in this column)" if alike > MAX_SHOWN else ""
            where = trouble.where(self.unit)
            shown.append(f"  {where}{': ' if where else ''}{trouble.what}{more}")
            told += alike if more else 1
            advice.setdefault(trouble.advice)
        if told < self.count:
            shown.append(f"  … and {self.count - told:,} more")
        return [*shown, *(f"  what to do: {self._exact(one)}" for one in advice if one)]

    def in_column(self, column: str) -> int:
        """How many things are wrong with a column."""
        return sum(count for (name, _), count in self._of_kind.items() if name == column)

    def _listed(self) -> list[Trouble]:
        """The troubles kept; of a kind so frequent that it would hide all others, only the first."""
        firsts: set[tuple[str | None, str]] = set()
        listed = []
        for trouble in self._kept:
            kind = (trouble.column, trouble.advice)
            if self._of_kind[kind] <= MAX_SHOWN or kind not in firsts:
                listed.append(trouble)
            firsts.add(kind)
        return listed

    def _exact(self, advice: str) -> str:
        """An advice in which `LEAVE_OUT` is replaced by the very option to type, where there is a short one."""
        wrong = {column for column, _ in self._of_kind if column is not None}
        option = columns_option([name for name in self.inputs if name not in wrong])
        if option == LEAVE_OUT and wrong and wrong < set(self.inputs):
            option = columns_option(sorted(wrong), "--ignore")
        return advice.replace(LEAVE_OUT, option)


def columns_option(names: Sequence[str], option: str = "--columns") -> str:
    """The option that names these columns; `LEAVE_OUT` if they are too many, or the option cannot hold a name."""
    text = ",".join(names)
    if not names or len(text) > _OPTION_LETTERS or any("," in name or name != name.strip() for name in names):
        return LEAVE_OUT
    return f"{option} {shlex.quote(text)}"


def on_one_line(name: str) -> str:
    """A name of a column, level or class for the middle of a line: line breaks and control characters are escaped.

    Names come from other members' tables, too, and must not look like lines of our own.
    """
    return name if name.isprintable() else repr(name)[1:-1]


def listed(names: Sequence[str]) -> str:
    """Names in quotes: all, or the first thirty."""
    shown = ", ".join(repr(name) for name in names[:30])
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"
