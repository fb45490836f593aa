"""The interface of everything that watches a simulation: checkers, recorders, and faults that wait for a moment."""

from typing import TYPE_CHECKING

from ..protocol.envelope import Verified
from ..protocol.events import Event, Step

if TYPE_CHECKING:
    from .simulation import Simulation
    from .site import Site

__all__ = ["Observer"]


class Observer:
    """Hooks into a simulation. Override those of interest: frequent ones are not called unless they are overridden."""

    def on_begin(self, simulation: "Simulation") -> None:
        """The simulation is set up, and nothing has happened yet."""

    def on_step(self, site: "Site", event: Event, step: Step) -> None:
        """A node made a step. Its records are durable, and nothing was sent yet.

        If the site crashes at this step, ``step`` holds the records that survive and nothing more.
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
        """The network was cut or healed, or a link or router went down or came back; ``what`` says so in words."""

    def on_end(self) -> None:
        """The simulation has ended."""
