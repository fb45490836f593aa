"""Deciding the next block: Algorithm 1 (:mod:`.tendermint`) joined to the meaning of a block.

One :class:`Agreement` lives for one height. It proposes when it is this member's turn and there is something to
propose, checks what others propose, casts votes through the journal (:mod:`..vote_guard`), and hands the decided block
to the node. What to propose and vote for, :mod:`.choosing` says, and :mod:`.open_sum` at heights at which a sum is
open. docs/protocol.md, "Agreement", explains the rules beyond the paper.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..context import Context
from ..events import NoticeKind
from ..ledger.blocks import Block, Void, block_hash, claimed_sum, read_block
from ..ledger.genesis import is_private
from ..ledger.phases import Phase
from ..ledger.state import LedgerError, apply
from ..limits import BYTES_PER_MS, DEAD_PROPOSER_TIMEOUT_MS, SUM_GRACE_MS, VIEW_TIMEOUT_CAP_MS
from ..messages.envelope import Verified
from ..messages.kinds import Precommit, Prevote, Proposal
from ..records import ValueSeen, VoteCast
from ..timers import StageTimeout, SumGrace
from .candidates import Candidates, is_kept
from .choosing import Choosing
from .open_sum import OpenSum
from .proposing import Proposing
from .tendermint import Action, CastVote, Consensus, Decide, NewView, ProposeNow, Remember, Stage, StartTimeout
from .voting import Voting, prevotes_among


@dataclass(slots=True)
class Agreement:
    """One height's agreement, from this member's side."""

    ctx: Context
    decide: Callable[[bytes, tuple[bytes, ...]], None]
    height: int = field(init=False)
    consensus: Consensus = field(init=False)
    candidates: Candidates = field(default_factory=Candidates)
    choosing: Choosing = field(init=False)
    open_sum: OpenSum | None = field(init=False)
    """The sum that is open at this height, if one is."""
    proposing: Proposing = field(init=False)
    voting: Voting = field(init=False)
    _done: bool = False

    def __post_init__(self) -> None:
        ctx, state = self.ctx, self.ctx.state
        self.height = ctx.height
        self.choosing = Choosing(ctx)
        self.consensus = Consensus(state.committee, ctx.me, state.proposer, self._proves, wanted=self._is_wanted)
        self.open_sum = None
        if ctx.summing is not None:
            self.open_sum = OpenSum(ctx, ctx.summing, self.consensus, self.candidates, self._enter)
        parts = ctx, self.consensus, self.candidates, self.open_sum
        self.voting = Voting(*parts, self.on_vote)
        self.proposing = Proposing(*parts, self.choosing, self.on_proposal)

    # Life.

    def open(self, votes: list[VoteCast], values: list[ValueSeen]) -> None:
        """Start the height; after a restart, from the votes, lock and valid value that were durable."""
        self.voting.restore(votes, values)
        self._act(self.consensus.start())
        self.check_ready()

    def check_ready(self) -> None:
        """See whether there is something to decide now; propose it if it is this member's turn."""
        if self._done:
            return
        if not self.consensus.ready and self._is_ready(self.consensus.view):
            self._act(self.consensus.on_ready())
        if not self._done:
            self.proposing.try_turn()

    def _is_ready(self, view: int) -> bool:
        """Whether there is something that could be proposed in this view."""
        return self.choosing.has_value(view) if self.open_sum is None else self.can_open()

    def can_open(self) -> bool:
        """Whether an open sum has enough holders present; True without one."""
        return self.open_sum is None or self.open_sum.has_holders()

    def _is_wanted(self, view: int) -> bool:
        """Whether a view after the first is needed; it is once a round has begun, since only views can end that."""
        sharing, phase = self.ctx.sharing, self.ctx.state.phase
        has_begun = sharing is None or sharing.may_begin
        return phase is Phase.SUMMING or (phase is Phase.SHARING and has_begun) or self._is_ready(view)

    def _proves(self, digest: bytes, votes: Mapping[bytes, Verified]) -> bool:
        """Whether these prevotes for a block prove its sum, or others that are known do; True if it is about no sum."""
        if digest not in self.candidates:
            return False
        if self.candidates.claim(digest) is None:
            return True
        return self.open_sum is not None and self.open_sum.votes.proves(digest, votes)

    # Proposals.

    def on_proposal(self, proposal: Verified, blob: bytes | None) -> None:
        """Check a proposal of this height, and hand it to the algorithm; one about a sum waits for its W first."""
        ctx, message = self.ctx, proposal.message
        assert isinstance(message, Proposal)
        if self._done or proposal.sender != ctx.state.proposer(proposal.view):
            return
        digest = block_hash(message.block)
        if not self._is_first(proposal, digest):
            return
        try:
            apply(ctx.state, message.block)
            block = read_block(message.block)
        except LedgerError as error:
            ctx.out.fault(proposal.sender, f"proposed an invalid block: {error}")
            self._enter(proposal, digest, False)
            return
        self.candidates.add(message.block, block)
        claimed = claimed_sum(block.body)
        if claimed is not None:
            if self.open_sum is None or message.vector_hash != claimed:
                self._enter(proposal, digest, False)
            else:
                self.open_sum.on_claim(proposal, digest, blob)
            return
        wrong = self._wrong(block, message, proposal.view)
        if wrong and proposal.sender != ctx.me:
            ctx.out.notify(
                NoticeKind.PROPOSAL,
                f"no vote for the proposal of view {proposal.view}: {wrong}",
                member=proposal.sender,
            )
        self._enter(proposal, digest, wrong is None)

    def _is_first(self, proposal: Verified, digest: bytes) -> bool:
        """Whether this is the first proposal of a view, or repeats it, and the view is one that is kept.

        So a proposer can make a member hold one block for each view, however many it signs.
        """
        if not is_kept(proposal.view, self.consensus.view):
            return False
        first = self.candidates.first(proposal.view, digest)
        if first != digest:
            self.ctx.out.fault(proposal.sender, f"proposed two blocks in view {proposal.view}")
        return first == digest

    def _forget_old_proposals(self, view: int) -> None:
        """Drop the proposals of views that are no longer kept, except the lock and the valid value."""
        held = (value[0] for value in (self.consensus.locked, self.consensus.valid) if value is not None)
        views, digests = self.candidates.forget_old(view, held)
        if self.open_sum is not None:
            self.open_sum.forget(views, digests)

    def _wrong(self, block: Block, message: Proposal, view: int) -> str | None:
        """Say what speaks against a new proposal, as things stand here and now.

        A block that is proposed again with its polka is not judged a second time. Algorithm 1 needs a validity that
        does not change, and these checks change with time: a late ack makes shares suffice that did not before. The
        polka shows that f+1 honest members found the block valid once, which is enough. Without this rule a member that
        is locked on such a block and one that rejects it would wait for each other for ever.
        """
        if message.valid_view >= 0:
            return None
        if isinstance(block.body, Void) and block.body.reason == "sum":
            return "no sum is open here" if self.open_sum is None else self.open_sum.giving_up.why_not_give_up(view)
        return self.choosing.wrong(block, message, view)

    def _enter(self, proposal: Verified, digest: bytes, is_valid: bool) -> None:
        """Hand a judged proposal to the algorithm, with the prevotes that came with it."""
        message = proposal.message
        assert isinstance(message, Proposal)
        polka = prevotes_among(self.ctx, message.polka)
        if polka and is_valid and self.open_sum is not None:
            self.open_sum.votes.bring(digest, polka)
        for vote in polka:
            self.on_vote(vote)
        if not self._done:
            self._act(self.consensus.on_proposal(proposal.view, digest, message.valid_view, is_valid, polka))
            self._finish_by_certificate()

    # Votes.

    def on_vote(self, vote: Verified) -> None:
        """Take a prevote or precommit of this height; accuse its sender if it voted otherwise before."""
        if self._done:
            return
        earlier = self.consensus.conflicting(vote)
        if earlier is not None and vote.sender != self.ctx.me:
            self.ctx.accuse(earlier, vote)
        self._act(self.consensus.on_vote(vote))
        if isinstance(vote.message, Precommit):
            self._finish_by_certificate()
        elif self.open_sum is not None:
            self.open_sum.votes.name_liars(vote)

    def _finish_by_certificate(self) -> None:
        """Decide a known block that q precommits are for, even if it could not be checked here (W may be missing)."""
        certified = None if self._done else self.consensus.certificate()
        if certified is not None and certified[0] in self.candidates:
            self._act(self.consensus.on_certificate(*certified))

    def certified_elsewhere(self) -> tuple[bytes, ...]:
        """Return the members that precommitted in a view where q precommits decide a block that is unknown here."""
        certified = None if self._done else self.consensus.certificate()
        if certified is None or certified[0] in self.candidates:
            return ()
        return tuple(self.consensus.precommits(certified[1]))

    def close(self) -> None:
        """Drop the vectors once the height is decided; keep what judges late prevotes."""
        self.proposing.close()
        self.candidates.drop_vectors()
        if self.open_sum is not None:
            self.open_sum.close()

    def on_late(self, message: Verified) -> bool:
        """Take a message for this height after the decision: it no longer counts, but a vote may prove a lie.

        Returns True if it is merely late: the first of its kind, of a view in which its sender cannot have missed the
        decision. The last n-q votes of a height always are. A member that is stuck repeats itself, or is in a later
        view: then the answer is False, and it needs the block.
        """
        if message.height != self.height or message.view > self.consensus.view:
            return False
        if isinstance(message.message, Proposal):
            return True
        earlier = self.consensus.conflicting(message)
        if earlier is not None:
            self.ctx.accuse(earlier, message)
        is_first = not self.consensus.has(message)
        if is_first:
            self.consensus.on_vote(message)
        if isinstance(message.message, Prevote) and self.open_sum is not None:
            self.open_sum.votes.name_liars(message)
        return is_first

    def on_peer_down(self, member: bytes) -> None:
        """Shorten the wait for a proposal if the link to its proposer is lost."""
        consensus = self.consensus
        if self._done or consensus.stage is not Stage.PROPOSE or not consensus.ready:
            return
        if self.ctx.state.proposer(consensus.view) == member:
            timeout = StageTimeout(self.ctx.height, consensus.view, Stage.PROPOSE)
            self.ctx.out.timer(DEAD_PROPOSER_TIMEOUT_MS, timeout)

    def on_timeout(self, stage: Stage, view: int) -> None:
        """Hand a timeout of this height to the algorithm."""
        if not self._done:
            self._act(self.consensus.on_timeout(stage, view))

    # Carrying out.

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if self._done:
                return
            match action:
                case NewView(view=view):
                    self._on_new_view(view)
                case ProposeNow(value=None, view=view):
                    self.proposing.propose_new(view)
                case ProposeNow():
                    self.proposing.propose_again(action)
                case CastVote():
                    self.voting.cast(action)
                case StartTimeout(stage=stage, view=view, at_once=True):
                    self.ctx.out.timer(0, StageTimeout(self.ctx.height, view, stage))
                case StartTimeout(stage=stage, view=view):
                    self.ctx.out.timer(self._timeout_ms(stage, view), StageTimeout(self.ctx.height, view, stage))
                case Remember():
                    self.voting.remember(action)
                case Decide(value=value, view=view):
                    self._decided(value, view)

    def _on_new_view(self, view: int) -> None:
        ctx = self.ctx
        self.proposing.end_turn()
        self._forget_old_proposals(view)
        ctx.out.enter(ctx.height, view)
        is_plain_aggregator = False
        if self.open_sum is not None:
            is_aggregator = self.open_sum.begin_view(view)
            is_plain_aggregator = is_aggregator and not is_private(ctx.state.genesis.scheme)
        if is_plain_aggregator:
            ctx.out.timer(self._grace_ms(view), SumGrace(ctx.height, view))
        if view > 0:
            ctx.out.notify(NoticeKind.VIEW, f"height {ctx.height}: view {view}", height=ctx.height, view=view)
        if self.open_sum is not None:
            self.open_sum.examine_waiting(view)

    def _grace_ms(self, view: int) -> int:
        """Return how long plain vectors have to come: half of the propose timeout, which grows with the view."""
        return max(SUM_GRACE_MS, self._timeout_ms(Stage.PROPOSE, view) // 2)

    def _timeout_ms(self, stage: Stage, view: int) -> int:
        """Return the timeout of a stage: it grows with the view, and allows for sum shares and W to travel."""
        ctx, genesis = self.ctx, self.ctx.state.genesis
        wait = genesis.view_timeout_ms + view * genesis.view_delta_ms
        if stage is Stage.PROPOSE:
            proposer = ctx.state.proposer(view)
            if proposer != ctx.me and proposer not in ctx.alive:
                return DEAD_PROPOSER_TIMEOUT_MS
            if self.open_sum is not None:
                summing = self.open_sum.summing
                sums = summing.scheme.sum_bytes(summing.terms.layout) * ctx.state.committee.n
                wait += 2 * sums // BYTES_PER_MS
        return min(wait, VIEW_TIMEOUT_CAP_MS + genesis.view_timeout_ms)

    def _decided(self, value: bytes, view: int) -> None:
        votes = self.consensus.precommits(view)
        signed = [
            vote.raw
            for _, vote in sorted(votes.items())
            if isinstance(vote.message, Precommit) and vote.message.block_hash == value
        ]
        self._done = True
        self.decide(self.candidates[value].data, tuple(signed[: self.ctx.state.committee.quorum]))

    # Saying it again.

    def resend(self, to: bytes | None) -> None:
        """Repeat what this member said at this height, to all or to a member that (re)connected.

        So a lost message only delays.
        """
        if self._done:
            return
        view = self.consensus.view
        self.proposing.resend(to)
        self.voting.resend(to)
        if self.open_sum is not None and to in (None, self.ctx.state.proposer(view)):
            self.open_sum.resend(view)

    def latest_vote(self, member: bytes) -> Verified | None:
        """Return the latest vote of a member that was seen at this height."""
        return self.consensus.latest_vote(member)
