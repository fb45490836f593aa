"""Phases as tables: which input leads from which phase to which, and a drawing of that.

The phases of a machine are an enum, its inputs are another, and one :class:`Table` has a row for each arrow. The code
goes from phase to phase by the table alone. Above each enum stands the drawing of its table;
tests/protocol/test_machines.py compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

Phase = TypeVar("Phase", bound=Enum)
Input = TypeVar("Input", bound=Enum)


@dataclass(frozen=True, slots=True)
class Table(Generic[Phase, Input]):
    """The arrows of one machine: by phase and input, the next phase."""

    arrows: Mapping[tuple[Phase, Input], Phase]

    def after(self, phase: Phase, given: Input) -> Phase:
        """Return the phase after an input. An input without an arrow leaves the phase as it is."""
        return self.arrows.get((phase, given), phase)

    def drawing(self) -> str:
        """Return the arrows as text, one a line, in the order of the table."""
        rows = [(_words(phase), _words(given), _words(end)) for (phase, given), end in self.arrows.items()]
        left, middle = (max(len(row[column]) for row in rows) for column in (0, 1))
        return "\n".join(f"{start:<{left}} --{given:-<{middle}}--> {end}" for start, given, end in rows)


def _words(name: Enum) -> str:
    return name.name.lower().replace("_", " ")
