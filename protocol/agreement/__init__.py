"""How members decide the next block. Begin with :mod:`.tendermint`.

* :mod:`.tendermint`: the algorithm, which knows values only by their hashes
* :mod:`.height`: one height, where a value is a block; it has the parts that follow
* :mod:`.candidates`: the blocks that were proposed
* :mod:`.proposing`, :mod:`.voting`: this member's own proposals and votes
* :mod:`.choosing`, :mod:`.validity`: what a member proposes and votes for while no sum is open
* :mod:`.open_sum`, :mod:`.sum_votes`, :mod:`.giving_up`: sum shares and W, the votes that prove W, and how long to wait
"""
