"""A run as one of its sites sees it: what it knows of the ledger, of the others and of the round, as that changes.

A page, or whatever else shows a run again, is a :class:`Film`: it is told each change at the moment of the change. What
is told of another site is what that site's heartbeats would say.
"""

from typing import TYPE_CHECKING, Protocol

from ..protocol.events import Event, Notice, PeerDown, PeerUp, Step
from ..protocol.messages.kinds import CertifiedBlock
from ..protocol.node import Node
from ..protocol.records import BlockDecided
from .engine.simulation import Observer

if TYPE_CHECKING:
    from .engine.simulation import Simulation
    from .engine.site import Site

__all__ = ["Film", "Viewpoint", "site_to_view"]


class Film(Protocol):
    """What keeps a run. Times are milliseconds of virtual time since its beginning, and never go back."""

    def stand(self, at_ms: int, node: Node) -> None:
        """The viewed site has made a step, or was started; its node is as it is now."""

    def see(self, at_ms: int, member: bytes, is_linked: bool, height: int, round: int, phase: str) -> None:
        """Another site stands elsewhere than before, or a link to it came up or was lost."""

    def decide(self, at_ms: int, block: CertifiedBlock) -> None:
        """The viewed site has decided the next block."""

    def tell(self, at_ms: int, notice: Notice, sent_bytes: int, received_bytes: int) -> None:
        """The viewed site gives a notice; so many bytes had it sent and received by then."""

    def happen(self, at_ms: int, text: str, own_end: bool | None = None) -> None:
        """Something happened that no site is told of, such as a crash.

        ``own_end``: whether the viewed site itself went down or came back; None where it was something else.
        """


class Viewpoint(Observer):
    """Tells a film what one site sees."""

    def __init__(self, simulation: "Simulation", site: "Site", film: Film) -> None:
        self.site = site
        self._simulation = simulation
        self._film = film
        self._seen: dict[bytes, tuple[bool, int, int, str]] = {}
        """By member, what was told of it last: the link, the height, the round and the phase."""

    @property
    def elapsed_ms(self) -> int:
        """Virtual time since the beginning."""
        return self._simulation.clock.elapsed_ms

    def on_start(self, site: "Site") -> None:
        if site is self.site:
            assert site.node is not None
            if site.boots > 1:
                self._film.happen(self.elapsed_ms, f"{site.label} is started again", own_end=False)
            self._film.stand(self.elapsed_ms, site.node)
        elif site.boots > 1:
            self._film.happen(self.elapsed_ms, f"{site.label} is started again")

    def on_crash(self, site: "Site") -> None:
        self._film.happen(self.elapsed_ms, f"{site.label} goes down", own_end=True if site is self.site else None)
        if site is self.site:
            for member in self._seen:
                self._lose(member)

    def on_network(self, what: str) -> None:
        self._film.happen(self.elapsed_ms, what)

    def on_step(self, site: "Site", event: Event, step: Step) -> None:
        if site is self.site:
            self._on_own_step(site, event, step)
        elif site.key in self._seen and self._seen[site.key][0]:
            self._hear(site)

    def _on_own_step(self, site: "Site", event: Event, step: Step) -> None:
        for record in step.persist:
            if isinstance(record, BlockDecided):
                self._film.decide(self.elapsed_ms, CertifiedBlock(record.block, record.certificate))
        if site.node is None or site.node.state.height != len(site.disk.blocks):
            return  # the node crashed in this step
        if isinstance(event, PeerUp):
            self._hear(self._simulation.by_key[event.member])
        elif isinstance(event, PeerDown):
            self._lose(event.member)
        self._film.stand(self.elapsed_ms, site.node)
        for notice in step.notify:
            self._film.tell(self.elapsed_ms, notice, site.sent_bytes, self._received_bytes())

    def _hear(self, other: "Site") -> None:
        if other.node is not None:
            state = other.node.state
            self._see(other.key, True, state.height, state.round, str(state.phase))

    def _lose(self, member: bytes) -> None:
        if member in self._seen:
            self._see(member, False, *self._seen[member][1:])

    def _see(self, member: bytes, is_linked: bool, height: int, round: int, phase: str) -> None:
        if self._seen.get(member) != (is_linked, height, round, phase):
            self._seen[member] = (is_linked, height, round, phase)
            self._film.see(self.elapsed_ms, member, is_linked, height, round, phase)

    def _received_bytes(self) -> int:
        """Return the bytes that came to the viewed site, less those that it passed on for others."""
        number = self.site.number
        hops = self._simulation.links.hops()
        came = sum(hop.carried_bytes for hop in hops if hop.end == number)
        return came - sum(hop.relayed_bytes for hop in hops if hop.start == number)


def site_to_view(simulation: "Simulation", label: str | None = None) -> "Site":
    """Return the site of a name, or the first honest one.

    Raises:
        ValueError: there is no site of that name.
    """
    if label is None:
        return (simulation.honest or simulation.sites)[0]
    for site in simulation.sites:
        if str(site.label) == label:
            return site
    names = ", ".join(str(site.label) for site in simulation.sites[:20])
    raise ValueError(f"no site {label!r} to view; there are {names}{', …' if len(simulation.sites) > 20 else ''}")
