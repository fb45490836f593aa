"""The share phase of a round: its messages, and its jobs from the training to the check of a share."""

from dataclasses import dataclass, replace

from ..context import Context
from ..events import Fetch, WorkDone
from ..jobs import Contribution, Encode, Train
from ..ledger.blocks import Evict
from ..ledger.contribution import without_measures
from ..ledger.phases import Phase
from ..messages.envelope import Verified
from ..messages.kinds import Ack, Complaint, Deal, HandBox, SitOut, UpheldComplaint
from ..notices import announce_capped
from ..round.sharing import Sharing
from ..schemes.base import CheckedShare, CheckJob, Dealing, DealJob, JudgeJob
from ..sync.resume import Resume
from .rounds import MAY_HAVE_DEALT, RoundPhases


@dataclass(slots=True)
class Dealings:
    """Hands messages and results to ``ctx.sharing``, and acts on what it says about them."""

    ctx: Context
    resume: Resume
    rounds: RoundPhases

    # Messages.

    def on_message(self, received: Verified, blob: bytes | None) -> None:
        """Take a message of the share phase, which others may also need after it."""
        if not self.rounds.is_open_for(received, blob):
            return
        ctx, sharing = self.ctx, self.ctx.sharing
        assert sharing is not None
        match received.message:
            case Complaint() | UpheldComplaint():
                sharing.complaints.on_complaint(received, blob)
            case Deal():
                sharing.on_deal(received, blob)
                if sharing.has_begun_elsewhere():
                    self.rounds.begin_training()
            case HandBox():
                sharing.on_hand_box(received, blob)
            case Ack():
                self._on_ack(sharing, received)
            case SitOut() if ctx.state.phase is Phase.SHARING:
                sharing.on_sit_out(received)

    def _on_ack(self, sharing: Sharing, ack: Verified) -> None:
        sharing.on_ack(ack)
        if sharing.is_late():
            sharing.ack_what_there_is()
            self.rounds.hand_over_soon()
        if sharing.has_more_to_hand_over(self.ctx.alive, self.ctx.alive_changes):
            self.rounds.hand_over_soon()

    def on_fetch_failed(self, fetch: Fetch) -> None:
        """Note that a source did not deliver a box, or the proof of a complaint."""
        sharing = self.ctx.sharing
        if sharing is None:
            return
        if isinstance(fetch.message.message, Complaint | UpheldComplaint):
            sharing.complaints.on_fetch_failed(fetch.message)
        else:
            sharing.on_fetch_failed(fetch)

    # Jobs. A result may come after the round that it was for, and is then of no use.

    def on_own_update(self, work: Train | Encode, done: WorkDone) -> None:
        """Go on with this member's update after its training or encoding; sit the round out if that failed."""
        ctx, sharing = self.ctx, self.ctx.sharing
        if sharing is None or work.round != sharing.round:
            return
        if done.error is not None:
            sharing.sit_out(done.error)
        elif sharing.vector is None and ctx.guard.may_have_dealt(sharing.opened_at):
            sharing.sit_out(MAY_HAVE_DEALT)  # the lost state was found during the training
        elif isinstance(done.result, Contribution):
            announce_capped(ctx, done.result.examples)
            given, final = done.result, len(ctx.state.genesis.final_metrics)
            if sharing.kind == "evaluate" and final and not ctx.state.tells_final:
                given = replace(given, sums=given.sums[:-final])
            if ctx.state.is_measured and sharing.kind != "setup":
                given = replace(given, sums=without_measures(given.sums))
            sharing.on_contribution(given)
        else:
            sharing.on_encoded(done.result, ctx.alive, ctx.alive_changes)

    def on_dealt(self, work: DealJob, done: WorkDone) -> None:
        """Publish this member's dealing; sit the round out if it could not be made."""
        ctx, sharing = self.ctx, self.ctx.sharing
        if sharing is None or work.terms != sharing.terms:
            return
        if done.error is not None:
            sharing.sit_out(done.error)
            return
        assert isinstance(done.result, Dealing)
        sharing.on_dealt(done.result, ctx.alive, ctx.alive_changes)
        if sharing.me not in sharing.deals:  # others showed another dealing, so this one was not published
            self.resume.keep_said(sharing)
        self.rounds.release()
        if sharing.phase.is_late:
            self.rounds.hand_over_soon()

    def on_checked(self, work: CheckJob, done: WorkDone) -> None:
        """Hold a good share; publish the proof of a bad one, and propose to evict its dealer."""
        sharing = self.ctx.sharing
        if sharing is None or work.terms != sharing.terms:
            return
        if done.error is not None:
            sharing.on_unchecked(work.dealer, done.error)
            return
        assert isinstance(done.result, CheckedShare)
        self._evict_dealer(work.dealer, sharing.on_checked(work.dealer, done.result))
        self.rounds.release()

    def on_judged(self, work: JudgeJob, done: WorkDone) -> None:
        """Propose to evict a dealer, if the complaint about it is right."""
        sharing = self.ctx.sharing
        if sharing is None or work.terms != sharing.terms:
            return
        judged = done.result if done.error is None else None
        assert isinstance(judged, CheckedShare | None)
        self._evict_dealer(work.dealer, sharing.on_judged(work.dealer, work.holder, judged))

    def _evict_dealer(self, dealer: int, complaint: bytes | None) -> None:
        """Propose to evict a dealer, if there is a complaint about it that this member found right."""
        if complaint is not None:
            offender = self.ctx.state.committee.members[dealer]
            self.ctx.pool.vouch(Evict(offender, "bad-dealing", (complaint,)))
