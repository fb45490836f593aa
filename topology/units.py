"""Quantities with units, as they are written on a command line: 20..80ms, 100mbit, 5%."""

import re
from typing import Final

from .faults.faults import Outage

__all__ = ["UnitError", "read_bandwidth_mbit", "read_milliseconds", "read_outage", "read_range_ms", "read_share"]

_MILLISECONDS: Final = {"ms": 1.0, "s": 1000.0, "m": 60_000.0, "min": 60_000.0, "h": 3_600_000.0}
_MEGABITS: Final = {"kbit": 0.001, "mbit": 1.0, "gbit": 1000.0}
_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z%]*)\Z")


class UnitError(ValueError):
    """A text that is not the quantity asked for; the message says what would be one."""


def read_milliseconds(text: str, default_unit: str = "ms") -> float:
    """Read a duration: ``80ms``, ``1.5s``, ``2m``; a bare number is in ``default_unit``. Raises UnitError."""
    number, unit = _split(text, "a duration such as 80ms, 1.5s or 2m")
    factor = _MILLISECONDS.get(unit or default_unit)
    if factor is None:
        raise UnitError(f"{text!r} is not a duration: use ms, s, m or h, for example 80ms")
    return number * factor


def read_range_ms(text: str) -> tuple[int, int]:
    """Read a duration or a range, in whole milliseconds: ``50ms``, ``20..80ms``. Raises UnitError."""
    low, dots, high = text.partition("..")
    if not dots:
        value = round(read_milliseconds(text))
        return value, value
    unit = re.sub(r"[\d.\s]", "", high) or "ms"
    first, last = round(read_milliseconds(low, unit)), round(read_milliseconds(high, unit))
    if first > last:
        raise UnitError(f"{text!r}: the first of a range is the smaller one, for example 20..80ms")
    return first, last


def read_bandwidth_mbit(text: str) -> float:
    """Read a bandwidth in megabits a second: ``100mbit``, ``2gbit``, ``512kbit``. Raises UnitError."""
    number, unit = _split(text, "a bandwidth such as 100mbit or 1gbit")
    factor = _MEGABITS.get(unit or "mbit")
    if factor is None or number <= 0:
        raise UnitError(f"{text!r} is not a bandwidth: use kbit, mbit or gbit, for example 100mbit")
    return number * factor


def read_share(text: str) -> float:
    """Read a share of one: ``0.05`` or ``5%``. Raises UnitError."""
    number, unit = _split(text, "a share such as 0.05 or 5%")
    value = number / 100 if unit == "%" else number
    if unit not in ("", "%") or not 0 <= value <= 1:
        raise UnitError(f"{text!r} is not a share: give a number from 0 to 1, or a percentage")
    return value


def _split(text: str, wanted: str) -> tuple[float, str]:
    found = _NUMBER.match(text.strip().lower())
    if found is None:
        raise UnitError(f"{text!r} is not {wanted}")
    return float(found[1]), found[2]


def read_outage(text: str) -> Outage:
    """Read ``SITE at 10s for 30s`` or, for a link, ``A--B at 10s``; without ``for`` it never ends. Raises UnitError."""
    found = re.fullmatch(r"\s*(?P<who>.+?)\s+at\s+(?P<at>\S+)(?:\s+for\s+(?P<span>\S+))?\s*", text)
    if found is None:
        raise UnitError(f"{text!r} is no outage: write, for example, 'site at 10s for 30s' or 'A--B at 10s for 5s'")
    site, _, other = found["who"].partition("--")
    for_ms = round(read_milliseconds(found["span"])) if found["span"] else None
    return Outage(site.strip(), round(read_milliseconds(found["at"])), for_ms, other.strip())
