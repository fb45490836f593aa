"""The prime field F_p, p = 2^64 - 2^32 + 1 ("Goldilocks"), in plain integers.

The functions here are for a handful of elements: interpolation points, matrix entries, fingerprints. Whole
vectors go through `vectors`. This module does not need its compiled kernels, so importing it costs next to
nothing.

A *field vector* is a C-contiguous numpy array of uint64 whose elements are canonical, that is, less than P.
On the wire it is the same numbers as little-endian bytes, eight to an element.

A polynomial is a list of coefficients, the constant term first.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

P: Final = 2**64 - 2**32 + 1
ELEMENT_BYTES: Final = 8

Vector = NDArray[np.uint64]


def inverse(a: int) -> int:
    """The b with a * b = 1 (mod P).

    Raises:
        ValueError: a is a multiple of P.
    """
    return pow(a, -1, P)


def inverses(values: Sequence[int]) -> list[int]:
    """The inverses of all values, by one inversion and three products a value (Montgomery's trick).

    Raises:
        ValueError: one of the values is a multiple of P.
    """
    products = [1]
    for value in values:
        products.append(products[-1] * value % P)
    rest = inverse(products[-1])
    found = []
    for value, product in zip(reversed(values), reversed(products[:-1]), strict=True):
        found.append(rest * product % P)
        rest = rest * value % P
    return found[::-1]


def evaluate(coefficients: Sequence[int], x: int) -> int:
    """The polynomial's value at x modulo P, by Horner's rule."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % P
    return value


def from_roots(roots: Sequence[int]) -> list[int]:
    """The len(roots) + 1 coefficients of the product of (X - root) over all roots."""
    product = [1]
    for root in roots:
        shifted, scaled = [0, *product], [*product, 0]
        product = [(high - root * low) % P for high, low in zip(shifted, scaled, strict=True)]
    return product


def interpolate(xs: Sequence[int], ys: Sequence[int]) -> list[int]:
    """The len(xs) coefficients of the polynomial of least degree through the points (xs[i], ys[i]).

    Raises:
        ValueError: two of the xs are equal modulo P, or there are not as many ys.
    """
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} points but {len(ys)} values")
    vanishing = from_roots(xs)
    coefficients = [0] * len(xs)
    for x, y, weight in zip(xs, ys, barycentric_weights(xs), strict=True):
        scale = y * weight % P
        carry = 0
        for power in range(len(xs), 0, -1):  # adds scale times `vanishing` / (X - x), by synthetic division
            carry = (vanishing[power] + carry * x) % P
            coefficients[power - 1] += scale * carry
    return [coefficient % P for coefficient in coefficients]


def barycentric_weights(xs: Sequence[int]) -> list[int]:
    """1 / Π_{j != i} (xs[i] - xs[j]) for each i: the weights of Lagrange's formula.

    Raises:
        ValueError: two of the xs are equal modulo P.
    """
    products = []
    for i, x in enumerate(xs):
        product = 1
        for j, other in enumerate(xs):
            if j != i:
                product = product * (x - other) % P
        if product == 0:
            raise ValueError(f"the point x = {x} occurs twice")
        products.append(product)
    return inverses(products)


def lagrange_matrix(xs: Sequence[int], targets: Sequence[int]) -> Vector:
    """The matrix that takes a polynomial's values at xs to its values at targets.

    The polynomial's degree must be below len(xs).

    Returns:
        uint64[len(targets), len(xs)].

    Raises:
        ValueError: two of the xs are equal modulo P, or there are none.
    """
    if not xs:
        raise ValueError("a polynomial needs at least one point")
    xs = [x % P for x in xs]
    weights = barycentric_weights(xs)
    rows = []
    for target in (t % P for t in targets):
        if target in xs:
            rows.append([int(x == target) for x in xs])
            continue
        distance = 1
        for x in xs:
            distance = distance * (target - x) % P
        differences = inverses([target - x for x in xs])
        rows.append([distance * w * d % P for w, d in zip(weights, differences, strict=True)])
    return np.array(rows, dtype=np.uint64).reshape(len(rows), len(xs))


def is_canonical(x: Vector) -> bool:
    """Whether every element is less than P; true of an empty vector."""
    return x.size == 0 or int(x.max()) < P


def to_bytes(x: Vector) -> bytes:
    """The vector as little-endian bytes, eight to an element."""
    return x.astype("<u8", copy=False).tobytes()


def from_bytes(data: bytes | memoryview, count: int) -> Vector:
    """The vector uint64[count] that these bytes encode, as a copy.

    Raises:
        ValueError: the length is not exactly 8 * count, or an element is not canonical.
    """
    if len(data) != ELEMENT_BYTES * count:
        raise ValueError(f"{len(data)} bytes where {count} field elements take {ELEMENT_BYTES * count}")
    x = np.frombuffer(data, dtype="<u8").astype(np.uint64)
    if not is_canonical(x):
        raise ValueError("a field element is not below the field's prime")
    return x
