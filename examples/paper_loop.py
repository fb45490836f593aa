"""The loop around the ways to average that are no rounds of Coterie: every client trains, and the way averages."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from paper_task import Floats, Task


@dataclass
class Spent:
    """CPU seconds of one client, median over the clients, and of the aggregator; bytes that one client sends."""

    client: float = 0.0
    aggregator: float = 0.0
    sent: int = 0


@dataclass
class Course:
    """How a training went: the RMSE before it and after each iteration, and what each iteration cost."""

    rmse: list[float]
    spent: list[Spent]


class Way(Protocol):
    """A way to average updates."""

    def mean(self, updates: Sequence[Floats], spent: Spent) -> Floats:
        """The mean, as the clients get it; adds to what was spent."""


class Clock:
    """Measures the CPU time of the caller, lap by lap."""

    def __init__(self) -> None:
        self.last = time.thread_time()

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self.last = self.last, time.thread_time()
        return self.last - before


class Plain:
    """Updates in the clear, as 32-bit numbers."""

    def mean(self, updates: Sequence[Floats], spent: Spent) -> Floats:
        clock = Clock()
        mean: Floats = np.mean([one.astype(np.float32) for one in updates], axis=0, dtype=np.float64)
        spent.aggregator += clock.lap()
        spent.sent += 4 * mean.size
        return mean


def train(task: Task, way: Way, iterations: int) -> Course:
    """Train in a loop of our own: every client trains, and the way averages."""
    weights, spent = task.start.astype(np.float64), []
    rmse = [task.rmse(weights)]
    with np.errstate(all="ignore"):
        for _ in range(iterations):
            clock, times, updates = Clock(), [], []
            for client in range(task.clients):
                updates.append(np.nan_to_num(task.update(client, weights), nan=0, posinf=1e30, neginf=-1e30))
                times.append(clock.lap())
            spent.append(Spent(float(np.median(times))))
            weights = weights + way.mean(updates, spent[-1])
            rmse.append(task.rmse(weights))
    return Course(rmse, spent)
