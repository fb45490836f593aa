"""Blame: a void round names a liar or carries the proof that its sum cannot be one, or honest members were away.

The rule holds for every void round that was undisturbed (:mod:`.rounds`) and for which the honest members alone could
have made a sum: they are at least K+f holders and K+1 dealers, not counting dealers that have left since. On a slow
network a round may lack shares for no other reason. Schemes that prove nothing against liars are left out.

A liar counts as named if an honest member has reported a proof against it since the round began, if an eviction with
proof waits at an honest member, or if the ledger has barred the liar.
"""

from ...protocol.events import Event, NoticeKind, Step
from ...protocol.ledger.blocks import Void, read_block
from ...protocol.records import BlockDecided
from ...protocol.scheme_registry import SCHEMES
from ..adversaries.forging import proved_void
from ..engine.site import Site
from .evidence import claims_proof
from .rounds import RoundChecker


class Blame(RoundChecker):
    """Reads notices and Void blocks."""

    name = "blame"

    def __init__(self) -> None:
        self._named_ms: dict[bytes, int] = {}
        """When each liar was last named with proof."""
        self._seen: set[int] = set()

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest:
            return
        super().on_step(site, event, step)
        for notice in step.notify:
            if notice.kind == NoticeKind.FAULT and notice.facts.get("member") in self._liars and claims_proof(notice):
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
        """Whether one of these members is accused with proof, or was barred on it, perhaps in the round itself."""
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
