"""Protocols in rounds, without a network: in each round every party sends something to every other one.

What a party does is a *script*: a generator that yields what it sends and is given what all parties sent, so that a
protocol reads from top to bottom. `Lockstep` runs one party's script: messages in, messages out. It keeps early
messages for the next round, ignores repeated ones and strangers' sessions, and stops with an `Aborted` that names
whoever is at fault, where that can be known.

**Channels** must be private and authenticated: the caller says who sent a message. They may lose, repeat and reorder.
The caller sends `outstanding()` again whenever it likes, until `Step.result` or `Step.aborted` comes, and for as long
after that as others may need it.

**Every round is echoed, the last one too.** The public part of a message must be the same for all. A party signs a
statement about it, and sends along the statements that it heard in the round before (`statements`). A party that ends,
with a result or without, still tells all others what it heard in its last round. Of two parties that were told
different things, both see that as soon as a message has passed between them, and hold evidence (`Equivocation`).

**A result is not yet an agreement.** No protocol over such channels can end for all parties at once, as the last
message may reach some of them only. A result is therefore a proposal that other evidence has to make valid, such as the
confirmations of a new key (`epochs`). The machine goes on after it: `receive` may still name a party.

**Private parts.** A script says with what it sends what a private part of that round must be (`Outgoing.fits`). A party
that got another one stops, and shows it with the signature of its sender. The others judge it by the same rule: they
name its sender, or the party that complained without reason.

A party that stops says why, and how many rounds it took part in. The others go on for as long as they need no more of
it than that. All therefore come to the same verdict of what they all saw, in whatever order it arrives, and nobody ends
a common search for the party at fault by stopping first, unless it drops out of the search.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, Generic, TypeVar

from .messages import (
    MAX_MESSAGE_BYTES,
    PREFIX_BYTES,
    ROUND,
    ROUND_HEADER_BYTES,
    STOP,
    VERSION,
    Exhibit,
    Part,
    Stop,
    echo_of,
    entries,
    number_of,
)
from .scripts import Aborted, Fault, Fits, Inbox, Message, Outgoing, Script, Step, Stopped
from .seats import SESSION_BYTES, Seat
from .statements import GREETING, NONCE_BYTES, UNHEARD, Equivocation, Run, Statement, private_hash, run_of, sign_private

__all__ = [
    "MAX_MESSAGE_BYTES",
    "SESSION_BYTES",
    "Aborted",
    "Fault",
    "Fits",
    "Inbox",
    "Lockstep",
    "Message",
    "Outgoing",
    "Script",
    "Step",
    "Stopped",
]

Result = TypeVar("Result")


class Lockstep(Generic[Result]):
    """One party's run of a script.

    In round 0 all speakers send a nonce, which gives the run its name; the script's rounds follow.
    """

    def __init__(
        self,
        seat: Seat,
        nonce: bytes,
        begin: Callable[[Run], Script[Result]],
        speakers: Iterable[int] | None = None,
    ) -> None:
        """Make the machine of the party that has this seat, and use the seat up.

        Args:
            seat: from `take_seat`.
            nonce: 32 fresh random bytes, not secret.
            begin: the script of this party, given the run.
            speakers: the parties that send something in rounds, the same for all; all of them if None. The others only
                listen. Nobody waits for them.

        Raises:
            RunBefore: the seat has been used.
            ValueError: the nonce has another length, or there is no such speaker.
        """
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
        parties = range(len(seat.members))
        self._speakers: Final = tuple(parties) if speakers is None else tuple(sorted(set(speakers)))
        if not self._speakers or not set(self._speakers) <= set(parties):
            raise ValueError(f"the speakers are no parties among {len(parties)}: {self._speakers}")
        seat.use()
        self._seat: Final = seat
        self._begin: Final = begin
        self._script: Script[Result] | None = None
        self._run = seat.session  # what statements are about: the session in the greeting, then the run
        self._round = -1
        self._own = Outgoing(nonce)
        self._inbox: dict[int, dict[int, bytes]] = {0: {}, 1: {}}  # by round, this and the next, and sender
        self._parts: dict[int, Part] = {}  # of this round, examined, by sender
        self._said: Statement | None = None  # by this party in this round
        self._before: dict[int, Statement] = {}  # of the round before, by speaker
        self._judging: tuple[Fits | None, tuple[bytes, ...]] = (None, ())  # of the round before: rule, public parts
        self._stopped: dict[int, Stop] = {}  # by sender
        self._ignored: set[int] = set()  # listeners that sent what no honest one sends
        self._unsigned: set[tuple[int, bytes]] = set()  # entries of stops that were false, not to be looked at again
        self._sent: tuple[Message, ...] = ()
        self._sent_before: tuple[Message, ...] = ()
        self._sent_long_ago: tuple[Message, ...] = ()  # to listeners, which this party may have left behind
        self._closing = False  # the script has ended
        self._ended = False

    def __repr__(self) -> str:
        return f"<Lockstep of party {self._seat.me} in round {self._round}>"

    def start(self) -> Step[Result]:
        """Begin: the messages of the first round."""
        if self._round >= 0:
            raise ValueError("the protocol has begun already")
        return self._enter(self._own)

    def outstanding(self) -> tuple[Message, ...]:
        """What others may still miss: the messages of this round and of the one before; to listeners, all messages."""
        return self._sent_long_ago + self._sent_before + self._sent

    @property
    def missing(self) -> tuple[int, ...]:
        """The parties whose message of this round has not come: to be blamed when the caller's patience ends."""
        if self._ended or self._round < 0:
            return ()
        heard = self._inbox[self._round]
        return tuple(party for party in self._speakers if party != self._seat.me and party not in heard)

    def receive(self, sender: int, data: bytes) -> Step[Result]:
        """Take in a message. sender: the party that sent it, as the channel proved. Never raises for bad bytes."""
        known_party = 0 <= sender < len(self._seat.members) and sender not in {self._seat.me, *self._ignored}
        if self._ended or self._round < 0 or not known_party:
            return Step()
        prefix = VERSION + self._seat.session
        if data[:PREFIX_BYTES] == prefix + STOP:
            return self._take_stop(sender, data[PREFIX_BYTES:])
        if data[:PREFIX_BYTES] != prefix + ROUND:
            return Step()  # another session, or noise
        if not ROUND_HEADER_BYTES <= len(data) <= MAX_MESSAGE_BYTES:
            return self._refuse(sender, f"a message of {len(data)} bytes")
        number = number_of(data)
        if number not in self._inbox or (number == GREETING and sender not in self._speakers):
            return Step()  # of a round that is over, or that nobody can have reached
        known = self._inbox[number].setdefault(sender, data)
        if known != data:
            return self._refuse(sender, "two messages in one round", self._two_messages(sender, known, data))
        if sender in self._stopped and number >= self._stopped[sender].rounds:
            return self._refuse(sender, "it went on after it had stopped")
        return self._go_on()

    def _refuse(self, sender: int, reason: str, evidence: tuple[Equivocation, ...] = ()) -> Step[Result]:
        """End because of what no honest party sends; of a listener, that nobody waits for, take no more."""
        if sender in self._speakers:
            return self._abort(Aborted(f"party {sender}: {reason}", (sender,), evidence=evidence))
        self._ignored.add(sender)
        self._stopped.pop(sender, None)
        for messages in self._inbox.values():
            messages.pop(sender, None)
        return Step()

    def _take_stop(self, sender: int, data: bytes) -> Step[Result]:
        """Take in that another party stopped; this one may still need what that one sent before."""
        stop = Stop.from_bytes(len(self._speakers), data)
        if stop is None or self._stopped.setdefault(sender, stop) != stop:
            return self._refuse(sender, "it stopped in a way in which nobody does")
        # A speaker took part in the last round, or this party would not be over it. Nobody is two rounds ahead of a
        # speaker, but all may be far ahead of a listener.
        heard = max((number + 1 for number, messages in self._inbox.items() if sender in messages), default=0)
        least = max(heard, self._round) if sender in self._speakers else heard
        too_far = self._seat.me in self._speakers and stop.rounds > self._round + 2
        if stop.rounds < least or too_far:
            return self._refuse(sender, "it stopped where it cannot have been")
        return self._go_on()

    def _go_on(self) -> Step[Result]:
        """Advance for as long as a round is complete, and end where one never will be."""
        step: Step[Result] = Step()
        while not self._is_over():
            # What contradicts itself comes first: it is certain, and may be why another party stopped.
            step = step.then(self._examine())
            if self._is_over():
                break
            found = self._shown_by_stops()
            if found is not None:
                step = step.then(self._abort(found))
            elif self._closing or not self._is_complete():
                break
            else:
                step = step.then(self._finish_round())
        for sender, stop in list(self._stopped.items()):
            if not self._is_over() and stop.rounds <= self._round:
                step = step.then(self._end_because_of(sender, stop))
        return step

    def _is_over(self) -> bool:
        return self._ended

    def _is_complete(self) -> bool:
        return all(party in self._parts for party in self._speakers if party != self._seat.me)

    def _examine(self) -> Step[Result]:
        """Look at the parts of this round that came since the last time, and end at the first fault of a speaker."""
        step: Step[Result] = Step()
        for sender, data in list(self._inbox[self._round].items()):
            if self._ended or sender in self._parts:
                continue
            part = Part.from_bytes(self._seat.session, self._run, len(self._speakers), data)
            reason = self._wrong_about(sender, part)
            if part is None or reason:
                step = step.then(self._refuse(sender, reason))
                continue
            # Kept even if it ends the run: what this party heard last goes to the others (`_abort`).
            self._parts[sender] = part
            found = self._contradicted(self._round - 1, self._before, part.echo, shown_by=sender)
            if found is None:
                continue
            if set(found.culprits) <= set(self._speakers):
                step = step.then(self._abort(found))
            else:
                step = step.then(self._refuse(sender, found.reason))
        return step

    def _wrong_about(self, sender: int, part: Part | None) -> str:
        """What no honest party sends about a part of this round, or nothing."""
        if part is None:
            return "a message cut short"
        run = Run(part.statement.run, self._seat.members)
        hashed = private_hash(part.private)
        if not part.statement.is_by(self._seat.members[sender]) or not run.is_private_part(
            self._round, sender, self._seat.me, hashed, part.private_signature
        ):
            return "a message that it did not sign"
        if self._round == GREETING and len(part.public) != NONCE_BYTES:
            return f"a greeting of {len(part.public)} bytes"
        return ""

    def _shown_by_stops(self) -> Aborted | None:
        """Whether a party that stopped was told other things than this one in a round that both were in."""
        for stop in self._stopped.values():
            for number, heard in ((self._round, self._statements()), (self._round - 1, self._before)):
                if stop.rounds == number + 1:
                    found = self._contradicted(number, heard, stop.echo, shown_by=None)
                    if found is not None:
                        return found
        return None

    def _contradicted(
        self, number: int, heard: Mapping[int, Statement], echo: bytes, shown_by: int | None
    ) -> Aborted | None:
        """Compare the statements of a round as this party heard them with those that another one shows.

        shown_by: the party that signed the echo, which is at fault for a statement that its author did not sign.
        """
        run = self._seat.session if number == GREETING else self._run
        culprits: set[int] = set()
        evidence = []
        for party, entry in zip(self._speakers, entries(echo), strict=False):
            if party not in heard or entry in (heard[party].entry, UNHEARD if shown_by is None else None):
                continue
            if shown_by is None and (party, entry) in self._unsigned:
                continue
            shown = Statement.of_entry(run, number, entry)
            if not shown.is_by(self._seat.members[party]):
                if shown_by is None:
                    self._unsigned.add((party, entry))
                else:
                    culprits.add(shown_by)
            elif shown.contradicts(heard[party]):
                culprits.add(party)
                found = Equivocation(self._seat.members[party], heard[party], shown)
                evidence += [found] if found.holds() else []
        if not culprits:
            return None
        who = ", ".join(f"party {party}" for party in sorted(culprits))
        return Aborted(f"{who}: not everybody was told the same", tuple(sorted(culprits)), (), tuple(evidence))

    def _two_messages(self, sender: int, first: bytes, second: bytes) -> tuple[Equivocation, ...]:
        """The evidence that a party sent two messages in one round, if it signed both."""
        parts = [Part.from_bytes(self._seat.session, self._run, len(self._speakers), x) for x in (first, second)]
        statements = [part.statement for part in parts if part is not None]
        found = [Equivocation(self._seat.members[sender], *statements)] if len(statements) == 2 else []
        return tuple(one for one in found if one.holds())

    def _finish_round(self) -> Step[Result]:
        if self._round == GREETING:
            statements = self._statements()
            self._run = run_of(self._seat.session, [statements[party].public for party in self._speakers])
            self._script = self._begin(Run(self._run, self._seat.members))
            return self._advance(None)
        inbox = self._collected()
        for party in self._speakers:
            try:
                if self._own.fits is not None:
                    self._own.fits(party, self._seat.me, inbox.public[party], inbox.private[party])
            except Fault as fault:
                exhibit = Exhibit(party, inbox.signatures[party], inbox.private[party])
                return self._abort(Aborted(str(fault), (fault.party,)), exhibit)
        return self._advance(inbox)

    def _collected(self) -> Inbox:
        """What all speakers sent in this round."""
        rows = {party: (part.public, part.private, part.private_signature) for party, part in self._parts.items()}
        rows[self._seat.me] = self._own.public, self._own.private.get(self._seat.me, b""), b""
        nothing = b"", b"", b""
        parties = range(len(self._seat.members))
        public, private, signatures = zip(
            *(rows[party] if party in self._speakers else nothing for party in parties), strict=True
        )
        return Inbox(public, private, signatures)

    def _advance(self, inbox: Inbox | None) -> Step[Result]:
        """Let the script go on with what all have sent."""
        assert self._script is not None
        try:
            own = next(self._script) if inbox is None else self._script.send(inbox)
        except StopIteration as end:
            self._closing = True
            self._judging = (self._own.fits, () if inbox is None else inbox.public)
            return self._enter(Outgoing()).then(Step(result=end.value))
        except Fault as fault:
            return self._abort(Aborted(str(fault), (fault.party,)))
        except Stopped as stopped:
            return self._abort(stopped.aborted)
        self._judging = (self._own.fits, () if inbox is None else inbox.public)
        return self._enter(own)

    def _enter(self, own: Outgoing) -> Step[Result]:
        """Begin the next round with this party's part of it."""
        self._before = self._statements()
        self._own = own
        self._round += 1
        self._parts = {}
        self._inbox = {number: self._inbox.get(number, {}) for number in (self._round, self._round + 1)}
        echo = b"" if self._round == GREETING else echo_of(self._before, self._speakers)
        seat = self._seat
        self._sent_long_ago += tuple(message for message in self._sent_before if message.to not in self._speakers)
        self._sent_before, self._sent = self._sent, ()
        self._said = None
        if seat.me not in self._speakers and not self._closing:
            return Step()
        self._said = Statement.signed(seat.identity, self._run, self._round, own.public, echo)
        for party in self._others():
            private = own.private.get(party, b"")
            signature = sign_private(seat.identity, self._run, self._round, party, private)
            data = Part(self._said, echo, own.public, private, signature).to_bytes(seat.session)
            self._sent += (Message(party, data),)
        return Step(self._sent)

    def _statements(self) -> dict[int, Statement]:
        """What the speakers said in this round, as far as this party heard it, its own included."""
        heard = {party: part.statement for party, part in self._parts.items() if party in self._speakers}
        if self._said is not None and self._seat.me in self._speakers:
            heard[self._seat.me] = self._said
        return heard

    def _abort(self, aborted: Aborted, exhibit: Exhibit | None = None) -> Step[Result]:
        """End, and tell the others why and what was heard."""
        self._ended = True
        if self._script is not None:
            self._script.close()
        echo = echo_of(self._statements(), self._speakers)
        stop = Stop(self._round + 1, frozenset(aborted.culprits), aborted.reason, echo, exhibit)
        data = stop.to_bytes(self._seat.session)
        if len(data) > MAX_MESSAGE_BYTES:
            data = replace(stop, exhibit=None).to_bytes(self._seat.session)
        messages = tuple(Message(party, data) for party in self._others())
        self._sent += messages
        return Step(messages, aborted=aborted)

    def _end_because_of(self, sender: int, stop: Stop) -> Step[Result]:
        """End because another party stopped, unless this party needs nothing of that one.

        What the stopped party exhibits decides who is at fault. Without an exhibit, it and those that it names
        contradict each other, and either may be lying. A party that names nobody contradicts nobody: it may have been
        told other things by a third one.
        """
        reason = f"party {sender} stopped: {stop.reason}"
        if stop.exhibit is not None and stop.rounds == self._round:
            culprit = self._judge(sender, stop.exhibit)
            if culprit in self._speakers:
                return self._abort(Aborted(reason, culprits=(culprit,)))
            return self._refuse(sender, "it complains without reason")
        if sender not in self._speakers:
            return Step()
        named = stop.named & set(range(len(self._seat.members)))
        if self._seat.me in named:
            return self._abort(Aborted(reason, culprits=(sender,)))  # this party knows what it sent
        return self._abort(Aborted(reason, suspects=tuple(sorted({sender, *named})) if named else ()))

    def _judge(self, accuser: int, exhibit: Exhibit) -> int:
        """Who is at fault for a complaint about a private part of the round before: accused or accuser."""
        fits, public = self._judging
        accused, run = exhibit.accused, Run(self._run, self._seat.members)
        if fits is None or accused not in self._speakers or accused == accuser:
            return accuser
        hashed = private_hash(exhibit.private)
        if not run.is_private_part(self._round - 1, accused, accuser, hashed, exhibit.signature):
            return accuser
        try:
            fits(accused, accuser, public[accused], exhibit.private)
        except Fault:
            return accused
        return accuser

    def _others(self) -> list[int]:
        return [party for party in range(len(self._seat.members)) if party != self._seat.me]
