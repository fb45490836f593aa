"""The ways to sum a round: one module for each scheme, behind the interface of :mod:`.base`.

:mod:`..registry` lists them. :mod:`.shamir` is the default; :mod:`.plain` hides nothing and is there to compare with.
"""

from ..committee import Committee
from ..registry import SCHEMES
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
