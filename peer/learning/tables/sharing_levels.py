"""What a site shares of the levels in its table, before a federation is founded: names that enough rows have."""

from collections.abc import Sequence

from .cells import shortened
from .level_files import flaw_of_level, level_file
from .schema import Wishes
from .table import inspect_table
from .troubles import Trouble, on_one_line

__all__ = ["shared_levels"]


def shared_levels(path: str, columns: Sequence[str], least: int) -> tuple[str, list[str]]:
    """The text of the file for the founder, and a line for each column that says what is in it.

    Args:
        path: the table.
        columns: the columns whose levels are shared.
        least: rows that have to hold a level; rarer ones could be told of a few people only.

    Raises:
        TableError: the columns cannot be read as categories, or a level cannot be shared.
    """
    wishes = Wishes(dict.fromkeys(columns, ()), least_rows=least)
    table, troubles = inspect_table(path, None, columns=columns, plan=wishes)
    for column, levels in table.schema.levels:
        for level in levels:
            if flaw := flaw_of_level(level):
                what = f"{shortened(level)} cannot be shared as the name of a level: {flaw}"
                troubles.add(Trouble(0, column, what, "correct it in the table"))
    troubles.check()
    notes = []
    for column, levels in table.schema.levels:
        rare = sum(one.column == column for one in table.unagreed)
        left = f"; {rare} in fewer than {least} rows {'is' if rare == 1 else 'are'} left out" if rare else ""
        names = ", ".join(map(on_one_line, levels))
        notes.append(f"{table.name}, column {column!r}: the founder would read {len(levels)} levels: {names}{left}")
    return level_file(dict(table.schema.levels)), notes
