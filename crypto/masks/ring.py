"""Products in R = Z_p[X] / (X^4096 + 1), and the public element a, one block after another.

X^4096 + 1 = X^N - ψ^N, N = 4096, for a root of unity ψ of order 2N. So the transform of R is that of a coset (`ntt`),
in which products are products of values. The public element is drawn as values: uniform values are those of a uniform
element. It is expanded from a seed that everybody knows, by AES-256 in counter mode, as in FrodoKEM. Every block has
its own element and its own stream, so a member that begins in the middle of a vector uses the same elements.
"""

import numpy as np

from .. import cosets, ntt
from ..field import P, Vector, inverse
from ..prng import Stream
from ..vectors import checked
from .parameters import DIMENSION

PUBLIC_SEED_BYTES = 32


def _coset() -> cosets.Coset:
    return cosets.coset(DIMENSION, cosets.root_of_unity(2 * DIMENSION))


def values_of(element: Vector) -> Vector:
    """The values of a ring element uint64[4096], as uint64[4096] in the order of the transform."""
    return ntt.evaluate(_coset(), checked(element, DIMENSION)[:, None].copy())[:, 0].copy()


def field_elements(small: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Vector:
    """Small signed integers as elements of F_p."""
    return np.where(small < 0, np.uint64(P) - np.abs(small).astype(np.uint64), small.astype(np.uint64))


class Products:
    """The products a·s of one ring element s with the public element of any block.

    Raises:
        ValueError: the public seed has another length, or `element` another shape.
    """

    __slots__ = ("_factor", "_public")

    def __init__(self, public_seed: bytes, element: Vector) -> None:
        if len(public_seed) != PUBLIC_SEED_BYTES:
            raise ValueError(f"a public seed has {PUBLIC_SEED_BYTES} bytes, not {len(public_seed)}")
        self._public = Stream(public_seed, b"ring element")
        # The inverse transform gives N times the product; the factor 1/N is put in here, once.
        values = values_of(element).astype(object) * inverse(DIMENSION) % P
        self._factor = values.astype(np.uint64)

    def __repr__(self) -> str:
        return "Products(<secret>)"

    def at(self, block: int, count: int) -> Vector:
        """The first `count` coefficients, uint64[count], of the products from this block on."""
        from ..kernels import transforms

        values = np.empty((-(-count // DIMENSION), DIMENSION), dtype=np.uint64)
        for place, row in enumerate(values):
            self._public.seek(block + place)
            self._public.fill(row)
        out = np.empty_like(values)
        transforms.ring_product(values, self._factor, _coset().inverse_roots, out)
        return out.reshape(-1)[:count]
