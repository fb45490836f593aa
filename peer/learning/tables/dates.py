"""Dates in the cells of a column, as days since 1970-01-01: only where day, month and year cannot be mixed up.

The order of a date such as 03/04/2024 shows in the other cells of its column: a part above 12 is a day. If no cell
shows it, or two cells contradict each other, the column is refused. Between dots the day comes first everywhere.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["EPOCH", "is_date", "read_dates", "written_day"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TIME: Final = (
    r"([T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d\d)(:(?P<second>\d\d)([.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?)?"
)
_YEAR_FIRST: Final = re.compile(r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})" + _TIME)
_DAY_FIRST: Final = re.compile(r"(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})" + _TIME)
_UNCLEAR: Final = re.compile(r"(?P<first>\d{1,2})(?P<mark>[-/])(?P<second_>\d{1,2})(?P=mark)(?P<year>\d{4})" + _TIME)
_NAMED: Final = re.compile(r"(?P<day>\d{1,2})(?P<mark>[- ]?)(?P<name>[A-Za-z]{3,9})(?P=mark)(?P<year>\d{4})" + _TIME)
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_LAST_MONTH: Final = 12


def is_date(text: str) -> bool:
    """Whether a text has the form of a date with a year of four digits, whether or not that day exists."""
    return any(form.fullmatch(text) for form in (_YEAR_FIRST, _DAY_FIRST, _UNCLEAR)) or _month(text) is not None


def read_dates(texts: Iterable[str]) -> tuple[dict[str, float], dict[str, str]]:
    """The days of all dates in a column, and what is wrong with each of the other cells, both by their texts.

    Days are counted since 1970-01-01, with the time of day as a fraction.
    """
    texts = list(texts)
    order = _order(texts)
    days: dict[str, float] = {}
    wrong: dict[str, str] = {}
    for text in texts:
        parts = _parts(text, order)
        if parts is None:
            wrong[text] = "is no date, as the others in this column are"
        elif isinstance(parts, str):
            wrong[text] = parts
        else:
            try:
                days[text] = (_moment(parts) - EPOCH) / timedelta(days=1)
            except (ValueError, OverflowError):
                wrong[text] = "is a day that does not exist"
    return days, wrong


def written_day(days: float) -> str:
    """A number of days written as a date; as a number if it is beyond the calendar."""
    try:
        return (EPOCH + timedelta(days=days)).date().isoformat()
    except OverflowError:
        return f"{days:.6g} days since 1970-01-01"


def _month(text: str) -> int | None:
    """The month of a text such as 31-Jan-2024, by its English name; None for any other text."""
    match = _NAMED.fullmatch(text)
    if match is None:
        return None
    name = match["name"].lower()
    return next((at for at, month in enumerate(_MONTHS, 1) if name in (month, month[:3])), None)


def _order(texts: list[str]) -> str | None:
    """Which part of dates such as 03/04/2024 is the day: `first` or `second_`; None if they do not agree on one."""
    found = [match for match in map(_UNCLEAR.fullmatch, texts) if match]
    shown = {part for part in ("first", "second_") if any(int(match[part]) > _LAST_MONTH for match in found)}
    return shown.pop() if len(shown) == 1 else None


def _parts(text: str, order: str | None) -> dict[str, str] | str | None:
    """The parts of a date by name; or a text that says what is wrong with it; or None for a text that is no date."""
    match = _YEAR_FIRST.fullmatch(text) or _DAY_FIRST.fullmatch(text)
    if match is not None:
        return match.groupdict()
    match = _UNCLEAR.fullmatch(text)
    if match is not None:
        if order is None:
            return "does not show which part is the day and which the month"
        other = {"first": "second_", "second_": "first"}[order]
        return match.groupdict() | {"day": match[order], "month": match[other]}
    month = _month(text)
    match = _NAMED.fullmatch(text)
    return None if month is None or match is None else match.groupdict() | {"month": str(month)}


def _moment(parts: dict[str, str]) -> datetime:
    """The moment that the parts of a date name; a time without a zone is taken as UTC.

    Raises ValueError if there is no such day or time.
    """
    numbers = [int(parts.get(name) or 0) for name in ("year", "month", "day", "hour", "minute", "second")]
    micros = int((parts.get("part") or "").ljust(6, "0")[:6])
    year, month, day, hour, minute, second = numbers
    moment = datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
    zone = parts.get("zone")
    if zone is None or zone in ("Z", "UTC"):
        return moment
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return moment - offset if zone[0] == "+" else moment + offset
