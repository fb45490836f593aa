"""Keys for one vector each: small ring elements drawn from seeds, as vectors for Shamir or plaintexts for Paillier.

The sum of the keys opens the sum of the vectors that they mask. For Shamir's scheme, shares of `Key.vector` are summed.
For Paillier's, a key is packed into plaintexts in base B = 2·n·BOUND + 1, with as many digits as fit below the modulus.
A digit is a coefficient made non-negative, and a sum of n digits does not carry.
"""

import struct
from collections.abc import Sequence
from typing import Final, NoReturn

import numpy as np

from ..field import P, Vector
from ..prng import derive
from ..vectors import checked
from .contents import Contents
from .parameters import BOUND, DIMENSION, MaskParameters
from .ring import field_elements
from .sampling import Gaussian, Samples

SEED_BYTES: Final = 32


class Key:
    """A secret that masks one vector and no other.

    It is derived from all of these arguments, with every number of the parameters. Otherwise one vector could be masked
    twice with one key: under two public elements, which would show the key, or with two sets of parameters, which would
    show the vector.

    Args:
        seed: 32 secret random bytes.
        context: federation, round, base model, member.
        public_seed: that of the public element, 32 bytes.
        parameters: those of the sum.
        contents: the hashes of the words.

    Raises:
        ValueError: a seed has another length.
    """

    __slots__ = ("_errors", "_small", "contents", "parameters", "public_seed")

    def __init__(
        self, seed: bytes, context: bytes, public_seed: bytes, parameters: MaskParameters, contents: Contents
    ) -> None:
        for name, value in (("seed", seed), ("public seed", public_seed)):
            if len(value) != SEED_BYTES:
                raise ValueError(f"a {name} has {SEED_BYTES} bytes, not {len(value)}")
        bound = b"%d|%b%b%b%b" % (len(context), context, public_seed, _numbers(parameters), contents.digest)
        key = derive(seed, b"mask key|" + bound)
        self._small = Gaussian(key, b"secret").draw(DIMENSION)
        self._errors = Gaussian(key, b"errors")
        self.public_seed = public_seed
        self.parameters = parameters
        self.contents = contents

    def __repr__(self) -> str:
        return "Key(<secret>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")

    @property
    def vector(self) -> Vector:
        """The key as uint64[4096], to be shared out. The sum of such vectors opens the sum of the masked ones."""
        return field_elements(self._small)

    def plaintexts(self, modulus: int, summands: int) -> tuple[int, ...]:
        """The key as numbers below `modulus`, of which up to `summands` can be added without overflow.

        Raises:
            ValueError: the modulus has no room for one coefficient, or `summands` is below 1.
        """
        base, digits = _packing(modulus, summands)
        shifted = [int(k) + BOUND for k in self._small]
        packed = []
        for start in range(0, DIMENSION, digits):
            number = 0
            for digit in reversed(shifted[start : start + digits]):
                number = number * base + digit
            packed.append(number)
        return tuple(packed)

    def errors(self, block: int, count: int) -> Samples:
        """The errors for `count` words from this block on, int32[count]. Each block has its own stream of errors."""
        drawn = np.empty(count, dtype=np.int32)
        for place, start in enumerate(range(0, count, DIMENSION), block):
            part = drawn[start : start + DIMENSION]
            self._errors.seek(place)
            part[:] = self._errors.draw(part.size)
        return drawn


def _numbers(parameters: MaskParameters) -> bytes:
    """Every number on which masks and sums depend, as bytes of a fixed length."""
    numbers = (parameters.summands, parameters.bits, parameters.encoding.limit, parameters.radix, parameters.scale)
    return b"".join(number.to_bytes(8, "big") for number in numbers) + struct.pack(">d", parameters.clip)


def plaintext_count(modulus: int, summands: int) -> int:
    """The number of plaintexts that a key takes.

    Raises:
        ValueError: as `Key.plaintexts` does.
    """
    return -(-DIMENSION // _packing(modulus, summands)[1])


def unpack_sum(plaintexts: Sequence[int], modulus: int, summands: int, added: int) -> Vector:
    """The sum of `added` keys, uint64[4096], from the sums of their plaintexts, which were packed for `summands`.

    Raises:
        ValueError: there are more or fewer plaintexts than a key takes, or they are not such sums.
    """
    if not 1 <= added <= summands:
        raise ValueError(f"a sum of {added} keys that were packed for 1 to {summands}")
    base, digits = _packing(modulus, summands)
    if len(plaintexts) != plaintext_count(modulus, summands):
        raise ValueError(f"{len(plaintexts)} plaintexts where a key takes {plaintext_count(modulus, summands)}")
    total: list[int] = []
    for number in plaintexts:
        for _ in range(min(digits, DIMENSION - len(total))):
            number, digit = divmod(number, base)
            total.append(digit - added * BOUND)
        if number:
            raise ValueError("a plaintext is not a sum of packed keys")
    if max(map(abs, total)) > added * BOUND:
        raise ValueError(f"a coefficient is not a sum of {added} coefficients of keys")
    return checked(np.array([k % P for k in total], dtype=np.uint64), DIMENSION)


def _packing(modulus: int, summands: int) -> tuple[int, int]:
    """The base of the digits, and the number of digits that fit below the modulus."""
    if summands < 1:
        raise ValueError(f"a sum has at least one summand, not {summands}")
    base = 2 * summands * BOUND + 1
    digits, power = 0, base
    while power <= modulus:
        digits, power = digits + 1, power * base
    if digits == 0:
        raise ValueError(f"a modulus of {modulus.bit_length()} bits has no room for a coefficient")
    return base, digits
