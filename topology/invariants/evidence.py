"""Evidence: honest members never name or evict each other, except for silence while no quorum hears the silent one.

An honest member names another one in a notice of a fault, in an eviction that waits or is decided, or in what it tells
the other members: an accusation, or a complaint about a dealing. A member that is no site counts as honest where nobody
lies, since then nobody can have made up its key.
"""

from typing import Final

from ...protocol.events import Event, Notice, NoticeKind, Step
from ...protocol.ledger.blocks import Evict, Membership, read_block
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Accusation, Complaint, Proposal, UpheldComplaint
from ...protocol.records import BlockDecided
from ..engine.site import Site
from .base import Checker

PLAIN_FACTS: Final = frozenset({"member", "round", "height", "view"})
"""Facts of a notice of a fault that claim no proof; every other one that is set does."""

HEARD_MS: Final = 3_000
"""A quorum hears a member that has been up and linked to it for this long."""


def claims_proof(notice: Notice) -> bool:
    """Whether a notice of a fault says that it is proved."""
    return any(value for name, value in notice.facts.items() if name not in PLAIN_FACTS)


class Evidence(Checker):
    """Reads the notices, the evictions that wait at members, and those that are decided."""

    name = "evidence"

    def __init__(self) -> None:
        self._disturbed_ms = 0
        self._started_ms: dict[int, int] = {}
        self._proposed_ms: dict[bytes, int] = {}
        """When each block was first proposed: one with a polka is not judged again if the member is heard meanwhile."""

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        said = message.message
        if type(said) is Proposal and said.vector_hash is None:
            self._proposed_ms.setdefault(said.block, self.simulation.clock.elapsed_ms)
        elif isinstance(said, Accusation | Complaint | UpheldComplaint) and site.is_honest:
            accused = self._accused(said)
            if message.sender == site.key and accused is not None:
                self._expect_liar(site, accused, f"{type(said).__name__} to {receiver.label}")

    def _accused(self, said: Accusation | Complaint | UpheldComplaint) -> bytes | None:
        """Return the member that a message speaks against; None if it proves nothing against anybody."""
        if isinstance(said, UpheldComplaint):
            complaint = self.simulation.known(said.complaint)
            return self._accused(complaint.message) if complaint and isinstance(complaint.message, Complaint) else None
        statement = self.simulation.known(said.first if isinstance(said, Accusation) else said.deal)
        return None if statement is None else statement.sender

    def on_start(self, site: Site) -> None:
        self._started_ms[site.number] = self.simulation.clock.elapsed_ms

    def on_network(self, what: str) -> None:
        self._disturbed_ms = self.simulation.clock.elapsed_ms

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest:
            return
        for notice in step.notify:
            if notice.kind == NoticeKind.FAULT:
                self._expect_liar(site, notice.facts.get("member"), notice.text)
        evictions = site.node.ctx.pool._evictions if site.node is not None else None
        for pending in evictions.values() if evictions else ():
            if pending.reason != "silent":
                self._expect_liar(site, pending.member, f"it would be evicted for {pending.reason}")
        for record in step.persist:
            if isinstance(record, BlockDecided):
                body = read_block(record.block).body
                for change in body.changes if isinstance(body, Membership) else ():
                    if isinstance(change, Evict) and change.reason != "silent":
                        self._expect_liar(site, change.member, f"evicted for {change.reason}")
                    elif isinstance(change, Evict):
                        self._expect_unheard(site, change.member, record.block)

    def _expect_liar(self, site: Site, member: bytes | None, what: str) -> None:
        accused = None if member is None else self.simulation.by_key.get(member)
        if accused is not None and accused.is_honest:
            raise self.violated(f"{site.label} names {accused.label}, which is honest: {what}")
        if accused is None and all(one.is_honest for one in self.simulation.sites):
            raise self.violated(f"{site.label} names somebody that is no site, and nobody lies: {what}")

    def _expect_unheard(self, site: Site, member: bytes, block: bytes) -> None:
        """Check that no quorum heard a member that is evicted as silent, when that was first proposed."""
        accused, proposed_ms = self.simulation.by_key.get(member), self._proposed_ms.get(block, 0)
        if accused is None or not accused.is_honest or accused.node is None or site.node is None:
            return
        since = max(self._started_ms.get(accused.number, 0), self._disturbed_ms)
        members = site.node.state.committee
        hearing = [
            one for one in self.simulation.honest if one is not accused and self.simulation.reaches(accused, one)
        ]
        enough = sum(members.index(one.key) is not None for one in hearing) + 1 >= members.quorum
        if enough and proposed_ms - since > HEARD_MS and not accused.node.ctx.guard.resuming:
            raise self.violated(f"{accused.label} is evicted as silent, and a quorum hears it")
