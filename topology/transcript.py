"""What happened last, for people to read: who said what to whom, what was lost, and what failed and came back."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..protocol.blocks import block_hash
from ..protocol.envelope import Verified
from ..protocol.events import Event, Step
from ..protocol.messages import Proposal
from ..protocol.records import BlockDecided
from .observer import Observer

if TYPE_CHECKING:
    from .simulation import Simulation
    from .site import Site

LINES: Final = 120


@dataclass(slots=True)
class _Line:
    """One thing that happened; a message that goes to several members is one."""

    when_ms: int
    who: str
    what: str
    to: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        arrow = f" -> {', '.join(self.to)}" if self.to else ""
        lost = f"  (lost: {', '.join(self.lost)})" if self.lost else ""
        return f"{self.when_ms:>7} ms  {self.who}{arrow}  {self.what}{lost}"


class Transcript(Observer):
    """Keeps the last ``most`` lines."""

    def __init__(self, most: int = LINES) -> None:
        self._lines: deque[_Line] = deque(maxlen=most)

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines, the latest last."""
        return tuple(map(str, self._lines))

    def on_begin(self, simulation: "Simulation") -> None:
        self._clock = simulation.clock

    def on_send(self, site: "Site", receiver: "Site", message: Verified, blob: bytes | None) -> None:
        self._line_of(site, message).to.append(str(receiver.label))

    def on_loss(self, site: "Site", receiver: "Site", message: Verified) -> None:
        self._line_of(site, message).lost.append(str(receiver.label))

    def on_step(self, site: "Site", event: Event, step: Step) -> None:
        for record in step.persist:
            if isinstance(record, BlockDecided):
                self._add(site.label, f"decides {block_hash(record.block)[:4].hex()} at height {record.height}")

    def on_start(self, site: "Site") -> None:
        self._add(site.label, "starts" if site.boots == 1 else "starts again")

    def on_crash(self, site: "Site") -> None:
        self._add(site.label, "crashes")

    def on_network(self, what: str) -> None:
        self._add("*", what)

    def _add(self, who: Any, what: str) -> _Line:
        line = _Line(self._clock.elapsed_ms, str(who), what)
        self._lines.append(line)
        return line

    def _line_of(self, site: "Site", message: Verified) -> _Line:
        """Return the line that this message is on: the last one, if it says the same."""
        what = _said(message) + ("" if site.is_honest else "  (liar)")
        last = self._lines[-1] if self._lines else None
        if last is not None and (last.when_ms, last.who, last.what) == (self._clock.elapsed_ms, str(site.label), what):
            return last
        return self._add(site.label, what)


def _said(message: Verified) -> str:
    said = message.message
    block = block_hash(said.block) if isinstance(said, Proposal) else getattr(said, "block", None)
    named = f" {block[:4].hex()}" if block is not None else ""
    return f"{type(said).__name__}{named}  height {message.height} view {message.view}"
