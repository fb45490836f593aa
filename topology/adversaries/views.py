"""Split views: one member is shown what the others are not, so that they never agree on the contributors."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace as with_fields

from ...protocol.events import Event, Send
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import (
    Accusation,
    Ack,
    Complaint,
    Deal,
    HandBox,
    Precommit,
    Prevote,
    Proposal,
    SitOut,
    SumShare,
)
from ..engine.adversary import Adversary
from . import forging
from .boxes import TakeIn
from .collusion import Colluder

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site


class Mask(Colluder):
    """In its turn to propose, shows the victim two votes and then a second dealing, and the others nothing."""

    name = "mask"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._dealt: Verified | None = None
        self._struck = -1
        """The height at which it did so; -1 before."""

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said = message.message
        if message.sender != self.site.key:
            return (send,)
        if isinstance(said, Deal):
            self._dealt = message
        if isinstance(said, Proposal) and said.acks and self._dealt is not None:
            self._struck = message.height
            return self._strike(send, message, self._dealt) if receiver is self.plan.victim else ()
        is_vote = isinstance(said, Prevote | Precommit | Proposal | Accusation)
        return () if is_vote and message.height == self._struck else (send,)

    def _strike(self, send: Send, message: Verified, dealt: Verified) -> Iterable[Send]:
        assert isinstance(dealt.message, Deal)
        for block in (bytes(32), b"\1" * 32):
            yield Send(send.to, self.sign(Prevote(block, None), message.height, message.view))
        other = forging.with_other_root(dealt.message)
        yield Send(send.to, self.sign(other, dealt.height, dealt.view))


class QuietComplaint(Colluder):
    """Seals garbage for the other liars, which complain about it to the victim alone and ack it towards the others.

    A single liar seals it for the victim.
    """

    name = "quiet-complaint"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._ids: dict[tuple[int, bytes], bytes] = {}
        """The ids of the other liars' dealings, by round and dealer."""

    def bend_result(self, work: Any, result: Any) -> Any:
        if not forging.is_dealing_job(work) or not forging.has_shares(result):
            return result
        committee = forging.committee_of(work)
        victims = [site for site in self.plan.liars if site is not self.site] or [self.plan.victim]
        places = [place for site in victims if (place := committee.index(site.key)) is not None]
        return forging.garbage_boxes(work, result, places)

    def on_event(self, event: Event) -> bool:
        message = self.received(event)
        if message is not None and isinstance(message.message, Deal) and message.sender in self._liars:
            made = forging.dealing_id(self.simulation.federation, message.sender, message.message)
            self._ids[message.message.round, message.sender] = made
        return super().on_event(event)

    @property
    def _liars(self) -> set[bytes]:
        return {site.key for site in self.plan.liars}

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said, node = message.message, self.site.node
        if isinstance(said, Complaint) and forging.complained_of(self.site, said) in self._liars:
            return (send,) if receiver is self.plan.victim else ()
        if message.sender != self.site.key or node is None:
            return (send,)
        if not isinstance(said, Ack):
            return (send,)
        committee = node.state.committee
        more = {
            place: made
            for (round_, key), made in self._ids.items()
            if round_ == said.round and (place := committee.index(key)) is not None
        }
        return (Send(send.to, self.sign(forging.with_more_dealings(said, more), message.height, message.view)),)


class SeeSaw(Adversary):
    """Deals nothing. Its acks name all dealings for half of the members, and for the rest all but the receiver's own.

    The halves change places again and again. The acks never contradict each other: those of the second kind also name a
    made-up dealing of the liar itself, and those of the first kind name none of it. Those of the second kind claim to
    keep all boxes, too.
    """

    name = "see-saw"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._said = 0

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said, node = message.message, self.site.node
        if message.sender != self.site.key or node is None:
            return (send,)
        if isinstance(said, Deal | SitOut | HandBox):
            return ()
        if not isinstance(said, Ack):
            return (send,)
        self._said += 1
        committee = node.state.committee
        me, place = committee.index(self.site.key), committee.index(receiver.key)
        if me is None or place is None:
            return (send,)
        if (receiver.number in self.half) == bool(self._said // len(self.others) % 2):
            other = forging.without(said, (me,))
        else:
            made_up = hashlib.sha256(b"made up %d" % said.round).digest()
            other = forging.without(said, (me, place))
            other = None if other is None else forging.with_more_dealings(other, {me: made_up})
            other = None if other is None else forging.with_false_keeps(other)
        return () if other is None else (Send(send.to, self.sign(other, message.height, message.view)),)


class SingleAcks(Colluder):
    """Acks each dealing in an ack of its own, towards all but the victim; it does not vote, so all others are needed.

    A proposal brings the victim these acks, but a voter reads only so many acks of a proposal.
    """

    name = "single-acks"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said = message.message
        if message.sender != self.site.key:
            return (send,)
        if isinstance(said, Prevote | Precommit | Proposal):
            return ()
        if not isinstance(said, Ack):
            return (send,)
        if receiver is self.plan.victim:
            return ()
        single = [with_fields(said, dealings=(one,), kept=()) for one in said.dealings]
        return [Send(send.to, self.sign(one, message.height, message.view)) for one in single]


class LateTakeIn(TakeIn):
    """Keeps its dealing from an honest member, proposes it even so in a later view, and withholds its sum share."""

    name = "late-take-in"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said = message.message
        if message.sender == self.site.key:
            is_early = isinstance(said, Proposal) and bool(said.acks) and message.view == 0
            if is_early or isinstance(said, SumShare):
                return ()
        return super().bend_send(receiver, message, send)
