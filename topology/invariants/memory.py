"""Memory: everything that others can make a member hold stays under the caps of protocol/limits.py."""

from collections.abc import Iterator

from ...protocol import limits
from ...protocol.early_messages import _bytes
from ...protocol.events import Event, Step
from ...protocol.ledger.evidence import CONTRADICTIONS
from ...protocol.node import Node
from ..engine.site import Site
from .base import Checker

EVERY = 7
"""Steps between two looks; even something that is held for a moment only is seen in one run or another."""

Cap = tuple[str, int, int]
"""A kind of thing that is held: its name, how many there are, and how many are allowed."""


class MemoryCaps(Checker):
    """Looks into honest nodes now and then."""

    name = "memory"

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest or site.steps % EVERY:
            return
        node = site.node
        assert node is not None
        for what, count, most in (*self._of_node(node), *self._of_round(node), *self._of_height(node)):
            if count > most:
                raise self.violated(f"{site.label} holds {count} {what}; the cap is {most}")

    def _of_node(self, node: Node) -> Iterator[Cap]:
        known = len(self.simulation.sites)
        for queue in node.ctx.early._kept.values():
            yield "early messages of one member", len(queue), limits.MAX_FUTURE_MESSAGES_PER_MEMBER
            yield "bytes of early messages of one member", sum(map(_bytes, queue)), limits.MAX_FUTURE_MESSAGE_BYTES
        for digests in node.ctx.out._fetching.values():
            yield "blobs of one member under way", len(digests), limits.MAX_FETCHES_PER_MEMBER
        yield "members with early messages", len(node.ctx.early._kept), known
        yield "requests to join", len(node.ctx.pool.candidates), limits.MAX_PENDING_JOINS
        yield "withdrawn requests", len(node.ctx.pool._withdrawn), limits.MAX_PENDING_JOINS
        yield "members that want to leave", len(node.ctx.pool._leaves), known
        yield "evictions", len(node.ctx.pool._evictions), limits.MAX_PENDING_EVIDENCE
        proposals, votes = node.ctx.pool.proposals.held
        yield "proposals of options", proposals, known
        yield "votes of one member on options", votes, limits.MAX_VOTES_PER_MEMBER
        yield "heads of others", len(node.catchup.heads), known
        yield "accusations that are repeated", len(node.ctx.told), known * len(CONTRADICTIONS)
        yield "accusations that were told", len(node.ctx.accused), 2 * known * len(CONTRADICTIONS)

    @staticmethod
    def _of_round(node: Node) -> Iterator[Cap]:
        sharing, summing = node.ctx.sharing, node.ctx.summing
        if sharing is not None:
            n = sharing.committee.n
            yield "dealings", len(sharing.deals), n
            yield "shares", len(sharing._held), n
            yield "complaints", len(sharing.complaints), n * n
            yield "boxes kept for others", len(sharing.custody._boxes), n * sharing.custody.per_dealer
            yield "boxes before their dealing", sharing.custody.count_early, n * (1 + sharing.custody.per_dealer)
        if summing is not None:
            yield "sum shares", len(summing._rows), summing.committee.n
            checked = summing.checked.keys() | summing._running
            yield "sum vectors", len(checked), limits.MAX_CHECKED_VECTORS
            yield "sum vectors that wait", len(summing._deferred.keys() - checked), limits.MAX_CHECKED_VECTORS

    @staticmethod
    def _of_height(node: Node) -> Iterator[Cap]:
        agreement, most = node.heights.agreement, limits.VIEW_WINDOW + limits.VIEW_HISTORY + 4
        if agreement is not None:
            yield "views with votes", len(agreement.consensus._views), most
            yield "proposals", len(agreement.candidates._proposed), most
            yield "proposed blocks", len(agreement.candidates), most
            if agreement.open_sum is not None:
                yield "proposals that wait for a sum", len(agreement.open_sum._waiting), most
                brought = agreement.open_sum.summing.proofs.brought
                yield "blocks with prevotes brought along", len(brought), most
