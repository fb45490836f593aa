"""How a peer comes into a federation, and how a federation goes on in a new one.

* :mod:`.founding`: the genesis of a new federation
* :mod:`.invites`, :mod:`.joining`, :mod:`.finding`: the ways into one that exists
* :mod:`.preview`, :mod:`.consent`: what an operator sees of it beforehand, and has to accept
* :mod:`.refounding`: going on where too many members are lost for good
"""
