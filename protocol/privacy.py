"""What each scheme says about privacy, for people, and which ones a member has to accept first.

The founder chooses the scheme for everybody. A member whose operator has not accepted a scheme that needs it takes no
part, so that no update is shown because of somebody else's choice. A further scheme says it in its line of
:mod:`.registry`.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from .registry import SCHEMES, Promise

__all__ = ["PROMISES", "Promise"]


class _Promises(Mapping[str, Promise]):
    """The promise of each scheme that there is, by its name."""

    def __getitem__(self, name: str) -> Promise:
        return SCHEMES[name].promise

    def __iter__(self) -> Iterator[str]:
        return iter(SCHEMES)

    def __len__(self) -> int:
        return len(SCHEMES)


PROMISES: Final = _Promises()
