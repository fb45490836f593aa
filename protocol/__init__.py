"""The protocol of Coterie as sans-IO state machines: no clock, no socket, no randomness.

Read in this order:

1. :mod:`.events`: what goes into a node and what comes out, in the order in which a driver must act on it;
2. :mod:`.messages` and :mod:`.envelope`: what members say, and how it is signed;
3. :mod:`.genesis`, :mod:`.blocks`, :mod:`.ledger`: what is agreed on, as a fold over certified blocks; and
   :mod:`.registry`: the ways of summing that a genesis can name;
4. :mod:`.tendermint`: Algorithm 1 of arXiv 1807.04938, with its line numbers, and :mod:`.agreement`, which joins
   it to what a block means;
5. :mod:`.sharing` and :mod:`.summing`: the two halves of a round, over the schemes of :mod:`.schemes`; of the first,
   :mod:`.acks`, :mod:`.custody`, :mod:`.showing` and :mod:`.complaints`, and :mod:`.patience`: whom not to wait for;
6. :mod:`.node`: the one object a driver talks to.

A driver does this for ever; the one in ``peer`` with libp2p, SQLite and threads, the test cluster in virtual
time::

    node = Node(identity, genesis, memory)
    step = node.step(event, now_ms)
    # 1. make step.persist durable   2. send step.send   3. pull step.fetch   4. set step.timers
    # 5. run step.work in a worker   6. show step.notify; each outcome comes back as an event

The order is a promise: nothing leaves the process before what it depends on is durable. A golden transcript of
a whole round stands in tests/topology/transcripts/.
"""
