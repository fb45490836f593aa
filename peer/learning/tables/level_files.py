"""The names of levels that a site shares before a federation is founded: a file that its operator reads and hands over.

The file is JSON: `{"coterie": "levels", "version": 1, "levels": {"ward": ["A", "B"]}}`. It holds names and nothing
else, no numbers of rows. It comes from another site, so everything in it is bounded and checked.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .cells import is_missing, level_of, shortened
from .columns import MAX_LEVELS
from .header import MAX_NAME_LETTERS
from .opening import check_is_file
from .schema import GAP, OTHER
from .troubles import TableError

__all__ = ["MAX_LEVEL_LETTERS", "flaw_of_level", "level_file", "read_level_file"]

MAX_LEVEL_LETTERS: Final = 200
_MAX_COLUMNS: Final = 100
_MAX_BYTES: Final = 256 * 1024
_KIND: Final = {"coterie": "levels", "version": 1}


def level_file(levels: Mapping[str, Sequence[str]]) -> str:
    """The text of the file."""
    named = {name: list(found) for name, found in levels.items()}
    return json.dumps({**_KIND, "levels": named}, indent=2, ensure_ascii=False) + "\n"


def read_level_file(path: Path) -> dict[str, tuple[str, ...]]:
    """The levels in a file, by their columns. Raises TableError that names the file, and the column or level."""
    check_is_file(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise TableError(f"{path.name}: it has more than {_MAX_BYTES:,} bytes, which is too much for names of levels")
    columns = _columns(path.name, data)
    return {column: _levels(f"{path.name}, column {shortened(column)}", columns[column]) for column in columns}


def flaw_of_level(level: str) -> str | None:
    """Why a text cannot be shared as the name of a level; None if it can."""
    if not level.isprintable() or not level:
        return "it is empty, or holds a line break or control character"
    if len(level) > MAX_LEVEL_LETTERS:
        return f"it is longer than {MAX_LEVEL_LETTERS} letters"
    if is_missing(level) or level in (OTHER, GAP):
        return "it stands for a gap, or for all other levels"
    return None if level == level_of(level) else f"it is written {shortened(level_of(level))} in a table of levels"


def _columns(name: str, data: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(data.decode())
    except (ValueError, RecursionError):
        fields = None
    is_ours = isinstance(fields, dict) and {key: fields.get(key) for key in _KIND} == _KIND
    levels = fields.get("levels") if is_ours else None
    if not isinstance(levels, dict) or set(fields) != {*_KIND, "levels"}:
        raise TableError(f"{name}: these are no names of levels of version 1; make them with `peer data levels`")
    if not 1 <= len(levels) <= _MAX_COLUMNS:
        raise TableError(f"{name}: it has levels of {len(levels)} columns; 1 to {_MAX_COLUMNS} are possible")
    for column in levels:
        if not column.isprintable() or not 1 <= len(column) <= MAX_NAME_LETTERS:
            raise TableError(f"{name}: {shortened(column)} cannot be the name of a column")
    return levels


def _levels(where: str, levels: Any) -> tuple[str, ...]:
    if not isinstance(levels, list) or not 1 <= len(levels) <= MAX_LEVELS:
        raise TableError(f"{where}: a list of 1 to {MAX_LEVELS} levels is needed")
    for level in levels:
        flaw = flaw_of_level(level) if isinstance(level, str) else "it is no text"
        if flaw:
            raise TableError(f"{where}: {_shown(level)} is no level: {flaw}")
    if len(set(levels)) != len(levels):
        raise TableError(f"{where}: a level stands twice")
    return tuple(levels)


def _shown(level: Any) -> str:
    return shortened(level) if isinstance(level, str) else shortened(repr(level))[1:-1]
