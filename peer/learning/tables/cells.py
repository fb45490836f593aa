"""What a cell of a table holds: a number, a yes or no, a class or a gap; and what is wrong with any other cell."""

import math
import re
import shlex
from dataclasses import dataclass
from typing import Final

from .troubles import LEAVE_OUT

__all__ = [
    "BOOLEANS",
    "Flaw",
    "flaw_of",
    "is_decimal_comma",
    "is_missing",
    "is_number",
    "is_word",
    "level_of",
    "normal_label",
    "number_in",
    "shortened",
    "with_decimal_point",
]

BOOLEANS: Final = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
"""Words that are read as 1 and 0 in an input column that holds nothing else."""

_SHOWN_LETTERS: Final = 40

_MISSING_SPELLINGS: Final = """
na n/a n.a. nan -nan +nan nat <na> na_integer_ na_real_ na_character_ null (null) [null] \\n none nil undefined
#n/a #na #nv #n/d 1.#ind -1.#ind 1.#qnan -1.#qnan . .. ._ ? ?? - -- --- – — * missing unknown
<missing> <undefined> #n/b #i/t #yok #н/д #hiányzik #není_k_dispozici #ej.tillg n.a n.d. n.v.t. k.a. s/d
"""
"""Spellings of a gap: those of R, pandas, numpy, MATLAB, SQL and JSON; of Excel, LibreOffice and Windows, in more
languages than English; of SAS and Stata; and those that people type.
"""
_MISSING: Final = {*_MISSING_SPELLINGS.split(), "", "#n/a n/a", "not available", "not applicable"}
_SAS_MISSING: Final = re.compile(r"\.[a-z]")
"""SAS and Stata tell kinds of missing numbers apart by a letter."""
_SPREADSHEET_ERROR: Final = re.compile(r"#[^#]*[!?]|#+|err:\d+")
"""#DIV/0!, #VALUE!, #NAME? and the like in any language; ##### is a column too narrow for its number; Err:502."""
_INVISIBLE: Final = "\u200b\u2060\ufeff"
"""Spaces without a width, and the byte order mark: `str.strip` does not remove them."""

_DATE: Final = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}( .*)?|\d{1,2}:\d\d(:\d\d(\.\d+)?)?"
)
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}([.,'’_\s]\d{3})+([.,]\d+)?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?(\d+([.\s]\d{3})*)?,\d+([eE][+-]?\d+)?")
_GROUPED_BY_COMMA: Final = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_WITH_UNIT: Final = re.compile(r"[<>~≤≥]?\s*[$€£]?\s*[+-]?\d+([.,]\d+)?\s*([%$€£°a-zA-Zµ/²³]+)?")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a cell cannot be used: what is wrong, and what to do about it."""

    what: str
    advice: str


def number_in(cell: str) -> float:
    """The number in a cell. Raises ValueError for anything but a finite number, and for digits with a _ between."""
    number = float(cell)
    if not math.isfinite(number) or "_" in cell:
        raise ValueError(cell)
    return number


def is_number(cell: str) -> bool:
    """Whether a cell holds a finite number."""
    try:
        number_in(cell)
    except ValueError:
        return False
    return True


def normal_label(cell: str) -> str:
    """The one spelling of a class: `1` for 1, 1.0 and 1e0, `true` for True and TRUE."""
    text = cell.strip()
    if is_number(text) and float(text).is_integer() and abs(float(text)) < 2**53:
        return str(int(float(text)))
    return text.lower() if text.lower() in BOOLEANS else text


def level_of(cell: str) -> str:
    """The one spelling of a category's level: a number always has the same, however it is written."""
    text = normal_label(cell)
    return repr(float(text)) if not text.lstrip("-").isdecimal() and is_number(text) else text


def is_word(text: str) -> bool:
    """Whether a text can be a level of a category: it is no date, no gap, and no number in any notation."""
    is_odd = any(form.fullmatch(text) for form in (_DATE, _DECIMAL_COMMA, _GROUPED, _WITH_UNIT))
    return not (is_odd or is_number(text) or is_missing(text) or _is_infinite(text))


def is_decimal_comma(text: str) -> bool:
    """Whether a text is a number with a decimal comma, and cannot be one with commas between thousands."""
    return _DECIMAL_COMMA.fullmatch(text) is not None and _GROUPED_BY_COMMA.fullmatch(text) is None


def with_decimal_point(text: str) -> float | None:
    """The number that is written with a decimal comma; None for any other text."""
    if not _DECIMAL_COMMA.fullmatch(text):
        return None
    number = float("".join(text.replace(".", "").split()).replace(",", "."))
    return number if math.isfinite(number) else None


def is_missing(cell: str) -> bool:
    """Whether a cell is a gap: it is empty, or holds one of the usual spellings of a missing value."""
    text = cell.strip().strip(_INVISIBLE).strip().lower()
    return bool(text in _MISSING or _SAS_MISSING.fullmatch(text) or _SPREADSHEET_ERROR.fullmatch(text))


def flaw_of(cell: str, *, is_target: bool, is_needed: bool = False, founders: str | None = None) -> Flaw:
    """What is wrong with a cell that holds no number.

    Args:
        cell: its text.
        is_target: whether it is a value to predict.
        is_needed: whether its column cannot be left out.
        founders: the name of its column, if a founder can still say what that holds; None otherwise.
    """
    text = cell.strip()
    shown = shortened(text)
    out = "" if is_target or is_needed else f", or leave the column out: {LEAVE_OUT}"
    if is_missing(text):
        what = f"the value is missing ({shown})" if text else "the value is missing"
        if founders is not None:
            out = f", let it stand as the mean of all members (--gaps {shlex.quote(founders)}){out}"
        return Flaw(what, f"fill it in, remove the row{out}" if out else "fill it in, or remove the row")
    if _is_infinite(text):
        return Flaw(f"{shown} is not a finite number", f"correct it, or remove the row{out}")
    what = f"{shown} is not a number"
    if _DATE.fullmatch(text):
        return Flaw(f"{what} but looks like a date or time", f"turn it into a number, such as days since a day{out}")
    if _DECIMAL_COMMA.fullmatch(text) or _GROUPED.fullmatch(text):
        return Flaw(what, "write it with a decimal point and no thousands separators")
    categories = "" if founders is None else f", read the column as categories: --levels {shlex.quote(founders)}"
    if _WITH_UNIT.fullmatch(text):
        return Flaw(what, f"write the number alone, without sign or unit{categories}{out}")
    if is_target:
        return Flaw(what, "to predict a class, use --model logistic, or --classes")
    if founders is not None:
        return Flaw(what, f"correct a typing error{categories}{out}")
    if is_needed:
        # The columns are agreed on, so this one has to hold what it holds at all members.
        return Flaw(what, "turn categories into the numbers that all members have here, or correct a typing error")
    return Flaw(what, f"turn categories into numbers (one column of 0 and 1 for each), correct a typing error{out}")


def _is_infinite(text: str) -> bool:
    return text.lower().lstrip("+-") in {"inf", "infinity", "1.#inf"}


def shortened(text: str) -> str:
    """A cell in quotes; of a long one only the beginning."""
    return repr(text if len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 1] + "…")
