"""What a proof states, and where its witness stands.

**The statement.** Of a vector y of S update columns, four limbs for each wide sum, and two elements for the beacon:

* each update column is a + M·b modulo p, M = 2^31, and all a and b together have a Euclidean norm of at most 3·N (N,
  where S <= 256), N = κ·capped + ρ;
* the first two wide sums are whole numbers, capped and examples, with 1 <= capped <= reference and capped <= examples;
* every limb is below 2^31, the last of each four below 2^30.

κ = floor(2^20 / reference) makes an update of full weight about 2^20 long, and ρ is what rounding may add.

**The witness** stands in columns of 64 rows, one field element a cell: octal digits of the 256 projections of the
update (two numbers of eight digits each, 64 to a group of eight columns), of slack, counts and limbs; bits on top of
limbs of 31 bits; N; and H, the sums of squares by row. Two more rows of every column are random: they hide what is
published of it. Rows without a cell are zero and are not shared.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .. import dealing
from ..codec import WIDE_LIMBS
from ..field import P, Vector

SLOT: Final = 2**31
"""M: the odd value of a pair is shifted by this much."""

DIGIT_OFFSET: Final = 2**23
"""β: the projections' halves lie in [-β, β)."""

PROJECTIONS: Final = 256
ROWS: Final = 64
MASKS: Final = 2
DIGITS: Final = 8  # of a projection's half, octal
WEIGHT_UNIT: Final = 2**20
NORM_FACTOR: Final = 240  # T1: what the squared projections may add up to, over N²
MAX_EXACT_COLUMNS: Final = PROJECTIONS
MAX_COLUMNS: Final = 2**24
MAX_HOLDERS: Final = 40
MAX_REFERENCE: Final = 2**16
_COUNT_DIGITS: Final = 10
_SLACK_DIGITS: Final = 17
_LIMB_DIGITS: Final = 10
_WHOLE: Final = 512  # one, in the second limb of a wide sum
_TOP_LIMB: Final = 2**29  # a wide sum's offset, in its last limb

DATA_POINTS: Final = range(1, ROWS + MASKS + 1)
"""Where the rows of a column stand."""

TOP_DEGREE: Final = 8 * (ROWS + MASKS - 1)
QUOTIENT_POINTS: Final = range(ROWS + MASKS + 1, ROWS + MASKS + 1 + TOP_DEGREE - ROWS + 1)
"""Where the values of the quotient stand: as many as it has coefficients."""

BLINDING: Final = 2
_SUFFIX: Final = b"coterie/proof/1"


@dataclass(frozen=True, slots=True)
class Terms:
    """What all parties know of a proved dealing. Raises ValueError for terms under which nothing can be proved.

    holders, threshold, dealer, seeded: as in `dealing.Terms`; update_columns: S, 0 for a round without an update;
    wide_sums: how many, the capped count and the examples among them; reference: the examples of a full weight.
    """

    holders: int
    threshold: int
    dealer: int
    update_columns: int
    wide_sums: int
    reference: int
    seeded: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.holders > MAX_HOLDERS:
            raise ValueError(f"a proof is sound for up to {MAX_HOLDERS} holders, not {self.holders}")
        if not 0 <= self.update_columns <= MAX_COLUMNS:
            raise ValueError(f"an update of {self.update_columns} columns: at most {MAX_COLUMNS} can be proved")
        if self.wide_sums < 2:
            raise ValueError("the capped count and the examples are the first two wide sums")
        if not 1 <= self.reference <= MAX_REFERENCE:
            raise ValueError(f"a full weight of {self.reference} examples: 1 to {MAX_REFERENCE} can be proved")
        object.__setattr__(self, "seeded", self.sharing.seeded)

    @property
    def columns(self) -> int:
        """The elements of the vector that is dealt: update, wide sums, beacon."""
        return self.update_columns + WIDE_LIMBS * self.wide_sums + 2

    @property
    def sharing(self) -> dealing.Terms:
        """How the vector itself is shared."""
        return dealing.Terms(self.holders, self.threshold, self.columns, self.dealer, self.seeded)

    @property
    def layout(self) -> "Layout":
        """Where the witness stands."""
        return _layout(self.update_columns > 0, self.wide_sums)

    @property
    def stages(self) -> tuple[int, int, int]:
        """The elements that a holder gets a share of: the vector, the witness, the quotient with its blinding."""
        return self.columns, self.layout.cells, 2 * len(QUOTIENT_POINTS) + BLINDING

    @property
    def is_exact(self) -> bool:
        """Whether the norm is proved of the values themselves and not of projections."""
        return self.update_columns <= MAX_EXACT_COLUMNS

    @property
    def norm_factor(self) -> int:
        """T1."""
        return 1 if self.is_exact else NORM_FACTOR

    @property
    def unit(self) -> int:
        """κ: what one example adds to N."""
        return WEIGHT_UNIT // self.reference

    def allowance(self, capped: int) -> int:
        """N, for a claimed weight of so many examples."""
        return self.unit * capped + isqrt(2 * self.update_columns) + 1

    def encoded(self) -> bytes:
        """A form to be hashed; no encoding is the start of another."""
        numbers = (self.update_columns, self.wide_sums, self.reference)
        return self.sharing.encoded() + b"".join(one.to_bytes(8, "big") for one in numbers) + _SUFFIX


@dataclass(frozen=True, slots=True)
class Layout:
    """The cells of a witness, as indices into its vector.

    projections: int64[512, 8], the digits of A_0, A_1, ... and then of B_0, B_1, ..., none without an update; limbs:
    int64[sums, 4, 10]; limb_bits: int64[sums, 3]; rows, columns: of each cell.
    """

    projections: NDArray[np.int64]
    slack: NDArray[np.int64]
    count: NDArray[np.int64]
    room: NDArray[np.int64]
    more: NDArray[np.int64]
    limbs: NDArray[np.int64]
    limb_bits: NDArray[np.int64]
    allowance: int
    squares: NDArray[np.int64]
    masks: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    bases: NDArray[np.int64]
    """Of each column of digits, how many values a digit has: 8 or 2."""

    @property
    def cells(self) -> int:
        """How many there are."""
        return len(self.rows)

    @property
    def width(self) -> int:
        """How many columns: of digits, and N and H."""
        return len(self.bases) + 2

    def table(self, cells: Vector) -> Vector:
        """The cells uint64[cells] as columns of rows: uint64[66, width]."""
        table = np.zeros((ROWS + MASKS, self.width), dtype=np.uint64)
        table[self.rows, self.columns] = cells
        return table


@lru_cache(maxsize=16)
def _layout(has_update: bool, wide_sums: int) -> Layout:
    groups = 2 * PROJECTIONS // ROWS if has_update else 0
    octal = _SLACK_DIGITS + 3 * _COUNT_DIGITS + WIDE_LIMBS * _LIMB_DIGITS * wide_sums
    bits = (WIDE_LIMBS - 1) * wide_sums
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
        limb_bits=(first + octal + np.arange(bits)).reshape(wide_sums, WIDE_LIMBS - 1),
        allowance=int(starts[-3]),
        squares=np.arange(starts[-2], starts[-1]),
        masks=np.arange(starts[-1], len(rows)),
        rows=rows,
        columns=columns,
        bases=np.array(bases, dtype=np.int64),
    )


def _filled(count: int) -> list[int]:
    """The rows in use of the columns that so many cells fill."""
    return [min(ROWS, count - start) for start in range(0, count, ROWS)]


@dataclass(frozen=True, slots=True)
class Equations:
    """All that is linear, each equation a sum that is zero: cells and elements with factors, and a constant.

    Three arrays each for the witness and for what follows the update in the vector: which element, which equation,
    which factor. Equations from `first_projection` on are those of the projections; what they take of the update
    depends on the dealing.
    """

    of_cells: tuple[NDArray[np.int64], NDArray[np.int64], Vector]
    of_tail: tuple[NDArray[np.int64], NDArray[np.int64], Vector]
    constants: tuple[int, ...]
    first_projection: int

    @property
    def count(self) -> int:
        """How many equations."""
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
    """Collects equations; each method adds those of one subject."""

    def __init__(self, terms: Terms) -> None:
        self.terms, self.layout = terms, terms.layout
        self.cells: list[tuple[int, int, int]] = []
        self.tail: list[tuple[int, int, int]] = []
        self.constants: list[int] = []

    def equation(self, constant: int) -> None:
        """Begin the next one."""
        self.constants.append(constant % P)

    def cell(self, cell: int, factor: int) -> None:
        """Add a cell to it."""
        self.cells.append((int(cell), len(self.constants) - 1, factor))

    def limb(self, one: int, limb: int, factor: int) -> None:
        """Add a limb of a wide sum to it."""
        self.tail.append((WIDE_LIMBS * one + limb, len(self.constants) - 1, factor))

    def number(self, digits: NDArray[np.int64], factor: int) -> None:
        """Add a number by its octal digits."""
        for place, cell in enumerate(digits):
            self.cell(cell, factor * 8**place)

    def norm(self) -> None:
        """Σ H + slack = 0, and N is what the claimed weight allows."""
        self.equation(0)
        for cell in self.layout.squares:
            self.cell(cell, 1)
        self.number(self.layout.slack, 1)
        self.equation(-self.terms.allowance(1))
        self.cell(self.layout.allowance, 1)
        self.number(self.layout.count, -self.terms.unit)

    def counts(self) -> None:
        """1 + count + room = reference."""
        self.equation(1 - self.terms.reference)
        self.number(self.layout.count, 1)
        self.number(self.layout.room, 1)

    def limbs(self) -> None:
        """Limbs are their digits, and the first two sums are the counts."""
        for one in range(self.terms.wide_sums):
            for limb in range(WIDE_LIMBS):
                self.equation(0)
                self.number(self.layout.limbs[one, limb], 1)
                if limb < WIDE_LIMBS - 1:
                    self.cell(self.layout.limb_bits[one, limb], 8**_LIMB_DIGITS)
                self.limb(one, limb, -1)
        for one in range(2):
            self.equation(0)
            self.limb(one, 0, 1)
            self.equation(-_TOP_LIMB)
            self.limb(one, 3, 1)
            self.equation(-_WHOLE)
            self.limb(one, 1, 1)
            self.limb(one, 2, SLOT)
            self.number(self.layout.count, -_WHOLE)
            if one == 1:
                self.number(self.layout.more, -_WHOLE)

    def projections(self) -> None:
        """A_k + M·B_k is the k-th projection."""
        for k in range(PROJECTIONS):
            self.equation(-(1 + SLOT) * DIGIT_OFFSET)
            self.number(self.layout.projections[k], 1)
            self.number(self.layout.projections[PROJECTIONS + k], SLOT)
