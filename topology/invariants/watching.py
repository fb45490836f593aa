"""Invariants that are watched in a single run: violations are noted, and the run goes on.

A run of a sweep ends with its first violation, because that is a bug of ours. A user that simulates more liars than a
federation tolerates wants to see the consequences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

from ...protocol.ledger.genesis import is_private
from ..engine.simulation import Observer, Simulation
from . import CHECKERS, Checker, Violation

__all__ = ["Broken", "Watch"]

MAX_RANKED: Final = 1_000
"""Liars times peers beyond which secrecy is not watched: its rank tests would take longer than the run."""

MAX_CLOSE: Final = 30
"""Peers beyond which only the invariants of _COARSE are watched: the others would make a run a third longer."""

_COARSE: Final = ("agreement", "exact sum", "evidence", "secrecy")

_HOOKS: Final = tuple(name for name in vars(Observer) if name.startswith("on_"))


@dataclass(frozen=True, slots=True)
class Broken:
    """The first violation of an invariant."""

    invariant: str
    what: str
    at_ms: int
    """Virtual time."""


class Watch:
    """Checks a simulation; read ``broken`` when the run has ended."""

    def __init__(self, simulation: Simulation) -> None:
        self.broken: dict[str, Broken] = {}
        kinds = _watched(simulation)
        self.invariants = tuple(kind.name for kind in kinds)
        simulation.watch(*(self._noting(simulation, kind) for kind in kinds))

    def _noting(self, simulation: Simulation, kind: type[Checker]) -> Checker:
        """Return a checker that notes the first violation, and looks no further after it."""

        def noting(hook: Callable[..., None]) -> Callable[..., None]:
            @wraps(hook)
            def call(*arguments: Any) -> None:
                if kind.name not in self.broken:
                    try:
                        hook(*arguments)
                    except Violation as violation:
                        at_ms = simulation.clock.elapsed_ms
                        self.broken[kind.name] = Broken(violation.invariant, violation.what, at_ms)

            return call

        mine = {name: getattr(kind, name) for name in _HOOKS if getattr(kind, name) is not getattr(Observer, name)}
        noted = type(kind.__name__, (kind,), {name: noting(hook) for name, hook in mine.items()})
        checker: Checker = noted()
        return checker


def _watched(simulation: Simulation) -> list[type[Checker]]:
    """Return the checkers for a run: all but those that presuppose a quick network, or that would take too long.

    Where bytes need longer than the federation's deadlines allow, rounds rightly fail and members are rightly left out.
    That a run did not finish is reported anyway.
    """
    peers, liars = len(simulation.sites), len(simulation.sites) - len(simulation.honest)
    left_out = {"liveness", "progress", "counted", "blame"}
    if not is_private(simulation.setup.genesis.scheme) or liars * peers > MAX_RANKED:
        left_out.add("secrecy")
    if peers > MAX_CLOSE:
        left_out |= {kind.name for kind in CHECKERS} - set(_COARSE)
    return [kind for kind in CHECKERS if kind.name not in left_out]
