"""What handles an input of a node: one module for each kind of input, and one for each thing that they all move on.

Two modules move on what the inputs are about, and keep it:

* :mod:`.rounds`: the phases of a round, in which members share and sum; their times, and the training
* :mod:`.heights`: the heights of the ledger, of which each is decided by one agreement

The others take inputs, and need these two:

* :mod:`.votes`: proposals, votes and accusations
* :mod:`.dealings`: messages and jobs of the share phase
* :mod:`.sums`: messages and jobs of the sum phase
* :mod:`.membership`: requests to join and leave
* :mod:`.links`: links to peers, what these tell of themselves, and blobs that come or fail

Blocks and models that others ask for go to :mod:`..sync.catchup` directly.
"""
