"""What every adversary is: a bend in an honest node's ways.

A Byzantine site runs the same node as everybody, with one or more adversaries between it and the world. They
hold the site's key, so whatever they want to say they can sign; they cannot sign for anybody else.
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
    """When a strategy has its say on what its site sends, where the site has several; see :mod:`.chain`."""

    BLOCK = 0
    """Which block is spoken for."""
    PROOF = 1
    """What speaks for it."""
    CONTENT = 2
    RECEIVER = 3
    """Who gets it."""
    SAID = 4
    """What was really said is noted."""
    TIME = 5
    """When it leaves."""


class Adversary:
    """Override what is to be bent. One instance a site."""

    name = ""
    """What people call it by on a command line."""
    turn = Turn.CONTENT

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        self.simulation = simulation
        self.site = site
        self.random = random.Random(f"adversary {simulation.seed} {site.number} {self.name}")

    def on_started(self) -> None:
        """The site's node was made, at the first start or after a crash."""

    def on_event(self, event: Event) -> bool:
        """See an event first; returns whether the node may have it too."""
        return True

    def bend_step(self, event: Event, step: Step) -> Step:
        """Change what the node does."""
        return step

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        """Change what is sent to one receiver: nothing, one or several messages.

        ``message`` is what ``send`` says, with what other strategies have changed already.
        """
        return (send,)

    def bend_result(self, work: Any, result: Any) -> Any:
        """Change what a job of this site has computed."""
        return result

    def claimed_height(self, height: int) -> int:
        """Change what the heartbeat says of this site's ledger."""
        return height

    def lets_crawl(self, receiver: "Site") -> bool:
        """Whether what a site pulls from this one comes so slowly that it might as well not come."""
        return False

    # -- tools

    @cached_property
    def others(self) -> list["Site"]:
        """Everybody else."""
        return [one for one in self.simulation.sites if one is not self.site]

    @cached_property
    def half(self) -> frozenset[int]:
        """A fixed half of the others, by number: those who get the second story. Another one for each strategy."""
        chosen = random.Random(f"half {self.simulation.seed} {self.site.number} {self.name}")
        numbers = [one.number for one in self.others]
        return frozenset(chosen.sample(numbers, len(numbers) // 2))

    def sign(self, message: Message, height: int | None = None, view: int | None = None) -> bytes:
        """Sign anything, by default as of the height and view that the node is in."""
        node = self.site.node
        if node is not None:
            height = node.state.height + 1 if height is None else height
            view = node.view if view is None else view
        return seal(self.site.identity, self.simulation.federation, height or 0, view or 0, message)

    def read(self, raw: bytes) -> Verified | None:
        """Read a signed message."""
        found = verify(raw, self.simulation.federation)
        return found if isinstance(found, Verified) else None

    def say(self, receiver: "Site", raw: bytes, blob: bytes | None = None) -> None:
        """Send a signed message past one's own node and adversaries."""
        self.simulation.transmit(self.site, receiver, Send(receiver.key, raw, blob))

    def leave_and_return(self, look_ms: int, away_ms: int) -> None:
        """Leave, look every ``look_ms`` whether it is let go, and come back ``away_ms`` later, as a restarted peer."""
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
        """Return the message that an event brings, if it is one."""
        return event.message if isinstance(event, Received) else None


class Flood(Adversary):
    """Says a great many things at once, time and again, as long as its site is up."""

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
        """Say them."""
        raise NotImplementedError
