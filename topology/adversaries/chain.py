"""Several strategies of one liar at a time: each sees what the one before it has made of a message.

What a message says is bent first, who gets it is chosen then, and when it leaves last. So the order in which people
name the strategies changes nothing, and none undoes what another one did.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...protocol.events import Send
from .base import Adversary

if TYPE_CHECKING:
    from ..simulation import Simulation
    from ..site import Site

__all__ = ["bend", "in_order"]


def in_order(adversaries: Iterable[Adversary]) -> tuple[Adversary, ...]:
    """Return the strategies of a site in the order in which they are to bend what it sends."""
    return tuple(sorted(adversaries, key=lambda one: (one.turn, one.name)))


def bend(
    simulation: "Simulation", site: "Site", receiver: "Site", send: Send, without: Adversary | None = None
) -> list[Send]:
    """Return what a site's strategies make of a message to one receiver. ``without``: who has had its say."""
    sends = [send]
    for adversary in site.adversaries:
        if adversary is without:
            continue
        read = [(message, one) for one in sends if (message := simulation.known(one.envelope)) is not None]
        sends = [out for message, one in read for out in adversary.bend_send(receiver, message, one)]
    return sends
