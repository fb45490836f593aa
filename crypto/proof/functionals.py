"""Linear functionals over E: a dealer publishes their polynomials, and a holder compares its own share with them.

There are three kinds: V, all linear equations of the statement in one, weighted with the powers of μ; each column of
the witness at the point r; and the quotient at r. Applied to the K rows of a dealing that fix all others, they give the
published polynomials. Applied to a holder's share, they give the values of these polynomials at that holder.
"""

from functools import lru_cache

import numpy as np

from ..field import P, Vector, barycentric_weights, inverses, lagrange_matrix
from ..prng import BLOCK
from ..vectors import matmul
from .extension import (
    NON_RESIDUE,
    ONE,
    ZERO,
    Element,
    add,
    multiply,
    powers,
    scale,
    subtract,
    vanishing,
)
from .terms import DATA_POINTS, DIGIT_OFFSET, DIGITS, PROJECTIONS, QUOTIENT_POINTS, ROWS, Equations, Terms, equations
from .transcript import Transcript, words

__all__ = ["Functionals", "gadget", "projected", "quotient_of"]


@lru_cache(maxsize=2)
def _nodes(points: range) -> tuple[Vector, Vector]:
    """The points, and their barycentric weights."""
    return np.array(points, dtype=np.uint64), np.array(barycentric_weights(points), dtype=np.uint64)


def lagrange_weights(points: range, at: Element) -> Vector:
    """The weights that take a polynomial's values at the points to its value at `at`, which is not in F_p.

    Returns:
        uint64[2, points]: the two parts of each weight.
    """
    from . import kernels

    out = np.empty((2, len(points)), dtype=np.uint64)
    kernels.lagrange(*_nodes(points), np.uint64(at[0]), np.uint64(at[1]), out)
    return out


@lru_cache(maxsize=1)
def _extension_matrix() -> Vector:
    """The matrix that takes a column's rows to its values at the quotient's points."""
    return lagrange_matrix(DATA_POINTS, QUOTIENT_POINTS)


@lru_cache(maxsize=1)
def _vanishing_inverses() -> Vector:
    """1 / Z at the quotient's points; Z is zero at the rows of data."""
    values = []
    for point in QUOTIENT_POINTS:
        value = 1
        for row in range(1, ROWS + 1):
            value = value * (point - row) % P
        values.append(value)
    return np.array(inverses(values), dtype=np.uint64)


def _pairs(elements: list[Element]) -> Vector:
    """Elements of E as uint64[count, 2]."""
    return np.array(elements, dtype=np.uint64).reshape(-1, 2)


def projected(transcript: Transcript, terms: Terms, root: bytes, update: Vector) -> list[int]:
    """The 256 projections of an update's columns, modulo P; where the norm is exact, its columns themselves."""
    if terms.is_exact:
        return [int(one) for one in update] + [0] * (PROJECTIONS - update.size)
    from . import kernels

    sums = np.zeros((2, PROJECTIONS), dtype=np.int64)
    source = transcript.projections(root)
    for start in range(0, update.size, BLOCK):
        block = update[start : start + BLOCK]
        kernels.project(words(source, block.size), block, sums)
    out = np.empty(PROJECTIONS, dtype=np.uint64)
    kernels.join(sums, out)
    return [int(one) for one in out]


def quotient_of(terms: Terms, alpha: Element, table: Vector) -> Vector:
    """The values of G / Z at the quotient's points, uint64[914]: two elements of F_p for each.

    `table` is the witness by rows, uint64[66, width].
    """
    from . import kernels

    layout = terms.layout
    values = matmul(_extension_matrix(), table)
    out = np.empty(2 * len(QUOTIENT_POINTS), dtype=np.uint64)
    groups = len(layout.projections) // ROWS
    constants = np.array([DIGIT_OFFSET, terms.norm_factor], dtype=np.uint64)
    alphas = _pairs(powers(alpha, len(layout.bases) + 1))
    kernels.quotient(values, layout.bases, groups, constants, alphas, _vanishing_inverses(), out)
    return out


def gadget(terms: Terms, alpha: Element, columns: list[Element]) -> Element:
    """The value of G, in E, for these values of the columns.

    It is 0 at a row that is as it should be, and at another row only for few choices of α (docs/proof.md).
    """
    layout = terms.layout
    total, power = ZERO, ONE
    for column, base in zip(columns, layout.bases, strict=False):
        total = add(total, multiply(power, _falling(column, int(base))))
        power = multiply(power, alpha)
    squares = ZERO
    for group in range(len(layout.projections) // ROWS):
        number: Element = (-DIGIT_OFFSET % P, 0)
        for digit in range(DIGITS):
            number = add(number, scale(columns[DIGITS * group + digit], 8**digit))
        squares = add(squares, multiply(number, number))
    allowance, rest = columns[len(layout.bases) :]
    wanted = add(scale(multiply(allowance, allowance), terms.norm_factor), rest)
    return add(total, multiply(power, subtract(squares, wanted)))


def _falling(value: Element, base: int) -> Element:
    product = value
    for one in range(1, base):
        product = multiply(product, subtract(value, (one, 0)))
    return product


class Functionals:
    """The functionals of one dealing. Only the update's part of V takes time that grows with the update."""

    def __init__(self, transcript: Transcript, terms: Terms, roots: list[bytes]) -> None:
        from . import kernels

        self._transcript, self._terms, self._roots = transcript, terms, roots
        self._equations: Equations = equations(terms)
        self.point = transcript.point(roots[2])
        mu = powers(transcript.mu(roots[2]), self._equations.count)
        weights = _pairs(mu)
        self._projections = mu[self._equations.first_projection :]
        self._of_cells = np.zeros((2, terms.layout.cells), dtype=np.uint64)
        self._of_tail = np.zeros((2, terms.columns - terms.update_columns), dtype=np.uint64)
        kernels.combine(*self._equations.of_cells, weights, self._of_cells)
        kernels.combine(*self._equations.of_tail, weights, self._of_tail)
        self.constant = ZERO
        for one, power in zip(self._equations.constants, mu, strict=True):
            self.constant = add(self.constant, scale(power, one))
        self._at_point = lagrange_weights(DATA_POINTS, self.point)
        self._quotient_at_point = self._quotient_weights()

    def _quotient_weights(self) -> Vector:
        """The weights of the quotient at r, for the two elements of each of its values: uint64[2, 914]."""
        values = lagrange_weights(QUOTIENT_POINTS, self.point)
        found = np.empty((2, 2 * len(QUOTIENT_POINTS)), dtype=np.uint64)
        found[:, 0::2] = values  # the weight, and then the weight times X
        found[0, 1::2] = [NON_RESIDUE * int(b) % P for b in values[1]]
        found[1, 1::2] = values[0]
        return found

    def vanishing(self) -> Element:
        """Z at the point r."""
        return vanishing(self.point, range(1, ROWS + 1))

    def of_rows(self, rows: tuple[Vector, Vector, Vector]) -> Vector:
        """The functionals of the K rows from which a dealing is made, uint64[K, C_s] of each stage s.

        Folds the projections into one row of weights, once for all K rows.

        Returns:
            uint64[K, 2·(width + 2)]: V, each column at r, the quotient at r, two elements each.
        """
        vector, witness, quotient = rows
        size = self._terms.update_columns
        parts = [self._of_witness(witness, quotient)]
        parts[0][:, :2] = _sums(parts[0][:, :2], _dots(self._of_tail, np.ascontiguousarray(vector[:, size:])))
        if size:
            parts[0][:, :2] = _sums(parts[0][:, :2], _dots(self._of_update(), vector))
        return parts[0]

    def of_share(self, rows: tuple[Vector, Vector, Vector]) -> list[int]:
        """The functionals of one holder's values, uint64[C_s] of each stage s, in the order of `of_rows`."""
        vector, witness, quotient = rows
        size = self._terms.update_columns
        found = self._of_witness(witness[None], quotient[None])
        found[:, :2] = _sums(found[:, :2], _dots(self._of_tail, vector[None, size:]))
        first, second, *others = (int(one) for one in found[0])
        value: Element = (first, second)
        if size:
            for power, one in zip(
                self._projections, projected(self._transcript, self._terms, self._roots[0], vector[:size]), strict=True
            ):
                value = subtract(value, scale(power, one))
        return [*value, *others]

    def _of_update(self) -> Vector:
        """The weights of the update's columns in V: - Σ_k z_k times the power of μ of projection k, uint64[2, S]."""
        from . import kernels

        columns = self._terms.update_columns
        if self._terms.is_exact:
            return _pairs([(-a % P, -b % P) for a, b in self._projections[:columns]]).T.copy()
        pairs = _pairs(self._projections)
        low, high = pairs & np.uint64(2**32 - 1), pairs >> np.uint64(32)
        halves = np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]]).astype(np.int64)
        source = self._transcript.projections(self._roots[0])
        out = np.empty((2, columns), dtype=np.uint64)
        for start in range(0, columns, BLOCK):
            kernels.fold(words(source, min(BLOCK, columns - start)), halves, start, out)
        return out

    def _of_witness(self, witness: Vector, quotient: Vector) -> Vector:
        """The parts of the functionals that take the second and the third stage."""
        layout = self._terms.layout
        found = np.empty((witness.shape[0], 2 * (layout.width + 2)), dtype=np.uint64)
        found[:, :2] = _dots(self._of_cells, witness)
        for row, cells in zip(found, witness, strict=True):
            row[2:-2] = matmul(self._at_point, layout.table(cells)).T.ravel()
        found[:, -2:] = _dots(self._quotient_at_point, quotient)  # without its last two elements, the blinding
        return found


def _dots(weights: Vector, rows: Vector) -> Vector:
    """The dot products of the beginning of each row with each row of weights: uint64[rows, weights]."""
    from ..kernels import vectors as kernels

    out = np.zeros((rows.shape[0], weights.shape[0]), dtype=np.uint64)
    kernels.add_dot_products(weights, rows, 0, out)
    return out


def _sums(a: Vector, b: Vector) -> Vector:
    """The sum of two small arrays, element by element."""
    sums = [(int(x) + int(y)) % P for x, y in zip(a.ravel(), b.ravel(), strict=True)]
    return np.array(sums, dtype=np.uint64).reshape(a.shape)
