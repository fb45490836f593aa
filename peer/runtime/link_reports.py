"""Links that come and go: the driver hears of each, and the user of those that are no strangers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...protocol.node import Node
from ..driving.driver import Driver
from ..federation.joining import tell_trouble
from ..member_names import in_words, told_name
from ..network.link_events import Connected, Disconnected, Refused, Report
from ..network.network import Network
from ..reporting.reporters import Reporter
from .stranger_log import StrangerLog


@dataclass(frozen=True, slots=True)
class LinkReports:
    """Hands on what the network hears, and tells what becomes of its links."""

    node: Node
    network: Network
    driver: Driver
    strangers: StrangerLog
    report: Reporter
    tell: Callable[[str, str, dict[str, Any]], None]
    """Tells an event: gets its kind, its text and its facts."""
    on_change: Callable[[], None]
    """Is called as a link comes or goes, before the driver hears of it."""

    async def run(self) -> None:
        """Have the driver hear what members say, and hear here of links that come and go."""
        for member in self.network.connected():
            await self.driver.peer_up(member)
        await self.network.hand_over(self.driver, self.on_event)
        async for event in self.network.inbound:
            await self.network.pass_on(event)

    async def on_event(self, event: Report) -> None:
        """Tell what became of a link."""
        match event:
            case Connected(member=member, greeting=greeting, is_stranger=is_stranger):
                if is_stranger:
                    self.strangers.linked(member)
                else:
                    name = self._name(member) or greeting.name or "a peer"
                    self.tell("link-up", f"linked to {in_words(name)}", {"member": member, "name": greeting.name})
                self.on_change()
                await self.driver.peer_up(member)
            case Disconnected(member=member, reason=reason, is_stranger=is_stranger):
                if not is_stranger:
                    self.tell("link-down", f"link lost: {reason}", {"member": member, "who": self._name(member)})
                self.on_change()
                await self.driver.peer_down(member)
            case Refused(reason=reason, is_stranger=True):
                self.strangers.refused(reason)
            case _:
                tell_trouble(event, self.report.event)

    def _name(self, member: bytes) -> str:
        return told_name(self.node.state, member)
