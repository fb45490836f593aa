"""The field E = F_p[X] / (X^2 - 7), in plain integers.

Challenges come from E, because F_p is so small that a dealer could search for a favourable one. An element is a pair
(a, b), which stands for a + b·X; 7 is no square modulo p. Elements of F_p are pairs (a, 0).
"""

from collections.abc import Sequence
from typing import Final

from ..field import P

Element = tuple[int, int]

NON_RESIDUE: Final = 7
ZERO: Final[Element] = (0, 0)
ONE: Final[Element] = (1, 0)


def add(a: Element, b: Element) -> Element:
    """The sum a + b."""
    return (a[0] + b[0]) % P, (a[1] + b[1]) % P


def subtract(a: Element, b: Element) -> Element:
    """The difference a - b."""
    return (a[0] - b[0]) % P, (a[1] - b[1]) % P


def multiply(a: Element, b: Element) -> Element:
    """The product a * b."""
    return (a[0] * b[0] + NON_RESIDUE * a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def scale(a: Element, by: int) -> Element:
    """The product of a and an element of F_p."""
    return a[0] * by % P, a[1] * by % P


def powers(a: Element, count: int) -> list[Element]:
    """The first `count` powers of a: 1, a, a^2, ..."""
    found = [ONE]
    while len(found) < count:
        found.append(multiply(found[-1], a))
    return found[:count]


def vanishing(at: Element, points: Sequence[int]) -> Element:
    """The product of (at - point) over all points."""
    product = ONE
    for point in points:
        product = multiply(product, subtract(at, (point, 0)))
    return product
