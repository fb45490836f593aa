"""Coming and going: what this peer asks of the members, and what other peers ask of it."""

from dataclasses import dataclass

from ..context import Context
from ..events import NoticeKind
from ..ledger.tickets import Invite
from ..limits import JOIN_RETRY_MS
from ..messages.envelope import Verified
from ..messages.kinds import JoinRequest, LeaveRequest, Refusal, Withdrawal
from ..sync.catchup import CatchUp
from ..timers import RetryJoin, RetryLeave


@dataclass(frozen=True, slots=True)
class Newcomer:
    """The data with which a peer asks to be admitted."""

    name: str
    model: str
    invite: Invite | None = None
    returns: bool = True
    """Whether it asks again after it left or was removed; otherwise its operator decides that."""


@dataclass(slots=True)
class MembershipRequests:
    """Whether this peer wants to be a member, and the requests of others, which wait in ``ctx.pool``."""

    ctx: Context
    catchup: CatchUp
    newcomer: Newcomer | None
    """The data to ask with; None for a peer that does not ask."""
    _has_asked: bool = False
    _leaves: bool = False

    @property
    def may_be_admitted(self) -> bool:
        """Whether members may hold a request of this peer to be admitted that it has not taken back."""
        return self._has_asked and not self.ctx.is_member

    def look_around(self) -> None:
        """After every event: forget requests that are over."""
        self._has_asked &= not self.ctx.is_member
        self.ctx.pool.forget_unheard(self.ctx.now_ms)

    # What this peer asks.

    def on_retry_join(self, height: int) -> None:
        """Ask again to be admitted, if no block has come since the timer was set."""
        if height == self.ctx.height and not self.ctx.is_member:
            self.keep_asking_to_join()

    def keep_asking_to_join(self) -> None:
        """Ask to be admitted, now and from time to time."""
        self.ask_to_join()
        self.ctx.out.timer(JOIN_RETRY_MS, RetryJoin(self.ctx.height))

    def ask_to_join(self) -> None:
        """Ask all linked peers to be admitted, if this peer is no member and wants to be one."""
        ctx, newcomer = self.ctx, self.newcomer
        if ctx.is_member or newcomer is None or self._leaves:
            return
        if not newcomer.returns and ctx.me in ctx.state.gone:
            return
        ticket, proof = b"", b""
        if newcomer.invite is not None:
            ticket, proof = newcomer.invite.ticket, newcomer.invite.prove(ctx.me)
        request = ctx.out.seal(JoinRequest(newcomer.name, newcomer.model, ticket, proof))
        for peer in sorted(ctx.alive):
            ctx.out.send(peer, request)
            self._has_asked = True

    def withdraw(self) -> None:
        """Take the request to be admitted back, at all linked peers. A peer that was admitted stays a member."""
        ctx = self.ctx
        if not self.may_be_admitted:
            return
        self.newcomer = None
        withdrawal = ctx.out.seal(Withdrawal(ctx.now_ms))
        for peer in sorted(ctx.alive):
            ctx.out.send(peer, withdrawal)
        self._has_asked = not ctx.alive
        text = f"took back the request to be admitted: {len(ctx.alive)} linked peer(s) were told"
        if not ctx.alive:
            text = "gave up to be admitted, but there is no link over which anybody could be told"
        ctx.out.notify(NoticeKind.WITHDRAWN, text, peers=len(ctx.alive))

    def leave(self) -> None:
        """Ask to leave for good."""
        self._leaves = True
        self.ask_to_leave()

    def ask_to_leave(self) -> None:
        """Ask to leave, now and from time to time, if this member wants to."""
        ctx = self.ctx
        if not self._leaves or not ctx.is_member:
            return
        request = ctx.out.sealed(LeaveRequest(ctx.state.round))
        ctx.pool.add_leave(request)
        ctx.out.send(None, request.raw)
        ctx.out.timer(JOIN_RETRY_MS, RetryLeave())

    def on_refusal(self, sender: bytes, refusal: Refusal) -> None:
        """Tell the operator why this peer is not admitted."""
        if not self.ctx.is_member:
            reason = refusal.reason
            self.ctx.out.notify(NoticeKind.REFUSED, f"refused: {reason}", member=sender, reason=reason)

    # What others ask.

    def on_join_request(self, request: Verified) -> None:
        """Take a newcomer's request, and pass it on; help a member that does not know that it is one."""
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

    def on_withdrawal(self, withdrawal: Verified) -> None:
        """Drop the request of a newcomer that takes it back, and pass that on."""
        ctx = self.ctx
        if ctx.is_member and ctx.pool.withdraw(withdrawal, ctx.now_ms):
            for member in ctx.audience:
                ctx.out.send(member, withdrawal.raw)

    def on_leave_request(self, request: Verified) -> None:
        """Take a member's request to leave."""
        if self.ctx.state.member(request.sender) is not None:
            self.ctx.pool.add_leave(request)
