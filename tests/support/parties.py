"""n parties of a protocol in rounds, in one process, over channels that lose, repeat, reorder and change messages.

And a party that speaks last: it sees what all others publish in a round before it sends anything.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from coterie.crypto.paillier.arithmetic import digest
from coterie.crypto.paillier.rounds import Aborted, Fault, Inbox, Lockstep, Message, Outgoing, Script, Step

Result = TypeVar("Result")
Tamper = Callable[[int, Message], bytes | None]  # sender and message -> what arrives, None for what is lost


@dataclass
class Outcome(Generic[Result]):
    """How it ended for each party, and what it sent."""

    results: dict[int, Result] = field(default_factory=dict)
    aborted: dict[int, Aborted] = field(default_factory=dict)
    bytes_sent: dict[int, int] = field(default_factory=dict)


def run(
    parties: Sequence["Lockstep[Any] | Rushing"], tamper: Tamper | None = None, loss: float = 0.0, seed: int = 0
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


class Look:
    """What the script of a `Rushing` party yields to be given what all others publish in this round."""


class Rushing:
    """A party that keeps to the form of the messages, and may look before it speaks. Its channels lose nothing."""

    def __init__(self, session: bytes, parties: int, me: int, script: Any) -> None:
        """As of `Lockstep`; the script may yield `Look`, too."""
        self._session, self._parties, self._me, self._script = session, parties, me, script
        self._round, self._echo, self._heard = 0, bytes(32), dict[int, dict[int, tuple[bytes, bytes]]]()
        self._own: Outgoing | Look = Look()

    def start(self) -> Step[Any]:
        """Begin."""
        return self._say(next(self._script))

    def outstanding(self) -> tuple[Message, ...]:
        """Nothing is lost."""
        return ()

    def receive(self, sender: int, data: bytes) -> Step[Any]:
        """Take in a message of an honest party, early ones too; when one has stopped, this one is done."""
        if data[33:34] != b"\0":
            return Step(aborted=Aborted("another party has stopped"))
        end = 74 + int.from_bytes(data[70:74], "big")
        self._heard.setdefault(int.from_bytes(data[34:38], "big"), {})[sender] = data[74:end], data[end:]
        return self._go_on()

    def _say(self, sent: Outgoing | Look) -> Step[Any]:
        self._own = sent
        if isinstance(sent, Look):
            return self._go_on()
        head = b"\1" + self._session + b"\0" + self._round.to_bytes(4, "big") + self._echo
        head += len(sent.public).to_bytes(4, "big") + sent.public
        others = [party for party in range(self._parties) if party != self._me]
        step: Step[Any] = Step(tuple(Message(party, head + sent.private.get(party, b"")) for party in others))
        done = self._go_on()
        return Step(step.send + done.send, done.result, done.aborted)

    def _go_on(self) -> Step[Any]:
        heard = self._heard.get(self._round, {})
        if len(heard) < self._parties - 1:
            return Step()
        if isinstance(self._own, Look):
            seen = tuple(heard.get(party, (b"", b""))[0] for party in range(self._parties))
            return self._say(self._script.send(Inbox(seen, ())))
        rows = heard | {self._me: (self._own.public, self._own.private.get(self._me, b""))}
        public, private = zip(*(rows[party] for party in range(self._parties)), strict=True)
        self._echo, self._round = digest(b"echo", self._session, *public), self._round + 1
        try:
            return self._say(self._script.send(Inbox(public, private)))
        except StopIteration as end:
            return Step(result=end.value)
        except Fault as fault:
            return Step(aborted=Aborted(str(fault)))  # it finds itself
