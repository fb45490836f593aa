"""Accountability: if agreement breaks, the votes that honest members have seen convict at least f+1 members.

Two decisions of one height need two quorums, and two quorums share f+1 members. Their signatures are the proof:

* two decisions in one view: these members signed precommits for both blocks;
* decisions in views r < r': in the first view after r with a polka for another block, these members prevoted that
  block, although they had precommitted the decided one in r. No polka between allowed them to leave their lock.
"""

from ...protocol.events import Event, Received, Step
from ...protocol.ledger.committee import Committee
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Precommit, Prevote, Proposal
from ...protocol.records import BlockDecided, VoteCast
from ..engine.site import Site
from .base import Checker

Signers = dict[tuple[int, int, bytes], set[bytes]]
"""The signers of votes, by height, view and block."""


class Accountability(Checker):
    """Keeps the votes that honest members have seen, and reads them when two decisions differ."""

    name = "accountability"

    def __init__(self) -> None:
        self._prevotes: Signers = {}
        self._precommits: Signers = {}
        self._decided: dict[int, tuple[bytes, int]] = {}
        """Block hash and view of the first decision of each height."""
        self.named: set[bytes] = set()
        """The members that the evidence convicts, once agreement is broken."""

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest:
            return
        if isinstance(event, Received):
            self._see(event.message)
        for record in step.persist:
            if isinstance(record, VoteCast):
                self._see_raw(record.envelope)
            elif isinstance(record, BlockDecided):
                self._on_decision(site, record)

    # -- what is seen

    def _see(self, message: Verified) -> None:
        match message.message:
            case Prevote(block_hash=block) if block is not None:
                self._prevotes.setdefault((message.height, message.view, block), set()).add(message.sender)
            case Precommit(block_hash=block) if block is not None:
                self._precommits.setdefault((message.height, message.view, block), set()).add(message.sender)
            case Proposal(polka=polka):
                for raw in polka:
                    self._see_raw(raw)
            case _:
                pass

    def _see_raw(self, raw: bytes) -> None:
        message = self.simulation.known(raw)
        if message is not None and isinstance(message.message, Prevote | Precommit):
            self._see(message)

    # -- what follows from it

    def _on_decision(self, site: Site, record: BlockDecided) -> None:
        votes = [vote for raw in record.certificate if (vote := self.simulation.known(raw)) is not None]
        decided = [vote for vote in votes if isinstance(vote.message, Precommit)]
        for vote in decided:
            self._see(vote)
        if not decided or not isinstance(decided[0].message, Precommit) or decided[0].message.block_hash is None:
            return
        found = decided[0].message.block_hash, decided[0].view
        first = self._decided.setdefault(record.height, found)
        if first[0] == found[0]:
            return
        assert site.node is not None
        members = site.node.state.committee
        self.named = self._guilty(record.height, members, *sorted((first, found), key=lambda one: one[1]))
        if len(self.named) <= members.f:
            raise self.violated(
                f"height {record.height} was decided twice, and the evidence names {len(self.named)} members, "
                f"not the {members.f + 1} that it takes"
            )

    def _guilty(self, height: int, members: Committee, early: tuple[bytes, int], late: tuple[bytes, int]) -> set[bytes]:
        """Return the members that are in both quorums: they signed votes that contradict each other."""
        locked = self._precommits.get((height, early[1], early[0]), set())
        if early[1] == late[1]:
            return locked & self._precommits.get((height, late[1], late[0]), set())
        polkas = sorted(
            (view, block)
            for (at, view, block), signers in self._prevotes.items()
            if at == height and early[1] < view <= late[1] and block != early[0] and len(signers) >= members.quorum
        )
        if not polkas:
            return set()
        return locked & self._prevotes[(height, *polkas[0])]
