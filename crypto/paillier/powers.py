"""Many powers at once: of one base that is known beforehand, and products of powers of many bases."""

from collections.abc import Sequence
from typing import Final

from .arithmetic import inverse, number

_WINDOW: Final = 4  # bits of each exponent that a product of powers takes at a time


class FixedBase:
    """A table of base^(d·2^(w·i)) for all digits d < 2^w and all positions i: a power is one product for each digit.

    Wider digits make powers cheaper and the table larger: exponent_bits / w rows of 2^w numbers. Source: Brickell,
    Gordon, McCurley and Wilson, "Fast exponentiation with precomputation" (Eurocrypt 1992).
    """

    __slots__ = ("_rows", "_window", "exponent_bits", "modulus")

    def __init__(self, base: int, modulus: int, exponent_bits: int, window: int) -> None:
        self.modulus = number(modulus)
        self.exponent_bits = exponent_bits
        self._window = window
        self._rows: list[list[int]] = []
        step = number(base) % self.modulus
        for _ in range(-(-exponent_bits // window)):
            row = [number(1)]
            for _ in range(2**window - 1):
                row.append(row[-1] * step % self.modulus)
            self._rows.append(row)
            step = row[-1] * step % self.modulus

    def power(self, exponent: int) -> int:
        """base^exponent mod modulus. Raises ValueError for an exponent that is negative or too long for the table."""
        if exponent < 0 or exponent.bit_length() > self.exponent_bits:
            raise ValueError(f"an exponent of {exponent.bit_length()} bits, the table is for {self.exponent_bits}")
        mask = 2**self._window - 1
        modulus = self.modulus
        product = number(1)
        exponent = int(exponent)
        if self._window == 8:  # bytes are digits already
            for row, digit in zip(self._rows, exponent.to_bytes(len(self._rows), "little"), strict=True):
                product = product * row[digit] % modulus
            return product
        for i, row in enumerate(self._rows):
            digit = (exponent >> (self._window * i)) & mask
            if digit:
                product = product * row[digit] % modulus
        return product


def product_of_powers(bases: Sequence[int], exponents: Sequence[int], modulus: int) -> int:
    """The product of bases[i]^exponents[i], exponents not negative: all share one chain of squarings (Straus 1964)."""
    modulus = number(modulus)
    tables = []
    for base in bases:
        row = [number(1), number(base) % modulus]
        for _ in range(2**_WINDOW - 2):
            row.append(row[-1] * row[1] % modulus)
        tables.append(row)
    longest = max((exponent.bit_length() for exponent in exponents), default=0)
    product = number(1)
    for position in range(-(-longest // _WINDOW) - 1, -1, -1):
        for _ in range(_WINDOW):
            product = product * product % modulus
        for row, exponent in zip(tables, exponents, strict=True):
            digit = (exponent >> (_WINDOW * position)) & (2**_WINDOW - 1)
            if digit:
                product = product * row[digit] % modulus
    return product % modulus


def signed_product(bases: Sequence[int], exponents: Sequence[int], modulus: int) -> int:
    """The product of bases[i]^exponents[i], for exponents of either sign, with one inversion."""
    halves = []
    for sign in (1, -1):
        chosen = [(base, abs(e)) for base, e in zip(bases, exponents, strict=True) if e * sign > 0]
        halves.append(product_of_powers([base for base, _ in chosen], [e for _, e in chosen], modulus))
    return halves[0] * inverse(halves[1], modulus) % modulus
