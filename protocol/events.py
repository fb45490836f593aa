"""The events that go into a node, and the effects that come out of it.

A driver (libp2p and SQLite in ``peer``, virtual time in ``topology``) hands in one event at a time and carries out the
returned :class:`Step` field by field, in the order of its fields. Besides that, a driver only reads properties of the
node, such as :attr:`.node.Node.audience`.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from .messages.envelope import Verified
from .messages.kinds import OptionsChange
from .records import Record

EVERYONE = None
"""``Send.to`` of a message to all of :attr:`.node.Node.audience`."""


@dataclass(frozen=True, slots=True)
class Started:
    """The driver runs: the first event, handed in once."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message whose signature was checked.

    ``blob``: bytes with a digest that the message binds, if they came with it or were fetched.
    """

    message: Verified
    blob: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A blob could not be fetched from this source; the node may ask again, or ask another source."""

    fetch: "Fetch"
    reason: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time of a :class:`SetTimer` with this key is over."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class WorkDone:
    """A job has ended: with ``result``, or with the reason of its failure in ``error``."""

    work: "Work"
    result: Any = field(default=None, repr=False)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PeerUp:
    """The failure detector has a living link to this peer, member or not."""

    member: bytes


@dataclass(frozen=True, slots=True)
class PeerDown:
    """The failure detector lost the link to this peer."""

    member: bytes


@dataclass(frozen=True, slots=True)
class HeadSeen:
    """A heartbeat of this peer told the height of its newest block."""

    member: bytes
    height: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The user wants to leave the federation for good."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The user gives up before this peer is admitted: it takes its request back and asks no more."""


@dataclass(frozen=True, slots=True)
class ProposeOptions:
    """The user proposes other options of the training."""

    change: OptionsChange


@dataclass(frozen=True, slots=True)
class VoteOnOptions:
    """The user votes on the open proposal with this id."""

    proposal: bytes
    accepts: bool


Event = (
    ProposeOptions
    | VoteOnOptions
    | Started
    | Received
    | FetchFailed
    | TimerFired
    | WorkDone
    | PeerUp
    | PeerDown
    | HeadSeen
    | Leave
    | Withdraw
)


@dataclass(frozen=True, slots=True)
class Send:
    """One signed envelope to one peer, or to EVERYONE, with the blob that the message binds."""

    to: bytes | None
    envelope: bytes
    blob: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Pull the blob that ``message`` binds from ``source``.

    The driver then hands in ``Received(message, blob)``, or :class:`FetchFailed`. The size in bytes is exact: it
    follows from what was agreed, never from what the sender says.
    """

    source: bytes
    digest: bytes
    size_bytes: int
    message: Verified


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire ``TimerFired(key)`` after this many milliseconds; a node's keys are in :mod:`.timers`.

    Never cancelled; a stale one is ignored.
    """

    after_ms: int
    key: Hashable


class Work(Protocol):
    """A heavy pure job.

    The driver runs it in a worker thread and hands the result back as :class:`WorkDone`. Two jobs have no ``run``,
    since they are not pure: the driver has the application do :class:`.jobs.Train`, and its store
    :class:`.jobs.ReadBlocks`.
    """

    @property
    def label(self) -> str:
        """What is being computed, in a word for the operator."""
        ...

    def run(self) -> Any:
        """Return the result, which depends on the job's fields alone."""
        ...


class NoticeKind(StrEnum):
    """The kinds of notices. Scripts rely on their values; ``told`` says what each one tells."""

    told: str

    def __new__(cls, value: str, told: str) -> "NoticeKind":
        """Make a kind of its value and of what it tells."""
        kind = str.__new__(cls, value)
        kind._value_, kind.told = value, told
        return kind

    ABSTAINING = "abstaining", "this home is an older copy of itself, and casts no votes up to a height"
    ANOTHER_LEDGER = "another-ledger", "nobody that answers has the block that the invite names"
    BAD_FRAME = "bad-frame", "a peer sent what no honest peer sends, so that it is not passed on to the node"
    CAPPED = "capped", "this member has more examples than count in the mean"
    CLIPPED = "clipped", "the update was larger than `--clip` or `--norm` allows, and was cut down to that"
    COMMITTEE = "committee", "the members of the coming rounds, and what their number means for privacy and failures"
    CONTRIBUTORS = "contributors", "the updates that a round adds up are decided"
    DEALT = "dealt", "this member has handed out the shares of its update"
    FAULT = "fault", "a member did something that no honest member does"
    FETCH = "fetch", "a large message could not be fetched"
    FINISHED = "finished", "the training is over"
    FORK = "fork", "a second ledger of this federation was seen"
    JOINED = "joined", "a member joined"
    LEFT = "left", "a member left, or was evicted"
    LEFT_BEHIND = "left-behind", "a decided block shows that this home is an older copy of itself"
    MODEL = "model", "a round has a result: the new model, and the figures of the one before"
    NOT_VOTED = "not-voted", "a proposal of options or a vote on it, which the operator asked for, was not made"
    OPTIONS = "options", "other options of the training were decided"
    OVERDUE = "overdue", "members did not ack or hand over all shares by the deadline"
    OVERRUN = "overrun", "a member sends more than this peer has time for"
    PROPOSAL = "proposal", "this member does not vote for a proposal, and why"
    PROPOSED = "proposed", "a member proposes other options of the training; the members vote on them"
    REFUSED = "refused", "a request to be admitted was refused"
    RESUMING = "resuming", "the state in which a restarted peer goes on"
    ROUND = "round", "a round begins"
    SITTING_OUT = "sitting-out", "this member has no update for the round"
    STUCK = "stuck", "a round waits for members without which it cannot go on"
    SYNCED = "synced", "this peer has all blocks that the others have"
    VIEW = "view", "the members try again to decide, with another proposer"
    VOID = "void", "a round has no result"
    VOTED = "voted", "a member voted on proposed options"
    WITHDRAWN = "withdrawn", "a request to be admitted was taken back"
    WORK = "work", "a job failed on this machine"


@dataclass(frozen=True, slots=True)
class Notice:
    """News for the operator; ``facts`` are the details."""

    kind: NoticeKind
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What the driver must do, in the order of the fields.

    Safety rules 1, 3 and 6 of docs/protocol.md rest on this order.
    """

    persist: tuple[Record, ...] = ()
    """Make these records durable, in this order, before anything in ``send`` leaves the process."""
    send: tuple[Send, ...] = ()
    """Send these messages. A message that is lost only delays: members repeat what still matters."""
    fetch: tuple[Fetch, ...] = ()
    """Pull these blobs; each comes back as :class:`Received` or :class:`FetchFailed`."""
    timers: tuple[SetTimer, ...] = ()
    """Set these timers; each comes back as :class:`TimerFired`."""
    work: tuple[Work, ...] = ()
    """Run these jobs; each comes back as :class:`WorkDone`, perhaps after the round that it was for."""
    notify: tuple[Notice, ...] = ()
    """Show these to the operator."""
