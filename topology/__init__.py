"""Networks and virtual time: any federation, under any network, clock and adversary, before it exists.

The nodes are those of :mod:`coterie.protocol`, unchanged; everything around them is simulated. As a library::

    import networkx as nx
    from coterie.topology import simulate

    sites = nx.cycle_graph(8)                        # any graph; see networks.py for the attributes
    result = simulate(sites, rounds=20, churn=0.05, byzantine=("1:wrong-share",), seed=7)
    print(result.decided, result.seconds(0.5), result.named)

The parts: :mod:`.networks`, :mod:`.links` and :mod:`.transit` (graphs, and what they do to bytes), :mod:`.simulation`
(the driver), :mod:`.adversaries`, :mod:`.faults` and :mod:`.partitions` (what goes wrong), :mod:`.invariants` (what
must hold all the same), :mod:`.watching` (which of it is looked at in a single run), :mod:`.scenarios`, :mod:`.sweep`
and :mod:`.transcript` (random runs by the thousand, and how a failing one went), :mod:`.report`, :mod:`.standstill` and
:mod:`.pictures` (what came of it, and why it did not finish), and :mod:`.resilience` (how many peers may die).
"""

from .networks import LinkDefaults, TopologyError
from .options import OptionError, Options, simulate
from .report import Result

__all__ = ["LinkDefaults", "OptionError", "Options", "Result", "TopologyError", "simulate"]
