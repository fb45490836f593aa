"""Liveness: once faults have healed, honest members decide within a bound of virtual time."""

from .base import Checker


class Liveness(Checker):
    """Asks, at the end, whether the goal was reached; the scenario gives the time that it may take."""

    name = "liveness"

    def on_end(self) -> None:
        late = [site for site in self.simulation.honest if not self.simulation.goal(site)]
        if late:
            stand = "; ".join(
                f"{site.label}: height {site.node.state.height}, round {site.node.state.round} "
                f"({site.node.state.phase}), view {site.node.view}"
                for site in late
                if site.node is not None
            )
            raise self.violated(f"no decision within {self.simulation.clock.elapsed_ms / 1000:.0f} s: {stand}")
