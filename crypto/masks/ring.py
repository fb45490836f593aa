"""Products in R = Z_p[X] / (X^4096 + 1), and the public element a, one block after another.

X^4096 + 1 = X^N - ψ^N for a root of unity ψ of order 2N, so R's transform is that of a coset (`ntt`), in which
products are products of values. The public element is drawn as values: uniform values are those of a uniform
element. It comes from a seed that everybody knows, by AES-256 in counter mode as in FrodoKEM; every block has its
own, and a stream of its own, so that whoever begins in the middle has the same.
"""

import numpy as np

from .. import ntt
from ..field import P, Vector, inverse
from ..prng import Stream
from ..vectors import checked
from .parameters import DIMENSION

PUBLIC_SEED_BYTES = 32


def _coset() -> ntt.Coset:
    return ntt.coset(DIMENSION, ntt.root_of_unity(2 * DIMENSION))


def values_of(element: Vector) -> Vector:
    """The values of a ring element, uint64[4096], in the order of the transform."""
    return ntt.evaluate(_coset(), checked(element, DIMENSION)[:, None].copy())[:, 0].copy()


def field_elements(small: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Vector:
    """Small signed integers as elements of F_p."""
    return np.where(small < 0, np.uint64(P) - np.abs(small).astype(np.uint64), small.astype(np.uint64))


class Products:
    """a·s for one ring element s, for any block of the public element."""

    __slots__ = ("_factor", "_public")

    def __init__(self, public_seed: bytes, element: Vector) -> None:
        if len(public_seed) != PUBLIC_SEED_BYTES:
            raise ValueError(f"a public seed has {PUBLIC_SEED_BYTES} bytes, not {len(public_seed)}")
        self._public = Stream(public_seed, b"ring element")
        # The inverse transform gives N times the product: taken off here, once.
        values = values_of(element).astype(object) * inverse(DIMENSION) % P
        self._factor = values.astype(np.uint64)

    def __repr__(self) -> str:
        return "Products(<secret>)"

    def at(self, block: int, count: int) -> Vector:
        """The first ``count`` coefficients, uint64[count], of the products from that block on."""
        from .. import transform_kernels

        values = np.empty((-(-count // DIMENSION), DIMENSION), dtype=np.uint64)
        for place, row in enumerate(values):
            self._public.seek(block + place)
            self._public.fill(row)
        out = np.empty_like(values)
        transform_kernels.ring_product(values, self._factor, _coset().inverse_roots, out)
        return out.reshape(-1)[:count]
