"""Evidence: no honest member is ever named on proof, nor evicted for anything but silence."""

from ...protocol.blocks import Evict, Membership, read_block
from ...protocol.events import Event, Step
from ...protocol.records import BlockDecided
from ..site import Site
from .base import Checker

PROOFS = ("double_vote", "dealing", "wrong_sum")
"""The marks of notices that claim a proof."""


class Evidence(Checker):
    """Reads the notices and the evictions."""

    name = "evidence"

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest:
            return
        for notice in step.notify:
            if notice.kind == "fault" and any(notice.facts.get(proof) for proof in PROOFS):
                self._expect_liar(site, notice.facts["member"], notice.text)
        for record in step.persist:
            if isinstance(record, BlockDecided):
                body = read_block(record.block).body
                for change in body.changes if isinstance(body, Membership) else ():
                    if isinstance(change, Evict) and change.reason != "silent":
                        self._expect_liar(site, change.member, f"evicted for {change.reason}")

    def _expect_liar(self, site: Site, member: bytes, what: str) -> None:
        accused = self.simulation.by_key.get(member)
        if accused is not None and accused.is_honest:
            raise self.violated(f"{site.label} names {accused.label}, which is honest: {what}")
