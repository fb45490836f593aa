"""Which of my sites are critical?

Seven hospitals in three cities want to train together. Their network was not planned for it: two cities hang on
one link each. Before they begin they ask what a failure would cost them, site by site: the simulator takes each
one down for good in the second round, counts the rounds that are still decided, and looks which sites are left out.

Run: python examples/critical_sites.py
"""

import networkx as nx

from coterie.topology import Result, simulate
from coterie.topology.faults.faults import Outage

ROUNDS = 5

# Edges are links: one way latency in milliseconds, bandwidth in megabits a second.
network = nx.Graph()
network.add_edge("Lyon A", "Lyon B", latency_ms=1, bandwidth_mbit=1000)
network.add_edge("Lyon B", "Lyon C", latency_ms=1, bandwidth_mbit=1000)
network.add_edge("Lyon A", "Lyon C", latency_ms=1, bandwidth_mbit=1000)
network.add_edge("Lyon A", "Paris A", latency_ms=8, bandwidth_mbit=200)
network.add_edge("Paris A", "Paris B", latency_ms=2, bandwidth_mbit=1000)
network.add_edge("Paris B", "Lille A", latency_ms=5, bandwidth_mbit=50)
network.add_edge("Lille A", "Lille B", latency_ms=1, bandwidth_mbit=1000)


def without(site: str | None) -> Result:
    """What happens when a site fails 1.5 seconds after the start, for good."""
    outages = () if site is None else (Outage(site, at_ms=1_500, for_ms=None),)
    return simulate(network, rounds=ROUNDS, outages=outages, ideal_crypto=True, limit_ms=180_000, seed=1)


def left_behind(result: Result) -> list[str]:
    """Sites that run, but whose ledgers end before those of the others."""
    heights = {site["name"]: site["height"] for site in result.sites if site["height"] is not None}
    return [name for name, height in heights.items() if height < max(heights.values())]


def main() -> None:
    """Take down one site after the other."""
    whole = without(None)
    print(f"with all sites: {whole.decided} of {ROUNDS} rounds, {whole.seconds(0.5)} s each\n")
    for site in network:
        result = without(site)
        verdict = "can be spared"
        if result.decided < ROUNDS - 1:
            verdict = "critical: the rest reach no quorum"
        elif left_behind(result):
            verdict = f"cuts off {', '.join(left_behind(result))}"
        print(f"without {site:<8} {result.decided} of {ROUNDS} rounds   {verdict}")
    print("\nA site that is critical, or cuts others off, is a bridge: give those behind it a second link.")


if __name__ == "__main__":
    main()
