"""Shamir's secret sharing ("How to share a secret", 1979) on whole batches, and its packed form.

A column of l secrets becomes one polynomial of degree below K whose values at l agreed points are the secrets.
A share is its value at the holder's point. The other K - l degrees of freedom are random: the polynomial is
S + Z·R, where S has degree below l and the secrets as values, Z vanishes where the secrets sit, and the
coefficients of R are the randomness. Any K shares give the secrets back. K - l or fewer say nothing about them,
without any assumption, if the randomness is uniform and used once (Franklin and Yung, "Communication complexity of
secure computation", 1992). With l > 1, numbers of shares between K - l and K give part of the information away.

The places of the points decide what sharing and reconstruction cost. On the *line*, secrets sit at 0, -1, -2, ...
and holders (counted from 0) at 1, 2, 3, ...; with l = 1 the polynomial is the familiar secret + r_1·x + r_2·x^2
+ ..., and everything is a matrix product, K multiplications for each share. On the *cosets* of `ntt`, secrets
sit at the roots of unity of order l and holders in the coset of 7, which contains none of these. There a transform
makes all n shares in n·log n multiplications, and opens them although some are missing: see `erasures`.

Reconstruction comes in three ways with the same results: one product with Lagrange's matrix; Newton's divided
differences, which take shares one by one, each at a cost proportional to the shares so far, and leave nothing to do
after the last one; and the transform. Each detects that surplus shares contradict the others; none tells which ones
are wrong, as `robust` does. `dealing` has shares for holders that do not trust the dealer.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np

from .. import cosets, erasures
from ..field import P, Vector, inverse, inverses, lagrange_matrix
from ..vectors import add_into, checked, matmul


class InconsistentShares(ValueError):
    """More than K shares that do not lie on polynomials of degree below K."""


class Placement(enum.Enum):
    """Where secrets and holders sit: on the line or on cosets of roots of unity."""

    LINE = "line"
    COSETS = "cosets"


class Way(enum.Enum):
    """How shares, or the secrets behind them, are computed. The result is the same for each way."""

    LAGRANGE = "lagrange"
    NEWTON = "newton"
    NTT = "ntt"


COSET_HOLDERS: Final = 16  # from so many holders on, a transform shares faster than a matrix for some thresholds

# Costs of matrices and transforms, as benchmarks/holders.py measures them. The unit is one product of two elements
# within a long sum of products. In a matrix product, each element of the result costs this on top of its sum:
_ELEMENT: Final = 6.0
# Costs of a transform: for each of its points, and for each of its levels at each point.
_SHARING: Final = (8.0, 1.5)
_OPENING: Final = (6.0, 1.3)
_OPENING_IN_BLOCKS: Final = (2.0, 0.9)
# Costs that do not grow with the columns: an entry of either matrix, and a weight for a transform with erasures.
_SHARING_ENTRY: Final = 1300.0
_OPENING_ENTRY: Final = 6500.0
_WEIGHT: Final = 5000.0
_SMALL: Final = 2**22  # products with factors below this cost a third; no transform beats that in small committees


def _transform_cost(size: int, cost: tuple[float, float]) -> float:
    each, level = cost
    return size * (each + level * (size.bit_length() - 1))


@dataclass(frozen=True, slots=True)
class Scheme:
    """m holders, of whom any `threshold` = K open `pack` = l secrets and any K - l learn nothing.

    1 <= l < K <= m: with l = K a column would have no randomness at all. On cosets l is a power of two.

    Raises:
        ValueError: the numbers do not meet these conditions, or there are more holders than a coset has points.
    """

    holders: int
    threshold: int
    pack: int = 1
    placement: Placement = Placement.LINE

    def __post_init__(self) -> None:
        if not 1 <= self.pack < self.threshold <= self.holders:
            raise ValueError(f"{self.holders} holders, threshold {self.threshold}, {self.pack} packed secrets")
        if self.placement is Placement.COSETS:
            if self.pack & (self.pack - 1):
                raise ValueError(f"on cosets, a power of two of secrets is packed, not {self.pack}")
            if self.holders > cosets.MAX_POINTS:
                raise ValueError(f"{self.holders} holders where a coset has at most {cosets.MAX_POINTS} points")

    @classmethod
    def for_committee(cls, holders: int, threshold: int, pack: int = 1) -> "Scheme":
        """The scheme with the placement that is fastest for so many holders.

        Raises:
            ValueError: as `Scheme` does.
        """
        # The largest factor in the matrix. 64 is enough as an exponent: 2^64 is beyond _SMALL already.
        small_factors = pack == 1 and holders ** min(threshold - 1, 64) < _SMALL
        large = holders >= COSET_HOLDERS and not small_factors and pack > 0 and pack & (pack - 1) == 0
        return cls(holders, threshold, pack, Placement.COSETS if large else Placement.LINE)

    @property
    def secret_points(self) -> Sequence[int]:
        """The points of the secrets: 0, -1, -2, ... (mod P), or roots of unity. No holder sits at one."""
        if self.placement is Placement.COSETS:
            return self._secret_coset.points
        return [-i % P for i in range(self.pack)]

    @property
    def points(self) -> Sequence[int]:
        """The points of the holders, by index: 1, 2, 3, ..., or the first points of the coset of 7."""
        if self.placement is Placement.COSETS:
            return self._coset.points[: self.holders]
        return range(1, self.holders + 1)

    @property
    def _coset(self) -> cosets.Coset:
        return cosets.coset(1 << (self.holders - 1).bit_length(), cosets.GENERATOR)

    @property
    def _secret_coset(self) -> cosets.Coset:
        return cosets.coset(self.pack)

    def sharing_matrix(self) -> Vector:
        """The matrix, uint64[m, K], that takes l secrets followed by K - l random elements to their shares."""
        secret_points = self.secret_points
        secrets = lagrange_matrix(secret_points, self.points)
        randomness = []
        for x in self.points:
            entry = _distance(x, secret_points)
            row = []
            for _ in range(self.threshold - self.pack):
                row.append(entry)
                entry = entry * x % P
            randomness.append(row)
        return np.concatenate([secrets, np.array(randomness, dtype=np.uint64)], axis=1)

    def share(self, secrets: Vector, randomness: Vector, way: Way | None = None) -> Vector:
        """Share out C columns of secrets.

        Args:
            secrets: uint64[l, C], or uint64[C] with l = 1.
            randomness: uint64[K - l, C], uniform, secret, and used for nothing else.
            way: by matrix (`Way.LAGRANGE`) or by transform; None chooses the faster one for these sizes.

        Returns:
            The shares, uint64[m, C]; row i is that of holder i.

        Raises:
            ValueError: other shapes, Newton's way, or a transform on the line.
        """
        secrets = checked(secrets[None] if secrets.ndim == 1 else secrets, self.pack, None)
        checked(randomness, self.threshold - self.pack, secrets.shape[1])
        match way or self.sharing_way(secrets.shape[1]):
            case Way.LAGRANGE:
                return matmul(self.sharing_matrix(), secrets, randomness)
            case Way.NEWTON:
                raise ValueError("Newton's differences open, they do not share")
            case Way.NTT:
                return self._share_by_transform(secrets, randomness)

    def _share_by_transform(self, secrets: Vector, randomness: Vector) -> Vector:
        if self.placement is Placement.LINE:
            raise ValueError("holders on the line have no transform")
        from ..kernels import transforms as kernels

        out = np.empty((self.holders, secrets.shape[1]), dtype=np.uint64)
        inward = self._secret_coset.inverse_roots
        kernels.share(secrets, randomness, inward, inverse(self.pack), self._coset.roots, out)
        return out

    def sharing_way(self, columns: int) -> Way:
        """The fastest way to share so many columns."""
        if self.placement is Placement.LINE:
            return Way.LAGRANGE
        entries = self.holders * self.threshold
        matrix = columns * self.holders * (_ELEMENT + self.threshold) + entries * _SHARING_ENTRY
        transform = columns * (_transform_cost(self._coset.size, _SHARING) + _transform_cost(self.pack, _SHARING))
        return Way.LAGRANGE if matrix < transform else Way.NTT

    def opening_way(self, shares: int, columns: int) -> Way:
        """The fastest way to open so many columns from so many shares that are all there."""
        # Newton's differences are for shares that come one by one: for all shares at once the matrix is faster.
        if self.placement is Placement.LINE:
            return Way.LAGRANGE
        rows = shares - self.threshold + self.pack
        matrix = columns * rows * (_ELEMENT + self.threshold) + rows * self.threshold * _OPENING_ENTRY
        size = self._coset.size
        each = _OPENING_IN_BLOCKS if erasures.in_blocks(size) else _OPENING
        transform = columns * (_transform_cost(size, each) + _transform_cost(self.pack, _OPENING)) + size * _WEIGHT
        return Way.LAGRANGE if matrix < transform else Way.NTT

    def reconstruct(self, indices: Sequence[int], rows: Vector, way: Way | None = None) -> Vector:
        """Open C columns from the shares of at least K holders.

        Exactly K shares always open, also when some are wrong; only surplus shares can contradict them.

        Args:
            indices: the holders, in any order.
            rows: uint64[m', C], m' >= K; row i is the share of holder indices[i].
            way: how; None chooses the fastest way for these sizes.

        Returns:
            The secrets, uint64[l, C].

        Raises:
            InconsistentShares: the rows do not lie on polynomials of degree below K.
            ValueError: too few rows, other shapes, indices that are out of range or occur twice, or a transform on the
                line.
        """
        checked(rows, len(indices), None)
        points = [self._point(index) for index in indices]
        if len(points) < self.threshold:
            raise ValueError(f"{len(points)} shares where {self.threshold} are needed")
        if len(set(points)) != len(points):
            raise ValueError("a holder occurs twice")
        match way or self.opening_way(len(points), rows.shape[1]):
            case Way.LAGRANGE:
                return self._by_lagrange(points, rows)
            case Way.NEWTON:
                return self._by_newton(indices, rows)
            case Way.NTT:
                return self._by_transform(indices, rows)

    def _by_lagrange(self, points: Sequence[int], rows: Vector) -> Vector:
        """By one matrix, whose rows give the secrets and then what the rows beyond the K-th must be."""
        first, rest = points[: self.threshold], points[self.threshold :]
        matrix = lagrange_matrix(first, [*self.secret_points, *rest])
        found = matmul(matrix, rows[: self.threshold])
        if not np.array_equal(found[self.pack :], rows[self.threshold :]):
            raise _inconsistent(len(points))
        return found[: self.pack]

    def _by_newton(self, indices: Sequence[int], rows: Vector) -> Vector:
        newton = Newton(self, rows.shape[1])
        for index, row in zip(indices, rows, strict=True):
            if not newton.add(index, row):
                raise _inconsistent(len(indices))
        return newton.secrets()

    def _by_transform(self, indices: Sequence[int], rows: Vector) -> Vector:
        if self.placement is Placement.LINE:
            raise ValueError("holders on the line have no transform")
        found = erasures.opened(self._coset, self._secret_coset, indices, rows, self.threshold)
        if found is None:
            raise _inconsistent(len(indices))
        return found

    def _point(self, index: int) -> int:
        if not 0 <= index < self.holders:
            raise ValueError(f"no holder {index} among {self.holders}")
        return self._coset.points[index] if self.placement is Placement.COSETS else index + 1


def _inconsistent(count: int) -> InconsistentShares:
    return InconsistentShares(f"{count} shares are not of one sharing")


def _distance(x: int, points: Sequence[int]) -> int:
    """The product of all (x - point) modulo P."""
    product = 1
    for point in points:
        product = product * (x - point) % P
    return product


class Newton:
    """Reconstruction share by share, by Newton's divided differences.

    The polynomial through the shares y_0 ... y_k at x_0 ... x_k is the polynomial through the first k of them plus
    f[x_0 ... x_k]·(x - x_0)···(x - x_{k-1}), so a further share adds one term to each secret. After K shares the
    polynomial is complete. The term of any further share then vanishes if and only if that share lies on it.
    """

    __slots__ = ("_bases", "_columns", "_points", "_products", "_rows", "_scheme", "_secrets")

    def __init__(self, scheme: Scheme, columns: int) -> None:
        self._scheme = scheme
        self._columns = columns
        self._points: list[int] = []
        self._products: list[int] = []  # of (x_i - x_j) over all j != i, for the first K points
        self._bases = [1] * scheme.pack  # of (z - x_j) over the same points, for each secret's point z
        # One row more than needed: room for a late share, to be compared with the others.
        self._rows = np.empty((scheme.threshold + 1, columns), dtype=np.uint64)
        self._secrets = np.zeros((scheme.pack, columns), dtype=np.uint64)

    def __repr__(self) -> str:
        return f"Newton({self._scheme}, shares={len(self._points)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a reconstruction holds shares and is not pickled")

    @property
    def complete(self) -> bool:
        """Whether there are at least K shares."""
        return len(self._points) >= self._scheme.threshold

    def add(self, index: int, row: Vector) -> bool:
        """Take a holder's share, uint64[C]; False if the reconstruction was complete and the share contradicts it.

        Raises:
            ValueError: another shape, an index out of range, or a holder that gave its share before.
        """
        point = self._scheme._point(index)
        if point in self._points:
            raise ValueError(f"holder {index} occurs twice")
        late = self.complete
        used = min(len(self._points), self._scheme.threshold)
        self._rows[used] = checked(row, self._columns)
        before = self._points[:used]
        products = [product * (x - point) % P for product, x in zip(self._products, before, strict=True)]
        products.append(_distance(point, before))
        self._points.append(point)
        difference = inverses(products)  # f[x_0 ... x_k] = Σ y_i / Π_{j != i} (x_i - x_j)
        if late:
            return not matmul(np.array([difference], dtype=np.uint64), self._rows[: used + 1]).any()
        self._products = products
        terms = [[base * weight % P for weight in difference] for base in self._bases]
        targets = self._scheme.secret_points
        self._bases = [base * (z - point) % P for base, z in zip(self._bases, targets, strict=True)]
        for secret, term in zip(
            self._secrets, matmul(np.array(terms, dtype=np.uint64), self._rows[: used + 1]), strict=True
        ):
            add_into(secret, term)
        return True

    def secrets(self) -> Vector:
        """The secrets, uint64[l, C].

        Raises:
            ValueError: there are fewer than K shares.
        """
        if not self.complete:
            raise ValueError(f"{len(self._points)} shares where {self._scheme.threshold} are needed")
        return self._secrets.copy()
