"""The schemes of summing, and what has to be known of each before a round: one line of a table for each.

The genesis, the ledger, the node, the options of ``peer start`` and ``peer simulate``, and the simulator go by this
table. It imports no scheme, so that a list of options costs nothing: a scheme's module is imported when a round needs
it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Promise:
    """What users are told about privacy: a sentence in which ``{colluders}`` stands for K-1."""

    sentence: str
    needs_consent: bool = False
    """Whether a member takes part only once its operator has accepted the scheme."""
    alone: str = ""
    """The sentence for K = 2, where K-1 is a single member."""

    def told(self, threshold: int) -> str:
        """Return the sentence for a threshold K."""
        if threshold == 2 and self.alone:
            return self.alone
        return self.sentence.format(colluders=threshold - 1)


@dataclass(frozen=True, slots=True)
class Entry:
    """What has to be known of a scheme before a round, and where its class is."""

    scheme: str | Callable[..., Any]
    """The class, below :class:`.schemes.base.Scheme`; as text ``MODULE:CLASS``, with the module in :mod:`.schemes`."""
    promise: Promise
    is_private: bool = True
    """Whether single updates stay secret. Then it matters which sums are opened: a sum that failed is repeated with the
    same contributors and no others (safety rule 8).
    """
    proves_liars: bool = True
    """Whether the fingerprints of sum shares are values of polynomials of degree K-1, each at the holder's index + 1.
    Then they prove to all which members lied about a sum (:func:`.ledger.evidence.wrong_sum`).
    """

    proves_dealings: bool = False
    """Whether dealings can prove what they contain (docs/proof.md), if the genesis asks for it."""

    def load(self) -> Callable[..., Any]:
        """Return the scheme's class; it is called with the committee of a round."""
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
    "shamir": Entry("shamir:ShamirScheme", _SHAMIR, proves_dealings=True),
    "plain": Entry("plain:PlainScheme", _PLAIN, is_private=False, proves_liars=False),
}
"""The schemes by the name in the genesis, which has at most 16 characters."""

DEFAULT_SCHEME: Final = "shamir"
