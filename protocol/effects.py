"""The effects that the parts of a node ask for while it handles an event; they become one :class:`.events.Step`."""

from dataclasses import dataclass, field
from typing import Any, Final

from ..crypto.identity.identity import Identity
from .events import Fetch, Notice, NoticeKind, Send, SetTimer, Step, Work
from .limits import MAX_FETCHES_PER_MEMBER
from .messages.envelope import Verified, sealed
from .messages.kinds import Message
from .records import Record
from .timers import Timer

NOTHING: Final = Step((), (), (), (), (), ())


@dataclass(slots=True)
class Effects:
    """Collects effects in order. ``height`` and ``view`` go into the envelopes that it seals."""

    identity: Identity
    federation: bytes
    height: int = 0
    view: int = 0
    _persist: list[Record] = field(default_factory=list)
    _send: list[Send] = field(default_factory=list)
    _fetch: list[Fetch] = field(default_factory=list)
    _timers: list[SetTimer] = field(default_factory=list)
    _work: list[Work] = field(default_factory=list)
    _notify: list[Notice] = field(default_factory=list)
    _fetching: dict[bytes, set[bytes]] = field(default_factory=dict)
    """By source, the digests of the blobs under way: a message that is repeated meanwhile starts no second fetch."""

    @property
    def me(self) -> bytes:
        """This member's key."""
        return self.identity.public

    def enter(self, height: int, view: int = 0) -> None:
        """Seal the messages that follow for this height and view."""
        self.height, self.view = height, view

    def sealed(self, message: Message) -> Verified:
        """Sign a message for the current height and view."""
        return sealed(self.identity, self.federation, self.height, self.view, message)

    def seal(self, message: Message) -> bytes:
        """Sign a message for the current height and view, as bytes."""
        return self.sealed(message).raw

    def persist(self, record: Record) -> None:
        """Make a record durable before anything of this step is sent."""
        self._persist.append(record)

    def send(self, to: bytes | None, message: Message | bytes, blob: bytes | None = None) -> None:
        """Send a message, or an envelope sealed before, to one member or, with None, to everyone."""
        envelope = message if isinstance(message, bytes) else self.seal(message)
        self._send.append(Send(to, envelope, blob))

    def fetch(self, fetch: Fetch) -> bool:
        """Pull a blob, unless it is under way from the same source already.

        Returns whether it is under way now: False if too many blobs of this source are.
        """
        digests = self._fetching.setdefault(fetch.source, set())
        if fetch.digest not in digests and len(digests) < MAX_FETCHES_PER_MEMBER:
            digests.add(fetch.digest)
            self._fetch.append(fetch)
        return fetch.digest in digests

    def fetched(self, source: bytes, digest: bytes | None) -> None:
        """Note that a fetch has ended, with the blob or without it."""
        digests = self._fetching.get(source, set())
        if digest is not None and digest in digests:
            digests.discard(digest)
            if not digests:
                del self._fetching[source]

    def timer(self, after_ms: int, timer: Timer) -> None:
        """Set a timer; it comes back in :class:`.events.TimerFired`."""
        self._timers.append(SetTimer(after_ms, timer))

    def work(self, work: Any) -> None:
        """Start a job."""
        self._work.append(work)

    def notify(self, kind: NoticeKind, text: str, /, **facts: Any) -> None:
        """Tell the operator."""
        self._notify.append(Notice(kind, text, facts))

    def fault(self, member: bytes, what: str, /, **facts: Any) -> None:
        """Tell the operator that a member did something that no honest member does."""
        self.notify(NoticeKind.FAULT, what, member=member, **facts)

    def flush(self) -> Step:
        """Return everything as a step and start anew."""
        if not (self._persist or self._send or self._fetch or self._timers or self._work or self._notify):
            return NOTHING  # the usual answer to a vote
        step = Step(
            tuple(self._persist),
            tuple(self._send),
            tuple(self._fetch),
            tuple(self._timers),
            tuple(self._work),
            tuple(self._notify),
        )
        for queue in (self._persist, self._send, self._fetch, self._timers, self._work, self._notify):
            queue.clear()
        return step
