"""Many small signed numbers in one plaintext, with room for the sum of n of them in each slot.

A value v in [-limit, limit] is stored as v + limit, so slots never borrow from each other. A slot has as many whole
bytes as n·2·limit needs, and a plaintext of such slots stays below N. So the sum of up to n packed vectors never
carries from one slot to the next or wraps round N. After decryption each slot is compared with the largest sum of n
values. A summand that was not packed by these rules raises an error instead of changing a neighbour's value, unless the
sum stays within the range that honest summands could have reached together.

Updates of a model become such integers by `crypto.codec.FixedPoint`: `decode_sum(words, length, 1)` gives those of one
update, and its `step` turns the sums back into real values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .errors import BadPacking, BadPlaintext

MAX_VALUE_BITS: Final = 48
_MAX_SLOT_BYTES: Final = 7  # so that sums fit an int64, sign and all

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Packing:
    """The layout of values in plaintexts. Raises ValueError for parameters under which sums could overflow.

    modulus_bits: the length of N; summands: the largest number of packed vectors in a sum, n; value_bits: the length of
    a value, its sign included.
    """

    modulus_bits: int
    summands: int
    value_bits: int = 24
    limit: int = field(init=False)  # values lie in [-limit, limit]
    slot_bytes: int = field(init=False)
    slots: int = field(init=False)  # in one plaintext

    def __post_init__(self) -> None:
        if self.summands < 1:
            raise ValueError(f"a sum has at least one summand, not {self.summands}")
        if not 2 <= self.value_bits <= MAX_VALUE_BITS:
            raise ValueError(f"a value has 2 to {MAX_VALUE_BITS} bits, not {self.value_bits}")
        limit = 2 ** (self.value_bits - 1) - 1
        slot_bytes = -(-(2 * limit * self.summands).bit_length() // 8)
        if slot_bytes > _MAX_SLOT_BYTES:
            raise ValueError(f"{self.summands} values of {self.value_bits} bits overflow {_MAX_SLOT_BYTES} bytes")
        slots = (self.modulus_bits - 1) // (8 * slot_bytes)
        if slots < 1:
            raise ValueError(f"no slot of {slot_bytes} bytes fits a modulus of {self.modulus_bits} bits")
        object.__setattr__(self, "limit", limit)
        object.__setattr__(self, "slot_bytes", slot_bytes)
        object.__setattr__(self, "slots", slots)

    def plaintexts(self, length: int) -> int:
        """How many plaintexts a vector of that length takes."""
        return -(-length // self.slots)

    def pack(self, values: Integers) -> list[int]:
        """Plaintexts for int64[L]. Raises BadPlaintext, naming the first value beyond ±limit."""
        if values.dtype != np.int64 or values.ndim != 1:
            raise BadPlaintext("values are a one-dimensional array of int64")
        beyond = (values > self.limit) | (values < -self.limit)
        if beyond.any():
            raise BadPlaintext(f"value {int(beyond.argmax())} is beyond ±{self.limit}")  # and not what it is: a secret
        stored = np.ascontiguousarray(values + self.limit).astype("<i8", copy=False)
        data = stored.view(np.uint8).reshape(-1, 8)[:, : self.slot_bytes].tobytes()
        size = self.slots * self.slot_bytes
        return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]

    def unpack_sum(self, plaintexts: Sequence[int], length: int, summands: int) -> Integers:
        """The exact sums int64[L] behind the sum of `summands` packed vectors of that length.

        Raises BadPacking, naming the first slot that no such sum can hold, and ValueError for more summands than
        agreed or another number of plaintexts than that length takes.
        """
        if not 1 <= summands <= self.summands:
            raise ValueError(f"a sum of {summands} where 1 to {self.summands} are agreed")
        if len(plaintexts) != self.plaintexts(length):
            raise ValueError(f"{len(plaintexts)} plaintexts for {length} values")
        size = self.slots * self.slot_bytes
        for i, plaintext in enumerate(plaintexts):
            if not 0 <= plaintext < 1 << (8 * size):
                raise BadPacking(f"plaintext {i} reaches beyond its last slot")
        data = b"".join(int(plaintext).to_bytes(size, "little") for plaintext in plaintexts)
        wide = np.zeros((len(plaintexts) * self.slots, 8), dtype=np.uint8)
        wide[:, : self.slot_bytes] = np.frombuffer(data, dtype=np.uint8).reshape(-1, self.slot_bytes)
        stored = wide.view("<i8").reshape(-1).astype(np.int64, copy=False)
        if stored[length:].any():
            raise BadPacking("a slot behind the last value is not empty")
        beyond = stored > 2 * self.limit * summands
        if beyond.any():
            raise BadPacking(f"value {int(beyond.argmax())} is not a sum of {summands} packed ones")
        return stored[:length] - self.limit * summands
