"""After a restart: what a member has forgotten, and the others may have seen of it.

A member that decided blocks before does not vote at once. It first asks the others for its latest vote, and for its
dealing and acks of the round. :mod:`..vote_guard` says when it has heard enough. Then its next height opens, with what
was durable here, and in its round it holds to the dealing and the acks that others showed. A machine that was put back
to an earlier state does not know these, and would sign different ones in their place.

A decided block may show later that this home is such an older state. Then the member asks once more.
"""

import hashlib
from dataclasses import dataclass, field

from ..context import Context
from ..events import NoticeKind
from ..ledger.blocks import Contributors, block_hash, read_block
from ..ledger.state import LedgerState
from ..limits import RESUME_WAIT_MS
from ..messages.envelope import Peeked, Verified, peek, verify
from ..messages.kinds import Ack, CertifiedBlock, Deal, GetStatus, Precommit, Prevote, Status, dealing_id
from ..records import Dealt, LostStateFound, Memory, ShareHeld, ShownToUs, VoteKind
from ..round.sharing import Sharing
from ..timers import ResumeWait
from ..vote_guard import place


@dataclass(slots=True)
class Resume:
    """What this member remembers from before its restart, and what the others showed of it since."""

    ctx: Context
    memory: Memory | None
    """The records of the store; None once the first height is open."""
    _nonce: bytes = bytes(32)
    _request: bytes = b""
    """The question to the others, as it was sent."""
    _shown: dict[bytes, tuple[Verified, ...]] = field(default_factory=dict)
    """By member that showed them, dealings and acks of this member, as it signed them, shown while it resumed."""
    _said: dict[bytes, Deal | Ack] = field(default_factory=dict)
    """Those of the current round, by envelope."""
    _kept: ShownToUs | None = None
    """Those that are durable."""

    def __post_init__(self) -> None:
        self._kept = self.memory.shown if self.memory is not None else None
        if self._kept is not None:
            remembered = [verify(raw, self.ctx.state.federation) for raw in self._kept.envelopes]
            self._shown[self.ctx.me] = tuple(one for one in remembered if isinstance(one, Verified))

    def take_memory(self) -> Memory:
        """Return the records of the store, once; after that, none."""
        memory, self.memory = self.memory or Memory(), None
        return memory

    @property
    def has_a_vote(self) -> bool:
        """Whether this peer votes: it is a member, or has left and still belongs to the current round."""
        return self.ctx.is_member or self.ctx.state.committee.index(self.ctx.me) is not None

    # Asking the others.

    def begin(self) -> bool:
        """Ask what the others saw, if this member had decided blocks before. Returns whether it waits for answers."""
        ctx, memory = self.ctx, self.memory
        assert memory is not None
        self._remember_votes()
        if not (self.has_a_vote and ctx.state.height > 0 and len(ctx.audience) > 0):
            return False
        ctx.guard.resume(memory.copied)
        self._ask()
        text = f"resuming at height {ctx.height}, round {ctx.state.round}"
        if not ctx.is_member:
            text = f"this peer left; until round {ctx.state.round} is closed it goes on at height {ctx.height}"
        if memory.copied:
            text += "; this home was moved or copied, or is an old backup: no votes before every other member has"
            text += " answered, or the others have decided two more blocks"
        facts = {"height": ctx.height, "round": ctx.state.round, "copied": memory.copied}
        ctx.out.notify(NoticeKind.RESUMING, text, **facts)
        return True

    def begin_again(self) -> None:
        """Ask what the others saw, since this member was taking part when it found its lost state."""
        self.ctx.guard.resume_again()
        self._ask()

    def _ask(self) -> None:
        ctx = self.ctx
        self._nonce = hashlib.sha256(ctx.identity.sign(b"resume" + ctx.now_ms.to_bytes(8, "big"))).digest()
        self._request = ctx.out.seal(GetStatus(self._nonce))
        ctx.out.send(None, self._request)
        ctx.out.timer(RESUME_WAIT_MS, ResumeWait())

    def ask_member(self, member: bytes) -> None:
        """Repeat the question to a member that has connected, if this one resumes."""
        if self.ctx.guard.resuming:
            self.ctx.out.send(member, self._request)

    def on_timer(self) -> bool:
        """Ask again, since the time to answer is over. Returns whether this member was resuming."""
        ctx = self.ctx
        if not ctx.guard.resuming:
            return False
        ctx.guard.waited()
        ctx.out.send(None, self._request)
        ctx.out.timer(RESUME_WAIT_MS, ResumeWait())
        return True

    def on_status(self, sender: bytes, status: Status) -> bool:
        """Take a member's answer. Returns whether it was one to this member's question."""
        ctx = self.ctx
        if not ctx.guard.resuming or status.nonce != self._nonce:
            return False
        if sender not in ctx.state.audience:
            return False
        self._remember_votes()
        seen = verify(status.seen, ctx.state.federation) if status.seen is not None else None
        ours = None
        if isinstance(seen, Verified) and seen.sender == ctx.me and isinstance(seen.message, Prevote | Precommit):
            ours = place(seen)
        ctx.guard.on_status(sender, status.head, ours, ctx.height)
        shown = [verify(raw, ctx.state.federation) for raw in (status.deal, status.ack) if raw is not None]
        self._shown[sender] = tuple(one for one in shown if isinstance(one, Verified) and one.sender == ctx.me)
        return True

    def _remember_votes(self) -> None:
        """Enter the durable votes into the journal, before it is compared with what the others saw."""
        for vote in self.memory.votes if self.memory else ():
            one = verify(vote.envelope, self.ctx.state.federation)
            if isinstance(one, Verified) and isinstance(one.message, Prevote | Precommit):
                self.ctx.guard.record(vote.height, vote.view, vote.kind, one.message.block_hash)

    def try_end(self) -> bool:
        """Stop resuming if enough of the others answered. Returns whether this member resumed until now."""
        ctx = self.ctx
        if not ctx.guard.resuming or not ctx.guard.try_resume(ctx.state.committee, ctx.me, ctx.height):
            return False
        if ctx.guard.abstain_through >= ctx.height:
            through = ctx.guard.abstain_through
            text = f"this home will cast no votes up to height {through}: it is an older copy of itself"
            text += ", and the others saw votes of it that it does not know"
            ctx.out.notify(NoticeKind.ABSTAINING, text, through=through)
        return True

    # Answering others.

    def answer(self, asker: bytes, nonce: bytes, seen: Verified | None) -> None:
        """Tell a restarted member its latest vote (``seen``), its dealing and its ack, as they are known here."""
        ctx = self.ctx
        if asker not in ctx.state.audience:
            return
        deal = ack = None
        index = ctx.sharing.committee.index(asker) if ctx.sharing is not None else None
        if ctx.sharing is not None and index is not None:
            deal, ack = ctx.sharing.deals.get(index), ctx.sharing.acks.latest.get(index)
        shown = [one.raw if one is not None else None for one in (seen, deal, ack)]
        ctx.out.send(asker, Status(nonce, ctx.state.height, *shown))

    # Holding to what was said.

    def hold_to_what_was_said(self, sharing: Sharing, dealt: Dealt | None, shares: list[ShareHeld]) -> None:
        """Hold to what others showed of a round that opens, and make it durable if this home does not know it.

        Otherwise the next restart would forget it. If this home has a dealing of the round, whether that is the one
        shown is known only once it is made again.
        """
        shown, self._shown = [one for by_member in self._shown.values() for one in by_member], {}
        self._said = {
            one.raw: one.message
            for one in shown
            if isinstance(one.message, Deal | Ack) and one.message.round == sharing.round
        }
        if self._is_news(sharing, dealt, shares):
            self.keep_said(sharing)
        for said in shown:
            sharing.hold_to(said)

    def _is_news(self, sharing: Sharing, dealt: Dealt | None, shares: list[ShareHeld]) -> bool:
        held: set[tuple[int | None, bytes]] = set()
        if any(isinstance(one, Ack) for one in self._said.values()):
            held = {self._dealing_held(sharing, share) for share in shares}
        for one in self._said.values():
            others = {pair for pair in one.dealings if pair[0] != sharing.me} if isinstance(one, Ack) else set()
            is_own = isinstance(one, Deal) or sharing.me in dict(one.dealings)
            if not others <= held or (is_own and dealt is None):
                return True
        return False

    def _dealing_held(self, sharing: Sharing, share: ShareHeld) -> tuple[int | None, bytes]:
        deal = peek(share.deal, self.ctx.state.federation)
        if not isinstance(deal, Peeked) or not isinstance(deal.message, Deal):
            return None, b""
        return sharing.committee.index(share.dealer), dealing_id(self.ctx.state.federation, deal.sender, deal.message)

    def keep_said(self, sharing: Sharing) -> None:
        """Make durable, once, what others showed of this round."""
        kept, self._said = ShownToUs(sharing.round, tuple(sorted(self._said))), {}
        if kept.envelopes and kept != self._kept:
            self._kept = kept
            self.ctx.out.persist(kept)

    # Finding a lost state.

    def find_lost_state(self, certified: CertifiedBlock, before: LedgerState) -> bool:
        """See whether this block proves that this home is an older state of itself (:mod:`..vote_guard`), and mark it.

        The mark becomes durable before the block: once the block is stored, no restart would look at it again.
        """
        ctx = self.ctx
        if ctx.guard.may_have_dealt(before.height + 1) or not self._shows_a_lost_state(certified, before):
            return False
        is_news = ctx.guard.mark_as_copy()
        ctx.out.persist(LostStateFound(before.height + 1))
        if not is_news:  # further blocks may show it again while this member catches up
            return True
        text = f"height {before.height + 1} holds what this member signed and this home does not know: it is an older"
        text += " copy of itself. It casts no votes before every other member has answered, or the others have decided"
        text += " two more blocks, and sits out each round in which it may have dealt"
        ctx.out.notify(NoticeKind.LEFT_BEHIND, text, height=before.height + 1)
        return True

    def _shows_a_lost_state(self, certified: CertifiedBlock, before: LedgerState) -> bool:
        """Whether a block above the stored head holds a precommit, a dealing or acks that this home does not know.

        Of a round that is open here only the dealing is compared, unless this home is making it again. A round that is
        not open here is compared with the records.
        """
        ctx, digest = self.ctx, block_hash(certified.block)
        for raw in certified.certificate:
            vote = peek(raw, before.federation) if ctx.me in raw else None
            if not isinstance(vote, Peeked) or vote.sender != ctx.me:
                continue
            if not ctx.guard.has_cast(before.height + 1, vote.view, VoteKind.PRECOMMIT, digest):
                return True
        body, index = read_block(certified.block).body, before.committee.index(ctx.me)
        if not isinstance(body, Contributors) or index is None:
            return False
        if ctx.sharing is not None and ctx.sharing.round == body.round:
            return index in dict(body.dealers) and ctx.sharing.vector is None and index not in ctx.sharing.deals
        memory = self.memory or Memory()
        has_dealt = memory.dealt is not None and memory.dealt.round == body.round
        held = {before.committee.index(one.dealer) for one in memory.shares if one.round == body.round}
        dealers = dict(body.dealers).keys()
        return (index in dealers and not has_dealt) or (index in body.holders and not dealers - {index} <= held)
