"""The simulator: any federation, on any network, with any faults and liars, in virtual time.

The nodes are those of :mod:`coterie.protocol`, unchanged; everything around them is simulated. As a library::

    import networkx as nx
    from coterie.topology import simulate

    sites = nx.cycle_graph(8)                        # any graph; see networks.py for the attributes
    result = simulate(sites, rounds=20, churn=0.05, byzantine=("1:wrong-share",), seed=7)
    print(result.decided, result.seconds(0.5), result.named)

The parts:

* :mod:`.network.graphs`, :mod:`.network.links`, :mod:`.network.transit`: graphs, and how bytes travel over them
* :mod:`.engine.simulation`: the driver around the nodes
* :mod:`.adversaries`, :mod:`.faults.faults`, :mod:`.faults.partitions`: liars, failures and cut networks
* :mod:`.invariants`: the rules that must hold in every run; :mod:`.invariants.watching`: those that a single run is
  checked for
* :mod:`.sweep.scenarios`, :mod:`.sweep.runner`, :mod:`.reporting.transcript`: random runs by the thousand, and a
  readable account of a failure
* :mod:`.reporting.result`, :mod:`.reporting.pictures`, :mod:`.reporting.why_unfinished`: the result of a run, and the
  reason if it did not finish
* :mod:`.resilience`: how many peers may die
"""

from .network.graphs import LinkDefaults, TopologyError
from .options import OptionError, Options, simulate
from .reporting.result import Result

__all__ = ["LinkDefaults", "OptionError", "Options", "Result", "TopologyError", "simulate"]
