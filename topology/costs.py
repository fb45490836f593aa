"""What work costs in virtual time, from the sizes of its operands.

A run must not depend on the machine it is simulated on, so work that is really computed is charged by this
model too. The constants are estimates after the figures of ``benchmarks/kernels.py`` for one core, in nanoseconds,
rounded up for what the kernels leave out; a site with ``speed`` 2 takes half of it.
"""

from dataclasses import dataclass
from typing import Any

from ..protocol.schemes.plain import AddVectors, CommitVector, NothingToCheck
from ..protocol.schemes.shamir import CheckShare, DealShares, OpenSum, RecheckShare
from ..protocol.work import CheckVector, Encode, ReadBlocks, SumShares, Train


@dataclass(frozen=True, slots=True)
class Costs:
    """Nanoseconds an element (8 bytes, two parameters) unless the name says otherwise."""

    train_ms: float = 500.0
    """One round of local training, all of it."""
    encode_ns: float = 25.0
    deal_product_ns: float = 2.0
    """An element and a product: n - K + 1 rows of K products each."""
    deal_row_ns: float = 9.0
    """An element of one holder's share: hashing, sealing, expanding."""
    deal_holder_ns: float = 15_000.0
    """A holder, whatever the size: its box, leaf and path."""
    check_ns: float = 11.0
    check_each_ns: float = 120_000.0
    add_ns: float = 0.6
    open_ns: float = 5.0
    """An element of a row that is combined, and of the one that results."""
    vector_ns: float = 30.0
    message_us: float = 150.0
    """Verifying and handling one message, in microseconds."""

    def work_ms(self, work: Any, columns: int) -> float:
        """Return how long a job takes on a site of speed 1; ``columns``: field elements in the vectors of the round."""
        match work:
            case Train(kind=kind):
                return self.train_ms if kind == "train" else 0.2 * self.train_ms
            case Encode():
                return 0.1 + 1e-6 * self.encode_ns * columns
            case DealShares(committee=committee):
                n, K = committee.n, committee.threshold
                product = self.deal_product_ns * (n - K + 1) * K
                return 1e-6 * (columns * (product + self.deal_row_ns * n) + self.deal_holder_ns * n)
            case CheckShare() | RecheckShare():
                return 1e-6 * (self.check_each_ns + self.check_ns * columns)
            case SumShares(rows=rows) | AddVectors(rows=rows):
                return 0.05 + 1e-6 * self.add_ns * columns * len(rows)
            case OpenSum(rows=rows, committee=committee):
                return 0.1 + 1e-6 * (self.open_ns * columns * (len(rows) + 1) + 2_000 * committee.threshold**2)
            case CheckVector():
                return 0.1 + 1e-6 * self.vector_ns * columns
            case CommitVector():
                return 0.05 + 1e-6 * 6.0 * columns
            case ReadBlocks():
                return 0.5
            case NothingToCheck():
                return 0.01
        return 0.1
