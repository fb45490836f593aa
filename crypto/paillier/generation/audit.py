"""Who did not follow a protocol whose every step follows from a seed that was committed to.

When the public parts of an attempt do not fit together, the attempt is lost, so nothing in it needs to stay secret. All
parties publish their seeds, and each replays the attempt as it should have gone. A party whose public messages differ
from the replay is at fault, unless a false private message misled it before. Its receiver then complains, and shows the
hash of that message with the signature of the sender (`statements`). All compare this hash with the replay, so that all
name the same: the sender, or a party that complains without such proof.

The same goes for many attempts in a row of which none succeeded, where any of them may have been spoiled. So of each
attempt only digests of the messages that arrived are kept; a comparison needs no more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from ...identity.identity import SIGNATURE_BYTES
from ..rounds.scripts import Aborted, Fault, Inbox, Outgoing, Script
from ..rounds.statements import GREETING, Run, private_hash

_NEVER: Final = 2**32 - 1  # a round that does not come
_HASH_BYTES: Final = 32
_COMPLAINT_BYTES: Final = 4 + 1 + _HASH_BYTES + SIGNATURE_BYTES


class Inconsistent(Exception):
    """The public parts do not fit together: somebody did not follow the protocol. All parties see it at once."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The digests of what a party got in a round, and the signatures of the private parts: by sender."""

    public: tuple[bytes, ...]
    private: tuple[bytes, ...]
    signatures: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, inbox: Inbox) -> "Heard":
        """Those of an inbox."""
        return cls(tuple(map(private_hash, inbox.public)), tuple(map(private_hash, inbox.private)), inbox.signatures)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an audit needs to know of an attempt.

    seed: this party's, 32 bytes; script_of: the script that a party with that seed should have run; commitment_of: what
    it should have committed to, in public, in the first round; log: what this party got, round by round; begun: the
    number of its first round in the run.
    """

    seed: bytes
    script_of: Callable[[int, bytes], Script[Any]]
    commitment_of: Callable[[int, bytes], bytes]
    log: list[Heard]
    begun: int = GREETING + 1

    def __repr__(self) -> str:
        return f"<Attempt of {len(self.log)} rounds (secret)>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an attempt holds a seed and is not pickled")


@dataclass(frozen=True, slots=True)
class _Complaint:
    """That the accused sent the accuser, in that round of the run, a private part with this hash, and signed it."""

    at: int
    accused: int
    hashed: bytes
    signature: bytes

    def to_bytes(self) -> bytes:
        return self.at.to_bytes(4, "big") + bytes([self.accused]) + self.hashed + self.signature


@dataclass(slots=True)
class _Replayed:
    """How the attempts should have gone: the public faults of the first round with one, and all private parts.

    private: by round of the run, sender and receiver, the hash of the part that is sent.
    """

    public: list[tuple[int, int]] = field(default_factory=list)
    private: dict[int, list[list[bytes]]] = field(default_factory=dict)


def logged(script: Script[Any], log: list[Heard]) -> Script[Any]:
    """The same script, with digests of all that arrives written down."""
    try:
        sent = next(script)
        while True:
            inbox = yield sent
            log.append(Heard.of(inbox))
            sent = script.send(inbox)
    except StopIteration as end:
        return end.value


def audit(attempts: Sequence[Attempt], me: int, run: Run, reason: str) -> Script[Aborted]:
    """Two rounds: all publish their seeds, replay the attempts, and show the private parts that were false.

    The replay takes every party as long as the attempts took all of them together. The verdict names the same parties
    to all, and nobody where all followed the protocol.
    """
    inbox = yield Outgoing(b"".join(attempt.seed for attempt in attempts))
    replayed = _replayed(attempts, _opened(attempts, inbox.public))
    inbox = yield Outgoing(_own_complaint(attempts, me, replayed))
    complaints = [_read_complaint(i, data, len(inbox.public)) for i, data in enumerate(inbox.public)]
    return Aborted(reason, _culprits(run, replayed, complaints))


def _opened(attempts: Sequence[Attempt], published: Sequence[bytes]) -> list[list[bytes]]:
    """The seeds of all parties, for each attempt. Raises Fault for those that nobody committed to."""
    seeds: list[list[bytes]] = [[] for _ in attempts]
    for party, data in enumerate(published):
        size = len(attempts[0].seed)
        if len(data) != size * len(attempts):
            raise Fault(party, f"{len(data)} bytes of seeds for {len(attempts)} attempts")
        for k, attempt in enumerate(attempts):
            opened = data[k * size : (k + 1) * size]
            if private_hash(attempt.commitment_of(party, opened)) != attempt.log[0].public[party]:
                raise Fault(party, "the seed is not the one that was committed to")
            seeds[k].append(opened)
    return seeds


def _replayed(attempts: Sequence[Attempt], seeds: Sequence[Sequence[bytes]]) -> _Replayed:
    """The attempts as they should have gone, up to the first round with a false public message."""
    found = _Replayed()
    for attempt, opened in zip(attempts, seeds, strict=True):
        for at, (row, heard) in enumerate(zip(_rounds(attempt, opened), attempt.log, strict=False), attempt.begun):
            parties = range(len(row))
            found.private[at] = [[private_hash(sent.private.get(i, b"")) for i in parties] for sent in row]
            found.public = [(at, i) for i in parties if private_hash(row[i].public) != heard.public[i]]
            if found.public:
                return found  # what came later follows from it
    return found


def _rounds(attempt: Attempt, seeds: Sequence[bytes]) -> Iterator[list[Outgoing]]:
    """What all parties should have sent, round by round."""
    scripts = [attempt.script_of(party, seed) for party, seed in enumerate(seeds)]
    try:
        sent = [next(script) for script in scripts]
        while True:
            yield sent
            public = tuple(outgoing.public for outgoing in sent)
            private = [tuple(outgoing.private.get(i, b"") for outgoing in sent) for i in range(len(seeds))]
            sent = [script.send(Inbox(public, mine)) for script, mine in zip(scripts, private, strict=True)]
    except (StopIteration, Inconsistent):
        return  # followed by all, it would have ended here: whatever came later follows from an earlier fault


def _own_complaint(attempts: Sequence[Attempt], me: int, replayed: _Replayed) -> bytes:
    """This party's complaint about the first private part that was false, or that there was none."""
    for attempt in attempts:
        for at, heard in enumerate(attempt.log, attempt.begun):
            for party, row in enumerate(replayed.private.get(at, [])):
                if party != me and heard.private[party] != row[me]:
                    return _Complaint(at, party, heard.private[party], heard.signatures[party]).to_bytes()
    return _Complaint(_NEVER, me, bytes(_HASH_BYTES), bytes(SIGNATURE_BYTES)).to_bytes()


def _read_complaint(accuser: int, data: bytes, parties: int) -> _Complaint:
    """What another party says about the private parts that it got. Raises Fault for other bytes."""
    if len(data) != _COMPLAINT_BYTES or data[4] >= parties:
        raise Fault(accuser, "a malformed complaint")
    at, accused = int.from_bytes(data[:4], "big"), data[4]
    if (at == _NEVER) != (accused == accuser):
        raise Fault(accuser, "a malformed complaint")
    return _Complaint(at, accused, data[5 : 5 + _HASH_BYTES], data[5 + _HASH_BYTES :])


def _culprits(run: Run, replayed: _Replayed, complaints: Sequence[_Complaint]) -> tuple[int, ...]:
    """The parties at fault: they sent false messages that no earlier false one explains, or complain without proof."""
    false = {i for i, c in enumerate(complaints) if c.at != _NEVER and not _is_proved(run, replayed, i, c)}
    misled_at = {i: _NEVER if i in false else c.at for i, c in enumerate(complaints)}
    culprits = false | {party for at, party in replayed.public if misled_at[party] >= at}
    for accuser, complaint in enumerate(complaints):
        proved = complaint.at != _NEVER and accuser not in false
        if proved and misled_at[complaint.accused] >= complaint.at:
            culprits.add(complaint.accused)
    return tuple(sorted(culprits))


def _is_proved(run: Run, replayed: _Replayed, accuser: int, complaint: _Complaint) -> bool:
    """Whether the accused signed another private part than the one that it should have sent.

    An honest party complains of no round after the first public fault, of which the replay knows nothing.
    """
    sent = replayed.private.get(complaint.at)
    if sent is None or sent[complaint.accused][accuser] == complaint.hashed:
        return False
    return run.is_private_part(complaint.at, complaint.accused, accuser, complaint.hashed, complaint.signature)
