"""One place in the network: a peer with its key, disk and processor, and its node while it runs."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..crypto.identity import Identity
from ..protocol.node import Node
from .disk import Disk
from .transit import Queue

if TYPE_CHECKING:
    from .adversaries.base import Adversary

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
    adversaries: tuple["Adversary", ...] = ()
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
