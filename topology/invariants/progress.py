"""Progress: undisturbed rounds end within a bound of virtual time, whatever at most f liars do."""

from typing import Final

from ...protocol.events import Event, Step
from ...protocol.ledger.blocks import Model, Void, read_block
from ...protocol.records import BlockDecided
from ..adversaries.forging import is_stuck
from ..engine.site import Site
from .rounds import RoundChecker

BOUND_MS: Final = 60_000
"""Longest time from the last honest member's beginning of a round to the first one's end."""


class Progress(RoundChecker):
    """Looks at the clock when a round ends, and at the end of the run for the rounds that have not ended.

    A round that waits for a liar that contributed to a failed sum may last, if the operators are told: they decide.
    """

    name = "progress"

    def __init__(self) -> None:
        self._ended: set[int] = set()

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest:
            return
        super().on_step(site, event, step)
        for record in step.persist:
            if isinstance(record, BlockDecided):
                body = read_block(record.block).body
                if isinstance(body, Model | Void) and body.round not in self._ended:
                    self._ended.add(body.round)
                    self._check(body.round)

    def on_end(self) -> None:
        for round_ in sorted(self.began_ms):
            if round_ not in self._ended:
                self._check(round_)

    def _check(self, round_: int) -> None:
        if not self.is_calm(round_) or (self.is_told_stuck and is_stuck(self.simulation)):
            return
        committee = self.committees[round_]
        if len(self.honest_of(committee)) < max(committee.sum_quorum, committee.min_contributors, committee.quorum):
            return
        lasted = self.simulation.clock.elapsed_ms - max(self.began_ms[round_].values())
        if lasted > BOUND_MS:
            raise self.violated(f"round {round_} lasted {lasted / 1000:.0f} s, with all honest members there")
