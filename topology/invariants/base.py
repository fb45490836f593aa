"""What a checker is: an observer that raises when something happens that must not."""

from typing import TYPE_CHECKING

from ..observer import Observer

if TYPE_CHECKING:
    from ..simulation import Simulation

__all__ = ["Checker", "Violation"]


class Violation(Exception):
    """An invariant does not hold; says which and what happened."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant
        self.what = what


class Checker(Observer):
    """One invariant. ``name`` is how people and tests call it."""

    name = ""

    def on_begin(self, simulation: "Simulation") -> None:
        self.simulation = simulation

    def violated(self, what: str) -> Violation:
        """Return the exception to raise."""
        return Violation(self.name, what)
