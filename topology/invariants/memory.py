"""Memory: what others can make a member hold stays under the caps of protocol/limits.py."""

from ...protocol import limits
from ...protocol.events import Event, Step
from ..site import Site
from .base import Checker

EVERY = 50


class MemoryCaps(Checker):
    """Looks into honest nodes now and then."""

    name = "memory"

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest or site.steps % EVERY:
            return
        node = site.node
        assert node is not None
        for queue in node._inbox._kept.values():
            self._cap(site, "early messages of one member", len(queue), limits.MAX_FUTURE_MESSAGES_PER_MEMBER)
        for digests in node.ctx.out._fetching.values():
            self._cap(site, "blobs of one member under way", len(digests), limits.MAX_FETCHES_PER_MEMBER)
        self._cap(site, "requests to join", len(node.ctx.pool.candidates), limits.MAX_PENDING_JOINS)
        summing = node.ctx.summing
        if summing is not None:
            checked = summing.checked.keys() | summing._running
            self._cap(site, "sum vectors", len(checked), limits.MAX_CHECKED_VECTORS)
            self._cap(
                site, "sum vectors that wait", len(summing._deferred.keys() - checked), limits.MAX_CHECKED_VECTORS
            )
        if node._agreement is not None:
            most = limits.VIEW_WINDOW + limits.VIEW_HISTORY + 4
            self._cap(site, "views with votes", len(node._agreement.consensus._views), most)
            self._cap(site, "proposals", len(node._agreement._proposed), most)

    def _cap(self, site: Site, what: str, count: int, most: int) -> None:
        if count > most:
            raise self.violated(f"{site.label} holds {count} {what}; the cap is {most}")
