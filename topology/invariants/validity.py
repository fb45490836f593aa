"""Validity: each decision has a real certificate, a legitimate proposer, the right base, and enough contributors."""

from typing import TYPE_CHECKING

from ...protocol.events import Event, Step
from ...protocol.ledger.blocks import Contributors, Model, block_hash, read_block
from ...protocol.ledger.state import LedgerState, apply, genesis_state
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Precommit, Proposal
from ...protocol.records import BlockDecided
from ..engine.site import Site
from .base import Checker

if TYPE_CHECKING:
    from ..engine.simulation import Simulation


class Validity(Checker):
    """Replays the ledger by itself, with its own count of the signers."""

    name = "validity"

    def on_begin(self, simulation: "Simulation") -> None:
        super().on_begin(simulation)
        self._state: LedgerState = genesis_state(simulation.setup.genesis)
        for record in simulation.sites[0].disk.blocks:
            self._state = apply(self._state, record.block)
        self._proposed: dict[tuple[int, int, bytes], set[bytes]] = {}

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        if isinstance(message.message, Proposal):
            key = (message.height, message.view, block_hash(message.message.block))
            self._proposed.setdefault(key, set()).add(message.sender)

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest:
            return
        for record in step.persist:
            if isinstance(record, BlockDecided):
                view = self._check_certificate(site, record)
                if record.height == self._state.height + 1:
                    self._check_block(record, view)
                    self._state = apply(self._state, record.block)

    def _check_certificate(self, site: Site, record: BlockDecided) -> int:
        """Check the certificate and return its view: the distinct signers are more than two thirds of the members."""
        wanted, views, signers = block_hash(record.block), set(), set()
        if len(set(record.certificate)) < len(record.certificate):
            raise self.violated(f"{site.label} keeps a certificate of height {record.height} with a vote said twice")
        for raw in record.certificate:
            vote = self.simulation.known(raw)
            if vote is not None and isinstance(vote.message, Precommit) and vote.message.block_hash == wanted:
                signers.add(vote.sender)
                views.add(vote.view)
        if record.height == self._state.height + 1:
            members = set(self._state.committee.members)
            if 3 * len(signers & members) <= 2 * len(members):
                raise self.violated(
                    f"{site.label} decided height {record.height} by {len(signers & members)} of {len(members)} members"
                )
        if len(views) != 1:
            raise self.violated(f"{site.label} decided height {record.height} by votes of {len(views)} views")
        return views.pop()

    def _check_block(self, record: BlockDecided, view: int) -> None:
        state, body = self._state, read_block(record.block).body
        proposer = state.proposer(view)
        alone = state.committee.n == 1
        if not alone and proposer not in self._proposed.get((record.height, view, block_hash(record.block)), ()):
            raise self.violated(f"height {record.height} was decided in view {view}, whose proposer did not propose it")
        if isinstance(body, Contributors):
            # A failed sum is repeated under the threshold of the first time, by the members that are left.
            threshold = state.genesis.threshold
            if state.repeat is not None:
                threshold = _threshold(len(state.repeat.committee), threshold)
            if len(body.dealers) < _threshold(state.committee.n, threshold) + 1:
                raise self.violated(f"round {body.round} sums only {len(body.dealers)} contributions")
            if body.base_hash != state.weights_hash:
                raise self.violated(f"round {body.round} sums updates of another model")
        if isinstance(body, Model) and state.contributors is None:
            raise self.violated(f"round {body.round} has a model but no contributors")


def _threshold(n: int, configured: int) -> int:
    """Return K for n members, computed independently of :class:`..Committee`."""
    f = (n - 1) // 3
    return max(2, f + 1, min(configured or (2 if n == 3 else n - 2 * f), n - f, n - 1))
