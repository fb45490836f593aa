"""The timers of a node: the values that come back in :class:`.events.TimerFired`.

A timer is never cancelled. So it names the height, view or round for which it was set, and is ignored once that is
over. For a driver it is any hashable value.
"""

from dataclasses import dataclass

# Agreement on a height.


@dataclass(frozen=True, slots=True)
class StageTimeout:
    """OnTimeoutPropose, OnTimeoutPrevote or OnTimeoutPrecommit, by the :class:`.agreement.tendermint.Stage`."""

    height: int
    view: int
    stage: int


@dataclass(frozen=True, slots=True)
class SumGrace:
    """The aggregator of a view opens the sum without the sum shares that have not come."""

    height: int
    view: int


@dataclass(frozen=True, slots=True)
class Resend:
    """This member repeats what it said at a height."""

    height: int


# The share phase of a round, in the order of time.


@dataclass(frozen=True, slots=True)
class RestOver:
    """The rest between rounds is over, so the training begins."""

    round: int


@dataclass(frozen=True, slots=True)
class ShareDeadline:
    """This member acks whatever it holds."""

    round: int


@dataclass(frozen=True, slots=True)
class AcksDue:
    """The acks of the share deadline should be here; what is missing is in dispute, and is handed over."""

    round: int


@dataclass(frozen=True, slots=True)
class HandOver:
    """A late dealer hands over the boxes that holders still lack."""

    round: int


@dataclass(frozen=True, slots=True)
class TellKept:
    """This member says in an ack which boxes it keeps for others."""

    round: int


@dataclass(frozen=True, slots=True)
class BoxesDue:
    """The boxes that were handed over have had time to arrive, so the round goes on with what is settled."""

    round: int


# Catching up.


@dataclass(frozen=True, slots=True)
class RetryBlocks:
    """No answer may have come to the request for the blocks after a height."""

    height: int


@dataclass(frozen=True, slots=True)
class RetryWeights:
    """The model with this hash may not have come."""

    weights: bytes


@dataclass(frozen=True, slots=True)
class CheckpointWait:
    """Some time has passed since a peer showed another ledger than that of the invite."""


@dataclass(frozen=True, slots=True)
class ResumeWait:
    """All members should have told what they saw of this one before it was restarted."""


# Membership and options.


@dataclass(frozen=True, slots=True)
class RetryJoin:
    """The request to be admitted is repeated, if no block has come meanwhile."""

    height: int


@dataclass(frozen=True, slots=True)
class RetryLeave:
    """The request to leave is repeated."""


@dataclass(frozen=True, slots=True)
class RepeatBallots:
    """The votes on open proposals are repeated."""


Timer = (
    StageTimeout
    | SumGrace
    | Resend
    | RestOver
    | ShareDeadline
    | AcksDue
    | HandOver
    | TellKept
    | BoxesDue
    | RetryBlocks
    | RetryWeights
    | CheckpointWait
    | ResumeWait
    | RetryJoin
    | RetryLeave
    | RepeatBallots
)
