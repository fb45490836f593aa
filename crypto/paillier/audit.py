"""Who did not follow a protocol whose every step follows from a seed that was committed to.

When what was published in an attempt does not fit together, the attempt is lost, so nothing in it needs to stay secret:
all parties publish their seeds, and each replays the attempt as it should have gone. A party whose public messages
differ from the replay is at fault, unless somebody misled it by a false private message before: that is found by its
receiver, who complains. Of accuser and accused one lies; each of the two knows which, the others do not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .rounds import Aborted, Fault, Inbox, Outgoing, Script

_NEVER: Final = 2**32 - 1  # a round that does not come
_COMPLAINT_BYTES: Final = 5


class Inconsistent(Exception):
    """What was published does not fit together, so somebody did not follow the protocol. All parties see it at once."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an audit needs to know of a failed attempt.

    script_of: the script that a party with that seed should have run; commitment_of: what it should have committed to,
    in public, in the first round; log: what this party got, round by round.
    """

    script_of: Callable[[int, bytes], Script[Any]]
    commitment_of: Callable[[int, bytes], bytes]
    log: Sequence[Inbox]


def logged(script: Script[Any], log: list[Inbox]) -> Script[Any]:
    """The same script, with all that arrives written down."""
    try:
        sent = next(script)
        while True:
            inbox = yield sent
            log.append(inbox)
            sent = script.send(inbox)
    except StopIteration as end:
        return end.value


def audit(attempt: Attempt, me: int, seed: bytes, reason: str) -> Script[Aborted]:
    """Two rounds: all publish their seeds, replay the attempt, and say whose private messages were false."""
    inbox = yield Outgoing(seed)
    for party, (opened, committed) in enumerate(zip(inbox.public, attempt.log[0].public, strict=True)):
        if attempt.commitment_of(party, opened) != committed:
            raise Fault(party, "the seed is not the one that was committed to")
    expected = _replay(attempt, inbox.public)
    public = [(at, i) for at, i, sent in _each(expected) if sent.public != attempt.log[at].public[i]]
    private = [(at, i) for at, i, sent in _each(expected) if sent.private.get(me, b"") != attempt.log[at].private[i]]
    at, accused = private[0] if private else (_NEVER, me)
    inbox = yield Outgoing(at.to_bytes(4, "big") + bytes([accused]))
    complaints = [_complaint(i, data, len(inbox.public)) for i, data in enumerate(inbox.public)]
    return _verdict(me, reason, public, complaints)


def _each(expected: Sequence[Sequence[Outgoing]]) -> Iterator[tuple[int, int, Outgoing]]:
    """Round, party, and what the party should have sent, in the order of rounds."""
    return ((at, party, sent) for at, row in enumerate(expected) for party, sent in enumerate(row))


def _replay(attempt: Attempt, seeds: Sequence[bytes]) -> list[list[Outgoing]]:
    """What all parties should have sent, round by round, for as many rounds as there were."""
    scripts = [attempt.script_of(party, seed) for party, seed in enumerate(seeds)]
    history: list[list[Outgoing]] = []
    try:
        sent = [next(script) for script in scripts]
        for _ in attempt.log:
            history.append(sent)
            public = tuple(outgoing.public for outgoing in sent)
            private = [tuple(outgoing.private.get(i, b"") for outgoing in sent) for i in range(len(seeds))]
            sent = [script.send(Inbox(public, mine)) for script, mine in zip(scripts, private, strict=True)]
    except (StopIteration, Inconsistent):
        pass  # followed by all, it would have ended here: whatever came later follows from an earlier fault
    return history


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
