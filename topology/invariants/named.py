"""Named: an honest member that has two contradicting statements of a liar about one round names the liar.

Two dealings of one dealer in a round contradict each other, and so do two acks of one holder that name different
dealings of one dealer. The rule holds for members of the round, and for statements that come before its contributors
are decided.
"""

from ...protocol.events import Event, NoticeKind, Received, Step
from ...protocol.ledger.phases import Phase
from ...protocol.messages.kinds import Ack, Deal
from ..adversaries.forging import acked, dealing_id
from ..engine.site import Site
from .rounds import RoundChecker


class Named(RoundChecker):
    """Compares what liars say to each honest member."""

    name = "named"

    def __init__(self) -> None:
        self._said: dict[tuple[int, bytes, int, int], bytes] = {}
        """The dealing that was named, by site, liar, round and dealer (-1: the liar's own dealing)."""
        self._open: dict[tuple[int, bytes], str] = {}
        """Contradictions that have not been named, by site and liar."""
        self._named: set[tuple[int, bytes]] = set()

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest:
            return
        for notice in step.notify:
            if notice.kind == NoticeKind.FAULT and notice.facts.get("member") in self._liars:
                self._named.add((site.number, notice.facts["member"]))
        if type(event) is Received and event.message.sender in self._liars:
            self._compare(site, event.message.sender, event.message.message)

    def on_crash(self, site: Site) -> None:
        """Forget what the site was told, as it does itself."""
        super().on_crash(site)
        self._said = {place: name for place, name in self._said.items() if place[0] != site.number}

    def _compare(self, site: Site, liar: bytes, said: object) -> None:
        if isinstance(said, Deal):
            names = {-1: dealing_id(self.simulation.federation, liar, said)}
        elif isinstance(said, Ack):
            names = acked(said)
        else:
            return
        node = site.node
        is_open = node is not None and node.state.phase is Phase.SHARING and node.state.round == said.round
        if node is None or not is_open or node.ctx.guard.resuming:
            return
        if None in (node.state.committee.index(liar), node.state.committee.index(site.key)):
            return
        if node.state.member(liar) is None:  # it is gone already
            return
        for dealer, name in names.items():
            place = (site.number, liar, said.round, dealer)
            if self._said.setdefault(place, name) != name:
                what = "two dealings" if dealer < 0 else f"two acks of dealer {dealer}"
                self._open.setdefault((site.number, liar), f"{what} in round {said.round}")

    def on_end(self) -> None:
        for (number, liar), what in self._open.items():
            if (number, liar) not in self._named:
                labels = self.simulation.sites[number].label, self.simulation.by_key[liar].label
                raise self.violated(f"{labels[0]} has {what} of {labels[1]} and tells nobody")
