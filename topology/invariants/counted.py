"""Counted: an honest member that is there in time is a contributor. Nobody chooses whose update counts.

This is safety rule 10 of docs/protocol.md, seen from the dealer. The rule holds for every honest member of a round's
committee when the contributors are decided, if

* the round was undisturbed (:mod:`.rounds`), at most f of its members lie, and the network loses nothing and is quick
  enough to settle what is missing at the share deadline;
* all other honest members had its dealing ``MARGIN_MS`` before the share deadline of the first member that began the
  round; or the contributors were decided before that time, when its dealing could still have arrived;
* it did not say that it sits out, and it has not left;
* no sum on this base model has failed, or the member contributed to it: a failed sum is repeated by its contributors
  and by nobody else.
"""

from typing import Final

from ...protocol.events import Event, Received, Step
from ...protocol.ledger.blocks import Contributors, read_block
from ...protocol.messages.kinds import NO_BOX, Deal
from ...protocol.records import BlockDecided
from ..adversaries.forging import failed_contributors
from ..engine.site import Site
from .rounds import RoundChecker

MARGIN_MS: Final = 2_000
"""Time that acks need on the slowest paths of the scenarios."""


class Counted(RoundChecker):
    """Notes which holders have had which dealings, and reads each Contributors block."""

    name = "counted"

    def __init__(self) -> None:
        self._had_ms: dict[tuple[int, bytes], dict[bytes, int]] = {}
        """When each honest holder first had a dealer's dealing, by round and dealer."""
        self._seen: set[int] = set()

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest:
            return
        if type(event) is Received:
            deal = event.message.message
            if type(deal) is Deal and (event.blob or all(box == NO_BOX for box in deal.box_hashes)):
                had = self._had_ms.setdefault((deal.round, event.message.sender), {})
                had.setdefault(site.key, self.simulation.clock.elapsed_ms)
        super().on_step(site, event, step)
        for record in step.persist:
            if isinstance(record, BlockDecided):
                body = read_block(record.block).body
                if isinstance(body, Contributors) and body.round not in self._seen:
                    self._seen.add(body.round)
                    self._check(site, body)

    def _check(self, site: Site, body: Contributors) -> None:
        node = site.node
        is_judged = self.is_quick and self.is_calm(body.round)
        if node is None or node.state.contributors != body or not is_judged:
            return
        committee, failed = node.state.committee, failed_contributors(node.state)
        counted = {committee.members[place] for place, _ in body.dealers}
        for member in self.honest_of(committee):
            out = (body.round, member) in self.sat_out or (failed and member not in failed)
            is_gone = node.state.member(member) is None
            if (
                member not in counted
                and not out
                and not is_gone
                and self._was_in_time(body.round, member, committee.members)
            ):
                label = self.simulation.by_key[member].label
                raise self.violated(f"round {body.round} does without {label}, which was there in time")

    def _was_in_time(self, round_: int, dealer: bytes, members: tuple[bytes, ...]) -> bool:
        genesis = self.simulation.setup.genesis
        limit = self.first_ms(round_) + genesis.round_interval_ms + genesis.share_deadline_ms - MARGIN_MS
        if self.simulation.clock.elapsed_ms < limit:
            return True
        had = self._had_ms.get((round_, dealer), {})
        holders = [one for one in members if one in self._honest and one != dealer]
        return all(had.get(holder, limit + 1) <= limit for holder in holders)
