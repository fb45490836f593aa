"""Two running peers with one key, as after a home was copied: one of them ends before the two are evicted."""

from typing import Final

import trio

from ..errors import Exit, PeerError
from ..home.folder import Home
from ..network.doubles import Doubles
from ..reporting.reporters import Reporter

DOUBLE_SECONDS: Final = 5.0
"""How long a copied home looks for another peer with its key before it takes part."""
ANSWERS_OF_A_DOUBLE: Final = 3
"""How many answers to our own address records it takes to believe that another peer has our key, if this home is not
known to be a copy.
"""


async def look_for_double(report: Reporter) -> None:
    """Wait before a copied home takes part; :func:`end_if_doubled` ends this peer meanwhile if there is a double."""
    text = f"this home was moved or copied: looking for another peer with its key for {DOUBLE_SECONDS:g} s"
    report.event("looking-for-double", text, {"seconds": DOUBLE_SECONDS})
    await trio.sleep(DOUBLE_SECONDS)


async def end_if_doubled(home: Home, doubles: Doubles, *, is_copy: bool) -> None:
    """End if another peer with the same key runs: the two would sign contradicting votes, and be evicted for them.

    Of a home and its copy, the copy ends, since it knows that it is one. If neither knows it, both end.

    Raises:
        PeerError: there is such a peer.
    """
    await doubles.wait(1 if is_copy else ANSWERS_OF_A_DOUBLE)
    raise PeerError(
        f"{home.folder}: another peer with the key of this home is running, at"
        f" {', '.join(doubles.addresses) or 'an address that it does not tell'}. Their votes would contradict each"
        " other, and the member would be evicted, so this one ends. Go on with one home only, and delete the other",
        Exit.HOME,
    )
