"""When a round began, which members sit it out, and whether anything but liars has disturbed it."""

from typing import TYPE_CHECKING, Final

from ...protocol.events import Event, NoticeKind, Step
from ...protocol.ledger.committee import Committee
from ...protocol.messages.envelope import Verified
from ..engine.site import Site
from .base import Checker

if TYPE_CHECKING:
    from ..engine.simulation import Simulation

SETTLE_MS: Final = 3_000
"""How long after the last disturbance a round has to begin to count as undisturbed. By then links are up again,
messages were repeated, and members that were behind have caught up."""

SPREAD_MS: Final = 1_500
"""Time within which all honest members have to begin a round that counts as undisturbed."""


MESSAGES: Final = 6
"""Messages, one after the other, that settle what is missing at a share deadline, with some room."""


class RoundChecker(Checker):
    """Keeps track of rounds and of what disturbs them, for checkers that judge undisturbed ones only.

    A round is undisturbed if all honest members of its committee began it within ``SPREAD_MS``, at most f of the
    committee lie, and from ``SETTLE_MS`` before it began until now

    * no honest site has crashed or come back, and no liar either where sites relay for each other;
    * no link or router has failed or come back, and the network was not cut or healed;
    * no message between honest members was lost.
    """

    def on_begin(self, simulation: "Simulation") -> None:
        super().on_begin(simulation)
        self._liars = {site.key for site in simulation.sites if not site.is_honest}
        self._honest = {site.key for site in simulation.sites if site.is_honest}
        n = len(simulation.sites)
        self._sites_relay = len(simulation.links.pairs) < n * (n - 1) // 2
        self.is_quick = self._is_quick()
        """Whether what is missing at a share deadline can be settled in time on the slowest path."""
        self.disturbed_ms = -SETTLE_MS - 1
        self.began_ms: dict[int, dict[bytes, int]] = {}
        """When each honest member began a round, by round and member."""
        self.committees: dict[int, Committee] = {}
        self.sat_out: set[tuple[int, bytes]] = set()
        """Pairs of a round and an honest member that had no contribution to it."""
        self.is_told_stuck = False
        """Whether an honest member has told its operator that it waits for a member to repeat a failed sum."""

    def _is_quick(self) -> bool:
        links, n = self.simulation.links, len(self.simulation.sites)
        if any(hop.loss for hop in links.hops()):
            return False
        paths = [links.path(start, end) for start in range(n) for end in range(n) if start != end]
        slowest_us = max(sum(hop.latency_us + hop.jitter_us for hop in path) for path in paths)
        return MESSAGES * slowest_us <= 2_000 * self.simulation.setup.genesis.view_delta_ms

    # -- what disturbs

    def _disturb(self) -> None:
        self.disturbed_ms = self.simulation.clock.elapsed_ms

    def on_start(self, site: Site) -> None:
        if site.boots > 1 and (site.is_honest or self._sites_relay):
            self._disturb()

    def on_crash(self, site: Site) -> None:
        if site.is_honest or self._sites_relay:
            self._disturb()

    def on_network(self, what: str) -> None:
        self._disturb()

    def on_loss(self, site: Site, receiver: Site, message: Verified) -> None:
        if site.is_honest and receiver.is_honest and receiver.node is not None and site.node is not None:
            self._disturb()

    # -- rounds

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if step.notify and site.is_honest:
            self._read_notices(site, step)

    def _read_notices(self, site: Site, step: Step) -> None:
        for notice in step.notify:
            if notice.kind == NoticeKind.ROUND and site.node is not None:
                round_: int = notice.facts["round"]
                began = self.began_ms.setdefault(round_, {})
                began.setdefault(site.key, self.simulation.clock.elapsed_ms)
                if site.node.state.round == round_:
                    self.committees.setdefault(round_, site.node.state.committee)
            elif notice.kind == NoticeKind.SITTING_OUT:
                self.sat_out.add((notice.facts["round"], site.key))
            elif notice.kind == NoticeKind.STUCK:
                self.is_told_stuck = True

    def honest_of(self, committee: Committee) -> list[bytes]:
        """Return the honest members of a committee."""
        return [member for member in committee.members if member in self._honest]

    def lies(self, committee: Committee) -> int:
        """Return how many members of a committee lie."""
        return committee.n - len(self.honest_of(committee))

    def is_calm(self, round_: int) -> bool:
        """Whether a round was undisturbed until now, with at most f liars."""
        committee, began = self.committees.get(round_), self.began_ms.get(round_, {})
        if committee is None or self.lies(committee) > committee.f:
            return False
        times = [began.get(member, -1) for member in self.honest_of(committee)]
        first = min(times, default=-1)
        return first >= 0 and first > self.disturbed_ms + SETTLE_MS and max(times) - first <= SPREAD_MS

    def first_ms(self, round_: int) -> int:
        """Return when the first honest member began a round."""
        return min(self.began_ms[round_].values())
