"""Liars that stop a round by making others wait."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ...protocol.events import Send
from ...protocol.jobs import Encode
from ...protocol.ledger.phases import Phase
from ...protocol.limits import MAX_KEEPER_ACKS
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Ack, HandBox, Precommit, Prevote, Proposal, Weights
from ..engine.site import Turn
from . import forging
from .collusion import Colluder

if TYPE_CHECKING:
    from ..engine.site import Site

OFFER_EVERY_MS: Final = 5
FOLLOW_EVERY_MS: Final = 10


class Crawl(Colluder):
    """Lets the pulls of the victim and of newcomers crawl, and offers newcomers the model before others do.

    It does not vote, and acks all dealings but that of another member, so that all others are needed.
    """

    name = "crawl"

    def on_started(self) -> None:
        self.simulation.clock.after(OFFER_EVERY_MS, self._offer)

    def _offer(self) -> None:
        node = self.site.node
        if node is None:
            return
        for site in self.simulation.sites:
            if site.number in self.simulation.setup.late and site.node is not None and site.node.ctx.weights is None:
                self.say(site, self.sign(Weights(node.state.weights_hash)))
        self.simulation.clock.after(OFFER_EVERY_MS, self._offer)

    def lets_crawl(self, receiver: "Site") -> bool:
        return receiver is self.plan.victim or receiver.number in self.simulation.setup.late

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said, node = message.message, self.site.node
        if message.sender != self.site.key or node is None:
            return (send,)
        if isinstance(said, Proposal | Prevote | Precommit):
            return ()
        if isinstance(said, Ack):
            place = node.state.committee.index(self.plan.bystander(self.site).key)
            left = said if place is None else forging.without(said, (place,))
            return () if left is None else (Send(send.to, self.sign(left, message.height, message.view)),)
        return (send,)


class FailAndGarble(Colluder):
    """Makes a sum fail, seals garbage for the victim while it is repeated, and proposes nothing when that is proved.

    It does so in a round in which it is the first proposer, so that the view fails in which it would be evicted.
    """

    name = "fail-and-garble"
    turn = Turn.RECEIVER
    _has_garbled = False

    def bend_result(self, work: Any, result: Any) -> Any:
        node = self.site.node
        if node is None or self._has_garbled:
            return result
        if isinstance(work, Encode):
            return self._spoil(work, result)
        if forging.is_dealing_job(work) and self.has_failed and node.state.proposer(0) == self.site.key:
            place = forging.committee_of(work).index(self.plan.victim.key)
            self._has_garbled = True
            return result if place is None else forging.garbage_boxes(work, result, [place])
        return result

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        is_own_turn = isinstance(message.message, Proposal) and message.view == 0 and message.sender == self.site.key
        return () if self._has_garbled and is_own_turn else (send,)


class LostKeeper(Colluder):
    """Three liars settle a dealing for the victim alone.

    The first one deals, the second one does not ack that dealing, and the third one makes the victim alone believe that
    it keeps the second one's box. Together with the f honest members that keep the box, this settles the dealing for
    the victim, and for nobody else.

    The third one says that it keeps the box either in an ack that its next ack replaces, or in an ack with many other
    boxes. In the second case the others get these boxes one by one, in so many acks that they prove it is no keeper.
    """

    name = "lost-keeper"

    @property
    def _role(self) -> int:
        return self.plan.liars.index(self.site)

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said, node = message.message, self.site.node
        if message.sender != self.site.key or node is None or len(self.plan.liars) < 3:
            return (send,)
        if isinstance(said, Proposal | Prevote | Precommit):
            return ()
        dealer, holder = (node.state.committee.index(one.key) for one in self.plan.liars[:2])
        if dealer is None or holder is None:
            return (send,)
        if isinstance(said, HandBox) and self._role == 0:
            keepers = self.plan.order[1 : 1 + node.state.committee.f]
            return (send,) if receiver in keepers and said.holder == holder else ()
        if isinstance(said, Ack):
            acks = self._acks(said, dealer, holder, receiver is self.plan.victim)
            return [Send(send.to, self.sign(one, message.height, message.view)) for one in acks]
        return (send,)

    def _acks(self, said: Ack, dealer: int, holder: int, is_victim: bool) -> list[Ack]:
        silent = Ack(said.round, said.dealings, (), said.at_deadline)
        if self._role == 1:
            left = forging.without(silent, (dealer,))
            return [] if left is None else [left]
        mine = dict(said.dealings).get(dealer)
        if self._role < 2 or mine is None:
            return [silent]
        if self.hides:
            return [Ack(said.round, ((dealer, mine),), ((dealer, holder),)), silent] if is_victim else [silent]
        pairs = [(one, other) for one, _ in said.dealings for other in range(MAX_KEEPER_ACKS + 2) if one != other]
        pairs = sorted({(dealer, holder), *pairs[:MAX_KEEPER_ACKS]})
        together = [pairs] if is_victim else [[pair] for pair in pairs]
        return [Ack(said.round, said.dealings, tuple(some), said.at_deadline) for some in together]


class Choosy(Colluder):
    """One liar deals and hands no box over; others do not ack that, and keep no link with the next proposers.

    So each proposer takes the dealing in, because it does not see a member that the dealing is not settled for, and all
    others refuse.
    """

    name = "choosy"

    def on_started(self) -> None:
        self.simulation.clock.after(FOLLOW_EVERY_MS, self._follow)

    def _follow(self) -> None:
        """Keep no link with the next three proposers; it knows the view by the votes that all send it."""
        nodes = [site.node for site in self.simulation.sites if site.node is not None and site.is_honest]
        if nodes and self.plan.liars.index(self.site) > 0 and all(one.state.phase is Phase.SHARING for one in nodes):
            lead = max(nodes, key=lambda one: (one.state.height, one.view))
            next_ones = {self.simulation.by_key[lead.state.proposer(lead.view + step)] for step in range(3)}
            shunned = {site.number for site in next_ones if site.is_honest}
            if shunned != self.simulation.unlinked.get(self.site.number):
                self.simulation.unlinked[self.site.number] = shunned
                self.simulation.detect_later(1)
        self.simulation.clock.after(FOLLOW_EVERY_MS, self._follow)

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said, node = message.message, self.site.node
        if message.sender != self.site.key or node is None or len(self.plan.liars) < 2:
            return (send,)
        if isinstance(said, Proposal | Prevote | Precommit):
            return ()
        dealer = node.state.committee.index(self.plan.liars[0].key)
        if self.site is self.plan.liars[0]:
            return () if isinstance(said, HandBox) else (send,)
        if isinstance(said, Ack) and dealer is not None:
            left = forging.without(Ack(said.round, said.dealings, (), said.at_deadline), (dealer,))
            return () if left is None else (Send(send.to, self.sign(left, message.height, message.view)),)
        return (send,)
