"""The simulator: any federation, on any network, with any faults and liars, in virtual time.

The nodes are those of :mod:`coterie.protocol`, unchanged; everything around them is simulated. As a library::

    import networkx as nx
    from coterie.topology import simulate

    sites = nx.cycle_graph(8)                        # any graph; see networks.py for the attributes
    result = simulate(sites, rounds=20, churn=0.05, byzantine=("1:wrong-share",), seed=7)
    print(result.decided, result.seconds(0.5), result.named)

The parts:

* :mod:`.networks`, :mod:`.links`, :mod:`.transit`: graphs, and how bytes travel over them
* :mod:`.simulation`: the driver around the nodes
* :mod:`.adversaries`, :mod:`.faults`, :mod:`.partitions`: liars, failures and cut networks
* :mod:`.invariants`: the rules that must hold in every run; :mod:`.watching`: those that a single run is checked for
* :mod:`.scenarios`, :mod:`.sweep`, :mod:`.transcript`: random runs by the thousand, and a readable account of a failure
* :mod:`.report`, :mod:`.pictures`, :mod:`.standstill`: the result of a run, and the reason if it did not finish
* :mod:`.resilience`: how many peers may die
"""

from .networks import LinkDefaults, TopologyError
from .options import OptionError, Options, simulate
from .report import Result

__all__ = ["LinkDefaults", "OptionError", "Options", "Result", "TopologyError", "simulate"]
