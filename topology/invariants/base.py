"""The base of checkers: observers that raise when something happens that must not."""

from typing import TYPE_CHECKING

from ..engine.simulation import Observer

if TYPE_CHECKING:
    from ..engine.simulation import Simulation

__all__ = ["Checker", "Violation"]


class Violation(Exception):
    """An invariant does not hold: its name, and what happened."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant
        self.what = what


class Checker(Observer):
    """One invariant. Reports and tests call it by its ``name``."""

    name = ""

    def on_begin(self, simulation: "Simulation") -> None:
        self.simulation = simulation

    def violated(self, what: str) -> Violation:
        """Return the exception to raise."""
        return Violation(self.name, what)
