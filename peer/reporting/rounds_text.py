"""The rounds of a ledger as a table of text, as CSV and as JSON."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from ...protocol.ledger.genesis import Genesis
from ..learning.metrics import label
from ..member_names import in_words
from .status import Json, printable
from .voids import why_void

MAX_FIGURES: Final = 4
"""How many figures of the federation the table has; the others are in CSV and JSON."""

_FACTS: Final = ("round", "kind", "result", "height", "members")
_MEASURED: Final = ("rows", "loss")
_LEGEND: Final = (
    "Figures are of the model with which the round began, over all members' test rows; own: over this site's."
)


class History:
    """The rounds of a federation from ``start`` on, as :class:`.round_table.Rounds` gives them."""

    def __init__(self, genesis: Genesis, rows: Sequence[Json], start: int = 0) -> None:
        self.genesis = genesis
        self.start = start
        self.rows = [row for row in rows if row["round"] >= start]
        self.figures = list(dict.fromkeys(name for row in self.rows for name in row["measures"]))
        """Names of the figures that any round shows first; the first name is the loss in the terms of the task."""
        self.has_own = any(row["own"] is not None for row in self.rows)

    def told(self) -> str:
        """Return how many rounds there are, and how many of them without a result."""
        void = sum(row["result"] == "void" for row in self.rows)
        return f"{len(self.rows)} round{'s' * (len(self.rows) != 1)}, {void} without a result"

    # For users.

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table, and of its legend."""
        federation = f"{in_words(self.genesis.name)} {self.genesis.federation.hex()[:16]}…"
        if not self.rows:
            which = f"no round from {self.start} on" if self.start else "no round"
            yield _one_line(f"{federation}: {which} has ended yet")
            return
        yield _one_line(f"{federation}: {self.told()}")
        yield ""
        figures, own = self.figures[:MAX_FIGURES], self.figures[:1] if self.has_own else []
        heads = ["round", "kind", "updates", *map(label, figures), *(f"own {label(name)}" for name in own)]
        cells = [[*_facts_told(row), *_numbers(row, figures), *_numbers(row["own"], own)] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
        yield _one_line(_joined(heads, widths))
        for row, line in zip(self.rows, cells, strict=True):
            yield _one_line(f"{_joined(line, widths)}  {_note(row)}".rstrip())
        yield ""
        yield from self._legend()

    def _legend(self) -> Iterator[str]:
        yield _LEGEND
        if more := [name for name in self._all_figures() if name not in self.figures[:MAX_FIGURES]]:
            yield _one_line(f"--csv and --json have {', '.join(more)}, too.")
        missing = [one for row in self.rows for one in row["missing"]]
        names = {one["id"]: one["name"] for one in missing}
        if missing:
            counts = Counter(one["id"] for one in missing).most_common()
            told = (f"{in_words(names[id])} ({times}×)" for id, times in counts)
            yield _one_line(f"Missing from a round: {', '.join(told)}.")

    # For scripts.

    def json(self) -> Json:
        """Return all that is known, with no number rounded."""
        return {
            "federation": {"name": self.genesis.name, "id": self.genesis.federation.hex()},
            "rounds": self.rows,
        }

    def write_csv(self, out: Any) -> None:
        """Write the same as CSV, a line a round. Numbers are written so that reading them gives the same bits.

        No cell begins with a text that a member chose, so that a spreadsheet takes none for a formula.
        """
        names = [name for name in self._all_figures() if name != "loss"]
        measured = [*_MEASURED, *(f"figure_{_one_line(name)}" for name in names)]
        writer = csv.writer(out, lineterminator="\n")
        own = [f"own_{name}" for name in measured]
        writer.writerow([*_FACTS, "contributors", "missing", "reason", "examples", *measured, *own, "note"])
        for row in self.rows:
            count = None if row["contributors"] is None else len(row["contributors"])
            missing = " ".join(one["id"] for one in row["missing"])
            facts = [*(row[name] for name in _FACTS), count, missing, row["reason"], row["examples"]]
            writer.writerow([*facts, *_values(row, names), *_values(row["own"], names), _one_line(_note(row, str))])

    def _all_figures(self) -> list[str]:
        """Return the names of all figures of all rounds, over all members' rows or over this site's."""
        both = [*self.rows, *(row["own"] for row in self.rows if row["own"] is not None)]
        return list(dict.fromkeys(name for row in both for name in row["figures"]))


def _values(row: Json | None, names: Sequence[str]) -> list[Any]:
    if row is None:
        return [None] * (len(_MEASURED) + len(names))
    return [*(row[name] for name in _MEASURED), *(row["figures"].get(name) for name in names)]


def _facts_told(row: Json) -> list[str]:
    updates = "-" if row["contributors"] is None else f"{len(row['contributors'])} of {row['members']}"
    return [str(row["round"]), row["kind"], updates]


def _numbers(row: Json | None, names: Sequence[str]) -> list[str]:
    known = {} if row is None else row["figures"]
    return [format(known[name], ".6g") if name in known else "-" for name in names]


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return a line of the table: the kind of the round is aligned to the left, all other cells to the right."""
    padded = (
        cell.ljust(width) if place == 1 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded)


def _note(row: Json, say: Callable[[str], str] = in_words) -> str:
    """Say why a round has no result, and which members were missing."""
    names = ", ".join(say(one["name"]) for one in row["missing"])
    if row["result"] == "void":
        return f"no result: {why_void(row['reason'])}" + (f"; missed: {names}" if names else "")
    return f"without {names}" if names else ""


def _one_line(text: str) -> str:
    """Return text as one line, in which no name that a member chose can play tricks on a terminal."""
    return printable(text).replace("\n", "?")
