"""A readable account of a run: messages, records, reports, losses and failures.

A paragraph begins with the milliseconds since the start and the peer that acts. The records of a step stand before its
messages, which is the order in which a driver must act; its reports come last. Hashes are cut to their first four
digits.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ...protocol.events import Event, Step
from ...protocol.messages.envelope import Verified
from ..engine.simulation import Observer
from .phrases import Phrases

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site

LINES: Final = 120


@dataclass(slots=True)
class _Entry:
    """One thing that happened; a message to several members is one entry."""

    when_ms: int
    who: str
    what: str
    raw: bytes = b""
    to: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Transcript(Observer):
    """Keeps the last ``most`` things that happened; None for all."""

    def __init__(self, most: int | None = LINES) -> None:
        self._entries: deque[_Entry] = deque(maxlen=most)
        self._reports: list[_Entry] = []
        """The reports of the last step, which come after its messages."""
        self._start_ms = 0

    def begin(self) -> None:
        """Forget everything so far, and count the time from now on."""
        self._entries.clear()
        self._reports.clear()
        self._start_ms = self._simulation.clock.elapsed_ms

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines, the latest last; a line without time and peer continues the paragraph."""
        found: list[str] = []
        before: tuple[int, str] | None = None
        for entry in self._entries:
            place = (entry.when_ms, entry.who)
            if found and place != before:
                found.append("")
            head = f"{entry.when_ms:>7} {entry.who}"
            found.append(f"{head if place != before else ' ' * len(head)}  {self._told(entry)}")
            before = place
        return tuple(found)

    def _told(self, entry: _Entry) -> str:
        if not entry.raw:
            return entry.what
        everybody = len(self._simulation.sites) - 1
        to = sorted(set(entry.to))
        named = "all" if len(to) == everybody > 1 else f"{'peers' if len(to) > 1 else 'peer'} {' '.join(to)}"
        lost = f"  (lost on the way to {' '.join(sorted(set(entry.lost)))})" if entry.lost else ""
        return f"-> {named}: {entry.what}{lost}"

    def on_begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        labels = {site.key: str(site.label) for site in simulation.sites}
        self._words = Phrases(simulation.federation, labels, self._committee)

    def _committee(self) -> Sequence[bytes]:
        nodes = [site.node for site in self._simulation.sites if site.node is not None]
        return max((node.state for node in nodes), key=lambda state: state.height).committee.members if nodes else ()

    def on_step(self, site: "Site", event: Event, step: Step) -> None:
        self._flush()
        for record in step.persist:
            self._add(site, f"writes down {self._words.record(record)}")
        self._reports = [self._entry(site, f"reports: {notice.text}") for notice in step.notify]

    def on_send(self, site: "Site", receiver: "Site", message: Verified, blob: bytes | None) -> None:
        self._line_of(site, message, blob).to.append(str(receiver.label))

    def on_loss(self, site: "Site", receiver: "Site", message: Verified) -> None:
        for entry in reversed(self._entries):
            if entry.raw == message.raw and str(receiver.label) in entry.to:
                entry.lost.append(str(receiver.label))
                return

    def on_start(self, site: "Site") -> None:
        self._add(site, "starts" if site.boots == 1 else "starts again")

    def on_crash(self, site: "Site") -> None:
        self._add(site, "crashes")

    def on_network(self, what: str) -> None:
        self._flush()
        self._entries.append(_Entry(self._now(), "network", what))

    def on_end(self) -> None:
        self._flush()

    def _now(self) -> int:
        return self._simulation.clock.elapsed_ms - self._start_ms

    def _entry(self, site: "Site", what: str, raw: bytes = b"") -> _Entry:
        who = f"peer {site.label}" if site.is_honest else f"liar {site.label}"
        return _Entry(self._now(), who, what, raw)

    def _add(self, site: "Site", what: str, raw: bytes = b"") -> _Entry:
        entry = self._entry(site, what, raw)
        if self._reports and self._reports[0].who != entry.who:  # another peer acts, so that step is over
            self._flush()
        self._entries.append(entry)
        return entry

    def _flush(self) -> None:
        self._entries.extend(self._reports)
        self._reports.clear()

    def _line_of(self, site: "Site", message: Verified, blob: bytes | None) -> _Entry:
        """Return the entry of a message: the last one if it is the same message to another receiver, or a new one."""
        last = self._entries[-1] if self._entries else None
        if last is not None and last.raw == message.raw and last.when_ms == self._now():
            return last
        said = self._words.message(message)
        if message.sender != site.key:
            said = f"({self._words.peer(message.sender)} says) {said}"
        return self._add(site, said + (f", with {len(blob):,} bytes" if blob else ""), message.raw)
