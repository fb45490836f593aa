"""Newcomers that arrive and members that leave: at a set time, or after a block of a certain kind."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...protocol.events import Event, Leave, Step, Withdraw
from ...protocol.ledger.blocks import Body, Contributors, Model, Void, read_block
from ...protocol.records import BlockDecided
from ..engine.simulation import Observer

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site

__all__ = ["MOMENTS", "Coming", "Comings"]

LATEST_MS: Final = 25_000
"""When a site comes or goes if its moment has not come before."""

MOMENTS: Final[dict[str, type[Body]]] = {"failed": Void, "contributors": Contributors, "model": Model}
"""The moments that a site may wait for: the first block of this kind that any site decides."""


@dataclass(frozen=True, slots=True)
class Coming:
    """The arrival or departure of one site."""

    site: int
    delay_ms: int
    """Counted from the beginning, or from the moment."""
    moment: str = ""
    """One of MOMENTS; empty for none."""
    leaves: bool = False
    patience_ms: int = 0
    """Time after its arrival at which a newcomer takes its request back, unless it was admitted; 0: never."""


class Comings(Observer):
    """Lets sites arrive and leave. Sites that arrive must be among the ``late`` ones of the setup."""

    def __init__(self, comings: tuple[Coming, ...]) -> None:
        self._comings = comings
        self._waiting: dict[Coming, type[Body]] = {one: MOMENTS[one.moment] for one in comings if one.moment}

    def on_begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        gone = {coming.site for coming in self._comings if coming.leaves}
        idle = gone | {coming.site for coming in self._comings if coming.patience_ms}
        reached = simulation.goal
        # A site that left or gave up hears of no later round.
        simulation.goal = lambda site: site.number in idle or reached(site)
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
