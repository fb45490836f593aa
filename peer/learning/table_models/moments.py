"""Counts, sums and sums of squares that members add up: exact, so that no offset of a column costs its spread.

A variance is a small difference of large numbers. For times such as 1700000000 with a spread of minutes, sums and sums
of squares in floats would keep nothing of it. So every value is rounded to 2^-40, and whole numbers are summed, in
units of 2^-40 for values and of 2^-80 for squares. A setup sum carries a float, which has 53 bits. So a whole number
is sent in digits of 43 bits, a float each, and the sums of these over 1024 members are exact. From the totals the
variance follows exactly: it is zero if and only if all values are the same.

There are not enough setup sums to do so for very many columns. Then each sum is one float, and the spread of a column
has to be visible beside its offset: see `smallest_spread`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ....protocol.limits import MAX_SETUP_SUMS

__all__ = [
    "UNIT",
    "Moments",
    "count_of_sums",
    "largest_value",
    "never_negative",
    "read_moments",
    "smallest_spread",
    "sums_of_columns",
]

UNIT: Final = 2**40
"""Units in 1: a unit is 2**-40."""
_DIGIT_BITS: Final = 43
_DIGIT: Final = 2**_DIGIT_BITS
_SUM_DIGITS: Final = 3
_SQUARE_DIGITS: Final = 5
_DIGITS: Final = _SUM_DIGITS + _SQUARE_DIGITS
_EXACT_COLUMNS: Final = (MAX_SETUP_SUMS - 1) // _DIGITS

_PART_BITS: Final = 21
_PARTS: Final = 5
_BLOCK_ROWS: Final = 2**16
"""Products of two parts have 42 bits, so that 64 bits hold the sum of a block's."""
_LARGEST: Final = 2.0**62
_LARGEST_SQUARES: Final = 2.0**144
"""Five parts hold any value below the first, and five digits any sum of squares below the second."""
_LARGEST_FLOATS: Final = 2.0**80
"""The secure sum has 82 bits before the point."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moments:
    """Number of rows; of each column the sum in units of 2^-40, and the sum of squares in units of 2^-80."""

    rows: int
    sums: tuple[int, ...]
    squares: tuple[int, ...]
    gaps: Mapping[int, int] = field(default_factory=dict)
    """Columns with gaps, and in how many rows. A gap was added up as 0, and does not count in mean and spread."""
    doubts: tuple[int, ...] = ()
    """By how much each sum of squares may be off, because a float carried it; empty if they are exact."""

    def known(self, column: int) -> int:
        """The number of rows that have a value in a column."""
        return self.rows - self.gaps.get(column, 0)

    def mean(self, column: int) -> float:
        """The mean of a column, rounded once; 0 where no row has a value."""
        known = self.known(column)
        return self.sums[column] / (known * UNIT) if known else 0.0

    def spread(self, column: int) -> float:
        """The standard deviation of a column: 0 if and only if it is the same in all rows that have a value."""
        return self._spread(column, self.squares[column])

    def largest_spread(self, column: int) -> float:
        """The largest standard deviation that a column can have; more than `spread` if a float carried its squares."""
        return self._spread(column, self.squares[column] + self._doubt(column))

    def _spread(self, column: int, squares: int) -> float:
        known = self.known(column)
        # After `less` or `without`, sums that floats have carried may leave a difference below zero.
        excess = max(0, known * squares - self.sums[column] ** 2)
        return math.sqrt(excess / (known * UNIT) ** 2) if known else 0.0

    def _doubt(self, column: int) -> int:
        return self.doubts[column] if self.doubts else 0

    def of(self, column: int) -> "Moments":
        """The moments of one column, over the rows that have a value."""
        doubts = (self.doubts[column],) if self.doubts else ()
        return Moments(self.known(column), (self.sums[column],), (self.squares[column],), doubts=doubts)

    def without(self, column: int, value: float) -> "Moments":
        """The moments of one column, without one row that has this value in it."""
        whole, all = round(value * UNIT), self.of(column)
        return replace(all, rows=all.rows - 1, sums=(all.sums[0] - whole,), squares=(all.squares[0] - whole**2,))

    def less(self, own: "Moments") -> "Moments | None":
        """The moments without the rows of ``own``; None if those rows cannot be among them."""
        gaps = {column: gaps - own.gaps.get(column, 0) for column, gaps in self.gaps.items()}
        sums = tuple(total - mine for total, mine in zip(self.sums, own.sums, strict=True))
        squares = tuple(total - mine for total, mine in zip(self.squares, own.squares, strict=True))
        rest = Moments(self.rows - own.rows, sums, squares, gaps, self.doubts)
        if rest.rows < 0 or any(not 0 <= gaps <= rest.rows for gaps in rest.gaps.values()):
            return None
        for column, square in enumerate(rest.squares):
            doubt, known = self._doubt(column), rest.known(column)
            # The sum itself may be off, too: by less than what this doubt allows for all rows.
            if square < -doubt or known * square - rest.sums[column] ** 2 < -self.known(column) * doubt:
                return None
            if not known and square > doubt:
                return None
        return rest


def is_exact(columns: int) -> bool:
    """Whether there is room for the exact sums of so many columns."""
    return columns <= _EXACT_COLUMNS


def sums_of_columns(columns: Matrix) -> list[float]:
    """What a peer adds up for float64[rows, columns]: the number of rows, then the sums of each column."""
    own = moments_of(columns)
    sums = [float(own.rows)]
    for total, squares in zip(own.sums, own.squares, strict=True):
        if is_exact(columns.shape[1]):
            sums += [*_digits(total, _SUM_DIGITS), *_digits(squares, _SQUARE_DIGITS)]
        else:
            sums += [total / UNIT, squares / UNIT**2]
    return sums


def count_of_sums(columns: int) -> int:
    """How many numbers `sums_of_columns` has for so many columns."""
    return 1 + (_DIGITS if is_exact(columns) else 2) * columns


def never_negative(columns: int) -> list[int]:
    """The places in `sums_of_columns` of numbers that are never below 0.

    They are the number of rows, the squares, and all digits of a sum but the last, which has its sign.
    """
    if not is_exact(columns):
        return [0, *range(2, 1 + 2 * columns, 2)]
    signed = range(_SUM_DIGITS, 1 + _DIGITS * columns, _DIGITS)
    return [place for place in range(1 + _DIGITS * columns) if place not in signed]


def moments_of(columns: Matrix) -> Moments:
    """The moments of float64[rows, columns]."""
    sums, squares = [0] * columns.shape[1], [0] * columns.shape[1]
    for start in range(0, len(columns), _BLOCK_ROWS):
        parts = _parts(columns[start : start + _BLOCK_ROWS])
        for place, part in parts.items():
            _add(sums, part.sum(axis=0), place)
            for other_place, other in parts.items():
                _add(squares, (part * other).sum(axis=0), place + other_place)
    return Moments(len(columns), tuple(sums), tuple(squares))


def _parts(columns: Matrix) -> dict[int, npt.NDArray[np.int64]]:
    """The values in units, as parts of 21 bits with the value's sign, by their place; those that are 0 are left out."""
    rest = np.abs(np.rint(columns * UNIT))
    signs = np.where(columns < 0, -1, 1)
    parts = {}
    for place in reversed(range(_PARTS)):
        # Exact in floats: what is taken away are the highest bits of what is left.
        part = np.floor(rest * 2.0 ** (-_PART_BITS * place))
        rest -= part * 2.0 ** (_PART_BITS * place)
        if part.any():
            parts[place] = part.astype(np.int64) * signs
    return parts


def read_moments(totals: Sequence[float], columns: int, marked: Mapping[int, int] | None = None) -> Moments:
    """The moments of all peers' rows behind the totals of `sums_of_columns`.

    `marked`: the columns that may have gaps, for which 0 was added up, and for each the column that is 1 in those rows.

    Raises:
        ValueError: no rows can have these totals.
    """
    if len(totals) != count_of_sums(columns):
        raise ValueError(f"{len(totals)} setup sums do not belong to {columns} columns")
    if not all(map(np.isfinite, totals)) or totals[0] < 1 or totals[0] != int(totals[0]):
        raise ValueError(f"the setup sums are those of {totals[0]:g} rows")
    rows = int(totals[0])
    if not is_exact(columns):
        sums = tuple(round(total * UNIT) for total in totals[1::2])
        gaps = _gaps(rows, sums, marked or {})
        known = [rows - gaps.get(column, 0) for column in range(columns)]
        squares = _rounded(known, sums, totals[2::2])
        return Moments(rows, sums, squares, gaps, tuple(square >> _ROUNDING_BITS for square in squares))
    if any(total != int(total) for total in totals):
        raise ValueError("the setup sums are no whole numbers")
    starts = range(1, len(totals), _DIGITS)
    sums = tuple(_number(totals[at : at + _SUM_DIGITS]) for at in starts)
    squares = tuple(_number(totals[at + _SUM_DIGITS : at + _DIGITS]) for at in starts)
    moments = Moments(rows, sums, squares, _gaps(rows, sums, marked or {}))
    if any(moments.known(at) * square < sums[at] ** 2 for at, square in enumerate(squares)):
        raise ValueError("no rows can have these setup sums: a variance would be negative")
    return moments


def _gaps(rows: int, sums: Sequence[int], marked: Mapping[int, int]) -> dict[int, int]:
    """In how many rows each column has a gap. Raises ValueError for numbers that cannot be."""
    gaps = {column: sums[mark] // UNIT for column, mark in marked.items()}
    for column, mark in marked.items():
        if sums[mark] % UNIT or not 0 <= gaps[column] <= rows or (gaps[column] == rows and sums[column]):
            raise ValueError(f"no rows can have these setup sums: {sums[mark] / UNIT:g} gaps in {rows} rows")
    return gaps


def _rounded(known: Sequence[int], sums: Sequence[int], squares: Sequence[float]) -> tuple[int, ...]:
    """Sums of squares that floats have carried; a variance that may be only their rounding becomes zero."""
    found = []
    for rows, total, carried in zip(known, sums, squares, strict=True):
        square, least = round(carried * UNIT**2), -(-(total**2) // max(rows, 1))
        found.append(least if square - least < square >> _ROUNDING_BITS else square)
    return tuple(found)


_ROUNDING_BITS: Final = 36
"""A variance below 2 to the minus this, as a part of the mean square, may be the rounding of floats."""


def smallest_spread(columns: int, largest: float) -> float:
    """The least standard deviation that the sums of so many columns can show, beside values up to ``largest``."""
    return 16 / UNIT if is_exact(columns) else largest * 2.0 ** (1 - _ROUNDING_BITS / 2)


def largest_value(columns: int, rows: int) -> float:
    """The largest value that the sums of so many columns and rows can carry."""
    if not is_exact(columns):
        return math.sqrt(_LARGEST_FLOATS / rows)
    return min(_LARGEST, math.sqrt(_LARGEST_SQUARES / rows))


def _add(totals: list[int], block: npt.NDArray[np.int64], place: int) -> None:
    for column, value in enumerate(block.tolist()):
        totals[column] += value << (_PART_BITS * place)


def _digits(number: int, count: int) -> list[float]:
    """A whole number in digits, the lowest first. The last one takes all that is left, and the sign."""
    digits = []
    for _ in range(count - 1):
        digits.append(float(number % _DIGIT))
        number //= _DIGIT
    return [*digits, float(number)]


def _number(digits: Sequence[float]) -> int:
    return sum(int(digit) << (_DIGIT_BITS * place) for place, digit in enumerate(digits))
