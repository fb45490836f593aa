"""The first line of a table: which separator it uses, which columns it names, and which of them are used."""

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from .cells import is_number
from .troubles import LEAVE_OUT, TableError, Trouble, Troubles, listed

__all__ = ["Header", "check_named", "read_header", "separator_of"]

MAX_COLUMNS: Final = 4000
MAX_NAME_LETTERS: Final = 200

_SEPARATORS: Final = ",;\t"
_NAMED: Final = "a comma, a semicolon or a tab"
_OTHERS: Final = {"|": "'|'", ":": "a colon", "^": "'^'", "~": "'~'", "\x01": "the byte 1", " ": "a space"}
"""What other programs separate with; the likelier first."""
_NAMELESS: Final = ("unnamed:", "__index_level_")
"""How pandas names columns without a name, in CSV and in Parquet."""


@dataclass(slots=True)
class Header:
    """The columns of a table, and the places in a row of those that are used."""

    names: list[str]
    target: str | None
    inputs: tuple[str, ...]
    """In alphabetical order, which is the same for all peers."""
    nameless: dict[int, "_Nameless"] = field(default_factory=dict)
    """Columns without a name, by their place, unless an option leaves them out."""
    places: list[int] = field(init=False)
    target_at: int = field(init=False)
    pick: Callable[[list[str]], Sequence[str]] = field(init=False)
    """Takes the inputs' cells out of a row."""

    def __post_init__(self) -> None:
        self.places = [self.names.index(name) for name in self.inputs]
        self.target_at = 0 if self.target is None else self.names.index(self.target)
        places = self.places
        # itemgetter gives a bare value, not a tuple, for a single column.
        self.pick = itemgetter(*places) if len(places) > 1 else lambda row: [row[at] for at in places]

    @property
    def width(self) -> int:
        """Number of fields of a row."""
        return len(self.names)

    def misfit(self, row: list[str]) -> tuple[str, str]:
        """What is wrong with a row of another width, or of nothing but empty cells, and what to do."""
        if len(row) == self.width:
            return "all cells are empty", "remove the line"
        what = f"{len(row)} fields, but the header names {self.width} columns"
        if len(row) == self.width + 1 and row[0].strip('"').isdecimal():
            asked = "do the rows begin with a row number (R: row.names=FALSE leaves it out)?"
            return what, f"{asked} Otherwise quote fields that hold the separator"
        if len(row) > self.width and all(map(is_number, row)):
            return what, "do decimal commas split numbers? write them with a decimal point"
        joined = row[0] if len(row) == 1 else ""
        used = next((mark for mark in _SEPARATORS if joined.count(mark) == self.width - 1 > 0), None)
        if used is not None:
            name = {",": "commas", ";": "semicolons", "\t": "tabs"}[used]
            return what, f"this line is separated by {name} and the header is not; use one separator"
        return what, "quote fields that hold the separator, and give each column a field"

    def see_nameless(self, row: list[str]) -> None:
        """Look at the cells of columns without a name."""
        for at, one in self.nameless.items():
            one.see(row[at].strip())

    def tell_nameless(self, troubles: Troubles) -> None:
        """Note what the columns without a name seem to be, and those with a name that stands for none."""
        for at, one in self.nameless.items():
            trouble = one.trouble(at, self.names[at])
            if trouble is not None:
                troubles.add(trouble)


@dataclass(slots=True)
class _Nameless:
    """What a column without a name holds."""

    is_empty: bool = True
    numbers: set[int] = field(default_factory=set)
    """The numbers seen, as long as no two are equal: so pandas and R number rows, also those of a part of a table."""
    is_number: bool = True

    def see(self, cell: str) -> None:
        self.is_empty = self.is_empty and not cell
        if self.is_number:
            self.is_number = cell.isdecimal() and len(cell) < 16 and int(cell) not in self.numbers
            if self.is_number:
                self.numbers.add(int(cell))
            else:
                self.numbers.clear()

    def trouble(self, at: int, name: str) -> Trouble | None:
        """What to tell; None where the column has some name and does not number the rows."""
        if name and not self.is_number:
            return None
        what = f"its name is {name!r}" if name else f"column {at + 1} has no name"
        if self.is_empty:
            return Trouble(1, name or None, f"{what} and holds nothing", f"remove it, or leave it out: {LEAVE_OUT}")
        if self.is_number:
            what += " and it looks like a row number (pandas: index=False, R: row.names=FALSE)"
            return Trouble(1, name or None, what, f"leave it out: {LEAVE_OUT}")
        return Trouble(1, None, what, f"name it, or leave it out: {LEAVE_OUT}")


def separator_of(name: str, header: str) -> str:
    """The separator that the header line uses outside of quotes. Raises TableError for one that we do not read."""
    if not header.strip():
        raise TableError(f"{name}: the file is empty or its first line is; it must name the columns")
    if header.lower().startswith(("sep=", '"sep=')):
        raise TableError(f"{name}, line 1: {header.strip()!r} is a line for Excel; remove it, so that names come first")
    bare = "".join(header.split('"')[::2])
    best = max(_SEPARATORS, key=bare.count)
    if not bare.count(best):
        other = next((mark for mark in _OTHERS if mark in bare.strip()), None)
        if other is not None:
            raise TableError(
                f"{name}, line 1: the columns seem to be separated by {_OTHERS[other]}, which is none of {_NAMED}; "
                "save the table with commas between the columns"
            )
    return best


def read_header(
    troubles: Troubles,
    row: list[str],
    target: str | None,
    wanted: Sequence[str] | None,
    ignored: Sequence[str] = (),
    *,
    is_joiners: bool = False,
) -> Header:
    """Read the header, and note what is wrong with its names.

    ``is_joiners``: the target is the federation's; the user has not chosen it.

    Raises:
        TableError: so much is wrong that no row below could be read.
    """
    names = [name.strip() for name in row]
    used = {target or "", *wanted} if wanted is not None else set(names) - set(ignored)
    _check_names(troubles, names, used)
    if target is not None and target not in names:
        whose = f"the federation predicts {target!r}, and " if is_joiners else ""
        troubles.add(Trouble(0, None, whose + _lacking([target], names)))
        troubles.check()
    inputs = _inputs(troubles, names, target, wanted, ignored)
    troubles.inputs = inputs
    header = Header(names, target, inputs)
    if wanted is None:
        unnamed = [at for at, name in enumerate(names) if not name or name.lower().startswith(_NAMELESS)]
        header.nameless = {at: _Nameless() for at in unnamed if names[at] not in ignored}
    return header


def check_named(troubles: Troubles, named: Sequence[str], names: Sequence[str]) -> None:
    """Note the columns that options name (``named``) and the table lacks."""
    unknown = [name for name in dict.fromkeys(named) if name not in names]
    if unknown:
        troubles.add(Trouble(0, None, _lacking(unknown, names)))


def _check_names(troubles: Troubles, names: list[str], used: set[str]) -> None:
    """Note the names that cannot be used, among those that matter: `used`."""
    for i, name in enumerate(names, 1):
        if not name.isprintable() and name in used:
            what = f"the name of column {i}, {name[:MAX_NAME_LETTERS]!r}, holds a line break or control character"
            troubles.add(Trouble(1, None, what, "rename the column, or leave it out: --ignore, --columns"))
        if len(name) > MAX_NAME_LETTERS and name in used:
            troubles.add(Trouble(1, None, f"the name of column {i} is longer than {MAX_NAME_LETTERS} letters"))
    twice = sorted(name for name, count in Counter(names).items() if count > 1 and name and name in used)
    if twice:
        what = f"the first line names {listed(twice)} more than once"
        troubles.add(Trouble(0, None, what, "give each column a name of its own"))
    if all(is_number(name) for name in names):
        troubles.add(Trouble(0, None, "the first line holds numbers; it must name the columns"))
        troubles.check()


def _inputs(
    troubles: Troubles, names: list[str], target: str | None, wanted: Sequence[str] | None, ignored: Sequence[str]
) -> tuple[str, ...]:
    check_named(troubles, ignored, names)
    if target is not None and target in ignored:
        troubles.add(Trouble(0, None, f"{target!r} cannot be the target and be ignored"))
    if wanted is None:
        inputs = sorted({name for name in names if name not in ("", target, *ignored)})
    else:
        inputs = sorted(name for name in set(wanted) & set(names) if name not in (target, *ignored))
        check_named(troubles, wanted, names)
        if target is not None and target in wanted:
            troubles.add(Trouble(0, None, f"{target!r} cannot be an input and the target"))
    if len(inputs) > MAX_COLUMNS:
        what = f"{len(inputs)} columns; at most {MAX_COLUMNS} are possible"
        troubles.add(Trouble(0, None, what, f"leave some out: {LEAVE_OUT}"))
        troubles.check()
    if not inputs and not troubles.count:
        troubles.add(Trouble(0, None, f"there is no column besides the target {target!r}"))
    if not inputs:
        troubles.check()
    return tuple(inputs)


def _lacking(unknown: list[str], names: Sequence[str]) -> str:
    """Say which columns are not there, which are, and which of these may have been meant."""
    head = "there is no column" if len(unknown) == 1 else "there are no columns"
    text = f"{head} {listed(unknown)}; there are {listed([name for name in names if name])}"
    folded: dict[str, Any] = {name.casefold(): name for name in names if name}
    near = [
        (one, folded[found[0]])
        for one in unknown
        if (found := difflib.get_close_matches(one.casefold(), folded, n=1, cutoff=0.8))
    ]
    return text + "".join(f"; for {one!r}, was {found!r} meant?" for one, found in near[:5])
