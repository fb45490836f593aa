"""Liars that try to go unheard later: they accuse themselves of other things first, or complain falsely first."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace as with_fields

from ...protocol.events import Send
from ...protocol.ledger.phases import Phase
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Accusation, Complaint, Deal, Precommit, Prevote, Proposal, UpheldComplaint
from ..engine.adversary import Flood
from . import forging
from .collusion import Colluder
from .views import QuietComplaint

if TYPE_CHECKING:
    from ...protocol.node import Node
    from ..engine.simulation import Simulation
    from ..engine.site import Site

_STRIKE_MS: Final = 200
_SECOND_MS: Final = 60


class OldAccusation(Colluder):
    """Accuses itself before all of an old contradiction, then shows the victim alone a new one, and does not vote.

    If members passed on only one accusation of a member, the victim would leave it out and the others insist on it.
    """

    name = "old-accusation"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._struck = -1
        """The round in which it did so; -1 before."""
        self._deals_at = 0

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said, node, now_ms = message.message, self.site.node, self.simulation.clock.elapsed_ms
        if message.sender != self.site.key or node is None:
            return (send,)
        round_, is_open = node.state.round, node.state.phase is Phase.SHARING
        if isinstance(said, Deal) and said.round == round_ > 1 and is_open and self._struck < 0:
            self._struck, self._deals_at = round_, now_ms + _STRIKE_MS
            self.simulation.clock.after(_STRIKE_MS, self._accuse, message)
        if round_ != self._struck:
            return (send,)
        waits = isinstance(said, Deal) and now_ms < self._deals_at
        return () if waits or isinstance(said, Prevote | Precommit | Proposal) else (send,)

    def _accuse(self, dealt: Verified) -> None:
        deal, node = dealt.message, self.site.node
        assert isinstance(deal, Deal)
        if node is None or node.ctx.sharing is None or node.state.round != self._struck:
            return
        both = (deal, forging.with_other_root(deal))
        old = [self.sign(with_fields(one, round=deal.round - 1)) for one in both]
        for other in self.others:
            self.say(other, self.sign(Accusation(*old)))
            node.ctx.sharing.send_deal(other.key)
        self.simulation.carry_out(self.site, node.ctx.out.flush())
        second = self.sign(forging.with_other_root(deal), dealt.height, dealt.view)
        self.simulation.clock.after(_SECOND_MS, self.say, self.plan.victim, second)


class FutureAccusations(Flood):
    """Accuses itself of dealing twice in future rounds, in another one each time."""

    name = "future-accusations"
    every_ms = 100

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._deal: Deal | None = None
        self._rounds = 0

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if isinstance(message.message, Deal) and message.sender == self.site.key:
            self._deal = message.message
        return (send,)

    def burst(self, node: "Node") -> None:
        if self._deal is None:
            return
        self._rounds += 1
        round_ = node.state.round if self._rounds == 1 else node.state.round + 1_000 + self._rounds
        both = [with_fields(one, round=round_) for one in (self._deal, forging.with_other_root(self._deal))]
        accusation = self.sign(Accusation(*map(self.sign, both)))
        for other in self.others:
            self.say(other, accusation)


class TwoComplaints(QuietComplaint):
    """Like ``quiet-complaint``, but shows the others a false complaint, so that they do not listen to it any more.

    It does not vote.
    """

    name = "two-complaints"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said = message.message
        if isinstance(said, UpheldComplaint | Prevote | Precommit | Proposal) and message.sender == self.site.key:
            return ()
        if not isinstance(said, Complaint) or receiver is self.plan.victim or message.sender != self.site.key:
            return super().bend_send(receiver, message, send)
        false = forging.with_false_secret(said, self.random)
        return (Send(send.to, self.sign(false, message.height, message.view), send.blob),)
