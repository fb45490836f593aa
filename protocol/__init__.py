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
   carry them out. :mod:`.effects` collects them; :mod:`.records` are those that must be durable, and
   :mod:`.timers` names the timers.
2. :mod:`.messages.kinds` and :mod:`.messages.envelope`: what members say to each other, and how it is signed.
   :mod:`.messages.encoding` has the one encoding of every value, :mod:`.limits` the bounds.
3. :mod:`.ledger.genesis`, :mod:`.ledger.blocks` and :mod:`.ledger.state`: what the members agree on, as a fold over
   certified blocks. The fold uses :mod:`.ledger.committee` (n, f, q, K and the order of the proposers),
   :mod:`.ledger.tickets` (invites), :mod:`.ledger.evidence` (proofs of lies), :mod:`.ledger.stopping`,
   :mod:`.ledger.bases`, and :mod:`.scheme_registry` with :mod:`.ledger.privacy` (the schemes of summing that a genesis
   can name).
4. :mod:`.agreement.tendermint`: Algorithm 1 of arXiv 1807.04938, with its line numbers. :mod:`.agreement.height` joins
   it to the meaning of a block. Its parts are :mod:`.agreement.candidates`, :mod:`.agreement.proposing` and
   :mod:`.agreement.voting`, with :mod:`.vote_guard` (no second vote, whatever happens to process and disk). What to
   propose and vote for is in :mod:`.agreement.choosing` and :mod:`.agreement.validity`; while a sum is open, in
   :mod:`.agreement.open_sum`, :mod:`.agreement.sum_votes` and :mod:`.agreement.giving_up`.
5. :mod:`.round.sharing` and :mod:`.round.summing`: the two halves of a round, over the schemes of :mod:`.schemes`.
   Their phases are tables, see :mod:`.machines`. :mod:`.ledger.contribution` has the layout of the vectors and
   :mod:`.jobs` the heavy jobs. Parts of the first half are :mod:`.round.acks` and :mod:`.round.custody` (missing acks
   and kept boxes), :mod:`.round.passing_on`, :mod:`.round.complaints`, and :mod:`.round.overdue_acks` (members that are
   not waited for). A part of the second half is :mod:`.round.sum_proofs` (the votes that prove a sum).
6. :mod:`.node`: the one object that a driver talks to. It routes each event to a module of :mod:`.handlers`, and these
   hand it to the part concerned. The parts share a :mod:`.context`; further parts are :mod:`.early_messages` (early
   messages), :mod:`.pending_changes` (changes of the membership that wait), :mod:`.sync.catchup` with
   :mod:`.sync.checkpoint` and :mod:`.sync.forks` (blocks and model from others), :mod:`.sync.resume` (a restarted
   member), and :mod:`.notices` (notices for the operator).
"""
