"""Readers for the values of options: each checks its bounds, and says what is allowed, in the option's own unit.

They are for `type=` of argparse, which calls them with the text that was typed. A value that is not allowed raises
`argparse.ArgumentTypeError`.
"""

import argparse
import math
from collections import Counter
from collections.abc import Callable
from typing import Final

from ....protocol.ledger.genesis import is_readable
from ....protocol.limits import MAX_MEMBERS, MAX_NAME_CHARS

DAY_SECONDS: Final = 86_400.0
MAX_ROUNDS: Final = 2**31


def number(low: float, high: float, unit: str = "", *, above: bool = False) -> Callable[[str], float]:
    """Return a reader of numbers from ``low`` (excluded if ``above``) to ``high``, in ``unit``."""
    least = f"above {low:g}" if above else f"from {low:g}"
    what = f"a number {least} to {high:g}{unit and f' {unit}'} is needed"

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or (above and value == low):
            raise argparse.ArgumentTypeError(f"{text!r}: {what}")
        return value

    return read


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of seconds."""
    return number(low, high, "seconds")


def whole(low: int, high: int = MAX_ROUNDS) -> Callable[[str], int]:
    """Return a reader of whole numbers from ``low`` to ``high``."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: a whole number from {low} to {high} is needed")
        return value

    return read


def duration(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of a time in seconds, or with a unit: 45, 45s, 30m or 2h."""
    allowed = seconds(low, high)
    units = {"s": 1, "m": 60, "h": 3600}

    def read(text: str) -> float:
        number_text, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
        try:
            return allowed(f"{float(number_text) * units[unit]!r}")
        except (ValueError, argparse.ArgumentTypeError):
            raise argparse.ArgumentTypeError(
                f"{text!r}: a time from {low:g} to {high:g} seconds is needed, such as 45s, 30m or 2h"
            ) from None

    return read


positive: Final = number(0, 1e9, above=True)
count: Final = whole(1)
members: Final = whole(1, MAX_MEMBERS)


def fraction(text: str) -> float:
    """Read a number from 0 to less than 1."""
    value = number(0, 1)(text)
    if value == 1:
        raise argparse.ArgumentTypeError(f"{text!r}: less than 1 is needed")
    return value


def counts(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them."""
    return tuple(count(part) for part in text.split(","))


def words(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r}: names with commas between them are needed")
    twice = [name for name, times in Counter(found).items() if times > 1]
    if twice:
        raise argparse.ArgumentTypeError(f"{text!r}: {', '.join(twice)} stands there more than once; name each once")
    return found


def levels(text: str) -> str:
    """Read a column, with or without the levels of its category: COLUMN or COLUMN=A,B."""
    column, equals, named = text.partition("=")
    if not column.strip() or (equals and not words(named)):
        raise argparse.ArgumentTypeError(f"{text!r}: COLUMN or COLUMN=A,B,… is needed")
    return text


def class_weights(text: str) -> tuple[str, ...]:
    """Read weights of classes: CLASS=WEIGHT with commas between them."""
    if text.strip() == "balanced":
        raise argparse.ArgumentTypeError(
            "balanced: that needs the number of rows of each class over all members, which nobody knows before the"
            " evaluation; name the weights, such as died=10,alive=0.5, the larger the rarer the class"
        )
    for part in words(text):
        label, _, weight = part.rpartition("=")
        if not label.strip():
            raise argparse.ArgumentTypeError(f"{part!r}: CLASS=WEIGHT is needed, such as died=10")
        positive(weight)
    return words(text)


def norm(text: str) -> str:
    """Read the bound of updates: off, auto, or a number."""
    if text not in ("off", "auto"):
        try:
            number(2**-20, 2**20)(text)
        except (ValueError, argparse.ArgumentTypeError) as error:
            raise argparse.ArgumentTypeError(f"{text!r}: auto, off or a number from 2^-20 to 2^20 is needed") from error
    return text


def gaps(text: str) -> str:
    """Read the columns that may have gaps; an empty text means all columns."""
    return ",".join(words(text)) if text else ""


def median(text: str) -> str:
    """Read a column and the edges of its bins: COLUMN=A,B."""
    column, _, edges = text.rpartition("=")
    if not column.strip() or len(edges.split(",")) < 2:
        raise argparse.ArgumentTypeError(f"{text!r}: COLUMN=A,B,… is needed, with the edges of the bins")
    for edge in edges.split(","):
        number(-1e300, 1e300)(edge)
    return text


def path_name(text: str) -> str:
    """Read the name of a file or folder. An empty one, as a shell makes of an unset variable, is refused."""
    if not text:
        raise argparse.ArgumentTypeError("the name of the file or folder is empty")
    return text


def name(text: str) -> str:
    """Read a name that others will see."""
    if len(text) > MAX_NAME_CHARS or not is_readable(text):
        raise argparse.ArgumentTypeError(
            f"{text!r:.80}: 1 to {MAX_NAME_CHARS} printable characters are needed, with no blank at either end"
        )
    return text
