"""Lists as CommonMark reads them, and so the sites that host repositories, for a reader that counts by fours.

Python-Markdown wants four spaces before what belongs to an item, and an empty line before a list. In the documents the
text of an item stands where its first word does.
"""

import re
from typing import Final

_ITEM: Final = re.compile(r"(?:[-*+]|\d+[.)]) +")


def by_fours(text: str) -> str:
    """Return a text without listings between fences, with its lists indented by four spaces a level."""
    lines: list[str] = []
    starts: list[int] = []
    """Of each list that is open, in which column the text of its item begins."""
    has_paragraphs = False
    """Whether the newest item has more than one."""
    for line in text.split("\n"):
        rest = line.lstrip(" ")
        column = len(line) - len(rest)
        item = _ITEM.match(rest)
        if not rest:
            lines.append("")
            has_paragraphs = True
            continue
        was_open = len(starts)
        while starts and column < starts[-1] and (item or not lines[-1]):
            starts.pop()
        is_code = column >= 4 and not was_open
        if item and not is_code:
            is_first = len(starts) == was_open
            if (is_first or has_paragraphs) and lines and lines[-1]:
                lines.append("")
            has_paragraphs = False
            lines.append("    " * len(starts) + rest)
            starts.append(column + item.end())
        else:
            kept = line[starts[-1] :] if starts and column >= starts[-1] else rest if starts else line
            lines.append("    " * len(starts) + kept)
    return "\n".join(lines)
