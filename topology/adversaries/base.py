"""The base of all adversaries, which change what an honest node receives and sends.

A Byzantine site runs the same node as every other site, with one or more adversaries between it and the network. They
hold the site's key, so they can sign anything in its name, and nothing in the name of another site.
"""

import random
from collections.abc import Iterable
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...protocol.envelope import Verified, seal, verify
from ...protocol.events import Event, Leave, Received, Send, Step
from ...protocol.messages import Message

if TYPE_CHECKING:
    from ...protocol.node import Node
    from ..simulation import Simulation
    from ..site import Site

__all__ = ["Adversary", "Flood", "Turn"]


class Turn(IntEnum):
    """The order in which several strategies of one site change a message; see :mod:`.chain`.

    Each value says what a strategy of this turn decides.
    """

    BLOCK = 0
    """The block that the message is about."""
    PROOF = 1
    """The proof that goes with the block."""
    CONTENT = 2
    """Anything else in the message."""
    RECEIVER = 3
    """The members that get it."""
    SAID = 4
    """Nothing about the message itself: it sees what is really sent, and may replay it or keep its blob back."""
    TIME = 5
    """The time at which it leaves."""


class Adversary:
    """One way to misbehave. Override the hooks for what it changes; each site has its own instance."""

    name = ""
    """Its name on a command line."""
    turn = Turn.CONTENT

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        self.simulation = simulation
        self.site = site
        self.random = random.Random(f"adversary {simulation.seed} {site.number} {self.name}")

    def on_started(self) -> None:
        """The site's node was created, at the first start or after a crash."""

    def on_event(self, event: Event) -> bool:
        """See an event before the node does; returns whether the node gets it, too."""
        return True

    def bend_step(self, event: Event, step: Step) -> Step:
        """Return the step to carry out in place of the node's."""
        return step

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        """Return the messages to send to one receiver in place of ``send``: none, one or several.

        ``message`` is the content of ``send``, which other strategies may have changed already.
        """
        return (send,)

    def bend_result(self, work: Any, result: Any) -> Any:
        """Return the result to use in place of that of a job of this site."""
        return result

    def claimed_height(self, height: int) -> int:
        """Return the height to claim in the heartbeat, in place of that of this site's ledger."""
        return height

    def lets_crawl(self, receiver: "Site") -> bool:
        """Whether pulls by the receiver from this site are so slow that the receiver gives them up."""
        return False

    # -- tools

    @cached_property
    def others(self) -> list["Site"]:
        """All other sites."""
        return [one for one in self.simulation.sites if one is not self.site]

    @cached_property
    def half(self) -> frozenset[int]:
        """A fixed half of the other sites, by number, which get the second story; each strategy has its own half."""
        chosen = random.Random(f"half {self.simulation.seed} {self.site.number} {self.name}")
        numbers = [one.number for one in self.others]
        return frozenset(chosen.sample(numbers, len(numbers) // 2))

    def sign(self, message: Message, height: int | None = None, view: int | None = None) -> bytes:
        """Sign a message, by default for the height and view that the node is in."""
        node = self.site.node
        if node is not None:
            height = node.state.height + 1 if height is None else height
            view = node.view if view is None else view
        return seal(self.site.identity, self.simulation.federation, height or 0, view or 0, message)

    def read(self, raw: bytes) -> Verified | None:
        """Read a signed message; None for an invalid one."""
        found = verify(raw, self.simulation.federation)
        return found if isinstance(found, Verified) else None

    def say(self, receiver: "Site", raw: bytes, blob: bytes | None = None) -> None:
        """Send a signed message directly, past the site's node and adversaries."""
        self.simulation.transmit(self.site, receiver, Send(receiver.key, raw, blob))

    def leave_and_return(self, look_ms: int, away_ms: int) -> None:
        """Leave the federation, and come back as a restarted peer ``away_ms`` after the departure is decided.

        ``look_ms``: how often to look whether it is decided.
        """
        self.simulation.clock.after(1, self._leave, look_ms, away_ms)

    def _leave(self, look_ms: int, away_ms: int) -> None:
        if self.site.node is not None:
            self.simulation.hand_in(self.site, Leave())
        self.simulation.clock.after(look_ms, self._return, look_ms, away_ms)

    def _return(self, look_ms: int, away_ms: int) -> None:
        node = self.site.node
        if node is not None and node.ctx.is_member:
            self.simulation.clock.after(look_ms, self._return, look_ms, away_ms)
        elif node is not None:
            self.simulation.crash(self.site, away_ms)

    @staticmethod
    def received(event: Event) -> Verified | None:
        """Return the message that an event brings; None if it brings none."""
        return event.message if isinstance(event, Received) else None


class Flood(Adversary):
    """Sends many messages at once, again and again, as long as its site is up."""

    every_ms = 0

    def on_started(self) -> None:
        self._wait(self.site.boots)

    def _wait(self, boot: int) -> None:
        self.simulation.clock.after(self.every_ms, self._flood, boot)

    def _flood(self, boot: int) -> None:
        if self.site.node is not None and self.site.boots == boot:
            self.burst(self.site.node)
            self._wait(boot)

    def burst(self, node: "Node") -> None:
        """Send the messages of one burst."""
        raise NotImplementedError
