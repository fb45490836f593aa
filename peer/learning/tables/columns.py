"""What a column holds: numbers, dates or categories.

For a founder that follows from the cells and from its options; for a joiner it is agreed on.

Most cells are numbers as `float` reads them. The others are kept as texts until the whole column is known. Only then
they are read: as yes or no, as a gap, as a date, as a number with a decimal comma, or as a level of a category.
"""

import re
import shlex
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from .cells import BOOLEANS, Flaw, flaw_of, is_missing, is_word, level_of, shortened, with_decimal_point
from .dates import is_date, read_dates
from .schema import GAP, OTHER, Wishes
from .troubles import LEAVE_OUT, Trouble, Troubles, columns_option

__all__ = ["MAX_LEVELS", "Column", "Texts", "Unagreed", "are_all_different_whole", "looks_like_an_id"]

MAX_LEVELS: Final = 50
"""More levels than these are published only if the founder names them."""
_MANY_ROWS: Final = 10
"""The cells of fewer rows may well be all different by chance."""

_AS_AGREED: Final = "write a number, as all members agreed to do in this column, or yes or no for 1 and 0"
_YES_OR_NO: Final = "write yes or no (or true or false, or 1 or 0)"
_MAY_HOLD: Final = "the column may hold numbers, and yes or no (or true or false) for 1 and 0"
_OUT: Final = f"leave the column out: {LEAVE_OUT}"
_ID_PARTS: Final = {"id", "ids", "uuid", "guid", "mrn", "pid", "key", "identifier"}
_ID_NAMES: Final = {"nr", "no", "number", "index", "row", "rownum", "record", "case"}
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

Values = npt.NDArray[np.float64]


@dataclass(slots=True)
class Texts:
    """The cells of a column that are no numbers: the rows that hold them, and the code of the text in each."""

    codes: dict[str, int] = field(default_factory=dict)
    rows: "array[int]" = field(default_factory=lambda: array("q"))
    found: "array[int]" = field(default_factory=lambda: array("q"))

    def note(self, row: int, cell: str) -> None:
        """Keep a cell."""
        self.rows.append(row)
        self.found.append(self.codes.setdefault(cell, len(self.codes)))

    @property
    def each(self) -> list[str]:
        """The different texts, in the order of their codes."""
        return [text.strip() for text in self.codes]


@dataclass(frozen=True, slots=True)
class Unagreed:
    """A level of a table that is none of those agreed on; all of these count as one."""

    column: str
    level: str
    line: int
    """Of the first row with it."""
    rows: int


@dataclass(slots=True)
class Column:
    """The cells of one column. `values` are NaN where there is a text, until one of the `read_` methods has read it."""

    name: str
    values: Values
    texts: Texts
    lines: npt.NDArray[np.int64]
    troubles: Troubles
    is_target: bool = False
    is_needed: bool = False
    """Whether it cannot be left out, since a model is to predict from it."""
    is_agreed: bool = False
    """Whether it is one of the federation's columns, of which a joiner cannot leave any out."""
    has_commas: bool = False
    """Whether the file writes decimal commas."""
    is_founders: bool = False
    """Whether a founder reads it, which can still say what it holds."""
    _is_yes_or_no: bool = field(init=False, default=False)
    """Whether it holds words for yes and no, and no number but 1 and 0."""

    def infer(self, wishes: Wishes, is_named: bool) -> str | tuple[str, ...] | None:
        """What a founder's column holds: `number`, `date`, or the levels of a category; None if it was refused.

        ``is_named``: the founder named this column as an input, so it is not refused as an id.
        """
        if self.name in wishes.levels:
            named = tuple(dict.fromkeys(map(level_of, wishes.levels[self.name])))
            if named:
                return tuple(sorted(named))
        if self.name in wishes.collected:
            return self._with_collected(wishes.collected[self.name], wishes.least_rows)
        if self.name in wishes.levels:
            return self._common_levels(wishes.least_rows)
        texts = [text for text in self.texts.each if not is_missing(text)]
        # A column with a single number in it is no category and no dates: words among numbers may be typing errors.
        if not texts or len(self.texts.rows) < len(self.values) or all(text.lower() in BOOLEANS for text in texts):
            return None if not is_named and not texts and self._is_id() else "number"
        if all(map(is_date, texts)):
            return "date"
        return self._common_levels(wishes.least_rows) if all(map(is_word, texts)) else "number"

    def read_numbers(self, *, gaps: bool) -> bool:
        """Read numbers, with yes and no for 1 and 0, and gaps as NaN where they are allowed.

        Returns whether the column holds words for yes and no.
        """
        if not self.texts.rows:
            return False
        self._is_yes_or_no = self._holds_yes_or_no()
        meant = [self._number(text, gaps) for text in self.texts.each]
        self._put(meant)
        words = np.array([text.lower() in BOOLEANS and not self.is_target for text in self.texts.each])
        at = np.flatnonzero(words[self._found])
        if not len(at):
            return False
        self._check_words(int(at[0]))
        return True

    def read_dates(self, *, gaps: bool) -> None:
        """Read dates as days, and gaps as NaN where they are allowed."""
        for row in np.flatnonzero(~np.isnan(self.values)).tolist():
            what = f"{self.values[row]:.10g} is a number where the federation has dates"
            self._add(row, Flaw(what, "write dates such as 2024-01-31"))
        days, wrong = read_dates(text for text in self.texts.each if not is_missing(text))
        clear = f"write it as 2024-01-31{'' if self.is_needed or self.is_agreed else f', or {_OUT}'}"
        meant: list[float | Flaw] = []
        for text in self.texts.each:
            if text in days:
                meant.append(days[text])
            elif text in wrong:
                meant.append(Flaw(f"{shortened(text)} {wrong[text]}", clear))
            else:
                meant.append(np.nan if gaps else self._flaw(text))
        self._put(meant)

    def read_levels(self, levels: tuple[str, ...]) -> list[Unagreed]:
        """Read each level as its place, any other level as the place after the last, and gaps as NaN.

        Returns the other levels.
        """
        places = {level: float(place) for place, level in enumerate(levels)}
        found: dict[str, tuple[int, int]] = {}
        values = np.full(len(self.values), np.nan)
        for level, rows in self._rows_of_levels(set(levels)):
            values[rows] = places.get(level, len(levels))
            if level not in places:
                first, count = found.get(level, (len(values), 0))
                found[level] = min(first, int(rows[0])), count + len(rows)
        self.values[:] = values
        return [Unagreed(self.name, level, int(self.lines[row]), rows) for level, (row, rows) in found.items()]

    def _with_collected(self, collected: tuple[str, ...], least: int) -> tuple[str, ...] | None:
        """The levels that enough rows have, with those of other sites; None if they are too many, which is noted."""
        own = _frequent(self._counts(), least)
        levels = sorted({*own, *collected})
        if len(levels) <= MAX_LEVELS:
            return tuple(levels)
        what = f"with those of --levels-from it has {len(levels)} levels, and at most {MAX_LEVELS} are possible"
        column = shlex.quote(f"{self.name}=A,B,…")
        self.troubles.add(Trouble(0, self.name, what, f"name those to take: --levels {column}, without --levels-from"))
        self.values[:] = 0
        return None

    def _counts(self) -> Counter[str]:
        """In how many rows each level is."""
        counts: Counter[str] = Counter()
        for level, rows in self._rows_of_levels(set()):
            counts[level] += len(rows)
        return counts

    def _common_levels(self, least: int) -> tuple[str, ...] | None:
        """The levels that enough rows have; None if this is no category to publish, which is noted as a trouble."""
        counts = self._counts()
        levels = _frequent(counts, least)
        if levels and len(levels) <= MAX_LEVELS:
            return tuple(levels)
        column = shlex.quote(f"{self.name}=A,B,…")
        if levels:
            what = f"it holds {len(levels)} different texts, each of which would stand in the genesis for all to read"
        elif len(counts) == counts.total() >= _MANY_ROWS:
            what = "it holds another text in each row: an id, or free text"
        else:
            what = f"it holds {len(counts)} different texts, none of them in {least} rows"
        self.troubles.add(Trouble(0, self.name, what, f"{self._out}; or name its levels: --levels {column}"))
        self.values[:] = 0
        return None

    def _rows_of_levels(self, named: set[str]) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
        """Each level with its rows, without gaps. A level that is written in two ways comes twice.

        ``named``: levels that are no gaps, even if they are spelt like one.
        """
        numbers = np.flatnonzero(~np.isnan(self.values))
        for rows in _grouped(self.values[numbers]):
            yield level_of(repr(float(self.values[numbers[rows[0]]]))), numbers[rows]
        texts, places = self.texts.each, np.frombuffer(self.texts.rows, dtype=np.int64)
        for rows in _grouped(self._found):
            text = texts[self._found[rows[0]]]
            if not is_missing(text) or level_of(text) in named:
                yield level_of(text), places[rows].astype(np.intp)

    def _is_id(self) -> bool:
        """Whether the column is an id by its name and its numbers, which is noted as a trouble."""
        if not looks_like_an_id(self.name, self.values):
            return False
        what = "it looks like an id: it is called so, and holds another whole number in each row"
        advice = f"{self._out}; or use it all the same: name all inputs with --columns"
        self.troubles.add(Trouble(0, self.name, what, advice))
        return True

    @property
    def _out(self) -> str:
        """The advice to leave this very column out."""
        return f"leave the column out: {columns_option([self.name], '--ignore')}"

    @property
    def _found(self) -> npt.NDArray[np.int64]:
        return np.frombuffer(self.texts.found, dtype=np.int64)

    def _number(self, text: str, gaps: bool) -> "float | Flaw":
        word = None if self.is_target else BOOLEANS.get(text.lower())
        if word is None and self.has_commas:
            word = with_decimal_point(text)
        if word is not None:
            return word
        return np.nan if gaps and is_missing(text) else self._flaw(text)

    def _flaw(self, text: str) -> Flaw:
        founders = self.name if self.is_founders and not self.is_target else None
        needed = self.is_needed or self.is_agreed
        flaw = flaw_of(text, is_target=self.is_target, is_needed=needed, founders=founders)
        if self._is_yes_or_no and is_word(text):
            flaw = replace(flaw, what=f"{shortened(text)} is neither yes nor no, as the others in this column are")
            if founders is None:
                return replace(flaw, advice=f"{_YES_OR_NO}, or remove the row")
        if not self.is_agreed or self.is_target:
            # The rows to predict from do not show what the column held when the model was trained.
            is_unclear = self.is_needed and is_word(text)
            return replace(flaw, advice=f"{flaw.advice}; {_MAY_HOLD}") if is_unclear else flaw
        if is_missing(text):
            return replace(flaw, advice=f"{flaw.advice}; only a founder can allow gaps (--gaps)")
        is_other = is_word(text) or is_date(text)
        return replace(flaw, advice=f"{_AS_AGREED}, or remove the row") if is_other else flaw

    def _holds_yes_or_no(self) -> bool:
        numbers = self.values[~np.isnan(self.values)]
        has_words = not self.is_target and any(text.lower() in BOOLEANS for text in self.texts.each)
        return has_words and bool(np.isin(numbers, (0, 1)).all())

    def _put(self, meant: "list[float | Flaw]") -> None:
        """Put the meaning of each text into its rows. A text with a flaw becomes 0, and the flaw is noted."""
        if not meant:
            return
        rows = np.frombuffer(self.texts.rows, dtype=np.int64)
        self.values[rows] = np.array([0.0 if isinstance(one, Flaw) else one for one in meant])[self._found]
        flawed = np.array([isinstance(one, Flaw) for one in meant])
        for at in np.flatnonzero(flawed[self._found]).tolist():
            flaw = meant[self.texts.found[at]]
            assert isinstance(flaw, Flaw)
            self._add(self.texts.rows[at], flaw)

    def _add(self, row: int, flaw: Flaw) -> None:
        self.troubles.add(Trouble(int(self.lines[row]), self.name, flaw.what, flaw.advice))

    def _check_words(self, first: int) -> None:
        """Refuse yes and no among numbers other than 1 and 0: there they are a mistake."""
        others = np.flatnonzero((self.values != 0) & (self.values != 1) & ~np.isnan(self.values))
        if not len(others):
            return
        row = int(others[0])
        word = shortened(self.texts.each[self.texts.found[first]])
        what = f"{word} among numbers, such as {self.values[row]:g} in {self.troubles.unit} {self.lines[row]}"
        advice = "write one or the other" + ("" if self.is_needed or self.is_agreed else f", or {_OUT}")
        self._add(self.texts.rows[first], Flaw(what, advice))


def _frequent(counts: Counter[str], least: int) -> list[str]:
    """The levels that enough rows have, in alphabetical order."""
    return sorted(level for level, rows in counts.items() if rows >= least and level not in (OTHER, GAP))


def looks_like_an_id(name: str, values: Values) -> bool:
    """Whether a column is named like an id and holds a different whole number in each of many rows."""
    parts = {part.lower() for part in _PARTS.findall(name)}
    if parts.isdisjoint(_ID_PARTS) and name.strip("# _.").lower() not in _ID_NAMES:
        return False
    return len(values) >= _MANY_ROWS and are_all_different_whole(values)


def are_all_different_whole(values: Values) -> bool:
    """Whether all values are whole numbers, no two of them equal."""
    return bool((values == np.rint(values)).all()) and len(np.unique(values)) == len(values)


def _grouped(values: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> list[npt.NDArray[np.intp]]:
    """The rows of each different value, in the order of the values."""
    if not len(values):
        return []
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order])) + 1
    return np.split(order, ends)
