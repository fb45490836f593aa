"""The base of all adversaries, which change what an honest node receives and sends.

A Byzantine site runs the same node as every other site, with one or more adversaries between it and the network. They
hold the site's key, so they can sign anything in its name, and nothing in the name of another site.
"""

import random
from functools import cached_property
from typing import TYPE_CHECKING

from ...protocol.events import Event, Leave, Received, Send
from ...protocol.messages.envelope import Verified, seal, verify
from ...protocol.messages.kinds import Message
from .simulation import Simulation
from .site import Conduct, Site

if TYPE_CHECKING:
    from ...protocol.node import Node

__all__ = ["Adversary", "Flood"]


class Adversary(Conduct):
    """One way to misbehave. Override the hooks for what it changes; each site has its own instance."""

    def __init__(self, simulation: Simulation, site: Site) -> None:
        self.simulation = simulation
        self.site = site
        self.random = random.Random(f"adversary {simulation.seed} {site.number} {self.name}")

    @cached_property
    def others(self) -> list[Site]:
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

    def say(self, receiver: Site, raw: bytes, blob: bytes | None = None) -> None:
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
