"""Shamir's secret sharing ("How to share a secret", 1979) on whole batches, and its packed form.

A column of l secrets becomes one polynomial of degree below K whose values at 0, -1, ..., 1 - l are the
secrets; share j (counted from 0) is its value at j + 1. The other K - l degrees of freedom are random: the
polynomial is S + Z·R, where S has degree below l and the secrets as values, Z vanishes where the secrets
sit, and the coefficients of R are the randomness. With l = 1 that is the familiar secret + r_1·x + r_2·x^2 +
... Any K shares give the secrets back; K - l or fewer say nothing about them (Franklin and Yung,
"Communication complexity of secure computation", 1992).

Reconstruction comes in two ways with the same results. `Scheme.reconstruct` is one matrix product over all
shares at once. `Newton` takes shares as they come: each costs O(number of shares so far) when it arrives,
and nothing is left to do after the last. Neither tells which share is wrong when some are: see `robust`.
Shares without a dealer to be trusted are in `dealing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from .field import P, Vector, barycentric_weights, lagrange_matrix
from .vectors import add_into, checked, matmul


class InconsistentShares(ValueError):
    """More than K shares, and they do not lie on polynomials of degree below K."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """m holders, of whom any `threshold` = K open `pack` = l secrets and any K - l learn nothing.

    Raises ValueError unless 1 <= l < K <= m: with l = K the shares would be the secrets in disguise.
    """

    holders: int
    threshold: int
    pack: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.pack < self.threshold <= self.holders:
            raise ValueError(f"{self.holders} holders, threshold {self.threshold}, {self.pack} packed secrets")

    @property
    def secret_points(self) -> list[int]:
        """Where the secrets sit: 0, -1, -2, ... (mod P), away from all holders."""
        return [-i % P for i in range(self.pack)]

    def sharing_matrix(self) -> Vector:
        """The matrix uint64[m, K] that takes secrets, then randomness, to shares."""
        points = [holder + 1 for holder in range(self.holders)]
        secrets = lagrange_matrix(self.secret_points, points)
        randomness = []
        for x in points:
            vanishing = 1
            for point in self.secret_points:
                vanishing = vanishing * (x - point) % P
            randomness.append([vanishing * pow(x, i, P) % P for i in range(self.threshold - self.pack)])
        return np.concatenate([secrets, np.array(randomness, dtype=np.uint64)], axis=1)

    def share(self, secrets: Vector, randomness: Vector) -> Vector:
        """secrets[l, C] and uniform randomness[K - l, C] -> shares[m, C]. With l = 1, secrets[C] will do.

        Raises ValueError for other shapes.
        """
        secrets = checked(secrets[None] if secrets.ndim == 1 else secrets, self.pack, None)
        checked(randomness, self.threshold - self.pack, secrets.shape[1])
        return matmul(self.sharing_matrix(), np.concatenate([secrets, randomness]))

    def reconstruct(self, indices: Sequence[int], rows: Vector) -> Vector:
        """rows[m', C], row i being the share of holder indices[i], m' >= K -> secrets[l, C].

        The rows beyond the K-th must agree with the others: InconsistentShares is raised when they do not.
        Raises ValueError for too few rows, other shapes, and indices that are out of range or doubled.
        """
        checked(rows, len(indices), None)
        points = [self._point(index) for index in indices]
        if len(points) < self.threshold:
            raise ValueError(f"{len(points)} shares where {self.threshold} are needed")
        first, rest = points[: self.threshold], points[self.threshold :]
        used = rows[: self.threshold]
        if len(set(points)) != len(points):
            raise ValueError("a holder occurs twice")
        if rest and not np.array_equal(matmul(lagrange_matrix(first, rest), used), rows[self.threshold :]):
            raise InconsistentShares(f"{len(points)} shares are not of one sharing")
        return matmul(lagrange_matrix(first, self.secret_points), used)

    def _point(self, index: int) -> int:
        if not 0 <= index < self.holders:
            raise ValueError(f"no holder {index} among {self.holders}")
        return index + 1


class Newton:
    """Reconstruction share by share, by Newton's divided differences.

    With the shares y_0 ... y_k at x_0 ... x_k so far, the polynomial through them is the one through the
    first k plus f[x_0 ... x_k]·(x - x_0)···(x - x_{k-1}), so a further share adds one term to each secret.
    After K shares the polynomial is complete, and the term of any further share vanishes if that share is
    right.
    """

    __slots__ = ("_columns", "_points", "_rows", "_scheme", "_secrets")

    def __init__(self, scheme: Scheme, columns: int) -> None:
        self._scheme = scheme
        self._columns = columns
        self._points: list[int] = []
        # One row more than needed: the room in which a late share is compared with the others.
        self._rows = np.empty((scheme.threshold + 1, columns), dtype=np.uint64)
        self._secrets = np.zeros((scheme.pack, columns), dtype=np.uint64)

    def __repr__(self) -> str:
        return f"Newton({self._scheme}, shares={len(self._points)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a reconstruction holds shares and is not pickled")

    @property
    def complete(self) -> bool:
        """Whether there are as many shares as are needed."""
        return len(self._points) >= self._scheme.threshold

    def add(self, index: int, row: Vector) -> bool:
        """Take the share uint64[C] of that holder; False if it contradicts a reconstruction already complete.

        Raises ValueError for a wrong shape, an index out of range and a holder that gave its share before.
        """
        point = self._scheme._point(index)
        if point in self._points:
            raise ValueError(f"holder {index} occurs twice")
        late = self.complete
        used = min(len(self._points), self._scheme.threshold)
        self._rows[used] = checked(row, self._columns)
        points = [*self._points[:used], point]
        difference = barycentric_weights(points)  # f[x_0 ... x_k] = Σ y_i / Π_{j != i} (x_i - x_j)
        self._points.append(point)
        if late:
            return not matmul(np.array([difference], dtype=np.uint64), self._rows[: used + 1]).any()
        terms = []
        for target in self._scheme.secret_points:
            newton = 1
            for x in points[:-1]:
                newton = newton * (target - x) % P
            terms.append([newton * weight % P for weight in difference])
        for secret, term in zip(
            self._secrets, matmul(np.array(terms, dtype=np.uint64), self._rows[: used + 1]), strict=True
        ):
            add_into(secret, term)
        return True

    def secrets(self) -> Vector:
        """The secrets, uint64[l, C]. Raises ValueError while there are too few shares."""
        if not self.complete:
            raise ValueError(f"{len(self._points)} shares where {self._scheme.threshold} are needed")
        return self._secrets.copy()
