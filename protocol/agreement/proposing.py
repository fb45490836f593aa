"""This member's own proposals at one height: new ones in its turn, or the valid value again."""

from collections.abc import Callable
from dataclasses import dataclass

from ..context import Context
from ..ledger.blocks import Block, Body, Contributors, block_hash, claimed_sum
from ..messages.envelope import Verified
from ..messages.kinds import Proposal
from ..records import VoteKind
from .candidates import Candidates
from .choosing import Choosing
from .open_sum import OpenSum
from .tendermint import Consensus, ProposeNow
from .validity import acks_behind, newcomers
from .voting import polka_and_proof


@dataclass(slots=True)
class Proposing:
    """The proposals of one member at one height."""

    ctx: Context
    consensus: Consensus
    candidates: Candidates
    open_sum: OpenSum | None
    choosing: Choosing
    take: Callable[[Verified, bytes | None], None]
    """Takes a proposal of this member, and its blob, as those of others are taken."""
    _turn: int | None = None
    """The view in which it is this member's turn and nothing could be proposed yet."""
    _proposal: tuple[bytes, bytes | None] | None = None
    """This member's latest proposal and its blob, to send again."""

    def try_turn(self) -> None:
        """Propose, if it is this member's turn and there is something to propose now."""
        if self._turn is not None and self._turn == self.consensus.view:
            self.propose_new(self._turn)

    def end_turn(self) -> None:
        """Note that another view has begun."""
        self._turn = None

    def propose_new(self, view: int) -> None:
        """Line 18, getValue(): propose a new value; if there is none yet, remember the turn."""
        self._turn = view
        body = self._value(view)
        if body is None:
            return
        acks: tuple[bytes, ...] = ()
        vector = vector_hash = None
        if isinstance(body, Contributors):
            assert self.ctx.sharing is not None
            acks = acks_behind(self.ctx.sharing, body, view)
        elif claimed_sum(body) is not None:
            assert self.open_sum is not None
            opened = self.open_sum.summing.outcome()
            assert opened is not None
            vector, vector_hash = opened[1], claimed_sum(body)
        data = Block(self.ctx.height, self.ctx.state.head, body).encode()
        self._publish(Proposal(data, -1, acks, (), vector_hash), vector, view)

    def _value(self, view: int) -> Body | None:
        """Return the body to propose in this view; None if there is nothing to decide yet."""
        return self.choosing.value(view) if self.open_sum is None else self.open_sum.giving_up.value(view)

    def propose_again(self, action: ProposeNow) -> None:
        """Line 16: propose the valid value, with the prevotes that made it so."""
        assert action.value is not None
        known = self.candidates[action.value]
        polka = polka_and_proof(self.consensus, self.open_sum, action.valid_view, action.value)
        vector = self.open_sum.vector_of(action.value) if self.open_sum is not None else known.vector
        vector_hash = self.candidates.claim(action.value)
        self._publish(Proposal(known.data, action.valid_view, (), polka, vector_hash), vector, action.view)

    def _publish(self, message: Proposal, vector: bytes | None, view: int) -> None:
        self._turn = None
        if not self.ctx.guard.permits(self.ctx.height, view, VoteKind.PREVOTE, block_hash(message.block)):
            return  # a member that may not even prevote for it may have proposed another block before a restart
        self.ctx.out.enter(self.ctx.height, view)
        own = self.ctx.out.sealed(message)
        self._proposal = (own.raw, vector)
        # This member's own prevote is made durable in this very step, before the proposal is sent. So a restarted
        # proposer finds it and does not propose a second block for the view.
        self.take(own, vector)
        self.ctx.out.send(None, own.raw, vector)

    def resend(self, to: bytes | None) -> None:
        """Repeat this member's proposal, if it is of this view."""
        view = self.consensus.view
        is_proposer = self._proposal is not None and self.ctx.state.proposer(view) == self.ctx.me
        if self._proposal is not None and is_proposer and not self._is_taken_back(view):
            self.ctx.out.send(to, self._proposal[0], self._proposal[1])

    def _is_taken_back(self, view: int) -> bool:
        """Whether this member's proposal of this view admits a newcomer that has taken its request back since.

        Then it is not repeated: a member that comes back now would give it the vote that it lacked. A block that a
        quorum has prevoted for is repeated all the same, since members may be locked on it.
        """
        digest = self.candidates.in_view(view)
        known = self.candidates.get(digest)
        if known is None or (self.consensus.valid is not None and self.consensus.valid[0] == digest):
            return False
        return bool(newcomers(self.ctx.state, known.block.body) - self.ctx.pool.candidates)

    def close(self) -> None:
        """Drop the proposal: the height is decided."""
        self._proposal = None
