"""Values that all parties open together: nobody sees another party's before its own is fixed.

In a round all parties send, but nothing makes them send at the same time. A party that deviates waits for all others'
messages, and chooses its own by them. Where parties publish shares of a sum, the last one to speak chooses the sum. So
every value that is opened in public is committed to one round before.

Source: Blum, "Coin flipping by telephone" (1981). The commitment is a hash: it hides the data because the nonce is
random, and binds its author because SHA-256 is collision resistant.
"""

from typing import Final

from ...prng import derive
from ..arithmetic import digest, join
from ..rounds.scripts import Fault, Inbox, Outgoing, Script

NONCE_BYTES: Final = 32


def openly(session: bytes, me: int, seed: bytes, label: bytes, data: bytes) -> Script[Inbox]:
    """Two rounds: commit to the data, then open it; gives the data of all parties, as public messages.

    Args:
        session: of the run, the same for all parties.
        me: this party.
        seed: 32 secret bytes. The nonce follows from it, so an audit that knows the seed can replay both rounds.
        label: names the opening, the same for all parties. It is used once with a seed.
        data: this party's.

    Raises:
        Fault: a party opened something else than it had committed to.
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
    """The hash names the party, so that nobody can repeat the commitment of another party."""
    return digest(b"opening", session, label, join([party], 1), opened)
