"""Progress: undisturbed rounds end within a bound of virtual time, whatever at most f liars do."""

from typing import Final

from ...protocol.blocks import Model, Void, read_block
from ...protocol.events import Event, Step
from ...protocol.genesis import Genesis, is_private
from ...protocol.records import BlockDecided
from ..adversaries.forging import is_stuck
from ..site import Site
from .rounds import RoundChecker

BOUND_MS: Final = 60_000
"""From the last honest member's beginning of a round to the first one's end."""

MESSAGES_MS: Final = 1_000
"""What the messages of a view take beside its timeout."""


def bound_ms(genesis: Genesis, faults: int) -> int:
    """How long an undisturbed round may last at most, with up to so many liars among its members.

    A plain sum needs everybody's vector, so a liar may keep it from each aggregator: it is given up by the first one
    that is honest after 2(f+1) views. With ten members these views alone can take longer than a minute.
    """
    if is_private(genesis.scheme):
        return BOUND_MS
    views = range(2 * (faults + 1) + faults)
    waits = sum(genesis.view_timeout_ms + view * genesis.view_delta_ms + MESSAGES_MS for view in views)
    return max(BOUND_MS, genesis.share_deadline_ms + waits)


class Progress(RoundChecker):
    """Looks at the clock when a round ends, and at the end at those that have not.

    A round that waits for a liar that contributed to a sum that failed may last, if people are told: they settle that.
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
        if lasted > bound_ms(self.simulation.setup.genesis, committee.f):
            raise self.violated(f"round {round_} lasted {lasted / 1000:.0f} s, with all honest members there")
