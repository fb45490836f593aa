"""The schemes that there are, and what has to be known of each before a round: a line a scheme.

The genesis, the ledger, the node, both command lines and the simulator go by this table. It imports no scheme, so that
a list of options costs nothing: a scheme's module is imported when a round needs it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Promise:
    """The sentence about privacy, in which ``{colluders}`` stands for K-1."""

    sentence: str
    needs_consent: bool = False
    """Whether a member takes part only once its operator has accepted the scheme."""
    alone: str = ""
    """The sentence for K = 2, where nobody colludes."""

    def told(self, threshold: int) -> str:
        """Return the sentence for a threshold K."""
        if threshold == 2 and self.alone:
            return self.alone
        return self.sentence.format(colluders=threshold - 1)


@dataclass(frozen=True, slots=True)
class Entry:
    """What has to be known of a scheme before a round, and where the scheme is."""

    scheme: str | Callable[..., Any]
    """The class, below :class:`.schemes.base.Scheme`; as text, ``MODULE:CLASS`` in :mod:`.schemes`."""
    promise: Promise
    is_private: bool = True
    """Whether single updates stay secret. Then it matters which sums are opened: one that failed is repeated with the
    same contributors, and by nobody else.
    """
    proves_liars: bool = True
    """Whether the fingerprints of sum shares are values of polynomials of degree K-1, each at the holder's index + 1.
    Then they prove to anybody who lied about a sum (:func:`.evidence.wrong_sum`).
    """

    def load(self) -> Callable[..., Any]:
        """Return the class; it takes the members of a round."""
        if not isinstance(self.scheme, str):
            return self.scheme
        module, _, name = self.scheme.partition(":")
        found: Callable[..., Any] = getattr(import_module(f".schemes.{module}", __package__), name)
        return found


_SHAMIR = Promise(
    "any {colluders} colluding learn nothing beyond the sum",
    alone="no single member learns anything beyond the sum",
)
_PLAIN = Promise(
    "the scheme plain hides nothing: the members that add up see each update in the clear", needs_consent=True
)

SCHEMES: Final[dict[str, Entry]] = {
    "shamir": Entry("shamir:ShamirScheme", _SHAMIR),
    "plain": Entry("plain:PlainScheme", _PLAIN, is_private=False, proves_liars=False),
}
"""By the name in the genesis, of at most 16 characters."""

DEFAULT_SCHEME: Final = "shamir"
