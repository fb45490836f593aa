"""When training ends before its last round: once the agreed losses have not fallen for a while.

The losses are those in the ledger, so every member, and every replay of the ledger, ends training with the same round.
Only whole numbers are used: a quotient of floats may differ from machine to machine in its last bit.
"""

from dataclasses import dataclass, replace

from .genesis import MILLION, Stopping

_EVALUATED = 2
_LOSS = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """The best loss so far, ``loss / evaluated`` (> 0), and the rounds since then that measured a loss (``stale``)."""

    loss: int
    evaluated: int
    stale: int = 0


def after_round(progress: Progress | None, stopping: Stopping, sums: tuple[int, ...]) -> Progress | None:
    """Return the progress after a training round with these wide sums.

    The loss in them is that of the model before the round. A round without test rows changes nothing. The first loss
    counts as progress.
    """
    loss, evaluated = sums[_LOSS], sums[_EVALUATED]
    if evaluated <= 0:
        return progress
    if progress is None or _is_better(loss, evaluated, progress, stopping.min_delta_millionths):
        return Progress(loss, evaluated)
    return replace(progress, stale=progress.stale + 1)


def _is_better(loss: int, evaluated: int, best: Progress, millionths: int) -> bool:
    """Whether ``loss / evaluated`` is below the best loss by more than so many millionths of it, by products alone."""
    bound = best.loss * MILLION - abs(best.loss) * millionths
    return loss * best.evaluated * MILLION < bound * evaluated
