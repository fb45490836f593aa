"""The simulation itself. Begin with :mod:`.simulation`.

* :mod:`.simulation`, :mod:`.site`, :mod:`.disk`: the driver around the nodes
* :mod:`.adversary`, :mod:`.chain`: how a site misbehaves
* :mod:`.costs`, :mod:`.sizes`: what work and messages cost
* :mod:`.founded_ledger`, :mod:`.training`, :mod:`.learning`: a federation to begin with, and what it learns
* :mod:`.ideal_crypto`: a trusted party in place of shares
"""
