"""The bytes of messages between the parties of a run: a party's part of one round, and that it stopped.

Both begin with a version byte, the session, and a byte for the kind. Lengths that no honest party writes are refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ...identity.identity import SIGNATURE_BYTES
from .seats import SESSION_BYTES
from .statements import ENTRY_BYTES, GREETING, UNHEARD, Statement, run_of

MAX_MESSAGE_BYTES: Final = 8 * 2**20
MAX_REASON_BYTES: Final = 200

VERSION: Final = b"\x02"
ROUND: Final = b"\x00"
STOP: Final = b"\x01"
PREFIX_BYTES: Final = 1 + SESSION_BYTES + 1
_NUMBER_BYTES: Final = 4
_LENGTH_BYTES: Final = 4
ROUND_HEADER_BYTES: Final = PREFIX_BYTES + _NUMBER_BYTES + 2 * SIGNATURE_BYTES + _LENGTH_BYTES


@dataclass(frozen=True, slots=True)
class Part:
    """A party's part of one round: its statement with what this is about, and the private part for one receiver."""

    statement: Statement
    echo: bytes
    public: bytes
    private: bytes = field(repr=False)
    private_signature: bytes = field(repr=False)

    def to_bytes(self, session: bytes) -> bytes:
        """Prefix, number (4 bytes), both signatures, echo, length of the public part (4), public, private."""
        head = VERSION + session + ROUND + self.statement.number.to_bytes(_NUMBER_BYTES, "big")
        length = len(self.public).to_bytes(_LENGTH_BYTES, "big")
        return (
            head + self.statement.signature + self.private_signature + self.echo + length + self.public + self.private
        )

    @classmethod
    def from_bytes(cls, session: bytes, run: bytes, speakers: int, data: bytes) -> "Part | None":
        """What `to_bytes` wrote, once its prefix is known to be right, or None for a message cut short.

        Signatures are not checked. In the first round after the greeting the run is the one that follows from the
        sender's own echo.
        """
        number = number_of(data)
        at = PREFIX_BYTES + _NUMBER_BYTES
        signature, private_signature = data[at : at + SIGNATURE_BYTES], data[at + SIGNATURE_BYTES :][:SIGNATURE_BYTES]
        at += 2 * SIGNATURE_BYTES
        echo = data[at : at + (0 if number == GREETING else speakers * ENTRY_BYTES)]
        at += 0 if number == GREETING else speakers * ENTRY_BYTES
        begin = at + _LENGTH_BYTES
        end = begin + int.from_bytes(data[at:begin], "big")
        if begin > len(data) or end > len(data):
            return None
        if number == GREETING:
            run = session
        elif number == GREETING + 1:
            run = run_of(session, [entry[:32] for entry in entries(echo)])
        public = data[begin:end]
        return cls(Statement.about(run, number, public, echo, signature), echo, public, data[end:], private_signature)


def number_of(data: bytes) -> int:
    """The round of a message that is long enough to be a `Part`."""
    return int.from_bytes(data[PREFIX_BYTES : PREFIX_BYTES + _NUMBER_BYTES], "big")


def entries(echo: bytes) -> list[bytes]:
    """The statements in an echo, one of each speaker."""
    return [echo[at : at + ENTRY_BYTES] for at in range(0, len(echo), ENTRY_BYTES)]


def echo_of(statements: Mapping[int, Statement], speakers: Sequence[int]) -> bytes:
    """The statements of one round as a party heard them, zeros for speakers that it did not hear."""
    return b"".join(statements[party].entry if party in statements else UNHEARD for party in speakers)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A private part that a party complains of: who sent it, the signature of the sender, and the part itself."""

    accused: int
    signature: bytes = field(repr=False)
    private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stop:
    """That a party stopped.

    rounds: in how many rounds it took part; named: the parties that it blames; reason: why; echo: the statements of its
    last round that it heard; exhibit: the private part of that round that it blames a party for.
    """

    rounds: int
    named: frozenset[int]
    reason: str
    echo: bytes = field(repr=False)
    exhibit: Exhibit | None = None

    def to_bytes(self, session: bytes) -> bytes:
        """Prefix, rounds (4 bytes), how many are named (1), who, length of the reason (1), reason, echo, exhibit."""
        reason = self.reason.encode()[:MAX_REASON_BYTES]
        data = self.rounds.to_bytes(_NUMBER_BYTES, "big") + bytes([len(self.named), *sorted(self.named)])
        data += bytes([len(reason)]) + reason + self.echo
        if self.exhibit is not None:
            data += bytes([self.exhibit.accused]) + self.exhibit.signature + self.exhibit.private
        return VERSION + session + STOP + data

    @classmethod
    def from_bytes(cls, speakers: int, data: bytes) -> "Stop | None":
        """What `to_bytes` wrote after the prefix, or None for what it never writes."""
        names = 5 + (data[4] if len(data) > 4 else 0)
        text = names + 1 + (data[names] if len(data) > names else 0)
        end = text + speakers * ENTRY_BYTES
        too_long = text - names - 1 > MAX_REASON_BYTES or len(data) > MAX_MESSAGE_BYTES
        if len(data) < end or too_long or end < len(data) < end + 1 + SIGNATURE_BYTES:
            return None
        exhibit = None
        if len(data) > end:
            exhibit = Exhibit(data[end], data[end + 1 :][:SIGNATURE_BYTES], data[end + 1 + SIGNATURE_BYTES :])
        reason = "".join(c for c in data[names + 1 : text].decode(errors="replace") if c.isprintable())
        return cls(
            int.from_bytes(data[:_NUMBER_BYTES], "big"), frozenset(data[5:names]), reason, data[text:end], exhibit
        )
