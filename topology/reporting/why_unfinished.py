"""Why a run did not finish, as far as its last state tells."""

from ..engine.simulation import Simulation
from ..engine.site import Site

__all__ = ["why_unfinished"]


def why_unfinished(simulation: Simulation) -> str:
    """Say what the members lack for a decision; if nothing, that the time was up, and which sites were behind.

    The simulation must have reached its limit.
    """
    running = [(site, site.node.state) for site in simulation.sites if site.node is not None]
    if not running:
        return "no member is running"
    committee = max((state for _, state in running), key=lambda state: state.height).committee
    members = [site for site, _ in running if committee.index(site.key) is not None]
    together = max((_reached(simulation, site, members) for site in members), key=len, default=[])
    honest = sum(site.is_honest for site in together)
    votes = f"{committee.quorum} votes of {committee.n} members decide"
    if len(members) < committee.quorum:
        return f"{len(members)} are running, and {votes}"
    if len(together) < committee.quorum:
        return f"no more than {len(together)} reach each other, and {votes}"
    if honest < committee.quorum:
        return f"{honest} honest ones reach each other, and {votes}"
    late = ", ".join(str(site.label) for site in simulation.honest if not simulation.goal(site))
    return f"the time limit ended before these sites finished the last round: {late}"


def _reached(simulation: Simulation, site: Site, members: list[Site]) -> list[Site]:
    """Return the members that a site can talk to, and the site itself."""
    return [one for one in members if one is site or simulation.reaches(site, one)]
