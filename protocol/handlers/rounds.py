"""The phases of a round: opening them as the ledger names them, and their times.

A round lasts for several heights. Each height opens the phase that the ledger names, if it is not open yet.
:mod:`..round.sharing` says what happens at which time of the share phase.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..context import Context
from ..events import NoticeKind
from ..ledger.committee import Committee
from ..ledger.contribution import read_totals
from ..ledger.phases import Phase
from ..limits import BYTES_PER_MS, KEPT_BOXES_DELAY_MS
from ..messages.envelope import Verified
from ..messages.kinds import Ack, Complaint, Deal, HandBox, SitOut, SumShare, UpheldComplaint
from ..records import Memory, ModelSaved
from ..round.sharing import Sharing
from ..round.summing import Summing
from ..schemes import Scheme
from ..sync.catchup import CatchUp
from ..sync.resume import Resume
from ..timers import AcksDue, BoxesDue, HandOver, RestOver, ShareDeadline

MAY_HAVE_DEALT = "this home is a copy of an older state, which may have dealt in this round"


@dataclass(slots=True)
class RoundPhases:
    """Opens ``ctx.sharing`` and ``ctx.summing``, and takes them through their times."""

    ctx: Context
    catchup: CatchUp
    resume: Resume
    scheme_of: Callable[[str, Committee], Scheme]
    inline_bytes: int
    """A box up to this size comes with its dealing."""
    _explained: tuple[bytes, ...] = ()
    """The committee that the operator was told of last."""

    # Opening.

    def open_phase(self, memory: Memory) -> None:
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
            self.resume.hold_to_what_was_said(ctx.sharing, dealt, shares)
            ctx.sharing.restore(dealt, shares)
            if phase is Phase.SHARING:
                self._begin_round(ctx.sharing)
        if phase is Phase.SUMMING and ctx.summing is None:
            self._open_sum(ctx.sharing)

    def _new_sharing(self) -> Sharing:
        ctx, state = self.ctx, self.ctx.state
        ctx.patience.on_round(state.round)
        return Sharing(
            out=ctx.out,
            round=state.round,
            kind=state.kind,
            committee=state.committee,
            scheme=self.scheme_of(state.genesis.scheme, state.committee),
            terms=state.terms,
            clip=state.clip,
            examples_ref=state.genesis.examples_ref,
            opened_at=ctx.height,
            accuse=ctx.accuse,
            convict=ctx.convict,
            patience=ctx.patience,
            inline_bytes=self.inline_bytes,
        )

    def _begin_round(self, sharing: Sharing) -> None:
        ctx, state = self.ctx, self.ctx.state
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
        has_dealt = sharing.vector is not None  # before it was restarted
        ctx.out.timer(0 if has_dealt else state.genesis.round_interval_ms, RestOver(state.round))

    def _open_sum(self, sharing: Sharing) -> None:
        ctx, state = self.ctx, self.ctx.state
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
        self.release()

    def release(self) -> None:
        """Release this member's sum for the decided contributors; after a restart, once its dealing is made again."""
        ctx = self.ctx
        if ctx.summing is not None and ctx.sharing is not None:
            released = ctx.released.get(ctx.summing.round)
            ctx.summing.release(ctx.sharing.decided_vector(), ctx.sharing.holds(ctx.summing.body.dealers), released)

    def is_open_for(self, received: Verified, blob: bytes | None) -> bool:
        """Whether a message is of the half of a round that is open here; an early one is kept for later."""
        ctx, message = self.ctx, received.message
        assert isinstance(message, Deal | Ack | SitOut | Complaint | UpheldComplaint | HandBox | SumShare)
        if not ctx.listens_to(received.sender) or message.round < ctx.state.round:
            return False
        is_early = message.round > ctx.state.round or ctx.sharing is None or ctx.guard.resuming
        if is_early or (isinstance(message, SumShare) and ctx.summing is None):
            ctx.early.keep(received, blob)
            return False
        return True

    # Training.

    def begin_training(self) -> None:
        """End the rest between rounds, here or since others have: train, and set the share deadline."""
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
            sharing.sit_out(MAY_HAVE_DEALT)
        elif sharing.vector is None and sharing.has_dealt_otherwise():
            sharing.sit_out("this home is an older copy of itself: it has dealt in this round already")
        else:
            totals = ctx.state.totals
            sharing.begin(ctx.weights, None if totals is None else read_totals(totals))

    def on_weights(self, received: Verified, blob: bytes | None) -> None:
        """Take the model that was missing here; then go on with the round that needs it."""
        ctx = self.ctx
        if not self.catchup.on_weights(received, blob):
            return
        assert ctx.weights is not None
        ctx.out.persist(ModelSaved(ctx.state.weights_hash, ctx.weights))
        text = f"level with the others at height {ctx.state.height}"
        ctx.out.notify(NoticeKind.SYNCED, text, height=ctx.state.height)
        if ctx.summing is not None:
            ctx.summing.take_base(ctx.weights)
        else:
            self._train()

    # Times of the share phase. Each takes the round for which its timer was set.

    def _sharing_of(self, round_: int) -> Sharing | None:
        sharing = self.ctx.sharing
        return sharing if sharing is not None and sharing.round == round_ else None

    def on_rest_over(self, round_: int) -> None:
        """Begin to train, unless this member has begun since others had."""
        sharing = self._sharing_of(round_)
        if sharing is not None and not sharing.may_begin:
            self.begin_training()

    def on_share_deadline(self, round_: int) -> None:
        """Ack whatever is held."""
        sharing = self._sharing_of(round_)
        if sharing is not None:
            sharing.ack_what_there_is()
            self.ctx.out.timer(self.ctx.state.genesis.view_delta_ms, AcksDue(round_))

    def on_acks_due(self, round_: int) -> None:
        """Hand over the boxes in question, and settle the contributors when these have had time to arrive.

        By now all should have acked what they hold, so what is missing is in dispute.
        """
        ctx, sharing = self.ctx, self._sharing_of(round_)
        if sharing is not None:
            self._tell_overdue(sharing, sharing.on_deadline(ctx.alive, ctx.alive_changes))
            ctx.out.timer(self._settling_ms(sharing), BoxesDue(round_))

    def on_boxes_due(self, round_: int) -> None:
        """Go on with what is settled, unless holders get more time to ack."""
        ctx, sharing = self.ctx, self._sharing_of(round_)
        if sharing is None:
            return
        if sharing.waits_for_holders(ctx.alive, ctx.alive_changes):
            ctx.out.timer(self._settling_ms(sharing), BoxesDue(round_))
        else:
            self._settle_acks(sharing)

    def on_hand_over(self, round_: int) -> None:
        """Hand over the boxes that holders still lack."""
        sharing = self._sharing_of(round_)
        if sharing is not None:
            sharing.hand_over_lacking(self.ctx.alive, self.ctx.alive_changes)

    def hand_over_soon(self) -> None:
        """Hand over the boxes that holders lack, once their acks have had time to arrive."""
        assert self.ctx.sharing is not None
        self.ctx.out.timer(self.ctx.state.genesis.view_delta_ms, HandOver(self.ctx.sharing.round))

    def on_tell_kept(self, round_: int) -> None:
        """Say in an ack which boxes are kept."""
        sharing = self._sharing_of(round_)
        if sharing is not None:
            sharing.say_kept()

    def ack_alive(self) -> None:
        """Ack without waiting for absent members."""
        ctx = self.ctx
        if ctx.sharing is not None and ctx.state.phase is Phase.SHARING:
            ctx.sharing.ack_alive(ctx.alive, ctx.alive_changes)

    def _settling_ms(self, sharing: Sharing) -> int:
        """Return how long boxes handed over at the share deadline have to arrive, and their acks to come back."""
        committee = self.ctx.state.committee
        copies = 2 * (committee.f + 1) * max(1, committee.n - committee.sum_quorum)
        answers_ms = 2 * self.ctx.state.genesis.view_delta_ms + KEPT_BOXES_DELAY_MS
        return answers_ms + sharing.scheme.share_bytes(sharing.terms.layout) * copies // BYTES_PER_MS

    def _settle_acks(self, sharing: Sharing) -> None:
        """Go on with what is settled, since the time for missing acks is over; remember and report the late members."""
        ctx = self.ctx
        sharing.end_settling()
        if sharing.decided is not None or sharing.me is None:
            return
        members, late = sharing.committee.members, sharing.settling.overdue(ctx.alive, ctx.alive_changes)
        ctx.patience.on_overdue(*([members[one] for one in sorted(found)] for found in late))
        self._tell_overdue(sharing, late[0] | late[1])

    def _tell_overdue(self, sharing: Sharing, late: Iterable[int]) -> None:
        """Tell the operator of members that were waited for in vain, of each once in a round."""
        news = sharing.newly_overdue(late)
        if news:
            text = f"round {sharing.round}: {len(news)} member(s) did not ack or hand over all shares by the deadline"
            members = tuple(sharing.committee.members[one] for one in news)
            self.ctx.out.notify(NoticeKind.OVERDUE, text, round=sharing.round, members=members)
