"""One member of a federation, as a state machine: an event in, a :class:`.events.Step` out.

A :class:`Node` only routes. Each event goes to one handler of :mod:`.handlers`, and so does each message, timer and
finished job. The handlers hand it to the parts: :mod:`.ledger.state` (what was decided), :mod:`.agreement.height`
(deciding the next block), :mod:`.round.sharing` and :mod:`.round.summing` ("A round" in docs/protocol.md),
:mod:`.sync.catchup` (the ledger and the model from others), :mod:`.sync.resume` (a restarted member),
:mod:`.pending_changes` (members that come and go) and :mod:`.vote_guard` (sign once). Handlers and parts share a
:class:`.context.Context`.

A height lasts until a block is decided, here or by certified blocks from others; then the next height opens
(:mod:`.handlers.heights`). A round lasts for several heights, of which each opens the phase that the ledger names
(:mod:`.handlers.rounds`).
"""

from collections.abc import Callable, Hashable

from ..crypto.identity.identity import Identity
from .context import Context
from .effects import Effects
from .events import (
    Event,
    FetchFailed,
    HeadSeen,
    Leave,
    PeerDown,
    PeerUp,
    ProposeOptions,
    Received,
    Started,
    Step,
    TimerFired,
    VoteOnOptions,
    Withdraw,
    WorkDone,
)
from .handlers.ballots import Ballots
from .handlers.dealings import Dealings
from .handlers.heights import Heights
from .handlers.links import LinkEvents
from .handlers.membership import MembershipRequests, Newcomer
from .handlers.rounds import RoundPhases
from .handlers.sums import Sums
from .handlers.votes import Votes
from .jobs import CheckVector, Encode, ReadBlocks, SumJob, Train
from .ledger.committee import Committee
from .ledger.genesis import Genesis
from .ledger.state import LedgerError, LedgerState, apply, genesis_state
from .limits import INLINE_BLOB_BYTES
from .messages.envelope import Verified
from .messages.kinds import (
    Accusation,
    Ack,
    Blocks,
    Complaint,
    Deal,
    GetBlocks,
    GetStatus,
    GetWeights,
    HandBox,
    JoinRequest,
    LeaveRequest,
    OptionsProposal,
    OptionsVote,
    Precommit,
    Prevote,
    Proposal,
    Refusal,
    SitOut,
    Status,
    SumShare,
    UpheldComplaint,
    Weights,
    Withdrawal,
)
from .notices import StuckNotices
from .records import Memory
from .schemes import Scheme, scheme_of
from .schemes.base import CheckJob, DealJob, JudgeJob, OpenJob
from .sync.catchup import CatchUp
from .sync.checkpoint import Proving
from .sync.resume import Resume
from .timers import (
    AcksDue,
    BoxesDue,
    CheckpointWait,
    HandOver,
    RepeatBallots,
    Resend,
    RestOver,
    ResumeWait,
    RetryBlocks,
    RetryJoin,
    RetryLeave,
    RetryWeights,
    ShareDeadline,
    StageTimeout,
    SumGrace,
    TellKept,
)

__all__ = ["Newcomer", "Node"]


class Node:
    """A member, or a newcomer that wants to be one, of one federation."""

    def __init__(
        self,
        identity: Identity,
        genesis: Genesis,
        memory: Memory,
        newcomer: Newcomer | None = None,
        scheme_of: Callable[[str, Committee], Scheme] = scheme_of,
        inline_bytes: int = INLINE_BLOB_BYTES,
    ) -> None:
        """Resume from ``memory``; an empty one starts from genesis.

        Args:
            identity: the key of this peer.
            genesis: the federation.
            memory: the records that the store gave back.
            newcomer: the data to ask for admission with; None for a peer that does not ask.
            scheme_of: makes a round's scheme from the name in the genesis and the committee. A simulation has its own.
            inline_bytes: a box up to this size comes with its dealing. A simulation has its own limit.

        Raises:
            LedgerError: the remembered blocks are no ledger of this federation, or not that of the invite.
        """
        state = genesis_state(genesis)
        checkpoint = newcomer.invite.terms.checkpoint if newcomer is not None and newcomer.invite is not None else None
        for block in memory.blocks:
            state = apply(state, block.block)
            if checkpoint is not None and state.height == checkpoint.height and state.head != checkpoint.head:
                raise LedgerError(f"height {state.height}: another block than the one that the invite names")
        out = Effects(identity, state.federation, height=state.height + 1)
        self.ctx = ctx = Context(identity=identity, out=out, state=state, released=dict(memory.released))
        ctx.forget_releases()
        if memory.model is not None and memory.model.weights_hash == state.weights_hash:
            ctx.take_weights(memory.model.weights)
        proving = None
        if checkpoint is not None and checkpoint.height > 0 == state.height:
            proving = Proving(out, checkpoint)
        self.catchup = CatchUp(ctx, proving)
        self._resume = Resume(ctx, memory)
        self._membership = MembershipRequests(ctx, self.catchup, newcomer)
        self._rounds = RoundPhases(ctx, self.catchup, self._resume, scheme_of, inline_bytes)
        self.heights = Heights(ctx, self.catchup, self._resume, self._rounds, self._membership, self._on_message)
        self._votes = Votes(ctx, self.catchup, self.heights)
        self._dealings = Dealings(ctx, self._resume, self._rounds)
        self._sums = Sums(ctx, self._rounds, self.heights)
        self.ballots = Ballots(ctx)
        self.ballots.restore(memory)
        parts = self._resume, self._membership, self.heights, self._dealings, self.ballots
        self._links = LinkEvents(ctx, self.catchup, *parts)
        self._stuck = StuckNotices(ctx, self.heights.can_open)

    # Properties for drivers.

    @property
    def state(self) -> LedgerState:
        """The state of the ledger."""
        return self.ctx.state

    @property
    def audience(self) -> tuple[bytes, ...]:
        """The receivers of a message to EVERYONE."""
        return self.ctx.audience

    @property
    def view(self) -> int:
        """The current view of the height that is being decided."""
        return self.heights.view

    @property
    def may_be_admitted(self) -> bool:
        """Whether members may hold a request of this peer to be admitted that it has not taken back."""
        return self._membership.may_be_admitted

    @property
    def is_stuck(self) -> bool:
        """Whether the last notice ``stuck`` still holds: a sum waits for members, or can never be repeated."""
        return self._stuck.is_stuck

    # The one entry.

    def step(self, event: Event, now_ms: int) -> Step:
        """Handle one event and return what the driver must do now. Never raises for anything that a peer sent.

        ``now_ms``: unix time in milliseconds.
        """
        self.ctx.now_ms = now_ms
        match event:
            case Started():
                self.heights.start()
                self.ballots.start()
            case Received(message=message, blob=blob):
                if blob is not None:
                    self._links.on_blob(message)
                self._on_message(message, blob)
            case TimerFired(key=timer):
                self._on_timer(timer)
            case WorkDone():
                self._on_work(event)
            case PeerUp(member=member):
                self._links.on_up(member)
            case PeerDown(member=member):
                self._links.on_down(member)
            case HeadSeen(member=member, height=height):
                self._links.on_head(member, height)
            case FetchFailed(fetch=fetch, reason=reason):
                self._links.on_fetch_failed(fetch, reason)
            case Leave():
                self._membership.leave()
            case ProposeOptions():
                self.ballots.propose(event)
            case VoteOnOptions():
                self.ballots.vote(event)
            case Withdraw():
                self._membership.withdraw()
        self._look_around()
        return self.ctx.out.flush()

    def _look_around(self) -> None:
        """After every event: what depends on more than one input."""
        self._rounds.ack_alive()
        self._stuck.look_around()
        self._membership.look_around()
        self.heights.check_ready()

    def _on_message(self, received: Verified, blob: bytes | None) -> None:
        sender = received.sender
        if sender == self.ctx.me:
            return
        match received.message:
            case Proposal() | Prevote() | Precommit():
                self._votes.on_message(received, blob)
            case Deal() | Ack() | SitOut() | Complaint() | UpheldComplaint() | HandBox():
                self._dealings.on_message(received, blob)
            case SumShare():
                self._sums.on_sum_share(received, blob)
            case JoinRequest():
                self._membership.on_join_request(received)
            case Refusal() as refusal:
                self._membership.on_refusal(sender, refusal)
            case Withdrawal():
                self._membership.on_withdrawal(received)
            case LeaveRequest():
                self._membership.on_leave_request(received)
            case OptionsProposal():
                self.ballots.on_proposal(received)
            case OptionsVote():
                self.ballots.on_vote(received)
            case Accusation() as accusation:
                self._votes.on_accusation(accusation)
            case GetBlocks(height=height):
                self.catchup.on_get_blocks(sender, height)
            case Blocks() as blocks:
                self.heights.on_blocks(sender, blocks)
            case GetWeights(weights_hash=wanted):
                self.catchup.on_get_weights(sender, wanted)
            case Weights():
                self._rounds.on_weights(received, blob)
            case GetStatus(nonce=nonce):
                self.heights.on_get_status(sender, nonce)
            case Status() as status:
                self.heights.on_status(sender, status)

    def _on_timer(self, timer: Hashable) -> None:
        match timer:
            case StageTimeout():
                self._votes.on_timeout(timer)
            case SumGrace():
                self._votes.on_grace(timer)
            case Resend(height):
                self.heights.on_resend(height)
            case RestOver(round_):
                self._rounds.on_rest_over(round_)
            case ShareDeadline(round_):
                self._rounds.on_share_deadline(round_)
            case AcksDue(round_):
                self._rounds.on_acks_due(round_)
            case HandOver(round_):
                self._rounds.on_hand_over(round_)
            case TellKept(round_):
                self._rounds.on_tell_kept(round_)
            case BoxesDue(round_):
                self._rounds.on_boxes_due(round_)
            case RetryBlocks(height):
                self.catchup.on_retry(height)
            case RetryWeights(wanted):
                self.catchup.on_weights_timer(wanted)
            case CheckpointWait():
                self.catchup.on_checkpoint_wait()
            case ResumeWait():
                self.heights.on_resume_wait()
            case RetryJoin(height):
                self._membership.on_retry_join(height)
            case RetryLeave():
                self._membership.ask_to_leave()
            case RepeatBallots():
                self.ballots.on_repeat()

    def _on_work(self, done: WorkDone) -> None:
        match done.work:
            case ReadBlocks(to=to):
                self.catchup.on_read(to, () if done.error else done.result)
            case Train() | Encode() as work:
                self._dealings.on_own_update(work, done)
            case DealJob() as work:
                self._dealings.on_dealt(work, done)
            case CheckJob() as work:
                self._dealings.on_checked(work, done)
            case JudgeJob() as work:
                self._dealings.on_judged(work, done)
            case SumJob() as work:
                self._sums.on_added_up(work, done)
            case OpenJob() as work:
                self._sums.on_opened(work, done)
            case CheckVector() as work:
                self._sums.on_vector(work, done)
