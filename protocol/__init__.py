"""The protocol of Coterie as sans-IO state machines: no clock, no socket, no randomness.

A federation is a set of members that agree on a ledger, block by block. Each member runs one :class:`.node.Node`. A
node is a state machine: a driver hands in one event and the current time, and the node returns a :class:`.events.Step`,
the list of what the driver must do now. The node itself reads no clock and touches no disk or network. So the same node
runs over TCP (``peer``), in virtual time (``topology``) and in tests, and one seed replays a whole federation.

A driver does this for ever; the one in ``peer`` with libp2p, SQLite and threads, the test cluster in virtual
time::

    node = Node(identity, genesis, memory)
    step = node.step(event, now_ms)
    # 1. make step.persist durable   2. send step.send   3. pull step.fetch   4. set step.timers
    # 5. run step.work in a worker   6. show step.notify; each outcome comes back as an event

The order is a promise: nothing leaves the process before the records that it depends on are durable. The first event is
:class:`.events.Started`. After a restart the driver makes a new node from the records (``memory``) and goes on.

What members do, and why it is safe, is in docs/protocol.md. A golden transcript of a whole round, message by message,
is tests/topology/transcripts/round_of_four.txt. Read the code in this order:

1. :mod:`.events`: the events that go into a node, and the effects that come out, in the order in which a driver must
   carry them out. :mod:`.outbox` collects them; :mod:`.records` are those that must be durable.
2. :mod:`.messages` and :mod:`.envelope`: what members say to each other, and how it is signed. :mod:`.wire` has the one
   encoding of every value, :mod:`.limits` the bounds.
3. :mod:`.genesis`, :mod:`.blocks` and :mod:`.ledger`: what the members agree on, as a fold over certified blocks. The
   fold uses :mod:`.committee` (n, f, q, K and the order of the proposers), :mod:`.admission` (invites),
   :mod:`.evidence` (proofs of lies), :mod:`.stopping`, :mod:`.bases`, and :mod:`.registry` with :mod:`.privacy` (the
   schemes of summing that a genesis can name).
4. :mod:`.tendermint`: Algorithm 1 of arXiv 1807.04938, with its line numbers. :mod:`.agreement` joins it to the meaning
   of a block, with :mod:`.proposals` (what a voter checks), :mod:`.false_sums` (false fingerprints) and :mod:`.safety`
   (no second vote, whatever happens to process and disk).
5. :mod:`.sharing` and :mod:`.summing`: the two halves of a round, over the schemes of :mod:`.schemes`.
   :mod:`.contribution` has the layout of the vectors and :mod:`.work` the heavy jobs. Parts of the first half are
   :mod:`.acks` and :mod:`.custody` (missing acks and kept boxes), :mod:`.showing`, :mod:`.complaints`, and
   :mod:`.patience` (members that are not waited for).
6. :mod:`.node`: the one object that a driver talks to. It routes each event to the part concerned. The parts share a
   :mod:`.context`; further parts are :mod:`.inbox` (early messages), :mod:`.pool` (changes of the membership that
   wait), :mod:`.catchup` with :mod:`.proving` and :mod:`.forks` (blocks and model from others), and :mod:`.announcing`
   (notices for the operator).
"""
