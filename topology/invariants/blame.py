"""Blame: a void round names a liar or carries the proof that its sum cannot be one, or honest members were away.

It is demanded of every void round that was undisturbed (:mod:`.rounds`) and of which the honest members by themselves
could have made a sum: they are K+f holders and K+1 dealers at least, not counting those that have left since. Want of
shares needs no reason on a slow network. A liar is named if an honest member has told people of a proof against it
since the round began, or has one that it would evict it for.
"""

from ...protocol.blocks import Void, read_block
from ...protocol.events import Event, Step
from ...protocol.records import BlockDecided
from ...protocol.registry import SCHEMES
from ..adversaries.forging import proved_void
from ..site import Site
from .evidence import claims_proof
from .rounds import RoundChecker


class Blame(RoundChecker):
    """Reads notices and Void blocks."""

    name = "blame"

    def __init__(self) -> None:
        self._named_ms: dict[bytes, int] = {}
        """When a liar was named last."""
        self._seen: set[int] = set()

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest:
            return
        super().on_step(site, event, step)
        for notice in step.notify:
            if notice.kind == "fault" and notice.facts.get("member") in self._liars and claims_proof(notice):
                self._named_ms[notice.facts["member"]] = self.simulation.clock.elapsed_ms
        for record in step.persist:
            if isinstance(record, BlockDecided):
                body = read_block(record.block).body
                if isinstance(body, Void) and body.round not in self._seen:
                    self._seen.add(body.round)
                    self._check(site, body)

    def _check(self, site: Site, body: Void) -> None:
        proves_liars = SCHEMES[self.simulation.setup.genesis.scheme].proves_liars
        if not proves_liars or not self.is_calm(body.round):
            return
        if body.reason == "shares" and not self.is_quick:
            return
        committee = self.committees[body.round]
        assert site.node is not None
        holders = self.honest_of(committee)
        dealers = [member for member in holders if site.node.state.member(member) is not None]
        if len(holders) < committee.sum_quorum or len(dealers) < committee.min_contributors:
            return
        first = self.first_ms(body.round)
        named = any(at_ms >= first for at_ms in self._named_ms.values()) or self._is_accused(committee.members)
        if not named and proved_void(body) is None:
            raise self.violated(f"round {body.round} is void ({body.reason}), and nobody answers for it")

    def _is_accused(self, members: tuple[bytes, ...]) -> bool:
        """Whether one of these members is accused with proof, or was evicted on it, perhaps in the round itself."""
        for site in self.simulation.honest:
            if site.node is None:
                continue
            gone = site.node.state.gone
            if any(member in gone and gone[member].barred for member in members):
                return True
            evictions = site.node.ctx.pool._evictions
            for evict in evictions.values():
                if evict.reason != "silent" and evict.member in members:
                    return True
        return False
