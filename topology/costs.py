"""What work costs in virtual time, from the sizes of its operands.

A run must not depend on the machine it is simulated on, so work that is really computed is charged by this
model too, and the constants are constants. They were fitted to what ``benchmarks/simulator.py --only calibration``
prints: CPU time on one core of an x86 server of every job of federations of 7 and 25 members, with 10,000 to 1,000,000
parameters, and to single dealings and openings for up to 200 holders. The same command says how far off they are on
the machine at hand. A site with ``speed`` 2 takes half of what is charged.
"""

from dataclasses import dataclass
from typing import Any

from ..protocol.schemes.plain import AddVectors, CommitVector, NothingToCheck, NothingToJudge
from ..protocol.schemes.shamir import CheckShare, DealShares, JudgeComplaint, OpenSum
from ..protocol.work import CheckVector, Encode, ReadBlocks, SumShares, Train


@dataclass(frozen=True, slots=True)
class Costs:
    """Nanoseconds an element (8 bytes, two parameters) unless the name says otherwise."""

    train_ms: float = 500.0
    """One round of local training, all of it."""
    encode_ns: float = 5.0
    deal_row_ns: float = 16.0
    """An element of one holder's share: expanding, transforming, hashing, sealing."""
    holder_us: float = 30.0
    """A holder of a dealing, whatever the size: its box, leaf and path."""
    pair_us: float = 0.5
    """What every other holder adds to that, in its fingerprints and the polynomials' values."""
    check_ns: float = 19.0
    check_each_us: float = 70.0
    add_ns: float = 0.5
    accept_ns: float = 7.0
    """An element of an update that is not shared: checking, hashing and adding it."""
    hash_ns: float = 4.0
    open_ns: float = 26.0
    """An element of a sum share: hashing, checking, combining; and of the sum itself."""
    open_pair_us: float = 0.3
    """Two holders, whatever the size: solving for the polynomial."""
    vector_ns: float = 24.0
    message_us: float = 150.0
    """Handling one message: some 70 are measured for its signature and the node's step, the rest is put down for the
    transport (frame, Noise, event loop), which the simulator does not run."""

    def work_ms(self, work: Any, columns: int) -> float:
        """Return how long a job takes on a site of speed 1; ``columns``: field elements in the vectors of the round."""
        match work:
            case Train(kind=kind):
                return self.train_ms if kind == "train" else 0.2 * self.train_ms
            case Encode():
                return 0.1 + 1e-6 * self.encode_ns * columns
            case DealShares(committee=committee):
                n = committee.n
                return n * (1e-6 * self.deal_row_ns * columns + 1e-3 * (self.holder_us + self.pair_us * n))
            case CheckShare(committee=committee) | JudgeComplaint(committee=committee):
                return 1e-3 * (self.check_each_us + self.pair_us * committee.n) + 1e-6 * self.check_ns * columns
            case SumShares(rows=rows):
                return 0.05 + 1e-6 * columns * (self.add_ns * len(rows) + self.hash_ns)
            case AddVectors(rows=rows):
                return 0.05 + 1e-6 * columns * self.accept_ns * len(rows)
            case OpenSum(rows=rows):
                pairs = 1e-3 * self.open_pair_us * len(rows) ** 2
                return 0.15 + pairs + 1e-6 * self.open_ns * columns * (len(rows) + 1)
            case CheckVector():
                return 0.1 + 1e-6 * self.vector_ns * columns
            case CommitVector():
                return 0.05 + 1e-6 * self.hash_ns * columns
            case ReadBlocks():
                return 0.5  # a query of the store, which the simulator keeps in memory
            case NothingToCheck() | NothingToJudge():
                return 0.01
        return 0.1
