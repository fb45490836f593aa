"""Which of my sites are critical?

Seven hospitals in three cities want to train together. Their network was not planned for it: two cities hang on
one link each. Before they begin they ask what a failure would cost them, site by site: the simulator takes each
one down for good in the second round and counts the rounds that are still decided.

Run: python examples/critical_sites.py
"""

import networkx as nx

from coterie.topology import simulate
from coterie.topology.faults import Outage

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


def rounds_without(site: str | None) -> tuple[int, float | None]:
    """Rounds decided, and the median seconds of one, when a site fails 1.5 seconds after the start."""
    outages = () if site is None else (Outage(site, at_ms=1_500, for_ms=None),)
    result = simulate(network, rounds=ROUNDS, outages=outages, ideal_crypto=True, limit_ms=180_000, seed=1)
    return result.decided, result.seconds(0.5)


def main() -> None:
    """Take down one site after the other."""
    decided, seconds = rounds_without(None)
    print(f"with all sites: {decided} of {ROUNDS} rounds, {seconds} s each\n")
    for site in network:
        decided, _ = rounds_without(site)
        verdict = "critical" if decided < ROUNDS - 1 else "can be spared"
        print(f"without {site:<8} {decided} of {ROUNDS} rounds   {verdict}")
    print(
        "\nA site is critical when the others cannot reach a quorum without it: it is a bridge. Give it a second link."
    )


if __name__ == "__main__":
    main()
