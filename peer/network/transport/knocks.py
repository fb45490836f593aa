"""Knocking: how a member shows before any handshake that it is one, while an observer learns nothing.

A flood of strangers uses up the handshakes that their address may have, and with it those of a member behind the same
router. Noise authenticates a caller, but too late. So a peer that dials a member puts a *knock* in front: 16 bytes that
only the two of them can make, new ones each minute. They are the authenticator of an empty NaCl box between the two,
under a nonce made of both keys and the minute. To everybody else they are random bytes. An observer that copies a knock
can use it for a minute or two, to begin the few handshakes that are kept for that member, and no more.

A knock is sent as the name of a protocol that is proposed before Noise. A peer that does not know of knocks answers
that it does not speak that protocol, and the handshake goes on as ever.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

import trio

from ....crypto.identity.identity import NONCE_BYTES, BoxError, Identity
from ....protocol.limits import MAX_MEMBERS

KNOCK_BYTES: Final = 16
MINUTE_SECONDS: Final = 60.0
MAX_EXPECTED: Final = 3 * MAX_MEMBERS
"""Knocks that may come: of each member those of this minute, of the last and of the next, since clocks differ."""

_DOMAIN: Final = b"coterie/knock/1\0"
_PROTOCOL: Final = "/coterie/knock/1/"
MULTISTREAM: Final = b"\x13/multistream/1.0.0\n"
"""What both sides of a connection say first."""

_LINE: Final = bytes((len(_PROTOCOL) + 2 * KNOCK_BYTES + 1,)) + _PROTOCOL.encode()
PEEKED_BYTES: Final = len(MULTISTREAM) + len(_LINE) + 2 * KNOCK_BYTES
"""What a caller that knocks sends first, up to the end of its knock."""

_MEMBERS_A_TURN: Final = 16


def make_knock(identity: Identity, other: bytes, minute: int, *, is_caller: bool) -> bytes:
    """Return the knock between `identity` and `other` in that minute. Raises BoxError for a key without boxes."""
    caller, called = (identity.public, other) if is_caller else (other, identity.public)
    nonce = hashlib.sha256(_DOMAIN + caller + called + minute.to_bytes(8, "big", signed=True)).digest()[:NONCE_BYTES]
    return identity.box_for(other).seal(b"", nonce)[NONCE_BYTES:]


def protocol_name(knock: bytes) -> str:
    """The protocol that a caller proposes in order to knock."""
    return _PROTOCOL + knock.hex()


def read_knock(first: bytes) -> bytes | None:
    """Return the knock in the first bytes of a connection, None if there is none."""
    head = MULTISTREAM + _LINE
    if len(first) < PEEKED_BYTES or not first.startswith(head):
        return None
    try:
        return bytes.fromhex(first[len(head) : PEEKED_BYTES].decode("ascii"))
    except ValueError:
        return None


class Knocks:
    """The knocks of one peer: those that it makes, and those that it expects of members."""

    def __init__(self, identity: Identity, now: Callable[[], float]) -> None:
        """`now`: Unix seconds, by which the minutes are counted at all members."""
        self._identity = identity
        self._now = now
        self._expected: dict[bytes, bytes] = {}

    def for_call(self, member: bytes) -> bytes | None:
        """The knock to send to `member`; None for a key without boxes."""
        try:
            return make_knock(self._identity, member, self._minute(), is_caller=True)
        except BoxError:
            return None

    def whose(self, first: bytes) -> bytes | None:
        """The member whose knock is in the first bytes of a connection; None if there is none that is expected."""
        knock = read_knock(first)
        return None if knock is None else self._expected.get(knock)

    async def expect(self, members: Iterable[bytes]) -> None:
        """Expect knocks of these members in this minute, the one before and the next; replaces what was expected."""
        expected: dict[bytes, bytes] = {}
        minute = self._minute()
        for number, member in enumerate(members):
            if number % _MEMBERS_A_TURN == 0:
                await trio.lowlevel.checkpoint()
            if len(expected) + 3 > MAX_EXPECTED:
                break
            try:
                for one in (minute - 1, minute, minute + 1):
                    expected[make_knock(self._identity, member, one, is_caller=False)] = member
            except BoxError:
                continue
        self._expected = expected

    def _minute(self) -> int:
        return int(self._now() // MINUTE_SECONDS)
