"""What happened since this peer was started, for the page: its rounds, and the notices of its events.

The ledger has no clock and counts no bytes. So how long a round took and what it sent is known to each peer only for
itself, and only for this run. Everything here has a bound.
"""

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from types import MappingProxyType
from typing import Any, Final

from ..reporting.status import printable

Json = dict[str, Any]

MAX_ROUNDS: Final = 512
MAX_NOTICES: Final = 256
MAX_TEXT_CHARS: Final = 1000

FAULTS: Final = frozenset({"fault", "fork", "bad-frame", "refused", "overrun"})
"""What a member did that no honest one does, or that it was refused for."""

TOLD: Final = FAULTS | {
    "abstaining",
    "committee",
    "finished",
    "going-on",
    "joined",
    "kept-out",
    "not-admitted",
    "left",
    "left-behind",
    "link-down",
    "link-up",
    "network",
    "overdue",
    "paused",
    "resuming",
    "sitting-out",
    "stalled",
    "stuck",
    "synced",
    "unpaused",
    "void",
    "waiting",
}
"""The notices that the page shows. None of them holds a secret; that of the founding, which holds an invite, is not
among them.
"""

_RESULTS: Final[Mapping[str, str]] = MappingProxyType({"model": "model", "void": "void"})
_KEPT: Final = ("member", "name", "who", "round", "height", "reason", "evicted")


class History:
    """The newest rounds and notices, each with the number of its place.

    ``traffic``: bytes sent and received so far. ``own_loss``: by a round's number, the loss of the model that it began
    with over this site's own test rows, if that is known.
    """

    def __init__(
        self,
        traffic: Callable[[], tuple[int, int]],
        clock: Callable[[], float] = time.monotonic,
        own_loss: Callable[[int], float | None] | None = None,
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        self.run = secrets.token_hex(8)
        """Names this run of the peer: a reader that has seen another run begins anew."""
        self.newest = 0
        self.rounds: deque[Json] = deque(maxlen=MAX_ROUNDS)
        self.notices: deque[Json] = deque(maxlen=MAX_NOTICES)
        self.faults: Counter[str] = Counter(dict.fromkeys(sorted(FAULTS), 0))
        self.results: Counter[str] = Counter(dict.fromkeys(_RESULTS.values(), 0))
        self.evictions = 0
        self.round_seconds = 0.0
        """Of all rounds together that began and ended in this run."""
        self.rounds_timed = 0
        self._traffic = traffic
        self._clock = clock
        self._own_loss = own_loss
        self._time_of_day = time_of_day
        self._begun: dict[int, tuple[float, tuple[int, int]]] = {}

    def take(self, kind: str, text: str, facts: Json) -> bool:
        """Take a notice, with plain facts; return whether the page has something new to show."""
        if kind == "round":
            self._begun = {int(facts["round"]): (self._clock(), self._traffic())}
            return False
        if kind in FAULTS:
            self.faults[kind] += 1
        self.evictions += kind == "left" and bool(facts.get("evicted"))
        if kind in _RESULTS:
            self._end_round(int(facts["round"]), _RESULTS[kind])
        if kind in TOLD:
            kept = {name: _short(facts[name]) for name in _KEPT if facts.get(name) is not None}
            self._append(self.notices, {"kind": kind, "text": _short(text), **kept})
        return kind in _RESULTS or kind in TOLD

    def _end_round(self, number: int, result: str) -> None:
        row: Json = {"round": number, "result": result, "seconds": None, "sent_bytes": None, "received_bytes": None}
        row["own_loss"] = None if self._own_loss is None else self._own_loss(number)
        begun = self._begun.pop(number, None)
        if begun is not None:
            started, before = begun
            seconds, now = self._clock() - started, self._traffic()
            row |= {
                "seconds": round(seconds, 3),
                "sent_bytes": now[0] - before[0],
                "received_bytes": now[1] - before[1],
            }
            self.round_seconds += seconds
            self.rounds_timed += 1
        self.results[result] += 1
        self._append(self.rounds, row)

    def _append(self, rows: deque[Json], row: Json) -> None:
        self.newest += 1
        rows.append({"place": self.newest, "time": round(self._time_of_day(), 3), **row})

    def whole(self) -> Json:
        """Everything, for a reader that begins."""
        return {"run": self.run, "rounds": list(self.rounds), "notices": list(self.notices)}

    def since(self, place: int) -> Iterable[tuple[str, Json]]:
        """What came after a place, in order, as ``round`` or ``notice``."""
        newer = [("round", row) for row in _newer(self.rounds, place)]
        newer += [("notice", row) for row in _newer(self.notices, place)]
        return sorted(newer, key=lambda one: int(one[1]["place"]))

    def reaches(self, place: int) -> bool:
        """Whether nothing after this place has been dropped."""
        full = [rows for rows in (self.rounds, self.notices) if len(rows) == rows.maxlen]
        return 0 <= place <= self.newest and all(rows[0]["place"] <= place + 1 for rows in full)


def _newer(rows: deque[Json], place: int) -> Iterable[Json]:
    return takewhile(lambda row: row["place"] > place, reversed(rows))


def _short(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}…"
