"""Lies that few members see, lies of a member that has left, and a departure that some learn of too late."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ...crypto.field import P
from ...protocol.events import Event, Send, Step
from ...protocol.ledger.phases import Phase
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Precommit, Prevote
from ..engine.adversary import Adversary
from ..engine.site import Turn

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site

AWAY_MS: Final = 1_500
"""How long a liar that has left stays away before it asks to be admitted again."""

BACK_MS: Final = 100
"""How long a liar that leaves unseen stays away."""

NOTHING: Final = b"\7" * 32
"""The hash of no block."""


class FalseZToOne(Adversary):
    """Gives one member a false z with each vote, always the same member, and all others the true one."""

    name = "false-z-to-one"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._shown = self.random.choice(self.others)

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        vote = message.message
        if receiver is not self._shown or not isinstance(vote, Prevote) or vote.z is None or vote.block_hash is None:
            return (send,)
        if message.sender != self.site.key:
            return (send,)
        false = Prevote(vote.block_hash, ((vote.z[0] + 1) % P, vote.z[1]))
        return (Send(send.to, self.sign(false, message.height, message.view), send.blob),)


class LieAfterLeaving(Adversary):
    """Leaves while shares are dealt, precommits two blocks while it still belongs to that round, and comes back."""

    name = "lie-after-leaving"
    turn = Turn.BLOCK

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._has_asked = False

    def bend_step(self, event: Event, step: Step) -> Step:
        node = self.site.node
        if not self._has_asked and node is not None and node.ctx.is_member and node.state.phase is Phase.SHARING:
            self._has_asked = True
            self.leave_and_return(AWAY_MS, AWAY_MS)
        return step

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        vote, node = message.message, self.site.node
        if (
            node is None
            or message.sender != self.site.key
            or not isinstance(vote, Precommit)
            or vote.block_hash is None
        ):
            return (send,)
        if node.ctx.is_member or not self._has_asked:
            return (send,)
        return (send, Send(send.to, self.sign(Precommit(NOTHING), message.height, message.view)))


class ReturnUnseen(Adversary):
    """Leaves while another member is away, comes back in the same round, and says nothing more in it.

    The other member learns of both at once when it is back, and may take the liar for one that was never gone.
    """

    name = "return-unseen"
    turn = Turn.RECEIVER

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._round = -1
        """The round in which it left; -1 before."""

    def bend_step(self, event: Event, step: Step) -> Step:
        node = self.site.node
        if self._round < 0 and node is not None and node.ctx.is_member and node.state.phase is Phase.SHARING:
            others = (one for one in self.others if node.state.member(one.key) is not None)
            has_dealt = node.ctx.sharing is not None and node.ctx.sharing.vector is not None
            if has_dealt and any(one.key not in node.ctx.alive for one in others):
                self._round = node.state.round
                self.leave_and_return(BACK_MS, BACK_MS)
        return step

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        """Vote until this site is a member again, since all votes are needed; then be silent until the round ends."""
        node = self.site.node
        has_left = node is not None and node.ctx.is_member and self.site.key in node.state.gone
        is_quiet = has_left and node is not None and node.state.round == self._round
        return () if is_quiet and message.sender == self.site.key else (send,)
