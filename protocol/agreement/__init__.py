"""How members decide the next block. Begin with :mod:`.tendermint`.

* :mod:`.tendermint`: the algorithm, which knows values only by their hashes
* :mod:`.height`: one height, where a value is a block
* :mod:`.validity`: what a member votes for
* :mod:`.false_sums`: votes for a sum, compared with each other
"""
