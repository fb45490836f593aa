"""The layout of a contribution: the vector of field elements that a member shares out in a round.

::

    | update, two slots an element | wide sums, 4 limbs each | beacon, 2 elements |

A *setup* round has no update and carries the sums from which a common standardisation follows. An *evaluate* round has
no update either, and closes the training with the metrics of the last model.

The wide sums are: the capped example count, which weighs the mean; the example count; and then the setup sums, or the
evaluated examples, the sum of losses and the sum of each metric (:func:`metrics_of`).

Counts of examples are coarse (:func:`coarse`). Sums over sets that differ in one member give that member's count away,
so it is public by design. It is no more precise than the mean needs.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ..limits import MAX_PROVED_SETUP_SUMS
from .genesis import Genesis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RoundKind = Literal["setup", "train", "evaluate"]

WIDE_UNIT = 2**40
"""Units in 1: a wide sum counts units of 2**-40."""

NOT_NEGATIVE: Final = 1
"""Declared of a sum: it is not negative."""

BIT: Final = 2
"""Declared of a sum: it is 0 or 1."""

_WIDE_LIMBS = 4
_BEACON_ELEMENTS = 2
_CAPPED_AND_COUNT = 2
_EVALUATED_AND_LOSS = 2


@dataclass(frozen=True, slots=True)
class Proved:
    """What the dealings of a round prove, beside that they are encodings (docs/proof.md)."""

    reference: int
    """The examples of a full weight. The longest update that can be proved has this weight and the bound's norm."""
    declared: tuple[int, ...] = ()
    """What is proved of each sum after the two counts: 0 for nothing, NOT_NEGATIVE or BIT; of the last one something.
    """


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes of one round's vector: how many parameters its update has, and how many wide sums there are."""

    parameters: int
    wide: int
    is_setup: bool = False
    """Whether the sums are those of a setup round, which every application must be able to use."""
    proved: Proved | None = None
    """What dealings prove; None where they prove nothing."""
    has_bit: bool = False
    """Whether the last sum is a bit: that the update is at most half as long as its bound."""

    @property
    def slots(self) -> int:
        """Field elements that carry the update: each carries two parameters."""
        return (self.parameters + 1) // 2

    @property
    def columns(self) -> int:
        """Field elements of the whole vector."""
        return self.slots + _WIDE_LIMBS * self.wide + _BEACON_ELEMENTS

    @property
    def vector_bytes(self) -> int:
        """Size of the vector, and of W."""
        return 8 * self.columns


def coarse(count: int) -> int:
    """Return the largest number of a fixed grid that is at most ``count`` (>= 0).

    The grid has every number up to 40, and from there on steps of 5 %.

    >>> [coarse(count) for count in (0, 7, 20, 24, 1000)]
    [0, 7, 20, 24, 986]
    """
    return _GRID[bisect_right(_GRID, count) - 1]


def coarse_sums(sums: tuple[float, ...]) -> tuple[float, ...]:
    """Return evaluation sums (count, then loss and metrics times the count) for the coarse count: the same means."""
    if not sums or sums[0] <= 0:
        return sums
    count = coarse(int(sums[0]))
    return (float(count), *(one / sums[0] * count for one in sums[1:]))


def _grid(limit: int) -> tuple[int, ...]:
    numbers = [0]
    while numbers[-1] < limit:
        numbers.append(max(numbers[-1] + 1, numbers[-1] * 21 // 20))
    return tuple(numbers)


_GRID: Final = _grid(2**53)


def metrics_of(genesis: Genesis, kind: RoundKind, tells_final: bool = True) -> tuple[str, ...]:
    """Return the names of the metrics that a train or evaluate round adds up, in the order of their sums.

    ``tells_final``: whether an evaluation adds up the final metrics; a later one may not (:mod:`.state`).
    """
    return genesis.metrics + genesis.final_metrics if kind == "evaluate" and tells_final else genesis.metrics


def layout_of(genesis: Genesis, kind: RoundKind, tells_final: bool = True) -> Layout:
    """Return the layout of a round of this kind; ``tells_final`` is that of :func:`metrics_of`."""
    bounds = genesis.bounds
    if kind == "setup":
        proved = None
        if bounds is not None and genesis.setup_sums <= MAX_PROVED_SETUP_SUMS:
            proved = Proved(genesis.examples_ref, _trimmed(bounds.setup_declared))
        return Layout(0, _CAPPED_AND_COUNT + genesis.setup_sums, is_setup=True, proved=proved)
    measured = _EVALUATED_AND_LOSS + len(metrics_of(genesis, kind, tells_final))
    parameters = genesis.parameters if kind == "train" else 0
    if bounds is None:
        return Layout(parameters, _CAPPED_AND_COUNT + measured)
    declared = (NOT_NEGATIVE, *(0,) * (measured - 1), *(BIT,) * bounds.adapts)
    proved = Proved(genesis.examples_ref, _trimmed(declared))
    return Layout(parameters, _CAPPED_AND_COUNT + len(declared), proved=proved, has_bit=bounds.adapts)


def _trimmed(declared: Sequence[int]) -> tuple[int, ...]:
    """Return what is declared of each sum, up to the last one of which something is."""
    last = max((place for place, one in enumerate(declared) if one), default=-1)
    return tuple(declared[: last + 1])


@dataclass(frozen=True, slots=True)
class Metrics:
    """The meaning of a Model block's sums: totals over the contributors, and means over their test examples."""

    examples: int
    evaluated: int
    loss: float | None
    named: tuple[tuple[str, float], ...]


def read_metrics(genesis: Genesis, sums: tuple[int, ...]) -> Metrics:
    """Decode the wide sums of a train or evaluate round; their number shows which of the two it was."""
    examples = round(sums[1] / WIDE_UNIT)
    evaluated = round(sums[2] / WIDE_UNIT)
    if evaluated <= 0:
        return Metrics(examples, 0, None, ())
    if genesis.bounds is not None and genesis.bounds.adapts:
        sums = sums[:-1]
    means = [total / sums[2] for total in sums[3:]]
    names = genesis.metrics if len(means) == 1 + len(genesis.metrics) else genesis.metrics + genesis.final_metrics
    return Metrics(examples, evaluated, means[0], tuple(zip(names, means[1:], strict=True)))


def without_measures(sums: tuple[float, ...]) -> tuple[float, ...]:
    """Return the evaluation sums of a member that evaluates no examples: no loss and no metrics."""
    return (0.0,) * len(sums)


def setup_sums_of(sums: tuple[int, ...]) -> tuple[int, ...]:
    """Return the application's part of a setup round's wide sums."""
    return sums[_CAPPED_AND_COUNT:]


def read_totals(setup_sums: tuple[int, ...]) -> tuple[float, ...]:
    """Decode the setup sums into the numbers that applications are given."""
    return tuple(one / WIDE_UNIT for one in setup_sums)


def counts_of(vector: "NDArray[np.uint64]", layout: Layout) -> tuple[int, int]:
    """Return the capped count and the examples that a contribution, uint64[columns], says in its first two sums."""
    from ...crypto.sharing.fixed_point import decode_wide

    first = layout.slots
    capped, examples = (decode_wide(vector[first + at : first + at + _WIDE_LIMBS], 1) for at in (0, _WIDE_LIMBS))
    return capped // WIDE_UNIT, examples // WIDE_UNIT


def are_possible_counts(capped: int, examples: int, contributors: int, examples_ref: int) -> bool:
    """Whether these wide sums can be sums of example counts.

    Every contributor weighs between 1 and ``examples_ref`` examples, and no more than it has. Without this check a
    contributor could make the divisor of the mean tiny, and so move the weights as far as it likes; or huge, so that no
    update counts.
    """
    least = contributors * WIDE_UNIT
    return least <= capped <= min(examples, least * examples_ref)
