"""n parties of a protocol in rounds, in one process, over channels that lose, repeat, reorder and change messages."""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from coterie.crypto.paillier.rounds import Aborted, Lockstep, Message, Outgoing, Script

Result = TypeVar("Result")
Tamper = Callable[[int, Message], bytes | None]  # sender and message -> what arrives, None for what is lost


@dataclass
class Outcome(Generic[Result]):
    """How it ended for each party, and what it sent."""

    results: dict[int, Result] = field(default_factory=dict)
    aborted: dict[int, Aborted] = field(default_factory=dict)
    bytes_sent: dict[int, int] = field(default_factory=dict)


def run(
    parties: Sequence[Lockstep[Any]], tamper: Tamper | None = None, loss: float = 0.0, seed: int = 0
) -> Outcome[Any]:
    """Deliver messages in random order, some lost or twice, until all have ended; what is lost is sent again."""
    chance = random.Random(seed)
    outcome: Outcome[Any] = Outcome(bytes_sent=dict.fromkeys(range(len(parties)), 0))
    queue: list[tuple[int, Message]] = []

    def take(party: int, step: Any) -> None:
        queue.extend((party, message) for message in step.send)
        outcome.bytes_sent[party] += sum(len(message.data) for message in step.send)
        if step.result is not None:
            outcome.results[party] = step.result
        if step.aborted is not None:
            outcome.aborted[party] = step.aborted

    for i, party in enumerate(parties):
        take(i, party.start())
    for _ in range(1000):
        while queue:
            place = chance.randrange(len(queue)) if loss else 0
            sender, message = queue.pop(place)
            if chance.random() < loss:
                continue
            if chance.random() < loss:
                queue.append((sender, message))
            data = tamper(sender, message) if tamper else message.data
            if data is not None:
                take(message.to, parties[message.to].receive(sender, data))
        if len(outcome.results) + len(outcome.aborted) == len(parties):
            break
        for i, party in enumerate(parties):
            queue.extend((i, message) for message in party.outstanding())
    return outcome


def lying(script: Script[Any], at: int, change: Callable[[Outgoing], Outgoing]) -> Script[Any]:
    """The same script, except for what it sends in one round."""
    try:
        sent = next(script)
        for number in itertools.count():
            sent = script.send((yield change(sent) if number == at else sent))
    except StopIteration as end:
        return end.value
