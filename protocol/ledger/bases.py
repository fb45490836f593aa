"""For each base model so far, the contributors that a sum was decided of: an immutable map that can be extended.

Safety rule 8 needs it, since a model may equal an earlier one. Each state of the ledger has such a map, and shares all
but its newest part with the states before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Optional

_PART: Final = 256
"""Most entries that are copied when one is added."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The sum that was already decided on the current base model (safety rule 8).

    Either it failed, and some members may have opened it all the same. Or the model after it, or after a later sum,
    equals this base model. The next sum on this model then adds up the same numbers, and a sum over another set would
    give away the numbers of the members in which the sets differ. So the next sum is over exactly the same
    ``contributors``, by the same ``committee`` under the same ``threshold``. Contributors that were evicted on proof
    are left out, and so are members of the committee that are gone.
    """

    contributors: tuple[bytes, ...]
    committee: tuple[bytes, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class Bases:
    """The decided sum of each base model, by the model's hash."""

    _newest: Mapping[bytes, Repeat] = field(default_factory=lambda: MappingProxyType({}))
    _older: Optional["Bases"] = None

    def get(self, base: bytes) -> Repeat | None:
        """Return the sum that was decided on this base model; None if there was none."""
        part: Bases | None = self
        while part is not None:
            if base in part._newest:
                return part._newest[base]
            part = part._older
        return None

    def having(self, base: bytes, repeat: "Repeat") -> "Bases":
        """Return a map in which this base model has this entry, in place of an earlier one if there was one."""
        if len(self._newest) == _PART:
            return Bases(MappingProxyType({base: repeat}), self)
        return Bases(MappingProxyType({**self._newest, base: repeat}), self._older)
