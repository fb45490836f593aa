"""Common parts of the adapters of networks: arrays by name, of which some are shared and the others stay at the site.

The arrays that stay may be kept in an `.npz` file, by their names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..peer.learning.app import AppError

__all__ = ["Batches", "Measure", "check_course", "matching", "means_over", "pair", "read_kept", "write_kept"]

Batches = Iterable[Any]
"""Pairs of inputs and targets, a batch each. Every iteration over them begins anew."""

Measure = Callable[[Any, Any], Mapping[str, float]]
"""A function of outputs and targets that returns means over the rows of a batch, by name."""


def check_course(epochs: Any, measure: Measure | None, names: Sequence[str]) -> None:
    """Check the options of a training.

    Raises:
        AppError: `epochs` is not a whole number from 1, or `names` has metrics and there is no `measure`.
    """
    if epochs < 1 or epochs != int(epochs):
        raise AppError(f"epochs is {epochs!r}: a whole number from 1 is needed")
    if names and measure is None:
        raise AppError(f"{', '.join(names)}: give `measure`, which measures that")


def matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names of parameters that match one of the patterns, in their order.

    Raises:
        AppError: a pattern matches no name, or there are no patterns.
    """
    every = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in every):
            raise AppError(f"shared: {pattern!r} matches no parameter; there are {', '.join(every)}")
    chosen = [name for name in every if any(fnmatchcase(name, pattern) for pattern in patterns)]
    if not chosen:
        raise AppError("shared: no parameter is shared, so there is nothing to train together")
    return chosen


def pair(batch: Any) -> tuple[Any, Any]:
    """The inputs and the targets of a batch.

    Raises:
        AppError: the batch is no pair.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise AppError(f"the loader gives a {type(batch).__name__}: pairs of inputs and targets are needed")
    return batch[0], batch[1]


def means_over(
    batches: Iterable[tuple[int, Mapping[str, float]]], names: Sequence[str]
) -> tuple[float, int, dict[str, float]]:
    """Means over all batches from means over each.

    Args:
        batches: the number of rows of each batch, and the means over them by name, with the loss as `loss`.
        names: the metrics.

    Returns:
        The loss, the number of rows, and the metrics by name; without rows 0, 0 and no metrics.

    Raises:
        AppError: a metric was not measured.
    """
    rows, sums = 0, dict.fromkeys(("loss", *names), 0.0)
    for count, means in batches:
        for name in sums:
            if name not in means:
                raise AppError(f"measure() gave no {name!r}, only {', '.join(means)}")
            sums[name] += means[name] * count
        rows += count
    if not rows:
        return 0.0, 0, {}
    found = {name: total / rows for name, total in sums.items()}
    return found.pop("loss"), rows, found


def write_kept(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write the arrays that stay at this site. A crash of the process leaves the file as it was."""
    unfinished = path.with_name(f"{path.name}.new")
    with unfinished.open("wb") as file:
        np.savez(file, **arrays)
    unfinished.replace(path)


def read_kept(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays that `write_kept` wrote.

    Raises:
        AppError: the file cannot be read, or the names and shapes of its arrays are not `shapes`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            kept = {name: file[name] for name in file}
    except (OSError, ValueError) as error:
        raise AppError(f"{path}: the parameters that stay here cannot be read: {error}") from None
    if (found := {name: one.shape for name, one in kept.items()}) != dict(shapes):
        raise AppError(f"{path}: it holds the parameters {found}, and those that stay here are {dict(shapes)}")
    return kept
