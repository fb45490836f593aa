"""Deciding a height: proposals and votes, accusations of what members signed, and the timeouts of a view."""

from dataclasses import dataclass

from ..agreement.tendermint import Stage
from ..context import Context
from ..ledger.evidence import contradiction
from ..messages.envelope import Verified, verify
from ..messages.kinds import Accusation, Deal, Prevote, Proposal
from ..sync.catchup import CatchUp
from ..timers import StageTimeout, SumGrace
from .heights import Heights


@dataclass(slots=True)
class Votes:
    """Hands what concerns the current height, or the one before, to its agreement."""

    ctx: Context
    catchup: CatchUp
    heights: Heights

    def on_message(self, received: Verified, blob: bytes | None) -> None:
        """Take a proposal or vote; keep one of a later height, and help the sender of one of a past height."""
        ctx, heights = self.ctx, self.heights
        if received.height < ctx.height:
            if heights.previous is None or not heights.previous.on_late(received):
                self.catchup.help(received.sender, received.height)
            return
        if not ctx.listens_to(received.sender):
            return
        if received.height > ctx.height or heights.agreement is None or self.catchup.proving is not None:
            ctx.early.keep(received, blob)
            self.catchup.on_head(received.sender, received.height - 1)
            return
        if isinstance(received.message, Proposal):
            heights.agreement.on_proposal(received, blob)
            return
        heights.agreement.on_vote(received)
        if heights.agreement is not None:
            for signer in heights.agreement.certified_elsewhere():
                self.catchup.on_head(signer, ctx.height)

    def on_accusation(self, accusation: Accusation) -> None:
        """Take what a member signed and another one passed on: two statements that contradict each other, or one."""
        ctx, state = self.ctx, self.ctx.state
        first = verify(accusation.first, state.federation)
        second = first if accusation.second is None else verify(accusation.second, state.federation)
        if not isinstance(first, Verified) or not isinstance(second, Verified):
            return
        # An evicted member still belongs to its round: unless all know, some members would go on to count its share.
        if first.sender not in state.audience and not state.may_be_evicted(first.sender):
            return
        if accusation.second is None:
            self._on_single(first)
            return
        ctx.accuse(first, second)
        if ctx.sharing is not None and contradiction((first, second)) is not None:
            ctx.sharing.on_contradiction(first)

    def _on_single(self, said: Verified) -> None:
        """Look at a vote or a dealing that a third member passed on: its author may have kept it from this one."""
        message, sharing = said.message, self.ctx.sharing
        if said.sender == self.ctx.me:
            return
        if isinstance(message, Prevote):
            self._on_late_vote(said)
        elif isinstance(message, Deal) and sharing is not None and message.round == sharing.round:
            sharing.on_deal(said, None)

    def _on_late_vote(self, vote: Verified) -> None:
        if self.heights.agreement is not None and vote.height == self.ctx.height:
            self.heights.agreement.on_vote(vote)
        elif self.heights.previous is not None:
            self.heights.previous.on_late(vote)

    def on_timeout(self, timeout: StageTimeout) -> None:
        """End a stage of a view that did not come about in time."""
        if timeout.height == self.ctx.height and self.heights.agreement is not None:
            self.heights.agreement.on_timeout(Stage(timeout.stage), timeout.view)

    def on_grace(self, grace: SumGrace) -> None:
        """Open the sum with the sum shares that came in time."""
        if grace.height == self.ctx.height and self.heights.open_sum is not None:
            self.heights.open_sum.try_open(grace.view, after_grace=True)
