"""The bytes that blobs take on the wire, and whether a blob belongs to a message.

With ideal shares the simulated blobs are small tokens. Each is charged the size of the real blob, for the number of
parameters that the user asked for.
"""

from dataclasses import replace

from ...protocol.ledger.committee import Committee
from ...protocol.ledger.contribution import layout_of
from ...protocol.ledger.genesis import Genesis
from ...protocol.messages.encoding import digest_of
from ...protocol.messages.envelope import Verified, blob_digest
from ...protocol.messages.kinds import Complaint, Deal, Proposal, SumShare, UpheldComplaint, Weights
from ...protocol.schemes import scheme_of


class Sizes:
    """Sizes for one federation; ``parameters`` is None where the blobs are real."""

    def __init__(self, genesis: Genesis, parameters: int | None) -> None:
        self._parameters = parameters
        self._scheme = genesis.scheme
        self._layout = replace(layout_of(genesis, "train"), parameters=parameters or 0)

    def blob_bytes(self, message: Verified, committee: Committee, receiver: bytes, blob: bytes) -> int:
        """Return the size of a blob for a receiver in a round of this committee."""
        if self._parameters is None:
            return len(blob)
        scheme = scheme_of(self._scheme, committee)
        match message.message:
            case Deal() as deal:
                return scheme.charged_blob_bytes(self._layout, deal, committee.index(receiver))
            case Weights():
                return 4 * self._parameters
            case SumShare():
                return scheme.sum_bytes(self._layout)
            case Proposal():
                return self._layout.vector_bytes
            case Complaint() | UpheldComplaint():
                return scheme.share_bytes(self._layout)
        return len(blob)  # a HandBox, too: most such boxes are for members that are away, and hold small seeds


def binds(message: Verified, blob: bytes) -> bool:
    """Whether the message holds the blob's digest; a receiving driver checks the same."""
    digest = digest_of(blob)
    if isinstance(message.message, Deal):
        return digest in message.message.box_hashes
    return digest == blob_digest(message, None)
