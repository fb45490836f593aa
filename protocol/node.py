"""One member of a federation, as a state machine: an event in, a :class:`.events.Step` out.

The parts are :mod:`.ledger.state` (what was decided), :mod:`.agreement.height` (deciding the next block),
:mod:`.round.sharing` and :mod:`.round.summing` ("A round" in docs/protocol.md), :mod:`.sync.catchup` (the ledger and
the model from others), :mod:`.pending_changes` (members that come and go) and :mod:`.vote_guard` (sign once). They
share a :class:`.context.Context`. This module ties them together: it routes each event to the part concerned, and opens
heights and rounds.

A height lasts until a block is decided, here or by certified blocks from others; then the next height opens
(``_adopt``, ``_open_height``). A round lasts for several heights, of which each opens the phase that the ledger names
(``_open_phase``). After a restart the node first asks the others what they saw of it (:mod:`.sync.resume`), and opens
its height when it may vote again.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

from ..crypto.identity.identity import Identity
from .agreement.height import BYTES_PER_MS, Agreement
from .agreement.tendermint import Stage
from .context import Context
from .early_messages import EarlyMessages
from .effects import Effects
from .events import (
    Event,
    FetchFailed,
    HeadSeen,
    Leave,
    NoticeKind,
    PeerDown,
    PeerUp,
    Received,
    Started,
    Step,
    TimerFired,
    Withdraw,
    WorkDone,
)
from .jobs import CheckVector, Contribution, Encode, ReadBlocks, SumJob, Train
from .ledger.blocks import Evict
from .ledger.committee import Committee
from .ledger.contribution import layout_of, read_totals, without_measures
from .ledger.evidence import contradiction
from .ledger.genesis import Genesis
from .ledger.state import LedgerError, LedgerState, Phase, apply, genesis_state
from .ledger.tickets import Invite
from .limits import INLINE_BLOB_BYTES, JOIN_RETRY_MS, KEPT_BOXES_DELAY_MS, RESEND_MS
from .messages.envelope import Verified, blob_digest, verify, view_of
from .messages.kinds import (
    Accusation,
    Ack,
    Blocks,
    CertifiedBlock,
    Complaint,
    Deal,
    GetBlocks,
    GetStatus,
    GetWeights,
    HandBox,
    JoinRequest,
    LeaveRequest,
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
from .notices import announce, announce_capped, announce_stuck
from .records import BlockDecided, Memory, ModelSaved, RoundClosed
from .round.sharing import Sharing
from .round.summing import Summing
from .schemes import Scheme, scheme_of
from .schemes.base import CheckedShare, CheckJob, Dealing, DealJob, JudgeJob, Opened, OpenJob, Terms
from .sync.catchup import CatchUp
from .sync.checkpoint import Proving
from .sync.resume import Resume
from .timers import (
    AcksDue,
    BoxesDue,
    CheckpointWait,
    HandOver,
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

_MAY_HAVE_DEALT = "this home is a copy of an older state, which may have dealt in this round"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """The data with which a peer asks to be admitted."""

    name: str
    model: str
    invite: Invite | None = None
    returns: bool = True
    """Whether it asks again after it left or was removed; otherwise its operator decides that."""


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
        self.ctx = Context(identity=identity, out=out, state=state, released=dict(memory.released))
        self.ctx.forget_releases()
        if memory.model is not None and memory.model.weights_hash == state.weights:
            self.ctx.weights = memory.model.weights
        proving = None
        if checkpoint is not None and checkpoint.height > 0 == state.height:
            proving = Proving(out, checkpoint)
        self.catchup = CatchUp(self.ctx, proving)
        self._scheme_of, self._inline_bytes = scheme_of, inline_bytes
        self._resume = Resume(self.ctx, memory)
        self._newcomer = newcomer
        self._agreement: Agreement | None = None
        self._previous: Agreement | None = None
        self._inbox = EarlyMessages()
        self._explained: tuple[bytes, ...] = ()
        self._leaving = False
        self._asked_to_join = False
        self._stuck: tuple[object, ...] = ()
        """What the operator was told last of a sum that waits for members."""
        self._stuck_seen: tuple[int, ...] = ()
        """What the last answer of ``_tell_if_stuck`` depended on."""

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
        return self._agreement.consensus.view if self._agreement else 0

    @property
    def may_be_admitted(self) -> bool:
        """Whether members may hold a request of this peer to be admitted that it has not taken back."""
        return self._asked_to_join and not self.ctx.is_member

    @property
    def is_stuck(self) -> bool:
        """Whether the last notice ``stuck`` still holds: a sum waits for members, or can never be repeated."""
        return bool(self._stuck)

    # The one entry.

    def step(self, event: Event, now_ms: int) -> Step:
        """Handle one event and return what the driver must do now. Never raises for anything that a peer sent.

        ``now_ms``: unix time in milliseconds.
        """
        self.ctx.now_ms = now_ms
        match event:
            case Started():
                self._on_started()
            case Received(message=message, blob=blob):
                if blob is not None:
                    index = self.ctx.state.committee.index(self.ctx.me)
                    self.ctx.out.fetched(message.sender, blob_digest(message, index))
                self._on_message(message, blob)
            case TimerFired(key=timer):
                self._on_timer(timer)
            case WorkDone():
                self._on_work(event)
            case PeerUp(member=member):
                self._on_peer_up(member)
            case PeerDown(member=member):
                self.ctx.on_down(member)
                self.catchup.on_gone(member)
                if not self._listens_to(member):
                    self._inbox.forget(member)
                if self._agreement is not None:
                    self._agreement.on_peer_down(member)
            case HeadSeen(member=member, height=height):
                self.ctx.guard.on_head(member, height)
                self.catchup.on_head(member, height)
            case FetchFailed(fetch=fetch, reason=reason):
                self.ctx.out.fetched(fetch.source, fetch.digest)
                self.ctx.out.notify(NoticeKind.FETCH, f"could not fetch a blob: {reason}", member=fetch.source)
                if isinstance(fetch.message.message, Weights):
                    self.catchup.on_fetch_failed(fetch.source)
                elif self.ctx.sharing is not None and isinstance(fetch.message.message, Complaint | UpheldComplaint):
                    self.ctx.sharing.complaints.on_fetch_failed(fetch.message)
                elif self.ctx.sharing is not None:
                    self.ctx.sharing.on_fetch_failed(fetch)
            case Leave():
                self._leaving = True
                self._ask_to_leave()
            case Withdraw():
                self._withdraw()
        self._look_around()
        return self.ctx.out.flush()

    def _look_around(self) -> None:
        """After every event: ack without waiting for absent members, and propose if there is something to propose."""
        if self.ctx.sharing is not None and self.ctx.state.phase is Phase.SHARING:
            self.ctx.sharing.ack_alive(self.ctx.alive, self.ctx.alive_changes)
        self._tell_if_stuck()
        self._asked_to_join &= not self.ctx.is_member
        self.ctx.pool.forget_unheard(self.ctx.now_ms)
        if self._agreement is not None:
            self._agreement.check_ready()

    # Starting and resuming.

    def _on_started(self) -> None:
        """Open the first height; a member that had decided blocks before first asks what the others saw of it."""
        if not self._resume.begin():
            self._open_height()

    def _try_resume(self) -> None:
        if self._resume.try_end():
            self._open_height()

    # Heights and rounds.

    def _open_height(self) -> None:
        """Begin to decide the next block: open the round's phase, then the agreement, then take what came early."""
        ctx = self.ctx
        if ctx.guard.resuming:
            if not ctx.is_member:  # removed while it was away: the others answer only once it is a member again
                self._keep_asking_to_join()
            return
        memory = self._resume.take_memory()
        ctx.out.height, ctx.out.view = ctx.height, 0
        ctx.guard.forget_below(ctx.height)
        self._open_phase(memory)
        self._previous = self._agreement
        if self._previous is not None:
            self._previous.close()
        self._agreement = Agreement(ctx, self._on_decided)
        votes = [vote for vote in memory.votes if vote.height == ctx.height]
        self._agreement.open(votes, [value for value in memory.values if value.height == ctx.height])
        ctx.out.timer(RESEND_MS, Resend(ctx.height))
        if not ctx.is_member:
            self._keep_asking_to_join()
        self._inbox.forget_strangers(self._listens_to)
        for message, blob in self._inbox.take(ctx.height, ctx.state.round):
            self._on_message(message, blob)

    def _open_phase(self, memory: Memory) -> None:
        """Open the phase of the round that the ledger names, if it is not open here: sharing, and then summing."""
        ctx = self.ctx
        phase = ctx.state.phase
        if phase not in (Phase.SHARING, Phase.SUMMING):
            ctx.sharing = ctx.summing = None
            return
        if ctx.sharing is None or ctx.sharing.round != ctx.state.round:
            ctx.summing = None
            if ctx.sharing is not None:
                ctx.sharing.end()
            ctx.sharing = self._new_sharing()
            dealt = memory.dealt if memory.dealt and memory.dealt.round == ctx.state.round else None
            shares = [share for share in memory.shares if share.round == ctx.state.round]
            ctx.sharing.exclude(ctx.state.departed)
            self._resume.hold_to_what_was_said(ctx.sharing, dealt, shares)
            ctx.sharing.restore(dealt, shares)
            if phase is Phase.SHARING:
                self._begin_round()
        if phase is Phase.SUMMING and ctx.summing is None:
            self._open_sum()

    def _new_sharing(self) -> Sharing:
        ctx, state = self.ctx, self.ctx.state
        layout = layout_of(state.genesis, state.kind)
        ctx.patience.on_round(state.round)
        terms = Terms(state.federation, state.round, state.weights, state.committee.members, layout)
        return Sharing(
            out=ctx.out,
            round=state.round,
            kind=state.kind,
            committee=state.committee,
            scheme=self._scheme_of(state.genesis.scheme, state.committee),
            terms=terms,
            clip=2.0**state.genesis.clip_exponent,
            examples_ref=state.genesis.examples_ref,
            opened_at=ctx.height,
            accuse=ctx.accuse,
            patience=ctx.patience,
            inline_bytes=self._inline_bytes,
        )

    def _begin_round(self) -> None:
        ctx, state = self.ctx, self.ctx.state
        assert ctx.sharing is not None
        if state.committee.members != self._explained:
            self._explained = state.committee.members
            explained = state.committee.explain(state.genesis.scheme)
            ctx.out.notify(
                NoticeKind.COMMITTEE, explained, members=state.committee.members, scheme=state.genesis.scheme
            )
        text = f"round {state.round} ({state.kind}) begins"
        ctx.out.notify(NoticeKind.ROUND, text, round=state.round, kind=state.kind, members=state.committee.n)
        if ctx.weights is None:
            self.catchup.want_weights()
        has_dealt = ctx.sharing.vector is not None  # before it was restarted
        ctx.out.timer(0 if has_dealt else state.genesis.round_interval_ms, RestOver(state.round))

    def _begin_training(self) -> None:
        ctx, sharing = self.ctx, self.ctx.sharing
        assert sharing is not None
        ctx.out.timer(ctx.state.genesis.share_deadline_ms, ShareDeadline(sharing.round))
        sharing.end_rest()
        self._train()

    def _train(self) -> None:
        ctx, sharing = self.ctx, self.ctx.sharing
        if ctx.weights is None or sharing is None or not sharing.may_begin:
            return
        if sharing.vector is None and ctx.guard.may_have_dealt(sharing.opened_at):
            sharing.sit_out(_MAY_HAVE_DEALT)
        elif sharing.vector is None and sharing.has_dealt_otherwise():
            sharing.sit_out("this home is an older copy of itself: it has dealt in this round already")
        else:
            sharing.begin(ctx.weights, self._totals())

    def _settling_ms(self) -> int:
        """Return how long boxes handed over at the share deadline have to arrive, and their acks to come back."""
        committee = self.ctx.state.committee
        sharing = self.ctx.sharing
        assert sharing is not None
        copies = 2 * (committee.f + 1) * max(1, committee.n - committee.sum_quorum)
        answers_ms = 2 * self.ctx.state.genesis.view_delta_ms + KEPT_BOXES_DELAY_MS
        return answers_ms + sharing.scheme.share_bytes(sharing.terms.layout) * copies // BYTES_PER_MS

    def _settle_acks(self) -> None:
        """Go on with what is settled, since the time for missing acks is over; remember and report the late members."""
        ctx, sharing = self.ctx, self.ctx.sharing
        assert sharing is not None
        sharing.end_settling()
        if sharing.decided is not None or sharing.me is None:
            return
        members, late = sharing.committee.members, sharing.overdue(ctx.alive, ctx.alive_changes)
        ctx.patience.on_overdue(*([members[one] for one in sorted(found)] for found in late))
        self._tell_overdue(late[0] | late[1])

    def _tell_overdue(self, late: Iterable[int]) -> None:
        """Tell the operator of members that were waited for in vain, of each once in a round."""
        sharing = self.ctx.sharing
        assert sharing is not None
        news = sharing.newly_overdue(late)
        if news:
            text = f"round {sharing.round}: {len(news)} member(s) did not ack or hand over all shares by the deadline"
            members = tuple(sharing.committee.members[one] for one in news)
            self.ctx.out.notify(NoticeKind.OVERDUE, text, round=sharing.round, members=members)

    def _tell_if_stuck(self) -> None:
        """Tell the operator of the members that a sum waits for: it cannot be opened, or repeated, without them."""
        ctx, state = self.ctx, self.ctx.state
        seen = (state.height, ctx.alive_changes, ctx.sharing.acks.changes if ctx.sharing is not None else 0)
        if seen == self._stuck_seen:  # called after every event: nothing has changed since the last answer
            return
        self._stuck_seen = seen
        required, agreement = state.required, self._agreement
        names: tuple[bytes, ...] = ()
        if state.phase is Phase.SUMMING and agreement is not None and not agreement.can_open():
            assert state.contributors is not None
            members = state.committee.members
            names = tuple(members[one] for one in state.contributors.holders if members[one] not in ctx.alive)
        elif required is not None and state.phase is Phase.SHARING:
            away = [key for key in required if key not in ctx.alive]
            found = ctx.sharing.withheld(required, ctx.alive, ctx.alive_changes) if ctx.sharing is not None else ()
            names = tuple(dict.fromkeys((*away, *sorted(found))))
        names = tuple(key for key in names if key != ctx.me)
        is_for_good = state.phase is Phase.WAITING and state.is_stuck
        told = (state.round, state.phase, names, is_for_good) if names or is_for_good else ()
        if told != self._stuck:
            self._stuck = told
            if told:
                announce_stuck(ctx.out, state, names)

    def _totals(self) -> tuple[float, ...] | None:
        totals = self.ctx.state.totals
        return None if totals is None else read_totals(totals)

    def _open_sum(self) -> None:
        ctx, state, sharing = self.ctx, self.ctx.state, self.ctx.sharing
        assert sharing is not None
        assert state.contributors is not None
        sharing.close(state.contributors.dealers)
        ctx.summing = Summing(
            out=ctx.out,
            body=state.contributors,
            committee=state.committee,
            scheme=sharing.scheme,
            terms=sharing.terms,
            clip=sharing.clip,
            examples_ref=state.genesis.examples_ref,
            base=ctx.weights,
        )
        self._release()

    def _release(self) -> None:
        """Release this member's sum for the decided contributors; after a restart, once its dealing is made again."""
        ctx = self.ctx
        if ctx.summing is not None and ctx.sharing is not None:
            released = ctx.released.get(ctx.summing.round)
            ctx.summing.release(ctx.sharing.decided_vector(), ctx.sharing.holds(ctx.summing.body.dealers), released)

    def _on_decided(self, block: bytes, certificate: tuple[bytes, ...]) -> None:
        """Take a block that was decided here."""
        certified = CertifiedBlock(block, certificate)
        self._adopt([(certified, apply(self.ctx.state, block))])

    def _adopt(self, accepted: list[tuple[CertifiedBlock, LedgerState]]) -> None:
        """Move the ledger on, by a block decided here or by blocks from others, and open the next height."""
        ctx = self.ctx
        is_lost = False
        for certified, after in accepted:
            before = ctx.state
            is_lost |= self._resume.find_lost_state(certified, before)
            ctx.out.persist(BlockDecided(after.height, certified.block, certified.certificate))
            ctx.guard.on_decided(after.height, before.committee, ctx.me)
            announce(ctx.out, before, after, view_of(certified.certificate[0]), certified.block)
            self._move_to(after)
            known = set(before.keys)
            for member in after.members:
                if member.key not in known and member.key != ctx.me:
                    self.catchup.welcome(member.key, before.committee.members)
            if after.committee.members != before.committee.members:
                for key in sorted(set(before.committee.members) - set(after.committee.members) - {ctx.me}):
                    self.catchup.farewell(key)
        ctx.out.height = ctx.height
        if is_lost and not ctx.guard.resuming and self._resume.has_a_vote:
            self._resume_as_a_copy()
        self._open_height()
        self._try_resume()
        if ctx.weights is None:
            self.catchup.want_weights()
        self.catchup.ask()

    def _resume_as_a_copy(self) -> None:
        """Stop taking part and ask what the others saw: this member was taking part when it found its lost state."""
        if self._agreement is not None:
            self._agreement.close()
            self._previous, self._agreement = self._agreement, None
        self._resume.begin_again()

    def _move_to(self, after: LedgerState) -> None:
        ctx, before = self.ctx, self.ctx.state
        if after.round != before.round and before.phase in (Phase.SHARING, Phase.SUMMING):
            ctx.out.persist(RoundClosed(before.round))
        if after.weights != before.weights:
            found = self._weights_of(after.weights)
            ctx.weights = found
            if found is not None:
                ctx.out.persist(ModelSaved(after.weights, found))
        self.catchup.forks.passed(before)
        ctx.just_changed = after.round == before.round and after.phase is before.phase
        ctx.state = after
        if ctx.sharing is not None and ctx.sharing.round == after.round and after.members != before.members:
            ctx.sharing.exclude(ctx.state.departed)
        ctx.forget_releases()

    def _weights_of(self, wanted: bytes) -> bytes | None:
        """Return the decided weights, if a sum that was checked here leads to them."""
        checked = self.ctx.summing.checked.values() if self.ctx.summing else ()
        return next((one.weights for one in checked if one.weights_hash == wanted), None)

    # Messages.

    def _on_message(self, received: Verified, blob: bytes | None) -> None:
        """Route a message to the part that it concerns."""
        if received.sender == self.ctx.me:
            return
        match received.message:
            case Proposal() | Prevote() | Precommit():
                self._on_consensus(received, blob)
            case Deal() | Ack() | SitOut() | Complaint() | UpheldComplaint() | HandBox() | SumShare():
                self._on_round(received, blob)
            case JoinRequest():
                self._on_join_request(received)
            case Refusal(reason=reason):
                if not self.ctx.is_member:
                    self.ctx.out.notify(NoticeKind.REFUSED, f"refused: {reason}", member=received.sender, reason=reason)
            case Withdrawal():
                if self.ctx.is_member and self.ctx.pool.withdraw(received, self.ctx.now_ms):
                    for member in self.ctx.audience:
                        self.ctx.out.send(member, received.raw)
            case LeaveRequest():
                if self.ctx.state.member(received.sender) is not None:
                    self.ctx.pool.add_leave(received)
            case Accusation() as accusation:
                self._on_accusation(accusation)
            case GetBlocks(height=height):
                self.catchup.on_get_blocks(received.sender, height)
            case Blocks() as blocks if self._listens_to(received.sender):
                accepted = self.catchup.on_blocks(received.sender, blocks)
                if accepted:
                    self._adopt(accepted)
            case GetWeights(weights=wanted):
                self.catchup.on_get_weights(received.sender, wanted)
            case Weights():
                self._on_weights(received, blob)
            case GetStatus(nonce=nonce):
                self._answer_status(received.sender, nonce)
            case Status() as status:
                self._on_status(received.sender, status)

    def _on_consensus(self, received: Verified, blob: bytes | None) -> None:
        """Take a proposal or vote; keep one of a later height, and help the sender of one of a past height."""
        ctx = self.ctx
        if received.height < ctx.height:
            if self._previous is None or not self._previous.on_late(received):
                self.catchup.help(received.sender, received.height)
            return
        if not self._listens_to(received.sender):
            return
        if received.height > ctx.height or self._agreement is None or self.catchup.proving is not None:
            self._inbox.keep(received, blob)
            self.catchup.on_head(received.sender, received.height - 1)
            return
        if isinstance(received.message, Proposal):
            self._agreement.on_proposal(received, blob)
            return
        self._agreement.on_vote(received)
        if self._agreement is not None:
            for signer in self._agreement.certified_elsewhere():
                self.catchup.on_head(signer, ctx.height)

    def _listens_to(self, sender: bytes) -> bool:
        """Whether messages of this sender are taken: it is a member, belongs to the round, or is linked.

        The block that admits a linked peer may not have come yet.
        """
        ctx = self.ctx
        return (
            ctx.state.committee.index(sender) is not None or sender in ctx.alive or ctx.state.member(sender) is not None
        )

    def _on_round(self, received: Verified, blob: bytes | None) -> None:
        ctx, message = self.ctx, received.message
        assert isinstance(message, Deal | Ack | SitOut | Complaint | UpheldComplaint | HandBox | SumShare)
        if not self._listens_to(received.sender) or message.round < ctx.state.round:
            return
        sharing = ctx.sharing
        early = message.round > ctx.state.round or sharing is None or ctx.guard.resuming
        if early or (isinstance(message, SumShare) and ctx.summing is None):
            self._inbox.keep(received, blob)
            return
        assert sharing is not None
        match message:
            case SumShare():
                if self._agreement is not None:
                    self._agreement.on_sum_share(received, blob)
            case Complaint() | UpheldComplaint():
                sharing.complaints.on_complaint(received, blob)
            case Deal():
                sharing.on_deal(received, blob)
                if sharing.has_begun_elsewhere():
                    self._begin_training()
            case HandBox():
                sharing.on_hand_box(received, blob)
            case Ack():
                sharing.on_ack(received)
                if sharing.is_late():
                    sharing.ack_what_there_is()
                    ctx.out.timer(ctx.state.genesis.view_delta_ms, HandOver(sharing.round))
                if sharing.has_more_to_hand_over(ctx.alive, ctx.alive_changes):
                    ctx.out.timer(ctx.state.genesis.view_delta_ms, HandOver(sharing.round))
            case _ if ctx.state.phase is not Phase.SHARING:
                return
            case SitOut():
                sharing.on_sit_out(received)

    def _on_join_request(self, request: Verified) -> None:
        ctx = self.ctx
        if ctx.state.member(request.sender) is not None:
            self.catchup.help(request.sender, request.height)
            return
        if not ctx.is_member or ctx.pool.has_just_withdrawn(request.sender, ctx.now_ms):
            return
        wrong = ctx.pool.add_join(ctx.state, request, ctx.now_ms)
        if wrong is not None:
            ctx.out.send(request.sender, Refusal(wrong))
        elif ctx.pool.is_to_be_passed_on(request.sender, ctx.now_ms):
            for member in ctx.audience:
                ctx.out.send(member, request.raw)

    def _on_accusation(self, accusation: Accusation) -> None:
        state = self.ctx.state
        first = verify(accusation.first, state.federation)
        second = first if accusation.second is None else verify(accusation.second, state.federation)
        if not isinstance(first, Verified) or not isinstance(second, Verified):
            return
        # An evicted member still belongs to its round: unless all know, some members would go on to count its share.
        if first.sender not in state.audience and not state.may_be_evicted(first.sender):
            return
        if accusation.second is None:
            self._on_false_vote(first)
            return
        self.ctx.accuse(first, second)
        if self.ctx.sharing is not None and contradiction((first, second)) is not None:
            self.ctx.sharing.on_contradiction(first)

    def _on_false_vote(self, vote: Verified) -> None:
        """Look at a vote that a third member passed on, since its author may have kept it from this one."""
        if not isinstance(vote.message, Prevote) or vote.sender == self.ctx.me:
            return
        if self._agreement is not None and vote.height == self.ctx.height:
            self._agreement.on_vote(vote)
        elif self._previous is not None:
            self._previous.on_late(vote)

    def _on_weights(self, received: Verified, blob: bytes | None) -> None:
        ctx = self.ctx
        if not self.catchup.on_weights(received, blob):
            return
        assert ctx.weights is not None
        ctx.out.persist(ModelSaved(ctx.state.weights, ctx.weights))
        ctx.out.notify(
            NoticeKind.SYNCED, f"level with the others at height {ctx.state.height}", height=ctx.state.height
        )
        if ctx.summing is not None:
            ctx.summing.take_base(ctx.weights)
        else:
            self._train()

    def _answer_status(self, asker: bytes, nonce: bytes) -> None:
        seen = self._inbox.latest_vote(asker) or (self._agreement.latest_vote(asker) if self._agreement else None)
        self._resume.answer(asker, nonce, seen)

    def _on_status(self, sender: bytes, status: Status) -> None:
        if self._resume.on_status(sender, status):
            self._try_resume()
            self.catchup.on_head(sender, status.head)

    # Peers and timers.

    def _on_peer_up(self, member: bytes) -> None:
        ctx = self.ctx
        ctx.on_up(member)
        self._resume.ask_member(member)
        if not ctx.is_member:
            self._ask_to_join()
        if ctx.weights is None:
            self.catchup.want_weights(again=True)
        self._resend(member)

    def _resend(self, to: bytes | None) -> None:
        """Repeat what this member said in this round and at this height."""
        ctx = self.ctx
        if ctx.sharing is not None and ctx.state.phase in (Phase.SHARING, Phase.SUMMING):
            ctx.sharing.resend(to)
            ctx.accuse_again(to)
        if self._agreement is not None:
            self._agreement.resend(to)

    def _on_timer(self, timer: Hashable) -> None:
        ctx = self.ctx
        match timer:
            case StageTimeout(height, view, stage) if height == ctx.height and self._agreement is not None:
                self._agreement.on_timeout(Stage(stage), view)
            case SumGrace(height, view) if height == ctx.height and self._agreement is not None:
                self._agreement.try_open(view, after_grace=True)
            case RestOver(round_) if ctx.sharing is not None and ctx.sharing.round == round_:
                if not ctx.sharing.may_begin:
                    self._begin_training()
            case ShareDeadline(round_) if ctx.sharing is not None and ctx.sharing.round == round_:
                ctx.sharing.ack_what_there_is()
                ctx.out.timer(ctx.state.genesis.view_delta_ms, AcksDue(round_))
            case AcksDue(round_) if ctx.sharing is not None and ctx.sharing.round == round_:
                # By now all should have acked what they hold. What is missing is in dispute, and the boxes in question
                # are handed over. The contributors are settled when these have had time to arrive.
                self._tell_overdue(ctx.sharing.on_deadline(ctx.alive, ctx.alive_changes))
                ctx.out.timer(self._settling_ms(), BoxesDue(round_))
            case HandOver(round_) if ctx.sharing is not None and ctx.sharing.round == round_:
                ctx.sharing.hand_over_lacking(ctx.alive, ctx.alive_changes)
            case TellKept(round_) if ctx.sharing is not None and ctx.sharing.round == round_:
                ctx.sharing.say_kept()
            case BoxesDue(round_) if ctx.sharing is not None and ctx.sharing.round == round_:
                if ctx.sharing.waits_for_holders(ctx.alive, ctx.alive_changes):
                    ctx.out.timer(self._settling_ms(), BoxesDue(round_))
                else:
                    self._settle_acks()
            case Resend(height) if height == ctx.height:
                self._resend(None)
                ctx.out.timer(RESEND_MS, Resend(height))
            case RetryBlocks(height):
                self.catchup.on_retry(height)
            case CheckpointWait() if self.catchup.proving is not None:
                self.catchup.proving.on_timer(ctx.alive)
            case RetryWeights(wanted):
                self.catchup.on_weights_timer(wanted)
            case RetryJoin(height) if height == ctx.height and not ctx.is_member:
                self._keep_asking_to_join()
            case RetryLeave() if self._leaving and ctx.is_member:
                self._ask_to_leave()
            case ResumeWait():
                if self._resume.on_timer():
                    self._try_resume()
            case _:
                pass

    def _keep_asking_to_join(self) -> None:
        self._ask_to_join()
        self.ctx.out.timer(JOIN_RETRY_MS, RetryJoin(self.ctx.height))

    def _ask_to_join(self) -> None:
        ctx, newcomer = self.ctx, self._newcomer
        if ctx.is_member or newcomer is None or self._leaving:
            return
        if not newcomer.returns and ctx.me in ctx.state.gone:
            return
        ticket, proof = b"", b""
        if newcomer.invite is not None:
            ticket, proof = newcomer.invite.ticket, newcomer.invite.prove(ctx.me)
        request = ctx.out.seal(JoinRequest(newcomer.name, newcomer.model, ticket, proof))
        for peer in sorted(ctx.alive):
            ctx.out.send(peer, request)
            self._asked_to_join = True

    def _withdraw(self) -> None:
        """Take the request to be admitted back, at all linked peers. A peer that was admitted stays a member."""
        ctx = self.ctx
        if not self.may_be_admitted:
            return
        self._newcomer = None
        withdrawal = ctx.out.seal(Withdrawal(ctx.now_ms))
        for peer in sorted(ctx.alive):
            ctx.out.send(peer, withdrawal)
        self._asked_to_join = not ctx.alive
        text = f"took back the request to be admitted: {len(ctx.alive)} linked peer(s) were told"
        if not ctx.alive:
            text = "gave up to be admitted, but there is no link over which anybody could be told"
        ctx.out.notify(NoticeKind.WITHDRAWN, text, peers=len(ctx.alive))

    def _ask_to_leave(self) -> None:
        ctx = self.ctx
        if not self._leaving or not ctx.is_member:
            return
        request = ctx.out.sealed(LeaveRequest(ctx.state.round))
        ctx.pool.add_leave(request)
        ctx.out.send(None, request.raw)
        ctx.out.timer(JOIN_RETRY_MS, RetryLeave())

    # Finished work.

    def _on_work(self, done: WorkDone) -> None:
        work = done.work
        if isinstance(work, ReadBlocks):
            self.catchup.on_read(work.to, () if done.error else done.result)
            return
        sharing, summing = self.ctx.sharing, self.ctx.summing
        match work:
            case Train() | Encode() if sharing is not None and work.round == sharing.round:
                self._on_own_update(done)
            case DealJob() if sharing is not None and work.terms == sharing.terms:
                if done.error is None:
                    assert isinstance(done.result, Dealing)
                    sharing.on_dealt(done.result, self.ctx.alive, self.ctx.alive_changes)
                    if sharing.me not in sharing.deals:  # others showed another dealing, so this one was not published
                        self._resume.keep_said(sharing)
                    self._release()
                    if sharing.acks_whatever:
                        self.ctx.out.timer(self.ctx.state.genesis.view_delta_ms, HandOver(sharing.round))
                else:
                    sharing.sit_out(done.error)
            case CheckJob() if sharing is not None and work.terms == sharing.terms:
                if done.error is None:
                    assert isinstance(done.result, CheckedShare)
                    self._evict_dealer(work.dealer, sharing.on_checked(work.dealer, done.result))
                    self._release()
                else:
                    sharing.on_unchecked(work.dealer, done.error)
            case JudgeJob() if sharing is not None and work.terms == sharing.terms:
                judged = done.result if done.error is None else None
                assert isinstance(judged, CheckedShare | None)
                self._evict_dealer(work.dealer, sharing.on_judged(work.dealer, work.holder, judged))
            case SumJob() if summing is not None and work.contributors == summing.body.digest():
                if done.error is None:
                    self._on_summed(done)
                else:
                    summing.on_unsummed(done.error)
            case OpenJob() if summing is not None and work.terms == summing.terms:
                assert isinstance(done.result, Opened | None)
                summing.on_opened(done.result)
                if self._agreement is not None:
                    self._agreement.try_open(self.view)
            case CheckVector() if summing is not None and work.round == summing.round:
                self._on_vector(work, done)
            case _:
                pass

    def _on_own_update(self, done: WorkDone) -> None:
        """Go on with this member's update after its training or encoding; sit the round out if that failed."""
        sharing = self.ctx.sharing
        assert sharing is not None
        if done.error is not None:
            sharing.sit_out(done.error)
        elif sharing.vector is None and self.ctx.guard.may_have_dealt(sharing.opened_at):
            sharing.sit_out(_MAY_HAVE_DEALT)  # the lost state was found during the training
        elif isinstance(done.result, Contribution):
            announce_capped(self.ctx, done.result.examples)
            given = done.result
            if self.ctx.state.is_measured and sharing.kind != "setup":
                given = replace(given, sums=without_measures(given.sums))
            sharing.on_contribution(given)
        else:
            sharing.on_encoded(done.result, self.ctx.alive, self.ctx.alive_changes)

    def _evict_dealer(self, dealer: int, complaint: bytes | None) -> None:
        """Propose to evict a dealer, if there is a complaint about it that this member found right."""
        if complaint is not None:
            offender = self.ctx.state.committee.members[dealer]
            self.ctx.pool.vouch(Evict(offender, "bad-dealing", (complaint,)))

    def _on_summed(self, done: WorkDone) -> None:
        ctx = self.ctx
        assert ctx.summing is not None
        data, digest = done.result
        ctx.released[ctx.summing.round] = ctx.summing.body.digest()
        ctx.summing.on_summed(data, digest, ctx.state.proposer(self.view))
        if ctx.sharing is not None:
            ctx.sharing.forget_shares()
        if self._agreement is not None:
            self._agreement.try_open(self.view)

    def _on_vector(self, work: CheckVector, done: WorkDone) -> None:
        summing = self.ctx.summing
        assert summing is not None
        if done.error is None:
            summing.on_checked(done.result)
            if done.result.wrong is not None:
                text = f"round {summing.round}: the sum is none of possible contributions: {done.result.wrong}"
                self.ctx.out.notify(NoticeKind.FAULT, text, member=None)
        else:
            summing.on_check_failed(work.vector_hash)
            self.ctx.out.notify(NoticeKind.FAULT, f"round {summing.round}: not a sum: {done.error}", member=None)
        if self._agreement is not None:
            if done.error is None:
                self._agreement.on_vector(work.vector_hash)
            else:
                self._agreement.on_bad_vector(work.vector_hash)
        summing.check_deferred()
