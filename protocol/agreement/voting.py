"""This member's own votes at one height: cast through the journal, durable before they are sent, and restored.

Also durable before the vote that follows: the lock and the valid value, with the prevotes and the W behind them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..context import Context
from ..ledger.blocks import block_hash
from ..messages.envelope import Verified, verify
from ..messages.kinds import Precommit, Prevote
from ..records import ValueSeen, VoteCast, VoteKind
from .candidates import Candidates
from .open_sum import OpenSum
from .sum_votes import prevotes_for
from .tendermint import CastVote, Consensus, Remember, Stage


@dataclass(slots=True)
class Voting:
    """The votes that one member casts at one height."""

    ctx: Context
    consensus: Consensus
    candidates: Candidates
    open_sum: OpenSum | None
    take: Callable[[Verified], None]
    """Enters a vote of this member as those of others are entered."""

    def restore(self, votes: Iterable[VoteCast], values: Iterable[ValueSeen]) -> None:
        """Take back what was durable before a restart: votes, lock and valid value."""
        for value in values:
            digest = self.candidates.restore(value.block, value.vector)
            self.consensus.restore_value(digest, value.view, value.locked)
        for vote in sorted(votes, key=lambda one: (one.view, one.kind)):
            self.consensus.restore_step(vote.view, Stage(vote.kind))
            self._restore_vote(vote.envelope)
        for value in values:
            for raw in value.polka:
                self._restore_vote(raw)
            if value.polka and self.open_sum is not None:
                self.open_sum.votes.restore(block_hash(value.block), prevotes_among(self.ctx, value.polka))

    def _restore_vote(self, raw: bytes) -> None:
        vote = verify(raw, self.ctx.state.federation)
        if isinstance(vote, Verified) and isinstance(vote.message, Prevote | Precommit):
            if vote.sender == self.ctx.me:
                kind = VoteKind.PREVOTE if isinstance(vote.message, Prevote) else VoteKind.PRECOMMIT
                self.ctx.guard.record(vote.height, vote.view, kind, vote.message.block_hash)
            self.consensus.enter_vote(vote)

    def cast(self, action: CastVote) -> None:
        """Cast a vote, if the journal permits it."""
        ctx, height, view = self.ctx, self.ctx.height, action.view
        kind = VoteKind(action.stage)
        if not self.consensus.takes_part or not ctx.guard.permits(height, view, kind, action.value):
            return
        z = self.open_sum.votes.own_z(action.value) if self.open_sum is not None else None
        message = Prevote(action.value, z) if kind is VoteKind.PREVOTE else Precommit(action.value)
        ctx.out.enter(height, view)
        own = ctx.out.sealed(message)
        ctx.guard.record(height, view, kind, action.value)
        ctx.out.persist(VoteCast(height, view, kind, own.raw))
        ctx.out.send(None, own.raw)
        ctx.out.enter(height, self.consensus.view)
        self.take(own)

    def remember(self, action: Remember) -> None:
        """Make the lock or the valid value durable, before the vote that follows."""
        known = self.candidates[action.value]
        vector: bytes | None = None
        polka: tuple[bytes, ...] = ()
        if not action.locked:
            # In lines 37 to 43 lock and valid value are the same: W goes to the disk once, with the valid value.
            polka = polka_and_proof(self.consensus, self.open_sum, action.view, action.value)
            vector = self.open_sum.vector_of(action.value) if self.open_sum is not None else known.vector
        self.ctx.out.persist(ValueSeen(self.ctx.height, action.view, action.locked, known.data, vector, polka))

    def resend(self, to: bytes | None) -> None:
        """Repeat this member's votes of this view, and of the one before.

        If this member is one view ahead, the others' quorum there may lack its votes.
        """
        view = self.consensus.view
        for one in (view - 1, view):
            for votes in (self.consensus.prevotes(one), self.consensus.precommits(one)):
                own = votes.get(self.ctx.me)
                if own is not None:
                    self.ctx.out.send(to, own.raw)


def polka_and_proof(consensus: Consensus, open_sum: OpenSum | None, view: int, digest: bytes) -> tuple[bytes, ...]:
    """Return the prevotes of a view for a block and, if it is about a sum, those of any view that proved W."""
    polka = [vote.raw for vote in prevotes_for(consensus, view, digest).values()]
    if open_sum is not None:
        polka += open_sum.votes.proof(digest)
    return tuple(dict.fromkeys(polka))


def prevotes_among(ctx: Context, envelopes: tuple[bytes, ...]) -> list[Verified]:
    """Return the prevotes of this height among envelopes that came with a proposal or from the disk.

    A polka and a proof have two votes of each member at most. Further envelopes are ignored, since each costs a
    signature check.
    """
    enough = 2 * ctx.state.committee.n
    votes = [verify(raw, ctx.state.federation) for raw in envelopes[:enough]]
    return [
        vote
        for vote in votes
        if isinstance(vote, Verified) and isinstance(vote.message, Prevote) and vote.height == ctx.height
    ]
