"""A party's seat in one run of a protocol: who takes part, in which order, and that this party runs it once.

What a party draws follows from its seed and the run. Had honest parties the same draws in two generations of a key, a
party that deviates would add d to its own share of p in the second one, and the two moduli p·q and (p + d)·q would have
q in common. A caller therefore writes down each session durably before the first message of it leaves, and a machine
cannot be made without that.
"""

from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from ...identity.identity import PUBLIC_BYTES, Identity
from ..errors import RunBefore

SESSION_BYTES: Final = 32
MAX_SEATS: Final = 255

Book = Callable[[bytes], bool]
"""Writes a session down and returns True once that is durable; returns False for a session that it had before."""

_WITNESS: Final = object()


class Seat:
    """One party's place among the members of one run. Only `take_seat` makes one, and one machine uses it up.

    Never pickled: it holds the identity that signs what the party says.
    """

    __slots__ = ("_used", "identity", "me", "members", "session")

    def __init__(self, session: bytes, members: tuple[bytes, ...], identity: Identity, witness: object) -> None:
        if witness is not _WITNESS:
            raise TypeError("only take_seat makes a Seat")
        self.session: Final = session
        self.members: Final = members
        self.identity: Final = identity
        self.me: Final = members.index(identity.public)
        self._used = False

    def __repr__(self) -> str:
        return f"<Seat {self.me} of {len(self.members)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a seat holds an identity and is not pickled")

    def use(self) -> None:
        """Use the seat up. Raises RunBefore the second time."""
        if self._used:
            raise RunBefore("this seat has been used: a session is run once")
        self._used = True


def take_seat(session: bytes, members: Sequence[bytes], identity: Identity, book: Book) -> Seat:
    """Take this party's seat in a session, after the book has it durably.

    Args:
        session: 32 bytes that name the run among all others: a plan's `lockstep_session()`.
        members: the Ed25519 keys of all parties in their order, as the federation decided it: a plan's `members`.
        identity: this party's own, which signs what it says.
        book: writes the session down durably. It must survive a crash of the process.

    Raises:
        RunBefore: the book had the session already.
        ValueError: the session or a key has another length, a key comes twice, or the identity is no member's.
    """
    check_members(members)
    if len(session) != SESSION_BYTES:
        raise ValueError(f"a session has {SESSION_BYTES} bytes, not {len(session)}")
    if identity.public not in members:
        raise ValueError("the identity is that of no member")
    if not book(session):
        raise RunBefore("this session was begun before: begin another one, with a new attempt number")
    return Seat(session, tuple(members), identity, _WITNESS)


def check_members(members: Sequence[bytes]) -> None:
    """Raise ValueError unless these are different Ed25519 keys, 2 to 255 of them."""
    if not 2 <= len(members) <= MAX_SEATS:
        raise ValueError(f"a run has 2 to {MAX_SEATS} parties, not {len(members)}")
    if any(len(member) != PUBLIC_BYTES for member in members):
        raise ValueError(f"a member is named by an Ed25519 key of {PUBLIC_BYTES} bytes")
    if len(set(members)) != len(members):
        raise ValueError("a member comes twice")
