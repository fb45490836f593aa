"""The statement of a proof, and the layout of its witness.

**The statement** is about a vector of S update columns, four limbs for each wide sum, and two elements for the beacon:

* Each update column is a + M·b modulo p, where M = 2^31. All a and b together have a Euclidean norm of at most 3·N (of
  at most N where S <= 256), N = κ·capped + ρ.
* The first two wide sums are whole numbers, capped and examples, with 1 <= capped <= reference, capped <= examples and
  examples - capped < 2^30.
* Every limb is below 2^31, and the last of each four is below 2^30.
* Other wide sums are what was declared of them (`Declared`): nothing, at least 0, or 0 or 1.

κ = floor(2^20 / reference), so an update of full weight may be about 2^20 long, and ρ = isqrt(2·S) + 1 is what rounding
may add.

**The witness** stands in columns of 64 rows, one field element a cell:

* octal digits of the 256 projections of the update: two numbers of eight digits each, 64 numbers to a group of eight
  columns;
* octal digits of the slack, the counts and the limbs, the bits on top of limbs of 31 bits, and sums that are bits;
* N;
* H, the sums of the projections' squares by row.

Two more rows of every column are random: they hide the column in the values of it that are published. Rows without a
cell are zero and are not shared.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..field import P, Vector
from ..sharing import dealing
from ..sharing.fixed_point import WIDE_LIMBS

SLOT: Final = 2**31
"""M, the factor of the odd value of a pair in a column."""

DIGIT_OFFSET: Final = 2**23
"""β: the halves of the projections lie in [-β, β)."""

PROJECTIONS: Final = 256
ROWS: Final = 64
MASKS: Final = 2  # random rows of each column
DIGITS: Final = 8  # of a projection's half, octal
WEIGHT_UNIT: Final = 2**20
NORM_FACTOR: Final = 240  # T1: the squares of the projections' halves may add up to this times N²
NORM_SLACK: Final = 3  # what is proved of the norm of a longer update is this times N
MAX_EXACT_COLUMNS: Final = PROJECTIONS
MAX_COLUMNS: Final = 2**24
MAX_HOLDERS: Final = 40
MAX_REFERENCE: Final = 2**16
_COUNT_DIGITS: Final = 10
_SLACK_DIGITS: Final = 17
_LIMB_DIGITS: Final = 10
MAX_MORE: Final = 8**_COUNT_DIGITS  # the digits of examples - capped hold less
WHOLE: Final = 512  # one, in the second limb of a wide sum
TOP_LIMB: Final = 2**29  # a wide sum's offset, in its last limb

DATA_POINTS: Final = range(1, ROWS + MASKS + 1)
"""The points of a column's rows."""

TOP_DEGREE: Final = 8 * (ROWS + MASKS - 1)
"""The largest degree of G: that of a product of eight values of a column."""

QUOTIENT_POINTS: Final = range(ROWS + MASKS + 1, ROWS + MASKS + 1 + TOP_DEGREE - ROWS + 1)
"""The points of the quotient's values: as many as it has coefficients."""

BLINDING: Final = 2  # random elements that blind the fingerprints
COUNTS: Final = 2  # the first wide sums: the capped count, and the examples
_SUFFIX: Final = b"coterie/proof/1"


class Declared(IntEnum):
    """What a dealing proves of a wide sum, beside that it is one."""

    NOTHING = 0
    NOT_NEGATIVE = 1
    BIT = 2
    """It is 0 or 1."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all parties know of a proved dealing.

    `holders`, `threshold`, `dealer` and `seeded` are as in `dealing.Terms`.

    Raises:
        ValueError: nothing can be dealt or proved under these terms.
    """

    holders: int
    threshold: int
    dealer: int
    update_columns: int
    """S, the number of columns of the update; 0 in a round without an update."""

    wide_sums: int
    """The number of wide sums; the first two are the capped count and the examples."""

    reference: int
    """The number of examples of a full weight."""

    seeded: tuple[int, ...] = ()
    declared: tuple[Declared, ...] = ()
    """What is proved of each wide sum after the first two; of those beyond the end, nothing."""

    def __post_init__(self) -> None:
        if self.holders > MAX_HOLDERS:
            raise ValueError(f"a proof is sound for up to {MAX_HOLDERS} holders, not {self.holders}")
        if not 0 <= self.update_columns <= MAX_COLUMNS:
            raise ValueError(f"an update of {self.update_columns} columns: at most {MAX_COLUMNS} can be proved")
        if self.wide_sums < 2:
            raise ValueError("the capped count and the examples are the first two wide sums")
        if not 1 <= self.reference <= MAX_REFERENCE:
            raise ValueError(f"a full weight of {self.reference} examples: 1 to {MAX_REFERENCE} can be proved")
        if len(self.declared) > self.wide_sums - COUNTS or self.declared[-1:] == (Declared.NOTHING,):
            raise ValueError("something is declared of sums that there are not, or nothing of the last one")
        object.__setattr__(self, "seeded", self.sharing.seeded)

    def declared_of(self, one: int) -> Declared:
        """What is proved of a wide sum."""
        place = one - COUNTS
        return self.declared[place] if 0 <= place < len(self.declared) else Declared.NOTHING

    @property
    def bits(self) -> tuple[int, ...]:
        """The wide sums that are 0 or 1."""
        return tuple(COUNTS + place for place, one in enumerate(self.declared) if one is Declared.BIT)

    @property
    def columns(self) -> int:
        """The number of elements of the vector that is dealt: update, wide sums, beacon."""
        return self.update_columns + WIDE_LIMBS * self.wide_sums + 2

    @property
    def sharing(self) -> dealing.Terms:
        """The terms by which the vector itself is shared."""
        return dealing.Terms(self.holders, self.threshold, self.columns, self.dealer, self.seeded)

    @property
    def layout(self) -> "Layout":
        """The layout of the witness."""
        return _layout(self.update_columns > 0, self.wide_sums, len(self.bits))

    @property
    def stages(self) -> tuple[int, int, int]:
        """The number of elements shared in each stage: the vector, the witness, the quotient with the blinding."""
        return self.columns, self.layout.cells, 2 * len(QUOTIENT_POINTS) + BLINDING

    @property
    def is_exact(self) -> bool:
        """Whether the norm is proved for the values themselves and not for projections."""
        return self.update_columns <= MAX_EXACT_COLUMNS

    @property
    def norm_factor(self) -> int:
        """T1: the proved squares add up to at most T1·N²."""
        return 1 if self.is_exact else NORM_FACTOR

    @property
    def unit(self) -> int:
        """κ, which each example of the claimed weight adds to N."""
        return WEIGHT_UNIT // self.reference

    def allowance(self, capped: int) -> int:
        """N for a claimed weight of `capped` examples."""
        return self.unit * capped + isqrt(2 * self.update_columns) + 1

    def encoded(self) -> bytes:
        """The terms as bytes to be hashed. No encoding is the beginning of another."""
        numbers = (self.update_columns, self.wide_sums, self.reference)
        return (
            self.sharing.encoded()
            + b"".join(one.to_bytes(8, "big") for one in numbers)
            + bytes(self.declared)
            + _SUFFIX
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """The cells of a witness, as indices into its vector. Digits are octal, the lowest first."""

    projections: NDArray[np.int64]
    """The digits of A_0, A_1, ... and then of B_0, B_1, ..., int64[512, 8]; int64[0, 8] without an update."""

    slack: NDArray[np.int64]
    """The digits of the slack, T1·N² minus the sum of the squares, int64[17]."""

    count: NDArray[np.int64]
    """The digits of capped - 1, int64[10]."""

    room: NDArray[np.int64]
    """The digits of reference - capped, int64[10]."""

    more: NDArray[np.int64]
    """The digits of examples - capped, int64[10]."""

    limbs: NDArray[np.int64]
    """The ten lowest digits of each limb, int64[sums, 4, 10]."""

    limb_bits: NDArray[np.int64]
    """Bit 30 of each limb of 31 bits, int64[sums, 3]."""

    sum_bits: NDArray[np.int64]
    """The sums that are 0 or 1, int64[bits]."""

    allowance: int
    """N."""

    squares: NDArray[np.int64]
    """H: the sum of the squares in each row, less T1·N² in the first one, int64[64]."""

    masks: NDArray[np.int64]
    """The random cells."""

    rows: NDArray[np.int64]
    """The row of each cell."""

    columns: NDArray[np.int64]
    """The column of each cell."""

    bases: NDArray[np.int64]
    """The number of values of a digit, 8 or 2, by column of digits."""

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.rows)

    @property
    def width(self) -> int:
        """The number of columns: those of digits, then N and H."""
        return len(self.bases) + 2

    def table(self, cells: Vector) -> Vector:
        """The cells uint64[cells] as columns of rows: uint64[66, width]."""
        table = np.zeros((ROWS + MASKS, self.width), dtype=np.uint64)
        table[self.rows, self.columns] = cells
        return table


@lru_cache(maxsize=16)
def _layout(has_update: bool, wide_sums: int, sum_bits: int) -> Layout:
    groups = 2 * PROJECTIONS // ROWS if has_update else 0
    octal = _SLACK_DIGITS + 3 * _COUNT_DIGITS + WIDE_LIMBS * _LIMB_DIGITS * wide_sums
    limb_bits = (WIDE_LIMBS - 1) * wide_sums
    bits = limb_bits + sum_bits
    used = [ROWS] * (DIGITS * groups) + _filled(octal) + _filled(bits) + [1, ROWS]
    bases = [8] * (DIGITS * groups + len(_filled(octal))) + [2] * len(_filled(bits))
    starts = np.cumsum([0, *used])
    rows = np.concatenate([*(np.arange(count) for count in used), np.tile([ROWS, ROWS + 1], len(used))])
    columns = np.concatenate([np.repeat(np.arange(len(used)), used), np.repeat(np.arange(len(used)), MASKS)])
    k, digit = np.arange(ROWS * groups)[:, None], np.arange(DIGITS)[None]
    first = int(starts[DIGITS * groups])
    parts = np.split(first + np.arange(octal), np.cumsum([_SLACK_DIGITS, _COUNT_DIGITS, _COUNT_DIGITS, _COUNT_DIGITS]))
    return Layout(
        projections=starts[DIGITS * (k // ROWS) + digit] + k % ROWS,
        slack=parts[0],
        count=parts[1],
        room=parts[2],
        more=parts[3],
        limbs=parts[4].reshape(wide_sums, WIDE_LIMBS, _LIMB_DIGITS),
        limb_bits=(first + octal + np.arange(limb_bits)).reshape(wide_sums, WIDE_LIMBS - 1),
        sum_bits=first + octal + limb_bits + np.arange(sum_bits),
        allowance=int(starts[-3]),
        squares=np.arange(starts[-2], starts[-1]),
        masks=np.arange(starts[-1], len(rows)),
        rows=rows,
        columns=columns,
        bases=np.array(bases, dtype=np.int64),
    )


def _filled(count: int) -> list[int]:
    """The number of rows in use in each of the columns that so many cells fill."""
    return [min(ROWS, count - start) for start in range(0, count, ROWS)]


@dataclass(frozen=True, slots=True)
class Equations:
    """The linear part of the statement.

    Each equation says that a sum of elements times factors, plus a constant, is zero.
    """

    of_cells: tuple[NDArray[np.int64], NDArray[np.int64], Vector]
    """The terms with cells of the witness: the cell, the equation and the factor of each."""

    of_tail: tuple[NDArray[np.int64], NDArray[np.int64], Vector]
    """The same for the elements of the vector that follow the update."""

    constants: tuple[int, ...]
    """The constant of each equation."""

    first_projection: int
    """The number of the first projection's equation; those of the other projections follow it.

    Their terms with the update are not in here, because they depend on the dealing.
    """

    @property
    def count(self) -> int:
        """The number of equations."""
        return len(self.constants)


@lru_cache(maxsize=16)
def equations(terms: Terms) -> Equations:
    """The linear part of the statement, in the order of docs/proof.md."""
    made = _Equations(terms)
    if terms.update_columns:
        made.norm()
    made.counts()
    made.limbs()
    first = len(made.constants)
    if terms.update_columns:
        made.projections()
    return Equations(_arrays(made.cells), _arrays(made.tail), tuple(made.constants), first)


def _arrays(triples: list[tuple[int, int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64], Vector]:
    elements, numbers, factors = zip(*triples, strict=True) if triples else ((), (), ())
    reduced = np.array([factor % P for factor in factors], dtype=np.uint64)
    return np.array(elements, dtype=np.int64), np.array(numbers, dtype=np.int64), reduced


class _Equations:
    """Collects the equations, by subject."""

    def __init__(self, terms: Terms) -> None:
        self.terms, self.layout = terms, terms.layout
        self.cells: list[tuple[int, int, int]] = []
        self.tail: list[tuple[int, int, int]] = []
        self.constants: list[int] = []

    def equation(self, constant: int) -> None:
        """Begin the next equation."""
        self.constants.append(constant % P)

    def cell(self, cell: int, factor: int) -> None:
        """Add a cell to the equation."""
        self.cells.append((int(cell), len(self.constants) - 1, factor))

    def limb(self, one: int, limb: int, factor: int) -> None:
        """Add a limb of wide sum `one` to the equation."""
        self.tail.append((WIDE_LIMBS * one + limb, len(self.constants) - 1, factor))

    def number(self, digits: NDArray[np.int64], factor: int) -> None:
        """Add a number, by its octal digits, to the equation."""
        for place, cell in enumerate(digits):
            self.cell(cell, factor * 8**place)

    def norm(self) -> None:
        """Add Σ H + slack = 0, and that N is the allowance of the claimed weight."""
        self.equation(0)
        for cell in self.layout.squares:
            self.cell(cell, 1)
        self.number(self.layout.slack, 1)
        self.equation(-self.terms.allowance(1))
        self.cell(self.layout.allowance, 1)
        self.number(self.layout.count, -self.terms.unit)

    def counts(self) -> None:
        """Add 1 + count + room = reference."""
        self.equation(1 - self.terms.reference)
        self.number(self.layout.count, 1)
        self.number(self.layout.room, 1)

    def limbs(self) -> None:
        """Add that each limb is its digits, that the first two sums are the counts, and what was declared of others."""
        for one in range(self.terms.wide_sums):
            is_bounded = self.terms.declared_of(one) is Declared.NOT_NEGATIVE
            for limb in range(WIDE_LIMBS):
                # The last limb of a sum that is not negative is its offset and the digits.
                self.equation(TOP_LIMB if is_bounded and limb == WIDE_LIMBS - 1 else 0)
                self.number(self.layout.limbs[one, limb], 1)
                if limb < WIDE_LIMBS - 1:
                    self.cell(self.layout.limb_bits[one, limb], 8**_LIMB_DIGITS)
                self.limb(one, limb, -1)
        for one in range(COUNTS):
            self.whole(one, 1)
            self.number(self.layout.count, -WHOLE)
            if one == 1:
                self.number(self.layout.more, -WHOLE)
        for one, bit in zip(self.terms.bits, self.layout.sum_bits, strict=True):
            self.whole(one, 0)
            self.cell(bit, -WHOLE)

    def whole(self, one: int, least: int) -> None:
        """Add that a sum is whole and not negative, and begin the equation that it is `least` and what is added."""
        self.equation(0)
        self.limb(one, 0, 1)
        self.equation(-TOP_LIMB)
        self.limb(one, 3, 1)
        self.equation(-WHOLE * least)
        self.limb(one, 1, 1)
        self.limb(one, 2, SLOT)

    def projections(self) -> None:
        """Add A_k + M·B_k = the k-th projection, but for the update's part, for each k."""
        for k in range(PROJECTIONS):
            self.equation(-(1 + SLOT) * DIGIT_OFFSET)
            self.number(self.layout.projections[k], 1)
            self.number(self.layout.projections[PROJECTIONS + k], SLOT)
