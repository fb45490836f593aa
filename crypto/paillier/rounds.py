"""Protocols in rounds, without a network: in each round every party sends something to every other one.

What a party does is a *script*: a generator that yields what it sends and is given what all parties sent, so that a
protocol reads from top to bottom. `Lockstep` runs one party's script: messages in, messages out. It keeps early
messages for the next round, ignores repeated ones and strangers' sessions, and stops with an `Aborted` that names
whoever is at fault, where that can be known.

Channels must be private and authenticated: the caller says who sent a message. They may lose, repeat and reorder: the
caller sends `outstanding()` again whenever it likes, until `Step.result` or `Step.aborted` comes, and for as long after
that as others may need it. The public part of a message must be the same for all; each message carries a digest of all
public parts of the round before, so that parties who were told different things find out one round later.

A party that stops says why, and how many rounds it took part in. The others go on for as long as they need no more of
it than that: so all come to the same verdict of what they all saw, in whatever order it arrives, and nobody ends a
common search for who is at fault by stopping first, unless it drops out of it.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, NoReturn, TypeVar

from .arithmetic import digest

MAX_MESSAGE_BYTES: Final = 8 * 2**20
MAX_REASON_BYTES: Final = 200
SESSION_BYTES: Final = 32

_VERSION: Final = b"\x01"
_ROUND: Final = b"\x00"
_ABORT: Final = b"\x01"
_DIGEST_BYTES: Final = 32
_PREFIX_BYTES: Final = 1 + SESSION_BYTES + 1
_HEADER_BYTES: Final = _PREFIX_BYTES + 4 + _DIGEST_BYTES + 4
_MAX_ABORT_BYTES: Final = 4 + 1 + 255 + MAX_REASON_BYTES

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a party sends in a round: the same to all, and to each party (itself too) something of its own."""

    public: bytes = b""
    private: Mapping[int, bytes] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("what a party sends holds secrets and is not pickled")


@dataclass(frozen=True, slots=True)
class Inbox:
    """What a party got in a round, by sender, its own message included."""

    public: tuple[bytes, ...]
    private: tuple[bytes, ...] = field(repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("what a party got holds secrets and is not pickled")


Script = Generator[Outgoing, Inbox, Result]


@dataclass(frozen=True, slots=True)
class Aborted:
    """Why a protocol ended without a result.

    culprits: who is at fault, as far as this party itself can tell; suspects: parties who contradict each other, of
    whom at least one is at fault.
    """

    reason: str
    culprits: tuple[int, ...] = ()
    suspects: tuple[int, ...] = ()


class Fault(Exception):
    """In a script: that party sent what no honest one sends."""

    def __init__(self, party: int, reason: str) -> None:
        super().__init__(f"party {party}: {reason}")
        self.party = party
        self.reason = reason


class Stopped(Exception):
    """In a script: the protocol cannot go on, for this reason."""

    def __init__(self, aborted: Aborted) -> None:
        super().__init__(aborted.reason)
        self.aborted = aborted


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes for one party, to be sent over a private and authenticated channel."""

    to: int
    data: bytes = field(repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a message holds secrets and is not pickled")


@dataclass(frozen=True, slots=True)
class _Stop:
    """That a party stopped: after how many rounds, whom it named, and why."""

    rounds: int
    named: frozenset[int]
    reason: str

    def to_bytes(self) -> bytes:
        """The rounds (4 bytes), how many are named (1), who, and the reason."""
        head = self.rounds.to_bytes(4, "big") + bytes([len(self.named), *sorted(self.named)])
        return head + self.reason.encode()[:MAX_REASON_BYTES]

    @classmethod
    def from_bytes(cls, data: bytes) -> "_Stop | None":
        """What `to_bytes` wrote, or None for what it never writes."""
        if not 5 <= len(data) <= _MAX_ABORT_BYTES or len(data) < 5 + data[4]:
            return None
        text = data[5 + data[4] :].decode(errors="replace")
        named = frozenset(data[5 : 5 + data[4]])
        return cls(int.from_bytes(data[:4], "big"), named, "".join(c for c in text if c.isprintable()))


@dataclass(frozen=True, slots=True)
class Step(Generic[Result]):
    """What is to be done: send these. The result or the abort comes once, with the last messages."""

    send: tuple[Message, ...] = ()
    result: Result | None = None
    aborted: Aborted | None = None


class Lockstep(Generic[Result]):
    """One party's run of a script."""

    def __init__(self, session: bytes, parties: int, me: int, script: Script[Result]) -> None:
        """session: 32 bytes that name this run among all others; parties: how many; me: which of them this is."""
        if len(session) != SESSION_BYTES:
            raise ValueError(f"a session has {SESSION_BYTES} bytes, not {len(session)}")
        if not 0 <= me < parties:
            raise ValueError(f"no party {me} among {parties}")
        self._session = session
        self._parties = parties
        self._me = me
        self._script = script
        self._round = -1
        self._own = Outgoing()
        self._echo = bytes(_DIGEST_BYTES)
        self._inbox: dict[int, dict[int, bytes]] = {0: {}, 1: {}}  # by round, this and the next, and sender
        self._stopped: dict[int, _Stop] = {}  # by sender
        self._sent: tuple[Message, ...] = ()
        self._sent_before: tuple[Message, ...] = ()
        self._ended = False

    def __repr__(self) -> str:
        return f"<Lockstep of party {self._me} in round {self._round}>"

    def start(self) -> Step[Result]:
        """Begin: the messages of the first round."""
        if self._round >= 0:
            raise ValueError("the protocol has begun already")
        return self._advance(None)

    def outstanding(self) -> tuple[Message, ...]:
        """What somebody may still miss: the messages of this round and of the one before."""
        return self._sent_before + self._sent

    @property
    def missing(self) -> tuple[int, ...]:
        """Whose message of this round has not come: whom to blame when the caller's patience ends."""
        if self._ended or self._round < 0:
            return ()
        return tuple(party for party in self._others() if party not in self._inbox[self._round])

    def receive(self, sender: int, data: bytes) -> Step[Result]:
        """Take in a message. sender: who sent it, as the channel proved. Never raises on what others send."""
        if self._ended or self._round < 0 or sender == self._me or not 0 <= sender < self._parties:
            return Step()
        if data[:_PREFIX_BYTES] == _VERSION + self._session + _ABORT:
            return self._take_stop(sender, data[_PREFIX_BYTES:])
        if data[:_PREFIX_BYTES] != _VERSION + self._session + _ROUND:
            return Step()  # another session, or noise
        if not _HEADER_BYTES <= len(data) <= MAX_MESSAGE_BYTES:
            return self._abort(Aborted(f"party {sender}: a message of {len(data)} bytes", (sender,)))
        number = int.from_bytes(data[_PREFIX_BYTES : _PREFIX_BYTES + 4], "big")
        if number not in self._inbox:
            return Step()  # of a round that is over, or that nobody can have reached
        known = self._inbox[number].setdefault(sender, data)
        if known != data:
            return self._abort(Aborted(f"party {sender}: two messages in one round", (sender,)))
        if sender in self._stopped and number >= self._stopped[sender].rounds:
            return self._abort(Aborted(f"party {sender}: it went on after it had stopped", (sender,)))
        return self._go_on()

    def _take_stop(self, sender: int, data: bytes) -> Step[Result]:
        """Take in that another party stopped; this one may still need what that one sent before."""
        stop = _Stop.from_bytes(data)
        if stop is None or self._stopped.setdefault(sender, stop) != stop:
            return self._abort(Aborted(f"party {sender}: it stopped in a way in which nobody does", (sender,)))
        # It took part in the last round, or this one would not be over it; and it is not two rounds ahead of this one.
        heard = max((number + 1 for number, messages in self._inbox.items() if sender in messages), default=self._round)
        if not max(heard, self._round) <= stop.rounds <= self._round + 2:
            return self._abort(Aborted(f"party {sender}: it stopped where it cannot have been", (sender,)))
        return self._go_on()

    def _go_on(self) -> Step[Result]:
        """Advance for as long as a round is complete, and end where one never will be."""
        step: Step[Result] = Step()
        while not self._ended and len(self._inbox[self._round]) == self._parties - 1:
            done = self._finish_round()
            step = Step(step.send + done.send, done.result, done.aborted)
        for sender, stop in self._stopped.items():
            if not self._ended and stop.rounds <= self._round:
                done = self._abort(self._because_of(sender, stop))
                step = Step(step.send + done.send, aborted=done.aborted)
        return step

    def _finish_round(self) -> Step[Result]:
        messages = self._inbox[self._round]
        public, private = [], []
        for party in range(self._parties):
            if party == self._me:
                public.append(self._own.public)
                private.append(self._own.private.get(party, b""))
                continue
            body = messages[party][_PREFIX_BYTES + 4 :]
            if body[:_DIGEST_BYTES] != self._echo:
                return self._abort(Aborted(f"party {party} was told other things than party {self._me}"))
            end = _DIGEST_BYTES + 4 + int.from_bytes(body[_DIGEST_BYTES : _DIGEST_BYTES + 4], "big")
            if end > len(body):
                return self._abort(Aborted(f"party {party}: a message cut short", (party,)))
            public.append(body[_DIGEST_BYTES + 4 : end])
            private.append(body[end:])
        self._echo = digest(b"echo", self._session, *public)
        return self._advance(Inbox(tuple(public), tuple(private)))

    def _advance(self, inbox: Inbox | None) -> Step[Result]:
        try:
            self._own = next(self._script) if inbox is None else self._script.send(inbox)
        except StopIteration as end:
            self._ended = True
            return Step(result=end.value)
        except Fault as fault:
            return self._abort(Aborted(str(fault), (fault.party,)))
        except Stopped as stopped:
            return self._abort(stopped.aborted)
        self._round += 1
        self._inbox = {number: self._inbox.get(number, {}) for number in (self._round, self._round + 1)}
        head = _VERSION + self._session + _ROUND + self._round.to_bytes(4, "big") + self._echo
        head += len(self._own.public).to_bytes(4, "big") + self._own.public
        self._sent_before = self._sent
        self._sent = tuple(Message(party, head + self._own.private.get(party, b"")) for party in self._others())
        return Step(self._sent)

    def _abort(self, aborted: Aborted) -> Step[Result]:
        """End, and tell the others."""
        self._ended = True
        self._script.close()
        stop = _Stop(self._round + 1, frozenset(aborted.culprits), aborted.reason)
        data = _VERSION + self._session + _ABORT + stop.to_bytes()
        self._sent += tuple(Message(party, data) for party in self._others())
        return Step(self._sent[-(self._parties - 1) :], aborted=aborted)

    def _because_of(self, sender: int, stop: _Stop) -> Aborted:
        """The end because another party stopped: it and those it names contradict each other, and either may be lying.

        Who names nobody contradicts nobody: it may have been told other things by a third one.
        """
        named = stop.named & set(range(self._parties))
        reason = f"party {sender} stopped: {stop.reason}"
        if self._me in named:
            return Aborted(reason, culprits=(sender,))  # this party knows what it sent
        return Aborted(reason, suspects=tuple(sorted({sender, *named})) if named else ())

    def _others(self) -> list[int]:
        return [party for party in range(self._parties) if party != self._me]
