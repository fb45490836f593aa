"""The sum phase of a round: sum shares, and the jobs from adding up to the check of W."""

from dataclasses import dataclass

from ..context import Context
from ..events import NoticeKind, WorkDone
from ..jobs import CheckVector, SumJob
from ..messages.envelope import Verified
from ..schemes.base import Opened, OpenJob
from .heights import Heights
from .rounds import RoundPhases


@dataclass(slots=True)
class Sums:
    """Hands messages and results to ``ctx.summing``, and what follows from them to the agreement."""

    ctx: Context
    rounds: RoundPhases
    heights: Heights

    def on_sum_share(self, received: Verified, blob: bytes | None) -> None:
        """Take a holder's sum share."""
        if self.rounds.is_open_for(received, blob) and self.heights.open_sum is not None:
            self.heights.open_sum.on_sum_share(received, blob)

    # Jobs. A result may come after the sum that it was for, and is then of no use.

    def on_added_up(self, work: SumJob, done: WorkDone) -> None:
        """Release this member's sum."""
        ctx, summing = self.ctx, self.ctx.summing
        if summing is None or work.contributors != summing.body.digest():
            return
        if done.error is not None:
            summing.on_unsummed(done.error)
            return
        data, digest = done.result
        ctx.released[summing.round] = summing.body.digest()
        summing.on_summed(data, digest, ctx.state.proposer(self.heights.view))
        if ctx.sharing is not None:
            ctx.sharing.forget_shares()
        self._try_open()

    def on_opened(self, work: OpenJob, done: WorkDone) -> None:
        """Take W; if it did not open, try again with the sum shares that came meanwhile."""
        summing = self.ctx.summing
        if summing is None or work.terms != summing.terms:
            return
        assert isinstance(done.result, Opened | None)
        summing.on_opened(done.result)
        self._try_open()

    def _try_open(self) -> None:
        if self.heights.open_sum is not None:
            self.heights.open_sum.try_open(self.heights.view)

    def on_vector(self, work: CheckVector, done: WorkDone) -> None:
        """Take what follows from W, and have the proposals judged that wait for it."""
        ctx, summing, open_sum = self.ctx, self.ctx.summing, self.heights.open_sum
        if summing is None or work.round != summing.round:
            return
        if done.error is None:
            summing.on_checked(done.result)
            if done.result.wrong is not None:
                text = f"round {summing.round}: the sum is none of possible contributions: {done.result.wrong}"
                ctx.out.notify(NoticeKind.FAULT, text, member=None)
            if open_sum is not None:
                open_sum.on_vector(work.vector_hash)
        else:
            summing.on_check_failed(work.vector_hash)
            ctx.out.notify(NoticeKind.FAULT, f"round {summing.round}: not a sum: {done.error}", member=None)
            if open_sum is not None:
                open_sum.on_bad_vector(work.vector_hash)
        summing.check_deferred()
