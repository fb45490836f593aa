"""What the network reports to the driver, and the rows of the peers table."""

from dataclasses import dataclass

from .greeting import Greeting


@dataclass(frozen=True, slots=True)
class Connected:
    """A link is up. `greeting` says what the peer said of itself: federation, genesis, name."""

    member: bytes
    greeting: Greeting
    is_stranger: bool = False
    """Whether it dialled us and is no member: users need not be told of each."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The link to `member` is over."""

    member: bytes
    reason: str
    is_stranger: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """An envelope from the authenticated peer `member`, with its inline blob."""

    member: bytes
    envelope: bytes
    blob: bytes | None


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat of `member` with its driver's status. Dropped when the driver is behind."""

    member: bytes
    status: bytes


@dataclass(frozen=True, slots=True)
class Pace:
    """`member` began to send more than it may (`is_overrun`), so that what it says comes late; or has ceased to."""

    member: bytes
    is_overrun: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no link, and dialling again will not help. `by_peer`: whether the peer refused us, or we refused it."""

    member: bytes
    reason: str
    by_peer: bool
    is_stranger: bool = False


@dataclass(frozen=True, slots=True)
class Unreachable:
    """An address that our user gave does not answer; we keep trying."""

    address: str
    reason: str


Said = Frame | Beat | Pace
"""What members say; the driver hears it."""

Report = Connected | Disconnected | Refused | Unreachable
"""What becomes of links; users are told of it."""

Event = Said | Report


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One line of the peers table."""

    member: bytes
    name: str
    addresses: tuple[str, ...]
    connected: bool
    is_member: bool
    beat_age_seconds: float | None
    rtt_seconds: float | None
    status: bytes
    trouble: str
    down_seconds: float | None = None
    """How long ago the link to it was lost; None if there was none, or is one."""
