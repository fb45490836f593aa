"""Texts that peers chose, made fit for a log and a terminal: one line, printable, of bounded length."""

import unicodedata
from typing import Final

MAX_TEXT_CHARS: Final = 200
MAX_MARKS: Final = 3
"""Combining marks in a row. No script in which members write their names needs more, and dozens of them would paint
over the lines above and below.
"""

_MARKS: Final = {"Mn", "Me"}


def clean(text: str, max_chars: int = MAX_TEXT_CHARS, instead: str = " ") -> str:
    """Return `text` with `instead` for what is not printable, without heaps of marks, cut to `max_chars`."""
    kept: list[str] = []
    marks = 0
    for letter in text:
        marks = marks + 1 if unicodedata.category(letter) in _MARKS else 0
        if marks <= MAX_MARKS:
            kept.append(letter if letter.isprintable() else instead)
        if len(kept) == max_chars:
            break
    return "".join(kept)
