"""What users are told about the privacy of each scheme, and which schemes an operator has to accept first.

The founder chooses the scheme for all members. If a scheme needs consent, a member takes no part until its own operator
has accepted it. So no update is shown because of the choice of another operator. A further scheme says it in its line
of :mod:`..scheme_registry`.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from ..scheme_registry import SCHEMES, Promise

__all__ = ["PROMISES", "Promise"]


class _Promises(Mapping[str, Promise]):
    """The promise of each scheme, by the scheme's name."""

    def __getitem__(self, name: str) -> Promise:
        return SCHEMES[name].promise

    def __iter__(self) -> Iterator[str]:
        return iter(SCHEMES)

    def __len__(self) -> int:
        return len(SCHEMES)


PROMISES: Final = _Promises()
