"""A newcomer's first look at the ledger, against the block that its invite names.

Certificates alone do not tell two ledgers of one federation apart: a quorum of the past, at height 1 the founder
alone, can sign another one at any time. So a newcomer with an invite holds back what it is shown until it has
come to the block that the invite names, and takes all up to there from one peer: where it turns out to be another
ledger, nothing of it was believed, and it is known who showed it. One that was removed while it was away, and comes
back with an invite, goes on from the ledger that it has: it is shown no more of it than its own removal at first.
"""

from collections.abc import Set
from dataclasses import dataclass, field

from .admission import Checkpoint
from .ledger import LedgerState
from .limits import CHECKPOINT_WAIT_MS, MAX_TRIAL_SILENCES
from .messages import CertifiedBlock
from .outbox import Outbox

Extension = list[tuple[CertifiedBlock, LedgerState]]
"""Checked blocks, each with the state after it."""


@dataclass(slots=True)
class Trial:
    """The ledger as one peer shows it, held back."""

    source: bytes
    state: LedgerState
    shown: Extension = field(default_factory=list)
    silences: int = 0


@dataclass(slots=True)
class Proving:
    """Which ledger a newcomer may believe."""

    out: Outbox
    checkpoint: Checkpoint
    trial: Trial | None = None
    strangers: set[bytes] = field(default_factory=set)
    """Who showed a ledger without the block that the invite names."""

    def hold_back(self, trial: Trial, continued: Extension, is_right: bool) -> Extension:
        """Add to a trial what continues it. Returns all that was held back, once the block of the invite is there.

        ``is_right``: whether what the source sent was a ledger at all.
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
            self.out.timer(CHECKPOINT_WAIT_MS, "checkpoint")
        self.strangers.add(source)
        self.trial = None

    def on_silence(self) -> None:
        """The source did not answer in time: ask it again a few times, then try another."""
        if self.trial is not None:
            self.trial.silences += 1
            if self.trial.silences > MAX_TRIAL_SILENCES:
                self.trial = None

    def on_timer(self, alive: Set[bytes]) -> None:
        """Some peer showed another ledger a while ago: tell people if there is still none that shows the right one."""
        if alive <= self.strangers:
            text = f"nobody who answers has the block at height {self.checkpoint.height} that the invite names"
            self.out.notify("another-ledger", text, height=self.checkpoint.height)
        self.out.timer(CHECKPOINT_WAIT_MS, "checkpoint")
