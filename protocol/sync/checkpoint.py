"""A newcomer's first look at the ledger, compared with the block that its invite names.

Certificates alone do not tell two ledgers of one federation apart: a quorum of the past, at height 1 the founder alone,
can sign another one at any time. So a newcomer with an invite takes the blocks up to the one that the invite names from
a single peer, and holds them back until that block is there. If it turns out to be another ledger, nothing of it was
believed, and the peer that showed it is known.

A member that was removed while it was away, and comes back with an invite, goes on from the ledger that it has. At
first it is shown no more than the blocks up to its own removal.
"""

from collections.abc import Set
from dataclasses import dataclass, field

from ..effects import Effects
from ..events import NoticeKind
from ..ledger.state import LedgerState
from ..ledger.tickets import Checkpoint
from ..limits import CHECKPOINT_WAIT_MS, MAX_TRIAL_SILENCES
from ..messages.kinds import CertifiedBlock
from ..timers import CheckpointWait

Extension = list[tuple[CertifiedBlock, LedgerState]]
"""Checked blocks, each with the state after it."""


@dataclass(slots=True)
class Trial:
    """The ledger as one peer (``source``) shows it, held back."""

    source: bytes
    state: LedgerState
    shown: Extension = field(default_factory=list)
    silences: int = 0


@dataclass(slots=True)
class Proving:
    """Decides which ledger a newcomer may believe."""

    out: Effects
    checkpoint: Checkpoint
    trial: Trial | None = None
    strangers: set[bytes] = field(default_factory=set)
    """Peers that showed a ledger without the block that the invite names."""

    def begin(self, source: bytes, state: LedgerState) -> None:
        """Begin a trial of the ledger that one peer shows, unless one is under way."""
        if self.trial is None:
            self.trial = Trial(source, state)

    def give_up(self, source: bytes) -> bool:
        """End the trial of this peer's ledger. Returns whether there was one."""
        is_its = self.trial is not None and self.trial.source == source
        if is_its:
            self.trial = None
        return is_its

    def hold_back(self, trial: Trial, continued: Extension, is_right: bool) -> Extension:
        """Add blocks to a trial. Returns all blocks held back, once the block of the invite is among them.

        ``is_right``: whether all that the source sent followed from the ledger's rules.
        """
        wanted = self.checkpoint
        there = next((after for _, after in continued if after.height == wanted.height), None)
        if not is_right or (there is not None and there.head != wanted.head):
            self._reject(trial.source)
            return []
        if continued:
            trial.shown += continued
            trial.state, trial.silences = continued[-1][1], 0
        if there is None:
            return []
        self.trial = None
        return trial.shown

    def _reject(self, source: bytes) -> None:
        wanted = self.checkpoint
        text = f"shows another ledger than the one of the invite, which has {wanted.head.hex()[:16]}…"
        self.out.fault(source, f"{text} at height {wanted.height}")
        if not self.strangers:
            self.out.timer(CHECKPOINT_WAIT_MS, CheckpointWait())
        self.strangers.add(source)
        self.trial = None

    def on_silence(self) -> None:
        """Note that the source did not answer in time: it is asked again a few times, then another peer is."""
        if self.trial is not None:
            self.trial.silences += 1
            if self.trial.silences > MAX_TRIAL_SILENCES:
                self.trial = None

    def on_timer(self, alive: Set[bytes]) -> None:
        """Tell the operator if, some time after a peer showed another ledger, none shows the right one yet."""
        if alive <= self.strangers:
            text = f"nobody who answers has the block at height {self.checkpoint.height} that the invite names"
            self.out.notify(NoticeKind.ANOTHER_LEDGER, text, height=self.checkpoint.height)
        self.out.timer(CHECKPOINT_WAIT_MS, CheckpointWait())
