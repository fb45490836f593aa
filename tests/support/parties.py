"""n parties of a protocol in rounds, in one process, over channels that lose, repeat, reorder and change messages.

And a party that speaks last: it sees what all others publish in a round before it sends anything. And what a federation
does with a key that its members have made: it collects confirmations, decides a record, and reads it.
"""

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar

from coterie.crypto.identity.identity import Identity
from coterie.crypto.paillier import claims
from coterie.crypto.paillier.claims import ProvedSum
from coterie.crypto.paillier.encryption import Encrypted
from coterie.crypto.paillier.generation import epochs, joint
from coterie.crypto.paillier.generation.epochs import Epoch, KeyPlan, Pending, certify, read_epoch
from coterie.crypto.paillier.generation.sieving import Plan
from coterie.crypto.paillier.group import Group, KeyShare
from coterie.crypto.paillier.rounds.lockstep import Aborted, Inbox, Lockstep, Message, Outgoing, Script, Step
from coterie.crypto.paillier.rounds.messages import Part, echo_of
from coterie.crypto.paillier.rounds.seats import Book, Seat, take_seat
from coterie.crypto.paillier.rounds.statements import GREETING, Run, Statement, sign_private
from coterie.crypto.prng import derive

Result = TypeVar("Result")
Tamper = Callable[[int, Message], bytes | None]  # sender and message -> what arrives, None for what is lost
Begin = Callable[[Run], Script[Any]]


@cache
def identity(party: int) -> Identity:
    """Of the party with that number."""
    return Identity(derive(b"party", b"%d" % party))


@cache
def members(parties: int) -> tuple[bytes, ...]:
    """The keys of that many parties."""
    return tuple(identity(party).public for party in range(parties))


def seat(session: bytes, parties: int, me: int) -> Seat:
    """A seat of one who has not sat there before."""
    return take_seat(session, members(parties), identity(me), lambda session: True)


def machine(
    session: bytes,
    parties: int,
    me: int,
    script: Script[Any] | Begin,
    speakers: Iterable[int] | None = None,
    kind: type[Lockstep[Any]] = Lockstep,
) -> Lockstep[Any]:
    """One party's machine for a script, or of another kind."""
    begin: Begin = script if callable(script) else lambda run: script  # type: ignore[assignment]
    return kind(seat(session, parties, me), derive(bytes([me]), b"nonce"), begin, speakers)


def small_plan(number: int, parties: int, threshold: int, batch: int, **more: Any) -> Plan:
    """A plan for one small key."""
    more = {"bits": 512, "keys": 1, "members": members(parties), **more}
    return Plan(bytes([number] * 32), parties, threshold, batch=batch, **more)


def plan_seat(plan: Any, me: int, who: Identity | None = None, book: Book = lambda session: True) -> Seat:
    """A seat in the run of a plan."""
    return take_seat(plan.lockstep_session(), plan.members, who or identity(me), book)


def seed(party: int) -> bytes:
    """The seed of the party with that number."""
    return bytes([party] * 32)


def key_party(plan: Plan, me: int) -> Lockstep[joint.JointKey]:
    """An honest party of a generation."""
    return joint.joint_key(plan, me, seed(me), plan_seat(plan, me))


def bent_party(plan: Plan, me: int, bend: Callable[[Script[Any]], Script[Any]], kind: Any = Lockstep) -> Any:
    """A party of a generation whose script is bent."""
    return kind(
        plan_seat(plan, me), derive(seed(me), b"greeting"), lambda run: bend(joint._generate(plan, me, seed(me), run))
    )


@dataclass
class Outcome(Generic[Result]):
    """How it ended for each party, and what it sent. A party that has a result may name another one later."""

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
    rest = 8 if loss else 1  # rounds of repetition after all have ended, for the last echo
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
        if outcome.results.keys() | outcome.aborted.keys() == set(range(len(parties))):
            rest -= 1
            if rest < 0 or not any(party.missing for party in parties):
                break
        for i, party in enumerate(parties):
            queue.extend((i, message) for message in party.outstanding())
    return outcome


def confirmations(outcome: Outcome[Any], plan: KeyPlan) -> dict[int, bytes]:
    """Those of all parties that made a key and have nothing against it, by the holder that each becomes."""
    signed = {}
    for holder, member in enumerate(plan.holder_keys):
        for party, made in outcome.results.items():
            who = next((one for one in map(identity, range(64)) if one.public == member), None)
            mine = made._share is not None and made._share.holder == holder
            if who is not None and mine and party not in outcome.aborted:
                signed[holder] = made.confirm(who, made.to_bytes())
    return signed


def in_force(outcome: Outcome[Any], plan: KeyPlan) -> Epoch:
    """The key that the federation decides: with all confirmations that there are. Raises NotConfirmed."""
    made: Pending = next(iter(outcome.results.values()))
    record = certify(plan, made.run, made.group, confirmations(outcome, plan))
    return read_epoch(plan, record.to_bytes())


def shares_of(outcome: Outcome[Any], plan: KeyPlan) -> dict[int, KeyShare]:
    """The shares of all parties that are holders of the key in force, by party."""
    epoch = in_force(outcome, plan)
    return {i: made.share(epoch) for i, made in outcome.results.items() if made._share is not None}


def dealt_epoch(group: Group, before: tuple[tuple[bytes, ...], ...] = ()) -> Epoch:
    """A key that a dealer made, as if its holders had confirmed it: holder j is party j."""
    return Epoch(group, members(group.holders), before, bytes(32), bytes(32), epochs._WITNESS)


def proved(group: Group, total: Encrypted, epoch: int = 1) -> ProvedSum:
    """A sum as if all had claimed what they contributed: for tests of what comes after."""
    return ProvedSum(total, bytes(32), epoch, group.group_id, (), claims._WITNESS)


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


class Rushing(Lockstep[Any]):
    """A party that may look before it speaks; its script may yield `Look`, too. Its channels lose nothing."""

    _looking = False

    def _enter(self, own: Any) -> Step[Any]:
        if isinstance(own, Look):
            self._looking = True
            return self._look()
        return super()._enter(own)

    def _go_on(self) -> Step[Any]:
        step = self._look() if self._looking else Step()
        return step if self._looking else step.then(super()._go_on())

    def _is_complete(self) -> bool:
        return not self._looking and super()._is_complete()

    def _look(self) -> Step[Any]:
        """Give the script what all others publish in the round that this party has not entered yet."""
        early: Mapping[int, bytes] = self._inbox[self._round + 1]
        if len(early) < len(self._seat.members) - 1:
            return Step()
        seen = []
        for party in range(len(self._seat.members)):
            data = early.get(party)
            part = Part.from_bytes(self._seat.session, self._run, len(self._speakers), data) if data else None
            seen.append(part.public if part else b"")
        self._looking = False
        assert self._script is not None
        return self._enter(self._script.send(Inbox(tuple(seen), ())))


class Equivocating(Lockstep[Any]):
    """A party that tells some of the others another public part in one round, or shows another echo, and signs both."""

    at = -1
    fooled: frozenset[int] = frozenset()
    echo = False

    def _enter(self, own: Outgoing) -> Step[Any]:
        step = super()._enter(own)
        if self._round == self.at:
            self._sent = tuple(self._otherwise(own, message) for message in self._sent)
            step = Step(self._sent)
        return step

    def _otherwise(self, own: Outgoing, message: Message) -> Message:
        if message.to not in self.fooled:
            return message
        echo = b"" if self._round == GREETING else echo_of(self._before, self._speakers)
        public, private = own.public, own.private.get(message.to, b"")
        if self.echo:
            echo = bytes([echo[0] ^ 1]) + echo[1:]
        else:
            public = bytes(32) + public[32:]
        said = Statement.signed(self._seat.identity, self._run, self._round, public, echo)
        signature = sign_private(self._seat.identity, self._run, self._round, message.to, private)
        return Message(message.to, Part(said, echo, public, private, signature).to_bytes(self._seat.session))


def two_faced(at: int, fooled: Iterable[int], echo: bool = False) -> type[Equivocating]:
    """A party that does so in that round, to these parties."""
    return type("TwoFaced", (Equivocating,), {"at": at, "fooled": frozenset(fooled), "echo": echo})
