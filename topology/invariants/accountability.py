"""Accountability: if agreement breaks all the same, what honest members have seen names at least f+1 members.

Two decisions of one height need two quorums, and two quorums share f+1 members. What these signed is the proof:

* two decisions in one view: who signed precommits for both;
* decisions in views r < r': some first view after r had a polka for another block, and whoever precommitted the
  first one in r and prevoted the other one there left its lock without a polka that would have let it.
"""

from ...protocol.committee import Committee
from ...protocol.envelope import Verified
from ...protocol.events import Event, Received, Step
from ...protocol.messages import Precommit, Prevote, Proposal
from ...protocol.records import BlockDecided, VoteCast
from ..site import Site
from .base import Checker

Signers = dict[tuple[int, int, bytes], set[bytes]]
"""Who signed a vote, by height, view and block."""


class Accountability(Checker):
    """Keeps the votes that honest members have seen, and reads them when two decisions differ."""

    name = "accountability"

    def __init__(self) -> None:
        self._prevotes: Signers = {}
        self._precommits: Signers = {}
        self._decided: dict[int, tuple[bytes, int]] = {}
        """Block hash and view of the first decision of each height."""
        self.named: set[bytes] = set()
        """Whom the evidence names, once agreement is broken."""

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
            case Prevote(block=block) if block is not None:
                self._prevotes.setdefault((message.height, message.view, block), set()).add(message.sender)
            case Precommit(block=block) if block is not None:
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
        if not decided or not isinstance(decided[0].message, Precommit) or decided[0].message.block is None:
            return
        found = decided[0].message.block, decided[0].view
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
        """Whoever is in both quorums signed against itself."""
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
