"""Values that all parties open together: nobody sees another party's before its own is fixed.

In a round all parties send, but nothing makes them send at the same time: a party that deviates waits for what all
others publish, and chooses its own message by it. Where shares that add up are published, the last one to speak makes
the sum what it likes. So whatever is opened in public is committed to one round before.

Blum, "Coin flipping by telephone" (1981), for committing before opening; the commitment is a hash, so it hides as far
as the nonce is random, and binds as SHA-256 is collision resistant.
"""

from typing import Final

from ..prng import derive
from .arithmetic import digest, join
from .scripts import Fault, Inbox, Outgoing, Script

NONCE_BYTES: Final = 32


def openly(session: bytes, me: int, seed: bytes, label: bytes, data: bytes) -> Script[Inbox]:
    """Two rounds: commit to the data, then open it; gives the data of all parties, as public messages.

    session, label: what is opened, where: the same for all, and a label is used once with a seed; seed: 32 secret
    bytes, from which the nonce follows, so that an audit that knows the seed replays both rounds. Raises Fault for a
    party that opens anything else than it committed to.
    """
    nonce = derive(seed, b"opening|" + label)
    inbox = yield Outgoing(_commitment(session, me, label, nonce + data))
    commitments = inbox.public
    inbox = yield Outgoing(nonce + data)
    for party, opened in enumerate(inbox.public):
        if _commitment(session, party, label, opened) != commitments[party]:
            raise Fault(party, "it opened something else than it had committed to")
    return Inbox(tuple(opened[NONCE_BYTES:] for opened in inbox.public), inbox.private)


def _commitment(session: bytes, party: int, label: bytes, opened: bytes) -> bytes:
    """The hash names the party: nobody commits to what another party will open."""
    return digest(b"opening", session, label, join([party], 1), opened)
