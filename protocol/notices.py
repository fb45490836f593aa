"""Notices for the operator: what a decided block means, and what a sum waits for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .context import Context
from .effects import Effects
from .events import NoticeKind
from .ledger.blocks import Amend, Body, Evict, Membership, Void, read_block
from .ledger.contribution import read_metrics
from .ledger.options import id_of, told
from .ledger.phases import Phase
from .ledger.state import LedgerState
from .messages.envelope import Peeked, peek
from .messages.kinds import OptionsProposal

_EVICTED_FOR: Final = {
    "silent": "it missed {missed} rounds in a row",
    "double-vote": "it signed two different votes (as two peers with one key do: a home and its copy)",
    "double-deal": "it signed two different dealings of a round",
    "double-ack": "it signed acks that contradict each other",
    "false-vector": "it sent another vector than the one that it had dealt",
    "bad-dealing": "it dealt false shares",
    "false-proof": "it dealt what its proof does not show to be an update",
    "wrong-sum": "it sent a wrong sum",
}

_VOID_FOR: Final = {
    "shares": "too few updates could be summed",
    "sum": "the sum could not be opened",
    "encoding": "the sum holds numbers that no honest member can contribute, as the votes prove",
}


def announce(out: Effects, before: LedgerState, after: LedgerState, view: int, block: bytes) -> None:
    """Tell what a block decided that led from one state to the other. ``view``: the view of its certificate."""
    body = read_block(block).body
    _announce_members(out, before, after, body)
    _announce_options(out, before, after, body)
    round_ = before.round
    if after.phase is Phase.SUMMING and before.phase is Phase.SHARING and after.contributors is not None:
        names = [before.committee.members[index] for index, _ in after.contributors.dealers]
        aggregator = before.proposer(view)
        text = f"round {round_}: {len(names)} contribute"
        out.notify(NoticeKind.CONTRIBUTORS, text, round=round_, members=names, height=after.height, proposer=aggregator)
    elif after.round != before.round and after.sums is not before.sums:
        _announce_model(out, before, after, view)
    elif isinstance(body, Void):
        _announce_void(out, before, after, body, before.proposer(view))
    if after.phase is Phase.FINISHED and before.phase is not Phase.FINISHED:
        text = f"training is finished after {after.trained} rounds"
        if after.has_stopped:
            text += ": the loss has not fallen any more (--patience)"
        out.notify(NoticeKind.FINISHED, text, rounds=after.trained)


def _announce_options(out: Effects, before: LedgerState, after: LedgerState, body: Body) -> None:
    for change in body.changes if isinstance(body, Membership) else ():
        proposal = peek(change.proposal, before.federation) if isinstance(change, Amend) else None
        if isinstance(proposal, Peeked) and isinstance(proposal.message, OptionsProposal):
            text = f"the members decided: {told(proposal.message.change)}"
            text += "" if after.options == after.agreed else ", from the next round on"
            facts = {"options": told(proposal.message.change), "proposal": id_of(proposal, before.federation)}
            out.notify(NoticeKind.OPTIONS, text, **facts, height=after.height)


def announce_capped(ctx: Context, examples: int) -> None:
    """Tell that this member has more examples than count in the mean; once for each such number."""
    cap = ctx.state.genesis.examples_ref
    if ctx.state.kind == "evaluate" or examples <= cap or not ctx.is_news_that_capped(examples):
        return
    text = f"this member counts as {cap} of its {examples} examples: the founder fixed that nobody counts as more"
    ctx.out.notify(NoticeKind.CAPPED, text, counted=cap, examples=examples)


def _announce_members(out: Effects, before: LedgerState, after: LedgerState, body: Body) -> None:
    for member in after.members:
        if before.member(member.key) is None:
            facts = {"member": member.key, "name": member.name, "height": after.height}
            out.notify(NoticeKind.JOINED, f"{member.name} joined", **facts)
    changes = body.changes if isinstance(body, Membership) else ()
    reasons = {one.member: one.reason for one in changes if isinstance(one, Evict)}
    for member in before.members:
        if after.member(member.key) is None:
            reason = reasons.get(member.key)
            text = f"{member.name} left"
            if reason is not None:
                text = f"{member.name} was evicted: {_EVICTED_FOR[reason].format(missed=member.missed)}"
            facts = {"member": member.key, "name": member.name, "evicted": reason is not None, "reason": reason}
            out.notify(NoticeKind.LEFT, text, **facts, height=after.height)


def _announce_void(out: Effects, before: LedgerState, after: LedgerState, body: Void, proposer: bytes) -> None:
    """Tell why a round has no result, and which members its proposer missed; only it vouches for these names."""
    want = _VOID_FOR[body.reason]
    missed = [before.member(key) for key in body.names]
    names = [one.name if one is not None else key.hex()[:16] for one, key in zip(missed, body.names, strict=True)]
    said = before.member(proposer)
    whose = said.name if said is not None else proposer.hex()[:16]
    text = f"round {before.round}: void, because {want}"
    text += f"; missed, as {whose} saw it: {', '.join(names)}" if names else ""
    facts = {"round": before.round, "height": after.height, "phase": str(before.phase)}
    out.notify(NoticeKind.VOID, text, **facts, reason=body.reason, members=body.names, missed=names, proposer=proposer)


def _announce_model(out: Effects, before: LedgerState, after: LedgerState, view: int) -> None:
    assert after.sums is not None
    facts: dict[str, Any] = {
        "round": before.round,
        "kind": before.kind,
        "height": after.height,
        "view": view,
        "aggregator": before.proposer(view),
        "next_aggregator": after.proposer(0),
        "weights": after.weights_hash,
        "trained": after.trained,
    }
    if before.kind != "setup":
        metrics = read_metrics(after.genesis, after.sums)
        facts |= {"examples": metrics.examples, "evaluated": metrics.evaluated, "loss": metrics.loss}
        facts |= {"metrics": dict(metrics.named)}
    out.notify(NoticeKind.MODEL, f"round {before.round} ({before.kind}): agreed", **facts)


@dataclass(slots=True)
class StuckNotices:
    """What the operator was told of a sum that waits for members."""

    ctx: Context
    can_open: Callable[[], bool]
    """Whether enough holders of the open sum are present."""
    _told: tuple[object, ...] = ()
    _seen: tuple[int, ...] = ()
    """What the last answer of ``look_around`` depended on."""

    @property
    def is_stuck(self) -> bool:
        """Whether the last notice still holds: a sum waits for members, or can never be repeated."""
        return bool(self._told)

    def look_around(self) -> None:
        """Tell the operator of the members that a sum waits for: it cannot be opened, or repeated, without them."""
        ctx, state = self.ctx, self.ctx.state
        seen = (state.height, ctx.alive_changes, ctx.sharing.acks.changes if ctx.sharing is not None else 0)
        if seen == self._seen:  # called after every event: nothing has changed since the last answer
            return
        self._seen = seen
        names = tuple(key for key in self._waited_for() if key != ctx.me)
        is_for_good = state.phase is Phase.WAITING and state.is_stuck
        told = (state.round, state.phase, names, is_for_good) if names or is_for_good else ()
        if told != self._told:
            self._told = told
            if told:
                _announce_stuck(ctx.out, state, names)

    def _waited_for(self) -> tuple[bytes, ...]:
        ctx, state, required = self.ctx, self.ctx.state, self.ctx.state.required
        if state.phase is Phase.SUMMING and not self.can_open():
            assert state.contributors is not None
            members = state.committee.members
            return tuple(members[one] for one in state.contributors.holders if members[one] not in ctx.alive)
        if required is not None and state.phase is Phase.SHARING:
            away = [key for key in required if key not in ctx.alive]
            sharing, found = ctx.sharing, frozenset[bytes]()
            if sharing is not None and sharing.is_over:
                found = sharing.settling.withheld(required, ctx.alive, ctx.alive_changes)
            return tuple(dict.fromkeys((*away, *sorted(found))))
        return ()


def _announce_stuck(out: Effects, state: LedgerState, names: tuple[bytes, ...]) -> None:
    """Tell that a sum waits for members that are away, or can never be repeated, and what the operator can type."""
    members = [state.member(key) for key in names]
    missing = [one.name if one is not None else key.hex()[:16] for one, key in zip(members, names, strict=True)]
    who, again = ", ".join(missing), "start it again there: peer start --home HOME"
    if state.phase is Phase.SUMMING:
        text = (
            f"round {state.round}: the sum of its updates opens once enough of its holders are here; waiting for {who}"
        )
    elif state.phase is Phase.SHARING:
        text = f"round {state.round} repeats a sum that failed, or that left the model as it was, with the same members"
        text += f" and nobody else; waiting for {who}"
    else:
        text = f"round {state.round}: a sum was decided on this model before, and too few of its members are left, so"
        text += " it is repeated never"
    text += f". If a member is away, {again}. If a home is lost for good, stop this peer and type: peer refound --home"
    text += " HOME --to DIR, which says whose numbers that would show, and how to accept it"
    out.notify(NoticeKind.STUCK, text, round=state.round, phase=str(state.phase), members=names, missing=missing)
