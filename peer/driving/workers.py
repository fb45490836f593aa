"""Worker threads for long work: the node's jobs, two at a time, and beside them the user's training."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

import trio

from ...protocol.events import Work, WorkDone
from ...protocol.jobs import CheckedVector, CheckVector, Contribution, ReadBlocks, Train
from ...protocol.ledger.contribution import read_totals, setup_sums_of
from ...protocol.messages.kinds import CertifiedBlock
from .compilation import warm_up

MAX_JOBS: Final = 2
"""Jobs at a time. Each keeps a core busy, and takes several times the memory of the model."""

T = TypeVar("T")
Trainer = Callable[[Train], Contribution]
Preparer = Callable[[tuple[float, ...]], None]
"""Has the application use the totals of a setup round; raises an exception if it cannot."""
BlockReader = Callable[[int], tuple[CertifiedBlock, ...]]
"""Returns decided blocks from a height on, at least as many as fit into a message."""

log = logging.getLogger("coterie.work")


class Workers:
    """Runs jobs and returns their results; an exception becomes a result, too."""

    def __init__(
        self,
        trainer: Trainer,
        prepare: Preparer,
        read_blocks: BlockReader,
    ) -> None:
        self._trainer = trainer
        self._prepare = prepare
        self._read_blocks = read_blocks
        self._jobs = trio.CapacityLimiter(MAX_JOBS)
        self._training = trio.CapacityLimiter(1)
        self._reading = trio.CapacityLimiter(1)
        self.running: dict[object, str] = {}
        """What is being computed, in words, in the order of the starts."""

    async def run(self, work: Work) -> WorkDone:
        """Carry out one job. A thread that outlives the peer is left behind."""
        ticket = object()
        self.running[ticket] = work.label
        try:
            if isinstance(work, Train):
                result: Any = await _in_thread(self._trainer, work, limiter=self._training)
            elif isinstance(work, ReadBlocks):
                result = await _in_thread(self._read_blocks, work.start, limiter=self._reading)
            else:
                result = await _in_thread(work.run, limiter=self._jobs)
                if isinstance(work, CheckVector) and work.layout.is_setup and result.wrong is None:
                    result = await self._tried(result)
            return WorkDone(work, result)
        except (Exception, SystemExit) as error:
            # Expected are ValueErrors (NaN in an update, a sum out of range), and anything that a user's application
            # raises, even by sys.exit(). An unexpected exception must not end the peer either.
            if not isinstance(error, ValueError):
                log.warning("%s failed", work.label, exc_info=True)
            return WorkDone(work, error=f"{type(error).__name__}: {error}")
        finally:
            del self.running[ticket]

    async def warm_up(self) -> None:
        """Load what the first round needs, while this peer waits for the others."""
        await _in_thread(warm_up, limiter=self._jobs)

    async def _tried(self, checked: CheckedVector) -> CheckedVector:
        """Have the application check setup sums: sums that it refuses cannot come from data."""
        try:
            await _in_thread(self._prepare, read_totals(setup_sums_of(checked.sums)), limiter=self._training)
        except (Exception, SystemExit) as error:
            return replace(checked, wrong=f"{type(error).__name__}: {error}")
        return checked


async def _in_thread(function: Callable[..., T], *arguments: object, limiter: trio.CapacityLimiter) -> T:
    """Call ``function`` in a thread; a task that is cancelled does not wait for its end."""
    # The type stubs that come with libp2p describe an older trio.
    run: Any = trio.to_thread.run_sync
    result: T = await run(function, *arguments, abandon_on_cancel=True, limiter=limiter)
    return result
