"""Two ledgers of one federation: noticing a second certified block at a height that was decided.

More members than may lie have then signed both. Nothing can mend that here, so the operator is told.
"""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from ..effects import Effects
from ..events import NoticeKind
from ..ledger.blocks import block_hash
from ..ledger.certificates import check_certificate
from ..ledger.state import LedgerError, LedgerState
from ..limits import MAX_COMPARED_BLOCKS, MAX_COMPARED_HEIGHTS
from ..messages.kinds import CertifiedBlock


@dataclass(slots=True)
class Forks:
    """The last states of the ledger, with which blocks of the past are compared."""

    out: Effects
    _before: deque[LedgerState] = field(default_factory=lambda: deque(maxlen=MAX_COMPARED_HEIGHTS))
    """The states before the last blocks, the newest last."""
    _looked_at: set[tuple[bytes, int]] = field(default_factory=set)
    """Sender and height of each second block that was checked: one for each pair, since a check costs signatures."""

    def passed(self, before: LedgerState) -> None:
        """Keep a state that the ledger has moved on from."""
        self._before.append(before)
        oldest = self._before[0].height
        self._looked_at = {(sender, height) for sender, height in self._looked_at if height > oldest}

    def compare(self, sender: bytes, certified: CertifiedBlock, height: int, now: LedgerState) -> None:
        """Compare a block of the past that a peer sent with the decided one; tell the operator of a fork.

        It is a fork if the block is another one and a quorum of its height signed it all the same.
        """
        states = (*self._before, now)
        before = next((state for state in states[:-1] if state.height == height - 1), None)
        after = next((state for state in states if state.height == height), None)
        if before is None or after is None or after.head == block_hash(certified.block):
            return
        if (sender, height) in self._looked_at:
            return
        if now.member(sender) is None and len(self._looked_at) >= MAX_COMPARED_BLOCKS:  # strangers may be any number
            return
        self._looked_at.add((sender, height))
        with suppress(LedgerError):
            check_certificate(before, certified)
            text = f"shows a second certified block at height {height}: more members than may lie signed both"
            self.out.notify(NoticeKind.FORK, text, member=sender, height=height)
