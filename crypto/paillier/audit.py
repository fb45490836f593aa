"""Who did not follow a protocol whose every step follows from a seed that was committed to.

When what was published in an attempt does not fit together, the attempt is lost, so nothing in it needs to stay secret:
all parties publish their seeds, and each replays the attempt as it should have gone. A party whose public messages
differ from the replay is at fault, unless somebody misled it by a false private message before: that is found by its
receiver, who complains. Of accuser and accused one lies; each of the two knows which, the others do not.

The same goes for many attempts in a row of which none succeeded, where any of them may have been spoiled. So of each
attempt only digests of what arrived are kept; they are all that a comparison needs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from .arithmetic import digest
from .rounds import Aborted, Fault, Inbox, Outgoing, Script

_NEVER: Final = 2**32 - 1  # a round that does not come
_COMPLAINT_BYTES: Final = 5


class Inconsistent(Exception):
    """What was published does not fit together, so somebody did not follow the protocol. All parties see it at once."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The digests of what a party got in a round, by sender."""

    public: tuple[bytes, ...]
    private: tuple[bytes, ...]

    @classmethod
    def of(cls, inbox: Inbox) -> "Heard":
        """Those of an inbox."""
        return cls(tuple(map(_digest, inbox.public)), tuple(map(_digest, inbox.private)))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an audit needs to know of a failed attempt.

    seed: this party's, 32 bytes; script_of: the script that a party with that seed should have run; commitment_of: what
    it should have committed to, in public, in the first round; log: what this party got, round by round.
    """

    seed: bytes
    script_of: Callable[[int, bytes], Script[Any]]
    commitment_of: Callable[[int, bytes], bytes]
    log: list[Heard]

    def __repr__(self) -> str:
        return f"<Attempt of {len(self.log)} rounds (secret)>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an attempt holds a seed and is not pickled")


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


def audit(attempts: Sequence[Attempt], me: int, reason: str) -> Script[Aborted]:
    """Two rounds: all publish their seeds, replay the attempts, and say whose private messages were false.

    Rounds are counted on from one attempt to the next. The replay takes every party as long as the attempts took all of
    them together.
    """
    inbox = yield Outgoing(b"".join(attempt.seed for attempt in attempts))
    seeds = _opened(attempts, inbox.public)
    public, (at, accused) = _faults(attempts, seeds, me)
    inbox = yield Outgoing(at.to_bytes(4, "big") + bytes([accused]))
    complaints = [_complaint(i, data, len(inbox.public)) for i, data in enumerate(inbox.public)]
    return _verdict(me, reason, public, complaints)


def _opened(attempts: Sequence[Attempt], published: Sequence[bytes]) -> list[list[bytes]]:
    """The seeds of all parties, for each attempt. Raises Fault for those that nobody committed to."""
    seeds: list[list[bytes]] = [[] for _ in attempts]
    for party, data in enumerate(published):
        size = len(attempts[0].seed)
        if len(data) != size * len(attempts):
            raise Fault(party, f"{len(data)} bytes of seeds for {len(attempts)} attempts")
        for k, attempt in enumerate(attempts):
            opened = data[k * size : (k + 1) * size]
            if _digest(attempt.commitment_of(party, opened)) != attempt.log[0].public[party]:
                raise Fault(party, "the seed is not the one that was committed to")
            seeds[k].append(opened)
    return seeds


def _faults(
    attempts: Sequence[Attempt], seeds: Sequence[Sequence[bytes]], me: int
) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Round and party of the first false public messages, and of the first false private one to this party."""
    private, begun = (_NEVER, me), 0
    for attempt, opened in zip(attempts, seeds, strict=True):
        for at, (row, heard) in enumerate(zip(_replay(attempt, opened), attempt.log, strict=False), begun):
            sent = Heard.of(Inbox(tuple(o.public for o in row), tuple(o.private.get(me, b"") for o in row)))
            lied = [party for party in range(len(row)) if sent.private[party] != heard.private[party]]
            if lied and private[0] == _NEVER:
                private = at, lied[0]
            public = [(at, party) for party in range(len(row)) if sent.public[party] != heard.public[party]]
            if public:
                return public, private  # what came later does not count
        begun += len(attempt.log)
    return [], private


def _replay(attempt: Attempt, seeds: Sequence[bytes]) -> Iterator[list[Outgoing]]:
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


def _digest(data: bytes) -> bytes:
    return digest(b"heard", data)


def _complaint(accuser: int, data: bytes, parties: int) -> tuple[int, int]:
    """The round in which the accuser says it got a false private message, and from whom; `_NEVER` if in none."""
    if len(data) != _COMPLAINT_BYTES or data[4] >= parties:
        raise Fault(accuser, "a malformed complaint")
    at = int.from_bytes(data[:4], "big")
    if (at == _NEVER) != (data[4] == accuser):
        raise Fault(accuser, "a malformed complaint")
    return at, data[4]


def _verdict(me: int, reason: str, public: Sequence[tuple[int, int]], complaints: Sequence[tuple[int, int]]) -> Aborted:
    """Who is at fault, from the public messages that were false and from the complaints."""
    first = public[0][0] if public else _NEVER
    culprits = {party for at, party in public if at == first and complaints[party][0] >= first}
    suspects: set[int] = set()
    for accuser, (at, accused) in enumerate(complaints):
        if at == _NEVER or at > first or at > complaints[accused][0]:
            continue  # it follows from what was public before, or from what the accused complains of itself
        if accuser == me:
            culprits.add(accused)
        elif accused == me:
            culprits.add(accuser)
        else:
            suspects |= {accuser, accused}
    return Aborted(reason, tuple(sorted(culprits)), tuple(sorted(suspects - culprits)))
