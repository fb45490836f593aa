"""The bounds and times of the protocol, each with its unit last in the name.

A hostile peer must not be able to use up a member's memory or time. So each queue, list and buffer that a peer can make
grow has a bound. A bound that concerns a single module may stand at the head of that module.
"""

from typing import Final

PROTOCOL_VERSION: Final = 2
"""Part of the domain strings under which this package signs and hashes, so versions never mix."""

MAX_MEMBERS: Final = 1024
"""Members of one federation. Above 512 the fixed-point codec keeps 21 bits of a value instead of 22."""

MAX_QUORUM: Final = 2 * MAX_MEMBERS // 3 + 1
"""Votes of the largest certificate."""

MIN_TRAINING_MEMBERS: Final = 3
"""A sum of two updates shows each of the two members the other's update, so fewer than three never train."""

MAX_NAME_CHARS: Final = 64
MAX_DESCRIPTOR_BYTES: Final = 4096
MAX_ARRAYS: Final = 4096
MAX_DIMENSIONS: Final = 8
MAX_PARAMETERS: Final = 200_000_000
MAX_SETUP_SUMS: Final = 8192
MAX_METRICS: Final = 32
MAX_PROVED_MEMBERS: Final = 40
"""Members of a federation whose dealings prove themselves. With more, a proof would say too little (docs/proof.md)."""

MAX_PROVED_REFERENCE: Final = 2**16
MAX_PROVED_PARAMETERS: Final = 2**25
MAX_PROVED_SETUP_SUMS: Final = 256
"""A setup round of more sums proves nothing: a proof publishes about 11 elements a sum and member that opens it."""

MAX_BARRED: Final = 256
"""Keys evicted on proof that a refounded federation still refuses; the newest ones stay."""

MAX_PUBLISHED_BYTES: Final = 56 * 1024
"""What a dealer publishes of its shares, beside the digests of the boxes."""

MAX_BLOCK_BYTES: Final = 256 * 1024
MAX_PAYLOAD_BYTES: Final = 900 * 1024
MAX_ENVELOPE_BYTES: Final = MAX_PAYLOAD_BYTES + 1024
INLINE_BLOB_BYTES: Final = 64 * 1024
"""A blob up to this size travels with its envelope; the receiver pulls a larger one by digest."""

MAX_FETCHES_PER_MEMBER: Final = 32
"""Blobs of one member that are fetched at a time. An honest member has a share or a sum, a model, the W of some views
and its complaints. A blob that found no place is fetched when its message is repeated.
"""

MAX_REPEATED_ACK_BYTES: Final = 512 * 1024
"""Acks that a Contributors proposal repeats, though each of them was broadcast."""

SYNC_BATCH_BYTES: Final = 128 * 1024
SYNC_BATCH_BLOCKS: Final = 64
"""Blocks in one answer. Their signatures are checked in one step, so there must be few."""

MAX_BLOCKS_BYTES: Final = MAX_BLOCK_BYTES + 256 * MAX_QUORUM + 1024
"""The largest such answer: one block of the largest size fits, with its certificate."""

VIEW_WINDOW: Final = 16
"""Votes for views further ahead than this are not kept; they only count for skipping ahead."""

VIEW_HISTORY: Final = 64
"""Votes of views further behind than this are dropped, except for the views of the lock and the valid value."""

LAST_VIEW_TO_SKIP_TO: Final = 2**30
"""Votes of views above it move nobody ahead. Where f is 0 one member moves all others. It could otherwise move them to
the last view that a message can name, after which no message could be sent.
"""

MAX_PENDING_JOINS: Final = 64
MAX_WORTHLESS_JOINS: Final = 1024
"""Join requests found worthless that are remembered, so that their signatures are not checked again."""

MAX_PENDING_EVIDENCE: Final = 64
MAX_CHANGES_PER_BLOCK: Final = 32
MAX_CHANGES_BYTES: Final = MAX_BLOCK_BYTES - 1024
"""All changes of one block together; those that do not fit wait for the next block."""
PROPOSAL_ROUNDS: Final = 1000
"""Rounds after which proposed options can no longer be decided (docs/protocol.md, "Changing options")."""

MAX_VOTES_PER_MEMBER: Final = 16
"""Votes on proposed options that are kept of one member; its oldest ones are dropped."""

BALLOT_REPEAT_MS: Final = 30_000
"""How often a member repeats its votes on open proposals, with the proposals."""

MAX_FUTURE_MESSAGES_PER_MEMBER: Final = 24
"""Early messages kept of one member while the block that opens their height or round is on its way
(:mod:`.early_messages`)."""

MAX_FUTURE_MESSAGE_BYTES: Final = 1024 * 1024
"""Bytes of those messages, kept of one member."""

VIEW_TIMEOUT_CAP_MS: Final = 60_000
DEAD_PROPOSER_TIMEOUT_MS: Final = 100
"""How long a member waits for a proposer that its failure detector reports as gone."""

RESEND_MS: Final = 5_000
"""While a height lasts, a member repeats its current messages this often, so a lost message delays but never stalls."""

JOIN_RETRY_MS: Final = 2_000
JOIN_MEMORY_MS: Final = 60_000
"""How long a request to join is kept that its newcomer does not repeat: the newcomer may have gone."""
SYNC_RETRY_MS: Final = 1_000
MAX_TRIAL_SILENCES: Final = 10
"""Requests in a row that a peer on trial (:mod:`.sync.checkpoint`) may leave unanswered before a newcomer tries
another."""

CHECKPOINT_WAIT_MS: Final = 10_000
"""How long a newcomer waits for a peer with the block of its invite, once some peer has shown another block there."""

MAX_COMPARED_BLOCKS: Final = 1024
"""Second blocks of the past that are checked before further ones of strangers are ignored; those of members never are.
"""

MAX_COMPARED_HEIGHTS: Final = 16
"""The last heights at which a second certified block would be noticed."""

RESUME_WAIT_MS: Final = 1_500
"""How long a restarted member waits for the answers of all other members, before those of a quorum are enough."""

BYTES_PER_MS: Final = 10_000
"""The least rate of a link that timeouts assume, where they allow for boxes, sum shares and W to travel."""

SUM_GRACE_MS: Final = 300
"""How long the aggregator waits for more sum shares, once enough to open the sum have come."""

UNAWAITED_ROUNDS: Final = 50
"""Rounds in which nobody waits for a member that was waited for in vain until a share deadline."""

MAX_UNAWAITED: Final = 8 * MAX_MEMBERS
"""Such members that are remembered, and pairs of dealer and holder in dispute; the oldest are dropped."""

MAX_KEPT_BOXES: Final = 8192
"""Boxes for others that one ack may name. The boxes kept of one dealer have a bound of their own
(:mod:`.round.custody`)."""

MAX_KEEPER_ACKS: Final = 8
"""Acks remembered of one keeper, where none names all that another one names. An honest keeper needs one, and one more
for each restart in the round.
"""

KEPT_BOXES_DELAY_MS: Final = 100
"""How long a member collects boxes handed to it for others, before an ack says that it keeps them."""

MAX_CHECKED_VECTORS: Final = 4
"""Sum vectors of one round that a member holds as checked or under check: the one that it opened, and those of
proposers. As many may wait to be checked.
"""
