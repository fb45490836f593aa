"""Proposed options of the training: what this member proposes and votes, and what the others do.

A proposer broadcasts its proposal with its own vote, and so does each voter. While the proposal is open, they repeat
both now and then. To a member that connects, a member passes on all proposals and votes that it knows. So a vote counts
also after its voter has gone.
"""

from dataclasses import dataclass, field

from ..context import Context
from ..events import NoticeKind, ProposeOptions, VoteOnOptions
from ..ledger.options import OptionsError, id_of, proposed, told
from ..limits import BALLOT_REPEAT_MS
from ..messages.envelope import Verified, verify
from ..messages.kinds import OptionsChange, OptionsProposal, OptionsVote
from ..open_proposals import OpenProposal
from ..records import BallotCast, Memory
from ..timers import RepeatBallots


@dataclass(slots=True)
class Ballots:
    """The part of this member in the votes on options; what is open stands in ``ctx.pool.proposals``."""

    ctx: Context
    _own: dict[bytes, BallotCast] = field(default_factory=dict)
    """This member's votes, by proposal: those on open proposals."""
    _repeats: bool = False

    def restore(self, memory: Memory) -> None:
        """Take back this member's own votes, and the proposals that they are on."""
        ctx = self.ctx
        for ballot in memory.ballots:
            proposal, vote = (verify(raw, ctx.state.federation) for raw in (ballot.proposed, ballot.envelope))
            if isinstance(proposal, Verified) and isinstance(vote, Verified):
                ctx.pool.proposals.add(ctx.state, proposal)
                ctx.pool.proposals.vote(ctx.state, vote)
                self._own[ballot.proposal] = ballot

    def start(self) -> None:
        """Begin to repeat this member's votes, if there are any."""
        self._repeat_later()

    # What this member says.

    def propose(self, event: ProposeOptions) -> None:
        """Propose other options, and vote for them; say why not if that cannot be."""
        ctx = self.ctx
        wrong = self.why_not_propose(event.change)
        if wrong is not None:
            ctx.out.notify(NoticeKind.NOT_VOTED, f"nothing was proposed: {wrong}")
            return
        # A clock that was put back must not make the newest proposal look like an older one.
        mine = [one.proposal.at_ms for one in ctx.pool.proposals.listed(ctx.state) if one.envelope.sender == ctx.me]
        at_ms = max([ctx.now_ms, *(one + 1 for one in mine)])
        proposal = ctx.out.sealed(OptionsProposal(ctx.state.amendments + 1, ctx.state.round, at_ms, event.change))
        ctx.pool.proposals.add(ctx.state, proposal)
        self._announce(proposal)
        self._cast(proposal, accepts=True)

    def why_not_propose(self, change: OptionsChange) -> str | None:
        """Say why this member cannot propose a change now; None if it can."""
        ctx = self.ctx
        if not ctx.is_member:
            return "this peer is no member"
        for one in ctx.pool.proposals.listed(ctx.state):
            if one.envelope.sender == ctx.me and not one.is_refused:
                return f"the proposal {one.id.hex()[:8]} of this member is still open"
        trial = ctx.out.sealed(OptionsProposal(ctx.state.amendments + 1, ctx.state.round, ctx.now_ms, change))
        try:
            proposed(ctx.state, trial)
        except OptionsError as error:
            return str(error)
        return None

    def vote(self, event: VoteOnOptions) -> None:
        """Vote on an open proposal, once and for good."""
        ctx = self.ctx
        wrong = self.why_not_vote(event.proposal)
        if wrong is not None:
            ctx.out.notify(NoticeKind.NOT_VOTED, f"no vote was cast: {wrong}")
            return
        self._cast(self._found(event.proposal).envelope, event.accepts)

    def why_not_vote(self, proposal: bytes) -> str | None:
        """Say why this member cannot vote on a proposal now; None if it can."""
        ctx = self.ctx
        if not ctx.is_member:
            return "this peer is no member"
        if ctx.pool.proposals.of(ctx.state, proposal) is None:
            return "there is no such open proposal"
        return "this member has voted on it already" if proposal in self._own else None

    def _cast(self, proposal: Verified, accepts: bool) -> None:
        """Make a vote durable, and send it with the proposal."""
        ctx = self.ctx
        one = id_of(proposal, ctx.state.federation)
        vote = ctx.out.sealed(OptionsVote(one, accepts))
        ballot = self._own[one] = BallotCast(one, proposal.raw, vote.raw)
        ctx.out.persist(ballot)
        ctx.pool.proposals.vote(ctx.state, vote)
        self._announce_vote(vote)
        self._say(ballot)
        self._repeat_later()

    def _say(self, ballot: BallotCast) -> None:
        self.ctx.out.send(None, ballot.proposed)
        self.ctx.out.send(None, ballot.envelope)

    # What others say.

    def on_proposal(self, proposal: Verified) -> None:
        """Take a proposal, and tell the operator of it."""
        if self.ctx.pool.proposals.add(self.ctx.state, proposal):
            self._announce(proposal)

    def on_vote(self, vote: Verified) -> None:
        """Take a vote, and tell the operator of it."""
        if self.ctx.pool.proposals.vote(self.ctx.state, vote):
            self._announce_vote(vote)

    # Saying it again.

    def on_up(self, member: bytes) -> None:
        """Pass on to a member that has connected all that it may have missed."""
        ctx = self.ctx
        if not ctx.is_member or ctx.state.member(member) is None:
            return
        for one in ctx.pool.proposals.listed(ctx.state):
            for said in (one.envelope, *one.accepting, *one.refusing):
                ctx.out.send(member, said.raw)

    def on_repeat(self) -> None:
        """Repeat this member's votes on open proposals, with the proposals."""
        self._repeats = False
        open_ = {one.id for one in self.ctx.pool.proposals.listed(self.ctx.state)}
        self._own = {one: ballot for one, ballot in self._own.items() if one in open_}
        for ballot in self._own.values():
            self._say(ballot)
        self._repeat_later()

    def _repeat_later(self) -> None:
        if self._own and not self._repeats:
            self._repeats = True
            self.ctx.out.timer(BALLOT_REPEAT_MS, RepeatBallots())

    # What the operator is told.

    def _found(self, proposal: bytes) -> OpenProposal:
        found = self.ctx.pool.proposals.of(self.ctx.state, proposal)
        assert found is not None
        return found

    def _announce(self, proposal: Verified) -> None:
        ctx, one = self.ctx, self._found(id_of(proposal, self.ctx.state.federation))
        member = ctx.state.member(proposal.sender)
        assert member is not None
        who = "this member" if proposal.sender == ctx.me else member.name
        text = f"{who} proposes {told(one.proposal.change)}; {one.needed} of {one.members} members have to agree"
        if proposal.sender != ctx.me:
            text += f". To vote: peer vote yes {one.id.hex()[:8]} (or no)"
        ctx.out.notify(NoticeKind.PROPOSED, text, member=proposal.sender, name=member.name, proposal=one.id)

    def _announce_vote(self, vote: Verified) -> None:
        ctx, message = self.ctx, vote.message
        assert isinstance(message, OptionsVote)
        one, member = self._found(message.proposal), ctx.state.member(vote.sender)
        assert member is not None
        text = f"{member.name} votes {'yes' if message.accepts else 'no'} on {told(one.proposal.change)}"
        text += f" ({one.id.hex()[:8]}): {len(one.accepting)} yes of {one.needed} needed, {len(one.refusing)} no"
        facts = {"accepts": message.accepts, "proposal": one.id}
        ctx.out.notify(NoticeKind.VOTED, text, member=vote.sender, name=member.name, **facts)
