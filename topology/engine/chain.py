"""Several strategies of one liar at a time: each one changes what the one before it has made of a message.

The content of a message is changed first, then its receivers are chosen, and at last the time at which it leaves. So
the order in which a user names the strategies does not matter, and no strategy undoes the work of another.
"""

from collections.abc import Callable, Iterable

from ...protocol.events import Send
from ...protocol.messages.envelope import Verified
from .site import Conduct, Site

__all__ = ["bend", "in_order"]


def in_order(adversaries: Iterable[Conduct]) -> tuple[Conduct, ...]:
    """Return the strategies of a site in the order in which they change its messages."""
    return tuple(sorted(adversaries, key=lambda one: (one.turn, one.name)))


def bend(
    known: Callable[[bytes], Verified | None], site: Site, receiver: Site, send: Send, without: Conduct | None = None
) -> list[Send]:
    """Return what a site's strategies make of a message to one receiver. ``without``: a strategy that is not asked."""
    sends = [send]
    for adversary in site.adversaries:
        if adversary is without:
            continue
        read = [(message, one) for one in sends if (message := known(one.envelope)) is not None]
        sends = [out for message, one in read for out in adversary.bend_send(receiver, message, one)]
    return sends
