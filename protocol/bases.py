"""Which contributors a sum was decided of, for each base model there was: a map that grows and never changes.

Each state of the ledger has one, and shares all but its newest part with the states before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Optional

if TYPE_CHECKING:
    from .ledger import Repeat

_PART: Final = 256
"""Entries that are copied at most when one is added."""


@dataclass(frozen=True, slots=True)
class Bases:
    """By the hash of a base model what was decided on it."""

    _newest: "Mapping[bytes, Repeat]" = field(default_factory=lambda: MappingProxyType({}))
    _older: Optional["Bases"] = None

    def get(self, base: bytes) -> "Repeat | None":
        """Return what was decided on this base model, None where that is nothing."""
        part: Bases | None = self
        while part is not None:
            if base in part._newest:
                return part._newest[base]
            part = part._older
        return None

    def having(self, base: bytes, repeat: "Repeat") -> "Bases":
        """Return this with one entry more, or another one for that base model."""
        if len(self._newest) == _PART:
            return Bases(MappingProxyType({base: repeat}), self)
        return Bases(MappingProxyType({**self._newest, base: repeat}), self._older)
