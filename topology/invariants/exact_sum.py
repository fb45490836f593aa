"""Exact sum: the vector that ends a round is the sum of what its contributors dealt, to the last bit.

A Model block names this vector. So does a Void block that proves by it that it cannot be a sum of encodings.
"""

import numpy as np

from ...crypto.field import P
from ...protocol.events import Event, Step
from ...protocol.ledger.blocks import Contributors, Model, Void, read_block
from ...protocol.messages.encoding import digest_of
from ...protocol.records import BlockDecided, Dealt
from ..adversaries.forging import proved_void
from ..engine.site import Site
from .base import Checker


class ExactSum(Checker):
    """Adds the vectors up by itself, in Python integers."""

    name = "exact sum"

    def __init__(self) -> None:
        self._dealt: dict[tuple[int, bytes], bytes] = {}
        self._contributors: dict[int, tuple[Contributors, tuple[bytes, ...]]] = {}
        self._checked: set[bytes] = set()

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        for record in step.persist:
            if isinstance(record, Dealt):
                self._dealt[(record.round, site.key)] = record.vector
            elif isinstance(record, BlockDecided) and site.is_honest and record.block not in self._checked:
                self._checked.add(record.block)
                self._check(site, read_block(record.block).body)

    def _deals_twice(self, member: bytes) -> bool:
        """Whether a member may have two dealings in a round; only a liar has, and only it knows which one counted."""
        adversaries = self.simulation.by_key[member].adversaries
        return any(one.name == "twins" or getattr(one, "deals_twice", False) for one in adversaries)

    def _check(self, site: Site, body: object) -> None:
        if isinstance(body, Contributors):
            assert site.node is not None
            self._contributors[body.round] = (body, site.node.state.committee.members)
        wanted = body.vector_hash if isinstance(body, Model) else proved_void(body) if isinstance(body, Void) else None
        if not isinstance(body, Model | Void) or wanted is None or body.round not in self._contributors:
            return
        contributors, members = self._contributors[body.round]
        dealers = [members[dealer] for dealer, _ in contributors.dealers]
        if any(self._deals_twice(dealer) for dealer in dealers):
            return
        total: list[int] | None = None
        for dealer in dealers:
            vector = self._dealt.get((body.round, dealer))
            if vector is None:
                if self.simulation.by_key[dealer].is_honest:
                    label = self.simulation.by_key[dealer].label
                    raise self.violated(f"round {body.round} sums a dealing that {label} never wrote down")
                return  # only the liar knows what it dealt
            row = [int(one) for one in np.frombuffer(vector, "<u8")]
            total = row if total is None else [(a + b) % P for a, b in zip(total, row, strict=True)]
        data = np.array(total, dtype="<u8").tobytes()
        if digest_of(data) != wanted:
            what = "model" if isinstance(body, Model) else "proof"
            raise self.violated(f"the {what} of round {body.round} is not the sum of its {len(dealers)} contributions")
