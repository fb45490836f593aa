"""The heights of the ledger: each is open until its block is decided, here or by certified blocks from others.

Then the ledger moves on, and the next height opens: first the phase of the round that the ledger names, then the
agreement on the next block, then what came too early for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..agreement.height import Agreement
from ..agreement.open_sum import OpenSum
from ..context import Context
from ..ledger.phases import Phase
from ..ledger.state import LedgerState, apply
from ..limits import RESEND_MS
from ..messages.envelope import Verified, view_of
from ..messages.kinds import Blocks, CertifiedBlock, Status
from ..notices import announce
from ..records import BlockDecided, ModelSaved, RoundClosed
from ..sync.catchup import CatchUp
from ..sync.resume import Resume
from ..timers import Resend
from .membership import MembershipRequests
from .rounds import RoundPhases


@dataclass(slots=True)
class Heights:
    """Opens ``agreement`` for one height after the other."""

    ctx: Context
    catchup: CatchUp
    resume: Resume
    rounds: RoundPhases
    membership: MembershipRequests
    route: Callable[[Verified, bytes | None], None]
    """Hands a message that came too early to the part that it concerns."""
    agreement: Agreement | None = None
    """The agreement on the next block; None while this member resumes."""
    previous: Agreement | None = None
    """The one before, for late votes that prove a lie."""

    @property
    def view(self) -> int:
        """The current view of the height that is being decided."""
        return self.agreement.consensus.view if self.agreement else 0

    @property
    def open_sum(self) -> OpenSum | None:
        """The sum that is open at the height that is being decided, if one is."""
        return self.agreement.open_sum if self.agreement else None

    def can_open(self) -> bool:
        """Whether an open sum has enough holders present; True without one."""
        return self.agreement is None or self.agreement.can_open()

    def check_ready(self) -> None:
        """After every event: propose if there is something to propose."""
        if self.agreement is not None:
            self.agreement.check_ready()

    # Starting and resuming.

    def start(self) -> None:
        """Open the first height; a member that had decided blocks before first asks what the others saw of it."""
        if not self.resume.begin():
            self._open()

    def on_status(self, sender: bytes, status: Status) -> None:
        """Take what a member saw of this one before it was restarted."""
        if self.resume.on_status(sender, status):
            self._try_resume()
            self.catchup.on_head(sender, status.head)

    def on_resume_wait(self) -> None:
        """Go on with the answers that came, if they are enough."""
        if self.resume.on_timer():
            self._try_resume()

    def _try_resume(self) -> None:
        if self.resume.try_end():
            self._open()

    def on_get_status(self, asker: bytes, nonce: bytes) -> None:
        """Tell a member that was restarted what is known of it here."""
        seen = self.ctx.early.latest_vote(asker) or (self.agreement.latest_vote(asker) if self.agreement else None)
        self.resume.answer(asker, nonce, seen)

    # Opening.

    def _open(self) -> None:
        ctx = self.ctx
        if ctx.guard.resuming:
            if not ctx.is_member:  # removed while it was away: the others answer only once it is a member again
                self.membership.keep_asking_to_join()
            return
        memory = self.resume.take_memory()
        ctx.out.enter(ctx.height)
        ctx.guard.forget_below(ctx.height)
        self.rounds.open_phase(memory)
        self._close_agreement()
        self.agreement = Agreement(ctx, self._on_decided)
        votes = [vote for vote in memory.votes if vote.height == ctx.height]
        self.agreement.open(votes, [value for value in memory.values if value.height == ctx.height])
        ctx.out.timer(RESEND_MS, Resend(ctx.height))
        if not ctx.is_member:
            self.membership.keep_asking_to_join()
        ctx.early.forget_strangers(ctx.listens_to)
        for message, blob in ctx.early.take(ctx.height, ctx.state.round):
            self.route(message, blob)

    def _close_agreement(self) -> None:
        if self.agreement is not None:
            self.agreement.close()
        self.previous, self.agreement = self.agreement, None

    # Moving on.

    def _on_decided(self, block: bytes, certificate: tuple[bytes, ...]) -> None:
        """Take a block that was decided here."""
        certified = CertifiedBlock(block, certificate)
        self._adopt([(certified, apply(self.ctx.state, block))])

    def on_blocks(self, sender: bytes, blocks: Blocks) -> None:
        """Take certified blocks from another peer, as far as they continue the ledger."""
        accepted = self.catchup.on_blocks(sender, blocks) if self.ctx.listens_to(sender) else []
        if accepted:
            self._adopt(accepted)

    def _adopt(self, accepted: list[tuple[CertifiedBlock, LedgerState]]) -> None:
        """Move the ledger on, by a block decided here or by blocks from others, and open the next height."""
        ctx = self.ctx
        is_lost = False
        for certified, after in accepted:
            before = ctx.state
            is_lost |= self.resume.find_lost_state(certified, before)
            ctx.out.persist(BlockDecided(after.height, certified.block, certified.certificate))
            ctx.guard.on_decided(after.height, before.committee, ctx.me)
            announce(ctx.out, before, after, view_of(certified.certificate[0]), certified.block)
            self._move_to(after)
            self._tell_movers(before, after)
        ctx.out.enter(ctx.height, ctx.out.view)
        if is_lost and not ctx.guard.resuming and self.resume.has_a_vote:
            self._close_agreement()
            self.resume.begin_again()
        self._open()
        self._try_resume()
        if ctx.weights is None:
            self.catchup.want_weights()
        self.catchup.ask()

    def _move_to(self, after: LedgerState) -> None:
        ctx, before = self.ctx, self.ctx.state
        if after.round != before.round and before.phase in (Phase.SHARING, Phase.SUMMING):
            ctx.out.persist(RoundClosed(before.round))
        if after.weights_hash != before.weights_hash:
            ctx.take_weights(self._weights_of(after.weights_hash))
            if ctx.weights is not None:
                ctx.out.persist(ModelSaved(after.weights_hash, ctx.weights))
        self.catchup.forks.passed(before)
        ctx.move_to(after)
        if ctx.sharing is not None and ctx.sharing.round == after.round and after.members != before.members:
            ctx.sharing.exclude(ctx.state.departed)

    def _weights_of(self, wanted: bytes) -> bytes | None:
        """Return the decided weights, if a sum that was checked here leads to them."""
        checked = self.ctx.summing.checked.values() if self.ctx.summing else ()
        return next((one.weights for one in checked if one.weights_hash == wanted), None)

    def _tell_movers(self, before: LedgerState, after: LedgerState) -> None:
        """Give the last block to members that came with it, and to members that have no part in the round any more."""
        me, known = self.ctx.me, set(before.keys)
        for member in after.members:
            if member.key not in known and member.key != me:
                self.catchup.welcome(member.key, before.committee.members)
        if after.committee.members != before.committee.members:
            for key in sorted(set(before.committee.members) - set(after.committee.members) - {me}):
                self.catchup.farewell(key)

    # Saying it again.

    def on_resend(self, height: int) -> None:
        """Repeat to all what was said at this height, if it still is the one being decided."""
        if height == self.ctx.height:
            self.resend(None)
            self.ctx.out.timer(RESEND_MS, Resend(height))

    def resend(self, to: bytes | None) -> None:
        """Repeat what this member said in this round and at this height, to all or to one member."""
        ctx = self.ctx
        if ctx.sharing is not None and ctx.state.phase in (Phase.SHARING, Phase.SUMMING):
            ctx.sharing.resend(to)
            ctx.accuse_again(to)
        if self.agreement is not None:
            self.agreement.resend(to)
