"""This peer's contribution to a round, made in the thread that trains."""

import time
from contextlib import suppress
from dataclasses import dataclass

from ...protocol.jobs import Contribution, Train
from ...protocol.node import Node
from ..federation.consent import Consent
from ..home.sqlite import StoreError
from ..home.store import Store
from ..training.late_training import LateTraining
from ..training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Contributing:
    """Trains if the operator accepts the round, and keeps how long it took and what it measured."""

    node: Node
    consent: Consent
    trainer: Trainer
    lateness: LateTraining
    store: Store

    def __call__(self, work: Train) -> Contribution:
        """Return the contribution to a round.

        Raises:
            NoConsent: the operator has not accepted what holds for the committee.
            ValueError: the round is over.
            Exception: an exception of the app.
        """
        self.consent.check(self.node.state.committee)
        if work.round != self.node.state.round:
            raise ValueError(f"round {work.round} is over")  # while this waited for the training before it
        self.lateness.begin(work.round, time.monotonic())
        try:
            return self.trainer(work)
        finally:
            self.lateness.end(work.round, time.monotonic())
            self._keep_measured(work.round)

    def _keep_measured(self, round: int) -> None:
        """Keep the figures over this site's own rows for `peer metrics`. The round itself reports a full disk."""
        measured = self.trainer.measured(round)
        if measured is not None:
            with suppress(StoreError):
                self.store.keep_measured(round, measured)
