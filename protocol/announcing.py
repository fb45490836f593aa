"""What a decided block means, for people: the notices that a member gives of it."""

from typing import Any

from .context import Context
from .contribution import read_metrics
from .ledger import LedgerState, Phase
from .outbox import Outbox


def announce(out: Outbox, before: LedgerState, after: LedgerState, view: int) -> None:
    """Tell people what a block decided that led from one state to the other. ``view``: in which it was decided here."""
    _announce_members(out, before, after)
    round_ = before.round
    if after.phase is Phase.SUMMING and before.phase is Phase.SHARING and after.contributors is not None:
        names = [before.committee.members[index] for index, _ in after.contributors.dealers]
        aggregator = before.proposer(view)
        text = f"round {round_}: {len(names)} contribute"
        out.notify("contributors", text, round=round_, members=names, height=after.height, proposer=aggregator)
    elif after.round != before.round and after.sums is not before.sums:
        _announce_model(out, before, after, view)
    elif after.round != before.round:
        out.notify("void", f"round {round_}: void", round=round_, height=after.height, phase=str(before.phase))
    if after.phase is Phase.FINISHED and before.phase is not Phase.FINISHED:
        out.notify("finished", f"training is finished after {after.trained} rounds", rounds=after.trained)


def announce_capped(ctx: Context, examples: int) -> None:
    """Tell people that this member has more examples than count in the mean; once for each such number."""
    cap = ctx.state.genesis.examples_ref
    if ctx.state.kind == "evaluate" or examples <= cap or examples == ctx.capped_examples:
        return
    ctx.capped_examples = examples
    text = f"this member counts as {cap} of its {examples} examples: the founder fixed that nobody counts as more"
    ctx.out.notify("capped", text, counted=cap, examples=examples)


def _announce_members(out: Outbox, before: LedgerState, after: LedgerState) -> None:
    for member in after.members:
        if before.member(member.key) is None:
            facts = {"member": member.key, "name": member.name, "height": after.height}
            out.notify("joined", f"{member.name} joined", **facts)
    for member in before.members:
        if after.member(member.key) is None:
            gone = next(one for one in after.gone if one.key == member.key)
            text = f"{member.name} was evicted" if gone.barred else f"{member.name} left"
            facts = {"member": member.key, "name": member.name, "evicted": gone.barred, "height": after.height}
            out.notify("left", text, **facts)


def _announce_model(out: Outbox, before: LedgerState, after: LedgerState, view: int) -> None:
    assert after.sums is not None
    facts: dict[str, Any] = {
        "round": before.round,
        "kind": before.kind,
        "height": after.height,
        "view": view,
        "aggregator": before.proposer(view),
        "next_aggregator": after.proposer(0),
        "weights": after.weights,
        "trained": after.trained,
    }
    if before.kind != "setup":
        metrics = read_metrics(after.genesis, after.sums)
        facts |= {"examples": metrics.examples, "evaluated": metrics.evaluated, "loss": metrics.loss}
        facts |= {"metrics": dict(metrics.named)}
    out.notify("model", f"round {before.round} ({before.kind}): agreed", **facts)
