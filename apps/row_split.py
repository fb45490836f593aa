"""Checks of the rows that an app is given. An error names the row and the column that cannot be trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..peer.learning.app import AppError
from ..peer.learning.table_models.moments import largest_value, smallest_spread

__all__ = ["Codes", "Matrix", "check_summable", "codes_of", "column_names", "matrix", "numbers"]

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def column_names(rows: Any, columns: Sequence[str] | None) -> list[str] | None:
    """The names of the inputs: `columns`, or those of a data frame; None if neither gives any."""
    given = columns if columns is not None else getattr(rows, "columns", None)
    return None if given is None else [str(name) for name in given]


def matrix(rows: Any, names: Sequence[str] | None) -> Matrix:
    """Inputs as float64[rows, columns].

    Raises:
        AppError: the inputs are no table, have other columns than the names, or contain a value that is no finite
            number.
    """
    found = np.asarray(rows)
    if found.ndim != 2 or not found.shape[0] or not found.shape[1]:
        raise AppError(f"the rows have shape {found.shape}: a table of rows and columns is needed")
    if names is not None and len(names) != found.shape[1]:
        raise AppError(f"{len(names)} columns are named, and the rows have {found.shape[1]}")
    return _floats(found, lambda at: f"row {at[0]}, column {at[1] if names is None else repr(names[at[1]])}")


def numbers(targets: Any, rows: int) -> Matrix:
    """A numeric target as float64[rows].

    Raises:
        AppError: there is not one finite number for each row.
    """
    found = _one_each(targets, rows)
    return _floats(found, lambda at: f"the target of row {at[0]}")


def codes_of(targets: Any, rows: int, classes: Sequence[Any]) -> Codes:
    """The place of each row's class in `classes`, intp[rows].

    Raises:
        AppError: there is not one class for each row, or a class is not in `classes`.
    """
    places = {label: place for place, label in enumerate(classes)}
    codes = np.empty(rows, dtype=np.intp)
    for row, label in enumerate(_one_each(targets, rows).tolist()):
        try:
            codes[row] = places[label]
        except (KeyError, TypeError):
            known = ", ".join(repr(one) for one in list(classes)[:20]) + (" …" if len(classes) > 20 else "")
            raise AppError(f"the target of row {row} is {label!r:.60}, which is none of the classes {known}") from None
    return codes


def check_summable(columns: Matrix, names: Sequence[str]) -> None:
    """Refuse columns whose mean and deviation the secure sum cannot represent with enough digits.

    Raises:
        AppError: a column has too large values, or varies too little for their size.
    """
    limit = largest_value(columns.shape[1], len(columns))
    for name, values in zip(names, columns.T, strict=True):
        largest = float(np.abs(values).max())
        if largest > limit:
            raise AppError(f"column {name}: {largest:g} is too large to sum; write it in a larger unit, at all members")
        spread, least = float(values.std()), smallest_spread(columns.shape[1], largest)
        # A column that is constant up to rounding passes: it has no spread to be measured.
        if 1e-12 * largest < spread < least:
            raise AppError(
                f"column {name}: it varies by {spread:g} around {values.mean():.10g} only, too little to sum; subtract "
                "one number from it, or write it in a smaller unit, the same at all members"
            )


def _one_each(targets: Any, rows: int) -> npt.NDArray[Any]:
    found = np.asarray(targets)
    if found.shape != (rows,):
        raise AppError(f"the targets have shape {found.shape}, and there are {rows} rows: one each is needed")
    return found


def _floats(found: npt.NDArray[Any], where: Any) -> Matrix:
    if found.dtype.kind not in "fiub":
        found = _each_a_number(found, where)
    floats = found.astype(np.float64)
    finite = np.isfinite(floats)
    if not finite.all():
        at = np.unravel_index(int(np.argmin(finite)), floats.shape)
        raise AppError(f"{where([int(one) for one in at])} is {floats[at]}: fill gaps, or leave the row out")
    return floats


def _each_a_number(found: npt.NDArray[Any], where: Any) -> npt.NDArray[Any]:
    floats = np.empty(found.shape, dtype=np.float64)
    for at in np.ndindex(found.shape):
        try:
            floats[at] = float(found[at])
        except (TypeError, ValueError):
            raise AppError(f"{where(at)} is {str(found[at])!r:.60}, not a number") from None
    return floats
