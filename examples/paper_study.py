"""Trains in all ways, for the figures: panels of lines, ready for the JSON file and the pictures."""

import statistics
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from paper_library import Masked, Packed
from paper_loop import Course, Plain, Way, train
from paper_rounds import Rounds, train_federation
from paper_server import Ciphertexts, Shares, key_of
from paper_task import ATTACKS, PARAMETERS, Task

Panel = dict[str, Any]

MANY, FEW, FEW_MEMBERS, DRAWS = 8, 2, 3, 15
RMSE, MS = "RMSE (units of the target)", "CPU time (ms)"
CUT, SETTLED = f"{RMSE}, cut at 10⁶", f"{RMSE}, mean of the second half"
PLAIN, CIPHERTEXTS, SHARES = "paper: plain", "paper: Paillier", "paper: shares"
PACKED, MASKED = "library: Paillier, packed", "library: masked"
ROUNDS_PLAIN, ROUNDS_SHAMIR = "Coterie: plain", "Coterie: shamir"
SCHEMES = {ROUNDS_PLAIN: "plain", ROUNDS_SHAMIR: "shamir"}


def panel(title: str, x: str, y: str, lines: dict[str, tuple[Any, Any]], **more: Any) -> Panel:
    """A panel of a figure; each line has its places and its values. None stands for what is no number."""
    shown = {
        name: {"x": list(places), "y": [None if not np.isfinite(one) else float(one) for one in values]}
        for name, (places, values) in lines.items()
    }
    return {"title": title, "x": x, "y": y, "lines": shown, **more}


def by_iteration(courses: dict[str, Course]) -> dict[str, tuple[Any, Any]]:
    """RMSE before the first iteration and after each."""
    return {name: (range(len(one.rmse)), one.rmse) for name, one in courses.items()}


def milliseconds(course: Course, who: str) -> list[float]:
    """CPU milliseconds of each iteration."""
    return [1000 * getattr(one, who) for one in course.spent]


def median(course: Course, who: str) -> float:
    """Median CPU milliseconds of an iteration."""
    return statistics.median(milliseconds(course, who))


def settled(course: Course) -> float:
    """The mean RMSE of the second half of a training."""
    return statistics.mean(course.rmse[len(course.rmse) // 2 :])


def told(rounds: Rounds) -> str:
    """Which members were named, and how many rounds decided nothing."""
    return f"named: {', '.join(rounds.named) or 'nobody'}; void rounds: {rounds.void}"


class Study:
    """Trains in all ways; ``is_small`` in a size for a test."""

    def __init__(self, is_small: bool) -> None:
        self.iterations = 4 if is_small else 16
        self.bad = (0, 4) if is_small else (0, 2, 4, 6, 8)
        self.shares = (4, 6) if is_small else (4, 6, 8, 10, 12)
        self.digits = (1, 3) if is_small else tuple(range(1, 10))
        self.wrong = (0, 1, 3) if is_small else (0, 1, 2, 3, 4)
        self.sizes = (PARAMETERS, 1_000) if is_small else (PARAMETERS, 1_000, 10_000, 100_000, 1_000_000)
        self.named: dict[str, dict[int, str]] = {}
        self.key = key_of()
        self.ways: dict[str, Callable[[], Way]] = {
            PLAIN: Plain,
            CIPHERTEXTS: lambda: Ciphertexts(self.key),
            SHARES: Shares,
            PACKED: lambda: Packed(self.key),
            MASKED: Masked,
        }
        for name in (*self.ways, *SCHEMES):  # whatever is compiled or kept is so before times are taken
            self.course(name, Task(MANY), 1)

    def course(self, name: str, task: Task, iterations: int = 0) -> Course:
        """Train a task in one of the ways."""
        iterations = iterations or self.iterations
        if name in SCHEMES:
            return train_federation(task, SCHEMES[name], iterations)
        return train(task, self.ways[name](), iterations)

    @cached_property
    def many(self) -> dict[str, Course]:
        """All ways with eight honest clients."""
        return {name: self.course(name, Task(MANY)) for name in (*self.ways, *SCHEMES)}

    @cached_property
    def with_bad(self) -> dict[str, dict[str, list[Course]]]:
        """By attack and way, the courses with more and more bad clients of eight."""
        return {
            attack: {
                name: [self.course(name, Task(MANY, bad, attack)) for bad in self.bad]
                for name in (PLAIN, CIPHERTEXTS, SHARES, MASKED, ROUNDS_PLAIN, ROUNDS_SHAMIR)
            }
            for attack in ATTACKS
        }

    @cached_property
    def with_wrong_shares(self) -> list[Rounds]:
        """Federations of eight with more and more members that send a wrong share of each sum."""
        return [train_federation(Task(MANY), "shamir", self.iterations, wrong_shares=wrong) for wrong in self.wrong]
