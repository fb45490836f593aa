"""What parties sign in each round, so that two different things said by one party are evidence against it.

In a round a party signs one *statement*: the hash of its public part, and the hash of the statements of the round
before as it heard them, which it sends along (the *echo*). So each party sees what all others were told, with the
signature of its author. An honest party signs one statement for each round of a run. Two different ones prove to
anybody that their author told two stories (`Equivocation`).

A private part is signed as well, for its receiver alone. A receiver of a false one shows it with the signature, and the
others see for themselves (`lockstep`, `audit`).

**A run has a name of its own**, a hash of the session and of a fresh nonce of each party. Statements name the run, and
the nonces (round 0) are no evidence. An honest party whose machine was restored from an old copy therefore cannot be
convicted: if it begins a session that it has forgotten, it does so with another nonce, and in another run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ...identity.identity import PUBLIC_BYTES, SIGNATURE_BYTES, Identity, verify
from ..arithmetic import digest, join

GREETING: Final = 0
"""The round in which all parties send a nonce."""

NONCE_BYTES: Final = 32
RUN_BYTES: Final = 32
ENTRY_BYTES: Final = 32 + 32 + SIGNATURE_BYTES
"""Of a statement in an echo: the hashes of the public part and of the echo, and the signature."""

UNHEARD: Final = bytes(ENTRY_BYTES)
"""In an echo, the entry of a party that was not heard."""

_STATEMENT: Final = b"coterie/1/paillier statement\0"
_PRIVATE: Final = b"coterie/1/paillier private part\0"
_NUMBER_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Statement:
    """What a party said in public in one round, and what it had heard in the round before: by their hashes."""

    run: bytes
    number: int
    public: bytes
    echo: bytes
    signature: bytes = field(repr=False)

    @classmethod
    def about(cls, run: bytes, number: int, public: bytes, echo: bytes, signature: bytes) -> "Statement":
        """The statement about this public part and this echo, with that signature."""
        return cls(run, number, digest(b"public", public), digest(b"echo", echo), signature)

    @classmethod
    def signed(cls, identity: Identity, run: bytes, number: int, public: bytes, echo: bytes) -> "Statement":
        """The statement about this public part and this echo, signed."""
        unsigned = cls.about(run, number, public, echo, b"")
        return replace(unsigned, signature=identity.sign(unsigned.message))

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        place = join([self.number], _NUMBER_BYTES)
        return _STATEMENT + digest(b"statement", self.run, place, self.public, self.echo)

    def is_by(self, member: bytes) -> bool:
        """Whether this member signed it."""
        return verify(member, self.message, self.signature)

    def contradicts(self, other: "Statement") -> bool:
        """Whether no honest party signs both."""
        same_place = (self.run, self.number) == (other.run, other.number)
        return same_place and (self.public, self.echo) != (other.public, other.echo)

    @property
    def entry(self) -> bytes:
        """As it stands in an echo."""
        return self.public + self.echo + self.signature

    @classmethod
    def of_entry(cls, run: bytes, number: int, entry: bytes) -> "Statement":
        """The inverse of `entry`."""
        return cls(run, number, entry[:32], entry[32:64], entry[64:])

    def to_bytes(self) -> bytes:
        """The run, the number (4 bytes), then as in an echo."""
        return self.run + join([self.number], _NUMBER_BYTES) + self.entry

    @classmethod
    def from_bytes(cls, data: bytes) -> "Statement":
        """What `to_bytes` wrote, of exactly that length."""
        number = int.from_bytes(data[RUN_BYTES : RUN_BYTES + _NUMBER_BYTES], "big")
        return cls.of_entry(data[:RUN_BYTES], number, data[RUN_BYTES + _NUMBER_BYTES :])


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two statements of one member about one round: evidence against it that anybody can check by `holds`."""

    member: bytes
    first: Statement
    second: Statement

    def holds(self) -> bool:
        """Whether the member signed two statements of which an honest one signs at most one."""
        past_greeting = self.first.number != GREETING
        contradict = past_greeting and self.first.contradicts(self.second)
        return contradict and self.first.is_by(self.member) and self.second.is_by(self.member)

    def to_bytes(self) -> bytes:
        """The member's key, then both statements."""
        return self.member + self.first.to_bytes() + self.second.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Equivocation | None":
        """What `to_bytes` wrote, or None for another length. Whether it holds is another question."""
        size = RUN_BYTES + _NUMBER_BYTES + ENTRY_BYTES
        if len(data) != PUBLIC_BYTES + 2 * size:
            return None
        first, second = data[PUBLIC_BYTES : PUBLIC_BYTES + size], data[PUBLIC_BYTES + size :]
        return cls(data[:PUBLIC_BYTES], Statement.from_bytes(first), Statement.from_bytes(second))


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a script is in: its name, and who takes part."""

    name: bytes
    members: tuple[bytes, ...]

    def is_private_part(self, number: int, sender: int, receiver: int, hashed: bytes, signature: bytes) -> bool:
        """Whether the sender signed that it sent a private part with this hash to the receiver in that round."""
        return verify(self.members[sender], _private_bytes(self.name, number, receiver, hashed), signature)


def run_of(session: bytes, greetings: Sequence[bytes]) -> bytes:
    """The name of the run, from the hashes of the public parts of round 0: one for each speaker."""
    return digest(b"run", session, *greetings)


def private_hash(private: bytes) -> bytes:
    """The hash of a private part, as it is signed."""
    return digest(b"heard", private)


def sign_private(identity: Identity, run: bytes, number: int, receiver: int, private: bytes) -> bytes:
    """The signature of a private part, for its receiver."""
    return identity.sign(_private_bytes(run, number, receiver, private_hash(private)))


def _private_bytes(run: bytes, number: int, receiver: int, hashed: bytes) -> bytes:
    return _PRIVATE + digest(b"private", run, join([number], _NUMBER_BYTES), join([receiver], 1), hashed)
