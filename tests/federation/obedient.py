"""`peer`, but it kills or freezes itself at a moment of the protocol, once it is ordered to: `obedient.py FOLDER
start …`.

A test writes an order into FOLDER (see :class:`harness.Orders`): ``kill proposing aggregator`` is for whoever is the
aggregator when it gets to that moment, ``freeze dealing peer-2`` for that peer. The first process whom an order fits
takes it away, writes its pid into the pipe beside it, and carries it out. A signal from outside would hit some moment;
this one hits the moment that is meant, however loaded the machine is. Nothing here is shipped: it wraps two methods
and then runs the command line.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coterie.peer.cli import main
from coterie.peer.driving.driver import Driver
from coterie.protocol.events import Received, Step, WorkDone
from coterie.protocol.jobs import Train
from coterie.protocol.ledger.blocks import Contributors, Model, read_block
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerState
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import Precommit, Prevote, Proposal
from coterie.protocol.node import Node
from coterie.protocol.records import BlockDecided, Dealt, Released

SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}

folder = Path(sys.argv[1])
WAITS = ("training", "precommitting", "voting")
"""Moments at which nothing new has to be durable: the order is carried out at once."""

pending: list[tuple[Step, signal.Signals]] = []
"""Steps at which an order is carried out when their records are durable and nothing of them was sent."""

node_step, carry_out = Node.step, Driver._carry_out


def moments(
    before: LedgerState, after: LedgerState, me: bytes, event: object, step: Step
) -> Iterator[tuple[str, bytes]]:
    """The moments that this step is, each with whose turn as aggregator it is."""
    now, next_one = before.proposer(0), after.proposer(0)
    for record in step.persist:
        match record:
            case Dealt():
                yield "dealing", now
            case Released():
                yield "releasing", now
            case BlockDecided(block=block) if isinstance(read_block(block).body, Contributors):
                yield "contributing", next_one
            case BlockDecided(block=block) if isinstance(read_block(block).body, Model):
                yield "deciding", now
    for send in step.send:
        message = verify(send.envelope, before.federation)
        if isinstance(message, Verified) and isinstance(message.message, Proposal) and message.sender == me:
            body = read_block(message.message.block).body
            if isinstance(body, Contributors | Model):
                yield "proposing" if isinstance(body, Contributors) else "summing", now
    match event:
        case WorkDone(work=Train(kind="train")) if before.phase is Phase.SHARING:
            yield "training", now
        case Received(message=Verified(message=Prevote(block_hash=bytes()), view=0)) if before.phase is Phase.SUMMING:
            yield "voting", now
        # Not the proposer: if it dies and forgets, nobody can repeat its proposal, and the view is over.
        case Received(message=Verified(message=Precommit(block_hash=bytes()), view=0)) if (
            before.phase is Phase.SHARING and now != me
        ):
            yield "precommitting", now


def taken(reached: str, aggregates: bool, name: str) -> signal.Signals | None:
    """The signal that an order asks for, which is taken away so that nobody else carries it out."""
    try:
        what, when, who = (folder / "order").read_text().split()
        if when != reached or not (aggregates if who == "aggregator" else who == name):
            return None
        (folder / "order").unlink()
    except (OSError, ValueError):
        return None
    return SIGNALS[what]


def obey(order: signal.Signals) -> None:
    """Tell the test who it is, and carry it out."""
    with (folder / "taken").open("wb", buffering=0) as pipe:
        pipe.write(b"%d\n" % os.getpid())
    os.kill(os.getpid(), order)


def obedient_step(self: Node, event: Any, now_ms: int) -> Step:
    """A step of the node, and perhaps the last one."""
    before = self.state
    step = node_step(self, event, now_ms)
    if self._membership.newcomer is None or not (folder / "order").exists():
        return step
    for reached, aggregator in moments(before, self.state, self.ctx.me, event, step):
        order = taken(reached, aggregator == self.ctx.me, self._membership.newcomer.name)
        if order is not None and reached in WAITS:
            obey(order)
        elif order is not None:
            pending.append((step, order))
    return step


def obedient_carry_out(self: Driver, step: Step, digests: Any) -> None:
    """What the step records is durable now."""
    for this, order in pending:
        if this is step:
            obey(order)
    with contextlib.suppress(IndexError):
        if pending[0][0] is step:
            pending.pop(0)
    carry_out(self, step, digests)


if __name__ == "__main__":
    Node.step = obedient_step  # type: ignore[method-assign]
    Driver._carry_out = obedient_carry_out  # type: ignore[method-assign]
    raise SystemExit(main.main(sys.argv[2:]))
