"""How many bytes a message takes on the wire, and whether a blob is the one it binds.

With ideal shares the simulated blobs are small tokens. They are charged for what real ones would take, for the
number of parameters that is simulated.
"""

from ..crypto.sealing import BOX_OVERHEAD_BYTES
from ..protocol.contribution import layout_of
from ..protocol.envelope import Verified, blob_digest
from ..protocol.genesis import Genesis
from ..protocol.messages import Complaint, Deal, HandBox, Proposal, SumShare, UpheldComplaint, Weights
from ..protocol.wire import digest_of

MERKLE_BYTES = 32


class Sizes:
    """Sizes for one federation; ``parameters`` is None where the blobs are real."""

    def __init__(self, genesis: Genesis, parameters: int | None) -> None:
        self._parameters = parameters
        columns = layout_of(genesis, "train").columns - (genesis.parameters + 1) // 2
        self._columns = columns + ((parameters or 0) + 1) // 2

    def blob_bytes(self, message: Verified, index: int | None, blob: bytes | None) -> int:
        """Return the size of a blob for the receiver with this place in the round."""
        if blob is None:
            return 0
        if self._parameters is None:
            return len(blob)
        match message.message:
            case Deal(boxes=boxes, seeded=seeded):
                return _share_bytes(self._columns, len(boxes), index in seeded)
            case HandBox():  # most are for members that are away, and so got seeds
                return len(blob)
            case Weights():
                return 4 * self._parameters
            case SumShare() | Proposal() | Complaint() | UpheldComplaint():
                return 8 * self._columns
        return len(blob)


def _share_bytes(columns: int, holders: int, is_seed: bool) -> int:
    """A sealed share: K - 1 of the n - 1 other holders get a seed."""
    header = 33 + MERKLE_BYTES * max(1, (holders - 1).bit_length()) + BOX_OVERHEAD_BYTES
    return header + (32 if is_seed else 8 * (columns + 2))


def binds(message: Verified, blob: bytes) -> bool:
    """Whether the message holds the blob's digest, as a receiving driver checks it."""
    digest = digest_of(blob)
    if isinstance(message.message, Deal):
        return digest in message.message.boxes
    return digest == blob_digest(message, None)
