"""The virtual time that work costs, from the sizes of its operands.

A run must not depend on the machine that simulates it. So work that is really computed is charged by this model too, by
fixed constants; those for the jobs of a scheme stand in its module. All were fitted to measurements on one core of an
x86 server: the CPU time of every job of federations of 7 and 25 members with 10,000 to 1,000,000 parameters, as
``benchmarks/simulator.py --only calibration`` prints it, and that of single dealings and openings for up to 200
holders. The same command prints how far off the constants are on your machine. A site with ``speed`` 2 takes half of
the time that is charged.
"""

from dataclasses import dataclass
from typing import Any

from ...protocol.jobs import CheckVector, Encode, ReadBlocks, SchemeJob, Train


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs in nanoseconds for each field element (8 bytes, two parameters), unless the name says otherwise."""

    train_ms: float = 500.0
    """One whole round of local training."""
    encode_ns: float = 5.0
    vector_ns: float = 24.0
    message_us: float = 150.0
    """Handling one message. Some 70 were measured for its signature and the node's step; the rest stands for the
    transport (frame, Noise, event loop), which the simulator does not run."""

    def work_ms(self, work: Any, columns: int) -> float:
        """Return the milliseconds that a job takes on a site of speed 1.

        ``columns``: number of field elements in the vectors of the round.
        """
        match work:
            case Train(kind=kind):
                # The other rounds do not train: they measure the model, or add up the data.
                return self.train_ms if kind == "train" else 0.2 * self.train_ms
            case Encode():
                return 0.1 + 1e-6 * self.encode_ns * columns
            case SchemeJob():
                return work.cost_ms(columns)
            case CheckVector():
                return 0.1 + 1e-6 * self.vector_ns * columns
            case ReadBlocks():
                return 0.5  # a query of the store, which the simulator keeps in memory
        return 0.1
