"""One place in the network: a peer with its key, disk and processor, and its node while it runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from ...crypto.identity.identity import Identity
from ...protocol.events import Event, Send, Step
from ...protocol.messages.envelope import Verified
from ...protocol.node import Node
from ..network.transit import Queue
from .disk import Disk

WORKERS = 2
"""Jobs that run at the same time, as in the real driver."""

MAX_OFFERS = 256


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """A crash at a step that persists something.

    Attributes:
        moment: "before" anything is written; "during" the writing, so that a prefix survives; "after" the sync, with
            nothing sent; or "sending", with half of it sent.
        skip: number of such steps that pass first.
        record: name of a record that must be among those written, or None.
        down_ms: how long the peer is down.
    """

    moment: str
    skip: int = 0
    record: str | None = None
    down_ms: int = 2_000


class Turn(IntEnum):
    """The order in which several strategies of one site change a message; see :func:`.chain.bend`.

    Each value says what a strategy of this turn decides.
    """

    BLOCK = 0
    """The block that the message is about."""
    PROOF = 1
    """The proof that goes with the block."""
    CONTENT = 2
    """Anything else in the message."""
    RECEIVER = 3
    """The members that get it."""
    SAID = 4
    """Nothing about the message itself: it sees what is really sent, and may replay it or keep its blob back."""
    TIME = 5
    """The time at which it leaves."""


class Conduct:
    """What a liar changes in what its site receives and sends; by default nothing."""

    name = ""
    """Its name on a command line."""
    turn = Turn.CONTENT

    def on_started(self) -> None:
        """The site's node was created, at the first start or after a crash."""

    def on_event(self, event: Event) -> bool:
        """See an event before the node does; returns whether the node gets it, too."""
        return True

    def bend_step(self, event: Event, step: Step) -> Step:
        """Return the step to carry out in place of the node's."""
        return step

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        """Return the messages to send to one receiver in place of ``send``: none, one or several.

        ``message`` is the content of ``send``, which other strategies may have changed already.
        """
        return (send,)

    def bend_work(self, work: Any) -> Any:
        """Return the job to run in place of this one. The node takes its result for that of its own job."""
        return work

    def bend_result(self, work: Any, result: Any) -> Any:
        """Return the result to use in place of that of a job of this site."""
        return result

    def claimed_height(self, height: int) -> int:
        """Return the height to claim in the heartbeat, in place of that of this site's ledger."""
        return height

    def lets_crawl(self, receiver: "Site") -> bool:
        """Whether pulls by the receiver from this site are so slow that the receiver gives them up."""
        return False


@dataclass(slots=True, eq=False)
class Site:
    """A peer, honest unless it has adversaries."""

    number: int
    label: Any
    identity: Identity = field(repr=False)
    disk: Disk = field(repr=False)
    speed: float = 1.0
    skew_ms: int = 0
    """How far this site's clock is off."""
    node: Node | None = field(default=None, repr=False)
    boots: int = 0
    """Counts starts and crashes: events for an earlier boot are dropped."""
    outages: int = 0
    """Number of outages that keep it down now."""
    adversaries: tuple[Conduct, ...] = ()
    crash_point: CrashPoint | None = None
    sees: set[int] = field(default_factory=set, repr=False)
    """Sites that its failure detector reports as reachable."""
    queues: dict[int, Queue] = field(default_factory=dict, repr=False)
    """Frames that have not arrived yet, by the number of their receiver."""
    offers: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    """Large blobs that others may pull, by digest."""
    busy_until_ms: list[int] = field(default_factory=lambda: [0] * WORKERS)
    handling_until_us: int = 0
    steps: int = 0
    sent_messages: int = 0
    sent_bytes: int = 0

    @property
    def key(self) -> bytes:
        """The member's id."""
        return self.identity.public

    @property
    def is_honest(self) -> bool:
        """Whether it follows the protocol; an honest site may crash."""
        return not self.adversaries

    def offer(self, digest: bytes, blob: bytes) -> None:
        """Offer a large blob to others; beyond MAX_OFFERS the oldest ones go."""
        self.offers.pop(digest, None)
        self.offers[digest] = blob
        while len(self.offers) > MAX_OFFERS:
            del self.offers[next(iter(self.offers))]

    def worker(self, now_ms: int, duration_ms: int) -> tuple[int, int]:
        """Give a job to the worker that is free first; returns when it begins and ends."""
        which = min(range(len(self.busy_until_ms)), key=self.busy_until_ms.__getitem__)
        begin = max(now_ms, self.busy_until_ms[which])
        self.busy_until_ms[which] = begin + duration_ms
        return begin, begin + duration_ms
