"""Liveness: once faults have healed, honest members decide within a bound of virtual time.

They may wait for a liar that contributed to a failed sum and is away while it is repeated, once they have told their
operators so. No other sum may be opened on the same base model, and only the operators can decide to go on without it.
"""

from ...protocol.events import Event, NoticeKind, Step
from ...protocol.ledger.phases import Phase
from ..adversaries.forging import is_stuck
from ..engine.site import Site
from .base import Checker


class Liveness(Checker):
    """Checks at the end whether the goal was reached; the scenario sets the time limit."""

    name = "liveness"

    def __init__(self) -> None:
        self._is_told = False

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if step.notify and site.is_honest and any(notice.kind == NoticeKind.STUCK for notice in step.notify):
            self._is_told = True

    def on_end(self) -> None:
        late = [site for site in self.simulation.honest if not self.simulation.goal(site) and not _lacks_members(site)]
        if late and not (self._is_told and is_stuck(self.simulation)):
            stand = "; ".join(
                f"{site.label}: height {site.node.state.height}, round {site.node.state.round} "
                f"({site.node.state.phase}), view {site.node.view}"
                for site in late
                if site.node is not None
            )
            raise self.violated(f"no decision within {self.simulation.clock.elapsed_ms / 1000:.0f} s: {stand}")


def _lacks_members(site: Site) -> bool:
    """Whether a federation that has lost members waits for others to join, as its genesis demands."""
    if site.node is None:
        return False
    state = site.node.state
    return state.phase is Phase.WAITING and len(state.members) < state.options.min_peers
