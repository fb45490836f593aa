"""Lies about boxes: their keys, their contents, and the members that are handed them and keep them.

A missing ack is settled by members that keep the holder's box (:mod:`coterie.protocol.round.acks`). These liars want an
unsettled dealing to look settled, or a settled one to look unsettled.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace as with_fields

from ...protocol.events import Event, Received, Send
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Ack, Deal, HandBox, Proposal, SumShare
from ...protocol.schemes.base import Dealing
from ..engine.adversary import Adversary, Flood
from . import forging
from .collusion import Colluder

if TYPE_CHECKING:
    from ...protocol.node import Node
    from ..engine.simulation import Simulation
    from ..engine.site import Site

FLOOD_BOXES: Final = 6


def _with_other_block(
    liar: Adversary, message: Verified, send: Send, other: Callable[["Site", bytes], bytes | None]
) -> Send:
    """Return a new proposal of the liar with another block, which ``other`` makes; return anything else unchanged."""
    said = message.message
    if not isinstance(said, Proposal) or message.sender != liar.site.key or said.valid_view >= 0:
        return send
    data = other(liar.site, said.block)
    if data is None:
        return send
    changed = with_fields(said, block=data)
    return Send(send.to, liar.sign(changed, message.height, message.view), send.blob)


class BadTerms(Adversary):
    """Deals with an invalid key of its boxes or with impossible seeded holders, in another way each round."""

    name = "bad-terms"

    def bend_result(self, work: Any, result: Any) -> Any:
        if not isinstance(result, Dealing) or not forging.has_shares(result):
            return result
        return forging.with_bad_terms(result, self.random)


class FalseOpening(Adversary):
    """Complains about good boxes, with a secret that does not open them."""

    name = "false-opening"

    def on_event(self, event: Event) -> bool:
        message = self.received(event)
        if message is None or not isinstance(message.message, Deal) or not isinstance(event, Received):
            return True
        made = forging.complaint(self.site, message, event.blob or b"")
        if made is not None and self.random.random() < 0.7:
            raw = self.sign(forging.with_false_secret(made[0], self.random))
            for other in self.others:
                self.say(other, raw, made[1])
        return True


class FalseKeeper(Adversary):
    """Says that it keeps all boxes, and hands false ones to half of the members and none to the rest."""

    name = "false-keeper"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said = message.message
        if message.sender != self.site.key:
            return (send,)
        if isinstance(said, Ack):
            return (Send(send.to, self.sign(forging.with_false_keeps(said), message.height, message.view)),)
        if isinstance(said, HandBox) and not forging.is_own_box(self.site, said):
            if receiver.number not in self.half or send.blob is None:
                return ()
            blob = bytes([send.blob[0] ^ 1]) + send.blob[1:]
            other = forging.with_other_box(said, hashlib.sha256(blob).digest())
            return (Send(send.to, self.sign(other, message.height, message.view), blob),)
        return (send,)


class HandToColluders(Colluder):
    """Keeps its dealing from an honest member, and hands that member's box to the other liars alone."""

    name = "hand-to-colluders"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self.hides = False

    @property
    def undealt(self) -> tuple["Site", ...]:
        return (self.plan.bystander(self.site),)

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said = message.message
        if isinstance(said, HandBox) and message.sender == self.site.key and forging.is_own_box(self.site, said):
            return () if receiver.is_honest else (send,)
        return super().bend_send(receiver, message, send)


class AckToDealer(Colluder):
    """Shows its ack of the victim's dealing to the victim alone, and to the others an ack without it."""

    name = "ack-to-dealer"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said, node, victim = message.message, self.site.node, self.plan.victim
        if not isinstance(said, Ack) or message.sender != self.site.key or node is None or receiver is victim:
            return super().bend_send(receiver, message, send)
        place = node.state.committee.index(victim.key)
        fewer = said if place is None else forging.without(said, (place,))
        return () if fewer is None else (Send(send.to, self.sign(fewer, message.height, message.view)),)


class TakeIn(HandToColluders):
    """Proposes all dealings that any member has acked, its own among them, though an honest member lacks its share."""

    name = "take-in"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        for one in super().bend_send(receiver, message, send):
            yield _with_other_block(self, message, one, forging.contributors_with_all)


class FewHolders(Colluder):
    """Proposes the fewest holders that can open a sum, the liars among them, and withholds its own sum share."""

    name = "few-holders"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if isinstance(message.message, SumShare) and message.sender == self.site.key:
            return ()
        return (_with_other_block(self, message, send, self._narrow),)

    def _narrow(self, site: "Site", data: bytes) -> bytes | None:
        return forging.contributors_with_few_holders(site, data, [one.key for one in self.plan.liars])


class BoxFlood(Flood):
    """Hands over boxes that nobody dealt, of any dealer and for any holder, again and again."""

    name = "box-flood"
    every_ms = 900

    def burst(self, node: "Node") -> None:
        for _ in range(FLOOD_BOXES):
            blob = self.random.randbytes(self.random.choice((1, 64, 300)))
            raw = self.sign(forging.any_box(node.state, blob, self.random))
            for other in self.others:
                self.say(other, raw, blob if self.random.random() < 0.8 else None)
