"""The ways to sum a round: one module for each scheme, behind the interface of :mod:`.base`.

:mod:`..scheme_registry` lists them. :mod:`.shamir` is the default; :mod:`.plain` hides nothing and is there to compare
with.
"""

from ..ledger.committee import Committee
from ..scheme_registry import SCHEMES
from .base import Choice, Scheme
from .plain import PlainScheme
from .shamir import ShamirScheme

__all__ = ["Choice", "PlainScheme", "Scheme", "ShamirScheme", "scheme_of"]


def scheme_of(name: str, committee: Committee) -> Scheme:
    """Return the scheme with this name for a round of this committee.

    Raises:
        KeyError: there is no such scheme.
    """
    made: Scheme = SCHEMES[name].load()(committee)
    return made
