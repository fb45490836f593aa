"""The phases of a round, and what blocks do to them."""

from enum import Enum, StrEnum, auto
from typing import Final

from ..machines import Table


class Phase(StrEnum):
    """The phase of the current round.

    A Membership block may be decided while waiting, sharing or finished. It never ends a round. It begins one if more
    members or other options allow that, also after the end::

        waiting  --round begins-----------> sharing
        sharing  --contributors decided---> summing
        sharing  --round begins-----------> sharing
        sharing  --round waits------------> waiting
        summing  --round begins-----------> sharing
        summing  --round waits------------> waiting
        summing  --final model evaluated--> finished
        finished --round begins-----------> sharing
        finished --round waits------------> waiting
    """

    WAITING = "waiting"
    """For members: there are fewer than min_peers, or the next sum has to repeat one whose contributors are gone."""
    SHARING = "sharing"
    SUMMING = "summing"
    FINISHED = "finished"


class PhaseInput(Enum):
    """What a block does to the phase."""

    CONTRIBUTORS_DECIDED = auto()
    ROUND_BEGINS = auto()
    """The first round, the next one after a Model or a Void, or one more after the end."""
    ROUND_WAITS = auto()
    """As above, but for want of members it cannot begin."""
    FINAL_MODEL_EVALUATED = auto()


PHASES: Final = Table(
    {
        (Phase.WAITING, PhaseInput.ROUND_BEGINS): Phase.SHARING,
        (Phase.SHARING, PhaseInput.CONTRIBUTORS_DECIDED): Phase.SUMMING,
        (Phase.SHARING, PhaseInput.ROUND_BEGINS): Phase.SHARING,
        (Phase.SHARING, PhaseInput.ROUND_WAITS): Phase.WAITING,
        (Phase.SUMMING, PhaseInput.ROUND_BEGINS): Phase.SHARING,
        (Phase.SUMMING, PhaseInput.ROUND_WAITS): Phase.WAITING,
        (Phase.SUMMING, PhaseInput.FINAL_MODEL_EVALUATED): Phase.FINISHED,
        (Phase.FINISHED, PhaseInput.ROUND_BEGINS): Phase.SHARING,
        (Phase.FINISHED, PhaseInput.ROUND_WAITS): Phase.WAITING,
    }
)
