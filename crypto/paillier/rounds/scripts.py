"""What scripts of protocols in rounds and the machines that run them pass to each other and to their callers."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Generic, NoReturn, TypeVar

from .statements import Equivocation

Result = TypeVar("Result")

Fits = Callable[[int, int, bytes, bytes], None]
"""Raises Fault, naming the sender, for a private part that no honest sender sends.

Arguments: sender, receiver, the sender's public part of the round, the private part.
"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a party sends in a round: the same to all, and to each party (itself too) something of its own.

    fits: what a private part of this round must be, the same for all parties; None where nobody reads one.
    """

    public: bytes = b""
    private: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    fits: Fits | None = field(default=None, repr=False, compare=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("what a party sends holds secrets and is not pickled")


@dataclass(frozen=True, slots=True)
class Inbox:
    """What a party got in a round, by sender, its own message included.

    signatures: of the private parts, by their senders; empty for its own. Parties that do not speak in rounds
    (`Lockstep`) have empty parts.
    """

    public: tuple[bytes, ...]
    private: tuple[bytes, ...] = field(repr=False)
    signatures: tuple[bytes, ...] = field(default=(), repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("what a party got holds secrets and is not pickled")


Script = Generator[Outgoing, Inbox, Result]


@dataclass(frozen=True, slots=True)
class Aborted:
    """Why a protocol ended without a result, or why its result will not be confirmed by all.

    culprits: the parties at fault, as far as this party itself can tell; suspects: parties that contradict each other,
    of which at least one is at fault; evidence: what convinces anybody else. Without evidence, a name decides only who
    takes part in the next run.
    """

    reason: str
    culprits: tuple[int, ...] = ()
    suspects: tuple[int, ...] = ()
    evidence: tuple[Equivocation, ...] = ()


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
class Step(Generic[Result]):
    """What is to be done: send these. The result comes once; an abort comes once, and may come after a result."""

    send: tuple[Message, ...] = ()
    result: Result | None = None
    aborted: Aborted | None = None

    def then(self, later: "Step[Result]") -> "Step[Result]":
        """Both steps in one."""
        result = later.result if later.result is not None else self.result
        return Step(self.send + later.send, result, later.aborted or self.aborted)
