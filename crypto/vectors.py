"""Arithmetic on whole field vectors: the checked front of the compiled kernels.

Every function checks types and shapes before it hands its arguments to machine code that trusts them.
Elements are taken to be canonical. Code that reads vectors from the wire checks that once (`field.from_bytes`).

The kernels are imported by the first call, not with this module: numba takes the better part of a second to
load, and most commands never touch a vector.
"""

import numpy as np
from numpy.typing import NDArray

from .field import Vector
from .prng import BLOCK, Stream


def checked(x: Vector, *shape: int | None) -> Vector:
    """Return x itself after checking that it is a C-contiguous uint64 array of that shape.

    Does not look at the elements.

    Args:
        x: the array.
        *shape: its size in each dimension; None stands for any size.

    Raises:
        ValueError: another type or shape, or an array that is not contiguous and aligned.
    """
    if x.dtype != np.uint64 or not x.dtype.isnative:
        raise ValueError(f"a field vector is an array of uint64, not {x.dtype}")
    if len(shape) != x.ndim or any(want not in (None, have) for want, have in zip(shape, x.shape, strict=True)):
        raise ValueError(f"shape {x.shape} where {shape} is needed (None is any)")
    if not x.flags.c_contiguous or not x.flags.aligned:
        raise ValueError("a field vector is contiguous and aligned in memory")
    return x


def add_into(accumulator: Vector, x: Vector) -> None:
    """Add x to the accumulator in place; both are uint64[C].

    Raises:
        ValueError: the lengths differ.
    """
    from .kernels import vectors

    vectors.add_into(checked(accumulator, None), checked(x, accumulator.size))


def matmul(A: Vector, X: Vector, Y: Vector | None = None) -> Vector:
    """The matrix product of A[m, k] and X[k, C]: uint64[m, C].

    With Y[l, C], A is A[m, k + l], and the other factor is the rows of X followed by those of Y.

    Raises:
        ValueError: the shapes do not match.
    """
    from .kernels import vectors

    checked(A, None, None)
    columns = checked(X, None, None).shape[1]
    rest = X[:0] if Y is None else checked(Y, None, columns)
    checked(X, A.shape[1] - rest.shape[0], None)
    out = np.empty((A.shape[0], columns), dtype=np.uint64)
    vectors.matmul(A, X, rest, out)
    return out


def dot(x: Vector, y: Vector) -> int:
    """The sum over c of x[c] * y[c]; both are uint64[C].

    Raises:
        ValueError: the lengths differ.
    """
    from .kernels import vectors

    out = np.zeros((1, 1), dtype=np.uint64)
    vectors.add_dot_products(checked(x, None)[None], checked(y, x.size)[None], 0, out)
    return int(out[0, 0])


def fingerprint(seed: bytes, x: Vector) -> tuple[int, int]:
    """The dot products of x, uint64[C], with two independent pseudorandom vectors that follow from the seed.

    Two different vectors that were fixed before the seed was known have the same fingerprint with probability
    p^-2, about 2^-128, if AES stands for random elements. Fingerprints are linear: that of a sum is the sum of the
    fingerprints (mod P). A vector that is chosen when the seed is known can have any fingerprint.
    """
    first, second = fingerprints(seed, checked(x, None)[None])[0]
    return int(first), int(second)


def fingerprints(seed: bytes, rows: Vector, columns: int | None = None) -> NDArray[np.uint64]:
    """The fingerprint of each row, or of its first `columns` elements: uint64[m, 2] for rows[m, C].

    The pseudorandom vectors are made a block at a time. Each block meets all rows while it is in the cache.

    Raises:
        ValueError: `columns` is more than C.
    """
    total = checked(rows, None, None).shape[1] if columns is None else columns
    if total > rows.shape[1]:
        raise ValueError(f"{total} columns of rows with only {rows.shape[1]}")
    running = RunningFingerprints(seed, rows.shape[0])
    running.add(rows, total)
    return running.values


class RunningFingerprints:
    """The fingerprints of m rows that come in pieces; `values`, uint64[m, 2], are those of the pieces so far."""

    __slots__ = ("_streams", "values")

    def __init__(self, seed: bytes, rows: int = 1) -> None:
        self._streams = [Stream(seed, b"fingerprint 1"), Stream(seed, b"fingerprint 2")]
        self.values = np.zeros((rows, 2), dtype=np.uint64)

    def add(self, rows: Vector, columns: int | None = None) -> None:
        """Take the next piece of all rows, uint64[m, C]. Only its first `columns` columns count; None is all."""
        from .kernels import vectors

        checked(rows, self.values.shape[0], None)
        total = rows.shape[1] if columns is None else columns
        for start in range(0, total, BLOCK):
            weights = np.empty((2, min(BLOCK, total - start)), dtype=np.uint64)
            for row, stream in zip(weights, self._streams, strict=True):
                stream.fill(row)
            vectors.add_dot_products(weights, rows, start, self.values)
