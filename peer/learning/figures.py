"""How good predictions are: the means that members can add up, and the figures that follow from them.

A member gives means over its test rows. The mean of two members' means, each weighted by its rows, is the mean over
both. The means are:

- of classes, which part of the rows is of which class and predicted to be of which, as far as there is room;
- of two classes, which part of the rows is of each class and has a probability in which bin; of three the same, with
  fewer bins;
- of a number, the errors.

Figures that are no means, such as the area under the ROC curve, follow from these (`figures_of`). A genesis has room
for 32 means, and names each of them: too few for bins of four classes or more.

Which means are added up in each round (`round_names`) is a question of secrecy. How many rows of a class a member has
follows from its bins or its confusion matrix, whatever the model. It also follows from its accuracy, if the model
predicts the same class for all rows, as it does where the other classes are rare. Two rounds over different members
would give that number away. So these means are added up only once, by the evaluation. Errors and probabilities are
other numbers for each model.

Of two classes the second one is the positive one.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "EDGES",
    "THREE_EDGES",
    "Bin",
    "Figures",
    "class_means",
    "figures_of",
    "mean_names",
    "number_means",
    "round_names",
    "tells_areas",
]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

EDGES: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.975, 0.99)
"""Between the bins of a probability. They are about equally far apart in log odds, so that small probabilities, as rows
of a rare class have them, fall into different bins, too.
"""

THREE_EDGES: Final = (0.05, 0.3, 0.7)
"""The same for three classes, each with bins of its own. With so few bins an area is too low rather than too high."""

_BOUNDS: Final = (0.0, *EDGES, 1.0)
_BINS: Final = len(EDGES) + 1
_MIDDLE: Final = bisect_right(EDGES, 0.5)
"""The first bin whose rows are predicted to be of the second class."""

_FULL_CONFUSION: Final = 5
"""The most classes for which there is room for a whole confusion matrix."""
_PER_CLASS: Final = 10
"""The most classes for which there is room for three numbers each: hits, rows and predictions."""

_NOISE: Final = 1e-6
"""Part of the rows by which sums that were rounded may contradict each other."""

_LEAST: Final = 1e-9
"""A part of the rows below this is no row."""

NUMBER_MEANS: Final = ("absolute_error", "variance")
"""Of a regression: the mean of |error|, and the variance of the target over all members' training rows.

Everybody knows that variance from the setup round. The variance over the test rows would be the loss of the first
model, which predicts the mean for all rows: the same number would be summed twice.
"""


def _cell(true: int, place: int) -> str:
    return f"{true} in {_BOUNDS[place]:g}-{_BOUNDS[place + 1]:g}"


def _area_names(one: int) -> list[tuple[str, str]]:
    """Of one class of three: for each bin of its probability, the names for its rows in it and for all other rows.

    The first bin has no names: it holds the rows that are left, and their number follows from the confusion matrix.
    """
    bins = [f"{low:g}-{high:g}" for low, high in pairwise((*THREE_EDGES, 1.0))]
    return [(f"{one} at {span}", f"not {one} at {span}") for span in bins]


def tells_areas(names: Iterable[str]) -> bool:
    """Whether these names of means include the bins of each of three classes."""
    return any(" at " in name for name in names)


def mean_names(classes: int) -> tuple[str, ...]:
    """The names of all means, in order, for so many classes; 0 for a numeric target."""
    if not classes:
        return NUMBER_MEANS
    every = range(classes)
    if classes == 2:
        return ("accuracy", "brier", "probability", *(_cell(true, place) for true in every for place in range(_BINS)))
    if classes <= _FULL_CONFUSION:
        areas = (name for one in every for pair in _area_names(one) for name in pair) if classes == 3 else ()
        return ("accuracy", "brier", *(f"{true} as {told}" for true in every for told in every), *areas)
    if classes <= _PER_CLASS:
        return ("accuracy", "brier", *(f"{what} {one}" for one in every for what in ("hits", "rows", "told")))
    return ("accuracy", "brier")


def round_names(classes: int) -> tuple[str, ...]:
    """The names of the means that are added up in each round; the evaluation alone adds up the others."""
    if not classes:
        return NUMBER_MEANS
    return ("brier", "probability") if classes == 2 else ("brier",)


def class_means(probabilities: Numbers, told: Codes, codes: Codes) -> dict[str, float]:
    """The means over the rows of a table whose target is a class.

    The Brier score is that of Brier (1950) over all classes, halved where there are two: then it is the mean square of
    the probability of the second class less 1 or 0.

    Args:
        probabilities: of each class, [rows, classes].
        told: the predicted class, [rows].
        codes: the true class, [rows].

    Raises:
        ValueError: there is no row.
    """
    rows, classes = probabilities.shape
    if not rows:
        raise ValueError("no rows to measure a model on")
    truth = np.eye(classes)[codes]
    squares = float(np.square(probabilities - truth).sum(axis=1).mean())
    means = {"accuracy": float((told == codes).mean()), "brier": squares / 2 if classes == 2 else squares}
    every = range(classes)
    if classes == 2:
        positive = probabilities[:, 1]
        # The class told decides which half a row belongs to: a probability of 0.5 may be rounded up or down.
        places = np.searchsorted(EDGES, positive, side="right")
        places = np.where(told == 1, np.maximum(places, _MIDDLE), np.minimum(places, _MIDDLE - 1))
        cells = np.bincount(codes * _BINS + places, minlength=2 * _BINS) / rows
        means["probability"] = float(positive.mean())
        means |= {_cell(true, place): float(cells[true * _BINS + place]) for true in every for place in range(_BINS)}
        return means
    confusion = np.bincount(codes * classes + told, minlength=classes**2).reshape(classes, classes) / rows
    if classes <= _FULL_CONFUSION:
        means |= {f"{true} as {said}": float(confusion[true, said]) for true in every for said in every}
        if classes == 3:
            means |= _area_means(probabilities, codes)
    elif classes <= _PER_CLASS:
        means |= {f"hits {one}": float(confusion[one, one]) for one in every}
        means |= {f"rows {one}": float(confusion[one].sum()) for one in every}
        means |= {f"told {one}": float(confusion[:, one].sum()) for one in every}
    return means


def _area_means(probabilities: Numbers, codes: Codes) -> dict[str, float]:
    """For each bin of each class's probability but the first: which part of all rows is of the class, and of others."""
    rows, classes = probabilities.shape
    means: dict[str, float] = {}
    for one in range(classes):
        places = np.searchsorted(THREE_EDGES, probabilities[:, one], side="right")
        own, others = (
            np.bincount(places[chosen], minlength=len(THREE_EDGES) + 1) / rows
            for chosen in (codes == one, codes != one)
        )
        for place, (name, other_name) in enumerate(_area_names(one), 1):
            means |= {name: float(own[place]), other_name: float(others[place])}
    return means


def number_means(errors: Numbers, variance: float) -> dict[str, float]:
    """The means over the rows of a numeric target. `errors` has shape (rows,); all members share the `variance`."""
    if not len(errors):
        raise ValueError("no rows to measure a model on")
    return dict(zip(NUMBER_MEANS, (float(np.abs(errors).mean()), variance), strict=True))


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose second class was given a probability from `low` to `high`."""

    low: float
    high: float
    part: float
    """Of all rows."""
    observed: float
    """Part of the bin's rows that are of the second class."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures that follow from the means; those that are unknown or undefined are missing."""

    numbers: dict[str, float]
    """By name, in the order in which they are shown."""
    confusion: tuple[tuple[float, ...], ...] = ()
    """Part of all rows: `confusion[true][told]`."""
    calibration: tuple[Bin, ...] = ()
    """Of two classes; without empty bins."""
    by_class: tuple[dict[str, float], ...] = ()
    """Of three classes or more, each against all others; of three also its area."""


def figures_of(classes: int, loss: float, means: Mapping[str, float]) -> Figures:
    """The figures that follow from the loss and the means, for so many classes; 0 for a numeric target.

    A member that lies can make means that no rows can have. Then only accuracy and Brier score are told, as they are.
    Before the evaluation there are fewer means; what follows from the others is left out.
    """
    if not classes:
        return Figures(_of_numbers(loss, means) if means.keys() >= set(NUMBER_MEANS) else {})
    told = {name: means[name] for name in ("accuracy", "brier") if name in means}
    names = mean_names(classes)
    if not tells_areas(means):  # an older federation of three classes has no bins
        names = tuple(name for name in names if not tells_areas([name]))
    if len(names) == len(told) or not means.keys() >= set(names) or not _are_possible(means, names):
        return Figures(told)
    if classes == 2:
        return _of_two(means)
    return _of_many(classes, means, has_areas=tells_areas(names))


def _of_many(classes: int, means: Mapping[str, float], *, has_areas: bool) -> Figures:
    every = range(classes)
    if classes <= _FULL_CONFUSION:
        confusion = tuple(tuple(means[f"{true} as {said}"] for said in every) for true in every)
        hits = [confusion[one][one] for one in every]
        rows = [sum(confusion[one]) for one in every]
        said = [sum(confusion[true][one] for true in every) for one in every]
    else:
        confusion = ()
        hits, rows, said = ([means[f"{what} {one}"] for one in every] for what in ("hits", "rows", "told"))
    areas = [_area(*_bins_of_three(means, one)) if has_areas else {} for one in every]
    rates = [_rates(*parts) for parts in zip(hits, rows, said, strict=True)]
    # F1 is averaged over the classes that some row has.
    macro_f1 = _mean_of([{"macro_f1": one["f1"]} for one in rates if "sensitivity" in one])
    numbers = {"accuracy": means["accuracy"]} | _mean_of([one for one in areas if one]) | macro_f1
    by_class = tuple(one | area for one, area in zip(rates, areas, strict=True))
    return Figures(numbers | {"brier": means["brier"]}, confusion, by_class=by_class)


def _bins_of_three(means: Mapping[str, float], one: int) -> tuple[list[float], list[float]]:
    """The parts of all rows that are of another class, and of this one, in each bin of its probability."""
    rows = sum(means[f"{one} as {said}"] for said in range(3))
    names = zip(*_area_names(one), strict=True)
    own, others = ([means[name] for name in each] for each in names)
    bins = [1 - rows - sum(others), *others], [rows - sum(own), *own]
    # Sums that were rounded leave a little where there is no row.
    negatives, positives = ([part if abs(part) > _NOISE else 0.0 for part in each] for each in bins)
    return negatives, positives


def _mean_of(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each number, by its name; empty for none."""
    return {name: sum(one[name] for one in found) / len(found) for name in (found[0] if found else ())}


def _are_possible(means: Mapping[str, float], names: tuple[str, ...]) -> bool:
    """Whether rows can have such means: parts of all rows, of which bins, or a confusion matrix, add up to all.

    The bins of three classes may not hold more rows than there are of each class.
    """
    parts = [means[name] for name in names if name != "brier"]
    if not all(-_NOISE <= part <= 1 + _NOISE for part in parts):
        return False
    if tells_areas(names) and min(part for one in range(3) for bins in _bins_of_three(means, one) for part in bins) < 0:
        return False
    whole = [means[name] for name in names if " in " in name or " as " in name or name.startswith("rows ")]
    return abs(sum(whole) - 1) <= len(names) * _NOISE


def _of_two(means: Mapping[str, float]) -> Figures:
    # Sums that were rounded may be a little below 0.
    negatives, positives = ([max(0.0, means[_cell(true, place)]) for place in range(_BINS)] for true in (0, 1))
    no, yes = sum(negatives), sum(positives)
    missed, hits = sum(positives[:_MIDDLE]), sum(positives[_MIDDLE:])
    right, false = sum(negatives[:_MIDDLE]), sum(negatives[_MIDDLE:])
    rates = _rates(hits, yes, hits + false)
    numbers = {"accuracy": means["accuracy"]} | _area(negatives, positives) | rates
    numbers |= {"brier": means["brier"], "mean_probability": means["probability"], "prevalence": yes / (no + yes)}
    bins = zip(pairwise(_BOUNDS), negatives, positives, strict=True)
    calibration = tuple(Bin(*bounds, low + high, high / (low + high)) for bounds, low, high in bins if low + high)
    return Figures(numbers, ((right, false), (missed, hits)), calibration)


def _area(negatives: list[float], positives: list[float]) -> dict[str, float]:
    """The area under the ROC curve: the part of all pairs in which the positive row has the higher probability.

    A pair is one positive and one negative row. The area is Mann and Whitney's U (Hanley and McNeil, Radiology 1982),
    in which a pair within one bin counts one half (Fawcett, Pattern Recognition Letters 2006). So the area without bins
    is at most `auc_error` away.
    """
    pairs = sum(negatives) * sum(positives)
    if not pairs:
        return {}
    below = in_order = ties = 0.0
    for negative, positive in zip(negatives, positives, strict=True):
        in_order += positive * below
        ties += positive * negative
        below += negative
    return {"auc": (in_order + ties / 2) / pairs, "auc_error": ties / 2 / pairs}


def _rates(hits: float, rows: float, told: float) -> dict[str, float]:
    """The rates of one class against the rest.

    All three arguments are parts of all rows. ``hits``: rows of the class that are predicted to be; ``rows``: rows of
    the class; ``told``: rows predicted to be of the class.

    Sensitivity and specificity as in Altman and Bland (BMJ 1994a), predictive values as in their 1994b; F1 is the
    harmonic mean of sensitivity (recall) and positive predictive value (precision), van Rijsbergen (1979).
    """
    others, untold = 1 - rows, 1 - told
    right = 1 - rows - told + hits
    found = {
        "sensitivity": (hits, rows),
        "specificity": (right, others),
        "ppv": (hits, told),
        "npv": (right, untold),
        "f1": (2 * hits, rows + told),
    }
    return {name: min(1.0, max(0.0, part / whole)) for name, (part, whole) in found.items() if whole > _LEAST}


def _of_numbers(loss: float, means: Mapping[str, float]) -> dict[str, float]:
    """MAE, and R2: 1 less the mean square error by the variance of the target, which is that of the training rows."""
    numbers = {"mae": means["absolute_error"]}
    if means["variance"] > 0:
        numbers["r2"] = 1 - loss / means["variance"]
    return numbers
