"""Why this peer waits just now, asked of the ledger and of its links: the same for `peer status` and for warnings."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...protocol.node import Node
from ..home.folder import Home
from ..network.address_text import short_place
from ..network.network import Network
from ..reporting.leaving import Stay, awaited, still_needed
from ..reporting.quorum_watch import Joining, joining, kept_out, pause, shortage
from .run_end import RunEnd


@dataclass(frozen=True, slots=True)
class Situation:
    """What a running peer says of its place in the federation. Each method returns None if there is nothing to say."""

    node: Node
    network: Network
    home: Home
    ending: RunEnd
    gone: Mapping[bytes, str]
    """The names of those that were members."""

    def paused(self) -> str | None:
        """Say that training waits for more members, if this peer is one."""
        state = self.node.state
        return pause(state, self.home) if state.member(self.node.ctx.me) is not None else None

    def shortage(self) -> str | None:
        """Say that too few members can be reached to decide anything."""
        sought = {row.member: [short_place(place) for place in row.addresses] for row in self.network.peers()}
        connected = self.network.connected()
        return shortage(self.node.state, self.node.ctx.me, connected, self.home, self.gone, sought)

    def joining(self) -> Joining | None:
        """Return why this newcomer is not admitted yet; None also once it was asked to leave."""
        state, me = self.node.state, self.node.ctx.me
        if state.member(me) is not None or self.ending.asked_to_leave or self.ending.left.is_set():
            return None
        return joining(state, me, self.network.connected(), self.gone)

    def kept_out(self) -> str | None:
        """Say that newcomers cannot be admitted."""
        ctx = self.node.ctx
        return kept_out(self.node.state, ctx.me, self.network.connected(), ctx.pool.names, self.gone)

    def stay(self) -> Stay | None:
        """Return why this peer, which left, does not stop yet."""
        return still_needed(self.node.state, self.node.ctx.me, self.network.connected(), self.home, self.gone)

    def awaited(self) -> str:
        """Return what this peer, which has asked to leave, waits for."""
        return awaited(self.node.state, self.node.ctx.me, self.network.connected(), self.gone)

    def leaving(self) -> str | None:
        """Say how far the leave is that this peer was asked for."""
        if not self.ending.asked_to_leave:
            return None
        if not self.ending.left.is_set():
            return f"asked to leave; {self.awaited()}"
        stay = self.stay()
        return "left; stops now" if stay is None else stay.text
