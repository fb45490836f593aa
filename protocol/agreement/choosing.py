"""What a member proposes and votes for while no sum is open: changes of the membership, and the end of a share phase.

:mod:`.validity` has the checks that are functions of their arguments. Here they meet what this member sees at the
moment. A method named ``why_not_...`` or ``wrong`` returns what speaks against something, in words, and None if nothing
does.
"""

from dataclasses import dataclass
from typing import TypeGuard

from ..context import Context
from ..ledger.blocks import Block, Change, Contributors, Evict, Membership, Void
from ..messages.kinds import Proposal
from ..round.sharing import Sharing
from .giving_up import views_to_fallback
from .validity import contributors_body, wrong_choice, wrong_contributors, wrong_dealings, wrong_membership


@dataclass(slots=True)
class Choosing:
    """The values of one member, at heights at which no sum is open."""

    ctx: Context

    def has_value(self, view: int) -> bool:
        """Whether there is something that could be proposed in this view."""
        return bool(self._proposable(view)) or self._may_go_on()

    def value(self, view: int) -> Membership | Contributors | Void | None:
        """Return the body to propose in this view; None if there is nothing to decide yet.

        Changes of the membership come first. But a round that can go on does not wait for them in a later view, since
        that means that they were refused, nor right after the block before changed the membership. Otherwise members
        that come and go, or an eviction with a proof that only some have seen, would keep the round from ever going on.
        """
        ctx, sharing, may_go_on = self.ctx, self.ctx.sharing, self._may_go_on()
        if not (may_go_on and (view > 0 or ctx.just_changed)):
            changes = self._proposable(view)
            if changes:
                return Membership(changes)
        if sharing is None or not may_go_on:
            return None
        choice = sharing.settling.choice(ctx.state.required, ctx.alive, ctx.alive_changes)
        is_late = sharing.is_over and view >= views_to_fallback(ctx.state.committee)
        if ctx.state.required is None and is_late:
            choice = sharing.settling.choice_by_proof() or choice
        if choice is None:
            return Void(ctx.state.round, "shares", sharing.settling.missing())
        return contributors_body(ctx.state, choice)

    def wrong(self, block: Block, message: Proposal, view: int) -> str | None:
        """Say what speaks against a new proposal, as things stand here and now."""
        ctx = self.ctx
        match block.body:
            case Contributors() as body:
                return self._wrong_contributors(body, message.acks, view)
            case Membership() as body:
                return wrong_membership(ctx.state, body, ctx.pool, ctx.now_ms, self._heard())
            case Void():
                return self._why_not_void()
            case _:
                return None

    # Changes of the membership.

    def _proposable(self, view: int) -> tuple[Change, ...]:
        """Return the changes of the membership that this member would propose in a view.

        Evictions as silent are for the first view only: a member that hears the accused one refuses the whole block,
        with all other changes in it.
        """
        changes = self._changes(only_provable=self._heeds_proofs_alone(view))
        return tuple(one for one in changes if not (view > 0 and _is_for_silence(one)))

    def _changes(self, only_provable: bool = False) -> tuple[Change, ...]:
        """Return the changes of the membership that wait, less evictions as silent of members that are heard here."""
        found = self.ctx.pool.changes(self.ctx.state, self.ctx.now_ms, only_provable)
        if not any(map(_is_for_silence, found)):
            return found
        heard = self._heard()
        return tuple(one for one in found if not (_is_for_silence(one) and one.member in heard))

    def _heeds_proofs_alone(self, view: int) -> bool:
        """Whether to propose only evictions that every member can judge, because a view was refused already.

        Not in a repetition: it cannot go on with a contributor that is known to deal falsely, and the eviction cannot
        wait for another height, since none comes before it.
        """
        return view > 0 and not self._has_to_repeat()

    def _heard(self) -> frozenset[bytes]:
        """Return the members that are present, or dealt or acked in this round: none of them is silent."""
        ctx, sharing = self.ctx, self.ctx.sharing
        if sharing is None:
            return frozenset(ctx.alive)
        places = sharing.deals.keys() | sharing.acks.latest.keys()
        return frozenset(ctx.alive) | {sharing.committee.members[one] for one in places}

    # The end of a share phase.

    def _may_go_on(self) -> bool:
        """Whether the share phase can end: everything that is waited for has come, or the deadline has passed."""
        ctx, sharing, required = self.ctx, self.ctx.sharing, self.ctx.state.required
        if sharing is None or sharing.settling.is_complete(required, ctx.alive, ctx.alive_changes):
            return sharing is not None
        if self._has_to_repeat():  # a failed sum is repeated with the same contributors, however long that takes
            return sharing.settling.choice(required, ctx.alive, ctx.alive_changes) is not None and sharing.is_over
        return sharing.is_over

    def _has_to_repeat(self) -> bool:
        """Whether this round has to repeat a sum that failed.

        Not once a member of its committee is gone. Without that member the committee may be too small to sum the rest,
        for ever, while the next committee has a threshold that fits.
        """
        state, sharing = self.ctx.state, self.ctx.sharing
        if state.required is None or state.is_stuck or sharing is None:
            return False
        return all(state.member(one) is not None for one in sharing.committee.members)

    def _wrong_contributors(self, body: Contributors, acks: tuple[bytes, ...], view: int) -> str | None:
        ctx, sharing = self.ctx, self.ctx.sharing
        if sharing is None:
            return "the round is not open here"
        there = ctx.alive, ctx.alive_changes
        wrong = wrong_contributors(ctx.state, sharing, body, acks)
        if wrong is None and ctx.state.required is not None:
            wrong = wrong_dealings(ctx.state, sharing, body, *there)
        elif wrong is None:
            strict = not sharing.is_over or view < views_to_fallback(ctx.state.committee)
            wrong = wrong_choice(ctx.state, sharing, body, *there, strict)
        if wrong is not None:
            self._show_acks(sharing, view, acks)
        return wrong

    def _why_not_void(self) -> str | None:
        """Say why the share phase must not end without a sum yet; None if it may."""
        ctx, sharing, required = self.ctx, self.ctx.sharing, self.ctx.state.required
        if sharing is None or not sharing.is_over:
            return "the share deadline has not passed"
        if self._has_to_repeat():
            return "a failed sum is to be repeated, however long it takes"
        choice = sharing.settling.choice(required, ctx.alive, ctx.alive_changes)
        return None if choice is None else "the shares suffice"

    def _show_acks(self, sharing: Sharing, view: int, proposed: tuple[bytes, ...]) -> None:
        """Show the next proposer the acks that a refused proposal did not carry: both proposers may lack them."""
        for ack in [one for holder in sharing.acks.latest for one in sharing.acks.proofs(holder)]:
            if ack.raw not in proposed and ack.sender != self.ctx.me:
                self.ctx.out.send(self.ctx.state.proposer(view + 1), ack.raw)


def _is_for_silence(change: Change) -> TypeGuard[Evict]:
    return isinstance(change, Evict) and change.reason == "silent"
