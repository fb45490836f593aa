"""Newcomers that arrive and members that leave: at a set time, or when the ledger has come to a certain block."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..protocol.blocks import Body, Contributors, Model, Void, read_block
from ..protocol.events import Event, Leave, Step, Withdraw
from ..protocol.records import BlockDecided
from .observer import Observer

if TYPE_CHECKING:
    from .simulation import Simulation
    from .site import Site

__all__ = ["MOMENTS", "Coming", "Comings"]

LATEST_MS: Final = 25_000
"""When a site comes or goes whose moment has not come until then."""

MOMENTS: Final[dict[str, type[Body]]] = {"failed": Void, "contributors": Contributors, "model": Model}
"""What a site may wait for: the first such block that anybody decides."""


@dataclass(frozen=True, slots=True)
class Coming:
    """One site arrives, or leaves."""

    site: int
    delay_ms: int
    """After the beginning, or after the moment."""
    moment: str = ""
    """One of MOMENTS, or nothing."""
    leaves: bool = False
    patience_ms: int = 0
    """After so long one that arrived takes its request back, unless it was admitted; 0: never."""


class Comings(Observer):
    """Lets sites arrive and leave. Those that arrive are among the late ones of the setup."""

    def __init__(self, comings: tuple[Coming, ...]) -> None:
        self._comings = comings
        self._waiting: dict[Coming, type[Body]] = {one: MOMENTS[one.moment] for one in comings if one.moment}

    def on_begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        gone = {coming.site for coming in self._comings if coming.leaves}
        idle = gone | {coming.site for coming in self._comings if coming.patience_ms}
        reached = simulation.goal
        simulation.goal = lambda site: site.number in idle or reached(site)  # the ledger of one that left ends there
        simulation.leavers = len(gone)
        for coming in self._comings:
            simulation.clock.after(LATEST_MS if coming.moment else coming.delay_ms, self._act, coming)

    def on_step(self, site: "Site", event: Event, step: Step) -> None:
        if not self._waiting:
            return
        for record in step.persist:
            if isinstance(record, BlockDecided):
                body = read_block(record.block).body
                for coming in [one for one, kind in self._waiting.items() if isinstance(body, kind)]:
                    del self._waiting[coming]
                    self._simulation.clock.after(coming.delay_ms, self._act, coming)

    def _act(self, coming: Coming) -> None:
        self._waiting.pop(coming, None)
        site = self._simulation.sites[coming.site]
        if coming.leaves:
            self._hand_in(site, Leave())
            return
        self._simulation.arrive(site)
        if coming.patience_ms:
            self._simulation.clock.after(coming.patience_ms, self._hand_in, site, Withdraw())

    def _hand_in(self, site: "Site", event: Event) -> None:
        if site.node is not None:
            self._simulation.hand_in(site, event)
