"""The names of the facts that a store keeps beside the ledger and the votes."""

from typing import Final

GENESIS: Final = "genesis"
"""The genesis of the federation of this home."""
SETTINGS: Final = "settings"
"""The options of the last start."""
REFOUNDED: Final = "refounded"
"""The homes of the federations that continue the one of this home; the last one counts."""
REFOUNDED_FROM: Final = "refounded-from"
"""The home that a new home was made from."""
DEPARTED: Final = "departed"
"""The height at which this peer left; written once the others can go on without it."""
ADDRESSES: Final = "addresses"
"""The newest address record of each member."""
OWN_ADDRESSES: Final = "own-addresses"
"""The addresses that this peer has told to others."""
