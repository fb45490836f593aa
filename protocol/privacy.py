"""What each scheme says about privacy, for people, and which ones a member has to accept first.

The founder chooses the scheme for everybody. A member whose operator has not accepted a scheme that needs it takes no
part, so that no update is shown because of somebody else's choice. A further scheme has its row here; a test sees
that there is one for every scheme of the genesis, and an option for every one that needs consent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Promise:
    """The sentence about privacy, in which ``{colluders}`` stands for K-1."""

    sentence: str
    needs_consent: bool
    alone: str = ""
    """The sentence for K = 2, where nobody colludes."""

    def told(self, threshold: int) -> str:
        """Return the sentence for a threshold K."""
        if threshold == 2 and self.alone:
            return self.alone
        return self.sentence.format(colluders=threshold - 1)


PROMISES: Final[Mapping[str, Promise]] = MappingProxyType(
    {
        "shamir": Promise(
            "any {colluders} colluding learn nothing beyond the sum",
            needs_consent=False,
            alone="no single member learns anything beyond the sum",
        ),
        "plain": Promise(
            "the scheme plain hides nothing: the members that add up see each update in the clear", needs_consent=True
        ),
    }
)
