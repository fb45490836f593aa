"""Every bound of the protocol, each in one place and with its unit last in the name.

A bound on what a peer may make us hold is what keeps a hostile peer from using up our memory, so each queue,
list and buffer of this package names the constant here that limits it.
"""

from typing import Final

PROTOCOL_VERSION: Final = 2

MAX_MEMBERS: Final = 1024
"""Members of one federation. Above 512 the fixed-point codec keeps 21 bits of a value instead of 22."""

MAX_QUORUM: Final = 2 * MAX_MEMBERS // 3 + 1
"""Votes of the largest certificate."""

MIN_TRAINING_MEMBERS: Final = 3
"""A sum of two updates shows each member the other's, so fewer than three never train."""

MAX_NAME_CHARS: Final = 64
MAX_DESCRIPTOR_BYTES: Final = 4096
MAX_ARRAYS: Final = 4096
MAX_DIMENSIONS: Final = 8
MAX_PARAMETERS: Final = 200_000_000
MAX_SETUP_SUMS: Final = 8192
MAX_METRICS: Final = 32
MAX_BARRED: Final = 256
"""Keys evicted on proof that a refounded federation goes on to refuse; the newest stay."""

MAX_BLOCK_BYTES: Final = 256 * 1024
MAX_PAYLOAD_BYTES: Final = 900 * 1024
MAX_ENVELOPE_BYTES: Final = MAX_PAYLOAD_BYTES + 1024
INLINE_BLOB_BYTES: Final = 64 * 1024
"""A blob up to this size travels with its envelope; the receiver pulls a larger one by digest."""

MAX_FETCHES_PER_MEMBER: Final = 32
"""Blobs of one member that are being fetched at a time. An honest one has a share or a sum, a model, the W of some
views and its complaints; what is left out is fetched when it is said again.
"""

MAX_REPEATED_ACK_BYTES: Final = 512 * 1024
"""Acks that a Contributors proposal carries along; each member has had the rest by broadcast."""

SYNC_BATCH_BYTES: Final = 128 * 1024
SYNC_BATCH_BLOCKS: Final = 64
"""Blocks of one answer: their signatures are checked in one go, which has to be short."""

MAX_BLOCKS_BYTES: Final = MAX_BLOCK_BYTES + 256 * MAX_QUORUM + 1024
"""Such an answer at most: one block of the largest size with its certificate fits."""

VIEW_WINDOW: Final = 16
"""Votes for views further ahead than this are counted (for skipping ahead) but not kept."""

VIEW_HISTORY: Final = 64
"""Votes of views further behind than this are dropped, but for the view of the valid value."""

LAST_VIEW_TO_SKIP_TO: Final = 2**30
"""Votes of views above it move nobody ahead. Where f is 0 one member moves everybody, and could otherwise do so to the
last view that a message can name, after which nobody could say anything.
"""

MAX_PENDING_JOINS: Final = 64
MAX_WORTHLESS_JOINS: Final = 1024
"""Join requests that can never be granted, of which no signature is checked a second time."""

MAX_PENDING_EVIDENCE: Final = 64
MAX_CHANGES_PER_BLOCK: Final = 32
MAX_CHANGES_BYTES: Final = MAX_BLOCK_BYTES - 1024
"""What the changes of one block may take together; those that do not fit wait for the next."""
MAX_FUTURE_MESSAGES_PER_MEMBER: Final = 24
"""Messages of the next height kept a member while a block is still on its way to us."""

MAX_FUTURE_MESSAGE_BYTES: Final = 1024 * 1024
"""Bytes of those messages kept a member."""

VIEW_TIMEOUT_CAP_MS: Final = 60_000
DEAD_PROPOSER_TIMEOUT_MS: Final = 100
"""How long a member waits for a proposer that its failure detector reports as gone."""

RESEND_MS: Final = 5_000
"""While a height lasts, a member repeats its own current messages this often: a lost one delays and never
stalls.
"""

JOIN_RETRY_MS: Final = 2_000
JOIN_MEMORY_MS: Final = 60_000
"""How long a request to join is kept that is not made again: its newcomer may have gone."""
SYNC_RETRY_MS: Final = 1_000
MAX_TRIAL_SILENCES: Final = 10
"""How often in a row a newcomer asks one peer for more of the ledger that it holds back, without an answer."""

CHECKPOINT_WAIT_MS: Final = 10_000
"""How long a newcomer waits for a peer that shows the block of its invite, once one has shown another."""

MAX_COMPARED_BLOCKS: Final = 1024
"""Blocks of the past that strangers show and that are compared; those of members are whatever there are."""

MAX_COMPARED_HEIGHTS: Final = 16
"""The last heights at which a second certified block would be noticed."""

RESUME_WAIT_MS: Final = 1_500
"""How long a restarted member waits for every other member to say what it saw of it, before a quorum will do.
"""

SUM_GRACE_MS: Final = 300
"""Once enough sum shares have come to open the sum, how long the aggregator waits for the others."""

UNAWAITED_ROUNDS: Final = 50
"""Rounds in which nobody waits for a member that was waited for in vain until a share deadline."""

MAX_UNAWAITED: Final = 8 * MAX_MEMBERS
"""Such members, and pairs of dealer and holder, that are remembered; the oldest go."""

MAX_KEPT_BOXES: Final = 8192
"""Boxes for others that one ack may name. What a member keeps of one dealer is bounded besides (:mod:`.custody`)."""

MAX_KEEPER_ACKS: Final = 8
"""Acks that together say what a member keeps, if no one of them says all: one more for each restart in the round."""

KEPT_BOXES_DELAY_MS: Final = 100
"""How long a member collects the boxes that it is handed for others before it says so in an ack."""

MAX_CHECKED_VECTORS: Final = 4
"""Sum vectors of one round that a member checks or has checked at a time, its own and those that proposers sent; as
many may wait to be checked.
"""
