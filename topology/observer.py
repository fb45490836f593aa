"""Who may watch a simulation: checkers, recorders, and faults that wait for a moment."""

from typing import TYPE_CHECKING

from ..protocol.envelope import Verified
from ..protocol.events import Event, Step

if TYPE_CHECKING:
    from .simulation import Simulation
    from .site import Site

__all__ = ["Observer"]


class Observer:
    """Override what is of interest; what is not overridden is never called."""

    def on_begin(self, simulation: "Simulation") -> None:
        """The simulation is set up, and nothing has happened yet."""

    def on_step(self, site: "Site", event: Event, step: Step) -> None:
        """A node made a step; what it persists is durable, and nothing of it was sent yet.

        Of a step at which the site crashes, ``step`` holds the records that survive and nothing else.
        """

    def on_send(self, site: "Site", receiver: "Site", message: Verified, blob: bytes | None) -> None:
        """A message leaves for a receiver, whether it arrives or not."""

    def on_loss(self, site: "Site", receiver: "Site", message: Verified) -> None:
        """A message will not arrive: the network is cut between the two, or a link or relay on its way is down."""

    def on_work(self, site: "Site", label: str, begin_ms: int, end_ms: int) -> None:
        """A job will keep one of a site's workers busy for this time."""

    def on_start(self, site: "Site") -> None:
        """A site came up, for the first time or again."""

    def on_crash(self, site: "Site") -> None:
        """A site went down."""

    def on_network(self, what: str) -> None:
        """The network was cut, or healed, or a link or router went down or came back; in words."""

    def on_end(self) -> None:
        """The simulation has ended."""
