"""Barred: a liar does not stay if an honest member has proof against it.

Proof is an eviction that waits at an honest member (but for silence or a bad dealing), or two different votes of one
member for one place that an honest member received while it decided that height. ``HEIGHTS`` blocks later the ledger
must have barred the liar. It takes some blocks, because nobody is evicted while a sum is open, and a liar does not
propose its own eviction.

The rule presupposes at most f liars. It does not count the proof of members that crashed since, which forgot what they
were told.
"""

from typing import TYPE_CHECKING, Final

from ...protocol.events import Event, Received, Step
from ...protocol.messages.kinds import Precommit, Prevote
from ..engine.site import Site
from .base import Checker

if TYPE_CHECKING:
    from ..engine.simulation import Simulation

HEIGHTS: Final = 20
"""Number of blocks after the proof by which the liar must be barred."""


class Barred(Checker):
    """Notes which honest member has proof against which liar, and since which height."""

    name = "barred"

    def on_begin(self, simulation: "Simulation") -> None:
        super().on_begin(simulation)
        self._liars = {site.key for site in simulation.sites if not site.is_honest}
        self._votes: dict[tuple[int, bytes, int, int, type], bytes | None] = {}
        self._proved: dict[tuple[int, bytes], int] = {}
        """The height of the first proof, by site and liar."""

    def on_crash(self, site: Site) -> None:
        self._proved = {place: height for place, height in self._proved.items() if place[0] != site.number}
        self._votes = {place: block for place, block in self._votes.items() if place[0] != site.number}

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        node = site.node
        if not self._liars or not site.is_honest or node is None:
            return
        if type(event) is Received and event.message.sender in self._liars:
            self._compare(site, event)
        for pending in node.ctx.pool._evictions.values():
            if pending.reason not in ("silent", "bad-dealing"):
                self._proved.setdefault((site.number, pending.member), node.state.height)

    def _compare(self, site: Site, event: Received) -> None:
        vote, liar, node = event.message, event.message.sender, site.node
        if not isinstance(vote.message, Prevote | Precommit) or node is None or node.ctx.guard.resuming:
            return
        # Only votes count that the member surely compares: for the height it decides, of views it has reached.
        if vote.height != node.state.height + 1 or vote.view > node.view or node.state.committee.index(liar) is None:
            return
        place = (site.number, liar, vote.height, vote.view, type(vote.message))
        if self._votes.setdefault(place, vote.message.block_hash) != vote.message.block_hash:
            self._proved.setdefault((site.number, liar), node.state.height)

    def on_end(self) -> None:
        for (number, liar), since in self._proved.items():
            node = self.simulation.sites[number].node
            if node is None or node.state.height < since + HEIGHTS:
                continue
            gone = node.state.gone.get(liar)
            if gone is None or not gone.barred:
                labels = self.simulation.sites[number].label, self.simulation.by_key[liar].label
                raise self.violated(
                    f"{labels[0]} has proof against {labels[1]} since height {since}, and it is not barred"
                )
