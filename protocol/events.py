"""What goes into a node and what comes out of it.

A driver (libp2p and SQLite in ``peer``, virtual time in ``topology``) hands in one event at a time and
carries out the returned :class:`Step` field by field, in the order of its fields. Nothing else passes between
the two.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .envelope import Verified
from .records import Record

EVERYONE = None
"""The address of a message to every member but oneself."""


@dataclass(frozen=True, slots=True)
class Started:
    """The driver runs; comes once, first."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message whose signature was checked.

    ``blob`` is the one it binds, digest checked, if it came inline or was fetched.
    """

    message: Verified
    blob: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A blob could not be had from this source; the node may ask again, or another."""

    fetch: "Fetch"
    reason: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer's time has come."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class WorkDone:
    """A job has finished, with its result; or it failed, with the reason."""

    work: "Work"
    result: Any = field(default=None, repr=False)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PeerUp:
    """The failure detector has a living link to this member."""

    member: bytes


@dataclass(frozen=True, slots=True)
class PeerDown:
    """The failure detector lost this member."""

    member: bytes


@dataclass(frozen=True, slots=True)
class HeadSeen:
    """A heartbeat told this member's head height."""

    member: bytes
    height: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The user wants to leave the federation for good."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The user gives up before this peer is admitted: it takes its request back, and asks no more."""


Event = Started | Received | FetchFailed | TimerFired | WorkDone | PeerUp | PeerDown | HeadSeen | Leave | Withdraw


@dataclass(frozen=True, slots=True)
class Send:
    """One signed envelope to one member, or to EVERYONE; with the blob that the message binds."""

    to: bytes | None
    envelope: bytes
    blob: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Pull the blob that ``message`` binds from ``source`` and hand in ``Received(message, blob)``; else
    ``FetchFailed``.

    The size in bytes is exact: it follows from what was agreed, never from what the sender says.
    """

    source: bytes
    digest: bytes
    size_bytes: int
    message: Verified


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire ``TimerFired(key)`` after this many milliseconds. Never cancelled; a stale one is ignored."""

    after_ms: int
    key: Hashable


class Work(Protocol):
    """A heavy pure job.

    The driver runs it in a worker thread and hands the result back as :class:`WorkDone`.
    """

    @property
    def label(self) -> str:
        """A word for people: what is being computed."""
        ...

    def run(self) -> Any:
        """Compute; deterministic in the job's fields."""
        ...


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people want to know. ``kind`` is stable for scripts, ``facts`` are the details."""

    kind: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What the driver must do, in the order of the fields."""

    persist: tuple[Record, ...] = ()
    send: tuple[Send, ...] = ()
    fetch: tuple[Fetch, ...] = ()
    timers: tuple[SetTimer, ...] = ()
    work: tuple[Work, ...] = ()
    notify: tuple[Notice, ...] = ()
